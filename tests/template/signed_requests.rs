//! What a request may look like that is signed: places, cases, repeats, times, and bytes that no sender means.

use postbridge::domain::code::CodedReason;
use postbridge::domain::time::Time;
use postbridge::template::source::verify::scheme::{SecretTexts, Unverified};

use crate::support::signed_request::{Signed, scheme, template_with};

/// MD5 of `7s`.
const OF_7S: &str = "a43103fa2c1ea6fb4d78c4e895fcfee4";
const DIGEST: &str = "kind = \"digest\"\nhash = \"md5\"\nfields = [\"amount\"]\nparameter = \"sig\"\n";

fn get(query: &str) -> Signed {
    Signed::of(&format!("GET /key12345/collect/s?{query} HTTP/1.1"), "s")
}

#[test]
fn a_signature_is_read_only_where_the_template_has_it() {
    let in_header = scheme(&DIGEST.replace("parameter", "header"));
    assert_eq!(get("amount=7").header("sig", OF_7S).check(&in_header), Ok(()));
    assert_eq!(get(&format!("amount=7&sig={OF_7S}")).check(&in_header), Err("missing_signature"));
    let in_query = scheme(DIGEST);
    assert_eq!(get(&format!("amount=7&sig={OF_7S}")).check(&in_query), Ok(()));
    assert_eq!(get("amount=7").header("sig", OF_7S).check(&in_query), Err("missing_signature"));
    assert_eq!(get(&format!("amount=7&Sig={OF_7S}")).check(&in_query), Err("missing_signature"));
    let form = get("").body("application/x-www-form-urlencoded", &format!("amount=7&sig={OF_7S}"));
    assert_eq!(form.check(&in_query), Ok(()));
    let json = get("").body("application/json", &format!("{{\"amount\":7,\"sig\":\"{OF_7S}\"}}"));
    assert_eq!(json.check(&in_query), Ok(()));
}

#[test]
fn a_field_of_the_body_counts_before_one_of_the_query() {
    let form = |query: &str, body: &str| {
        get(query).body("application/x-www-form-urlencoded", body).check(&scheme(DIGEST))
    };
    assert_eq!(form("amount=9", &format!("amount=7&sig={OF_7S}")), Ok(()));
    assert_eq!(form("amount=7", &format!("amount=9&sig={OF_7S}")), Err("wrong_signature"));
    assert_eq!(form(&format!("sig={OF_7S}"), "amount=7"), Ok(()));
}

#[test]
fn hexadecimal_digits_are_taken_in_the_case_that_the_template_names() {
    let (lower, upper) = (OF_7S.to_owned(), OF_7S.to_uppercase());
    let check = |case: &str, text: &str| {
        get(&format!("amount=7&sig={text}")).check(&scheme(&format!("{DIGEST}{case}")))
    };
    assert_eq!([check("", &lower), check("", &upper)], [Ok(()), Ok(())]);
    assert_eq!(check("case = \"upper\"", &upper), Ok(()));
    assert_eq!(check("case = \"upper\"", &lower), Err("unreadable_signature"));
    assert_eq!(check("case = \"lower\"", &lower), Ok(()));
    assert_eq!(check("case = \"lower\"", &upper), Err("unreadable_signature"));
}

#[test]
fn what_is_no_signature_is_called_so_whatever_its_bytes_are() {
    let long = "a".repeat(5000);
    for text in ["7", "zz", "%23sig%23", "****", &OF_7S[..31], &format!("{OF_7S}0"), "%00%ff%fe", &long] {
        let hex = get(&format!("amount=7&sig={text}")).check(&scheme(DIGEST));
        assert_eq!(hex, Err("unreadable_signature"), "{text}");
        let base64 = scheme(&format!("{DIGEST}encoding = \"base64\""));
        let found = get(&format!("amount=7&sig={text}")).check(&base64);
        assert_eq!(found, Err("unreadable_signature"), "{text}");
    }
    assert_eq!(get("amount=7&sig=+").check(&scheme(DIGEST)), Err("missing_signature"));
}

#[test]
fn a_body_that_cannot_be_read_is_called_that() {
    let broken = get("").body("application/json", "{\"amount\": ");
    assert_eq!(broken.check(&scheme(DIGEST)), Err("broken_json"));
}

