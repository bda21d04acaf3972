//! What a postback is to what is known: every clause of deduplication, told as stories of one sale.

use std::cell::Cell;
use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;

use postbridge::domain::attribution::{FoundClick, Reading, candidates};
use postbridge::domain::conversion::{Conversion, Dedup, Draft, EventClaim};
use postbridge::domain::decision::{Arrived, Decision, decide};
use postbridge::domain::event::EventName;
use postbridge::domain::facts::{Facts, Later};
use postbridge::domain::ids::{ClickId, ConversionId, Seq, SourceId, VisitorId};
use postbridge::domain::money::{Currency, DecimalMark, Money, parse_decimal};
use postbridge::domain::rejection::RejectionCode;
use postbridge::domain::routing::SourcePolicy;
use postbridge::domain::rulebook::{Rulebook, usual};
use postbridge::domain::status::Status;
use postbridge::domain::time::Time;

use crate::support::dispatch_fixture;

/// What is known so far, and the clicks that are recorded.
pub struct Known {
    dedup: Dedup,
    pub conversions: HashMap<ConversionId, Conversion>,
    /// The recorded clicks, each with its visitor.
    pub clicks: Vec<(&'static str, Option<&'static str>)>,
    /// How many conversions were looked up.
    pub reads: Cell<usize>,
    next: u64,
}

impl Known {
    pub fn new(dedup: Dedup) -> Known {
        Known { dedup, conversions: HashMap::new(), clicks: Vec::new(), reads: Cell::new(0), next: 1 }
    }

    pub fn tell(&mut self, draft: &Draft) -> Decision {
        let at = Time::from_millis(self.next as i64 * 1000).unwrap();
        let arrived = Arrived { seq: Seq::new(self.next).unwrap(), at, now: at };
        self.next += 1;
        let policy = SourcePolicy { dedup: self.dedup, ..usual(draft.source.clone()) };
        let policies = [(draft.source.clone(), Arc::new(policy))].into();
        let rules = Rulebook { policies, ..Rulebook::default() };
        let Ok(decision) = decide(&rules, draft, arrived, &*self);
        if let Decision::New { conversion, .. } | Decision::Update { conversion, .. } = &decision {
            self.conversions.insert(conversion.id, conversion.clone());
        }
        decision
    }
}

impl Facts for Known {
    type Error = Infallible;

    fn conversion(&self, id: &ConversionId) -> Result<Option<Conversion>, Infallible> {
        self.reads.set(self.reads.get() + 1);
        Ok(self.conversions.get(id).cloned())
    }

    fn made_by(&self, postback: Seq) -> Result<Option<Conversion>, Infallible> {
        self.reads.set(self.reads.get() + 1);
        Ok(self.conversions.values().find(|one| one.seq == postback).cloned())
    }

    fn later(&self, first: &ConversionId) -> Result<Option<Later>, Infallible> {
        let reuses = self.conversions.values().filter_map(|one| Some((one.seq, one.reuse.as_ref()?)));
        let mut of_first: Vec<_> = reuses.filter(|(_, reuse)| reuse.first == *first).collect();
        of_first.sort_by_key(|(seq, _)| *seq);
        let kept = of_first.len() as u32;
        Ok(of_first.last().map(|(newest, reuse)| Later { newest: *newest, nth: reuse.nth, kept }))
    }

    fn click(&self, given: &str) -> Result<Option<FoundClick>, Infallible> {
        let found = candidates(given).into_iter().find_map(|(id, reading)| {
            let (_, visitor) = self.clicks.iter().find(|(known, _)| *known == id.as_str())?;
            Some((id, reading, *visitor))
        });
        Ok(found.map(|(id, reading, visitor)| {
            let mut click = crate::support::store_fixture::click(id.as_str());
            click.passage.visitor = visitor.map(|visitor| VisitorId::parse(visitor).unwrap());
            FoundClick { click: Arc::new(click), reading }
        }))
    }
}

pub fn money(text: &str) -> Option<Money> {
    let (amount, currency) = text.split_once(' ')?;
    Some(Money::new(parse_decimal(amount, DecimalMark::Dot)?, Currency::parse(currency)?))
}

pub fn event(name: &str) -> EventName {
    EventName::parse(name).unwrap()
}

/// A sale whose event is told from its value.
pub fn by_value(tid: Option<&str>, click: Option<&str>, value: &str) -> Draft {
    Draft {
        source: SourceId::parse("net").unwrap(),
        event: EventClaim::ByValue { positive: event("Purchase"), zero: event("Lead") },
        transaction_id: tid.map(str::to_owned),
        click_id: click.map(str::to_owned),
        value: money(value),
        ..dispatch_fixture::draft("", Status::Approved)
    }
}

