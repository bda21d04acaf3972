//! What is stored of suppression lists, and lists whose commit failed.

use std::ops::ControlFlow;
use std::sync::Arc;

use postbridge::domain::click::CustomerTrait;
use postbridge::domain::suppression::SuppressedKind;
use postbridge::store::contract::Store;
use postbridge::store::contract::conformance::fixture::received::wait;
use postbridge::store::contract::conformance::suppression::{
    entry, on, put_on, reason, suppress, take_off, with,
};
use postbridge::store::embedded::Embedded;
use postbridge::store::engine::faulty::{FaultAt, Faulty, ProcessEnd};
use postbridge::store::engine::kv::{Direction, Kv, KvError, Span};
use postbridge::store::engine::memory::Memory;

#[test]
fn neither_an_address_nor_a_phone_number_nor_its_bare_hash_is_ever_stored() {
    use sha2::{Digest, Sha256};
    let memory = Memory::new();
    let store = Embedded::open(Arc::new(memory.clone()), Arc::default()).unwrap();
    let entries =
        [entry(SuppressedKind::Email, "eve@example.com"), entry(SuppressedKind::Phone, "12025550143")];
    suppress(&store, "people", &entries);
    wait(store.close()).unwrap();
    let (mut found, mut stored) = (Vec::new(), 0);
    let needles: Vec<Vec<u8>> = ["eve@example.com", "12025550143"]
        .into_iter()
        .flat_map(|text| [text.as_bytes().to_vec(), Sha256::digest(text).to_vec()])
        .collect();
    let span = Span { from: &[0], to: &[255], direction: Direction::Up };
    let mut visit = |key: &[u8], value: Result<&[u8], &KvError>| {
        let value = value.unwrap();
        stored += 1;
        let holds = |bytes: &[u8], needle: &[u8]| bytes.windows(needle.len()).any(|part| part == needle);
        found.extend(needles.iter().filter(|needle| holds(key, needle) || holds(value, needle)).cloned());
        ControlFlow::Continue(())
    };
    memory.scan(span, &mut visit).unwrap();
    assert!(stored > 4);
    assert_eq!(found, Vec::<Vec<u8>>::new());
}

#[test]
fn the_first_hashed_entry_goes_onto_a_list_that_has_others() {
    let store = Embedded::open(Arc::new(Memory::new()), Arc::default()).unwrap();
    assert_eq!(suppress(&store, "people", &[entry(SuppressedKind::Ip, "10.0.0.1")]), [true]);
    let eve = entry(SuppressedKind::Email, "eve@example.com");
    assert_eq!(suppress(&store, "people", &[eve.clone(), eve.clone()]), [true, false]);
    assert_eq!(suppress(&store, "people", &[eve]), [false]);
}

#[test]
fn entries_whose_commit_failed_stand_on_no_list() {
    for step in [FaultAt::BeforeWrite, FaultAt::BeforeSync] {
        let disk = Faulty::over(Memory::new());
        let store = Embedded::open(Arc::new(disk.clone()), Arc::default()).unwrap();
        let kept = [entry(SuppressedKind::Ip, "10.0.0.1")];
        suppress(&store, "nets", &kept);
        disk.fail(step, 0, "No space left on device (os error 28)");
        let eve = [entry(SuppressedKind::Email, "eve@example.com"), entry(SuppressedKind::OrderId, "o1")];
        let (put_on, taken_off) =
            (store.change_list(put_on("a", &eve)), store.change_list(take_off("nets", &kept)));
        assert!(wait(put_on).is_err() && wait(taken_off).is_err());
        assert!(wait(store.lists()).is_err());
        drop(store);
        let store =
            Embedded::open(Arc::new(disk.after(ProcessEnd::PowerCut).unwrap()), Arc::default()).unwrap();
        let lists = wait(store.lists()).unwrap();
        assert_eq!(lists.iter().map(|list| (&*list.name, list.entries)).collect::<Vec<_>>(), [("nets", 1)]);
        assert_eq!(reason(&store, "t1", with(CustomerTrait::Email, "eve@example.com")), None);
        assert_eq!(reason(&store, "t2", with(CustomerTrait::Ip, "10.0.0.1")), on(SuppressedKind::Ip, "nets"));
        assert_eq!(suppress(&store, "a", &eve), [true, true]);
    }
}