#[test]
fn the_first_of_repeated_parameters_counts_and_arrays_are_not_signed() {
    let check = |query: String| get(&query).check(&scheme(DIGEST));
    assert_eq!(check(format!("amount=7&amount=7000&sig={OF_7S}")), Ok(()));
    assert_eq!(check(format!("amount=7000&amount=7&sig={OF_7S}")), Err("wrong_signature"));
    assert_eq!(check(format!("amount=7&sig={OF_7S}&sig=0")), Ok(()));
    assert_eq!(check(format!("amount=7&sig[]={OF_7S}")), Err("missing_signature"));
    let sorted = scheme("kind = \"digest\"\nhash = \"md5\"\nsorted = true\nparameter = \"sig\"\n");
    assert_eq!(get(&format!("amount=7&a[]=1&b[0][x]=2&sig={OF_7S}")).check(&sorted), Ok(()));
    assert_eq!(get(&format!("amount=7&a=1&sig={OF_7S}")).check(&sorted), Err("wrong_signature"));
}

#[test]
fn more_fields_than_the_template_reads_are_not_hashed() {
    let sorted = scheme("kind = \"digest\"\nhash = \"md5\"\nsorted = true\nparameter = \"sig\"\n");
    let many: String = (0..300).map(|number| format!("f{number}=1&")).collect();
    assert_eq!(get(&format!("{many}sig={OF_7S}")).check(&sorted), Err("too_many_parameters"));
    let text =
        "kind = \"digest\"\nhash = \"md5\"\nsorted = true\nparameter = \"sig\"\n[body]\nmax_leaves = 400\n";
    assert_eq!(get(&format!("{many}sig={OF_7S}")).check(&scheme(text)), Err("wrong_signature"));
}

const TIMED: &str = "kind = \"hmac-timestamped\"\nhash = \"sha256\"\nheader = \"X-Sign\"\ntimestamp = \"t\"\nsignature = \"v1\"\n";
/// HMAC-SHA256 of `1764331200.b` under `s`.
const OF_NOON: &str = "969013627ecf439a4ff3e9a46c8a9c590647e574ddab498e2eb3879a8670a06f";

fn timed(header: &str, second: i64) -> Signed {
    let received_at = Time::parse("2025-11-28T12:00:00Z").unwrap().plus_millis(second * 1000);
    let signed = Signed::of("POST /key12345/collect/s HTTP/1.1", "s").header("x-sign", header);
    Signed { received_at: Some(received_at), body: b"b".to_vec(), ..signed }
}

#[test]
fn the_time_window_is_as_long_as_the_template_says_before_and_after_the_arrival() {
    let header = format!("t=1764331200,v1={OF_NOON}");
    for (tolerance, most) in [("", 300), ("tolerance_s = 10", 10)] {
        let scheme = scheme(&format!("{TIMED}{tolerance}"));
        for second in [0, most, -most] {
            assert_eq!(timed(&header, second).check(&scheme), Ok(()), "{second}");
        }
        for second in [most + 1, -most - 1, 86_400 * 365] {
            assert_eq!(timed(&header, second).check(&scheme), Err("outside_time_window"), "{second}");
        }
    }
    let Err(Unverified::Signature(problem)) = timed(&header, 301).problem(&scheme(TIMED)) else { panic!() };
    assert!(problem.sentence().contains("301 s before it was received; at most 300 s"), "{problem:?}");
    let Err(Unverified::Signature(problem)) = timed(&header, -302).problem(&scheme(TIMED)) else { panic!() };
    assert!(problem.sentence().contains("302 s after it was received"), "{problem:?}");
}

#[test]
fn a_wrong_signature_is_not_called_late() {
    let wrong = format!("t=1764331201,v1={OF_NOON}");
    assert_eq!(timed(&wrong, 9000).check(&scheme(TIMED)), Err("wrong_signature"));
}

#[test]
fn one_of_several_signatures_of_a_header_is_enough() {
    let other = "0".repeat(64);
    for header in [
        format!("v1={other},t=1764331200,v1={OF_NOON}"),
        format!(" t=1764331200 , v0=x, v1={OF_NOON}, v1={other}"),
        format!("t=1764331200,v1=junk,v1={OF_NOON}"),
    ] {
        let found = timed(&header.replace(" ,", ","), 0).check(&scheme(TIMED));
        assert_eq!(found, Ok(()), "{header}");
    }
}

