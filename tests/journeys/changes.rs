//! What platforms were sent of changes: after what they are of, once in effect, and what is so in the end.

use std::collections::BTreeSet;

use rust_decimal::Decimal;
use serde_json::Value;

use crate::journeys::ledger::{SaleAt, repeated_without_need};
use crate::journeys::sales::{SaleChange, Wave, change_of, end_of};
use crate::support::stand_in::Taking;

/// How a platform's changes name what they are of.
struct ChangeMembers {
    /// Where an event and a change name the value.
    value: (&'static str, &'static str),
    /// What a change repeats of its event.
    same: &'static [&'static str],
    /// What says that it is taken back, where its value does not.
    retract: Option<(&'static str, &'static str)>,
}

fn members_of(platform: &str) -> ChangeMembers {
    match platform {
        "microsoft-offline" => ChangeMembers {
            value: ("/ConversionValue", "/AdjustmentValue"),
            same: &["/ConversionName", "/ConversionTime", "/MicrosoftClickId"],
            retract: Some(("/AdjustmentType", "Retract")),
        },
        "google-data-manager" => ChangeMembers {
            value: ("/conversionValue", "/conversionValue"),
            same: &["/transactionId", "/eventTimestamp", "/adIdentifiers/gclid"],
            retract: None,
        },
        "ga4" => ChangeMembers {
            value: ("/events/0/params/value", "/events/0/params/value"),
            same: &["/client_id", "/events/0/params/transaction_id", "/events/0/params/currency"],
            retract: Some(("/events/0/name", "refund")),
        },
        "webhook" => ChangeMembers {
            value: ("/data/value", "/data/value"),
            same: &["/data/id", "/data/event_id", "/data/transaction_id", "/timestamp"],
            retract: Some(("/data/status", "rejected")),
        },
        other => panic!("say here how changes at {other} name what they are of"),
    }
}

/// Fails where a change was sent too early, too often, or says what is not so; answers how each ended.
pub fn check_changes(sale: &SaleAt<'_>) -> Vec<String> {
    let (events, changed) = &sale.taken;
    if sale.is_taken_back_unknown() {
        let needless = repeated_without_need(changed, |taking| taking.event.text.as_str());
        assert!(needless.is_empty() && sale.changes.is_empty(), "in vain in {needless:?}: {}", sale.shown());
        return Vec::new();
    }
    if !is_whole_after_a_dead_event(sale) {
        let early = sale.stand_in.changes_before_their_first(&sale.text);
        assert!(early.is_empty(), "{early:?} before {}", sale.shown());
        assert!(
            changed.is_empty() || !events.is_empty(),
            "what a change is of was never taken: {}",
            sale.shown()
        );
    }
    let needless = repeated_without_need(changed, |taking| taking.event.text.as_str());
    assert!(needless.is_empty(), "in vain in {needless:?}: {}", sale.shown());
    let sent = sale.changes.iter().filter(|change| change["state"] != "skipped").count();
    let distinct: BTreeSet<&str> = changed.iter().map(|taking| taking.event.text.as_str()).collect();
    // What no one knows of may be sent otherwise the next time.
    let most = sent + changed.iter().filter(|taking| sale.is_unknown(taking)).count();
    assert!(distinct.len() <= most, "{sent} changes were planned: {}", sale.shown());
    for change in &sale.changes {
        let is_right = match change["state"].as_str().unwrap() {
            "skipped" => matches!(change["reason_code"].as_str(), Some("irreversible" | "nothing_to_change")),
            "dead" => {
                let refusals = sale.stand_in.refusals(&sale.text);
                change["reason_code"].is_string()
                    && refusals.iter().any(|event| event.is_change != Some(false))
            }
            _ => sale.rules.is_some() && !changed.is_empty(),
        };
        assert!(is_right, "{}", sale.shown());
    }
    if !is_whole_after_a_dead_event(sale) {
        check_effect(sale);
        if change_of(sale.number, Wave::Early).is_none() {
            check_plan(sale);
        }
    }
    let outcome = |change: &&Value| match change["state"].as_str().unwrap() {
        "skipped" => change["reason_code"].as_str().unwrap().to_owned(),
        state => format!("{} {state}", change["kind"].as_str().unwrap()),
    };
    sale.changes.iter().map(outcome).collect()
}

