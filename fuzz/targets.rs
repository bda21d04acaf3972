//! What every fuzz target does with its bytes: one function each, with what must hold of what is read. They panic
//! where it does not. The tests feed them the corpora on stable Rust.

mod amounts;
mod journal;
mod json_members;
mod moments;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use postbridge::config::configuration::Config;
use postbridge::domain::delivery::{PlatformResponse, Reply};
use postbridge::domain::ids::{DestinationId, SourceId};
use postbridge::domain::postback::KeptHeaders;
use postbridge::domain::time::Time;
use postbridge::http1::ConnectionLimits;
use postbridge::http1::body::{BodyProgress, Chunked};
use postbridge::http1::head::{self, Framing, HeadSearch};
use postbridge::template::catalog::Catalog;
use postbridge::template::destination::definition::DestinationTemplate;
use postbridge::template::destination::ready::ReadyDestination;
use postbridge::template::destination::rendering::DestinationMode;
use postbridge::template::destination::spec::DestinationSpec;
use postbridge::template::diagnostic::Problem;
use postbridge::template::macros::detect::{ValueUse, classify};
use postbridge::template::macros::grammar::Grammar;
use postbridge::template::macros::url::MacroUrl;
use postbridge::template::source::definition::{SourceBinding, SourceTemplate};
use postbridge::template::source::verify::request::SignedRequest;
use postbridge::template::source::verify::scheme::{SecretTexts, SignatureTerms};

/// A target's name, which is its corpus's too, and what it does.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const ALL: [Target; 16] = [
    ("config", config),
    ("destination_template", destination_template),
    ("http1_chunked", http1_chunked),
    ("http1_head", http1_head),
    ("journal_changes", journal_changes),
    ("journal_frame", journal_frame),
    ("journal_manifest", journal_manifest),
    ("journal_segment", journal_segment),
    ("json_bodies", json_bodies),
    ("macros", macros),
    ("numbers", numbers),
    ("params", params),
    ("reply", reply),
    ("signatures", signatures),
    ("source_template", source_template),
    ("times", times),
];

static CATALOG: LazyLock<Catalog> = LazyLock::new(|| Catalog::load(None).expect("the built-in templates"));

/// The text up to the first line that is `mark` alone, and what follows.
fn parted<'a>(data: &'a [u8], mark: &[u8]) -> (&'a [u8], &'a [u8]) {
    let line = [b"\n", mark, b"\n"].concat();
    let at = data.windows(line.len()).position(|window| window == line);
    at.map_or((data, &[][..]), |at| (&data[..at], &data[at + line.len()..]))
}

fn have_places(problems: &[Problem]) {
    assert!(!problems.is_empty(), "refused without a problem");
    for problem in problems {
        assert!(!problem.at.is_empty() && !problem.what.is_empty(), "{problem:?}");
    }
}

fn binding() -> SourceBinding {
    SourceBinding::of(SourceId::parse("fuzz").expect("an id"))
}

fn mapped(template: &SourceTemplate, query: &[u8], content_type: Option<&str>, body: &[u8]) -> String {
    let mut headers = KeptHeaders::default();
    content_type.iter().for_each(|kind| headers.push("content-type", kind.as_bytes()));
    let read = template.read(query, &headers, body);
    format!("{:?}", read.and_then(|params| template.map(&binding(), &params)))
}

/// The query, then a line of the content type, then the body.
pub fn params(data: &[u8]) {
    let (query, rest) = parted(data, b"--");
    let (content_type, body) = parted(rest, b"--");
    let content_type = str::from_utf8(content_type).ok().filter(|text| !text.is_empty());
    for name in CATALOG.source_names() {
        let template = CATALOG.source(name).expect("it is listed");
        let once = mapped(&template, query, content_type, body);
        assert_eq!(once, mapped(&template, query, content_type, body));
    }
}

/// The first byte says where the bytes are cut into two reads.
pub fn http1_head(data: &[u8]) {
    let Some((cut, bytes)) = data.split_first() else { return };
    let limits = ConnectionLimits::default();
    let whole = HeadSearch::default().find(bytes, &limits);
    let cut = usize::from(*cut).min(bytes.len());
    let mut search = HeadSearch::default();
    let pieces = match search.find(&bytes[..cut], &limits) {
        Ok(None) => search.find(bytes, &limits),
        early => early,
    };
    assert_eq!(format!("{whole:?}"), format!("{pieces:?}"), "cut at {cut}");
    let Ok(Some(length)) = whole else { return };
    let bytes = &bytes[..length];
    let Ok(read) = head::read(bytes) else { return };
    let line = &bytes[read.line.clone()];
    let repaired = head::repaired(line, &read).expect("its own line");
    let handed = repaired.map_or_else(|| line[read.target.whole.clone()].to_vec(), String::into_bytes);
    let chunked = (read.framing == Framing::Chunked).then_some(7);
    let mut written = Vec::new();
    head::rewrite(bytes, &read, &handed, chunked, &mut written).expect("its own bytes");
    let again = head::read(&written).expect("what is handed on is read");
    assert!(!again.needs_rewrite && again.framing != Framing::Chunked, "{again:?}");
}

