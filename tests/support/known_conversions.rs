//! Conversions that are known without a store, and what a further postback is to them.

use std::cell::Cell;
use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;

use postbridge::domain::attribution::{FoundClick, candidates};
use postbridge::domain::conversion::{Conversion, Dedup, Draft, EventClaim};
use postbridge::domain::decision::{ArrivalContext, Decision, decide};
use postbridge::domain::event::EventName;
use postbridge::domain::facts::{Facts, LaterConversions};
use postbridge::domain::ids::{ConversionId, Seq, SourceId, VisitorId};
use postbridge::domain::money::{Currency, Money, NumberFormat, parse_decimal};
use postbridge::domain::rejection::note::ReportNote;
use postbridge::domain::routing::SourcePolicy;
use postbridge::domain::ruleset::{Ruleset, usual};
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

    pub fn receive(&mut self, draft: &Draft) -> Decision {
        let at = Time::from_millis(self.next as i64 * 1000).unwrap();
        let arrived = ArrivalContext { seq: Seq::new(self.next).unwrap(), at, now: at };
        self.next += 1;
        let policy = SourcePolicy { dedup: self.dedup, ..usual(draft.source.clone()) };
        let policies = [(draft.source.clone(), Arc::new(policy))].into();
        let rules = Ruleset { policies, ..Ruleset::default() };
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

    fn later(&self, first: &ConversionId) -> Result<Option<LaterConversions>, Infallible> {
        let reuses = self.conversions.values().filter_map(|one| Some((one.seq, one.reuse.as_ref()?)));
        let mut of_first: Vec<_> = reuses.filter(|(_, reuse)| reuse.first == *first).collect();
        of_first.sort_by_key(|(seq, _)| *seq);
        let kept = of_first.len() as u32;
        Ok(of_first.last().map(|(newest, reuse)| LaterConversions { newest: *newest, nth: reuse.nth, kept }))
    }

    fn click(&self, given: &str) -> Result<Option<FoundClick>, Infallible> {
        let found = candidates(given).into_iter().find_map(|(id, reading)| {
            let (_, visitor) = self.clicks.iter().find(|(known, _)| *known == id.as_str())?;
            Some((id, reading, *visitor))
        });
        Ok(found.map(|(id, reading, visitor)| {
            let mut click = postbridge::store::contract::conformance::fixture::received::click(id.as_str());
            click.context.visitor = visitor.map(|visitor| VisitorId::parse(visitor).unwrap());
            FoundClick { click: Arc::new(click), reading }
        }))
    }
}

pub fn money(text: &str) -> Option<Money> {
    let (amount, currency) = text.split_once(' ')?;
    Some(Money::new(parse_decimal(amount, NumberFormat::Plain)?, Currency::parse(currency)?))
}

pub fn event(name: &str) -> EventName {
    EventName::parse(name).unwrap()
}

/// A sale whose event is inferred from its value.
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

pub fn duplicate(decision: Decision) -> (Conversion, Vec<ReportNote>) {
    match decision {
        Decision::Duplicate { conversion, notes } => (conversion, notes),
        other => panic!("expected a duplicate: {other:?}"),
    }
}
