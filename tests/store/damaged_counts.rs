//! What commits counted and cannot be read any more: totals are too low, and nothing else is held up.

use std::sync::Arc;

use postbridge::domain::quarter_hour::QuarterHour;
use postbridge::domain::status::Status;
use postbridge::store::contract::Store;
use postbridge::store::contract::conformance::fixture::engine::usual_rules;
use postbridge::store::contract::conformance::fixture::offer::set_status;
use postbridge::store::contract::conformance::fixture::received::{DAY, at, click, sale, unscreened, wait};
use postbridge::store::contract::totals::{ConversionTotals, TotalsBy, TotalsFilter, TotalsQuery};
use postbridge::store::embedded::Embedded;
use postbridge::store::engine::faulty::{Faulty, ReadFault};
use postbridge::store::engine::kv::{Batch, Kv};
use postbridge::store::engine::memory::Memory;

use crate::support::recount::assert_recounted;

/// Where the so many-th commit after the last fold keeps what it counted.
fn place(number: u32) -> Vec<u8> {
    [b"U", &number.to_be_bytes()[..]].concat()
}

#[test]
fn a_total_of_what_was_lost_is_shown_as_nothing_once_it_goes() {
    let memory = Memory::new();
    let open = || Embedded::open(Arc::new(memory.clone()), usual_rules()).unwrap();
    let store = open();
    let lost = sale("lost").status(Status::Pending).receive(&store);
    drop(store);
    let mut batch = Batch::default();
    batch.put(place(0), b"\x01\x00\x00 not a record".to_vec());
    memory.commit(batch, &mut |_| {}).unwrap();
    let store = open();
    set_status(&store, lost.postback, Status::Approved, at(1));
    sale("kept").receive(&store);
    let bounds = vec![QuarterHour::of(at(-DAY)), QuarterHour::of(at(DAY))];
    let of = TotalsFilter::Conversions(ConversionTotals::default());
    let query = TotalsQuery { bounds, of, by: vec![TotalsBy::Status], limit: 9 };
    let totals = wait(store.totals(query)).unwrap();
    let counted: Vec<_> = totals.lines.iter().map(|line| (line.key.status, line.count)).collect();
    assert_eq!(counted, [(Some(Status::Approved), 2)], "pending ones are one below zero");
}

/// More commits than are counted apart.
fn fill(store: &dyn Store, name: &str) {
    for number in 0..2100 {
        wait(store.record_click(unscreened(click(&format!("{name}{number}"))))).unwrap();
    }
}

#[test]
fn a_leftover_that_cannot_be_read_stops_no_commit_that_counts() {
    for how in [ReadFault::Damaged, ReadFault::DamagedPage] {
        let disk = Faulty::over(Memory::new());
        let open = || Embedded::open(Arc::new(disk.clone()), usual_rules()).unwrap();
        let store = open();
        fill(&store, "a");
        drop(store);
        // Long folded, and written over next.
        let damaged = [0, 1000, 1001, 1003].map(place);
        assert!(disk.get(&damaged[1]).unwrap().is_some(), "there is such a record");
        disk.cannot_read(how, move |key| damaged[1..].contains(&key.to_vec()));
        let store = open();
        fill(&store, "b");
        assert_recounted(&store);
        drop(store);
        assert_recounted(&open());
    }
}

#[test]
fn a_place_that_is_found_damaged_while_it_is_written_is_passed_over_from_then_on() {
    let disk = Faulty::over(Memory::new());
    let open = || Embedded::open(Arc::new(disk.clone()), usual_rules()).unwrap();
    let store = open();
    fill(&store, "a");
    let damaged = [100, 101, 1500].map(place);
    assert!(disk.get(&damaged[0]).unwrap().is_some(), "there is such a record");
    disk.cannot_read(ReadFault::DamagedPage, move |key| damaged.contains(&key.to_vec()));
    fill(&store, "b");
    assert_recounted(&store);
    drop(store);
    assert_recounted(&open());
}
