//! What holds for every query and body: nothing panics, nothing is lost, nothing is guessed.

use postbridge::domain::ids::SourceId;
use postbridge::domain::money::{Currency, DecimalMark, parse_decimal};
use postbridge::template::params::{self, MAX_PARAMS, Params};
use postbridge::template::source::{SourceBinding, SourceTemplate};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

fn query(text: &str) -> Params {
    params::read(text.as_bytes(), None, b"").unwrap()
}

fn pairs(params: &Params) -> Vec<(&str, &str)> {
    params.pairs.iter().map(|param| (param.name.as_str(), param.value.as_str())).collect()
}

fn json(body: &str) -> Result<Params, postbridge::domain::postback::Fault> {
    params::read(b"", Some("application/json"), body.as_bytes())
}

fn cake() -> (SourceTemplate, SourceBinding) {
    let text = include_str!("../templates/sources/cake.toml");
    let binding = SourceBinding {
        source: SourceId::parse("cake-test").unwrap(),
        currency: Currency::parse("USD"),
        positive_event: None,
        zero_event: None,
    };
    (SourceTemplate::parse("cake.toml", text).unwrap(), binding)
}

fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_bytes_as_a_query_are_read_or_refused(bytes in vec(any::<u8>(), 0..600)) {
        if let Ok(read) = params::read(&bytes, None, b"") {
            prop_assert!(read.pairs.len() <= MAX_PARAMS);
        }
    }

    #[test]
    fn any_bytes_as_a_body_are_read_or_refused(bytes in vec(any::<u8>(), 0..300), kind in 0usize..4) {
        let kind = [None, Some("application/json"), Some("application/x-www-form-urlencoded"), Some("text/plain")][kind];
        if let Ok(read) = params::read(b"a=1", kind, &bytes) {
            prop_assert!(read.pairs.len() <= MAX_PARAMS);
        }
    }

    #[test]
    fn whatever_comes_a_template_answers(bytes in "[a-z0-9=&#%{}.?;-]{0,200}") {
        let (template, binding) = cake();
        if let Ok(read) = params::read(bytes.as_bytes(), None, b"")
            && let Ok(draft) = template.map(&binding, &read)
        {
            prop_assert!(draft.value.is_some(), "an event told from the value has one");
        }
    }

    #[test]
    fn distinct_names_survive_encoding_and_reading(map in btree_map("[^\u{fffd}]{1,12}", "[^\u{fffd}]{0,30}", 0..40)) {
        prop_assume!(map.keys().all(|name| !name.starts_with("amp;")));
        let text: Vec<String> = map.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();
        let read = query(&text.join("&"));
        let expected: Vec<(&str, &str)> = map.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        prop_assert_eq!(pairs(&read), expected.clone());
        prop_assert!(read.notes.is_empty());
        let form = params::read(b"", Some("application/x-www-form-urlencoded"), text.join("&").as_bytes()).unwrap();
        prop_assert_eq!(pairs(&form), expected);
    }

    #[test]
    fn flat_json_is_read_as_it_stands(map in btree_map("[a-z_]{1,12}", ".{0,30}", 0..40)) {
        let body = serde_json::to_string(&map).unwrap();
        let read = json(&body).unwrap();
        let expected: Vec<(&str, &str)> = map.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        prop_assert_eq!(pairs(&read), expected);
    }

    #[test]
    fn a_price_keeps_its_digits_from_query_and_json(units in 0u64..1_000_000_000, fraction in "[0-9]{0,6}") {
        let text = if fraction.is_empty() { units.to_string() } else { format!("{units}.{fraction}") };
        let (template, binding) = cake();
        let from_query = query(&format!("tid=t-1&price={text}"));
        let from_json = json(&format!("{{\"tid\":\"t-1\",\"price\":{text}}}")).unwrap();
        for read in [from_query, from_json] {
            let draft = template.map(&binding, &read).unwrap();
            prop_assert_eq!(draft.value.unwrap().amount.to_string(), text.clone());
        }
    }

    #[test]
    fn a_number_with_grouping_is_never_a_decimal(units in 1u32..1000, thousands in "[0-9]{3}", mark in "[,.' \u{a0}_]", fraction in "[0-9]{2}") {
        let dot = format!("{units}{mark}{thousands}.{fraction}");
        let comma = format!("{units}{mark}{thousands},{fraction}");
        prop_assert_eq!(parse_decimal(&dot, DecimalMark::Dot), None);
        prop_assert_eq!(parse_decimal(&comma, DecimalMark::Comma), None);
    }
}

#[test]
fn a_raw_hash_belongs_to_the_value() {
    let read = query("s1=#s1#&s2=abc");
    assert_eq!(pairs(&read), [("s1", "#s1#"), ("s2", "abc")]);
    assert!(!read.cut_at_fragment);
}

#[test]
fn a_query_that_ends_behind_an_equals_sign_may_have_been_cut() {
    assert!(query("s1=").cut_at_fragment);
    assert!(query("s1=yes&s2=").cut_at_fragment);
    assert!(!query("s1=yes").cut_at_fragment);
    assert!(!query("s1=YQ==").cut_at_fragment, "padding of Base64 is a value");
    assert!(!query("s1").cut_at_fragment);
    assert!(!query("").cut_at_fragment);
}