pub fn named(name: &str, draft: Draft) -> Draft {
    Draft { event: EventClaim::Named(event(name)), ..draft }
}

pub fn new(decision: Decision) -> Conversion {
    match decision {
        Decision::New { conversion, .. } => conversion,
        other => panic!("expected a new conversion: {other:?}"),
    }
}

pub fn update(decision: Decision) -> Conversion {
    match decision {
        Decision::Update { conversion, .. } => conversion,
        other => panic!("expected an update: {other:?}"),
    }
}

pub fn duplicate(decision: Decision) -> (Conversion, Option<String>) {
    match decision {
        Decision::Duplicate { conversion, note } => (conversion, note),
        other => panic!("expected a duplicate: {other:?}"),
    }
}

#[test]
fn a_repeat_is_a_duplicate_when_the_numbers_and_the_currency_are_the_same() {
    let mut known = Known::new(Dedup::Transaction);
    let first = new(known.tell(&by_value(Some("T"), Some("c"), "7 USD")));
    assert_eq!(duplicate(known.tell(&by_value(Some("T"), Some("c"), "7.00 USD"))).0.id, first.id);
    let changed = update(known.tell(&by_value(Some("T"), Some("c"), "7.00 EUR")));
    assert_eq!((changed.id, changed.history.len()), (first.id, 1));
    assert_eq!(changed.history[0].what, ["value: 7 USD → 7.00 EUR"]);
    let other = new(known.tell(&by_value(Some("U"), Some("c"), "7 USD")));
    assert_ne!(other.id, first.id);
    assert_ne!(first.id.event_id(), other.id.event_id());
}

#[test]
fn another_status_is_an_update_and_the_same_again_a_duplicate() {
    let mut known = Known::new(Dedup::Transaction);
    let pending = Draft { status: Some(Status::Pending), ..by_value(Some("T"), None, "7 USD") };
    let first = new(known.tell(&pending));
    let approved = update(known.tell(&by_value(Some("T"), None, "7 USD")));
    assert_eq!((approved.id, approved.status), (first.id, Status::Approved));
    duplicate(known.tell(&by_value(Some("T"), None, "7 USD")));
    assert_eq!(update(known.tell(&pending)).history.len(), 2);
}

#[test]
fn without_a_transaction_id_the_click_and_event_decide_and_the_first_amount_wins() {
    let mut known = Known::new(Dedup::Transaction);
    let first = new(known.tell(&by_value(None, Some("c"), "7 USD")));
    let (same, note) = duplicate(known.tell(&by_value(None, Some(" c "), "9 USD")));
    assert_eq!((same.id, same.value), (first.id, money("7 USD")));
    assert!(note.unwrap().contains("the first telling's is kept"));
    let rejected =
        update(known.tell(&Draft { status: Some(Status::Rejected), ..by_value(None, Some("c"), "9 USD") }));
    assert_eq!((rejected.status, rejected.value), (Status::Rejected, money("7 USD")));
    assert_ne!(new(known.tell(&named("Lead", by_value(None, Some("c"), "7 USD")))).id, first.id);
}

#[test]
fn with_neither_id_every_postback_counts_and_says_so() {
    let mut known = Known::new(Dedup::Transaction);
    let one = known.tell(&by_value(None, None, "7 USD"));
    let Decision::New { conversion, note } = one else { panic!("{one:?}") };
    assert!(note.unwrap().contains("would count again"));
    assert_ne!(new(known.tell(&by_value(None, None, "7 USD"))).id, conversion.id);
}

#[test]
fn by_click_one_click_is_one_conversion_whatever_the_transaction() {
    let mut known = Known::new(Dedup::Click);
    let first = new(known.tell(&by_value(Some("T"), Some("c"), "7 USD")));
    assert_eq!(duplicate(known.tell(&by_value(Some("U"), Some("c"), "7 USD"))).0.id, first.id);
    assert_eq!(update(known.tell(&by_value(Some("U"), Some("c"), "9 USD"))).value, money("9 USD"));
    assert_ne!(new(known.tell(&by_value(Some("T"), None, "7 USD"))).id, first.id, "no click: by transaction");
}

#[test]
fn each_counts_every_postback() {
    let mut known = Known::new(Dedup::Each);
    let first = new(known.tell(&by_value(Some("T"), Some("c"), "7 USD")));
    assert_ne!(new(known.tell(&by_value(Some("T"), Some("c"), "7 USD"))).id, first.id);
}

