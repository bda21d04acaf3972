//! The format of source templates: what a file may say, the URL it makes, and what is said of a wrong one.

use postbridge::domain::click::CustomerTrait;
use postbridge::domain::code::CodedReason;
use postbridge::domain::conversion::{Dedup, EventClaim};
use postbridge::domain::ids::SourceId;
use postbridge::domain::money::Currency;
use postbridge::domain::postback::VerdictName;
use postbridge::domain::rejection::code::RejectionCode;
use postbridge::domain::status::Status;
use postbridge::template::diagnostic::Problem;
use postbridge::template::source::definition::{SourceBinding, SourceTemplate};
use postbridge::template::source::explain::{ExplainedField, ParamOutcome};
use postbridge::template::source::request;

const CAKE: &str = include_str!("../../templates/sources/cake.toml");
const GENERIC: &str = include_str!("../../templates/sources/generic.toml");

fn template(text: &str) -> SourceTemplate {
    SourceTemplate::parse("test.toml", text).unwrap_or_else(|problems| panic!("{problems:?}"))
}

fn problems(text: &str) -> Vec<Problem> {
    SourceTemplate::parse("test.toml", text).map(|_| ()).unwrap_err()
}

fn binding(currency: Option<&str>) -> SourceBinding {
    let source = SourceId::parse("a-source").unwrap();
    SourceBinding { currency: currency.and_then(Currency::parse), ..SourceBinding::of(source) }
}

fn map(template: &SourceTemplate, query: &str) -> postbridge::domain::conversion::Draft {
    let read = request::read(query.as_bytes(), None, b"").unwrap();
    template.map(&binding(Some("USD")), &read).unwrap().draft().unwrap()
}

const SMALL: &str = r#"
name = "small"
macro = "{{}}"
postback = ["cid=aff_sub", "amount=payout"]
[map]
click_id = "cid"
value = "amount"
[event]
by_value = { positive = "Purchase", zero = "Lead" }
"#;

#[test]
fn the_cake_url_is_the_one_to_paste() {
    let url = template(CAKE).postback_query(&[]).unwrap();
    let seed = "s1=#s1#&s2=#s2#&s3=#s3#&s4=#s4#&s5=#s5#&oid=#oid#&affid=#affid#&campid=#campid#&cid=#cid#&tid=#tid#&price=#price#";
    assert_eq!(url, seed);
    let with = template(CAKE)
        .postback_query(&["leadid".to_owned(), "utcunixtime".to_owned(), "tid".to_owned()])
        .unwrap();
    assert_eq!(with, format!("{seed}&leadid=#leadid#&utcunixtime=#utcunixtime#"));
}

#[test]
fn a_further_parameter_that_is_not_known_gets_the_nearest_one_named() {
    let problem = template(CAKE).postback_query(&["leadidd".to_owned()]).unwrap_err();
    assert!(problem.what.contains("`leadidd`") && problem.hint.contains("`leadid`"), "{problem}");
}

#[test]
fn a_macro_may_have_another_name_than_its_parameter() {
    assert_eq!(template(SMALL).postback_query(&[]).unwrap(), "cid={aff_sub}&amount={payout}");
}

#[test]
fn the_macros_marks_are_what_is_around_the_braces() {
    for (marks, url) in
        [("#{}#", "#x#"), ("{{{}}}", "{{x}}"), ("${{}}", "${x}"), ("!!!{}!!!", "!!!x!!!"), ("<{}>", "<x>")]
    {
        let text = SMALL.replace("{{}}", marks).replace("cid=aff_sub", "cid=x");
        let query = template(&text).postback_query(&[]).unwrap();
        assert!(query.starts_with(&format!("cid={url}&")), "{query}");
    }
}

#[test]
fn only_a_template_that_maps_or_sets_a_currency_does_without_the_sources() {
    assert!(!template(CAKE).maps_currency());
    assert!(template(GENERIC).maps_currency());
    assert!(template(&format!("{SMALL}\n[default]\ncurrency = \"EUR\"")).maps_currency());
}

