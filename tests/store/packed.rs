//! Small records in blocks: those above see each under its own key, whatever is written in which order.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use postbridge::store::engine::faulty::{Faulty, ReadFault};
use postbridge::store::engine::kv::{Batch, Direction, Kv, KvError, Span};
use postbridge::store::engine::memory::Memory;
use postbridge::store::engine::packed::Packed;

type Records = BTreeMap<Vec<u8>, Vec<u8>>;

fn key(table: u8, number: u64) -> Vec<u8> {
    [&[table][..], &number.to_be_bytes()].concat()
}

fn scanned(kv: &dyn Kv, from: &[u8], to: &[u8], direction: Direction) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut found = Vec::new();
    kv.scan(Span { from, to, direction }, &mut |key, value| {
        found.push((key.to_vec(), value.unwrap().to_vec()));
        ControlFlow::Continue(())
    })
    .unwrap();
    found
}

/// How many keys the engine below has.
fn keys_below(memory: &Memory) -> usize {
    scanned(memory, b"", b"\xff", Direction::Up).len()
}

fn commit(kv: &dyn Kv, batch: Batch) {
    kv.commit(batch, &mut |_| {}).unwrap();
}

/// The same everywhere as in a map that has them one by one.
fn compare(kv: &dyn Kv, records: &Records, numbers: std::ops::Range<u64>) {
    for table in [b'G', b'K'] {
        for number in numbers.clone() {
            let key = key(table, number);
            assert_eq!(kv.get(&key).unwrap().as_ref(), records.get(&key), "{table} {number}");
        }
        for (from, to) in [(0, u64::MAX), (numbers.start + 3, numbers.end - 2), (7, 8), (9, 9)] {
            let (from, to) = (key(table, from), key(table, to));
            let within = records.range(from.clone()..to.clone());
            let mut expected: Vec<_> = within.map(|(key, value)| (key.clone(), value.clone())).collect();
            assert_eq!(scanned(kv, &from, &to, Direction::Up), expected);
            expected.reverse();
            assert_eq!(scanned(kv, &from, &to, Direction::Down), expected);
        }
    }
}

/// A sequence that looks random and is the same every time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

#[test]
fn records_in_blocks_are_read_as_if_each_had_a_key_of_its_own() {
    for seed in 0..40 {
        let (memory, mut dice, mut records) = (Memory::new(), Dice(seed), Records::new());
        let mut kv = Packed::new(Arc::new(memory.clone()), b"G");
        let mut next = 1;
        for _ in 0..30 {
            let mut batch = Batch::default();
            for _ in 0..dice.roll(90) {
                let table = if dice.roll(5) == 0 { b'K' } else { b'G' };
                let length = if dice.roll(40) == 0 { 30_000 } else { dice.roll(300) };
                let value = vec![(dice.roll(256)) as u8; length as usize];
                // Mostly behind all others; now and then in the midst, or one that is there.
                let number = if dice.roll(8) == 0 { dice.roll(next + 5) } else { next };
                next = next.max(number) + 1 + dice.roll(2) * dice.roll(3);
                let key = key(table, number);
                if dice.roll(6) == 0 {
                    batch.remove(key.clone());
                    records.remove(&key);
                } else if records.contains_key(&key) || batch.changes.iter().any(|(known, _)| *known == key) {
                    batch.put(key.clone(), value.clone());
                    records.insert(key, value);
                } else {
                    batch.add(key.clone(), value.clone());
                    records.insert(key, value);
                }
            }
            commit(&kv, batch);
            if dice.roll(6) == 0 {
                kv = Packed::new(Arc::new(memory.clone()), b"G");
            }
        }
        compare(&kv, &records, 0..next + 3);
        let all = records.keys().cloned().collect::<Vec<_>>();
        let mut batch = Batch::default();
        all.into_iter().for_each(|key| batch.remove(key));
        commit(&kv, batch);
        assert_eq!(keys_below(&memory), 0, "nothing is left of blocks that are empty");
    }
}

#[test]
fn neighbours_share_a_key_and_what_is_written_alone_does_not_move() {
    let memory = Memory::new();
    let kv = Packed::new(Arc::new(memory.clone()), b"G");
    let mut batch = Batch::default();
    (0..640).for_each(|number| batch.add(key(b'G', number), vec![7; 20]));
    commit(&kv, batch);
    assert_eq!(keys_below(&memory), 10);
    for number in 640..644 {
        let mut batch = Batch::default();
        batch.add(key(b'G', number), vec![7; 20]);
        commit(&kv, batch);
    }
    assert_eq!(keys_below(&memory), 14);
}

