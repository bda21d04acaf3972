//! The sale of a test event: of every template with a test mode each event of it can be sent, complete, and never as a
//! sale that counts.

use std::collections::BTreeSet;

use postbridge::domain::code::CodedReason;
use postbridge::domain::event::EventName;
use postbridge::domain::remark::Remark;
use postbridge::domain::sent::DeliveryKind;
use postbridge::domain::test_event::{TestCounts, TestRefused};
use postbridge::domain::time::Time;
use postbridge::template::catalog::Catalog;
use postbridge::template::destination::definition::DestinationTemplate;
use postbridge::template::destination::envelope::EventPart;
use postbridge::template::destination::made_up::MadeUpSale;
use postbridge::template::destination::ready::ReadyDestination;
use postbridge::template::destination::rendering::{DestinationMode, RenderInput, Rendered, Rendering};
use postbridge::template::diagnostic::Problem;
use postbridge::template::provenance::{FactKind, FactLevel};

use crate::support::known_events::{account, events_of, settings_of};

fn now() -> Time {
    Time::parse("2026-11-29T12:00:00Z").unwrap()
}

fn sale(destination: &ReadyDestination, event: &str, chance: u8) -> MadeUpSale {
    MadeUpSale::of(destination, EventName::parse(event).unwrap(), (now(), [chance; 16])).unwrap()
}

fn rendering(
    destination: &ReadyDestination,
    sale: &MadeUpSale,
    mode: DestinationMode,
) -> Rendering<EventPart> {
    let input = RenderInput {
        conversion: &sale.conversion,
        click: Some(&sale.click),
        delivery: &sale.delivery,
        kind: DeliveryKind::Event,
        sent: None,
        now: now(),
        customer: Default::default(),
    };
    destination.render_event_in(mode, &input).unwrap()
}

fn part(destination: &ReadyDestination, sale: &MadeUpSale, mode: DestinationMode) -> EventPart {
    match rendering(destination, sale, mode).rendered {
        Rendered::Request(part, _) => part,
        Rendered::Skip { reason } => panic!("{} {}: {reason:?}", destination.id(), sale.conversion.event),
    }
}

/// All that is sent, as one text.
fn text(destination: &ReadyDestination, sale: &MadeUpSale) -> String {
    let part = part(destination, sale, DestinationMode::Test);
    let request = destination.assemble(&[&part], &sale.delivery, now()).request;
    format!("{} {}", request.url, String::from_utf8_lossy(&request.body))
}

/// The accounts of the built-in templates that have a test mode.
fn testable() -> Vec<ReadyDestination> {
    let catalog = Catalog::load(None).unwrap();
    let templates = catalog.destination_names().into_iter().filter_map(|name| catalog.destination(name));
    templates.filter(|template| template.has_test_mode()).map(|template| account(&template)).collect()
}

#[test]
fn every_event_of_every_platform_with_a_test_mode_can_be_tested_and_says_that_it_is_a_test() {
    let mut tested = 0;
    for destination in testable() {
        destination
            .check_test_mode()
            .unwrap_or_else(|refused| panic!("{}: {refused:?}", destination.template_name()));
        for event in events_of(destination.template().unwrap()) {
            let sale = sale(&destination, &event, 7);
            let (test, live) = (DestinationMode::Test, DestinationMode::Live);
            let rendering = rendering(&destination, &sale, test);
            let name = destination.template_name();
            // What belongs to other events is left out with a remark; what is of the person or the click never is.
            let of_person = |remark: &&Remark| {
                remark
                    .field()
                    .is_some_and(|field| field.starts_with("traits.") || field.starts_with("click."))
            };
            assert_eq!(rendering.remarks.iter().find(of_person), None, "{name} {event}");
            assert_ne!(
                part(&destination, &sale, test),
                part(&destination, &sale, live),
                "{name} {event}: it would count"
            );
            tested += 1;
        }
    }
    assert!(tested > 40, "{tested}");
}