/// In one piece, and byte by byte.
pub fn http1_chunked(data: &[u8]) {
    let none = || Ok(None);
    let mut at_once = Chunked::new(4096);
    let whole = at_once.feed(data, &none);
    let mut bytewise = Chunked::new(4096);
    let mut pieces = Ok(BodyProgress::More);
    for (at, byte) in data.iter().enumerate() {
        pieces = match bytewise.feed(std::slice::from_ref(byte), &none) {
            Ok(BodyProgress::Complete(used)) => Ok(BodyProgress::Complete(at + used)),
            other => other,
        };
        if pieces != Ok(BodyProgress::More) {
            break;
        }
    }
    assert_eq!(format!("{whole:?}"), format!("{pieces:?}"));
    if whole.is_ok() {
        assert_eq!(at_once.body(), bytewise.body());
        assert!(at_once.body().len() <= 4096);
    }
}

/// A line of the grammar, the URL, and what the macros are filled with.
pub fn macros(data: &[u8]) {
    let (grammar, rest) = parted(data, b"--");
    let (url, value) = parted(rest, b"--");
    for used in [ValueUse::Id, ValueUse::Amount, ValueUse::Text] {
        let text = String::from_utf8_lossy(value);
        assert_eq!(classify(&text, value, used), classify(&text, value, used));
    }
    let (Ok(grammar), Ok(url)) = (str::from_utf8(grammar), str::from_utf8(url)) else { return };
    let Ok(grammar) = Grammar::parse(grammar) else { return };
    let names = ["click_id", "s1", "price", "tid"];
    let Ok(compiled) = MacroUrl::compile(url, &grammar, &names) else { return };
    let value = String::from_utf8_lossy(value).into_owned();
    let filled = compiled.render(&|_| Some(value.clone()));
    let empty = compiled.render(&|_| None);
    let authority = |url: &str| url.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
    let authority = |url: &str| authority(url.split(['?', '#']).next().unwrap_or_default());
    assert_eq!(authority(&filled), authority(&empty), "{filled} and {empty}");
}

/// A template, then a query.
pub fn source_template(data: &[u8]) {
    let (text, query) = parted(data, b"--");
    let Ok(text) = str::from_utf8(text) else { return };
    match SourceTemplate::parse("fuzz.toml", text) {
        Ok(template) => {
            assert!(template.postback_query(&[]).is_ok());
            assert_eq!(mapped(&template, query, None, b""), mapped(&template, query, None, b""));
        }
        Err(problems) => have_places(&problems),
    }
}

/// The lines of a `[verify]`, the request line, headers as `name: value`, then the body.
pub fn signatures(data: &[u8]) {
    let (section, rest) = parted(data, b"--");
    let (line, rest) = parted(rest, b"--");
    let (head, body) = parted(rest, b"--");
    let Ok(section) = str::from_utf8(section) else { return };
    let text = format!(
        "name = \"fuzz\"\nmacro = \"{{{{}}}}\"\npostback = [\"s\"]\n[map]\nitem_id = \"s\"\n[default]\n\
         event = \"Lead\"\n[verify]\n{section}"
    );
    let template = match SourceTemplate::parse("fuzz.toml", &text) {
        Ok(template) => template,
        Err(problems) => return have_places(&problems),
    };
    let Some(scheme) = template.verification() else { return };
    let mut headers = KeptHeaders::default();
    for (name, value) in String::from_utf8_lossy(head).lines().filter_map(|line| line.split_once(':')) {
        headers.push(&name.trim().to_lowercase(), value.trim().as_bytes());
    }
    let request = SignedRequest { line, headers: &headers, body };
    let received_at = Time::parse("2025-11-28T12:00:00Z").expect("a time");
    let check = |secrets: &SecretTexts| {
        let terms = SignatureTerms { secrets, base_url: "https://relay.example", received_at };
        format!("{:?} {:?}", scheme.check(&request, terms), scheme.open(body, secrets))
    };
    let secrets = SecretTexts::new(["s3cret", "user:s3cret"]);
    assert_eq!(check(&secrets), check(&secrets));
    assert_eq!(format!("{:?}", scheme.presented(&request)), format!("{:?}", scheme.presented(&request)));
    // Without a secret nothing is signed by it.
    let nothing = check(&SecretTexts::default());
    assert!(scheme.secret_place().is_some() || !nothing.starts_with("Ok"), "{nothing}");
    let masked = template.read(request.query(), &headers, body);
    assert_eq!(format!("{masked:?}"), format!("{:?}", template.read(request.query(), &headers, body)));
}