#[test]
fn a_template_reports_its_own_ways() {
    let cake = template(CAKE);
    assert_eq!(cake.name(), "cake");
    assert_eq!(cake.link_param(), Some("s2"));
    assert_eq!(cake.link_query(), ["a", "c"]);
    assert!(template(GENERIC).link_query().is_empty());
    assert_eq!(cake.reply().text(VerdictName::Accepted), None);
    assert_eq!(cake.default_dedup(), Dedup::Transaction);
    let (positive, zero) = cake.default_events().unwrap();
    assert_eq!((positive.as_str(), zero.as_str()), ("Purchase", "Lead"));
    assert!(cake.facts().iter().all(|fact| !fact.provenance.from.is_empty()));
    let own = template(&format!("{SMALL}\n[reply]\ntext = \"OK\"\n[dedup]\nmode = \"click\""));
    assert_eq!(own.reply().text(VerdictName::Accepted), Some("OK"));
    assert_eq!(own.default_dedup(), Dedup::Click);
}

#[test]
fn every_problem_is_reported_at_once_with_its_line_and_the_fix() {
    let text = r##"name = "Bad Name"
macro = "hash"
postback = ["a b", "tid", "tid"]
postbak = 1
[map]
clickid = "tid"
value = 7
[status]
ok = "aproved"
[number]
format = "point"
[verify]
kind = "hmac-sha3"
[time]
formats = ["seconds"]
zone = "Mars/Base"
[default]
currency = "XYZW"
[event.names]
sale = ""
"##;
    let found = problems(text);
    let expected = [
        (1, "`Bad Name`"),
        (2, "`hash`"),
        (3, "`a b`"),
        (3, "`tid` is named twice"),
        (4, "`postbak`"),
        (6, "`clickid`"),
        (7, "`value` in [map] is an integer, not a text"),
        (9, "`aproved`"),
        (11, "`point`"),
        (13, "`hmac-sha3`"),
        (15, "`seconds`"),
        (16, "`Mars/Base`"),
        (18, "`XYZW`"),
        (20, "``"),
    ];
    for (line, what) in expected {
        let here = found
            .iter()
            .find(|problem| problem.at == format!("test.toml:{line}") && problem.what.contains(what));
        assert!(here.is_some(), "line {line}, {what}: {found:#?}");
    }
    assert!(found.iter().all(|problem| !problem.hint.is_empty()));
    assert!(found.iter().any(|problem| problem.hint.contains("did you mean `postback`?")));
    assert!(found.iter().any(|problem| problem.hint.contains("did you mean `click_id`?")));
}

#[test]
fn what_is_missing_is_named() {
    let found = problems("docs = \"x\"");
    for key in ["`name`", "`map`"] {
        assert!(found.iter().any(|problem| problem.what.contains(key)), "{key}: {found:?}");
    }
    assert!(!found.iter().any(|problem| problem.what.contains("`macro`")), "a webhook has none: {found:?}");
    let silent = SMALL.replace("by_value", "value_required = []\n#");
    assert!(problems(&silent).iter().any(|problem| problem.what.contains("nothing names the event")));
    let no_words = format!("{SMALL}\n").replace("[map]", "[map]\nstatus = \"st\"");
    assert!(problems(&no_words).iter().any(|problem| problem.what.contains("`status` is missing")));
    assert!(problems("name = ").iter().any(|problem| problem.at == "test.toml:1"));
}

#[test]
fn several_parameters_may_be_joined_into_one_field() {
    let text = SMALL.replace("click_id = \"cid\"", "click_id = \"{{s2}}{{s3}}\"\nitem_id = \"offer-{{o}}\"");
    let joined = map(&template(&text), "s2=abc&s3=def&o=7&amount=1");
    assert_eq!(joined.click_id.as_deref(), Some("abcdef"));
    assert_eq!(joined.item_id.as_deref(), Some("offer-7"));
    let half = map(&template(&text), "s2=abc&s3=&amount=1");
    assert_eq!((half.click_id.as_deref(), half.item_id), (Some("abc"), None));
    let read = request::read(b"s2=abc&s3={s3}&amount=1", None, b"").unwrap();
    let draft = template(&text).map(&binding(Some("USD")), &read).unwrap().draft().unwrap();
    assert_eq!(draft.click_id, None, "half an id is none");
    assert_eq!(draft.notes[0].problem().unwrap().field, "s3");
}