#[test]
fn whatever_a_platform_keeps_of_a_click_is_in_its_test_event() {
    for destination in testable() {
        let template = destination.template().unwrap();
        let purchase = destination.usual_event().unwrap();
        let sale = sale(&destination, purchase.as_str(), 7);
        let sent = text(&destination, &sale);
        let kept = sale.click.params.iter().chain(&sale.click.cookies);
        // Of a stamped cookie and of a pattern a part is sent.
        let is_sent = |value: &str| value.split(['.', '$']).any(|part| part.len() > 6 && sent.contains(part));
        let sent_of: Vec<&String> =
            kept.clone().filter(|(_, value)| is_sent(value)).map(|(name, _)| name).collect();
        // Of two of which a click has one, the other is not made up.
        let absent = usize::from(template.name() == "google-data-manager");
        let wanted = template.landing_params().len() + template.cookies().len() - absent;
        assert_eq!(kept.count(), wanted, "{}", template.name());
        // Some give a click id for tests, which is a setting.
        let own = settings_of(template).remove("test_click_id");
        let is_own_sent = own.is_some_and(|own| sent.contains(&own));
        // Where either of two is enough, the first is taken.
        assert!(
            wanted == 0 || !sent_of.is_empty() || is_own_sent,
            "{}: none of the click's values is in {sent}",
            template.name()
        );
    }
}

#[test]
fn no_test_event_has_the_id_of_another_and_none_is_of_a_person() {
    for destination in testable() {
        let purchase = destination.usual_event().unwrap();
        let sales: Vec<MadeUpSale> =
            (0..20).map(|chance| sale(&destination, purchase.as_str(), chance)).collect();
        let ids: BTreeSet<String> =
            sales.iter().map(|sale| sale.conversion.id.event_id().to_string()).collect();
        let orders: BTreeSet<_> = sales.iter().map(|sale| sale.conversion.transaction_id.clone()).collect();
        assert_eq!((ids.len(), orders.len()), (20, 20));
        for sale in sales {
            assert!(sale.click.at < sale.conversion.event_time && sale.conversion.event_time < now());
            let email = sale.conversion.traits.get(postbridge::domain::click::CustomerTrait::Email).unwrap();
            assert!(email.ends_with("@example.com"));
            let address = sale.click.ip.unwrap();
            assert!(address.to_string().starts_with("203.0.113."), "an address for examples");
        }
    }
}