#[test]
fn a_header_without_a_time_or_a_signature_is_unreadable() {
    let huge = format!("t=1764331200{}", ",v1=00".repeat(10_000));
    for header in [
        "x",
        "t=,v1=",
        "t=1764331200",
        &format!("v1={OF_NOON}"),
        &format!("t=soon,v1={OF_NOON}"),
        &format!("t=-1764331200,v1={OF_NOON}"),
        &format!("t=99999999999999999999,v1={OF_NOON}"),
        &format!("t=9223372036854775807,v1={OF_NOON}"),
        &format!("t=1,t=1764331200,v1={OF_NOON}"),
        "t=1764331200,v1=beef",
        &huge,
    ] {
        assert_eq!(timed(header, 0).check(&scheme(TIMED)), Err("unreadable_signature"), "{header:.40}");
    }
}

const AES: &str = "kind = \"aes-256-cbc\"\npayload = \"notification\"\niv = \"iv\"\n";

#[test]
fn what_cannot_be_decrypted_is_answered_alike_whatever_is_wrong_inside() {
    // Under the key of `SOMEKEY`, with an IV of zeros: bad padding (one block of random bytes), good padding and no
    // JSON, good padding and an array, JSON without padding.
    let whole = "g9JuhYQ60qVWZ7r1WytZCyzpeKvcTsz36UF8UJvq51s=";
    let iv = "AAECAwQFBgcICQoLDA0ODw==";
    let aes = scheme(AES);
    let secrets = SecretTexts::new(["SOMEKEY"]);
    let seen = |notification: &str, iv: &str| {
        let body = format!("{{\"notification\": \"{notification}\", \"iv\": \"{iv}\"}}");
        format!("{:?}", aes.open(body.as_bytes(), &secrets).map(|_| ()))
    };
    let alike = "Err(CannotDecrypt { member: \"notification\" })";
    assert_eq!(seen(whole, iv), "Ok(())");
    for broken in [NOT_JSON, AN_ARRAY, NO_PADDING, "AAAA", "%%%", "A", &"A".repeat(44)] {
        assert_eq!(seen(broken, iv), alike, "{broken}");
    }
    // Another IV changes the first block, so that it is no JSON; one of another length is none.
    for iv in ["AAECAwQFBgcICQoLDA0ODg==", "AAEC", "", "!"] {
        assert_eq!(seen(whole, iv), alike, "{iv}");
    }
}

const NOT_JSON: &str = "ru/+ChSGkZIqbFlI9ig8lA==";
const AN_ARRAY: &str = "0EGbOh0oFWppPTN/a5pRKg==";
const NO_PADDING: &str = "3oEKS1y8uhIRBStaEVMwgQ==";

#[test]
fn a_body_without_its_encrypted_members_is_not_encrypted() {
    let aes = scheme(AES);
    for body in [
        "",
        "{}",
        "[]",
        "null",
        "{\"notification\": 7, \"iv\": \"A\"}",
        "{\"notification\": \"\", \"iv\": \"A\"}",
        "{\"notification\": \"AAAA\"}",
        "{\"notification\": {\"notification\": \"A\"}}",
        "{\"notification\": ",
        "amount=7",
    ] {
        let signed = Signed::of("POST /key12345/collect/s HTTP/1.1", "s").body("application/json", body);
        assert_eq!(signed.check(&aes), Err("missing_signature"), "{body}");
    }
}

#[test]
fn a_url_is_signed_as_it_was_written_with_its_signature_taken_out() {
    let url = scheme("kind = \"hmac\"\nhash = \"sha1\"\nover = \"url\"\nparameter = \"hash\"\n");
    let check = |line: String| Signed::of(&line, "s").check(&url);
    let of_url = OF_URL;
    assert_eq!(check(format!("GET /k/collect/s?a=%20b&c=#d&hash={of_url} HTTP/1.1")), Ok(()));
    assert_eq!(check(format!("GET /k/collect/s?hash={of_url}&a=%20b&c=#d HTTP/1.1")), Ok(()));
    assert_eq!(
        check(format!("GET http://other.example/k/collect/s?a=%20b&c=#d&hash={of_url} HTTP/1.1")),
        Ok(())
    );
    assert_eq!(check(format!("GET /k/collect/s?a=+b&c=#d&hash={of_url} HTTP/1.1")), Err("wrong_signature"));
    assert_eq!(check(format!("GET /x/collect/s?a=%20b&c=#d&hash={of_url} HTTP/1.1")), Err("wrong_signature"));
    assert_eq!(check(format!("GET /k/collect/s?hash={OF_BARE_URL} HTTP/1.1")), Ok(()));
}