#[test]
fn the_querys_pairs_come_before_the_bodys() {
    let read =
        params::read(b"b=1&a=2", Some("application/json; charset=utf-8"), br#"{"d":3,"c":4}"#).unwrap();
    assert_eq!(pairs(&read), [("b", "1"), ("a", "2"), ("d", "3"), ("c", "4")]);
}

#[test]
fn json_keeps_number_texts_drops_nulls_and_dots_nested_names() {
    let body = r#"{"a":7.00,"b":null,"c":{"d":true,"e":{"f":"x"}},"g":[1,{"h":2}],"i":12345678901234567890.10,"j":1e3}"#;
    let read = json(body).unwrap();
    let expected = [
        ("a", "7.00"),
        ("c.d", "true"),
        ("c.e.f", "x"),
        ("g.0", "1"),
        ("g.1.h", "2"),
        ("i", "12345678901234567890.10"),
        ("j", "1e3"),
    ];
    assert_eq!(pairs(&read), expected);
}

#[test]
fn json_that_is_no_object_is_quarantined() {
    for (body, said) in
        [("[1,2]", "array"), ("\"x\"", "no object"), ("7", "no object"), ("{\"a\":}", "broken JSON")]
    {
        let fault = json(body).unwrap_err();
        assert!(fault.reason.contains(said), "{body}: {}", fault.reason);
        assert!(!fault.hint.is_empty());
    }
    let deep = format!("{}1{}", "{\"a\":".repeat(40), "}".repeat(40));
    assert!(json(&deep).unwrap_err().reason.contains("nested"));
    let abyss = "{\"a\":".repeat(10_000);
    assert!(json(&abyss).is_err());
    assert!(json(&format!("{abyss}1{}", "}".repeat(10_000))).is_err());
    assert!(json(&format!("{{\"a\":{}1{}}}", "[".repeat(10_000), "]".repeat(10_000))).is_err());
    assert!(json("{} trailing").is_err());
}

#[test]
fn a_body_without_a_type_is_json_where_it_begins_like_it() {
    assert_eq!(pairs(&params::read(b"", None, b" {\"a\":1}\n").unwrap()), [("a", "1")]);
    assert_eq!(pairs(&params::read(b"", None, b"a=1&b=2").unwrap()), [("a", "1"), ("b", "2")]);
    assert_eq!(
        pairs(&params::read(b"", Some("application/vnd.x+json"), b"{\"a\":1}").unwrap()),
        [("a", "1")]
    );
    assert!(params::read(b"", Some("multipart/form-data; boundary=x"), b"--x").is_err());
}

#[test]
fn a_name_with_two_values_is_quarantined_and_one_told_twice_is_not() {
    assert_eq!(pairs(&query("tid=1&price=7&tid=1")), [("tid", "1"), ("price", "7")]);
    let fault = params::read(b"tid=1&tid=2", None, b"").unwrap_err();
    assert!(fault.reason.contains("`tid`") && fault.reason.contains("`1`") && fault.reason.contains("`2`"));
    let across = params::read(b"tid=1", Some("application/json"), b"{\"tid\":\"2\"}").unwrap_err();
    assert!(across.reason.contains("`tid`"));
}

#[test]
fn a_secret_is_never_repeated_in_a_fault() {
    let fault = params::read(b"api_key=hush&api_key=psst", None, b"").unwrap_err();
    assert!(!fault.reason.contains("hush") && !fault.reason.contains("psst"), "{}", fault.reason);
}

#[test]
fn more_than_256_parameters_are_refused_repeats_included() {
    let many = |count: usize| (0..count).map(|n| format!("p{n}=1")).collect::<Vec<_>>().join("&");
    assert_eq!(query(&many(256)).pairs.len(), 256);
    assert!(params::read(many(257).as_bytes(), None, b"").unwrap_err().reason.contains("256"));
    assert!(params::read("a=1&".repeat(300).as_bytes(), None, b"").is_err());
}

#[test]
fn escaped_ampersands_and_a_second_question_mark_are_mended_and_noted() {
    let read = query("s1=1&amp;s2=2&amp;amp;s3=3?tid=4");
    assert_eq!(pairs(&read), [("s1", "1"), ("s2", "2"), ("s3", "3"), ("tid", "4")]);
    assert_eq!(read.notes.len(), 2, "{:?}", read.notes);
    let url = query("url=https://x.example/?a=b&tid=1&why=what?");
    assert_eq!(pairs(&url), [("url", "https://x.example/?a=b"), ("tid", "1"), ("why", "what?")]);
    assert!(url.notes.is_empty(), "a URL as a value has a query of its own");
}

#[test]
fn bytes_that_are_no_utf8_are_replaced_and_noted_and_kept_raw() {
    let read = params::read(b"a=caf\xe9&b=%E9", None, b"").unwrap();
    assert_eq!(pairs(&read), [("a", "caf\u{fffd}"), ("b", "\u{fffd}")]);
    assert_eq!(read.pairs[0].raw, b"caf\xe9");
    assert_eq!(read.pairs[1].raw, b"%E9");
    assert!(read.notes[0].contains("`a`") && read.notes[0].contains("`b`"));
}

#[test]
fn a_plus_is_a_space_in_query_and_form() {
    assert_eq!(pairs(&query("a=x+y%2Bz")), [("a", "x y+z")]);
}