#[test]
fn a_comma_is_a_decimal_mark_only_where_the_template_says_so() {
    let text = format!("{SMALL}\n[number]\nformat = \"comma\"");
    assert_eq!(map(&template(&text), "cid=a&amount=7,00").value.unwrap().amount.to_string(), "7.00");
    let read = request::read(b"cid=a&amount=7.00", None, b"").unwrap();
    assert!(template(&text).map(&binding(Some("USD")), &read).is_err());
}

#[test]
fn a_status_may_report_the_event_and_defaults_fill_what_is_absent() {
    let text = r#"
name = "own"
macro = "{{}}"
names = "loose"
postback = ["cid", "st"]
[map]
click_id = "cid"
status = "st"
value = "v"
[status]
REG = "approved"
Sale = "pending"
[event]
by_status = { reg = "CompleteRegistration" }
[default]
status = "sale"
event = "Purchase"
value = "2.50"
item_id = "the-one"
"#;
    let named = map(&template(text), "cid=a&ST=Reg");
    assert_eq!((named.event, named.status), (claim("CompleteRegistration"), Some(Status::Approved)));
    let silent = map(&template(text), "cid=a");
    assert_eq!((silent.event, silent.status), (claim("Purchase"), Some(Status::Pending)));
    assert_eq!(silent.value.unwrap().to_string(), "2.50 USD");
    assert_eq!(silent.item_id.as_deref(), Some("the-one"));
}

fn claim(name: &str) -> EventClaim {
    EventClaim::Named(postbridge::domain::event::EventName::parse(name).unwrap())
}

#[test]
fn moments_are_read_in_the_templates_formats_and_zone() {
    let text = SMALL.replace("[event]", "event_time = \"t\"\n[time]\nformats = [\"unix\", \"unix_ms\", \"rfc3339\", \"%Y-%m-%d %H:%M:%S\", \"%d/%m/%Y\"]\nzone = \"Etc/GMT-8\"\n[event]");
    let template = template(&text);
    let at =
        |time: &str| map(&template, &format!("amount=1&t={time}")).event_time.map(|time| time.to_string());
    assert_eq!(at("1700000000").as_deref(), Some("2023-11-14T22:13:20.000Z"));
    assert_eq!(at("1700000000123").as_deref(), Some("2023-11-14T22:13:20.123Z"));
    assert_eq!(at("2023-11-14T22:13:20%2B01:00").as_deref(), Some("2023-11-14T21:13:20.000Z"));
    assert_eq!(at("2023-11-14+22:13:20").as_deref(), Some("2023-11-14T14:13:20.000Z"));
    assert_eq!(at("14/11/2023").as_deref(), Some("2023-11-13T16:00:00.000Z"));
    assert_eq!(at("soon"), None);
}

