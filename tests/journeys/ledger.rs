//! What platforms were sent, compared with what the program says of it.

use std::collections::{BTreeMap, BTreeSet};

use postbridge::template::catalog::Catalog;
use serde_json::Value;

use crate::journeys::accounts::{DeliveryKey, of_sale};
use crate::journeys::changes::check_changes;
use crate::journeys::sales::{Acknowledged, SALES, end_of, reported_in};
use crate::support::change_form::ChangeRules;
use crate::support::platform_folder::ReadEvent;
use crate::support::stand_in::{StandIn, Taking};

/// What a journey knows in its end.
pub struct JourneyFacts<'a> {
    pub catalog: &'a Catalog,
    /// By transaction id.
    pub acknowledged: &'a BTreeMap<String, Acknowledged>,
    /// The deliveries before the late changes.
    pub before: &'a BTreeMap<DeliveryKey, Value>,
    /// The deliveries in the end.
    pub last: &'a BTreeMap<DeliveryKey, Value>,
}

/// A sale at one platform.
pub struct SaleAt<'a> {
    pub stand_in: &'a StandIn,
    pub rules: Option<&'a ChangeRules>,
    /// Whether the platform counts a repeat once.
    pub is_counted_once: bool,
    pub number: usize,
    /// What the platform knows it by.
    pub text: String,
    /// The delivery of its event before the late changes.
    pub before: Option<&'a Value>,
    /// The same in the end: the last of them, where those before it were skipped.
    pub event: &'a Value,
    /// In their order.
    pub changes: Vec<&'a Value>,
    /// What the platform took of it: the event, and changes of that.
    pub taken: (Vec<Taking>, Vec<Taking>),
}

impl<'a> SaleAt<'a> {
    /// `None` where the platform cannot distinguish it from others: it takes no id of ours, and knows no click of it.
    fn of(
        (stand_in, rules, is_counted_once): (&'a StandIn, Option<&'a ChangeRules>, bool),
        facts: &JourneyFacts<'a>,
        (tid, known): (&str, &Acknowledged),
        takes_ids: bool,
    ) -> (Option<SaleAt<'a>>, &'a Value) {
        let (events, changes) = of_sale(facts.last, &stand_in.name, tid);
        let (event, earlier) = events.split_last().unwrap();
        assert!(earlier.iter().all(|one| one["state"] == "skipped"), "{earlier:#?} before {event:#}");
        // Some platforms are sent the one, some the other; one that takes no id of ours knows a sale by its click alone.
        let of_click = format!("-{}\"", known.number);
        let text = [known.event_id.as_str(), tid, &of_click].into_iter().find(|text| stand_in.knows(text));
        if text.is_none() && !takes_ids {
            return (None, event);
        }
        let text = text.unwrap_or(tid).to_owned();
        let taken = by_form(stand_in.takings(&text), (event, &changes));
        let before = of_sale(facts.before, &stand_in.name, tid).0.pop();
        (
            Some(SaleAt {
                stand_in,
                rules,
                is_counted_once,
                number: known.number,
                text,
                before,
                event,
                changes,
                taken,
            }),
            event,
        )
    }

    /// What an assertion about it says.
    pub fn shown(&self) -> String {
        let (firsts, changed) = &self.taken;
        let short = |takings: &[Taking]| -> Vec<String> {
            let one = |taking: &Taking| {
                format!(
                    "run {}{}: {}",
                    taking.run,
                    if taking.is_lost { ", lost" } else { "" },
                    taking.event.text
                )
            };
            takings.iter().map(one).collect()
        };
        format!(
            "{} {}: {:#}\nchanges {:#?}\ntaken {:#?}\nchanges taken {:#?}",
            self.stand_in.name,
            self.number,
            self.event,
            self.changes,
            short(firsts),
            short(changed)
        )
    }
}

/// Events, and changes of them. Where their form is the same, the occasion says what it is; else another one after the
/// first is a change, where any was sent.
fn by_form(takings: Vec<Taking>, (event, changes): (&Value, &[&Value])) -> (Vec<Taking>, Vec<Taking>) {
    let has_changes = changes.iter().any(|change| change["state"] != "skipped");
    let first = takings.first().map(|taking| taking.event.text.clone());
    let is_first = |taking: &Taking| match (taking.event.is_change, &taking.event.occasion) {
        (Some(is_change), _) => !is_change,
        (None, Some(occasion)) => event["occasion"] == occasion.as_str(),
        (None, None) => !has_changes || first.as_ref() == Some(&taking.event.text),
    };
    takings.into_iter().partition(is_first)
}

/// The runs in which any of these was taken more often than answers about it were lost, and once. Whatever was under way
/// when the program was killed, no one can know.
pub fn repeated_without_need<'a, Key: Ord>(
    takings: &'a [Taking],
    same: impl Fn(&'a Taking) -> Key,
) -> Vec<usize> {
    let mut spare = BTreeMap::<(usize, Key), i64>::new();
    for taking in takings {
        *spare.entry((taking.run, same(taking))).or_insert(1) -= i64::from(!taking.is_lost);
    }
    spare.into_iter().filter(|(_, spare)| *spare < 0).map(|((run, _), _)| run).collect()
}

