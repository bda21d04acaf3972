//! Customer data as senders write it: one spelling for one person, whatever the form; what is none is left out.

use postbridge::domain::click::CustomerTrait;
use postbridge::domain::customer::{CustomerFormat, DateOrder};
use postbridge::template::source::definition::SourceTemplate;
use proptest::prelude::*;
use serde_json::Value;

use crate::support::customer_fixture::{META, becomes, is_left_out, known_as, sent};
use crate::support::payload_fixture::hashed;

#[test]
fn a_word_is_lower_cased_whole() {
    becomes(
        CustomerTrait::FirstName,
        "fn",
        &[
            ("ΝΙΚΟΣ", "νικος"),
            ("ΝΙΚΟΣ-ΓΙΩΡΓΟΣ", "νικοςγιωργος"),
            ("ΣΟΦΙΑ", "σοφια"),
            ("Ὀδυσσεύς", "ὀδυσσεύς"),
        ],
    );
    becomes(
        CustomerTrait::LastName,
        "ln",
        &[("ΠΑΠΑΣ", "παπας"), ("Straße", "straße"), ("D’Ángelo", "dángelo")],
    );
    becomes(CustomerTrait::City, "ct", &[("ΠΕΙΡΑΙΑΣ", "πειραιας"), ("ΑΓΙΟΣ ΝΙΚΟΛΑΟΣ", "αγιοςνικολαος")]);
    becomes(CustomerTrait::State, "st", &[("ΑΤΤΙΚΗΣ", "αττικης")]);
    becomes(CustomerTrait::Email, "em", &[("ΝΙΚΟΣ@EXAMPLE.GR", "νικος@example.gr")]);
}

#[test]
fn a_us_zip_code_is_five_digits_where_the_country_is_the_us() {
    for (text, five) in [
        ("94107", "94107"),
        ("94107-1234", "94107"),
        ("94107 1234", "94107"),
        (" 941071234 ", "94107"),
        ("94107–1234", "94107"),
        ("CA 94107", "94107"),
        ("94107.0", "94107"),
        ("4107", "04107"),
        ("2108-1234", "02108"),
        ("21081234", "02108"),
        ("501", "00501"),
    ] {
        for country in ["US", "usa", "United States", "PR"] {
            let traits = [(CustomerTrait::Zip, text), (CustomerTrait::Country, country)];
            let found = sent(&META, &traits, "zp", CustomerFormat::default());
            assert_eq!(found, (hashed(five), vec![]), "{text:?} in {country}");
        }
    }
    for text in ["94", "abc", "SW1A 1AA", "1234567890", "00000"] {
        let traits = [(CustomerTrait::Zip, text), (CustomerTrait::Country, "US")];
        let found = sent(&META, &traits, "zp", CustomerFormat::default());
        assert_eq!(found, (Value::Null, vec!["value_left_out traits.zip".to_owned()]), "{text}");
    }
}

#[test]
fn a_zip_code_without_a_country_may_be_of_the_us() {
    becomes(
        CustomerTrait::Zip,
        "zp",
        &[
            ("94107-1234", "94107"),
            ("94107 1234", "94107"),
            ("941071234", "94107"),
            ("94107", "94107"),
            ("94107.0", "94107"),
            ("CA 94107", "94107"),
            ("ny-10001-1234", "10001"),
            ("FI-00100", "00100"),
            // Four digits may be Swiss, Danish or Australian.
            ("4107", "4107"),
            ("75008", "75008"),
            ("SW1A 1AA", "sw1a1aa"),
        ],
    );
    is_left_out(CustomerTrait::Zip, "zp", &["?", "*****", "---"]);
    for (text, country, normal) in [
        ("94107 1234", "DE", "941071234"),
        ("4107", "CH", "4107"),
        ("SW1A 1AA", "GB", "sw1a1"),
        ("K1A 0B1", "CA", "k1a0b1"),
    ] {
        let traits = [(CustomerTrait::Zip, text), (CustomerTrait::Country, country)];
        assert_eq!(sent(&META, &traits, "zp", CustomerFormat::default()).0, hashed(normal), "{text}");
    }
}

