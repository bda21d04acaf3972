//! Values that a request cannot carry as they were received: they are left out, and a remark names them.

use postbridge::domain::click::{Click, CustomerTrait};
use postbridge::domain::conversion::Conversion;

use super::helpers::{with_param, written};
use crate::support::payload_fixture::{click, conversion};

const HASH: &str = "E85DCE65A5B1E0B0D8F40DF3D5D2A1B2C3D4E5F60718293A4B5C6D7E8F901234";

fn left_out(field: &str) -> (String, Vec<String>) {
    ("null".to_owned(), vec![field.to_owned()])
}

fn known_as(value: &str) -> Conversion {
    let mut known = conversion();
    for (name, _) in CustomerTrait::NAMES {
        known.traits.0.insert(name, value.to_owned());
    }
    known
}

#[test]
fn where_a_platform_reads_the_text_a_hash_is_left_out() {
    for expression in
        ["lower (unhashed traits.city)", "unhashed (country traits.country)", "unhashed (state traits.state)"]
    {
        let (_, field) = expression.rsplit_once(' ').unwrap();
        let field = field.trim_end_matches(')');
        assert_eq!(written(expression, &known_as(HASH), &click()), left_out(field), "{expression}");
        assert_eq!(written(expression, &known_as(&format!(" {HASH} ")), &click()), left_out(field));
    }
    let written = written("unhashed (param \"x\")", &with_param(" as it is "), &click());
    assert_eq!(written, ("\" as it is \"".to_owned(), vec![]));
}

#[test]
fn a_number_that_is_too_low_once_it_is_rounded_is_left_out() {
    for (value, expression, expected) in [
        ("2", "decimals=0 at_least=1", "2"),
        ("2.5", "decimals=0 at_least=1", "3"),
        ("0.5", "decimals=0 at_least=1", "1"),
        ("0.4", "decimals=0 at_least=1", ""),
        ("0", "decimals=0 at_least=1", ""),
        ("-3", "decimals=0 at_least=1", ""),
        ("0.4", "at_least=0", "0.4"),
        ("-0.4", "at_least=0", ""),
    ] {
        for (helper, quote) in [("number", ""), ("text", "\"")] {
            let found =
                written(&format!("{helper} (param \"x\") {expression}"), &with_param(value), &click());
            let wanted = match expected {
                "" => left_out("params.x"),
                expected => (format!("{quote}{expected}{quote}"), vec![]),
            };
            assert_eq!(found, wanted, "{helper} {value} {expression}");
        }
    }
}

#[test]
fn a_word_for_nothing_is_no_customers_wherever_it_was_received() {
    for nothing in ["null", "{customer_id}", "undefined", "#email#", " N/A ", "[ID]"] {
        for (name, _) in CustomerTrait::NAMES {
            let field = format!("traits.{}", name.as_str());
            let expression = format!("json {field}");
            assert_eq!(written(&expression, &known_as(nothing), &click()), left_out(&field), "{nothing}");
            let mut clicked = click();
            clicked.customer.0.insert(name, nothing.to_owned());
            assert_eq!(
                written(&expression, &conversion_without_traits(), &clicked),
                left_out(&field),
                "{nothing}"
            );
        }
    }
    let mut clicked = Click { ..click() };
    clicked.customer.0.insert(CustomerTrait::ExternalId, "A-17".to_owned());
    let found = written("json traits.external_id", &known_as("null"), &clicked);
    assert_eq!(found, ("\"A-17\"".to_owned(), vec!["traits.external_id".to_owned()]), "the click has one");
}

fn conversion_without_traits() -> Conversion {
    let mut bare = conversion();
    bare.traits.0.clear();
    bare
}
