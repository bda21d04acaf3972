//! Records that cannot be read, alone or with the whole page that they are on: what goes through many goes on behind
//! them.

use std::ops::ControlFlow;
use std::sync::Arc;

use postbridge::domain::delivery::DeliveryStateName;
use postbridge::domain::status::Status;
use postbridge::domain::time::Time;
use postbridge::store::contract::Store;
use postbridge::store::contract::change::PurgeBefore;
use postbridge::store::contract::conformance::fixture::attempt::{delivered, one};
use postbridge::store::contract::conformance::fixture::engine::usual_rules;
use postbridge::store::contract::conformance::fixture::offer::set_status;
use postbridge::store::contract::conformance::fixture::received::{DAY, at, quarantined, sale, wait};
use postbridge::store::contract::conformance::fixture::work::{
    claim, first_page, never, purge_all, transactions,
};
use postbridge::store::contract::lookup::{ConversionFilter, DeliveryFilter, PageRequest, PostbackFilter};
use postbridge::store::embedded::Embedded;
use postbridge::store::engine::faulty::{Faulty, ReadFault};
use postbridge::store::engine::kv::{Batch, Direction, Kv, Span};
use postbridge::store::engine::memory::Memory;
use postbridge::store::engine::packed::Packed;

const HOW: [ReadFault; 2] = [ReadFault::Damaged, ReadFault::DamagedPage];

fn open(disk: &Faulty) -> Embedded {
    Embedded::open(Arc::new(disk.clone()), usual_rules()).unwrap()
}

/// The keys of a table, as the engine has them.
fn keys(kv: &dyn Kv, table: u8) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let span = Span { from: &[table], to: &[table + 1], direction: Direction::Up };
    kv.scan(span, &mut |key, _| {
        found.push(key.to_vec());
        ControlFlow::Continue(())
    })
    .unwrap();
    found
}

fn cannot_read(disk: &Faulty, how: ReadFault, key: Vec<u8>) {
    disk.cannot_read(how, move |stored| stored == key);
}

fn deliver(store: &dyn Store, now: Time) {
    let work = claim(store, "ads", now);
    work.iter().for_each(|work| drop(wait(store.record(one(delivered(work, now)))).unwrap()));
}

fn numbers(store: &dyn Store) -> Vec<u64> {
    let postbacks = wait(store.postbacks(PostbackFilter::default(), first_page(9))).unwrap();
    postbacks.items.iter().map(|postback| postback.seq.get()).collect()
}

fn delivered_of(store: &dyn Store) -> Vec<u64> {
    let filter = DeliveryFilter { state: Some(DeliveryStateName::Delivered), ..DeliveryFilter::default() };
    let listed = wait(store.deliveries(filter, first_page(9))).unwrap().items;
    listed.iter().map(|listed| listed.conversion.seq.get()).collect()
}

#[test]
fn a_list_goes_on_behind_what_is_damaged_of_any_table_alone_or_with_its_whole_page() {
    for (table, of_postbacks, of_conversions) in [
        (b'H', &[3, 1][..], &[3, 1][..]),
        (b'B', &[3, 1], &[3, 1]),
        (b'X', &[3, 2, 1], &[3, 1]),
        (b'C', &[3, 2, 1], &[3, 1]),
        (b'P', &[3, 1], &[3, 2, 1]),
    ] {
        let disk = Faulty::over(Memory::new());
        let store = open(&disk);
        for name in ["t1", "t2", "t3"] {
            let receipt = sale(name).forward().receive(&store);
            deliver(&store, at(1));
            if table == b'C' {
                set_status(&store, receipt.postback, Status::Rejected, at(2));
            }
        }
        drop(store);
        let second = keys(&disk, table)[1].clone();
        for how in HOW {
            disk.can_read();
            let store = open(&disk);
            let (all, sent) = (numbers(&store), delivered_of(&store));
            assert_eq!((&all[..], &sent[..]), (&[3, 2, 1][..], &[3, 2, 1][..]));
            drop(store);
            let store = open(&disk);
            cannot_read(&disk, how, second.clone());
            let case = format!("{} {how:?}", char::from(table));
            assert_eq!(numbers(&store), of_postbacks, "{case}");
            assert_eq!(delivered_of(&store), of_conversions, "{case}");
            let names: Vec<String> = of_conversions.iter().map(|number| format!("t{number}")).collect();
            assert_eq!(transactions(&store, ConversionFilter::default()), names, "{case}");
        }
    }
}