#[test]
fn a_birthdate_is_read_in_the_ways_people_write_dates() {
    becomes(
        CustomerTrait::Birthdate,
        "db",
        &[
            ("1990-12-31", "19901231"),
            ("1990/12/31", "19901231"),
            ("19901231", "19901231"),
            ("1990-12-31T00:00:00Z", "19901231"),
            ("1990-12-31 00:00:00.000", "19901231"),
            ("31.12.1990", "19901231"),
            ("31. 12. 1990", "19901231"),
            ("31/12/1990", "19901231"),
            ("12/31/1990", "19901231"),
            ("12/31/1990 12:00 AM", "19901231"),
            ("12-31-1990", "19901231"),
            ("31121990", "19901231"),
            ("5/5/1990", "19900505"),
            ("31 Dec 1990", "19901231"),
            ("31-DEC-1990", "19901231"),
            ("31-DEC-90", "19901231"),
            ("31/12/90", "19901231"),
            ("December 31, 1990", "19901231"),
            ("Dec. 31st, 1990", "19901231"),
            ("1990 Dec 31", "19901231"),
            ("1st of May 1990", "19900501"),
            ("31. Dezember 1990", "19901231"),
            ("1. März 1990", "19900301"),
            ("15 août 1990", "19900815"),
            ("Mon Dec 31 1990 00:00:00 GMT+0100", "19901231"),
            ("Sept 3, 1990", "19900903"),
            ("1990年12月31日", "19901231"),
            ("29.02.1984", "19840229"),
        ],
    );
}

#[test]
fn a_birthdate_that_is_none_is_left_out() {
    is_left_out(
        CustomerTrait::Birthdate,
        "db",
        &[
            "1984",
            "1984-02-30",
            "29.02.1985",
            "1984-13-01",
            "31.31.1990",
            "0000-00-00",
            "1899-12-31",
            "2090-01-01",
            "31 Foo 1990",
            "31 jui 1990",
            "Dec Dec 1990",
            "662688000",
            "1990-12",
            "31-DEC-05",
            "10-11-12",
            "12.1990",
            "unknown",
            "31.12.1990.5",
            "99999999999999999999",
        ],
    );
}

#[test]
fn day_and_month_that_cannot_be_reported_apart_are_left_out_unless_the_source_says() {
    for (text, day_first, month_first) in [
        ("02/03/1984", "19840302", "19840203"),
        ("2.3.1984", "19840302", "19840203"),
        ("05-11-1990", "19901105", "19900511"),
        ("01/02/90", "19900201", "19900102"),
        ("02031984", "19840302", "19840203"),
    ] {
        let traits = [(CustomerTrait::Birthdate, text)];
        let found = sent(&META, &traits, "db", CustomerFormat::default());
        assert_eq!(found, (Value::Null, vec!["birthdate_ambiguous traits.birthdate".to_owned()]), "{text}");
        for (order, normal) in [(DateOrder::DayFirst, day_first), (DateOrder::MonthFirst, month_first)] {
            let found = sent(&META, &traits, "db", known_as(None, Some(order)));
            assert_eq!(found, (hashed(normal), vec![]), "{text} {order:?}");
        }
    }
    // What can be read only one way is read that way.
    let found = sent(
        &META,
        &[(CustomerTrait::Birthdate, "12/31/1990")],
        "db",
        known_as(None, Some(DateOrder::DayFirst)),
    );
    assert_eq!(found.0, hashed("19901231"));
}

#[test]
fn a_country_is_known_by_its_codes_and_names() {
    becomes(
        CustomerTrait::Country,
        "country",
        &[
            ("US", "us"),
            ("usa", "us"),
            ("U.S.A.", "us"),
            ("U.S.", "us"),
            ("The U.S.", "us"),
            ("United States of America", "us"),
            ("United States (US)", "us"),
            ("America", "us"),
            ("UK", "gb"),
            ("GBR", "gb"),
            ("England", "gb"),
            ("United Kingdom (UK)", "gb"),
            ("Holland", "nl"),
            ("The Netherlands", "nl"),
            ("NLD", "nl"),
            ("Korea", "kr"),
            ("Korea, Republic of", "kr"),
            ("south korea", "kr"),
            ("Russia", "ru"),
            ("Russian Federation", "ru"),
            ("Côte d’Ivoire", "ci"),
            ("cote d'ivoire", "ci"),
            ("Ivory Coast", "ci"),
            ("Türkiye", "tr"),
            ("turkey", "tr"),
            ("Bosnia & Herzegovina", "ba"),
            ("Bosnia and Herzegovina", "ba"),
            ("Saint Lucia", "lc"),
            ("St. Lucia", "lc"),
            ("Åland Islands", "ax"),
            ("Viet Nam", "vn"),
            ("Hong Kong", "hk"),
            ("AND", "ad"),
            ("XK", "xk"),
            ("switzerland ", "ch"),
            ("Deutschland", "de"),
            ("Re\u{301}union", "re"),
        ],
    );
    is_left_out(
        CustomerTrait::Country,
        "country",
        &[
            "xx",
            "ZZ",
            "Neverland",
            "AA",
            "QQ",
            "EU",
            "SU",
            "a",
            "usax",
            "u1",
            "Congo",
            "北",
            "--",
            "XXX",
            "ZZZ",
        ],
    );
}

