//! The `[verify]` of a source template: which keys each kind has, and what they may say.

use crate::domain::rejection::signature::SignaturePlace;
use crate::template::diagnostic::Problem;
use crate::template::source::params::check_param;
use crate::template::source::verify::encrypted::EncryptedMembers;
use crate::template::source::verify::field_text::{FieldText, MOST_FIELDS, PickedFields, SecretPosition};
use crate::template::source::verify::hash::{HashKind, HexCase, SignatureText};
use crate::template::source::verify::scheme::{
    DigestScheme, HmacScheme, PlacedSignature, SignatureScheme, SignedPart, TimestampedScheme, TokenScheme,
    Verification,
};
use crate::template::toml_doc::table::Table;
use crate::template::toml_doc::text::Text;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum VerifyKind {
    None,
    Token,
    Basic,
    Hmac,
    Timestamped,
    Digest,
    Encrypted,
}

const KINDS: [(&str, VerifyKind); 7] = [
    ("none", VerifyKind::None),
    ("token", VerifyKind::Token),
    ("basic", VerifyKind::Basic),
    ("hmac", VerifyKind::Hmac),
    ("hmac-timestamped", VerifyKind::Timestamped),
    ("digest", VerifyKind::Digest),
    ("aes-256-cbc", VerifyKind::Encrypted),
];

/// Those of fields.
const FIELD_KEYS: [&str; 6] = ["fields", "sorted", "skip", "skip_empty", "pair", "separator"];

/// The keys of all kinds together.
const KEYS: [&str; 21] = [
    "hash",
    "over",
    "header",
    "parameter",
    "also_in",
    "prefix",
    "encoding",
    "cut",
    "case",
    "fields",
    "sorted",
    "skip",
    "skip_empty",
    "pair",
    "separator",
    "secret",
    "timestamp",
    "signature",
    "tolerance_s",
    "payload",
    "iv",
];

/// Headers that are never kept, so that what is in them could not be verified again.
const NEVER_KEPT: [&str; 4] = ["authorization", "proxy-authorization", "cookie", "set-cookie"];

/// Reads the section; `None`: postbacks are known by the key in their URL alone. A scheme that is asked for and not
/// known is a problem, not passed over: it would let anyone in. `most_fields`: how many the template reads at most.
pub(crate) fn read(root: &Table<'_>, most_fields: usize) -> Option<Verification> {
    root.read_table("verify", |verify| scheme(verify, most_fields)).flatten().map(Verification)
}

fn scheme(verify: &Table<'_>, most: usize) -> Option<SignatureScheme> {
    let Some(kind) = verify.required("kind", "\"hmac\"", |text| text.one_of(&KINDS)) else {
        // Of a kind that is not known no key is known to be wrong.
        KEYS.iter().for_each(|key| _ = verify.has(key));
        return None;
    };
    match kind {
        VerifyKind::None => None,
        VerifyKind::Token => token(verify).map(SignatureScheme::Token),
        VerifyKind::Basic => Some(SignatureScheme::Basic),
        VerifyKind::Hmac => hmac(verify, most).map(SignatureScheme::Hmac),
        VerifyKind::Timestamped => timestamped(verify).map(SignatureScheme::Timestamped),
        VerifyKind::Digest => digest(verify, most).map(SignatureScheme::Digest),
        VerifyKind::Encrypted => encrypted(verify).map(SignatureScheme::Encrypted),
    }
}

fn token(verify: &Table<'_>) -> Option<TokenScheme> {
    let also_in =
        if verify.has("also_in") { verify.all_parsed("also_in", any_place) } else { Some(Vec::new()) };
    let place = place(verify, &[]);
    Some(TokenScheme { place: place?, also_in: also_in? })
}

/// `header:x-token`, or a parameter's name.
fn any_place(text: &Text) -> Result<SignaturePlace, Problem> {
    let Some(name) = text.value.strip_prefix("header:") else {
        return field_name(text).map(SignaturePlace::Parameter);
    };
    header_name(name, &[]).map(SignaturePlace::Header)
}

