//! Phone numbers as senders write them, with a country and without.

use postbridge::domain::click::CustomerTrait;
use postbridge::domain::customer::CustomerFormat;
use serde_json::Value;

use crate::support::customer_fixture::{becomes, is_left_out, known_as, meta_with, sent, usual};
use crate::support::payload_fixture::hashed;

#[test]
fn a_phone_number_with_its_calling_code_is_read_however_it_is_written() {
    becomes(
        CustomerTrait::Phone,
        "ph",
        &[
            ("+14155550100", "14155550100"),
            ("+49 (0)170 1234567", "491701234567"),
            ("+44 (0) 20 7946 0018", "442079460018"),
            ("+490170 1234567", "491701234567"),
            ("0049 170 1234567", "491701234567"),
            ("0049 (0)170/1234567", "491701234567"),
            ("+0049 170 1234567", "491701234567"),
            ("491701234567", "491701234567"),
            ("49 170 1234567", "491701234567"),
            ("+39 06 1234567", "39061234567"),
            ("+7 812 345-67-89", "78123456789"),
            ("+1 415 555 0100 ext. 12", "14155550100"),
            ("+1-415-555-0100x12", "14155550100"),
            ("+1 415 555 0100;ext=12", "14155550100"),
            ("+1 (415) 555-0100 #7", "14155550100"),
            ("tel:+1-415-555-0100", "14155550100"),
            ("Tel. +49 170 1234567", "491701234567"),
            ("+49 170 1234567 (mobil)", "491701234567"),
            ("+1-800-FLOWERS", "18003569377"),
            ("+1 415 555 0100 / +1 415 555 0101", "14155550100"),
            ("＋４９ １７０ １２３４５６７", "491701234567"),
            ("+٤٩١٧٠١٢٣٤٥٦٧", "491701234567"),
            ("+1\u{200b}4155550100\u{feff}", "14155550100"),
            ("+55 11 91234-5678", "5511912345678"),
        ],
    );
}

#[test]
fn a_phone_number_that_is_none_is_left_out() {
    is_left_out(
        CustomerTrait::Phone,
        "ph",
        &[
            "123",
            "none",
            "+999 12345678",
            "+49",
            "1234567890123456",
            "+1 555",
            "call me",
            "+00000000000",
            "{phone}",
        ],
    );
    let long = "+49 170 1234567 ".repeat(100);
    is_left_out(CustomerTrait::Phone, "ph", &[&long]);
}

#[test]
fn a_national_number_is_left_out_while_no_one_says_whose_it_is() {
    for text in ["0170 1234567", "(415) 555-0100", "4155550100", "06 1234567"] {
        let expected = (Value::Null, vec!["calling_code_missing traits.phone".to_owned()]);
        assert_eq!(usual(CustomerTrait::Phone, text, "ph"), expected, "{text}");
    }
}

#[test]
fn a_calling_code_is_for_national_numbers_with_and_without_a_leading_0() {
    for (code, text, whole) in [
        ("1", "4155550100", "14155550100"),
        ("1", "(212) 555-0123", "12125550123"),
        ("1", "4917012345", "14917012345"),
        ("1", "1-415-555-0100", "14155550100"),
        ("1", "14155550100", "14155550100"),
        ("1", "+49 170 1234567", "491701234567"),
        ("1", "491701234567", "491701234567"),
        ("1", "011 49 170 1234567", "491701234567"),
        ("1", "0049 170 1234567", "491701234567"),
        ("49", "0170 1234567", "491701234567"),
        ("49", "170 1234567", "491701234567"),
        ("49", "0170/1234567", "491701234567"),
        ("49", "030/12345678", "493012345678"),
        ("49", "491701234567", "491701234567"),
        ("49", "14155550100", "14155550100"),
        ("34", "612 345 678", "34612345678"),
        ("45", "20 12 34 56", "4520123456"),
        ("39", "06 1234567", "39061234567"),
        ("7", "8 (812) 345-67-89", "78123456789"),
        ("44", "07911 123456", "447911123456"),
    ] {
        let found =
            sent(&meta_with(Some(code)), &[(CustomerTrait::Phone, text)], "ph", CustomerFormat::default());
        assert_eq!(found, (hashed(whole), vec![]), "{text} with {code}");
    }
    let found =
        sent(&meta_with(Some("1")), &[(CustomerTrait::Phone, "5550100")], "ph", CustomerFormat::default());
    assert_eq!(found.0, Value::Null, "a number without its area code is no whole number");
}

#[test]
fn the_phone_region_of_the_source_goes_before_the_calling_code_of_the_destination() {
    for (region, code, text, whole) in [
        ("DE", None, "0170 1234567", "491701234567"),
        ("DE", Some("1"), "0170 1234567", "491701234567"),
        ("fr", Some("49"), "06 12 34 56 78", "33612345678"),
        ("US", None, "415-555-0100 ext 3", "14155550100"),
        ("US", None, "1-800-FLOWERS", "18003569377"),
        ("AU", None, "0011 49 170 1234567", "491701234567"),
        ("JP", None, "03-1234-5678", "81312345678"),
        ("HU", None, "06 1 234 5678", "3612345678"),
        ("IN", None, "098765 43210", "919876543210"),
    ] {
        let found =
            sent(&meta_with(code), &[(CustomerTrait::Phone, text)], "ph", known_as(Some(region), None));
        assert_eq!(found, (hashed(whole), vec![]), "{text} in {region}");
    }
}