#[test]
fn a_moment_is_compact_or_of_the_epoch_and_never_before_2005() {
    let text = SMALL.replace("[event]", "event_time = \"t\"\n[time]\nzone = \"Etc/GMT-8\"\n[event]");
    let template = template(&text);
    let read = |time: &str| map(&template, &format!("amount=1&t={time}"));
    let at = |time: &str| read(time).event_time.map(|time| time.to_string());
    assert_eq!(at("20261127101500").as_deref(), Some("2026-11-27T02:15:00.000Z"));
    assert_eq!(at("202611271015").as_deref(), Some("2026-11-27T02:15:00.000Z"));
    assert_eq!(at("20261127T101500.5Z").as_deref(), Some("2026-11-27T10:15:00.500Z"));
    assert_eq!(at("20261127").as_deref(), Some("2026-11-26T16:00:00.000Z"));
    assert_eq!(at("1795774500123456").as_deref(), Some("2026-11-27T10:15:00.123Z"));
    assert_eq!(at("2026-11-27T10:15:00+02:00").as_deref(), Some("2026-11-27T08:15:00.000Z"));
    for no_time in ["0", "86400", "1970-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "19990101", "999999999999"]
    {
        let draft = read(no_time);
        assert_eq!(draft.event_time, None, "{no_time}");
        let problem = draft.notes[0].problem().unwrap();
        assert_eq!((problem.field.as_str(), problem.value.as_deref()), ("t", Some(no_time)));
    }
}

#[test]
fn a_time_more_than_a_day_ahead_is_left_out_and_named() {
    let text = SMALL.replace("[event]", "event_time = \"t\"\n[event]");
    let template = template(&text);
    let received_at = postbridge::domain::time::Time::parse("2026-11-27T10:00:00Z").unwrap();
    let read = |time: &str| {
        let params = request::read(format!("amount=1&t={time}").as_bytes(), None, b"").unwrap();
        let usd = binding(Some("USD"));
        let mut draft = template.map(&usd, &params).unwrap().draft().unwrap();
        template.leave_out_time_ahead(&usd, &mut draft, (&params, received_at));
        draft
    };
    for ahead in ["2026-11-28T10:00:01Z", "20991231", "4000000000"] {
        let draft = read(ahead);
        assert_eq!(draft.event_time, None, "{ahead}");
        let problem = draft.notes[0].problem().unwrap();
        assert_eq!((problem.code(), problem.field.as_str()), (RejectionCode::TimeAhead, "t"));
        assert_eq!(problem.value.as_deref(), Some(ahead));
    }
    for near in ["2026-11-28T10:00:00Z", "2026-11-27T10:00:00Z", "2005-01-01T00:00:00Z"] {
        let draft = read(near);
        assert!(draft.event_time.is_some() && draft.notes.is_empty(), "{near}: {draft:?}");
    }
}

#[test]
fn each_parameter_is_explained_and_no_secret_shown() {
    let read = request::read(b"s1=%23s1%23&s2=abc&price=seven&foo=1&api_key=hush", None, b"").unwrap();
    use ExplainedField::{KeptByName, Mapped};
    use ParamOutcome::{LeftOut, NotRead, Taken};
    let reported = template(CAKE).explain(&binding(Some("USD")), &read);
    let rows: Vec<_> = reported
        .iter()
        .map(|row| (row.param.as_str(), row.received_text.as_str(), row.field, row.outcome))
        .collect();
    let expected = [
        ("s1", "#s1#", Some(KeptByName), LeftOut("a macro that was not filled in")),
        ("s2", "abc", Some(Mapped("click_id")), Taken),
        ("price", "seven", Some(Mapped("value")), LeftOut("no decimal")),
        ("foo", "1", None, NotRead),
        ("api_key", "***", None, NotRead),
    ];
    assert_eq!(rows, expected);
}

/// Every field and value by which the draft's notes name what was left out.
fn values_of_notes(template: &SourceTemplate, query: &str) -> Vec<(String, Option<String>)> {
    let notes = map(template, query).notes;
    let problems = notes.iter().filter_map(|note| note.problem());
    problems.map(|problem| (problem.field.clone(), problem.value().map(str::to_owned))).collect()
}

#[test]
fn no_value_of_a_customer_is_shown_apart_from_its_sentence() {
    let generic = template(GENERIC);
    for (_, name) in CustomerTrait::NAMES {
        let query = format!("value=1&{name}=anna%40example.com%7Blast%7D");
        assert_eq!(values_of_notes(&generic, &query), [(name.to_owned(), None)], "{name}");
        let exact = template(&SMALL.replace("[event]", &format!("{name} = \"{name}\"\n[event]")));
        let misspelt = name.to_uppercase();
        let query = format!("amount=1&{misspelt}=anna");
        assert_eq!(values_of_notes(&exact, &query), [(misspelt, None)]);
        // It may be read for a field of the sale too.
        let both = template(&SMALL.replace("\nvalue =", &format!("\n{name} = \"amount\"\nvalue =")));
        let read = request::read(b"amount=anna", None, b"").unwrap();
        let rejection = both.map(&binding(Some("USD")), &read).unwrap_err();
        assert_eq!((rejection.field(), rejection.value()), (Some("amount"), None), "{name}");
    }
    // What a parameter holds that is only kept, no one knows.
    assert_eq!(values_of_notes(&generic, "value=1&sub1=%23s1%23"), [("sub1".to_owned(), None)]);
    let of_the_sale = ("payout".to_owned(), Some("7,50".to_owned()));
    assert_eq!(values_of_notes(&generic, "value=1&payout=7,50"), [of_the_sale]);
}
