//! What a template says of asking a platform later: when, and what it cannot say.

use std::collections::BTreeMap;
use std::sync::Arc;

use postbridge::domain::ids::DestinationId;
use postbridge::domain::time::{HOUR_MS, MINUTE_MS};
use postbridge::template::destination::confirm::PollSchedule;
use postbridge::template::destination::definition::DestinationTemplate;
use postbridge::template::destination::ready::ReadyDestination;
use postbridge::template::destination::rendering::DestinationMode;
use postbridge::template::destination::spec::DestinationSpec;

const URL: &str = "url = \"https://platform.invalid/status?id={{request_id}}\"\n";
const RULE: &str = "[[confirm.rule]]\nstatus = [200]\nthen = \"delivered\"\n";

fn template(confirm: &str) -> Result<DestinationTemplate, Vec<String>> {
    parse(&format!("[confirm]\nid = \"/id\"\n{confirm}"), &[])
}

/// A template with this behind the address of its requests.
fn parse(rest: &str, others: &[(&str, &str)]) -> Result<DestinationTemplate, Vec<String>> {
    let toml = format!(
        "label = \"Stand-in\"\n[events]\nPurchase = \"purchase\"\n[request]\nurl = \"https://platform.invalid/events\"\n{rest}"
    );
    let mut files = BTreeMap::from([
        ("destination.toml".to_owned(), toml),
        ("event.json.hbs".to_owned(), "{\"id\": {{json event_id}}}".to_owned()),
    ]);
    files.extend(others.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())));
    DestinationTemplate::parse("standin", "standin", &files)
        .map_err(|problems| problems.into_iter().map(|problem| problem.what).collect())
}

#[test]
fn a_template_says_when_its_platform_is_asked_and_for_how_long() {
    let schedule = "after_minutes = [2, 20]\nevery_minutes = 90\nfor_hours = 48\n";
    let template = template(&format!("{URL}{schedule}{RULE}")).ok().unwrap();
    let spec = DestinationSpec {
        id: DestinationId::parse("a").unwrap(),
        template: Arc::new(template),
        mode: DestinationMode::Live,
        endpoint: None,
        token_endpoint: None,
        on_rejected: None,
        settings: BTreeMap::new(),
        events: BTreeMap::new(),
    };
    let ready = ReadyDestination::build(spec).ok().unwrap();
    let first_ms = vec![2 * MINUTE_MS, 20 * MINUTE_MS];
    let expected = PollSchedule { first_ms, every_ms: 90 * MINUTE_MS, for_ms: 48 * HOUR_MS };
    assert_eq!(ready.polls(), Some(&expected));
}

#[test]
fn fifty_events_share_a_request_where_no_one_says_how_many() {
    let confirm = format!("{URL}{RULE}");
    for (batch, expected) in [("max = 1000", 50), ("max = 20", 20), ("max = 1000\nusual = 7", 7)] {
        let files = ("envelope.json.hbs", "{\"events\": {{events}}}");
        let template =
            parse(&format!("[confirm]\nid = \"/id\"\n{confirm}[batch]\n{batch}\n"), &[files]).ok().unwrap();
        assert_eq!(template.batch().max_events, expected, "{batch}");
    }
}

#[test]
fn what_cannot_be_asked_is_a_mistake() {
    let other = |url: &str| format!("url = \"{url}\"\n{RULE}");
    for (confirm, said) in [
        (URL.to_owned(), "has no rules"),
        (other("https://platform.invalid/status"), "does not say which request"),
        (other("https://platform.invalid/{{request_id}}?x={{event_id}}"), "more than one value"),
        (other("http://platform.invalid/{{request_id}}"), "no https address"),
        (format!("{URL}after_minutes = [5, 1]\n{RULE}"), "not ascending"),
        (format!("{URL}{RULE}").replace("delivered", "park"), "parks no destination"),
        (format!("{URL}{RULE}[[confirm.row]]\nthen = \"dead\"\n"), "no `rows`"),
        (
            format!("{URL}{RULE}[changes]\non_rejected = \"status\"\n"),
            "before the platform has said what it took",
        ),
    ] {
        let problems = template(&confirm).err().unwrap_or_default();
        assert!(problems.iter().any(|problem| problem.contains(said)), "{confirm}: {problems:?}");
    }
}

#[test]
fn a_token_is_renewed_only_where_one_is_given_and_nothing_was_delivered() {
    const AUTH: &str = "auth = { kind = \"oauth2-refresh\", client_id = \"token\", refresh_token = \"token\", \
                        token_url = \"https://tokens.invalid/token\" }\n[[setting]]\nname = \"token\"\nlabel = \"Token\"\n";
    let problems = |auth: &str, rule: &str, then: &str| {
        let rule = format!("{rule}\nstatus = [400]\nrenew_token = true\nthen = \"{then}\"\n");
        let confirm = if rule.starts_with("[[confirm") {
            format!("[confirm]\nid = \"/id\"\n{URL}")
        } else {
            String::new()
        };
        parse(&format!("{auth}{confirm}{rule}"), &[]).err().unwrap_or_default()
    };
    for rule in ["[[reply.rule]]", "[[confirm.rule]]"] {
        assert_eq!(problems(AUTH, rule, "retry"), Vec::<String>::new(), "{rule}");
        assert_eq!(
            problems("", rule, "retry"),
            ["the template does not sign in, so there is no token to renew"],
            "{rule}"
        );
        for then in ["delivered", "duplicate"] {
            assert_eq!(
                problems(AUTH, rule, then),
                ["what was delivered is not sent again with another token"],
                "{rule} {then}"
            );
        }
    }
}
