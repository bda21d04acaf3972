//! The URL that is pasted at a network: with macros, with constants in their place, or bare for a webhook.

use postbridge::domain::event::EventName;
use postbridge::domain::ids::SourceId;
use postbridge::domain::status::Status;
use postbridge::template::catalog::Catalog;
use postbridge::template::source::definition::{SourceBinding, SourceTemplate};
use postbridge::template::source::request;

/// A network with one URL for each status, by a parameter of the template's own, and an amount with a comma.
const OWN: &str = r##"name = "own"
macro = "{{}}"
postback = ["cid=sub1", "tid", "sum", "goal"]
extra = ["offer"]
[map]
click_id = "cid"
transaction_id = "tid"
value = ["amount", "sum"]
event = "goal"
item_id = "{{offer}}-{{goal}}"
currency = "cur"
[constant]
status = "st"
country = "geo"
[status]
hold = "pending"
ok = "approved"
[event]
names = { ftd = "Purchase" }
by_value = { positive = "Purchase", zero = "Lead" }
[number]
format = "comma"
"##;

/// A shop's webhook: no macro, no URL parameters.
const HOOK: &str = r##"name = "hook"
title = "A shop's webhook"
paste_at = "Settings → Notifications → Webhooks"
caveats = ["Orders that were paid by hand are not sent."]
[map]
transaction_id = "id"
value = "total"
event = "type"
[constant]
status = "st"
[status]
ok = "approved"
[default]
currency = "EUR"
"##;

