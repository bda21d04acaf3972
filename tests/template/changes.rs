//! `[changes]` of a destination template: what is wrong with it, what an account may choose, what its files say.

use std::collections::BTreeMap;
use std::sync::Arc;

use postbridge::domain::change_rules::{Changes, OnRejected};
use postbridge::domain::conversion::Conversion;
use postbridge::domain::ids::DestinationId;
use postbridge::domain::sent::DeliveryKind;
use postbridge::template::destination::definition::DestinationTemplate;
use postbridge::template::destination::ready::ReadyDestination;
use postbridge::template::destination::rendering::{DestinationMode, RenderInput, Rendered};
use postbridge::template::destination::spec::DestinationSpec;

use crate::support::payload_fixture::{click, conversion, delivery};

const EVENT: &str =
    r#"{"id": {{json event_id}}, "value": {{number value}}, "click": {{json (click_param "cid")}}}"#;

const CHANGE: &str = r#"{"id": {{json sent.event_id}}, "value": {{number (in_restate value)}},
    "kind": {{json (default (in_restate "Restate") (in_retract "Retract"))}}, "click": {{json (sent_id "cid")}}}"#;

fn parse(changes: &str, files: &[(&str, &str)]) -> Result<DestinationTemplate, Vec<String>> {
    let toml = format!(
        "label = \"X\"\nlanding_params = [\"cid\"]\n[events]\nPurchase = \"buy\"\nLead = \"lead\"\n[request]\n\
         url = \"https://a.example/events\"\nquery = {{ v = \"2\" }}\n{changes}"
    );
    let own = [("destination.toml", toml.as_str()), ("event.json.hbs", EVENT)];
    let files: BTreeMap<String, String> =
        own.iter().chain(files).map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    let problems = DestinationTemplate::parse("x", "x", &files);
    problems.map_err(|problems| problems.iter().map(ToString::to_string).collect())
}

fn problem(changes: &str, files: &[(&str, &str)]) -> String {
    let problems = parse(changes, files).err().unwrap_or_default();
    assert_eq!(problems.len(), 1, "{changes}: {problems:?}");
    problems.into_iter().next().unwrap()
}

fn account(
    template: DestinationTemplate,
    on_rejected: Option<OnRejected>,
) -> Result<ReadyDestination, Vec<String>> {
    let spec = DestinationSpec {
        id: DestinationId::parse("x").unwrap(),
        template: Arc::new(template),
        mode: DestinationMode::Live,
        endpoint: None,
        token_endpoint: None,
        settings: BTreeMap::new(),
        on_rejected,
        events: BTreeMap::new(),
    };
    ReadyDestination::build(spec)
        .map_err(|problems| problems.into_iter().map(|wrong| wrong.problem.to_string()).collect())
}

#[test]
fn what_was_a_word_is_a_table_now() {
    for word in ["ignore", "send"] {
        let toml = format!(
            "label = \"X\"\nchanges = \"{word}\"\n[events]\nPurchase = \"buy\"\n[request]\nurl = \"https://a.example\"\n"
        );
        let files = [("destination.toml", toml.as_str()), ("event.json.hbs", EVENT)];
        let files = files.map(|(name, text)| (name.to_owned(), text.to_owned())).into();
        let problems = DestinationTemplate::parse("x", "x", &files).err().unwrap();
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].at.ends_with(":2") && problems[0].hint.contains("[changes]"), "{problems:?}");
    }
}