#[test]
fn a_setting_that_the_test_mode_needs_is_named_with_where_to_find_it() {
    let catalog = Catalog::load(None).unwrap();
    let template = catalog.destination("meta").unwrap();
    let settings = [("pixel_id", "12"), ("access_token", "t")];
    let destination = crate::support::payload_fixture::ready(template, &settings);
    match destination.check_test_mode() {
        Err(TestRefused::SettingMissing(missing)) => {
            assert_eq!(missing.len(), 1);
            assert_eq!(missing[0].name, "test_event_code");
            assert!(!missing[0].hint.is_empty() && !missing[0].label.is_empty());
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_setup_guide_says_what_to_do_when_the_account_is_refused() {
    let catalog = Catalog::load(None).unwrap();
    for template in catalog.destination_names().into_iter().filter_map(|name| catalog.destination(name)) {
        let (setup, part) = (template.setup(), template.when_refused());
        assert!(setup.contains("\n## When the token is refused\n\n"), "{}", template.name());
        assert!(
            part.len() > 100 && setup.contains(part) && !part.contains("\n## "),
            "{}: {part}",
            template.name()
        );
    }
}

#[test]
fn of_a_guide_without_that_part_the_beginning_is_shown() {
    let files = [
        (
            "destination.toml",
            "label = \"X\"\n[events]\nPurchase = \"p\"\n[request]\nurl = \"https://x.example/\"\n",
        ),
        ("event.json.hbs", "{\"id\": {{json event_id}}}"),
        ("setup.md", "# X\n\nMake a token.\n\n## Usual mistakes\n\nNone.\n"),
    ];
    let files = files.map(|(name, text)| (name.to_owned(), text.to_owned())).into_iter().collect();
    let template =
        postbridge::template::destination::definition::DestinationTemplate::parse("x", "x", &files);
    let template = template.unwrap_or_else(|problems| panic!("{problems:?}"));
    assert_eq!(template.when_refused(), "# X\n\nMake a token.");
}

#[test]
fn a_value_of_a_click_that_the_template_does_not_keep_is_a_mistake() {
    let toml = "label = \"X\"\nlanding_params = [\"cid\"]\n[events]\nPurchase = \"p\"\n[request]\nurl = \"https://x.example/\"\n\
                [test]\ncounts = \"no\"\nneeds = []\n[test.click]\ncid = \"1\"\ncidd = \"2\"\n";
    let files = [("destination.toml", toml), ("event.json.hbs", "{\"id\": {{json event_id}}}")];
    let files = files.map(|(name, text)| (name.to_owned(), text.to_owned())).into_iter().collect();
    let problems =
        postbridge::template::destination::definition::DestinationTemplate::parse("x", "x", &files)
            .err()
            .unwrap();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].what.contains("`cidd`"), "{problems:?}");
}

/// A template whose `[test]` holds these lines.
fn with_test(lines: &str) -> Result<DestinationTemplate, Vec<Problem>> {
    let toml = format!(
        "label = \"X\"\n[events]\nPurchase = \"p\"\n[request]\nurl = \"https://x.example/\"\n[test]\n{lines}\n"
    );
    let files = [("destination.toml", toml.as_str()), ("event.json.hbs", "{\"id\": {{json event_id}}}")];
    let files = files.map(|(name, text)| (name.to_owned(), text.to_owned())).into_iter().collect();
    DestinationTemplate::parse("x", "x", &files)
}

#[test]
fn a_template_says_whether_a_test_event_counts() {
    for (_, counts) in TestCounts::NAMES {
        let template = with_test(&format!("counts = \"{}\"\nnote = \"not the secret\"", counts.as_str()));
        let template = template.ok().unwrap();
        assert_eq!((template.test_counts(), template.test_note()), (Some(counts), Some("not the secret")));
        assert_eq!(counts.refusal().is_none(), counts == TestCounts::No);
    }
    let wrong = |lines: &str| with_test(lines).err().unwrap_or_default();
    let [left_out] = wrong("needs = []").try_into().unwrap();
    assert!(left_out.what.contains("[test] does not say"), "{left_out}");
    assert!(left_out.hint.contains("counts = \"no\"") && left_out.at.ends_with(":6"), "{left_out}");
    let [wrong_word] = wrong("counts = \"perhaps\"").try_into().unwrap();
    assert!(wrong_word.hint.contains("unknown"), "{wrong_word}");
}

#[test]
fn of_every_platform_with_a_test_mode_it_is_known_where_that_is_from() {
    let catalog = Catalog::load(None).unwrap();
    let mut counted = Vec::new();
    for template in catalog.destination_names().into_iter().filter_map(|name| catalog.destination(name)) {
        let Some(counts) = template.test_counts() else { continue };
        let of_test = template.facts().iter().filter(|fact| fact.about == FactKind::TestMode);
        let levels: Vec<FactLevel> = of_test.map(|fact| fact.provenance.level).collect();
        assert!(!levels.is_empty(), "{}: no fact is about `test_mode`", template.name());
        // That a platform uses test events, or does not, is more than a guess.
        let is_known = levels.iter().all(|level| !level.is_in_doubt());
        assert!(is_known || counts == TestCounts::Unknown, "{}: {levels:?}", template.name());
        counted.push((template.name().to_owned(), counts.as_str()));
    }
    for (name, counts) in [("ga4", "no"), ("webhook", "unknown"), ("meta", "yes")] {
        assert!(counted.contains(&(name.to_owned(), counts)), "{counted:?}");
    }
}
