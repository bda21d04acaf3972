//! What holds for every query and body: nothing panics, nothing is lost, nothing is guessed.

use postbridge::domain::code::CodedReason;
use postbridge::domain::ids::SourceId;
use postbridge::domain::money::{Currency, NumberFormat, parse_decimal};
use postbridge::domain::postback::KeptHeaders;
use postbridge::domain::rejection::Rejection;
use postbridge::domain::rejection::body::BodyProblem;
use postbridge::domain::rejection::code::RejectionCode;
use postbridge::domain::rejection::note::{ReportNote, notes_text};
use postbridge::domain::rejection::wanted::Names;
use postbridge::template::source::definition::{SourceBinding, SourceTemplate};
use postbridge::template::source::mapped_report::MappedReport;
use postbridge::template::source::params::{self, ListReader, MAX_PARAMS, Params};
use postbridge::template::source::request;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

fn query(text: &str) -> Params {
    request::read(text.as_bytes(), None, b"").unwrap()
}

fn pairs(params: &Params) -> Vec<(&str, &str)> {
    params.pairs.iter().map(|param| (param.name.as_str(), param.value.as_str())).collect()
}

fn json(body: &str) -> Result<Params, Rejection> {
    request::read(b"", Some("application/json"), body.as_bytes())
}

fn cake() -> (SourceTemplate, SourceBinding) {
    let text = include_str!("../../templates/sources/cake.toml");
    let source = SourceId::parse("cake-test").unwrap();
    let binding = SourceBinding { currency: Currency::parse("USD"), ..SourceBinding::of(source) };
    (SourceTemplate::parse("cake.toml", text).unwrap(), binding)
}

fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_bytes_as_a_query_are_read_or_refused(bytes in vec(any::<u8>(), 0..600)) {
        if let Ok(read) = request::read(&bytes, None, b"") {
            prop_assert!(read.pairs.len() <= MAX_PARAMS);
        }
    }

    #[test]
    fn any_bytes_as_a_body_are_read_or_refused(bytes in vec(any::<u8>(), 0..300), kind in 0usize..6) {
        let kind = [None, Some("application/json"), Some("application/x-www-form-urlencoded; charset=gbk"), Some("text/plain"), Some("multipart/form-data; boundary=x"), Some("application/json; charset=utf-16")][kind];
        if let Ok(read) = request::read(b"a=1", kind, &bytes) {
            prop_assert!(read.pairs.len() <= MAX_PARAMS);
        }
    }

    #[test]
    fn any_bytes_get_an_answer_of_a_template(bytes in "[a-z0-9=&#%{}.?;-]{0,200}") {
        let (template, binding) = cake();
        if let Ok(read) = request::read(bytes.as_bytes(), None, b"")
            && let Ok(Some(draft)) = template.map(&binding, &read).map(MappedReport::draft)
        {
            prop_assert!(draft.value.is_some(), "an event inferred from the value has one");
        }
    }

    #[test]
    fn distinct_names_survive_encoding_and_reading(map in btree_map("[^\u{fffd}]{1,12}", "[^\u{fffd}]{0,30}", 0..40)) {
        prop_assume!(map.keys().all(|name| !name.starts_with("amp;")));
        // What is invisible around a name is not of it.
        let map: std::collections::BTreeMap<String, String> =
            map.into_iter().filter(|(name, _)| postbridge::domain::text::trim(name) == name).collect();
        let text: Vec<String> = map.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();
        let read = query(&text.join("&"));
        let expected: Vec<(&str, &str)> = map.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        prop_assert_eq!(pairs(&read), expected.clone());
        prop_assert!(read.notes.is_empty());
        let form = request::read(b"", Some("application/x-www-form-urlencoded"), text.join("&").as_bytes()).unwrap();
        prop_assert_eq!(pairs(&form), expected);
    }

    #[test]
    fn flat_json_is_read_as_it_is(map in btree_map("[a-z_]{1,12}", ".{0,30}", 0..40)) {
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
            let draft = template.map(&binding, &read).unwrap().draft().unwrap();
            prop_assert_eq!(draft.value.unwrap().amount.to_string(), text.clone());
        }
    }

    #[test]
    fn a_number_with_grouping_is_never_a_decimal(units in 1u32..1000, thousands in "[0-9]{3}", mark in "[,.' \u{a0}_]", fraction in "[0-9]{2}") {
        let dot = format!("{units}{mark}{thousands}.{fraction}");
        let comma = format!("{units}{mark}{thousands},{fraction}");
        prop_assert_eq!(parse_decimal(&dot, NumberFormat::Plain), None);
        prop_assert_eq!(parse_decimal(&comma, NumberFormat::Comma), None);
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
        request::read(b"b=1&a=2", Some("application/json; charset=utf-8"), br#"{"d":3,"c":4}"#).unwrap();
    assert_eq!(pairs(&read), [("b", "1"), ("a", "2"), ("d", "3"), ("c", "4")]);
}

#[test]
fn json_keeps_the_digits_of_numbers_drops_nulls_and_dots_nested_names() {
    let body = r#"{"a":7.00,"b":null,"c":{"d":true,"e":{"f":"x"}},"g":[1,{"h":2}],"i":12345678901234567890.10,"j":1e3}"#;
    let read = json(body).unwrap();
    let expected = [
        ("a", "7.00"),
        ("c.d", "true"),
        ("c.e.f", "x"),
        ("g.0", "1"),
        ("g.1.h", "2"),
        ("i", "12345678901234567890.10"),
        ("j", "1000"),
    ];
    assert_eq!(pairs(&read), expected);
}

#[test]
fn json_that_is_no_object_is_quarantined() {
    for (body, code) in [
        ("[1,2]", RejectionCode::JsonArray),
        ("so so", RejectionCode::NotAnObject),
        ("<a/>", RejectionCode::NotAnObject),
        ("{\"a\":}", RejectionCode::BrokenJson),
    ] {
        assert_eq!(json(body).unwrap_err().code(), code, "{body}");
    }
    let deep = format!("{}1{}", "{\"a\":".repeat(40), "}".repeat(40));
    assert!(json(&deep).unwrap_err().code() == RejectionCode::JsonTooDeep);
    let abyss = "{\"a\":".repeat(10_000);
    assert!(json(&abyss).is_err());
    assert!(json(&format!("{abyss}1{}", "}".repeat(10_000))).is_err());
    assert!(json(&format!("{{\"a\":{}1{}}}", "[".repeat(10_000), "]".repeat(10_000))).is_err());
    assert!(json("{} trailing").is_err());
}

#[test]
fn a_body_without_a_type_is_json_where_it_begins_like_it() {
    assert_eq!(pairs(&request::read(b"", None, b" {\"a\":1}\n").unwrap()), [("a", "1")]);
    assert_eq!(pairs(&request::read(b"", None, b"a=1&b=2").unwrap()), [("a", "1"), ("b", "2")]);
    assert_eq!(
        pairs(&request::read(b"", Some("application/vnd.x+json"), b"{\"a\":1}").unwrap()),
        [("a", "1")]
    );
    assert!(request::read(b"", Some("multipart/form-data; boundary=x"), b"--x").is_err());
}

#[test]
fn what_is_invisible_around_a_name_is_not_of_it() {
    for written in ["%EF%BB%BFtid=1&price=7", "tid%E2%80%8B=1&+price=7", "\u{feff}tid=1&price%20=7"] {
        assert_eq!(pairs(&query(written)), [("tid", "1"), ("price", "7")], "{written}");
    }
}

#[test]
fn a_name_with_two_values_keeps_both_and_one_reported_twice_is_one() {
    assert_eq!(pairs(&query("tid=1&price=7&tid=1")), [("tid", "1"), ("price", "7")]);
    let read = query("tid=1&tid=2&tid=3");
    assert_eq!(
        (pairs(&read), read.other("tid").map(|other| other.value.as_str())),
        (vec![("tid", "1")], Some("2"))
    );
    let across = request::read(b"tid=1", Some("application/json"), b"{\"tid\":\"2\"}").unwrap();
    assert!(across.other("tid").is_some());
    for query in
        ["tid=&tid=5", "tid=5&tid=", "tid=%20&tid=5&tid=", "tid=%E2%80%8B&tid=5", "tid=5&tid=%205%20"]
    {
        let read = request::read(query.as_bytes(), None, b"").unwrap();
        assert_eq!((pairs(&read), read.repeated.len()), (vec![("tid", "5")], 0), "{query}");
    }
}

#[test]
fn only_what_a_template_reads_is_stopped_by_two_values() {
    let (template, binding) = cake();
    let map = |query: &str| {
        let read = template.read(query.as_bytes(), &KeptHeaders::default(), b"").unwrap();
        template.map(&binding, &read).map(|mapped| mapped.draft().unwrap())
    };
    for (extra, name) in [
        ("utm_source=a&utm_source=b", "utm_source"),
        ("api_key=hush&api_key=psst", "api_key"),
        ("s5=a&s5=b", "s5"),
        ("caf%E9=1&caf%E9=2", "caf"),
    ] {
        let draft = map(&format!("tid=1&price=7&{extra}")).unwrap();
        let note = notes_text(&draft.notes).unwrap();
        assert!(note.contains(name) && !note.contains("hush"), "{extra}: {note}");
        assert!(draft.params.iter().all(|(known, _)| known != "s5"), "neither of two values is right");
    }
    for essential in ["tid=2", "s2=a&s2=b", "price=8"] {
        let rejection = map(&format!("tid=1&price=7&{essential}")).unwrap_err();
        assert_eq!(rejection.code(), RejectionCode::DifferentValues, "{essential}");
    }
}

#[test]
fn a_secret_is_never_repeated_in_a_fault() {
    let read = request::read_for(&ListReader(&["api_key"]), b"api_key=hush&api_key=psst", None, b"").unwrap();
    let reason = params::usable(&read, "api_key").unwrap_err().sentence();
    assert!(!reason.contains("hush") && !reason.contains("psst"), "{reason}");
}

#[test]
fn more_than_256_parameters_are_refused_where_all_are_read() {
    let many = |count: usize| (0..count).map(|n| format!("a{n}=1")).collect::<Vec<_>>().join("&");
    assert_eq!(query(&many(256)).pairs.len(), 256);
    let refused = request::read(many(257).as_bytes(), None, b"").unwrap_err();
    assert_eq!(refused, BodyProblem::TooManyParameters { most: 256 }.into());
    assert_eq!(query(&"a=1&".repeat(300)).pairs.len(), 1, "a repeat is no parameter of its own");
}

#[test]
fn what_no_field_reads_neither_counts_nor_stops() {
    let (template, binding) = cake();
    let junk = |count: usize| (0..count).map(|n| format!("j{n}=1")).collect::<Vec<_>>().join("&");
    let read = template
        .read(format!("{}&tid=1&s2=c&price=7", junk(5000)).as_bytes(), &KeptHeaders::default(), b"")
        .unwrap();
    let draft = template.map(&binding, &read).unwrap().draft().unwrap();
    assert_eq!((draft.transaction_id.as_deref(), draft.click_id.is_some()), (Some("1"), true));
    assert!(read.pairs.len() <= MAX_PARAMS + 3, "{} are kept", read.pairs.len());
    let items: Vec<String> =
        (0..3000).map(|n| format!("{{\"sku\":\"{n}\",\"tax\":[{{\"rate\":1}}]}}")).collect();
    let abyss = format!("{}1{}", "{\"a\":".repeat(5000), "}".repeat(5000));
    for unread in [format!("[{}]", items.join(",")), abyss, format!("{}{}", "[".repeat(90), "]".repeat(90))] {
        let body = format!("{{\"items\":{unread},\"tid\":\"1\",\"price\":7}}");
        let read = template.read(b"", &KeptHeaders::default(), body.as_bytes()).unwrap();
        assert_eq!(
            template.map(&binding, &read).unwrap().draft().unwrap().transaction_id.as_deref(),
            Some("1")
        );
    }
}

#[test]
fn a_template_says_how_many_parameters_it_reads_and_how_large_a_body_may_be() {
    let text = include_str!("../../templates/sources/cake.toml");
    let limited = |keys: &str| SourceTemplate::parse("t.toml", &format!("{text}\n[body]\n{keys}\n"));
    let template = limited("max_leaves = 2\nmax_bytes = 2048").unwrap();
    let (_, binding) = cake();
    let map = |query: &str| {
        let read = template.read(query.as_bytes(), &KeptHeaders::default(), b"").unwrap();
        template.map(&binding, &read).map(|mapped| mapped.draft().unwrap())
    };
    assert_eq!(template.max_body_bytes(), Some(2048));
    assert!(map("tid=1&price=7&x=1&y=2&z=3").is_ok());
    let refused = map("tid=1&price=7&s2=a").unwrap_err();
    assert_eq!(refused, BodyProblem::TooManyParameters { most: 2 }.into());
    for (wrong, named) in [
        ("max_bytes = 1", "max_bytes"),
        ("max_leaves = 0", "max_leaves"),
        ("max_leaves = \"many\"", "max_leaves"),
        ("max_byte = 4096", "max_byte"),
    ] {
        let problems = limited(wrong).unwrap_err();
        let line = text.lines().count() + 3;
        assert!(problems[0].what.contains(named), "{}", problems[0].what);
        assert!(problems[0].to_string().contains(&format!("t.toml:{line}")), "{}", problems[0]);
    }
}

#[test]
fn a_name_behind_a_thousand_ampersands_costs_no_more_than_its_length() {
    let query = ["amp;".repeat(1000), "#38;".repeat(1000), "a=1".to_owned()].concat();
    let read = request::read(query.as_bytes(), None, b"").unwrap();
    assert_eq!(pairs(&read), [("a", "1")]);
    assert!(notes_text(&read.notes).unwrap().len() < 200, "the name is noted once: {:?}", read.notes);
}

#[test]
fn a_body_is_read_as_what_it_is_where_its_type_is_wrong() {
    let rows: [(&str, &str); 5] = [
        ("application/json", "a=1&b=2"),
        ("multipart/form-data", "a=1&b=2"),
        ("multipart/form-data; boundary=x", "{\"a\":1,\"b\":2}"),
        ("application/json", "\"{\\\"a\\\":1,\\\"b\\\":2}\""),
        (
            "application/x-www-form-urlencoded",
            "--q\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--q\r\nContent-Disposition: form-data; name=b\r\n\r\n2\r\n--q--\r\n",
        ),
    ];
    for (kind, body) in rows {
        let read = request::read(b"", Some(kind), body.as_bytes()).unwrap();
        assert_eq!(pairs(&read), [("a", "1"), ("b", "2")], "{kind}: {body}");
    }
}

#[test]
fn escaped_ampersands_and_a_second_question_mark_are_fixed_and_noted() {
    let read = query("s1=1&amp;s2=2&amp;amp;s3=3?tid=4");
    assert_eq!(pairs(&read), [("s1", "1"), ("s2", "2"), ("s3", "3"), ("tid", "4")]);
    assert_eq!(read.notes.len(), 2, "{:?}", read.notes);
    let url = query("url=https://x.example/?a=b&tid=1&why=what?");
    assert_eq!(pairs(&url), [("url", "https://x.example/?a=b"), ("tid", "1"), ("why", "what?")]);
    assert!(url.notes.is_empty(), "a URL as a value has a query of its own");
}

#[test]
fn bytes_that_are_no_text_are_marked_named_and_kept_raw() {
    let read = request::read(b"a=caf\xe9&b=%E9&c=ok", None, b"").unwrap();
    let damaged: Vec<&str> =
        read.pairs.iter().filter(|param| param.is_damaged()).map(|param| param.name.as_str()).collect();
    assert_eq!(damaged, ["a", "b"]);
    assert_eq!(read.pairs[0].raw, b"caf\xe9");
    assert_eq!(read.notes, [ReportNote::UnreadableLeftOut(Names::of(&["a", "b"], str::to_owned))]);
}

#[test]
fn the_declared_charset_is_read_in_forms_multipart_and_json() {
    let form = |label: &str| format!("application/x-www-form-urlencoded; charset={label}");
    let rows: [(String, &[u8], &str); 9] = [
        (form("iso-8859-2"), b"n=%A3\xf3d%BC", "Łódź"),
        (form("\"ISO-8859-1\""), b"n=Ren%E9+M%FCller", "René Müller"),
        (form("windows-1251"), b"n=\xc8\xe2\xe0\xed", "Иван"),
        (form("Shift_JIS"), b"n=%93%FA%96%7B", "日本"),
        (form("UTF-16LE"), b"n\0=\0%\0C\x003\0%\0A\09\0", "é"),
        (form("klingon"), b"n=Ren%C3%A9", "René"),
        ("application/json; charset=gb18030".to_owned(), b"{\"n\":\"\xd6\xd0\xce\xc4\"}", "中文"),
        ("application/json".to_owned(), b"{\0\"\0n\0\"\0:\0\"\0\xe9\0\"\0}\0", "é"),
        (
            "multipart/form-data; boundary=x".to_owned(),
            b"--x\r\nContent-Disposition: form-data; name=\"n\"\r\nContent-Type: text/plain; charset=iso-8859-2\r\n\r\n\xa3\xf3d\xbc\r\n--x--\r\n",
            "Łódź",
        ),
    ];
    for (kind, body, wanted) in rows {
        let read = request::read(b"", Some(&kind), body).unwrap();
        assert_eq!(pairs(&read), [("n", wanted)], "{kind}");
        assert_eq!(read.notes.len(), usize::from(kind.contains("klingon")), "{:?}", read.notes);
    }
}

#[test]
fn in_json_only_the_text_that_is_damaged_is_left_out() {
    let (template, binding) = cake();
    let bodies: [&[u8]; 3] = [
        b"{\"tid\":\"1\",\"price\":7,\"s5\":\"caf\xe9\"}",
        b"{\"tid\":\"1\",\"price\":7,\"s5\":\"half \\ud83d\"}",
        "{\"tid\":\"1\",\"price\":7,\"s5\":\"caf\u{fffd}\"}".as_bytes(),
    ];
    for body in bodies {
        let draft =
            template.map(&binding, &template.read(b"", &KeptHeaders::default(), body).unwrap()).unwrap();
        let draft = draft.draft().unwrap();
        assert!(draft.params.is_empty() && notes_text(&draft.notes).unwrap().contains("`s5`"));
    }
    for (query, field) in [("tid=%E9&price=7&s2=a", "tid"), ("tid=1&price=7&s2=%FF", "s2")] {
        let read = template.read(query.as_bytes(), &KeptHeaders::default(), b"").unwrap();
        let rejection = template.map(&binding, &read).unwrap_err();
        assert_eq!((rejection.code(), rejection.field()), (RejectionCode::UnreadableBytes, Some(field)));
    }
}

#[test]
fn a_plus_is_a_space_in_query_and_form() {
    assert_eq!(pairs(&query("a=x+y%2Bz")), [("a", "x y+z")]);
}
