//! What is counted equals a recount of what is kept, whatever happened, after every kind of end, and where a disk
//! fails.

use std::ops::ControlFlow;
use std::sync::Arc;

use postbridge::domain::click::ClickKind;
use postbridge::domain::ids::{Seq, SourceId};
use postbridge::domain::money::{Currency, Money};
use postbridge::domain::quarter_hour::QuarterHour;
use postbridge::domain::reporter::BuiltInSource;
use postbridge::domain::ruleset::Ruleset;
use postbridge::domain::status::Status;
use postbridge::domain::time::Time;
use postbridge::store::contract::Store;
use postbridge::store::contract::arrival::{Arrival, ClickArrival, Finding, Reprocess, Screening};
use postbridge::store::contract::change::{ConversionRef, PurgeBefore};
use postbridge::store::contract::conformance::fixture::engine::{
    EngineUnderTest, before_and_after_reopening,
};
use postbridge::store::contract::conformance::fixture::offer::{
    approved_after, bring_to, brought_by, by_network, capped, ignored, offer, rules_of, set_status,
};
use postbridge::store::contract::conformance::fixture::received::{
    DAY, at, click, destination, go_by, quarantined, sale, source, unscreened, wait,
};
use postbridge::store::contract::conformance::fixture::work::{fall_due, purge_all};
use postbridge::store::contract::error::StoreError;
use postbridge::store::contract::totals::{ConversionTotals, TotalsFilter, TotalsQuery};
use postbridge::store::contract::work::FallsDue;
use postbridge::store::embedded::Embedded;
use postbridge::store::engine::faulty::{FaultAt, Faulty, ProcessEnd};
use postbridge::store::engine::kv::{Batch, Direction, Kv, Span};
use postbridge::store::engine::memory::Memory;

use crate::support::engines::on_every_engine;
use crate::support::recount::assert_recounted;
use crate::support::trial::Chance;

on_every_engine! {
    what_is_counted_equals_a_recount_whatever_happens,
    what_is_counted_of_very_many_quarter_hours_equals_a_recount,
}

const QUARTER: i64 = 15 * 60_000;

fn rules() -> Arc<Ruleset> {
    rules_of(&[capped("1", 3), approved_after("2", 2), offer("3")])
}

/// What happens at random.
struct Life {
    chance: Chance,
    /// Of postbacks that may be reprocessed, with when each was received; and of all.
    open: Vec<(Seq, Time)>,
    seqs: Vec<Seq>,
    steps: i64,
}

impl Life {
    fn new() -> Life {
        Life { chance: Chance::of_this_run(), open: Vec::new(), seqs: Vec::new(), steps: 0 }
    }

    fn below(&mut self, end: u8) -> i64 {
        i64::from(self.chance.byte() % end)
    }