fn hmac(verify: &Table<'_>, most: usize) -> Option<HmacScheme> {
    let hash = hash(verify);
    let signature = signature(verify, hash);
    let words = [("body", 0), ("url", 1), ("fields", 2)];
    let over = match verify.required("over", "\"body\"", |text| text.one_of(&words)) {
        Some(0) => SignedPart::Body,
        Some(1) => SignedPart::Url,
        Some(_) => SignedPart::Fields(field_text(verify, most)?),
        None => {
            FIELD_KEYS.iter().for_each(|key| _ = verify.has(key));
            return None;
        }
    };
    Some(HmacScheme { hash: hash?, over, signature: signature? })
}

fn digest(verify: &Table<'_>, most: usize) -> Option<DigestScheme> {
    let hash = hash(verify);
    let signature = signature(verify, hash);
    let over = field_text(verify, most);
    let secret = verify.parsed("secret", |text| text.one_of(&SecretPosition::NAMES));
    let secret = secret.unwrap_or(SecretPosition::Last);
    Some(DigestScheme { hash: hash?, over: over?, secret, signature: signature? })
}

fn timestamped(verify: &Table<'_>) -> Option<TimestampedScheme> {
    let hash = hash(verify);
    let text = signature_text(verify, hash);
    let header = verify.required("header", "\"x-signature\"", |text| header_name(&text.value, &NEVER_KEPT));
    let timestamp = verify.required("timestamp", "\"t\"", member_name);
    let signature = verify.required("signature", "\"v1\"", member_name);
    let separator = verify.text("separator").map_or_else(|| ".".to_owned(), |text| text.value);
    // A day: a window that is longer keeps out nothing that someone recorded.
    let tolerance_s = verify.number("tolerance_s", 1..=86_400);
    let tolerance_s = tolerance_s.unwrap_or(USUAL_TOLERANCE_S);
    let (hash, header, timestamp, signature, text) = (hash?, header?, timestamp?, signature?, text?);
    Some(TimestampedScheme { hash, header, timestamp, signature, separator, tolerance_s, text })
}

/// What most senders' own libraries allow.
const USUAL_TOLERANCE_S: u32 = 300;

fn encrypted(verify: &Table<'_>) -> Option<EncryptedMembers> {
    let payload = verify.required("payload", "\"notification\"", json_member);
    let iv = verify.required("iv", "\"iv\"", json_member);
    Some(EncryptedMembers { payload: payload?, iv: iv? })
}

fn hash(verify: &Table<'_>) -> Option<HashKind> {
    verify.required("hash", "\"sha256\"", |text| text.one_of(&HashKind::NAMES))
}

fn signature(verify: &Table<'_>, hash: Option<HashKind>) -> Option<PlacedSignature> {
    let text = signature_text(verify, hash);
    let place = place(verify, &NEVER_KEPT);
    let prefix = verify.text("prefix").unwrap_or_default().value;
    Some(PlacedSignature { place: place?, prefix, text: text? })
}

/// `encoding`, and of hexadecimal digits `cut` and `case`.
fn signature_text(verify: &Table<'_>, hash: Option<HashKind>) -> Option<SignatureText> {
    // Without a hash the keys are read all the same, so that none is called unknown.
    let bytes = hash.unwrap_or(HashKind::Sha512).bytes();
    let encodings = [("hex", true), ("base64", false)];
    let is_hex = verify.parsed("encoding", |text| text.one_of(&encodings)).unwrap_or(true);
    if !is_hex {
        return hash.map(|_| SignatureText::Base64 { bytes });
    }
    // Four bytes: fewer are guessed.
    let digits = verify.number::<usize>("cut", 8..=i64::try_from(2 * bytes).unwrap_or(8));
    let case = verify.parsed("case", |text| text.one_of(&HexCase::NAMES)).unwrap_or(HexCase::Either);
    hash.map(|_| SignatureText::Hex { digits: digits.unwrap_or(2 * bytes), case })
}

