//! What a source template can say: headers and name/value pairs, which events count, where in
//! a value the click id is, times that a change of clocks leaves out, and what an account says over it.

use postbridge::domain::code::{CodedReason, ReasonCode};
use postbridge::domain::conversion::{Draft, EventClaim};
use postbridge::domain::event::EventName;
use postbridge::domain::ids::SourceId;
use postbridge::domain::ignored::IgnoredReason;
use postbridge::domain::money::Currency;
use postbridge::domain::postback::{KeptHeaders, VerdictName};
use postbridge::domain::rejection::Rejection;
use postbridge::domain::status::Status;
use postbridge::template::diagnostic::Problem;
use postbridge::template::source::definition::{SourceBinding, SourceTemplate};
use postbridge::template::source::explain::ParamOutcome;
use postbridge::template::source::mapped_report::MappedReport;

const HEAD: &str = r#"
name = "small"
macro = "{{}}"
postback = ["cid", "amount", "type"]
"#;

const MAP: &str = r#"
[map]
click_id = "cid"
value = "amount"
payout = "payout"
currency = "currency"
event_time = "at"
"#;

const BY_VALUE: &str = "[event]\nby_value = { positive = \"Purchase\", zero = \"Lead\" }\n";

fn template(rest: &str) -> SourceTemplate {
    SourceTemplate::parse("small.toml", &format!("{HEAD}{rest}"))
        .unwrap_or_else(|problems| panic!("{problems:?}"))
}

fn problems(rest: &str) -> Vec<Problem> {
    SourceTemplate::parse("small.toml", &format!("{HEAD}{rest}")).map(|_| ()).unwrap_err()
}

fn binding() -> SourceBinding {
    SourceBinding {
        currency: Currency::parse("USD"),
        ..SourceBinding::of(SourceId::parse("a-source").unwrap())
    }
}

fn headers(pairs: &[(&str, &str)]) -> KeptHeaders {
    let mut headers = KeptHeaders::default();
    pairs.iter().for_each(|(name, value)| headers.push(name, value.as_bytes()));
    headers
}

fn mapped(
    template: &SourceTemplate,
    binding: &SourceBinding,
    (query, pairs, body): (&str, &[(&str, &str)], &str),
) -> Result<MappedReport, Rejection> {
    let params = template.read(query.as_bytes(), &headers(pairs), body.as_bytes())?;
    template.map(binding, &params)
}

fn draft(template: &SourceTemplate, query: &str) -> Draft {
    mapped(template, &binding(), (query, &[], "")).unwrap().draft().unwrap()
}

fn ignored(report: MappedReport) -> Option<(String, String)> {
    match report {
        MappedReport::Ignored { reason: IgnoredReason::ByTemplate { field, value }, .. } => {
            Some((field, value))
        }
        other => panic!("not ignored: {other:?}"),
    }
}

const SHOP: &str = r#"
[map]
click_id = ["note_attributes[click_id]", "meta.click_id"]
transaction_id = "id"
value = "total"
currency = "currency"
event = "header:X-Shop-Topic"

[map.items]
each = "lines"
id = "sku"
quantity = "qty"
price = "price"

[event]
ignore = "*"
names = { "orders/paid" = "Purchase" }
"#;