    fn one_of<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[usize::from(self.chance.byte()) % words.len()]
    }

    /// Late enough to be purged, within days of each other, or now.
    fn time(&mut self) -> Time {
        at(self.below(12) * DAY + self.below(96) * QUARTER - 9 * DAY)
    }

    fn amount(&mut self) -> Option<Money> {
        let amount = self.one_of(&["0", "7", "7.00", "0.125", "12.3", "-1"]);
        let currency = Currency::parse(self.one_of(&["USD", "EUR", "JPY"]))?;
        (self.below(4) > 0).then(|| Money::new(amount.parse().unwrap(), currency))
    }

    fn sale(&mut self) -> Arrival {
        let name = format!("t{}", self.below(200));
        let mut reported = sale(&name).at(self.time());
        match self.below(5) {
            0 => {}
            1 => reported = reported.click(&format!("c{}", i64::from(self.chance.byte() % 60))),
            2 => reported = reported.of(self.one_of(&["1", "2", "3"])),
            _ => reported = reported.brought_to(self.one_of(&["1", "2", "3"])),
        }
        let draft = &mut reported.draft;
        (draft.value, draft.payout, draft.revenue) = (self.amount(), self.amount(), self.amount());
        draft.status = [None, Some(Status::Approved), Some(Status::Pending), Some(Status::Rejected)]
            [usize::from(self.chance.byte() % 4)];
        if self.below(3) == 0 {
            draft.event_time = Some(self.time());
        }
        if self.below(9) == 0 {
            draft.source = BuiltInSource::Tag.id();
        }
        if self.below(6) == 0 {
            draft.source = SourceId::parse("other").unwrap();
        }
        reported.arrival()
    }

    fn unusable(&mut self) -> Arrival {
        let mut arrival = quarantined("no price", self.time());
        match (self.below(3), arrival.finding.clone()) {
            (0, Finding::Quarantined(rejection)) => {
                arrival.finding = Finding::Refused(rejection);
                arrival.source = None;
            }
            (1, _) => arrival.finding = ignored(),
            _ => {}
        }
        arrival
    }

    fn click(&mut self) -> ClickArrival {
        let mut clicked = click(&format!("c{}", i64::from(self.chance.byte() % 60)));
        clicked.at = self.time();
        clicked.recorded_at = clicked.at;
        if self.below(3) > 0 {
            let (affiliate, offer) = (self.one_of(&["a", "b"]), self.one_of(&["1", "2", "3"]));
            clicked.context.campaign_ref = Some(brought_by(affiliate, offer));
        }
        if self.below(4) == 0 {
            clicked.context.kind = ClickKind::Preview;
        }
        ClickArrival { click: clicked, screening: Screening::Filters }
    }

    fn again(&mut self) -> Option<Arrival> {
        let (of, received_at) = *self.open.get(usize::from(self.chance.byte()) % self.open.len().max(1))?;
        let mut arrival = if self.below(2) == 0 { self.sale() } else { self.unusable() };
        match &mut arrival.finding {
            Finding::Refused(_) => return None,
            Finding::Mapped(mapped) => mapped.source = source(),
            Finding::Quarantined(_) | Finding::Ignored { .. } => {}
        }
        let again = Some(Reprocess { of, now: at(DAY) });
        Some(Arrival { received_at, source: Some(source()), again, ..arrival })
    }

    /// Several things that may be decided in one group.
    fn step(&mut self, store: &dyn Store) {
        self.steps += 1;
        let arrivals: Vec<Arrival> = (0..8)
            .filter_map(|_| match self.below(8) {
                0 | 1 => Some(self.unusable()),
                2 => self.again(),
                _ => Some(self.sale()),
            })
            .collect();
        let clicks: Vec<_> = (0..3).map(|_| store.record_click(self.click())).collect();
        let received = |arrival: Arrival| (arrival.received_at, store.arrive(arrival));
        let reported: Vec<_> = arrivals.into_iter().map(received).collect();
        for click in clicks {
            wait(click).unwrap();
        }
        for (received_at, reported) in reported {
            match wait(reported) {
                Ok(receipt) => {
                    self.seqs.push(receipt.postback);
                    if receipt.verdict.name().may_be_reprocessed() {
                        self.open.push((receipt.postback, received_at));
                    }
                }
                Err(StoreError::ReprocessedAlready { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
        if let Some(seq) = self.seqs.get(usize::from(self.chance.byte()) % self.seqs.len().max(1)) {
            let to =
                [Status::Approved, Status::Rejected, Status::Scrubbed][usize::from(self.chance.byte() % 3)];
            set_status(store, *seq, to, at(self.steps));
        }
        match self.below(12) {
            0 => drop(fall_due(store, FallsDue::Dispositions, at(2 * DAY), 50)),
            1 => {
                let conversions = at(self.below(9) * DAY - 9 * DAY);
                let before = PurgeBefore { postbacks: conversions, conversions, clicks: conversions };
                purge_all(store, before);
            }
            2 => drop(wait(store.withdraw(destination("ads"), at(3 * DAY))).unwrap()),
            _ => {}
        }
    }
}

fn what_is_counted_equals_a_recount_whatever_happens(engine: &EngineUnderTest) {
    let mut life = Life::new();
    let mut store = engine.open_by(rules());
    for step in 0..90 {
        life.step(&*store);
        if step % 15 == 14 {
            assert_recounted(&*store);
            wait(store.close()).unwrap();
            drop(store);
            store = engine.open_by(rules());
            assert_recounted(&*store);
        }
    }
}

/// Sales and clicks, each of them counted in a line of its own: together more lines than are kept apart.
fn scatter(store: &dyn Store, name: &str) -> Vec<Seq> {
    let clicks: Vec<_> = (0..4000)
        .map(|n| {
            let mut clicked = click(&format!("{name}{n}"));
            clicked.at = at(-n * 7 * QUARTER);
            store.record_click(unscreened(clicked))
        })
        .collect();
    let happened = |n: i64| at(-n * 60 * QUARTER);
    let sales = (0..400).map(|n| sale(&format!("{name}{n}")).of("3").happened(happened(n)).arrival());
    let sales: Vec<_> = sales.map(|arrival| store.arrive(arrival)).collect();
    clicks.into_iter().for_each(|click| drop(wait(click)));
    sales.into_iter().filter_map(|reported| wait(reported).ok()).map(|receipt| receipt.postback).collect()
}

fn what_is_counted_of_very_many_quarter_hours_equals_a_recount(engine: &EngineUnderTest) {
    let store = engine.open_by(rules());
    let reported = scatter(&*store, "a");
    assert_recounted(&*store);
    let changes: Vec<_> = reported
        .iter()
        .step_by(3)
        .map(|number| {
            let which = ConversionRef::Number(*number);
            store.set_status(which, by_network(Status::Rejected), at(1))
        })
        .collect();
    changes.into_iter().for_each(|changed| drop(wait(changed).unwrap()));
    before_and_after_reopening(engine, store, |store, reopened| {
        assert_recounted(store);
        if reopened {
            go_by(store, rules());
            scatter(store, "b");
            assert_recounted(store);
        }
    });
}

/// A store that is lost at one commit after another, those among them that fold what was counted.
#[test]
fn a_power_cut_at_any_commit_leaves_what_is_counted_equal_to_a_recount() {
    for spared in 0..8 {
        let disk = Faulty::over(Memory::new());
        let store = Embedded::open(Arc::new(disk.clone()), rules()).unwrap();
        ["1", "2", "3"].iter().for_each(|offer| bring_to(&store, offer));
        disk.fail(FaultAt::BeforeSync, spared, "the disk is gone");
        for part in ["a", "b", "c"] {
            scatter(&store, part);
        }
        drop(store);
        let left = disk.after(ProcessEnd::PowerCut).unwrap();
        assert_recounted(&Embedded::open(Arc::new(left), rules()).unwrap());
    }
}

#[test]
fn a_damaged_rollup_stops_nothing_but_the_totals_that_need_it() {
    let memory = Memory::new();
    let open = || Embedded::open(Arc::new(memory.clone()), rules()).unwrap();
    let store = open();
    scatter(&store, "a");
    scatter(&store, "b");
    drop(store);
    let mut first = None;
    let span = Span { from: b"R", to: b"S", direction: Direction::Up };
    let keep_first = &mut |key: &[u8], _: Result<&[u8], &_>| {
        first = Some(key.to_vec());
        ControlFlow::Break(())
    };
    memory.scan(span, keep_first).unwrap();
    let mut batch = Batch::default();
    batch.put(first.expect("rollups were folded"), b"\x01\x00\x00 not a block".to_vec());
    memory.commit(batch, &mut |_| {}).unwrap();
    let store = open();
    // More than are kept apart: they are folded, those that would go to the damaged block left out.
    scatter(&store, "c");
    scatter(&store, "d");
    let since = |store: &dyn Store, from: Time| {
        let bounds = vec![QuarterHour::of(from), QuarterHour::of(at(DAY))];
        let of = TotalsFilter::Conversions(ConversionTotals::default());
        wait(store.totals(TotalsQuery { bounds, of, by: Vec::new(), limit: 1000 }))
    };
    let damaged = since(&store, at(-4000 * DAY));
    assert!(matches!(damaged, Err(StoreError::Corrupt { .. })), "{damaged:?}");
    let lately = since(&store, at(-9 * DAY)).unwrap();
    let a_day = DAY / (60 * QUARTER);
    assert!(lately.lines[0].count >= 4 * 9 * a_day as u64, "{lately:?}");
    drop(store);
    assert_eq!(since(&open(), at(-9 * DAY)).unwrap(), lately);
}
