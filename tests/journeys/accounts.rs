//! Accounts at stand-ins of platforms: the configuration of a relay that sends to them, and how their deliveries are.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use postbridge::template::catalog::Catalog;
use postbridge::template::destination::definition::DestinationTemplate;
use serde_json::Value;

use crate::support::change_form::ChangeRules;
use crate::support::known_events::{own_events, settings_of};
use crate::support::relay::{KEY, Relay, Setup};
use crate::support::stand_in::StandIn;
use crate::support::token_server;

/// The configuration of the `run`th run, with requests of up to so many events, where the platform takes several.
pub fn setup(
    folder: &Path,
    catalog: &Catalog,
    stand_ins: &[StandIn],
    (events, run): (usize, usize),
) -> Setup {
    let mut extra = String::new();
    for template in ["cake", "generic"] {
        write!(
            extra,
            "[[source]]\nid = \"{template}-test\"\ntemplate = \"{template}\"\nkey = \"{KEY}\"\ncurrency = \"USD\"\n\
             unmatched = \"forward\"\n"
        )
        .unwrap();
    }
    for stand_in in stand_ins {
        let id = format!("to-{}", stand_in.name);
        extra.push_str(&destination(&id, folder, catalog, (stand_in, run), events));
    }
    Setup { extra, ..Setup::of(folder) }
}

/// A destination at a stand-in, for the `run`th run, with requests of up to so many events.
pub fn destination(
    id: &str,
    folder: &Path,
    catalog: &Catalog,
    (stand_in, run): (&StandIn, usize),
    events: usize,
) -> String {
    let (name, endpoint) = (&stand_in.name, stand_in.endpoint(run));
    let template = catalog.destination(name).unwrap();
    let mut text = format!(
        "[[destination]]\nid = \"{id}\"\ntemplate = \"{name}\"\nendpoint = \"{endpoint}\"\n\
         allow_private_network = true\n"
    );
    if let Some(choice) = ChangeRules::of(name).and_then(|rules| rules.choice) {
        writeln!(text, "on_rejected = \"{choice}\"").unwrap();
    }
    if events > 1 && template.max_batch() > 1 {
        writeln!(text, "batch = {{ max_events = {events}, max_wait_ms = 50 }}").unwrap();
    }
    text + &account(&folder.join(format!("{id}.token")), stand_in, &template)
}

/// What an account has of its own: where it signs in, its settings, and its names of events.
fn account(file: &Path, stand_in: &StandIn, template: &DestinationTemplate) -> String {
    let mut account = String::new();
    let mut settings = settings_of(template);
    if let Some(tokens) = &stand_in.tokens {
        writeln!(account, "token_endpoint = \"{}\"", tokens.platform.url("")).unwrap();
        settings.remove("refresh_token");
        if !file.exists() {
            std::fs::write(file, token_server::FIRST).unwrap();
        }
    }
    account.push_str("[destination.settings]\n");
    for (setting, value) in settings {
        writeln!(account, "{setting} = \"{value}\"").unwrap();
    }
    if stand_in.tokens.is_some() {
        writeln!(account, "refresh_token = {{ file = \"{}\" }}", file.display()).unwrap();
    }
    account.push_str("[destination.events]\n");
    for (event, name) in own_events(template) {
        writeln!(account, "{event} = \"{name}\"").unwrap();
    }
    account
}

/// A delivery: its destination, the transaction id of its sale, and its occasion, 0 for the first.
pub type DeliveryKey = (String, String, u64);

/// The deliveries of a sale to one platform, in their order: of the event, and of changes.
pub fn of_sale<'a>(
    all: &'a BTreeMap<DeliveryKey, Value>,
    platform: &str,
    tid: &str,
) -> (Vec<&'a Value>, Vec<&'a Value>) {
    let key = |occasion| (format!("to-{platform}"), tid.to_owned(), occasion);
    let mine: Vec<&Value> = all.range(key(0)..=key(u64::MAX)).map(|(_, delivery)| delivery).collect();
    let (events, mut changes): (Vec<&Value>, Vec<&Value>) =
        mine.into_iter().partition(|delivery| is_event(delivery));
    if events.is_empty() && !changes.is_empty() {
        // It was rejected before anyone knew whether it was taken.
        return (vec![changes.remove(0)], changes);
    }
    (events, changes)
}

/// Whether a delivery is of the event, and not of a change of what was sent before.
pub fn is_event(delivery: &Value) -> bool {
    delivery["kind"] == "event"
}

/// Every delivery; `None` while they cannot be read.
pub fn deliveries(relay: &Relay) -> Option<BTreeMap<DeliveryKey, Value>> {
    let mut found = BTreeMap::new();
    let mut cursor = String::new();
    loop {
        let page = relay.try_api(&format!("/api/v1/deliveries?limit=500{cursor}"))?;
        for delivery in page["items"].as_array()? {
            let key = |name: &str| delivery[name].as_str().map(str::to_owned);
            let occasion = key("occasion")?.parse().unwrap_or_default();
            found.insert((key("destination")?, key("transaction_id")?, occasion), delivery.clone());
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Some(found),
        }
    }
}

/// Whether nothing more becomes of a delivery.
pub fn is_final(delivery: &Value) -> bool {
    matches!(delivery["state"].as_str(), Some("delivered" | "dead" | "skipped"))
}