/// Every event once in effect, or dead or skipped with a code; answers what was wrong with the requests.
pub fn check_ledger(stand_in: &StandIn, facts: &JourneyFacts<'_>) -> Vec<String> {
    let template = facts.catalog.destination(&stand_in.name).unwrap();
    let (rules, is_counted_once) = (ChangeRules::of(&stand_in.name), template.dedup_ms().is_some());
    let (mut ledger, mut changes) = (BTreeMap::<String, usize>::new(), BTreeMap::<String, usize>::new());
    let (mut unknown, mut taken) = (0, 0);
    let takes = |text: &str| !stand_in.takings(text).is_empty();
    let takes_ids = facts.acknowledged.iter().any(|(tid, known)| takes(&known.event_id) || takes(tid));
    for (tid, known) in facts.acknowledged {
        let (sale, event) =
            SaleAt::of((stand_in, rules.as_ref(), is_counted_once), facts, (tid, known), takes_ids);
        *ledger.entry(event["state"].as_str().unwrap().to_owned()).or_default() += 1;
        // One by its customer alone cannot be distinguished from others.
        let Some(sale) = sale else { continue };
        unknown += usize::from(check_first(&sale));
        taken += sale.taken.1.len();
        for outcome in check_changes(&sale) {
            *changes.entry(outcome).or_default() += 1;
        }
    }
    let (failed, by_rows, confirmed) = (stand_in.failed(), stand_in.by_rows(), stand_in.confirmed());
    let later = template.confirms().then(|| format!(", asked {confirmed} times what became of it"));
    println!(
        "{}: {ledger:?}, {failed} failed once, {by_rows} requests in part{}; {taken} changes taken: {changes:?}; {unknown} \
         rejected before it was known whether they were taken",
        stand_in.name,
        later.unwrap_or_default()
    );
    assert_eq!(template.confirms(), confirmed > 0, "{}", stand_in.name);
    assert_eq!(template.late_after_ms().is_some(), stand_in.late() > 0, "{}", stand_in.name);
    assert!(ledger["delivered"] > SALES / 2, "{}: {ledger:?}", stand_in.name);
    let is_sent =
        changes.keys().any(|outcome| outcome.ends_with("delivered") || outcome.ends_with("confirming"));
    assert_eq!(rules.is_some(), is_sent, "{}: {changes:?}", stand_in.name);
    stand_in.faults()
}

/// The event once in effect, or dead or skipped with a code. Answers whether the platform may have it although it was
/// skipped: it was rejected while no one knew.
fn check_first(sale: &SaleAt<'_>) -> bool {
    let (delivery, firsts) = (sale.event, &sale.taken.0);
    // An event that is sent again in the same run was answered in none of the requests before.
    let needless = repeated_without_need(firsts, |_| ());
    assert!(needless.is_empty(), "in vain in {needless:?}: {}", sale.shown());
    // What was under way when the program was killed, no one can know.
    let runs: BTreeSet<usize> = firsts.iter().map(|taking| taking.run).collect();
    // It was rejected while no one knew whether the platform had it, and is taken back as it may have it.
    if sale.is_taken_back_unknown() {
        // Where a change looks like the event, the last one took it back, or was to: what a platform accepts and refuses
        // later it had too.
        let looks_alike = |last: &Taking| delivery["kind"] == "status" || last.event.is_change.is_none();
        let refused = sale.stand_in.refusals(&sale.text);
        let is_refused_later = |last: &Taking| {
            sale.stand_in.confirmed() > 0 && refused.iter().any(|event| event.text == last.event.text)
        };
        let was_accepted = |last: &Taking| delivery["state"] != "dead" || is_refused_later(last);
        let last = usize::from(firsts.last().is_some_and(|last| looks_alike(last) && was_accepted(last)));
        let mut before = firsts.iter().rev().skip(last);
        let is_right = delivery["state"] != "skipped" && before.all(|taking| sale.is_unknown(taking));
        assert!(end_of(sale.number).1 && is_right, "{}", sale.shown());
        return true;
    }
    let once = sale.is_counted_once || delivery["possible_repeat"] == true || runs.len() == firsts.len();
    match delivery["state"].as_str().unwrap() {
        "delivered" => assert!(firsts.len() == 1 || (firsts.len() > 1 && once), "{}", sale.shown()),
        "dead" => {
            let is_refused = !sale.stand_in.refusals(&sale.text).is_empty();
            assert!(is_refused && delivery["reason_code"].is_string(), "{}", sale.shown());
        }
        _ => {
            // Where no one knew, it is said that the platform may count it.
            let may_have = end_of(sale.number).1 && delivery["reason_code"] == "irreversible";
            let is_right =
                firsts.is_empty() || (may_have && firsts.iter().all(|taking| sale.is_unknown(taking)));
            assert!(is_right && delivery["reason_code"].is_string(), "{}", sale.shown());
            return !firsts.is_empty();
        }
    }
    false
}

impl SaleAt<'_> {
    /// Whether it was taken back before anyone knew whether the platform had it. What a platform refuses changes
    /// nothing of what the delivery was planned as, so there its last request shows it.
    pub fn is_taken_back_unknown(&self) -> bool {
        let refuses_it = |event: &ReadEvent| event.is_change == Some(true);
        let is_refused = || self.stand_in.refusals(&self.text).iter().any(refuses_it);
        // Where a repeat counts once none is possible: there it may have it by a request that broke off, or by one of a run
        // that was killed since.
        let url = self.event["last_attempt"]["request"]["url"].as_str().unwrap_or_default();
        let last_run =
            url.split("/run-").nth(1).and_then(|rest| rest.split('/').next()?.parse::<usize>().ok());
        let was_killed = last_run.is_some_and(|run| run > reported_in(self.number));
        let was_tried = self.is_counted_once && (was_killed || self.stand_in.has_broken_off(&self.text));
        let may_be_known =
            self.event["state"] == "dead" && (self.event["possible_repeat"] == true || was_tried);
        self.event["kind"] != "event" || (may_be_known && self.changes.is_empty() && is_refused())
    }

    /// Whether its answer was lost, or the run was killed, so that it may not have been recorded.
    pub fn is_unknown(&self, taking: &Taking) -> bool {
        taking.is_lost || taking.run < self.stand_in.last_run()
    }
}
