//! How a source template says that amounts are written, and that nothing is guessed.

use postbridge::domain::code::{CodedReason, ReasonCode};
use postbridge::domain::conversion::Draft;
use postbridge::domain::ids::SourceId;
use postbridge::domain::money::Currency;
use postbridge::domain::postback::KeptHeaders;
use postbridge::domain::rejection::Rejection;
use postbridge::template::source::definition::{SourceBinding, SourceTemplate};

const HEAD: &str = r#"
name = "small"
macro = "{{}}"
postback = ["cid", "amount", "type"]
[map]
click_id = "cid"
value = "amount"
payout = "payout"
currency = "currency"
[event]
by_value = { positive = "Purchase", zero = "Lead" }
"#;

/// An amount as it is written in a query, and what is read, or the code of why nothing is.
type Written = (&'static str, Result<&'static str, &'static str>);

fn template(rest: &str) -> SourceTemplate {
    SourceTemplate::parse("small.toml", &format!("{HEAD}{rest}"))
        .unwrap_or_else(|problems| panic!("{problems:?}"))
}

fn binding() -> SourceBinding {
    SourceBinding {
        currency: Currency::parse("USD"),
        ..SourceBinding::of(SourceId::parse("a-source").unwrap())
    }
}

fn mapped(template: &SourceTemplate, binding: &SourceBinding, query: &str) -> Result<Draft, Rejection> {
    let params = template.read(query.as_bytes(), &KeptHeaders::default(), b"")?;
    template.map(binding, &params).map(|mapped| mapped.draft().unwrap())
}

fn value(template: &SourceTemplate, query: &str) -> Result<String, &'static str> {
    let mapped = mapped(template, &binding(), query);
    mapped.map(|draft| draft.value.unwrap().to_string()).map_err(|why| why.code().as_str())
}

#[test]
fn amounts_are_read_as_the_template_says_and_never_guessed() {
    const NOT: Result<&str, &str> = Err("not_a_number");
    let cases: [(&str, &[Written]); 6] = [
        (
            "",
            &[
                ("1234.50", Ok("1234.50 USD")),
                ("0.0000000001", Ok("0.0000000001 USD")),
                (".40", Ok("0.40 USD")),
                ("1,50", NOT),
                ("1,234.50", NOT),
                ("%247.00", NOT),
                ("7.", NOT),
            ],
        ),
        (
            "[number]\nformat = \"comma\"\n",
            &[("1234,50", Ok("1234.50 USD")), ("1234.50", NOT), ("1.234,50", NOT)],
        ),
        (
            "[number]\nformat = \"grouped\"\n",
            &[
                ("1,234.50", Ok("1234.50 USD")),
                ("1%20234.50", Ok("1234.50 USD")),
                ("1%C2%A0234%C2%A0567.5", Ok("1234567.5 USD")),
                ("1'234.50", Ok("1234.50 USD")),
                ("-1,234", Ok("-1234 USD")),
                ("1234.50", Ok("1234.50 USD")),
                ("1,50", NOT),
                ("0,500", NOT),
                ("1,2345", NOT),
                ("1234,567", NOT),
                ("1,234'567", NOT),
                (",234", NOT),
                ("1,234,", NOT),
                ("1.234,50", NOT),
            ],
        ),
        (
            "[number]\nformat = \"grouped-comma\"\n",
            &[
                ("1.234,50", Ok("1234.50 USD")),
                ("1%20234,50", Ok("1234.50 USD")),
                ("1.5", NOT),
                ("1,234.50", NOT),
            ],
        ),
        (
            "[number]\nsymbols = true\n",
            &[
                ("%247.00", Ok("7.00 USD")),
                ("-%247.00", Ok("-7.00 USD")),
                ("%24-7.00", Ok("-7.00 USD")),
                ("7.00%20%E2%82%AC", Ok("7.00 USD")),
                ("US%247", Ok("7 USD")),
                ("7.00", Ok("7.00 USD")),
                ("-%24-7", NOT),
                ("EUR%207", NOT),
                ("%24%247", NOT),
                ("%24", NOT),
            ],
        ),
        (
            "[number]\nlist = { separator = \",\", take = 1 }\n",
            &[
                ("12.5,0.75", Ok("0.75 USD")),
                ("12.5,%200.75%20,3", Ok("0.75 USD")),
                ("12.5,", Err("missing_value")),
                ("12.5", Err("missing_value")),
                ("12.5,x", NOT),
            ],
        ),
    ];
    for (section, amounts) in cases {
        let template = template(section);
        for (written, expected) in amounts {
            let expected = expected.map(str::to_owned);
            assert_eq!(value(&template, &format!("amount={written}")), expected, "{section} {written}");
        }
    }
}

#[test]
fn smallest_units_are_counted_by_the_currency_unless_the_template_knows_better() {
    let number = "[number]\nunit = \"minor\"\ndigits = { ISK = 2, MGA = 0 }\n";
    let template = template(number);
    for (query, expected) in [
        ("amount=750", "7.50 USD"),
        ("amount=750&currency=JPY", "750 JPY"),
        ("amount=7505&currency=KWD", "7.505 KWD"),
        ("amount=75000&currency=ISK", "750.00 ISK"),
        ("amount=750&currency=MGA", "750 MGA"),
        ("amount=-750", "-7.50 USD"),
        ("amount=750.00", "7.50 USD"),
    ] {
        assert_eq!(value(&template, query).as_deref(), Ok(expected), "{query}");
    }
    assert_eq!(value(&template, "amount=148.50"), Err("invalid_value"), "it was meant in whole units");
    for (written, code) in
        [("12,5", "invalid_value"), ("1.234,50", "invalid_value"), ("1,234", "not_a_number")]
    {
        assert_eq!(value(&template, &format!("amount={written}")), Err(code), "{written}");
    }
    let refused = mapped(&template, &binding(), "amount=12.5").unwrap_err();
    assert!(refused.sentence().contains("`12.5`, not a whole number of the currency's smallest unit"));
    assert!(refused.hint().contains("take unit = \"minor\" out of [number]"), "{}", refused.hint());
    let no_currency = SourceBinding { currency: None, ..binding() };
    let refused = mapped(&template, &no_currency, "amount=750").unwrap_err();
    assert_eq!(refused.code().as_str(), "missing_currency");
}

#[test]
fn an_amount_is_negative_where_another_parameter_says_so() {
    let number = "[number]\nnegative_when = { type = [\"refund\", \"Chargeback\"] }\n";
    let template = template(number);
    for (query, expected) in [
        ("amount=7&type=sale", "7 USD"),
        ("amount=7&type=REFUND", "-7 USD"),
        ("amount=7&type=%20chargeback%20", "-7 USD"),
        ("amount=-7&type=refund", "-7 USD"),
        ("amount=0&type=refund", "0 USD"),
        ("amount=7&type=refund&type=sale", "7 USD"),
    ] {
        assert_eq!(value(&template, query).as_deref(), Ok(expected), "{query}");
    }
    assert_eq!(
        mapped(&template, &binding(), "amount=7&payout=3&type=refund").unwrap().payout.unwrap().to_string(),
        "-3 USD"
    );
}
