//! What helpers give, each by a table of inputs and results; what is wrong with their options is a mistake with a line.

use std::sync::Arc;

use postbridge::domain::click::{Agent, Click, CustomerTrait};
use postbridge::domain::code::CodedReason;
use postbridge::domain::conversion::Conversion;
use postbridge::domain::ids::{OfferId, VisitorId};
use postbridge::domain::money::{Currency, Money};
use postbridge::domain::offer::CampaignRef;
use postbridge::domain::omission::Omissions;
use postbridge::ingest::landing::{CarriedPairs, Landing};
use postbridge::template::destination::definition::DestinationTemplate;
use postbridge::template::destination::rendering::Rendered;
use proptest::prelude::*;

use crate::support::payload_fixture::{click, conversion, ready, render, time};

const TOML: &str = "label = \"Test\"\ncookies = [\"_ga_*\"]\n[request]\nurl = \"https://ads.example/\"\n[events]\nPurchase = \"buy\"\n";

pub(super) fn parse(event: &str) -> Result<DestinationTemplate, Vec<String>> {
    let files = [("destination.toml", TOML), ("event.json.hbs", event)];
    let files = files.map(|(name, text)| (name.to_owned(), text.to_owned())).into_iter().collect();
    let shown = |problem: &postbridge::template::diagnostic::Problem| {
        format!("{}: {} | {}", problem.at, problem.what, problem.hint)
    };
    DestinationTemplate::parse("test", "test", &files).map_err(|found| found.iter().map(shown).collect())
}