fn template(text: &str) -> SourceTemplate {
    SourceTemplate::parse("own.toml", text).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

fn binding() -> SourceBinding {
    SourceBinding::of(SourceId::parse("own").unwrap())
}

fn query(template: &SourceTemplate, set: &[&str]) -> Result<String, String> {
    let constants: Result<Vec<_>, _> =
        set.iter().map(|written| template.constant(&binding(), written)).collect();
    let query = constants.and_then(|constants| template.postback_query_with(&[], &constants));
    query.map_err(|problem| problem.to_string())
}

fn problems(text: &str) -> String {
    let found = SourceTemplate::parse("own.toml", text).unwrap_err();
    found.iter().map(|problem| format!("{problem}\n")).collect()
}

#[test]
fn a_constant_takes_the_place_of_its_macro_or_is_written_behind() {
    let own = template(OWN);
    let written = |set: &[&str]| query(&own, set).unwrap();
    assert_eq!(written(&[]), "cid={sub1}&tid={tid}&sum={sum}&goal={goal}");
    assert_eq!(written(&["event=ftd"]), "cid={sub1}&tid={tid}&sum={sum}&goal=ftd");
    assert_eq!(
        written(&["status=hold", "event = Purchase", "currency=EUR"]),
        "cid={sub1}&tid={tid}&sum={sum}&goal=Purchase&st=hold&cur=EUR"
    );
    // What is read first is what is written.
    assert_eq!(written(&["value=7,50"]), "cid={sub1}&tid={tid}&sum={sum}&goal={goal}&amount=7%2C50");
    assert_eq!(written(&["country=D E&x"]), "cid={sub1}&tid={tid}&sum={sum}&goal={goal}&geo=D%20E%26x");
}

#[test]
fn a_constant_is_read_as_its_field() {
    let own = template(OWN);
    let constants = ["status=HOLD", "event=ftd", "value=7,50", "currency=EUR"];
    let constants = constants.map(|written| own.constant(&binding(), written).unwrap());
    let query = own.postback_query_with(&[], &constants).unwrap();
    let query = query.replace("{sub1}", "k1").replace("{tid}", "T-1").replace("{sum}", "9");
    let params = request::read(query.as_bytes(), None, b"").unwrap();
    let draft = own.map(&binding(), &params).unwrap().draft().unwrap();
    assert_eq!(draft.status, Some(Status::Pending), "{query}");
    assert_eq!(draft.value.unwrap().amount.to_string(), "7.50");
    assert_eq!(draft.transaction_id.as_deref(), Some("T-1"));
}

#[test]
fn what_the_source_would_not_understand_is_refused_with_what_was_meant() {
    let own = template(OWN);
    for (set, wanted) in [
        (
            "status=hld",
            "`hld` cannot be the `status`: it is not a status that this source knows\n  hint: did you mean `hold`?",
        ),
        ("status=", "it is empty"),
        ("status", "`status` sets nothing"),
        ("sttus=hold", "there is no field `sttus`\n  hint: did you mean `status`?"),
        ("event=ftdd", "did you mean `ftd`?"),
        ("event=Purchas", "did you mean `Purchase`?"),
        ("event=anything", "it knows ftd, Purchase, Lead"),
        ("value=7.5.0", "it is not an amount as the network writes it"),
        ("value={sum}", "it is no value, but the place of one"),
        ("currency=EURO", "it is not a code of ISO 4217"),
        ("transaction_id=1", "`transaction_id` cannot be set: it would be the same id for every postback"),
        ("click_id=1", "would be the same id"),
        ("event_time=1795774500", "would be the same time"),
        ("item_id=7", "joins `item_id` of several parameters"),
        ("email=a@b.example", "the template `own` reads no `email`"),
    ] {
        let said = query(&own, &[set]).unwrap_err();
        assert!(said.contains(wanted), "{set}: {said}");
        assert!(said.contains("hint: "), "{set}: {said}");
    }
    let twice = query(&own, &["status=hold", "status=ok"]).unwrap_err();
    assert!(twice.contains("`st` is set twice"), "{twice}");
}

#[test]
fn the_accounts_own_words_are_understood_too() {
    let own = template(OWN);
    let account = SourceBinding {
        statuses: vec![("later".to_owned(), Status::Pending)],
        events: vec![("reg".to_owned(), EventName::parse("CompleteRegistration").unwrap())],
        ..binding()
    };
    for written in ["status=Later", "status=hold", "event=reg", "event=ftd"] {
        assert!(own.constant(&account, written).is_ok(), "{written}");
    }
    assert!(own.constant(&binding(), "status=later").is_err());
    let near = own.constant(&account, "status=latr").unwrap_err();
    assert_eq!(near.hint, "did you mean `later`?");
}

#[test]
fn what_a_header_says_is_in_no_url_and_cents_are_cents() {
    let text = OWN
        .replace("event = \"goal\"", "event = \"header:x-topic\"")
        .replace("format = \"comma\"", "unit = \"minor\"");
    let own = template(&text);
    let header = own.constant(&binding(), "event=ftd").unwrap_err();
    assert!(header.what.contains("reads `event` from a header"), "{header}");
    let query = query(&own, &["value=750"]).unwrap();
    assert!(query.ends_with("&amount=750"), "{query}");
}

#[test]
fn a_goals_url_of_a_built_in_template_names_its_event() {
    let catalog = Catalog::load(None).unwrap();
    let tune = catalog.source("tune").unwrap();
    let url = query(&tune, &["event=CompleteRegistration"]).unwrap();
    assert!(url.ends_with("&offer_id={offer_id}&event=CompleteRegistration"), "{url}");
    let affise = catalog.source("affise").unwrap();
    assert!(query(&affise, &["status=2"]).unwrap().contains("&status=2&"));
    let shakes = catalog.source("shakes").unwrap();
    assert!(
        query(&shakes, &["status=none"]).unwrap().ends_with("&status=none"),
        "a word for nothing elsewhere"
    );
    assert!(query(&affise, &["status=approved"]).unwrap_err().contains("it knows 1, 2, 3, 5"));
}

#[test]
fn a_template_without_macros_is_of_a_webhook() {
    let hook = template(HOOK);
    assert!(hook.is_webhook() && !template(OWN).is_webhook());
    assert_eq!(
        (hook.title(), hook.paste_at()),
        ("A shop's webhook", Some("Settings → Notifications → Webhooks"))
    );
    assert_eq!(hook.caveats(), ["Orders that were paid by hand are not sent."]);
    assert_eq!((template(OWN).title(), template(OWN).paste_at()), ("own", None));
    assert_eq!(query(&hook, &[]).unwrap(), "");
    assert_eq!(query(&hook, &["status=ok"]).unwrap(), "st=ok");
    // It is in the body, and there twice would be a mistake.
    let event = query(&hook, &["event=Purchase"]).unwrap_err();
    assert!(event.contains("reads `event` from the body"), "{event}");
    let body = br#"{"id":"W-1","total":"7.50","type":"Purchase"}"#;
    let params = request::read(b"st=ok", Some("application/json"), body).unwrap();
    let draft = hook.map(&binding(), &params).unwrap().draft().unwrap();
    assert_eq!(draft.transaction_id.as_deref(), Some("W-1"));
}

#[test]
fn macro_and_parameters_of_a_url_are_there_together_or_not_at_all() {
    let line = |text: &str| OWN.replace(text, "");
    let without_parameters =
        line("postback = [\"cid=sub1\", \"tid\", \"sum\", \"goal\"]\nextra = [\"offer\"]\n");
    assert!(problems(&without_parameters).contains("own.toml:2: `macro` is there, and no `postback`"));
    let without_macro = problems(&line("macro = \"{{}}\"\n"));
    assert!(without_macro.contains("no `macro` says how the network writes"), "{without_macro}");
    let empty = OWN.replace("[\"cid=sub1\", \"tid\", \"sum\", \"goal\"]", "[]");
    assert!(problems(&empty).contains("no `postback` parameters are named"));
    let extra = problems(&format!("extra = [\"x\"]\n{HOOK}"));
    assert!(extra.contains("own.toml:1: parameters of a URL are named"), "{extra}");
}

#[test]
fn mistakes_in_constants_and_in_what_is_said_to_people_have_their_line() {
    let with = |line: &str| problems(&OWN.replace("status = \"st\"\n", &format!("{line}\n")));
    for (line, wanted) in [
        (
            "transaction_id = \"x\"",
            "own.toml:13: `transaction_id` in [constant]: a constant would be the same id",
        ),
        ("status = \"goal\"", "the parameter `goal` is there already"),
        ("status = \"a b\"", "`a b` is not a parameter's name"),
        ("sttus = \"st\"", "did you mean `status`?"),
    ] {
        assert!(with(line).contains(wanted), "{line}: {}", with(line));
    }
    for (line, wanted) in [
        ("title = \" \"", "`title` is empty"),
        ("paste_at = \"\"", "`paste_at` is empty"),
        ("caveats = []", "one of the `caveats` is empty"),
        ("caveats = [\"\"]", "one of the `caveats` is empty"),
        ("macro = \"{}x\"", "has nothing on one side of the name"),
    ] {
        let text = if line.starts_with("macro") {
            OWN.replace("macro = \"{{}}\"", line)
        } else {
            format!("{line}\n{OWN}")
        };
        assert!(problems(&text).contains(wanted), "{line}: {}", problems(&text));
    }
}

#[test]
fn a_currency_that_only_a_constant_names_is_the_sources_to_name() {
    let text =
        OWN.replace("currency = \"cur\"\n", "").replace("[constant]\n", "[constant]\ncurrency = \"cur\"\n");
    assert!(!template(&text).maps_currency() && template(OWN).maps_currency());
}