#[test]
fn headers_and_pairs_are_read_and_no_parameter_takes_their_place() {
    let template = template(SHOP);
    let paid: &[(&str, &str)] = &[("x-shop-topic", "orders/paid")];
    let body = r#"{"id": 820982911946154508, "total": "7.50", "currency": "EUR",
        "note_attributes": [{"name": "gift", "value": "no"}, {"name": "click_id", "value": "abc"}],
        "lines": [{"sku": "A1", "qty": 2, "price": "3.75"}]}"#;
    let found = mapped(&template, &binding(), ("", paid, body)).unwrap().draft().unwrap();
    assert_eq!(found.event, EventClaim::Named(EventName::purchase()));
    assert_eq!(found.transaction_id.as_deref(), Some("820982911946154508"));
    assert_eq!(
        (found.click_id.as_deref(), found.value.unwrap().to_string().as_str()),
        (Some("abc"), "7.50 EUR")
    );
    assert_eq!(found.items[0].id.as_deref(), Some("A1"));
    assert_eq!(template.read_headers(), ["x-shop-topic"]);
    // Whatever a sender writes into the query or the body, the header is not there.
    for query in
        ["header:X-Shop-Topic=orders/paid", "header%3Ax-shop-topic=orders/paid", "X-Shop-Topic=orders/paid"]
    {
        let refused = mapped(&template, &binding(), (query, &[], body)).unwrap_err();
        assert_eq!(refused.code().as_str(), "missing_event", "{query}");
    }
    let inside = body.replacen('{', r#"{"header:x-shop-topic": "orders/paid", "#, 1);
    assert!(mapped(&template, &binding(), ("", &[], &inside)).is_err());
    // Two values say nothing certain.
    let twice: &[(&str, &str)] = &[("x-shop-topic", "orders/paid"), ("x-shop-topic", "ping")];
    let refused = mapped(&template, &binding(), ("", twice, body)).unwrap_err();
    assert_eq!((refused.code().as_str(), refused.field()), ("different_values", Some("header:x-shop-topic")));
    let two_ids = body.replace("\"gift\"", "\"click_id\"");
    let refused = mapped(&template, &binding(), ("", paid, &two_ids)).unwrap_err();
    assert_eq!(
        (refused.code().as_str(), refused.field()),
        ("different_values", Some("note_attributes[click_id]"))
    );
    // The same as PHP writes it in a form.
    let form = "id=1&total=7&currency=EUR&note_attributes%5Bclick_id%5D=abc";
    let found = mapped(&template, &binding(), (form, paid, "")).unwrap().draft().unwrap();
    assert_eq!(found.click_id.as_deref(), Some("abc"));
}

#[test]
fn a_pair_is_found_among_thousands_of_members_that_no_one_reads() {
    let template = template(SHOP);
    let junk: String = (0..3000).map(|n| format!("\"junk{n}\": {{\"a\": 1, \"b\": [1, 2]}}, ")).collect();
    let pairs: String = (0..99).map(|n| format!("{{\"key\": \"k{n}\", \"value\": \"{n}\"}}, ")).collect();
    let body = format!(
        r#"{{{junk} "id": 1, "total": 7, "currency": "EUR", "note_attributes": [{pairs} {{"key": "click_id", "value": "abc"}}]}}"#
    );
    let found = mapped(&template, &binding(), ("", &[("x-shop-topic", "orders/paid")], &body)).unwrap();
    assert_eq!(found.draft().unwrap().click_id.as_deref(), Some("abc"));
}

#[test]
fn what_is_explained_names_headers_too() {
    let template = template(SHOP);
    let params =
        template.read(b"id=1", &headers(&[("x-shop-topic", "orders/paid"), ("x-other", "1")]), b"").unwrap();
    let rows = template.explain(&binding(), &params);
    let rows: Vec<_> = rows.iter().map(|row| (row.param.as_str(), row.outcome)).collect();
    assert_eq!(rows, [("id", ParamOutcome::Taken), ("header:x-shop-topic", ParamOutcome::Taken)]);
}

const RULES: &str = r#"
[map]
value = "amount"
status = "state"
event = "goal"
[status]
new = "pending"
ok = "approved"
[event]
ignore = ["ping", "Test"]
names = { reg = "CompleteRegistration" }
by_value = { positive = "Purchase", zero = "Lead" }
[[event.rules]]
param = "type"
is = ["test", "probe"]
ignore = true
[[event.rules]]
param = "type"
is = "sub"
status = "approved"
event = "Subscribe"
[[event.rules]]
status = "pending"
value = "zero"
event = "StartTrial"
[[event.rules]]
value = "below_zero"
ignore = true
"#;

