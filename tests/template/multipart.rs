//! Multipart forms as senders write them: what is a field, what is a file, and what stays hidden.

use postbridge::domain::rejection::note::ReportNote;
use postbridge::domain::rejection::wanted::Names;
use postbridge::template::source::multipart::{self, parameter};
use postbridge::template::source::request;
use postbridge::web::body_mask::masked_body;
use postbridge::web::secret_names::SecretNames;
use proptest::collection::vec;
use proptest::prelude::*;

const KIND: &str = "multipart/form-data; boundary=----X";

fn read(body: &str) -> (Vec<(String, String)>, bool) {
    let parts = multipart::read(Some(KIND), body.as_bytes()).unwrap_or_default();
    let fields = parts.parts.iter().filter(|part| !part.is_file());
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let fields = fields.map(|part| (text(&part.name), body[part.value.clone()].to_owned())).collect();
    (fields, parts.is_whole)
}

fn field(disposition: &str, value: &str) -> String {
    format!("------X\r\nContent-Disposition: form-data; {disposition}\r\n\r\n{value}\r\n")
}

#[test]
fn fields_are_read_and_files_are_not() {
    let file = field("name=\"f\"; filename=\"a.txt\"\r\nContent-Type: text/plain", "x=1");
    let none = field("name=\"g\"; filename=\"\"", "");
    let body = format!(
        "preamble\r\n{}{file}{none}{}------X--\r\nepilogue",
        field("name=\"tid\"", "A-1"),
        field("name=\"price\"", "7")
    );
    let wanted = vec![("tid".to_owned(), "A-1".to_owned()), ("price".to_owned(), "7".to_owned())];
    assert_eq!(read(&body), (wanted, true));
    let read = request::read(b"s2=c", Some(KIND), body.as_bytes()).unwrap();
    assert_eq!(read.pairs.len(), 3);
    assert_eq!(read.notes, [ReportNote::FilesNotRead(Names::of(&["f"], str::to_owned))]);
}

#[test]
fn what_senders_get_wrong_is_read_all_the_same() {
    let one = field("name=\"a\"", "1");
    let fine = vec![("a".to_owned(), "1".to_owned())];
    for (body, is_whole) in [
        (format!("{one}------X--"), true),
        (one.clone(), false),
        (one.trim_end().to_owned(), false),
        (format!("{one}------X--\r\n").replace("\r\n", "\n"), true),
        (format!("{one}------X-- \t\r\n"), true),
        (format!("\r\n{one}------X--\r\n"), true),
        (format!("{one}------X--\r\n").replace("------X", "--other"), true),
        ("------X\r\ncontent-disposition:form-data;NAME=a\r\n\r\n1\r\n------X--".to_owned(), true),
        ("------X\r\nContent-Disposition: form-data;\r\n name=\"a\"\r\n\r\n1\r\n------X--".to_owned(), true),
    ] {
        assert_eq!(read(&body), (fine.clone(), is_whole), "{body:?}");
    }
    assert_eq!(read(&field("name=\"a\"", "1\r\n------Xy\r\n--\r\n2")).0[0].1, "1\r\n------Xy\r\n--\r\n2");
    assert!(multipart::read(Some("multipart/form-data"), b"no boundary").is_none());
}

#[test]
fn names_are_quoted_escaped_and_extended_in_many_ways() {
    for (written, name) in [
        ("name=\"a;b\"", "a;b"),
        ("name=\"a\\\"b\"", "a\"b"),
        ("name=\"a%22b%0D%0A\"", "a\"b\r\n"),
        ("name=\"C:\\dir\"", "C:\\dir"),
        ("filename=\"\"; name=a", "a"),
        ("name*=UTF-8''a%5Fb", "a_b"),
        ("name = \"a\"", "a"),
    ] {
        let wanted = name.as_bytes().to_vec();
        let body = format!("{}------X--", field(written, "1"));
        let found = multipart::read(None, body.as_bytes()).unwrap();
        assert_eq!(found.parts[0].name.as_ref(), wanted, "{written}");
    }
    assert_eq!(parameter(b"text/plain; Charset=\"UTF-8\"", b"charset"), Some(b"UTF-8".to_vec()));
    assert_eq!(parameter(b"text/plain", b"charset"), None);
}

#[test]
fn the_key_in_a_multipart_form_is_masked_however_it_is_written() {
    for written in [
        "name=\"api_key\"",
        "name=API_KEY",
        "name*=UTF-8''api%5Fkey",
        "name=\"api%5Fkey\"",
        "\r\n name=\"api_key\"",
    ] {
        for value in ["hush", "hush\r\n--not a boundary\r\nhush", "hush\n\nhush"] {
            let body = format!(
                "{}{}{}------X--\r\n",
                field("name=\"a\"", "1"),
                field(written, value),
                field("name=\"b\"", "2")
            );
            for body in [body.clone(), body.replace("\r\n", "\n"), body[..body.len() - 40].to_owned()] {
                for kind in [Some(KIND), None] {
                    let kept = String::from_utf8(
                        masked_body(kind, body.as_bytes(), &SecretNames::API_KEY).into_owned(),
                    )
                    .unwrap();
                    assert!(!kept.contains("hush"), "{written}: {kept}");
                }
            }
            let kept = String::from_utf8(
                masked_body(Some(KIND), body.as_bytes(), &SecretNames::API_KEY).into_owned(),
            )
            .unwrap();
            assert_eq!(kept, body.replacen(value, "***", 1), "{written}: every other byte stays");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_between_boundaries_are_read_without_a_fault_of_ours(
        pieces in vec(prop::sample::select(vec!["------X", "--", "\r\n", "\n", "\r", "name=\"a\"", ";", "\"", "\\", "Content-Disposition: form-data", ":", " ", "=", "%22", "v", "filename=x"]), 0..60),
    ) {
        let body = pieces.concat();
        let parts = multipart::read(Some(KIND), body.as_bytes()).unwrap_or_default();
        prop_assert!(parts.parts.iter().all(|part| body.get(part.value.clone()).is_some()));
        masked_body(Some(KIND), body.as_bytes(), &SecretNames::API_KEY).into_owned();
    }
}
