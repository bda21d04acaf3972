//! Options of helpers that cannot be: each is a mistake with its line.

use super::helpers::parse;

/// The one problem of an expression on the second line.
fn refused(expression: &str, parts: &[&str]) {
    let problems = parse(&format!("{{\n\"x\": {{{{{expression}}}}}}}")).err().unwrap_or_default();
    assert_eq!(problems.len(), 1, "{expression}: {problems:?}");
    assert!(problems[0].starts_with("test/event.json.hbs:2: "), "{problems:?}");
    for part in parts {
        assert!(problems[0].contains(part), "{part} in {problems:?}");
    }
}

#[test]
fn what_is_wrong_with_an_option_is_a_mistake_with_its_line() {
    refused("number value decimals=9", &["`number`: `decimals`", "0 to 8"]);
    refused("number value decimals=-1", &["0 to 8"]);
    refused("text value decimals=\"2\"", &["0 to 8", "decimals=2"]);
    refused("number value at_least=\"1\"", &["`at_least` is a whole number", "at_least=1"]);
    refused("number value decimals=(param \"x\")", &["0 to 8"]);
    refused("unix event_time unit=\"m\"", &["`unix`: a unit of time", "unit=\"ms\""]);
    refused("time event_time zone=\"UTC\"", &["`time`: it has no `format`"]);
    refused("time event_time format=\"\"", &["no `format`"]);
    refused("time event_time format=(param \"x\")", &["texts in quotes"]);
    refused("time event_time format=\"%!\"", &["the format `%!` cannot be written"]);
    refused("time event_time format=\"%Y\" zone=\"Europe/Berlinn\"", &["`Europe/Berlinn` is no time zone"]);
    refused("time event format=\"%Y\"", &["`time` takes a time"]);
    refused("json (capture event)", &["no `pattern`"]);
    refused("json (capture event pattern=(param \"x\"))", &["no text in quotes"]);
    refused("json (capture event pattern='(')", &["cannot be read", "unclosed group"]);
    refused("json (capture event pattern='abc')", &["has no group"]);
    refused(r"json (capture event pattern='(a)\1')", &["cannot be read", "back-references"]);
    refused("json (capture event pattern='(a(?=b))')", &["cannot be read", "look-around"]);
    refused(r"json (capture event pattern='((\w{50}){50}){50}')", &["cannot be read"]);
    refused(&format!("json (capture event pattern='({})')", "a".repeat(200)), &["202 bytes", "200"]);
    refused("json (capture event pattern='(a)' not='(')", &["cannot be read", "unclosed group"]);
    refused("json (capture event pattern='(a)' not=(param \"x\"))", &["`not` is no text in quotes"]);
    refused(r#"json (one_of event_name)"#, &["one_of"]);
    refused("without event", &["`without`"]);
    refused("email traits.email gmail=\"yes\"", &["true or false", "\"dots\""]);
    refused("zip traits.zip digits=\"yes\"", &["true or false"]);
    refused("zip traits.zip digits=true whole=true", &["whole, or its digits alone"]);
    refused("{json (capture event pattern='(a)')}", &["three braces"]);
    refused("capture event pattern='(a)'", &["json"]);
}
