//! Ids that are joined of several parameters: what may be a part of one, and which reading counts.

use postbridge::domain::conversion::Draft;
use postbridge::domain::ids::SourceId;
use postbridge::domain::money::Currency;
use postbridge::domain::postback::KeptHeaders;
use postbridge::domain::rejection::param::ParamFault;
use postbridge::template::source::definition::{SourceBinding, SourceTemplate};

/// A template whose transaction id is read so.
fn template(transaction_id: &str) -> SourceTemplate {
    let text = format!(
        "name = \"small\"\nmacro = \"{{{{}}}}\"\npostback = [\"cid\", \"amount\"]\n[map]\nclick_id = \"cid\"\n\
         transaction_id = {transaction_id}\nvalue = \"amount\"\n[event]\n\
         by_value = {{ positive = \"Purchase\", zero = \"Lead\" }}\n"
    );
    SourceTemplate::parse("small.toml", &text).unwrap_or_else(|problems| panic!("{problems:?}"))
}

fn draft(template: &SourceTemplate, query: &str) -> Draft {
    let source = SourceId::parse("a-source").unwrap();
    let binding = SourceBinding { currency: Currency::parse("USD"), ..SourceBinding::of(source) };
    let params = template.read(query.as_bytes(), &KeptHeaders::default(), b"").unwrap();
    template.map(&binding, &params).unwrap().draft().unwrap()
}

#[test]
fn a_zero_is_part_of_a_joined_id_and_no_id_alone() {
    let template = template("\"{{order}}-{{part}}\"");
    for (query, expected) in [
        ("order=K7&part=0", Some("K7-0")),
        ("order=0&part=2", Some("0-2")),
        ("order=0&part=0", None),
        ("order=&part=0", None),
        ("order=K7&part=SALE", Some("K7-SALE")),
        ("order=SALE&part=0", None),
        ("order=K7&part=", None),
        ("order=K7", None),
        ("order=K7&part=null", None),
        ("order=K7&part=%7Bpart%7D", None),
    ] {
        let found = draft(&template, &format!("amount=7&{query}"));
        assert_eq!(found.transaction_id.as_deref(), expected, "{query}");
    }
}

/// Of each query: the transaction id, and the parameters that its notes name, in order.
fn check_ids(template: &SourceTemplate, cases: &[(&str, Option<&str>, &[&str])]) {
    for (query, expected, noted) in cases {
        let found = draft(template, &format!("amount=7&{query}"));
        let notes: Vec<&str> =
            found.notes.iter().map(|note| note.problem().unwrap().field.as_str()).collect();
        assert_eq!((found.transaction_id.as_deref(), notes.as_slice()), (*expected, *noted), "{query}");
    }
}

#[test]
fn what_is_an_id_alone_must_be_one_where_it_is_joined() {
    let template =
        template("[\"{{order}}-{{part}}\", \"order\", \"{{cid}}-{{part}}\", \"{{loose}}{{order}}\"]");
    let cases: [(&str, Option<&str>, &[&str]); 16] = [
        ("order=K7&part=0", Some("K7-0"), &[]),
        ("order=K7&part=SALE", Some("K7-SALE"), &[]),
        ("order=K7&part=null", Some("K7"), &["part"]),
        ("order=0&part=7&cid=c1", Some("c1-7"), &["order"]),
        ("order=N/A&part=7&cid=c1", Some("c1-7"), &["order"]),
        ("order=order_id&part=7&cid=c1", Some("c1-7"), &["order"]),
        ("order=ORDER_ID&part=7&cid=c1", Some("c1-7"), &["order"]),
        ("order=%7Border%7D&part=7&cid=c1", Some("c1-7"), &["order"]),
        ("order=0&part=7&cid=0", None, &["order", "cid"]),
        ("order=0&part=7", None, &["order", "cid"]),
        ("order=0&part=7&cid=", None, &["order", "cid"]),
        ("order=null&part=0", None, &["order"]),
        ("order=0&part=", None, &["order"]),
        ("order=0&loose=L1", None, &["order"]),
        ("order=&loose=L1", Some("L1"), &[]),
        ("order=SALE&loose=L1", None, &["order"]),
    ];
    check_ids(&template, &cases);
}

#[test]
fn what_was_received_for_an_id_is_not_said_to_be_missing() {
    let template = template("\"{{order}}-{{part}}\"");
    check_ids(&template, &[("order=K7&part=null", None, &["part"]), ("order=K7&part=", None, &["part"])]);
    let found = draft(&template, "amount=7&order=K7&part=null");
    assert_eq!(found.notes[0].problem().unwrap().wrong, ParamFault::MeansNothing);
}

#[test]
fn what_an_earlier_reading_of_an_id_lacks_is_noted_only_where_no_later_one_has_it() {
    let template = template("[\"{{order}}-{{part}}\", \"order\"]");
    let cases: [(&str, Option<&str>, &[&str]); 8] = [
        ("order=K7&part=2", Some("K7-2"), &[]),
        ("order=K7&part=", Some("K7"), &[]),
        ("order=K7", Some("K7"), &[]),
        ("part=2", None, &["order"]),
        ("order=K7&part=%7Bpart%7D", Some("K7"), &["part"]),
        ("order=%7Border%7D&part=2", None, &["order"]),
        ("order=%7Border%7D", None, &["order"]),
        ("", None, &[]),
    ];
    check_ids(&template, &cases);
}