#[test]
fn changes_that_cannot_be_sent_as_they_are_written_are_problems() {
    let change = ("change.json.hbs", CHANGE);
    let with_table = |text: &str| format!("[changes]\n{text}\n");
    for (changes, files, part) in [
        ("on_value = \"always\"", vec![], "always"),
        ("on_rejected = \"retract\"", vec![], "there is no change.json.hbs"),
        ("on_rejected_choices = [\"retract\"]", vec![], "there is no change.json.hbs"),
        ("max_age_hours = 1", vec![change], "[changes] sends nothing"),
        ("on_value = \"restate\"\nevents = [\"Purchas\"]", vec![], "did you mean `Purchase`?"),
        ("on_value = \"restate\"\nafter_retract = \"restate\"", vec![], "`after_retract`"),
        ("on_rejected = \"status\"\nmin_age_hours = 2", vec![], "`min_age_hours`"),
        ("on_rejected = \"status\"\non_rejected_choices = [\"zero\"]", vec![], "a choice of its own"),
        ("on_value = \"restate\"\nage_hours = 2", vec![], "unknown key `age_hours`"),
        (
            "on_value = \"restate\"",
            vec![("event.json.hbs", r#"{"id": {{json event_id}}}"#)],
            "no request names `value`",
        ),
        (
            "on_value = \"restate\"",
            vec![("change.envelope.json.hbs", r#"{"all": {{events}}}"#)],
            "there is no change.json.hbs",
        ),
        (
            "on_value = \"restate\"",
            vec![("change.json.hbs", r#"{"v": {{json sent.evnt_id}}}"#)],
            "`sent.event_id`?",
        ),
        (
            "on_value = \"restate\"\nrequest = { method = \"PUT\", url = \"https://a.example\" }",
            vec![],
            "`method`",
        ),
    ] {
        let problem = problem(&with_table(changes), &files);
        assert!(problem.contains(part), "{part} in {problem}");
    }
}

#[test]
fn an_account_chooses_among_what_its_template_offers() {
    let template =
        || parse("[changes]\non_value = \"restate\"\non_rejected_choices = [\"zero\"]\n", &[]).unwrap();
    let chosen = |word| {
        account(template(), word).map(|ready| match ready.changes() {
            Changes::By(rules) => rules.on_rejected,
            Changes::Never => panic!("a template has rules"),
        })
    };
    assert_eq!(chosen(None), Ok(OnRejected::None), "not by default");
    assert_eq!(chosen(Some(OnRejected::Zero)), Ok(OnRejected::Zero));
    let refused = chosen(Some(OnRejected::Retract)).unwrap_err();
    assert!(
        refused[0].contains("`x` does not offer") && refused[0].contains("\"none\" or \"zero\""),
        "{refused:?}"
    );
}

/// The request of a delivery that says this, after the first one was sent with another click id in its address.
fn request(ready: &ReadyDestination, kind: DeliveryKind) -> (String, serde_json::Value) {
    let (sold, mut clicked) = (conversion(), click());
    clicked.params = vec![("cid".to_owned(), "C-1".to_owned())];
    let id = delivery(&sold);
    let now = sold.received_at;
    let mut input = RenderInput {
        conversion: &sold,
        click: Some(&clicked),
        delivery: &id,
        kind: DeliveryKind::Event,
        sent: None,
        now,
        customer: Default::default(),
    };
    let rendered = ready.render_event(&input).unwrap().rendered;
    let Rendered::Request(_, sent) = rendered else { panic!("{rendered:?}") };
    assert_eq!(sent.ids, [("cid".to_owned(), "C-1".to_owned())]);
    let changed = Conversion { transaction_id: Some("another".to_owned()), ..sold.clone() };
    (input.conversion, input.click, input.kind, input.sent) = (&changed, None, kind, Some(&*sent));
    let rendered = ready.render_event(&input).unwrap().rendered;
    let Rendered::Request(part, again) = rendered else { panic!("{rendered:?}") };
    assert_eq!(
        (&again.transaction_id, &again.ids),
        (&sent.transaction_id, &sent.ids),
        "as the platform knows it"
    );
    let request = ready.assemble(&[&part], &id, now).request;
    (request.url, serde_json::from_slice(&request.body).unwrap())
}

#[test]
fn a_change_has_a_payload_and_an_address_of_its_own() {
    let changes = "[changes]\non_value = \"restate\"\non_rejected = \"retract\"\n[changes.request]\n\
                   url = \"https://a.example/adjustments\"\nquery = { mode = \"{{kind}}\" }\n";
    let envelope = ("change.envelope.json.hbs", r#"{"Adjustments": {{events}}}"#);
    let files = [("change.json.hbs", CHANGE), envelope];
    let ready = account(parse(changes, &files).unwrap(), None).unwrap();
    let (url, body) = request(&ready, DeliveryKind::Restate);
    assert_eq!(url, "https://a.example/adjustments?mode=restate");
    let change = &body["Adjustments"][0];
    assert_eq!((&change["kind"], &change["click"]), (&"Restate".into(), &"C-1".into()));
    assert!(!change["value"].is_null());
    let (url, body) = request(&ready, DeliveryKind::Retract);
    assert_eq!(url, "https://a.example/adjustments?mode=retract");
    let change = &body["Adjustments"][0];
    assert_eq!((&change["kind"], change.get("value")), (&"Retract".into(), None));
}

#[test]
fn without_a_payload_of_its_own_a_change_is_the_event_with_todays_value() {
    let ready = account(parse("[changes]\non_value = \"restate\"\n", &[]).unwrap(), None).unwrap();
    let (url, body) = request(&ready, DeliveryKind::Restate);
    assert_eq!(url, "https://a.example/events?v=2");
    assert!(!body["value"].is_null() && body["id"].is_string());
}

#[test]
fn firsts_and_changes_never_share_a_request_where_changes_have_their_own() {
    let changes = "[changes]\non_value = \"restate\"\n[batch]\nmax = 9\n";
    let envelopes = [
        ("envelope.json.hbs", r#"{"events": {{events}}}"#),
        ("change.json.hbs", CHANGE),
        ("change.envelope.json.hbs", r#"{"changes": {{events}}}"#),
    ];
    let ready = account(parse(changes, &envelopes).unwrap(), None).unwrap();
    let sold = conversion();
    let id = delivery(&sold);
    let part = |kind, sent| {
        let input = RenderInput {
            conversion: &sold,
            click: None,
            delivery: &id,
            kind,
            sent,
            now: sold.received_at,
            customer: Default::default(),
        };
        match ready.render_event(&input).unwrap().rendered {
            Rendered::Request(part, sent) => (part, sent),
            other => panic!("{other:?}"),
        }
    };
    let (first, sent) = part(DeliveryKind::Event, None);
    let (change, _) = part(DeliveryKind::Restate, Some(&sent));
    assert!(first.joins(&first) && change.joins(&change));
    assert!(!first.joins(&change) && !change.joins(&first));
}