/// The currency, what kind of report it is, then the amount.
pub fn numbers(data: &[u8]) {
    let (currency, rest) = parted(data, b"--");
    let (kind, text) = parted(rest, b"--");
    amounts::check(currency, kind, text);
}

/// The lines of a `[time]`, then the moment.
pub fn times(data: &[u8]) {
    let (section, text) = parted(data, b"--");
    moments::check(section, text);
}

/// A body, which is JSON.
pub fn json_bodies(data: &[u8]) {
    json_members::check(data);
}

/// What a commit changes, as a frame of the journal has it.
pub fn journal_changes(data: &[u8]) {
    journal::check_changes(data);
}

/// A frame of the journal.
pub fn journal_frame(data: &[u8]) {
    journal::check_frame(data);
}

/// The journal's manifest.
pub fn journal_manifest(data: &[u8]) {
    journal::check_manifest(data);
}

/// A file of the journal.
pub fn journal_segment(data: &[u8]) {
    journal::check_segment(data);
}

/// destination.toml, then event.json.hbs.
pub fn destination_template(data: &[u8]) {
    let (toml, event) = parted(data, b"--");
    let (Ok(toml), Ok(event)) = (str::from_utf8(toml), str::from_utf8(event)) else { return };
    let files = [("destination.toml", toml), ("event.json.hbs", event)];
    let files: BTreeMap<String, String> =
        files.into_iter().map(|(name, text)| (name.to_owned(), text.to_owned())).collect();
    if let Err(problems) = DestinationTemplate::parse("fuzz", "fuzz", &files) {
        have_places(&problems);
    }
}

/// A postbridge.toml. What would read a file of the machine is left out.
pub fn config(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    if ["file", "templates", "certificate", "\\u", "\\U"].iter().any(|word| text.contains(word)) {
        return;
    }
    if let Err(problems) =
        Config::parse("postbridge.toml", text, &|_| Some("3f9c1e0b7a52d846c0f1".to_owned()))
    {
        have_places(&problems);
    }
}

fn ready(name: &str) -> ReadyDestination {
    let template = CATALOG.destination(name).expect("it is listed");
    let value = |name: &str| match name {
        name if name.ends_with("url") => "https://receiver.example/x",
        "secret" | "previous_secret" => "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz",
        "country" => "US",
        _ => "1234567890",
    };
    // Of several ways to sign in an account has one.
    let settings = template.settings().iter().filter(|one| format!("{:?}", one.kind) != "ServiceAccount");
    let settings = settings.map(|one| (one.name.clone(), value(&one.name).to_owned()));
    let settings = settings.collect();
    let id = DestinationId::parse("fuzz").expect("an id");
    let spec = DestinationSpec {
        id,
        template,
        mode: DestinationMode::Live,
        endpoint: None,
        token_endpoint: None,
        on_rejected: None,
        settings,
        events: BTreeMap::new(),
    };
    ReadyDestination::build(spec).expect("a built-in template with settings")
}

static DESTINATIONS: LazyLock<Vec<ReadyDestination>> =
    LazyLock::new(|| CATALOG.destination_names().into_iter().map(ready).collect());

/// The status, headers as `name: value`, then the body.
pub fn reply(data: &[u8]) {
    let (head, body) = parted(data, b"--");
    let head = String::from_utf8_lossy(head);
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.trim().parse().ok()).unwrap_or(200);
    let header = |line: &str| {
        let (name, value) = line.split_once(':')?;
        Some((name.trim().to_lowercase(), value.trim().to_owned()))
    };
    let headers = lines.filter_map(header).collect();
    let answer = Reply::Answer(PlatformResponse { status, headers, body: body.to_vec(), truncated: false });
    let now = Time::parse("2026-11-28T12:00:00Z").expect("a time");
    for destination in DESTINATIONS.iter() {
        let once = destination.classify(&answer, now);
        assert_eq!(format!("{once:?}"), format!("{:?}", destination.classify(&answer, now)));
    }
}