/// HMAC-SHA1 under `s` of `https://relay.example/k/collect/s?a=%20b&c=#d`, and of the same without a query.
const OF_URL: &str = "fc414b134d48e67bf66ed63bb3cd7eec0b27932d";
const OF_BARE_URL: &str = "3a3a524b8c82b6c29581e1eca4c0b660141bd55d";

/// What is wrong with a section, as one text.
fn problems(verify: &str) -> String {
    let found = template_with(verify).err().unwrap_or_default();
    found.into_iter().map(|problem| format!("{}; {}\n", problem.what, problem.hint)).collect()
}

#[test]
fn mistakes_of_the_section_are_named() {
    for (section, named) in [
        ("kind = \"hmac-sha256\"", "none of none, token, basic, hmac, hmac-timestamped, digest, aes-256-cbc"),
        ("", "[verify] has no `kind`"),
        ("kind = \"token\"", "does not say where the network proves who it is"),
        ("kind = \"token\"\nheader = \"a\"\nparameter = \"b\"", "has `header` and `parameter`"),
        ("kind = \"token\"\nheader = \"a b\"", "is not a header's name"),
        ("kind = \"basic\"\nheader = \"a\"", "unknown key `header` in [verify]"),
        ("kind = \"hmac\"\nhash = \"sha256\"\nheader = \"a\"", "has no `over`"),
        ("kind = \"hmac\"\nover = \"body\"\nheader = \"a\"", "has no `hash`"),
        (
            "kind = \"hmac\"\nhash = \"sha3\"\nover = \"body\"\nheader = \"a\"",
            "none of md5, sha1, sha256, sha512",
        ),
        ("kind = \"hmac\"\nhash = \"md5\"\nover = \"body\"\nheader = \"Authorization\"", "is never kept"),
        (
            "kind = \"hmac\"\nhash = \"md5\"\nover = \"fields\"\nheader = \"a\"",
            "does not say which fields are signed",
        ),
        (
            "kind = \"hmac\"\nhash = \"md5\"\nover = \"body\"\nfields = [\"a\"]\nheader = \"a\"",
            "unknown key `fields`",
        ),
        ("kind = \"digest\"\nhash = \"md5\"\nfields = []\nheader = \"a\"", "`fields` is empty"),
        (
            "kind = \"digest\"\nhash = \"md5\"\nfields = [\"a\"]\nsorted = true\nheader = \"a\"",
            "`sorted` takes all",
        ),
        (
            "kind = \"digest\"\nhash = \"md5\"\nfields = [\"a\"]\nskip = [\"b\"]\nheader = \"a\"",
            "unknown key `skip`",
        ),
        (
            "kind = \"digest\"\nhash = \"md5\"\nsorted = true\npair = \"=\"\nheader = \"a\"",
            "write `k` for the name",
        ),
        ("kind = \"digest\"\nhash = \"md5\"\nsorted = true\ncut = 4\nheader = \"a\"", "outside 8–32"),
        (
            "kind = \"digest\"\nhash = \"md5\"\nsorted = true\nencoding = \"base64\"\ncut = 8\nheader = \"a\"",
            "unknown key `cut`",
        ),
        (
            "kind = \"hmac-timestamped\"\nhash = \"md5\"\nheader = \"a\"\ntimestamp = \"t\"\nsignature = \"v=1\"",
            "part of the header",
        ),
        (
            "kind = \"hmac-timestamped\"\nhash = \"md5\"\nheader = \"a\"\ntimestamp = \"t\"\nsignature = \"v\"\ntolerance_s = 0",
            "outside 1–86400",
        ),
        ("kind = \"aes-256-cbc\"\npayload = \"a\"", "has no `iv`"),
    ] {
        assert!(problems(section).contains(named), "{section}\n{}", problems(section));
    }
}