/// `fields` or `sorted`, and how they are written.
fn field_text(verify: &Table<'_>, most: usize) -> Option<FieldText> {
    let pair = verify.parsed("pair", pair_mark);
    let separator = verify.text("separator").unwrap_or_default().value;
    let skip_empty = verify.flag("skip_empty").unwrap_or_default();
    let is_sorted = verify.flag("sorted").unwrap_or_default();
    let pick = match (is_sorted, verify.has("fields")) {
        (true, false) => {
            let skip = verify.all_parsed("skip", field_name).unwrap_or_default();
            PickedFields::Sorted { skip }
        }
        (false, true) if verify.is_empty_list("fields") => {
            verify.problem("fields", "`fields` is empty, so nothing is signed", "name the fields that are");
            return None;
        }
        (false, true) => PickedFields::Named(verify.all_parsed("fields", field_name)?),
        (true, true) => {
            let what = "`fields` names the fields, and `sorted` takes all of them";
            verify.problem("sorted", what, "leave one of them out");
            return None;
        }
        (false, false) => {
            let hint = "name the fields in their order: fields = [\"a\", \"b\"], or write sorted = true";
            verify.head_problem("[verify] does not say which fields are signed", hint);
            return None;
        }
    };
    Some(FieldText { pick, pair, separator, skip_empty, most: most.min(MOST_FIELDS) })
}

/// `"k=v"`: what is between name and value.
fn pair_mark(text: &Text) -> Result<String, Problem> {
    let mark = text.value.strip_prefix('k').and_then(|rest| rest.strip_suffix('v'));
    mark.map(str::to_owned).ok_or_else(|| {
        let what = format!("{} does not show how name and value are written", text.shown());
        Problem::new(what, "write `k` for the name and `v` for the value: \"k=v\", \"k:v\" or \"kv\"")
    })
}

/// `header` or `parameter`, one of them.
fn place(verify: &Table<'_>, refused: &[&str]) -> Option<SignaturePlace> {
    match (verify.has("header"), verify.has("parameter")) {
        (true, false) => {
            verify.parsed("header", |text| header_name(&text.value, refused)).map(SignaturePlace::Header)
        }
        (false, true) => verify.parsed("parameter", field_name).map(SignaturePlace::Parameter),
        (true, true) => {
            verify.problem("parameter", "[verify] has `header` and `parameter`", "leave one of them out");
            None
        }
        (false, false) => {
            let hint = "add header = \"x-signature\", or parameter = \"signature\"";
            verify.head_problem("[verify] does not say where the network proves who it is", hint);
            None
        }
    }
}

/// A header's name, in lower case.
fn header_name(written: &str, refused: &[&str]) -> Result<String, Problem> {
    let name = written.to_ascii_lowercase();
    let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if name.is_empty() || !name.bytes().all(is_token) {
        return Err(Problem::new(format!("`{written}` is not a header's name"), "write \"x-signature\""));
    }
    if refused.contains(&name.as_str()) {
        let what = format!(
            "the header `{written}` is never kept, so that its signature could not be verified again"
        );
        return Err(Problem::new(
            what,
            "kind = \"basic\" reads user and password, kind = \"token\" a token there",
        ));
    }
    Ok(name)
}

fn field_name(text: &Text) -> Result<String, Problem> {
    check_param(&text.value).map(|()| text.value.clone())
}

/// The name of a member of the body's own object.
fn json_member(text: &Text) -> Result<String, Problem> {
    if text.value.is_empty() {
        return Err(Problem::new(
            "a member's name is empty",
            "write payload = \"notification\", iv = \"iv\"",
        ));
    }
    Ok(text.value.clone())
}

/// The name before a `=` in a header.
fn member_name(text: &Text) -> Result<String, Problem> {
    if text.value.is_empty() || text.value.contains([',', '=', ' ']) {
        let what = format!("{} is not the name of a part of the header", text.shown());
        return Err(Problem::new(what, "write the name before its `=`: \"t\", \"v1\""));
    }
    Ok(text.value.clone())
}
