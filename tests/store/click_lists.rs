//! What is stored of clicks that are listed: what purging leaves, and what damage does.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use postbridge::domain::filter::DuplicateBy;
use postbridge::domain::filter_verdict::FilterMode;
use postbridge::store::contract::Store;
use postbridge::store::contract::change::PurgeBefore;
use postbridge::store::contract::conformance::fixture::received::{DAY, at, wait};
use postbridge::store::contract::conformance::fixture::visit::{
    by, capped, duplicates, listed, receive, rules, screened, visit,
};
use postbridge::store::contract::conformance::fixture::work::{never, purge_all};
use postbridge::store::contract::lookup::ClickFilter;
use postbridge::store::embedded::Embedded;
use postbridge::store::engine::kv::{Batch, Direction, Kv, Span};
use postbridge::store::engine::memory::Memory;

fn keys(kv: &dyn Kv) -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    let span = Span { from: b"", to: b"\xff", direction: Direction::Up };
    kv.scan(span, &mut |key, _| {
        keys.insert(key.escape_ascii().to_string());
        ControlFlow::Continue(())
    })
    .unwrap();
    keys
}

#[test]
fn purging_removes_every_trace_of_a_screened_click() {
    let memory = Memory::new();
    let store = Embedded::open(
        Arc::new(memory.clone()),
        rules(&[capped(100)], duplicates(FilterMode::Observe, DuplicateBy::Cookie)),
    )
    .unwrap();
    for n in 0..200 {
        let visitor = format!("visitor-number-{:03}", n % 7);
        drop(store.record_click(screened(by(visit(&format!("c{n}"), at(n)), &visitor))));
    }
    wait(store.probe()).unwrap();
    assert!(keys(&memory).len() > 200);
    purge_all(&store, PurgeBefore { clicks: at(DAY), ..never() });
    // What commits counted are numbers, and the key of digests is random: no trace of a click.
    let mut left = keys(&memory);
    left.retain(|key| !key.starts_with('U'));
    assert_eq!(left, ["Mdigestkey", "Mformat", "Mnumbers", "Mprobe"].map(str::to_owned).into());
}

#[test]
fn a_damaged_part_of_the_log_is_left_out_of_lists_and_stops_no_purging_of_others() {
    let memory = Memory::new();
    let store = Embedded::open(Arc::new(memory.clone()), Arc::default()).unwrap();
    for id in ["c1", "c2", "c3"] {
        receive(&store, visit(id, at(0)));
    }
    drop(store);
    let mut batch = Batch::default();
    let day = (postbridge::domain::offer::day_of(at(0)) as i32) ^ i32::MIN;
    let second = [b"G", &day.to_be_bytes()[..], &2u64.to_be_bytes()[..]].concat();
    batch.put(second, b"\x02\x00\x00 not a record".to_vec());
    memory.commit(batch, &mut |_| {}).unwrap();
    let store = Embedded::open(Arc::new(memory), Arc::default()).unwrap();
    assert_eq!(listed(&store, &ClickFilter::default(), 9), ["c3", "c1"]);
    assert_eq!(purge_all(&store, PurgeBefore { clicks: at(DAY), ..never() }), 2);
}