#[test]
fn a_country_that_is_none_is_no_country() {
    let traits = [
        (CustomerTrait::Zip, "94107-1234"),
        (CustomerTrait::State, "California"),
        (CustomerTrait::Country, "xx"),
    ];
    assert_eq!(sent(&META, &traits, "zp", CustomerFormat::default()).0, hashed("94107"));
    assert_eq!(sent(&META, &traits, "st", CustomerFormat::default()).0, hashed("ca"));
}

#[test]
fn what_no_mail_server_would_take_is_no_e_mail() {
    is_left_out(
        CustomerTrait::Email,
        "em",
        &[
            "!@#$%^&*()",
            "test@example",
            "ann lee@example.com",
            "ann..lee@example.com",
            ".ann@example.com",
            "ann.@example.com",
            "ann@example..com",
            "ann@.example.com",
            "ann@-example.com",
            "ann@example.com.",
            "ann@192.0.2.1",
            "ann@[192.0.2.1]",
            "\"ann lee\"@example.com",
            "ann@exa_mple.com",
            "ann@example.c",
            "a@b@c.example",
            "Ann <ann@example.com>",
            "{name}@example.com",
            "ann@{domain}.com",
            "@example.com",
            "ann@",
            "+@example.com",
            "ann,lee@example.com",
        ],
    );
    let long = format!("{}@example.com", "a".repeat(300));
    is_left_out(CustomerTrait::Email, "em", &[&long]);
    becomes(
        CustomerTrait::Email,
        "em",
        &[
            (" Ann.Lee+x@GMail.com ", "ann.lee+x@gmail.com"),
            ("O'Neil@example.co.uk", "o'neil@example.co.uk"),
            ("ann@Bücher.example", "ann@bücher.example"),
            ("ann@xn--bcher-kva.example", "ann@xn--bcher-kva.example"),
            ("用户@例子.公司", "用户@例子.公司"),
            ("ann_lee-x@sub.shop.example", "ann_lee-x@sub.shop.example"),
            ("ann@shop.museum\u{200b}", "ann@shop.museum"),
        ],
    );
}

#[test]
fn a_source_template_says_how_its_birthdates_are_written() {
    let generic = include_str!("../../templates/sources/generic.toml");
    let with = |line: &str| SourceTemplate::parse("own.toml", &format!("{line}\n{generic}"));
    assert_eq!(with("").unwrap().default_birthdate(), None);
    assert_eq!(with("birthdate = \"dmy\"").unwrap().default_birthdate(), Some(DateOrder::DayFirst));
    assert_eq!(with("birthdate = \"mdy\"").unwrap().default_birthdate(), Some(DateOrder::MonthFirst));
    for wrong in ["birthdate = \"ymd\"", "birthdate = \"DMY\"", "birthdate = 1"] {
        let problems = with(wrong).err().unwrap();
        assert_eq!((problems.len(), problems[0].at.as_str()), (1, "own.toml:1"), "{wrong}: {problems:?}");
    }
}

fn any_trait() -> impl Strategy<Value = CustomerTrait> {
    prop::sample::select(CustomerTrait::NAMES.map(|(name, _)| name).to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_in_a_field_costs_another_field_or_goes_without_a_word(
        name in any_trait(),
        text in prop_oneof![any::<String>(), "[0-9+() ./x-]{0,40}", "[A-Za-z0-9@.;=+ ]{0,60}"],
    ) {
        let customer = known_as(Some("US"), None);
        let traits = [(name, text.as_str()), (CustomerTrait::ExternalId, "customer-7")];
        let (_, remarks) = sent(&META, &traits, "em", customer);
        let (external, _) = sent(&META, &traits, "external_id", customer);
        prop_assert_eq!(&external[1], &hashed("customer-7")[0]);
        for remark in remarks {
            prop_assert!(remark.ends_with(&format!("traits.{}", name.name())), "{}", remark);
        }
    }
}