/// A change by status says all of the event, so that it is sent whatever became of that.
fn is_whole_after_a_dead_event(sale: &SaleAt<'_>) -> bool {
    sale.rules.is_some_and(|rules| rules.on_rejected == "status") && sale.event["state"] == "dead"
}

fn amount(event: &Value, at: &str) -> Option<Decimal> {
    event.pointer(at)?.to_string().trim_matches('"').parse().ok()
}

/// The platform has in the end what is so, where it took the last change.
fn check_effect(sale: &SaleAt<'_>) {
    let sent = sale.changes.iter().rev().find(|change| change["state"] != "skipped");
    let Some(last) = sent.filter(|change| change["state"] != "dead") else { return };
    let (rules, members) = (sale.rules.unwrap(), members_of(&sale.stand_in.name));
    let json = |taking: &Taking| serde_json::from_str::<Value>(&taking.event.text).unwrap();
    let (Some(first), Some(change)) = (sale.taken.0.last().map(json), sale.taken.1.last().map(json)) else {
        panic!("nothing was taken: {}", sale.shown());
    };
    for at in members.same {
        // What the platform need not be sent again is left out.
        let (before, now) = (first.pointer(at), change.pointer(at));
        assert!(now.is_none() || now == before, "{at} is {now:?}, not {before:?}: {}", sale.shown());
    }
    let is_rejected = end_of(sale.number).1;
    let says = |(at, word): (&str, &str)| change.pointer(at).is_some_and(|said| said == word);
    if let Some(retract) = members.retract {
        assert_eq!(says(retract), is_rejected, "{}", sale.shown());
    }
    let today = amount(last, "/conversion_value/amount");
    assert!(today.is_some(), "{last:#}");
    let expected = match (is_rejected, rules.on_rejected.as_str()) {
        // What was sent, whatever it is worth now; where it says no value it takes back all.
        (true, "retract") => amount(&change, members.value.1).and(amount(&first, members.value.0)),
        (true, "zero") => Some(Decimal::ZERO),
        _ => today,
    };
    assert_eq!(amount(&change, members.value.1), expected, "{}", sale.shown());
}

/// What became of one late change is what its platform can be informed of.
fn check_plan(sale: &SaleAt<'_>) {
    let Some(before) = sale.before else { return };
    let changes: Vec<_> =
        [Wave::Late, Wave::Last].iter().filter_map(|wave| change_of(sale.number, *wave)).collect();
    let (state, now) = (before["state"].as_str().unwrap(), sale.event["state"].as_str().unwrap());
    let got: Vec<(&str, &str)> = sale.changes.iter().map(|change| planned(change)).collect();
    if changes.is_empty() || matches!(now, "dead" | "skipped") {
        let is_unneeded = got.iter().all(|(_, outcome)| *outcome == "nothing_to_change");
        assert!(is_unneeded && sale.taken.1.is_empty(), "{}", sale.shown());
        return;
    }
    let ([change], true) = (&changes[..], matches!(state, "delivered" | "confirming")) else { return };
    let event = sale.event["event"].as_str().unwrap();
    let rules = sale.rules.filter(|rules| rules.are_about(event));
    let words = rules.map(|rules| (rules.on_value.as_str(), rules.on_rejected.as_str()));
    let wanted = match (change, words) {
        (_, Some((_, "status"))) => Some(("status", "sent")),
        (SaleChange::Value, Some(("restate", _))) => Some(("restate", "sent")),
        (SaleChange::Value, _) => None,
        (SaleChange::Rejection, Some((_, "retract"))) => Some(("retract", "sent")),
        (SaleChange::Rejection, Some((_, "zero"))) => Some(("restate", "sent")),
        (SaleChange::Rejection, _) => Some(("retract", "irreversible")),
    };
    assert_eq!(got, wanted.into_iter().collect::<Vec<_>>(), "{}", sale.shown());
}

/// The kind of a change, and `sent` or why it was not.
fn planned(change: &Value) -> (&str, &str) {
    let reason = change["reason_code"].as_str().filter(|_| change["state"] == "skipped");
    (change["kind"].as_str().unwrap(), reason.unwrap_or("sent"))
}
