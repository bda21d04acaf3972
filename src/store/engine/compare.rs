//! Compares the records of two engines in order, some at a time.

use std::ops::ControlFlow;

use crate::store::engine::kv::{Direction, Kv, KvError, Span};

/// How many records are held in memory at a time, and how many bytes of them.
const CHUNK: usize = 2048;
const CHUNK_BYTES: usize = 8 * 1024 * 1024;
/// The key behind all others.
const END: &[u8] = &[0xff; 9];

/// In what the second differs from the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordDifference {
    /// It lacks the record with this key.
    Missing(Vec<u8>),
    /// It has one that the first has not.
    LeftOver(Vec<u8>),
    /// It has another value.
    Differs(Vec<u8>),
    /// Its record cannot be read, or what is behind this key.
    Unreadable(Vec<u8>, String),
}

/// Goes through the tables of both: records of a packed table are not met by a scan across tables.
pub struct Comparison<'a> {
    truth: &'a dyn Kv,
    other: &'a dyn Kv,
    table: u8,
    from: Vec<u8>,
    /// Records of the first that were looked at.
    pub records: u64,
}

impl<'a> Comparison<'a> {
    /// From the first record on.
    pub fn new(truth: &'a dyn Kv, other: &'a dyn Kv) -> Comparison<'a> {
        Comparison { truth, other, table: 1, from: vec![1], records: 0 }
    }

    /// Compares some more. `None`: there is no more.
    ///
    /// # Errors
    /// What fails of the first, or of the second as a whole.
    pub fn next(&mut self) -> Result<Option<Vec<RecordDifference>>, KvError> {
        if self.table == 0 {
            return Ok(None);
        }
        let table_end = self.table.checked_add(1).map_or(END.to_vec(), |next| vec![next]);
        let (expected, is_last) = some(self.truth, &self.from, &table_end)?;
        self.records += expected.len() as u64;
        let last = expected.last().filter(|_| !is_last).map(|(key, _)| [key.as_slice(), &[0]].concat());
        let to = last.unwrap_or(table_end);
        let found = compare(self.other, (&self.from, &to), &expected)?;
        if is_last {
            self.table = self.table.checked_add(1).unwrap_or_default();
            self.from = vec![self.table];
        } else {
            self.from = to;
        }
        Ok(Some(found))
    }
}

/// A record: its key, and its value.
type KeyAndValue = (Vec<u8>, Vec<u8>);

/// The first records of a span, and whether there are no more.
fn some(kv: &dyn Kv, from: &[u8], to: &[u8]) -> Result<(Vec<KeyAndValue>, bool), KvError> {
    let (mut found, mut bytes, mut ended) = (Vec::new(), 0, Ok(true));
    kv.scan(Span { from, to, direction: Direction::Up }, &mut |key, value| {
        match value {
            Ok(value) => {
                bytes += key.len() + value.len();
                found.push((key.to_vec(), value.to_vec()));
            }
            Err(error) => {
                ended = Err(error.clone());
                return ControlFlow::Break(());
            }
        }
        if found.len() >= CHUNK || bytes >= CHUNK_BYTES {
            ended = Ok(false);
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    })?;
    ended.map(|ended| (found, ended))
}

fn compare(
    kv: &dyn Kv,
    (from, to): (&[u8], &[u8]),
    expected: &[KeyAndValue],
) -> Result<Vec<RecordDifference>, KvError> {
    let mut found = Vec::new();
    let mut expected = expected.iter().peekable();
    let scanned = kv.scan(Span { from, to, direction: Direction::Up }, &mut |key, value| {
        while let Some((missing, _)) = expected.next_if(|(next, _)| next.as_slice() < key) {
            found.push(RecordDifference::Missing(missing.clone()));
        }
        let own = expected.next_if(|(next, _)| next.as_slice() == key);
        match (value, own) {
            (Err(error), _) => found.push(RecordDifference::Unreadable(key.to_vec(), error.to_string())),
            (Ok(value), Some((_, own))) if own == value => {}
            (Ok(_), Some(_)) => found.push(RecordDifference::Differs(key.to_vec())),
            (Ok(_), None) => found.push(RecordDifference::LeftOver(key.to_vec())),
        }
        ControlFlow::Continue(())
    });
    match scanned {
        Ok(()) => {}
        Err(KvError::Damaged { key, cause }) => found.push(RecordDifference::Unreadable(key, cause)),
        Err(error) => return Err(error),
    }
    found.extend(expected.map(|(missing, _)| RecordDifference::Missing(missing.clone())));
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::engine::kv::Batch;
    use crate::store::engine::memory::Memory;

    fn engine(records: &[(&str, &str)]) -> Memory {
        let engine = Memory::default();
        let mut batch = Batch::default();
        for (key, value) in records {
            batch.put(key.as_bytes().to_vec(), value.as_bytes().to_vec());
        }
        engine.commit(batch, &mut |_| {}).unwrap();
        engine
    }

    fn all(truth: &Memory, other: &Memory) -> Vec<RecordDifference> {
        let mut comparison = Comparison::new(truth, other);
        let mut found = Vec::new();
        while let Some(some) = comparison.next().unwrap() {
            found.extend(some);
        }
        found
    }

    #[test]
    fn each_record_that_differs_is_named_in_order_and_no_other() {
        let truth = engine(&[("Aa", "1"), ("Ab", "2"), ("Ca", "3"), ("Zz", "4")]);
        let other = engine(&[("Aa", "1"), ("Ab", "other"), ("Ac", "5"), ("Ca", "3")]);
        let key = |key: &str| key.as_bytes().to_vec();
        assert_eq!(
            all(&truth, &other),
            [
                RecordDifference::Differs(key("Ab")),
                RecordDifference::LeftOver(key("Ac")),
                RecordDifference::Missing(key("Zz"))
            ]
        );
        assert_eq!(all(&truth, &truth), []);
    }

    #[test]
    fn more_records_than_fit_in_memory_at_a_time_are_compared_to_the_last() {
        let names: Vec<String> = (0..3 * CHUNK + 5).map(|number| format!("H{number:08}")).collect();
        let records: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "1")).collect();
        let truth = engine(&records);
        let last = records.len() - 1;
        assert_eq!(all(&truth, &engine(&records)), []);
        let lacking = engine(&records[..last]);
        assert_eq!(all(&truth, &lacking), [RecordDifference::Missing(names[last].clone().into_bytes())]);
        assert_eq!(all(&lacking, &truth), [RecordDifference::LeftOver(names[last].clone().into_bytes())]);
    }
}
