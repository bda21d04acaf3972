//! Lines for a suppression list: what each is read as, or why not.

use postbridge::domain::code::{CodedReason, ReasonCode};
use postbridge::domain::import_refusal::ImportRefused;
use postbridge::domain::suppression::{Suppressed, SuppressedKind};
use postbridge::ops::suppression::{EntryLayout, MOST_LINES, ReadLine, read};
use proptest::prelude::*;

fn text_of(entry: &Suppressed) -> String {
    match entry {
        Suppressed::Email(text)
        | Suppressed::Phone(text)
        | Suppressed::OrderId(text)
        | Suppressed::ClickId(text) => text.clone(),
        Suppressed::Ip(net) => net.to_string(),
    }
}

/// `3 email jo@example.com` or `4 ! not_an_ip`, a line each.
fn shown(lines: &[ReadLine]) -> Vec<String> {
    let one = |line: &ReadLine| match &line.entry {
        Ok(entry) => format!("{} {} {}", line.number, entry.kind().as_str(), text_of(entry)),
        Err(why) => format!("{} ! {}", line.number, why.code().as_str()),
    };
    lines.iter().map(one).collect()
}

fn lines(text: &[u8], kind: Option<SuppressedKind>) -> Vec<String> {
    shown(&read(text, EntryLayout::Lines, kind).unwrap())
}

fn csv(text: &str, kind: Option<SuppressedKind>) -> Vec<String> {
    shown(&read(text.as_bytes(), EntryLayout::Csv, kind).unwrap())
}

#[test]
fn each_line_is_read_as_what_it_shows_to_be() {
    let text =
        b"\xef\xbb\xbfJo@Example.com \r\n\r\n# a comment\n+1 (202) 555-0100\n2001:db8::1\n10.1.2.3/8\n";
    assert_eq!(
        lines(text, None),
        ["1 email jo@example.com", "4 phone 12025550100", "5 ip 2001:db8::1/128", "6 ip 10.0.0.0/8"]
    );
}

#[test]
fn what_may_be_several_things_is_not_guessed() {
    assert_eq!(lines(b"2025550100", None), ["1 ! kind_unclear"]);
    assert_eq!(lines(b"2025550100", Some(SuppressedKind::Phone)), ["1 phone 2025550100"]);
    assert_eq!(lines(b"2025550100", Some(SuppressedKind::OrderId)), ["1 order_id 2025550100"]);
}

#[test]
fn a_line_that_is_no_entry_says_why_and_stops_no_other() {
    let reported = lines(b"jo@\nann@example.com\n+12\ncaf\xe9@example.com", None);
    let wanted = ["1 ! not_an_email", "2 email ann@example.com", "3 ! not_a_phone", "4 ! not_utf8"];
    assert_eq!(reported, wanted);
    assert_eq!(lines(b"10.0.0.300", Some(SuppressedKind::Ip)), ["1 ! not_an_ip"]);
    assert_eq!(lines("A".repeat(201).as_bytes(), Some(SuppressedKind::OrderId)), ["1 ! too_long"]);
}

#[test]
fn an_order_number_may_begin_with_a_number_sign() {
    let reported = lines(b"# orders of May\n#1001\n#1002", Some(SuppressedKind::OrderId));
    assert_eq!(reported, ["2 order_id #1001", "3 order_id #1002"]);
    assert_eq!(lines(b"#1001\nA-1", Some(SuppressedKind::ClickId)), ["2 click_id A-1"]);
}

#[test]
fn a_line_keeps_its_commas_where_no_header_says_that_it_is_csv() {
    assert_eq!(lines(b"A,1;2", Some(SuppressedKind::OrderId)), ["1 order_id A,1;2"]);
    assert_eq!(lines(b"email\njo@example.com", None), ["2 email jo@example.com"]);
}

#[test]
fn a_header_of_csv_names_the_columns_that_are_read() {
    let text = "Name,E-Mail,Order ID\n\"Doe, Jo\",jo@example.com,\"A,1\"\n\n,ann@example.com,\n\"Roe\",,\n";
    assert_eq!(
        csv(text, None),
        ["2 email jo@example.com", "2 order_id A,1", "4 email ann@example.com", "5 ! columns_empty"]
    );
    assert_eq!(csv(text, Some(SuppressedKind::OrderId))[0], "2 order_id A,1");
    let wrong = read(text.as_bytes(), EntryLayout::Csv, Some(SuppressedKind::Ip)).unwrap_err();
    assert_eq!(wrong, ImportRefused::NoSuchColumn("ip"));
}

#[test]
fn csv_without_a_header_is_read_by_its_first_column_whatever_divides_it() {
    for mark in [",", ";", "\t"] {
        let text = format!("jo@example.com{mark}x\r\n{mark}y\r\nann@example.com{mark}z");
        let reported = csv(&text, None);
        assert_eq!(reported[0], "1 email jo@example.com");
        assert_eq!(reported[1], "2 ! columns_empty");
        assert_eq!(reported[2], "3 email ann@example.com");
    }
}

#[test]
fn a_quote_that_is_not_closed_swallows_no_line_unseen() {
    let reported = csv("order_id\n\"A-1\nA-2\nA-3", None);
    assert_eq!(reported, ["2 ! open_quote"]);
}

#[test]
fn what_is_no_text_or_too_long_is_refused_whole_with_what_to_do() {
    for (bytes, wanted) in [
        (b"\xff\xfej\0".as_slice(), ImportRefused::Utf16),
        (b"PK\x03\x04\0\0".as_slice(), ImportRefused::NotText),
        ("a@b.example\n".repeat(MOST_LINES + 1).as_bytes(), ImportRefused::TooManyLines(MOST_LINES)),
    ] {
        assert_eq!(read(bytes, EntryLayout::Lines, None).unwrap_err(), wanted);
    }
    assert_eq!(
        read("a@b.example\n".repeat(MOST_LINES).as_bytes(), EntryLayout::Lines, None).unwrap().len(),
        MOST_LINES
    );
}

#[test]
fn the_name_of_a_file_says_whether_it_is_csv() {
    for (name, layout) in [
        ("a.CSV", EntryLayout::Csv),
        ("a.tsv", EntryLayout::Csv),
        ("a.txt", EntryLayout::Lines),
        ("", EntryLayout::Lines),
    ] {
        assert_eq!(EntryLayout::of(name), layout, "{name}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused_and_lines_are_numbered_as_they_stand(
        bytes in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'"'), Just(b','), Just(b'#'), any::<u8>()], 0..200),
        layout in prop_oneof![Just(EntryLayout::Lines), Just(EntryLayout::Csv)],
    ) {
        if let Ok(reported) = read(&bytes, layout, Some(SuppressedKind::ClickId)) {
            let most = bytes.iter().filter(|byte| **byte == b'\n').count() as u64 + 1;
            prop_assert!(reported.iter().all(|line| (1..=most).contains(&line.number)));
            prop_assert!(reported.windows(2).all(|pair| pair[0].number <= pair[1].number));
        }
    }
}
