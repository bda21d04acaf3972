//! What the store's tests share: stores that can be opened again, and arrivals and clicks to put in.

use std::future::Future;
use std::sync::{Arc, LazyLock};

use tokio::runtime::Runtime;

use postbridge::domain::attribution::FoundClick;
use postbridge::domain::click::{Click, ClickContext, CustomerTrait, CustomerTraits};
use postbridge::domain::conversion::{Dedup, Draft, EventClaim, NetworkClaim};
use postbridge::domain::delivery::DeliveryState;
use postbridge::domain::event::EventName;
use postbridge::domain::ids::{ClickId, ConversionId, DeliveryId, DestinationId, Occasion, SourceId};
use postbridge::domain::money::{Currency, DecimalMark, Money, parse_decimal};
use postbridge::domain::postback::{KeptHeaders, RawRequest, Verdict};
use postbridge::domain::rejection::body::BodyProblem;
use postbridge::domain::routing::{Route, SourcePolicy, Unmatched};
use postbridge::domain::ruleset::Ruleset;
use postbridge::domain::status::Status;
use postbridge::domain::target::TargetId;
use postbridge::domain::time::Time;
use postbridge::store::contract::Store;
use postbridge::store::contract::arrival::{
    Arrival, ClickArrival, Finding, MappedArrival, Receipt, Screening,
};
use postbridge::store::contract::change::PurgeBefore;
use postbridge::store::contract::lookup::{ConversionFilter, PageRequest, Trace};
use postbridge::store::contract::work::{Backlog, ClaimRequest, Claimed, WantedWork};
use postbridge::store::embedded::{Embedded, EmbeddedSettings};

use crate::support::memory::Memory;