#[test]
fn a_value_that_falls_to_zero_updates_the_purchase_and_makes_no_lead() {
    let mut known = Known::new(Dedup::Transaction);
    let purchase = new(known.tell(&by_value(Some("T"), None, "7 USD")));
    let fallen = update(known.tell(&by_value(Some("T"), None, "0 USD")));
    assert_eq!((fallen.id, fallen.event.as_str(), fallen.value), (purchase.id, "Purchase", money("0 USD")));
    assert_eq!(fallen.status, Status::Approved);
    duplicate(known.tell(&by_value(Some("T"), None, "0.00 USD")));
}

#[test]
fn a_value_below_zero_rejects_what_it_takes_back() {
    let mut known = Known::new(Dedup::Transaction);
    let purchase = new(known.tell(&by_value(Some("T"), None, "7 USD")));
    let taken_back = update(known.tell(&by_value(Some("T"), None, "-7 USD")));
    assert_eq!((taken_back.id, taken_back.status), (purchase.id, Status::Rejected));
    let lead = new(known.tell(&by_value(Some("L"), None, "0 USD")));
    assert_eq!(lead.event.as_str(), "Lead");
    assert_eq!(update(known.tell(&by_value(Some("L"), None, "-1 USD"))).id, lead.id);
}

#[test]
fn a_value_below_zero_without_a_known_transaction_is_quarantined() {
    for dedup in [Dedup::Transaction, Dedup::Click, Dedup::Each] {
        let mut known = Known::new(dedup);
        for draft in [by_value(Some("T"), Some("c"), "-7 USD"), by_value(None, None, "-7 USD")] {
            let decision = known.tell(&draft);
            let Decision::UnknownSale { fault, .. } = decision else { panic!("{dedup:?}: {decision:?}") };
            assert!(fault.reason.contains("-7 USD"), "{}", fault.reason);
            assert_eq!(fault.code, Some(RejectionCode::UnknownTransaction));
        }
    }
}

#[test]
fn a_lead_that_rises_above_zero_becomes_its_own_purchase() {
    let mut known = Known::new(Dedup::Transaction);
    let lead = new(known.tell(&by_value(Some("T"), None, "0 USD")));
    let purchase = new(known.tell(&by_value(Some("T"), None, "7 USD")));
    assert_eq!((lead.event.as_str(), purchase.event.as_str()), ("Lead", "Purchase"));
    assert_ne!(lead.id, purchase.id);
    let (same, _) = duplicate(known.tell(&by_value(Some("T"), None, "7 USD")));
    assert_eq!(same.id, purchase.id);
}

#[test]
fn a_repeat_that_adds_the_click_id_is_an_update_and_is_matched() {
    let mut known = Known::new(Dedup::Transaction);
    known.clicks.push(("c1", None));
    new(known.tell(&by_value(Some("T"), None, "7 USD")));
    let matched = update(known.tell(&by_value(Some("T"), Some("c1"), "7 USD")));
    assert_eq!(matched.attribution.click().map(ClickId::as_str), Some("c1"));
    let rejected = Draft { status: Some(Status::Rejected), ..by_value(Some("T"), Some("c2"), "7 USD") };
    let Decision::Update { conversion, note } = known.tell(&rejected) else { panic!("it takes back") };
    assert_eq!(conversion.attribution.given(), Some("c1"), "a different click id changes nothing");
    assert!(note.unwrap().contains("`c2`"), "and is noted");
}

#[test]
fn a_click_id_is_found_as_it_came_trimmed_and_decoded_once_more() {
    for (given, reading) in
        [("c1", Reading::Exact), (" c1\t", Reading::Trimmed), ("%63%31", Reading::Decoded)]
    {
        let mut known = Known::new(Dedup::Transaction);
        known.clicks.push(("c1", None));
        let matched = new(known.tell(&by_value(Some("T"), Some(given), "7 USD")));
        assert!(
            matches!(&matched.attribution, postbridge::domain::attribution::Attribution::Matched { reading: read, .. } if *read == reading),
            "{given:?}: {:?}",
            matched.attribution
        );
    }
}

#[test]
fn an_event_is_never_later_than_its_arrival() {
    let mut known = Known::new(Dedup::Transaction);
    let to_come = Draft { event_time: Time::from_millis(9_000_000), ..by_value(Some("T"), None, "7 USD") };
    let conversion = new(known.tell(&to_come));
    assert_eq!(conversion.event_time, conversion.received_at);
}