#[test]
fn what_is_damaged_of_the_day_before_leaves_nothing_out_of_the_next_one() {
    for how in HOW {
        let disk = Faulty::over(Memory::new());
        let store = open(&disk);
        for (name, time) in [("t1", at(0)), ("t2", at(0)), ("t3", at(DAY))] {
            if time > at(0) {
                wait(store.arrive(quarantined("no price", time))).unwrap();
            }
            sale(name).at(time).forward().receive(&store);
            deliver(&store, time);
        }
        drop(store);
        let store = open(&disk);
        let second = keys(&disk, b'X')[1].clone();
        cannot_read(&disk, how, second);
        assert_eq!(numbers(&store), [4, 3, 2, 1], "{how:?}");
        assert_eq!(delivered_of(&store), [4, 1], "{how:?}");
    }
}

#[test]
fn pages_of_a_long_list_go_on_behind_a_damaged_block_until_all_else_was_listed() {
    const ALL: u64 = 1500;
    for how in HOW {
        let disk = Faulty::over(Memory::new());
        let store = open(&disk);
        let arrivals: Vec<_> = (0..ALL).map(|_| store.arrive(quarantined("no price", at(0)))).collect();
        arrivals.into_iter().for_each(|arrival| drop(wait(arrival).unwrap()));
        drop(store);
        let store = open(&disk);
        let blocks = keys(&disk, b'H');
        let block = blocks.len() / 2;
        let number = |key: &Vec<u8>| u64::from_be_bytes(*key.last_chunk().unwrap());
        let damaged = number(&blocks[block])..number(&blocks[block + 1]);
        cannot_read(&disk, how, blocks[block].clone());
        let (mut listed, mut cursor) = (Vec::new(), None);
        loop {
            let page = PageRequest { cursor, limit: 400 };
            let page = wait(store.postbacks(PostbackFilter::default(), page)).unwrap();
            listed.extend(page.items.iter().map(|postback| postback.seq.get()));
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        let expected: Vec<u64> = (1..=ALL).rev().filter(|number| !damaged.contains(number)).collect();
        assert_eq!(listed, expected, "{how:?}");
    }
}

#[test]
fn purging_goes_on_behind_a_damaged_page() {
    for table in [b'P', b'H'] {
        let disk = Faulty::over(Memory::new());
        let store = open(&disk);
        for _ in 0..3 {
            wait(store.arrive(quarantined("no price", at(0)))).unwrap();
        }
        drop(store);
        let store = open(&disk);
        let second = keys(&disk, table)[1].clone();
        cannot_read(&disk, ReadFault::DamagedPage, second.clone());
        purge_all(&store, PurgeBefore { postbacks: at(DAY), conversions: at(DAY), clicks: at(DAY) });
        disk.can_read();
        assert_eq!(keys(&disk, table), [second], "{}", char::from(table));
    }
}

#[test]
fn purging_reads_no_more_of_raw_bytes_than_when_they_were_received() {
    let memory = Memory::new();
    let open = || Embedded::open(Arc::new(memory.clone()), usual_rules()).unwrap();
    let store = open();
    let receipts = [1, 2].map(|_| wait(store.arrive(quarantined("no price", at(0)))).unwrap());
    drop(store);
    let packed = Packed::new(Arc::new(memory.clone()), b"P");
    let mut batch = Batch::default();
    for key in keys(&packed, b'P') {
        // The version, a time and that it reprocesses nothing; the rest of them is not there.
        let mut record = packed.get(&key).unwrap().unwrap();
        record.truncate(16);
        batch.put(key, record);
    }
    packed.commit(batch, &mut |_| {}).unwrap();
    let store = open();
    assert!(wait(store.postback(receipts[0].postback)).is_err());
    assert_eq!(purge_all(&store, PurgeBefore { postbacks: at(DAY), ..never() }), 2);
    let left = wait(store.postback(receipts[0].postback)).unwrap().unwrap();
    assert_eq!(left.raw, None);
}