#[test]
fn the_first_rule_whose_conditions_hold_names_the_event() {
    let template = template(RULES);
    let named = |query: &str| match draft(&template, query).event {
        EventClaim::Named(name) => name.as_str().to_owned(),
        EventClaim::ByValue { .. } => "by value".to_owned(),
    };
    for (query, event) in [
        ("amount=7", "by value"),
        ("amount=7&goal=REG", "CompleteRegistration"),
        ("amount=7&goal=Deposit", "Deposit"),
        ("amount=7&type=sub&state=ok", "Subscribe"),
        ("amount=7&type=SUB", "Subscribe"),
        ("amount=7&type=sub&state=new", "by value"),
        ("amount=7&type=sub&goal=reg", "Subscribe"),
        ("amount=0&state=new", "StartTrial"),
        ("amount=0.00&state=new&goal=reg", "StartTrial"),
        ("amount=0", "by value"),
    ] {
        assert_eq!(named(query), event, "{query}");
    }
    // A rule goes before a word that is ignored.
    assert_eq!(named("amount=7&type=sub&goal=ping"), "Subscribe");
    for (query, field, word) in [
        ("amount=7&goal=ping", "goal", "ping"),
        ("amount=7&goal=%20TEST%20", "goal", "TEST"),
        // Nothing of what is no conversion need be right.
        ("goal=ping&state=nonsense&amount=x", "goal", "ping"),
        ("type=probe&state=nonsense", "type", "probe"),
        ("amount=-7&state=ok", "status", "approved"),
    ] {
        let report = mapped(&template, &binding(), (query, &[], "")).unwrap();
        assert_eq!(ignored(report), Some((field.to_owned(), word.to_owned())), "{query}");
    }
}

#[test]
fn every_word_that_is_not_named_may_be_ignored_and_an_account_names_its_own() {
    let template = template(SHOP);
    let body = r#"{"id": 1, "total": 7, "currency": "EUR"}"#;
    let updated: &[(&str, &str)] = &[("x-shop-topic", "orders/updated")];
    let report = mapped(&template, &binding(), ("", updated, body)).unwrap();
    let seen = ("header:x-shop-topic".to_owned(), "orders/updated".to_owned());
    assert_eq!(ignored(report), Some(seen));
    let events =
        vec![("orders/updated".to_owned(), EventName::lead()), ("ping".to_owned(), EventName::lead())];
    let own = SourceBinding { events, ..binding() };
    let found = mapped(&template, &own, ("", updated, body)).unwrap().draft().unwrap();
    assert_eq!(found.event, EventClaim::Named(EventName::lead()));
}

#[test]
fn an_accounts_words_go_before_the_templates() {
    let template = template(RULES);
    let statuses = vec![("ok".to_owned(), Status::Pending), ("hold".to_owned(), Status::Pending)];
    let events = vec![("reg".to_owned(), EventName::lead())];
    let own = SourceBinding { statuses, events, ..binding() };
    let found = |query: &str| mapped(&template, &own, (query, &[], "")).unwrap().draft().unwrap();
    assert_eq!(found("amount=7&state=OK").status, Some(Status::Pending));
    assert_eq!(found("amount=7&state=hold").status, Some(Status::Pending));
    assert_eq!(found("amount=7&goal=reg").event, EventClaim::Named(EventName::lead()));
    let refused = mapped(&template, &own, ("amount=7&state=else", &[], "")).unwrap_err();
    assert!(refused.hint().contains("hold") && refused.hint().contains("ok"), "{}", refused.hint());
    // An unknown word is never approved.
    let refused = mapped(&template, &binding(), ("amount=7&state=hold", &[], "")).unwrap_err();
    assert_eq!(refused.code().as_str(), "unknown_status");
}

#[test]
fn a_word_that_is_known_counts_also_where_it_means_nothing_elsewhere() {
    let template = template(&RULES.replace("new = ", "none = \"pending\"\n0 = \"rejected\"\nnew = "));
    let status = |word: &str| draft(&template, &format!("amount=7&state={word}")).status;
    assert_eq!(status("none"), Some(Status::Pending));
    assert_eq!(status("%20NONE"), Some(Status::Pending));
    assert_eq!(status("0"), Some(Status::Rejected));
    // One that no one knows means nothing, as ever.
    assert_eq!(status("null"), Some(Status::Approved));
    assert_eq!(draft(&template, "amount=7&goal=none").event, draft(&template, "amount=7").event);
}