/// What an expression is written as, and the fields that remarks name.
pub(super) fn written(expression: &str, conversion: &Conversion, click: &Click) -> (String, Vec<String>) {
    let template = parse(&format!(r#"{{"x": {{{{{expression}}}}}, "always": 1}}"#)).unwrap();
    let rendering = render(&ready(Arc::new(template), &[]), conversion, Some(click));
    let Rendered::Request(request, _) = rendering.rendered else { panic!("skipped") };
    let body = String::from_utf8(request.body).unwrap();
    let value = body.strip_suffix(r#""always":1}"#).unwrap().trim_start_matches('{').trim_end_matches(',');
    let fields = rendering.remarks.iter().filter_map(CodedReason::field).map(|field| field.to_string());
    (value.strip_prefix(r#""x":"#).unwrap_or("null").to_owned(), fields.collect())
}

fn worth(amount: &str, currency: &str) -> Conversion {
    let value = Money::new(amount.parse().unwrap(), Currency::parse(currency).unwrap());
    Conversion { value: Some(value), ..conversion() }
}

pub(super) fn with_param(value: &str) -> Conversion {
    Conversion { params: vec![("x".to_owned(), value.to_owned())], ..conversion() }
}

#[test]
fn decimals_write_so_many_digits_and_round_half_away_from_zero() {
    for (amount, decimals, number) in [
        ("7", 2, "7.00"),
        ("7.00", 0, "7"),
        ("7.004", 2, "7.00"),
        ("7.005", 2, "7.01"),
        ("-7.005", 2, "-7.01"),
        ("0.125", 2, "0.13"),
        ("-0.001", 2, "0.00"),
        ("0.5", 0, "1"),
        ("1.5", 0, "2"),
        ("2.5", 0, "3"),
        ("0.123456789", 8, "0.12345679"),
        ("1234567890123456789012345678", 2, "1234567890123456789012345678.0"),
    ] {
        let sold = worth(amount, "USD");
        let number_of = written(&format!("number value decimals={decimals}"), &sold, &click());
        assert_eq!(number_of, (number.to_owned(), vec![]), "{amount}");
        let text_of = written(&format!("text value decimals={decimals}"), &sold, &click());
        assert_eq!(text_of, (format!("\"{number}\""), vec![]), "{amount}");
    }
    assert_eq!(written("number value", &worth("7.50", "USD"), &click()).0, "7.50", "as received without it");
    assert_eq!(written("text value", &worth("7.5", "USD"), &click()).0, "\"7.5\"");
    let text = "number (param \"x\") decimals=1";
    assert_eq!(written(text, &with_param("7"), &click()), ("7.0".to_owned(), vec![]));
    let left_out = ("null".to_owned(), vec!["params.x".to_owned()]);
    assert_eq!(written(text, &with_param("seven"), &click()), left_out);
    assert_eq!(written("text (param \"x\") decimals=1", &with_param("seven"), &click()), left_out);
    assert_eq!(
        written("text value decimals=2", &Conversion { value: None, ..conversion() }, &click()).0,
        "null"
    );
}

#[test]
fn minor_units_are_by_the_digits_of_the_currency() {
    for (amount, currency, units) in [
        ("7.50", "USD", "750"),
        ("7", "EUR", "700"),
        ("0", "USD", "0"),
        ("-7.5", "USD", "-750"),
        ("7", "JPY", "7"),
        ("7.5", "JPY", "8"),
        ("7.5", "KWD", "7500"),
        ("0.0005", "KWD", "1"),
        ("7.004", "USD", "700"),
        ("7.005", "USD", "701"),
        ("25.99", "CHF", "2599"),
    ] {
        let units_of = written("minor value currency", &worth(amount, currency), &click());
        assert_eq!(units_of, (units.to_owned(), vec![]), "{amount} {currency}");
    }
    assert_eq!(written("minor payout payout_currency", &conversion(), &click()).0, "null");
    let without_currency = written("minor (param \"x\") payout_currency", &with_param("7"), &click());
    assert_eq!(without_currency.0, "null");
    let wrong_currency = written("minor value (param \"x\")", &with_param("EURO"), &click());
    assert_eq!(wrong_currency, ("null".to_owned(), vec!["params.x".to_owned()]));
    let large = written("minor value currency", &worth("1234567890123456789012345678", "USD"), &click());
    assert_eq!(large, ("null".to_owned(), vec!["value".to_owned()]));
}

#[test]
fn a_time_is_written_by_its_format_in_its_zone() {
    for (options, written_as) in [
        (r#"format="%Y-%m-%d %H:%M:%S""#, "2026-09-21 14:13:20"),
        (r#"format="%Y-%m-%dT%H:%M:%S%:z" zone="Europe/Berlin""#, "2026-09-21T16:13:20+02:00"),
        (r#"format="%Y-%m-%d %H:%M:%S%:z" zone="America/New_York""#, "2026-09-21 10:13:20-04:00"),
        (r#"format="%m/%d/%Y %H:%M:%S" zone="+05:30""#, "09/21/2026 19:43:20"),
        (r#"format="%s""#, "1790000000"),
        (r#"format="%Y%m%d" zone="UTC""#, "20260921"),
        (r#"format="%Y-%m-%dT%H:%M:%S%.3fZ""#, "2026-09-21T14:13:20.000Z"),
    ] {
        let found = written(&format!("time event_time {options}"), &conversion(), &click());
        assert_eq!(found, (format!("\"{written_as}\""), vec![]), "{options}");
    }
    for (unit, number) in [("s", "1790000000"), ("ms", "1790000000000"), ("us", "1790000000000000")] {
        let found = written(&format!("unix event_time unit=\"{unit}\""), &conversion(), &click());
        assert_eq!(found.0, number, "{unit}");
    }
    assert_eq!(written("unix event_time", &conversion(), &click()).0, "1790000000");
    let before_1970 = Conversion { event_time: time("1969-12-31T23:59:58.500Z"), ..conversion() };
    assert_eq!(written("unix event_time", &before_1970, &click()).0, "-2");
    assert_eq!(written("unix_ms event_time", &before_1970, &click()).0, "-1500");
}

#[test]
fn an_address_loses_dots_and_tags_as_its_options_say() {
    for (address, none, gmail, gmail_dots, dots, plus) in [
        (
            " Ann.Lee+x@GMail.com ",
            "ann.lee+x@gmail.com",
            "annlee@gmail.com",
            "annlee+x@gmail.com",
            "annlee+x@gmail.com",
            "ann.lee@gmail.com",
        ),
        (
            "john.d@googlemail.com",
            "john.d@googlemail.com",
            "johnd@googlemail.com",
            "johnd@googlemail.com",
            "johnd@googlemail.com",
            "john.d@googlemail.com",
        ),
        (
            "a.b+c@shop.example",
            "a.b+c@shop.example",
            "a.b+c@shop.example",
            "a.b+c@shop.example",
            "ab+c@shop.example",
            "a.b@shop.example",
        ),
        (
            "a.b+c@mail.gmail.com",
            "a.b+c@mail.gmail.com",
            "a.b+c@mail.gmail.com",
            "a.b+c@mail.gmail.com",
            "ab+c@mail.gmail.com",
            "a.b@mail.gmail.com",
        ),
        (
            "a+b+c@gmail.com",
            "a+b+c@gmail.com",
            "a@gmail.com",
            "a+b+c@gmail.com",
            "a+b+c@gmail.com",
            "a@gmail.com",
        ),
    ] {
        for (options, spelt) in [
            ("", none),
            ("gmail=true", gmail),
            ("gmail=\"dots\"", gmail_dots),
            ("dots=true", dots),
            ("plus=true", plus),
            ("gmail=false", none),
        ] {
            let mut conversion = conversion();
            conversion.traits.0.insert(CustomerTrait::Email, address.to_owned());
            let found = written(&format!("email traits.email {options}"), &conversion, &click());
            assert_eq!(found, (format!("\"{spelt}\""), vec![]), "{address} {options}");
        }
    }
    let mut nothing_left = conversion();
    nothing_left.traits.0.insert(CustomerTrait::Email, "+x@gmail.com".to_owned());
    let found = written("email traits.email gmail=true", &nothing_left, &click());
    assert_eq!(found, ("null".to_owned(), vec!["traits.email".to_owned()]));
    let hash = "b4c9a289323b21a01c3e940f150eb9b8c542587f1abfd8f0e1cc1ffc5e475514";
    let mut hashed = conversion();
    hashed.traits.0.insert(CustomerTrait::Email, hash.to_owned());
    let found = written("sha256 (email traits.email gmail=true dots=true plus=true)", &hashed, &click());
    assert_eq!(found, (format!("\"{hash}\""), vec![]));
}

#[test]
fn a_postal_code_is_cut_whole_or_its_digits_alone_as_its_options_say() {
    // As it is sent without options, with `whole`, with `digits`; null leaves a remark.
    for (text, country, cut, whole, digits) in [
        ("94105-1234", "US", Some("94105"), Some("94105"), Some("94105")),
        ("94105-1234", "", Some("94105"), Some("94105"), Some("94105")),
        ("SW1A 1AA", "GB", Some("sw1a1"), Some("sw1a1aa"), None),
        ("SW1A 1AA", "", Some("sw1a1aa"), Some("sw1a1aa"), None),
        ("K1A 0B6", "CA", Some("k1a0b6"), Some("k1a0b6"), None),
        ("1012 AB", "NL", Some("1012ab"), Some("1012ab"), None),
        ("D02 AF30", "IE", Some("d02af30"), Some("d02af30"), None),
        ("00-950", "PL", Some("00"), Some("00-950"), Some("00950")),
        ("100-0001", "JP", Some("100"), Some("100-0001"), Some("1000001")),
        ("113 51", "SE", Some("11351"), Some("11351"), Some("11351")),
        ("D-10115", "DE", Some("d"), Some("d-10115"), Some("10115")),
        ("FI-00100", "FI", Some("fi"), Some("fi-00100"), Some("00100")),
        ("AD500", "AD", Some("ad500"), Some("ad500"), None),
        ("Paris 75001", "FR", Some("paris75001"), Some("paris75001"), None),
        ("10115.0", "DE", Some("10115.0"), Some("10115.0"), Some("10115")),
        ("?", "DE", None, None, None),
    ] {
        for (options, spelt) in
            [("", cut), ("whole=true", whole), ("digits=true", digits), ("digits=false", cut)]
        {
            let mut conversion = conversion();
            conversion.traits.0.insert(CustomerTrait::Zip, text.to_owned());
            conversion.traits.0.insert(CustomerTrait::Country, country.to_owned());
            let expression = format!("zip traits.zip country=traits.country {options}");
            let expected = match spelt {
                Some(spelt) => (format!("\"{spelt}\""), vec![]),
                None => ("null".to_owned(), vec!["traits.zip".to_owned()]),
            };
            assert_eq!(written(&expression, &conversion, &click()), expected, "{text} {country} {options}");
        }
    }
}

#[test]
fn a_part_of_a_cookie_is_captured_or_null_with_a_remark() {
    let session = r"^(?:GS1\.\d\.(\d+)|GS2\.\d\.s(\d+))";
    for (name, value, pattern, part) in [
        ("_ga", "GA1.1.123456789.1690000000", r"^GA\d\.\d\.(\d+\.\d+)$", Some("123456789.1690000000")),
        ("_ga", "GA1.2-2.123456789.1690000000", r"^GA\d\.[\d-]+\.(\d+\.\d+)$", Some("123456789.1690000000")),
        ("_ga", "123456789", r"^GA\d\.\d\.(\d+\.\d+)$", None),
        ("_ga_AB12", "GS1.1.1690000000.3.1.1690000100.0.0.0", session, Some("1690000000")),
        ("_ga_AB12", "GS2.1.s1690000000$o1$g1$t1690000100$j0", session, Some("1690000000")),
        ("_ga_AB12", "GS3.1.1690000000", session, None),
        (
            "_rdt_uuid",
            "1690000000000.11112222-3333-4444-8555-666677778888",
            r"^\d+\.([0-9a-f-]{36})$",
            Some("11112222-3333-4444-8555-666677778888"),
        ),
        ("_x", "a'b\"c", "a.b\"(c)", Some("c")),
        ("_x", "é1", "^(.)\\d", Some("é")),
        ("_x", "anything", "(x*)$", Some("")),
    ] {
        let click = Click { cookies: vec![(name.to_owned(), value.to_owned())], ..click() };
        let found = written(
            &format!("json (capture (cookie \"{name}\") pattern='{pattern}')"),
            &conversion(),
            &click,
        );
        match part.filter(|part| !part.is_empty()) {
            Some(part) => assert_eq!(found, (format!("\"{part}\""), vec![]), "{value}"),
            None if part.is_some() => {
                assert_eq!(found, ("null".to_owned(), vec![]), "{value}: an empty part is none")
            }
            None => assert_eq!(found, ("null".to_owned(), vec![format!("click.cookies.{name}")]), "{value}"),
        }
    }
    let found = written(r#"json (capture (cookie "_ga") pattern="^GA(\\d)")"#, &conversion(), &click());
    assert_eq!(found, ("null".to_owned(), vec![]), "a cookie that is absent leaves no remark");
}

#[test]
fn what_a_text_may_not_match_is_not_captured() {
    let call = r"json (capture (param 'x') pattern='^([a-z_]{1,10})$' not='^(own_|theirs$)'";
    for (value, captured) in [
        ("deposit", true),
        ("my_own_", true),
        ("theirs_too", true),
        ("own_deposit", false),
        ("theirs", false),
        ("Deposit", false),
    ] {
        let found = written(&format!("{call})"), &with_param(value), &click());
        let remark = || ("null".to_owned(), vec!["params.x".to_owned()]);
        let expected = if captured { (format!("\"{value}\""), vec![]) } else { remark() };
        assert_eq!(found, expected, "{value}");
    }
}

#[test]
fn a_text_is_written_without_some_of_its_characters() {
    for (value, dropped, expected) in [
        (" EC1A.1~BB ", ".~", Some("EC1A1BB")),
        ("a-b (c)", "-()", Some("ab c")),
        (r"a\b/c", r"\/", Some("abc")),
        ("Ann’s", "s", Some("Ann’")),
        ("é1", "1", Some("é")),
        ("...", ".", None),
        ("{name}", "x", None),
    ] {
        let found = written(&format!("without (param \"x\") '{dropped}'"), &with_param(value), &click());
        let remark = || ("null".to_owned(), vec!["params.x".to_owned()]);
        assert_eq!(found, expected.map_or_else(remark, |text| (format!("\"{text}\""), vec![])), "{value}");
    }
    assert_eq!(written("without (param \"x\") '.'", &conversion(), &click()), ("null".to_owned(), vec![]));
    let hash = "B4C9A289323B21A01C3E940F150EB9B8C542587F1ABFD8F0E1CC1FFC5E475514";
    let found = written("sha256 (lower (without (param \"x\") '0123456789'))", &with_param(hash), &click());
    assert_eq!(found.0, format!("\"{}\"", hash.to_lowercase()), "a hash stays as it is");
}

#[test]
fn a_cookies_name_with_a_star_is_the_first_that_was_kept_of_that_beginning() {
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let cookies = vec![pair("_ga", "1"), pair("_ga_B", "2"), pair("_ga_A", "3"), pair("_GA_C", "4")];
    let click = Click { cookies, ..click() };
    for (name, value) in
        [("_ga_*", "\"2\""), ("_ga*", "\"1\""), ("_ga_A", "\"3\""), ("_gb_*", "null"), ("_ga_A*", "\"3\"")]
    {
        assert_eq!(
            written(&format!("json (cookie \"{name}\")"), &conversion(), &click),
            (value.to_owned(), vec![]),
            "{name}"
        );
    }
    let template = parse(r#"{"x": {{json (cookie "_ga_*")}}}"#).unwrap();
    let Rendered::Request(_, sent) =
        render(&ready(Arc::new(template), &[]), &conversion(), Some(&click)).rendered
    else {
        panic!("skipped")
    };
    assert_eq!(sent.ids, [pair("_ga_B", "2")], "what was sent is known by the cookie's own name");
}

#[test]
fn a_click_keeps_eight_cookies_of_one_name_with_a_star() {
    let landing = Landing::built_in();
    let header: Vec<String> = (0..12).map(|n| format!("_ga_{n:02}=GS1.1.{n}")).collect();
    let header = format!("_ga=GA1.1.1.2; {}; _fbp=fb.1.2.3", header.join("; "));
    let kept = landing.cookies.pick_few(&CarriedPairs::of_cookies([header.as_bytes()]));
    let names: Vec<&str> = kept.pairs.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        ["_ga", "_ga_00", "_ga_01", "_ga_02", "_ga_03", "_ga_04", "_ga_05", "_ga_06", "_ga_07", "_fbp"]
    );
    let mut omitted = Omissions::default();
    kept.named("cookies", &mut omitted);
    let fields: Vec<&str> = omitted.named().iter().map(|one| one.field.as_str()).collect();
    assert_eq!(fields, ["cookies._ga_08", "cookies._ga_09", "cookies._ga_10", "cookies._ga_11"]);
    let query: Vec<String> = (0..12).map(|n| format!("utm_{n}=a")).collect();
    let params = landing.params.pick(&CarriedPairs::of_query(query.join("&").as_bytes())).pairs;
    assert_eq!(params.len(), 12, "parameters are bounded by their number alone");
}

#[test]
fn a_text_is_one_of_several_or_none_of_them() {
    for (expression, value, expected) in [
        (r#"one_of x "A" "B""#, "B", "\"B\""),
        (r#"one_of x "A" "B""#, "b", "null"),
        (r#"one_of x "A" "B""#, "", "null"),
        (r#"none_of x "A" "B""#, "b", "\"b\""),
        (r#"none_of x "A" "B""#, "A", "null"),
        (r#"none_of x "A" "B""#, "", "null"),
        (r#"default (one_of x "A") "other""#, "C", "\"other\""),
    ] {
        let call = expression.replace(" x ", " (param \"x\") ");
        let conversion = if value.is_empty() { conversion() } else { with_param(value) };
        let found = written(&format!("json ({call})"), &conversion, &click());
        assert_eq!(found, (expected.to_owned(), Vec::new()), "{expression} of {value}");
    }
}

#[test]
fn text_is_written_in_lower_case_or_capital_letters() {
    for (expression, expected) in [
        ("upper params.x", "\"STRASSE ÉÀ\""),
        ("lower params.x", "\"straße éà\""),
        ("upper (country params.x)", "null"),
    ] {
        let expression = expression.replace("params.x", "(param \"x\")");
        assert_eq!(written(&expression, &with_param(" Straße éÀ "), &click()).0, expected, "{expression}");
    }
    let country = "upper (country (param \"x\"))";
    assert_eq!(written(country, &with_param("Germany"), &click()).0, "\"DE\"");
}

#[test]
fn the_names_of_a_click_and_of_its_campaign_are_what_is_known_of_them() {
    let mut known = click();
    known.context.visitor = Some(VisitorId::parse("visitor-0123456789").unwrap());
    known.context.country = Some("US".to_owned());
    known.context.agent = Some(Agent {
        device: "mobile".to_owned(),
        system: Some("iOS 18".to_owned()),
        browser: Some("Safari 18".to_owned()),
        bot: None,
    });
    let placed = CampaignRef::of_offer(OfferId::parse("761").unwrap());
    let sold = Conversion { campaign_ref: Some(placed), ..conversion() };
    for (name, value) in [
        ("click.visitor_id", "\"visitor-0123456789\""),
        ("click.country", "\"US\""),
        ("click.device", "\"mobile\""),
        ("click.system", "\"iOS 18\""),
        ("click.browser", "\"Safari 18\""),
        ("offer_id", "\"761\""),
        ("campaign_id", "null"),
        ("affiliate_id", "null"),
        ("creative_id", "null"),
    ] {
        assert_eq!(written(&format!("json {name}"), &sold, &known), (value.to_owned(), vec![]), "{name}");
        assert_eq!(written(&format!("json {name}"), &conversion(), &click()).0, "null", "{name}");
    }
}

proptest! {
    #[test]
    fn an_address_that_was_spelt_once_stays_as_it_is(local in "[a-z0-9.+]{1,20}", domain in "(gmail|googlemail|shop)\\.com") {
        let options = "gmail=true dots=true plus=true";
        let spelt = |address: &str| {
            let mut conversion = conversion();
            conversion.traits.0.insert(CustomerTrait::Email, address.to_owned());
            written(&format!("email traits.email {options}"), &conversion, &click()).0
        };
        let once = spelt(&format!("{local}@{domain}"));
        if once != "null" {
            prop_assert_eq!(&spelt(once.trim_matches('"')), &once);
        }
    }

    #[test]
    fn any_text_that_is_captured_is_written_as_json(value in "\\PC{1,40}") {
        let click = Click { cookies: vec![("_x".to_owned(), value.clone())], ..click() };
        let (json, _) = written("json (capture (cookie \"_x\") pattern='(?s)^(.+)$')", &conversion(), &click);
        prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), value);
    }
}