#[test]
fn a_block_that_cannot_be_read_fails_alone() {
    let memory = Memory::new();
    let kv = Packed::new(Arc::new(memory.clone()), b"G");
    let mut batch = Batch::default();
    (0..192).for_each(|number| batch.add(key(b'G', number), vec![7; 20]));
    commit(&kv, batch);
    let mut batch = Batch::default();
    batch.put(key(b'G', 64), b"\xff\xff\xff\x7f not a block".to_vec());
    memory.commit(batch, &mut |_| {}).unwrap();
    assert!(matches!(kv.get(&key(b'G', 70)), Err(KvError::Damaged { .. })));
    assert_eq!(kv.get(&key(b'G', 130)).unwrap(), Some(vec![7; 20]));
    for direction in [Direction::Up, Direction::Down] {
        let (mut read, mut damaged) = (0, Vec::new());
        let span = Span { from: &key(b'G', 0), to: &key(b'G', u64::MAX), direction };
        kv.scan(span, &mut |key, value| {
            match value {
                Ok(_) => read += 1,
                Err(_) => damaged.push(key.to_vec()),
            }
            ControlFlow::Continue(())
        })
        .unwrap();
        assert_eq!((read, damaged), (128, vec![key(b'G', 64)]));
    }
}

#[test]
fn nothing_is_put_into_a_block_that_cannot_be_read_and_what_is_in_it_stays_damaged() {
    let memory = Memory::new();
    let kv = Packed::new(Arc::new(memory.clone()), b"G");
    let mut batch = Batch::default();
    (0..128).for_each(|number| batch.add(key(b'G', number * 2), vec![7; 20]));
    commit(&kv, batch);
    let mut batch = Batch::default();
    batch.put(key(b'G', 0), b"\xff\xff\xff\x7f not a block".to_vec());
    memory.commit(batch, &mut |_| {}).unwrap();
    for number in [0, 1, 40, 126] {
        let mut batch = Batch::default();
        batch.put(key(b'G', number), vec![8; 20]);
        batch.add(key(b'K', number), vec![8; 20]);
        assert!(matches!(kv.commit(batch, &mut |_| {}), Err(KvError::Damaged { .. })), "{number}");
        assert_eq!(kv.get(&key(b'K', number)).unwrap(), None, "the whole batch is refused");
    }
    let mut batch = Batch::default();
    batch.remove(key(b'G', 40));
    batch.remove(key(b'G', 130));
    commit(&kv, batch);
    for number in [0, 40, 41, 126] {
        assert!(matches!(kv.get(&key(b'G', number)), Err(KvError::Damaged { .. })), "{number}");
    }
    assert_eq!(kv.get(&key(b'G', 130)).unwrap(), None);
    assert_eq!(kv.get(&key(b'G', 132)).unwrap(), Some(vec![7; 20]));
}

#[test]
fn a_last_block_that_cannot_be_read_is_passed_by_what_is_new_and_keeps_what_it_has() {
    for (number, is_readable) in [(5, true), (2, false)] {
        let disk = Faulty::over(Memory::new());
        let kv = Packed::new(Arc::new(disk.clone()), b"G");
        let mut batch = Batch::default();
        (1..=3).for_each(|number| batch.add(key(b'G', number), vec![7; 20]));
        commit(&kv, batch);
        // Opened again: which record is the last is not known.
        let kv = Packed::new(Arc::new(disk.clone()), b"G");
        disk.cannot_read(ReadFault::Damaged, |stored| stored == key(b'G', 1));
        let mut batch = Batch::default();
        match is_readable {
            true => batch.add(key(b'G', number), vec![8; 20]),
            false => batch.put(key(b'G', number), vec![8; 20]),
        }
        assert_eq!(kv.commit(batch, &mut |_| {}).is_ok(), is_readable);
        assert_eq!(kv.get(&key(b'G', number)).is_ok(), is_readable);
        let mut batch = Batch::default();
        batch.remove(key(b'G', 3));
        commit(&kv, batch);
        assert!(matches!(kv.get(&key(b'G', 3)), Err(KvError::Damaged { .. })), "it is not taken for removed");
    }
}