#[test]
fn an_event_word_that_nothing_names_may_leave_it_to_the_value() {
    let template = template(&RULES.replace("by_value =", "unnamed = \"left_out\"\nby_value ="));
    let own = EventClaim::Named(EventName::purchase());
    assert_eq!(draft(&template, "amount=7&goal=purchase").event, own, "our own names are known");
    let found = draft(&template, "amount=7&goal=17");
    assert_eq!(found.event, draft(&template, "amount=7").event);
    assert_eq!(found.notes[0].problem().unwrap().field, "goal");
    assert_eq!(
        draft(&template, "amount=7&goal=reg").event,
        EventClaim::Named(EventName::parse("CompleteRegistration").unwrap())
    );
}

#[test]
fn the_id_of_a_row_is_read_and_one_that_is_none_stops_the_postback() {
    let template = template(&format!("{MAP}{BY_VALUE}[dedup]\nadjustment_id = \"row\"\n"));
    assert_eq!(draft(&template, "amount=-7&row=%20r1%20").adjustment_id.as_deref(), Some("r1"));
    assert_eq!(draft(&template, "amount=7").adjustment_id, None);
    let refused = mapped(&template, &binding(), ("amount=7&row=%7Brow%7D", &[], "")).unwrap_err();
    assert_eq!((refused.code().as_str(), refused.field()), ("unexpanded_macro", Some("row")));
    for mode in ["click", "each"] {
        let found =
            problems(&format!("{MAP}{BY_VALUE}[dedup]\nmode = \"{mode}\"\nadjustment_id = \"row\"\n"));
        assert!(found[0].what.contains("adjustment_id"), "{found:?}");
    }
}

#[test]
fn the_click_id_is_taken_out_of_what_is_around_it() {
    let section = "[click_id]\nprefix = \"pb_\"\npart = { separator = \"|\", take = 1 }\n";
    let template = template(&format!("{MAP}{BY_VALUE}{section}"));
    for (written, expected) in [
        ("x|pb_null|y", None),
        ("x|pb_0", None),
        ("x|pb_abc|y", Some("abc")),
        ("x|abc", Some("abc")),
        ("x|%20pb_abc%20", Some("abc")),
        ("x|pb_", None),
        ("x", None),
        ("x|", None),
    ] {
        let found = draft(&template, &format!("amount=7&cid={written}"));
        assert_eq!(found.click_id.as_deref(), expected, "{written}");
    }
}