/// Every rule here is a test on every implementation.
macro_rules! conformance {
    ($($name:ident),* $(,)?) => {
        mod in_memory {
            $(#[test] fn $name() { super::$name(&crate::support::store_fixture::Engine::memory()); })*
        }
        mod on_sled {
            $(#[test] fn $name() { super::$name(&crate::support::store_fixture::Engine::sled()); })*
        }
        mod with_colliding_hashes {
            $(#[test] fn $name() { super::$name(&crate::support::store_fixture::Engine::colliding()); })*
        }
    };
}
pub(crate) use conformance;

/// A place where a store is and can be opened again and again.
pub struct Engine {
    open: Box<dyn Fn(Arc<Ruleset>) -> Arc<dyn Store>>,
}

impl Engine {
    pub fn memory() -> Engine {
        let memory = Memory::new();
        Engine {
            open: Box::new(move |rules| Arc::new(Embedded::open(Arc::new(memory.clone()), rules).unwrap())),
        }
    }

    /// A dedup map so narrow that nearly every look-up meets a foreign hash.
    pub fn colliding() -> Engine {
        let memory = Memory::new();
        let settings = EmbeddedSettings { dedup_mask: 1, ..EmbeddedSettings::default() };
        let open =
            move |rules| Embedded::open_with(Arc::new(memory.clone()), rules, settings.clone()).unwrap();
        Engine { open: Box::new(move |rules| Arc::new(open(rules))) }
    }

    pub fn sled() -> Engine {
        let folder = tempfile::tempdir().unwrap();
        Engine {
            open: Box::new(move |rules| {
                Arc::new(Embedded::open_sled(&folder.path().join("data"), rules).unwrap())
            }),
        }
    }

    /// Opens the store; the one opened before has to be dropped.
    pub fn open(&self) -> Arc<dyn Store> {
        self.open_by(usual_rules())
    }

    /// As [`Engine::open`], by other rules than the usual ones.
    pub fn open_by(&self, rules: Arc<Ruleset>) -> Arc<dyn Store> {
        (self.open)(rules)
    }
}

/// The rules of a sale that is held without its click.
pub fn usual_rules() -> Arc<Ruleset> {
    sale("any").rules()
}

/// What the store is asked next is decided by these rules: the change has its place in the order now.
pub fn go_by(store: &dyn Store, rules: Arc<Ruleset>) {
    drop(store.change_rules(rules));
}

/// Checks the same twice: as it is, and once the store was closed and opened again (`true`).
pub fn before_and_after_reopening(
    engine: &Engine,
    store: Arc<dyn Store>,
    mut check: impl FnMut(&dyn Store, bool),
) {
    check(&*store, false);
    wait(store.close()).unwrap();
    drop(store);
    check(&*engine.open(), true);
}

/// Runs a future to its end on this thread.
pub fn wait<T>(future: impl Future<Output = T>) -> T {
    // One for all: a list reads on a thread of the runtime, which is kept for the next.
    static RUNTIME: LazyLock<Runtime> =
        LazyLock::new(|| tokio::runtime::Builder::new_current_thread().build().unwrap());
    RUNTIME.block_on(future)
}

/// Milliseconds after a fixed beginning.
pub fn at(millis: i64) -> Time {
    Time::parse("2026-01-01T00:00:00Z").unwrap().plus_millis(millis)
}

pub const HOUR: i64 = 3_600_000;
pub const DAY: i64 = 24 * HOUR;

pub fn source() -> SourceId {
    SourceId::parse("network").unwrap()
}

/// The target that the destination has alone.
pub fn account(name: &str) -> TargetId {
    TargetId::Account(destination(name))
}

pub fn destination(name: &str) -> DestinationId {
    DestinationId::parse(name).unwrap()
}

pub fn usd(amount: &str) -> Money {
    Money::new(parse_decimal(amount, DecimalMark::Dot).unwrap(), Currency::parse("USD").unwrap())
}

pub fn route(name: &str) -> Route {
    Route::to(destination(name))
}

/// A postback to be sent, changed by the methods below.
#[derive(Clone)]
pub struct Sale {
    pub draft: Draft,
    pub policy: SourcePolicy,
    pub routes: Vec<Route>,
    pub at: Time,
    pub body: Vec<u8>,
    pub found: Option<FoundClick>,
}

/// A sale of 7 USD, held for 72 hours when it names a click no one recorded.
pub fn sale(transaction: &str) -> Sale {
    Sale {
        draft: Draft {
            source: source(),
            event: EventClaim::Named(EventName::parse("Purchase").unwrap()),
            status: Some(Status::Approved),
            transaction_id: Some(transaction.to_owned()),
            click_id: None,
            item_id: Some("book".to_owned()),
            value: Some(usd("7.00")),
            negative_received: None,
            payout: None,
            revenue: None,
            sale_amount: None,
            event_time: None,
            traits: CustomerTraits::default(),
            params: vec![("affid".to_owned(), "12".to_owned())],
            consent: Default::default(),
            notes: Vec::new(),
            network: NetworkClaim::default(),
        },
        policy: SourcePolicy {
            source: source(),
            customer: Default::default(),
            click_sub_id: None,
            dedup: Dedup::Transaction,
            forward_status: vec![Status::Approved],
            unmatched: Unmatched::Hold { hours: 72 },
        },
        routes: vec![route("ads")],
        at: at(0),
        body: Vec::new(),
        found: None,
    }
}

impl Sale {
    pub fn click(mut self, id: &str) -> Sale {
        self.draft.click_id = Some(id.to_owned());
        self
    }

    pub fn at(mut self, time: Time) -> Sale {
        self.at = time;
        self
    }

    pub fn value(mut self, amount: &str) -> Sale {
        self.draft.value = Some(usd(amount));
        self
    }

    pub fn status(mut self, status: Status) -> Sale {
        self.draft.status = Some(status);
        self
    }

    pub fn unmatched(mut self, unmatched: Unmatched) -> Sale {
        self.policy.unmatched = unmatched;
        self
    }

    /// Sent whether or not its click is known.
    pub fn forward(self) -> Sale {
        self.unmatched(Unmatched::Forward)
    }

    pub fn to(mut self, destinations: &[&str]) -> Sale {
        self.routes = destinations.iter().map(|name| route(name)).collect();
        self
    }

    pub fn body(mut self, bytes: usize) -> Sale {
        // Bytes that do not compress.
        let mut state = 0x9e37_79b9_u32;
        self.body = std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        })
        .take(bytes)
        .collect();
        self
    }

    pub fn arrival(self) -> Arrival {
        Arrival {
            raw: raw(&self.draft, self.body),
            received_at: self.at,
            source: Some(self.draft.source.clone()),
            finding: Finding::Mapped(Box::new(MappedArrival { draft: self.draft, click: self.found })),
            mapping: None,
            again: None,
        }
    }

    /// What the sale is to be decided by.
    pub fn rules(&self) -> Arc<Ruleset> {
        let policies = [(source(), Arc::new(self.policy.clone()))].into();
        Arc::new(Ruleset { policies, routes: self.routes.clone(), ..Ruleset::default() })
    }

    /// Reports the sale to a store that goes by the sale's own rules.
    pub fn receive(self, store: &dyn Store) -> Receipt {
        go_by(store, self.rules());
        wait(store.arrive(self.arrival())).unwrap()
    }
}

fn raw(draft: &Draft, body: Vec<u8>) -> RawRequest {
    let line = format!(
        "GET /***/collect/network?s1=abc&s2={}&tid={}&price=7.00 HTTP/1.1",
        draft.click_id.as_deref().unwrap_or_default(),
        draft.transaction_id.as_deref().unwrap_or_default()
    );
    RawRequest {
        line: line.into_bytes(),
        headers: KeptHeaders::default(),
        body,
        peer: Some("192.0.2.7".parse().unwrap()),
        encoded: None,
        reporter: None,
    }
}

/// A postback that no one understands.
pub fn quarantined(reason: &str, time: Time) -> Arrival {
    let mut arrival = sale("none").at(time).arrival();
    arrival.finding = Finding::Quarantined(BodyProblem::InvalidMessage { error: reason.to_owned() }.into());
    arrival
}

pub fn click_id(id: &str) -> ClickId {
    ClickId::parse(id).unwrap()
}

pub fn click(id: &str) -> Click {
    Click {
        id: click_id(id),
        at: at(-1000),
        recorded_at: at(0),
        landing_url: Some("https://shop.example/landing?fbclid=abc".to_owned()),
        referrer: None,
        ip: Some("203.0.113.9".parse().unwrap()),
        user_agent: Some("Mozilla/5.0".to_owned()),
        params: vec![("fbclid".to_owned(), "abc".to_owned())],
        cookies: vec![],
        sub_ids: vec![],
        customer: CustomerTraits([(CustomerTrait::Email, "a@example.com".to_owned())].into()),
        context: ClickContext::default(),
    }
}

/// A click that no filter looks at.
pub fn unscreened(click: Click) -> ClickArrival {
    ClickArrival { click, screening: Screening::None }
}

pub fn claim(store: &dyn Store, name: &str, now: Time) -> Vec<Claimed> {
    claim_some(store, name, now, 100, 100)
}

pub fn claim_some(store: &dyn Store, name: &str, now: Time, fresh: usize, retries: usize) -> Vec<Claimed> {
    let request = due_request(account(name), now, fresh, retries);
    wait(store.claim(request)).unwrap().work
}

/// How long the tests' leases hold: longer than any of them takes.
pub const LEASE_MS: i64 = 1000 * DAY;

/// Asks for what is due.
pub fn due_request(target: TargetId, now: Time, fresh: usize, retries: usize) -> ClaimRequest {
    ClaimRequest { target, now, lease_for_ms: LEASE_MS, wanted: WantedWork::Due { fresh, retries } }
}

/// Asks for the probe of a parked target.
pub fn probe_request(target: TargetId, now: Time) -> ClaimRequest {
    ClaimRequest { target, now, lease_for_ms: LEASE_MS, wanted: WantedWork::Oldest }
}

/// Claims the probe of a parked target.
pub fn claim_oldest(store: &dyn Store, target: TargetId) -> Option<Claimed> {
    wait(store.claim(probe_request(target, at(0)))).unwrap().work.pop()
}

pub fn conversion_of(verdict: &Verdict) -> ConversionId {
    verdict.conversion().unwrap()
}

pub fn trace(store: &dyn Store, receipt: &Receipt) -> Trace {
    wait(store.conversion(conversion_of(&receipt.verdict))).unwrap().unwrap()
}

pub fn states(store: &dyn Store, receipt: &Receipt) -> Vec<DeliveryState> {
    trace(store, receipt).deliveries.into_iter().map(|(delivery, _)| delivery.state).collect()
}

pub fn delivery_id(receipt: &Receipt, name: &str) -> DeliveryId {
    DeliveryId {
        conversion: conversion_of(&receipt.verdict),
        destination: destination(name),
        occasion: Occasion::First,
    }
}

pub fn transactions(store: &dyn Store, filter: ConversionFilter) -> Vec<String> {
    let page = wait(store.conversions(filter, first_page(100))).unwrap();
    page.items.into_iter().filter_map(|(conversion, _)| conversion.transaction_id).collect()
}

pub fn backlog(store: &dyn Store, name: &str, now: Time) -> Option<Backlog> {
    wait(store.backlog(now))
        .unwrap()
        .into_iter()
        .find(|backlog| backlog.destination == Some(destination(name)))
}

pub fn purge_all(store: &dyn Store, before: PurgeBefore) -> u64 {
    let mut records = 0;
    loop {
        let purged = wait(store.purge(before)).unwrap();
        records += purged.records;
        if !purged.more {
            return records;
        }
    }
}

pub fn never() -> PurgeBefore {
    PurgeBefore { postbacks: at(-DAY), conversions: at(-DAY), clicks: at(-DAY) }
}

pub fn first_page(limit: usize) -> PageRequest {
    PageRequest { cursor: None, limit }
}
