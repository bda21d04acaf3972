//! Values longer than sled likes, in pieces. Only this file and the engine know of them.
//!
//! A stored value begins with how many further pieces it has (u16). Those are under a zero byte, the key and their
//! number (u16); no key of a record begins with a zero byte, so no scan of records meets them.

use std::collections::HashMap;

use crate::store::engine::kv::{KeyChange, KvError};

/// The longest value that is given to sled. It puts a page above a quarter of its segment into a file that no sync of
/// ours reaches; its leaves hold up to 17 values.
pub const MAX_STORED: usize = 7 * 1024;
/// Where the keys of records begin.
pub const FIRST_KEY: &[u8] = &[1];
/// How long the number of further pieces is.
const COUNT: usize = 2;

/// Where a further piece is.
pub fn key(of: &[u8], number: u16) -> Vec<u8> {
    [&[0], of, &number.to_be_bytes()].concat()
}

/// How many further pieces a stored value has, and its first piece.
pub fn split(stored: &[u8]) -> Result<(u16, &[u8]), String> {
    match stored {
        [high, low, first @ ..] => Ok((u16::from_be_bytes([*high, *low]), first)),
        // As a folder of an earlier format names its own: that is to be refused by its number.
        [_] => Ok((0, stored)),
        [] => Err("it ends too early".to_owned()),
    }
}

/// Turns the changes of one batch into writes, each a key of sled's with its value or with none.
#[derive(Default)]
pub struct PieceWriter {
    pub writes: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    /// Keys that got further pieces from an earlier change of the batch.
    written: HashMap<Vec<u8>, u16>,
}

impl PieceWriter {
    /// Adds one change. `stored` says how many further pieces the key has in the database.
    ///
    /// # Errors
    /// A value of more pieces than can be counted, or what `stored` fails with.
    pub fn add(
        &mut self,
        key: Vec<u8>,
        change: KeyChange,
        stored: impl FnOnce(&[u8]) -> Result<u16, KvError>,
    ) -> Result<(), KvError> {
        let had = match (self.written.get(&key), &change) {
            (Some(count), _) => *count,
            (None, KeyChange::Add(_)) => 0,
            (None, KeyChange::Put(_) | KeyChange::Remove) => stored(&key)?,
        };
        let value = match change {
            KeyChange::Add(value) | KeyChange::Put(value) => Some(value),
            KeyChange::Remove => None,
        };
        let count = value.as_deref().map_or(Ok(0), |value| further(&key, value))?;
        for number in count.saturating_add(1)..=had {
            self.writes.push((self::key(&key, number), None));
        }
        if had > 0 || count > 0 {
            self.written.insert(key.clone(), count);
        }
        let Some(value) = value else {
            self.writes.push((key, None));
            return Ok(());
        };
        let (first, rest) = value.split_at(value.len().min(MAX_STORED - COUNT));
        for (number, piece) in (1..).zip(rest.chunks(MAX_STORED)) {
            self.writes.push((self::key(&key, number), Some(piece.to_vec())));
        }
        self.writes.push((key, Some([&count.to_be_bytes()[..], first].concat())));
        Ok(())
    }
}

/// How many further pieces a value needs.
fn further(key: &[u8], value: &[u8]) -> Result<u16, KvError> {
    let rest = value.len().saturating_sub(MAX_STORED - COUNT);
    u16::try_from(rest.div_ceil(MAX_STORED)).map_err(|_| {
        KvError::Failed(format!(
            "the {} bytes of {} are too many for one value",
            value.len(),
            key.escape_ascii()
        ))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{MAX_STORED, PieceWriter, key};
    use crate::store::engine::kv::KeyChange;

    /// What the database holds after some batches, each a list of changes to one key.
    fn after(batches: &[&[KeyChange]]) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let mut stored: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
        for batch in batches {
            let mut writer = PieceWriter::default();
            for change in *batch {
                let had = |key: &[u8]| Ok(stored.get(key).map_or(0, |value| super::split(value).unwrap().0));
                writer.add(b"K".to_vec(), change.clone(), had).unwrap();
            }
            for (key, value) in writer.writes {
                match value {
                    Some(value) => drop(stored.insert(key, value)),
                    None => drop(stored.remove(&key)),
                }
            }
        }
        stored
    }

    #[test]
    fn a_value_is_cut_to_pieces_that_together_are_the_value() {
        for length in [0, 1, MAX_STORED - 2, MAX_STORED - 1, 2 * MAX_STORED - 2, 5 * MAX_STORED] {
            let value: Vec<u8> = (0..length).map(|n| n as u8).collect();
            let stored = after(&[&[KeyChange::Add(value.clone())]]);
            let (count, first) = super::split(&stored[&b"K"[..]]).unwrap();
            let rest = (1..=count).flat_map(|number| stored[&key(b"K", number)].clone());
            assert_eq!(first.iter().copied().chain(rest).collect::<Vec<u8>>(), value);
            assert_eq!(stored.len(), usize::from(count) + 1);
            assert!(stored.values().all(|piece| piece.len() <= MAX_STORED));
        }
    }

    #[test]
    fn a_shorter_value_or_none_leaves_no_piece_behind_whatever_the_same_batch_did_before() {
        let long = || KeyChange::Put(vec![7; 5 * MAX_STORED]);
        let short = || KeyChange::Put(vec![7; 9]);
        assert_eq!(after(&[&[long()], &[short()]]).len(), 1);
        assert_eq!(after(&[&[long()], &[KeyChange::Remove]]).len(), 0);
        assert_eq!(after(&[&[short()], &[long(), short()]]).len(), 1);
        assert_eq!(after(&[&[long(), KeyChange::Remove]]).len(), 0);
        assert_eq!(
            after(&[&[long()], &[KeyChange::Remove, long(), KeyChange::Put(vec![1; MAX_STORED])]]).len(),
            2
        );
    }
}