#[test]
fn text_that_is_not_utf8_is_read_in_the_fallback() {
    let map = MAP.replace("payout =", "city = \"city\"\npayout =");
    let plain = template(&format!("{map}{BY_VALUE}"));
    let cyrillic = template(&format!("{map}{BY_VALUE}[encoding]\nfallback = \"windows-1251\"\n"));
    let city = |template: &SourceTemplate, query: &str, body: &str| {
        let params = template.read(query.as_bytes(), &KeptHeaders::default(), body.as_bytes()).unwrap();
        let draft = template.map(&binding(), &params).unwrap().draft().unwrap();
        draft.traits.0.into_values().next()
    };
    assert_eq!(city(&plain, "amount=7&city=%CC%EE%F1%EA%E2%E0", ""), None);
    assert_eq!(city(&cyrillic, "amount=7&city=%CC%EE%F1%EA%E2%E0", "").as_deref(), Some("Москва"));
    // What is UTF-8 stays so, in query and body.
    assert_eq!(city(&cyrillic, "amount=7&city=M%C3%BCnchen", "").as_deref(), Some("München"));
    assert_eq!(city(&cyrillic, "", r#"{"amount": 7, "city": "München"}"#).as_deref(), Some("München"));
    for label in ["utf-16", "utf-8", "no-such"] {
        let found = problems(&format!("{MAP}{BY_VALUE}[encoding]\nfallback = \"{label}\"\n"));
        assert!(found[0].what.contains("fallback"), "{label}: {found:?}");
    }
}

#[test]
fn a_local_time_that_the_clocks_leave_out_moves_forward_and_of_two_the_earlier_counts() {
    let time = "[time]\nformats = [\"%Y-%m-%d %H:%M:%S\", \"compact\"]\nzone = \"America/New_York\"\n";
    let template = template(&format!("{MAP}{BY_VALUE}{time}"));
    let at = |binding: &SourceBinding, written: &str| {
        let query = format!("amount=7&at={written}");
        let draft = mapped(&template, binding, (&query, &[], "")).unwrap().draft().unwrap();
        draft.event_time.unwrap().to_string()
    };
    for (written, expected) in [
        ("2026-03-08%2002:30:00", "2026-03-08T07:30:00.000Z"),
        ("20260308023000", "2026-03-08T07:30:00.000Z"),
        ("2026-11-01%2001:30:00", "2026-11-01T05:30:00.000Z"),
        ("20261101013000", "2026-11-01T05:30:00.000Z"),
        ("2026-07-01%2012:00:00", "2026-07-01T16:00:00.000Z"),
    ] {
        assert_eq!(at(&binding(), written), expected, "{written}");
    }
    let own = SourceBinding { time_zone: jiff::tz::TimeZone::get("Asia/Tokyo").ok(), ..binding() };
    assert_eq!(at(&own, "2026-07-01%2012:00:00"), "2026-07-01T03:00:00.000Z");
}

#[test]
fn the_answer_is_by_the_verdict() {
    let reply = "[reply]\ntext = \"OK\"\nquarantined = \"success=false\"\nchallenge = \"hub.challenge\"\n";
    let template = template(&format!("{MAP}{BY_VALUE}{reply}"));
    let answers = VerdictName::ALL.map(|verdict| template.reply().text(verdict).unwrap());
    assert_eq!(answers, ["OK", "OK", "OK", "OK", "success=false", "OK"]);
    assert_eq!(template.reply().challenge(), Some("hub.challenge"));
}

#[test]
fn what_cannot_be_is_a_problem_with_its_line() {
    for (rest, what) in [
        ("[number]\ndecimal = \"dot\"\n", "unknown key `decimal`"),
        ("[number]\nformat = \"dots\"\n", "format"),
        ("[number]\ndigits = { ISK = 2 }\n", "digits"),
        ("[number]\nunit = \"minor\"\ndigits = { XYZ = 2 }\n", "XYZ"),
        ("[number]\nlist = { separator = \"\", take = 0 }\n", "separator"),
        ("[number]\nnegative_when = { type = [] }\n", "names no word"),
        ("[number]\nnegative_when = { \"a b\" = \"x\" }\n", "a b"),
        ("[click_id]\nprefix = \"\"\n", "prefix"),
        ("[reply]\nrefusd = \"x\"\n", "refusd"),
    ] {
        let found = problems(&format!("{MAP}{BY_VALUE}{rest}"));
        assert!(found.iter().any(|one| one.what.contains(what) && one.at.contains(':')), "{rest}: {found:?}");
    }
    for (rest, what) in [
        ("[[event.rules]]\nevent = \"Lead\"\n", "no condition"),
        ("[[event.rules]]\nparam = \"type\"\nevent = \"Lead\"\n", "one of `param` and `is`"),
        ("[[event.rules]]\nstatus = \"pending\"\n", "one of `event` and `ignore`"),
        (
            "[[event.rules]]\nstatus = \"pending\"\nevent = \"Lead\"\nignore = true\n",
            "one of `event` and `ignore`",
        ),
        ("[[event.rules]]\nstatus = \"paid\"\nevent = \"Lead\"\n", "paid"),
        ("[[event.rules]]\nvalue = \"negative\"\nevent = \"Lead\"\n", "negative"),
        ("ignore = \"ping\"\n", "`ignore` is of event words"),
    ] {
        let found = problems(&format!("{MAP}{BY_VALUE}{rest}"));
        assert!(found.iter().any(|one| one.what.contains(what)), "{rest}: {found:?}");
    }
    for name in ["header:", "header:a b", "header:Authorization", "header:cookie"] {
        let found = problems(&MAP.replace("\"payout\"", &format!("\"{name}\"")));
        assert!(found.iter().any(|one| one.what.contains(name)), "{name}: {found:?}");
    }
}
