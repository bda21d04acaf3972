//! What a commit changes, as a frame's payload has it.
//!
//! For each change: what it is (1 byte: 0 removed, 1 put), the length of the key (LEB128), the key, and of what is put the
//! length of the value (LEB128) and the value. Whether a key is new is not written down: where a journal is read again, it
//! may be there.

use crate::store::engine::kv::{Batch, KeyChange};

const REMOVED: u8 = 0;
const PUT: u8 = 1;

/// A key, and its new value or that it is gone.
pub type StoredChange<'a> = (&'a [u8], Option<&'a [u8]>);

/// Writes down a batch behind what is in `bytes`.
pub fn write(batch: &Batch, bytes: &mut Vec<u8>) {
    for (key, change) in &batch.changes {
        let value = match change {
            KeyChange::Add(value) | KeyChange::Put(value) => Some(value.as_slice()),
            KeyChange::Remove => None,
        };
        write_one(key, value, bytes);
    }
}

/// Writes down one change behind what is in `bytes`.
pub fn write_one(key: &[u8], value: Option<&[u8]>, bytes: &mut Vec<u8>) {
    bytes.push(if value.is_some() { PUT } else { REMOVED });
    write_length(key.len(), bytes);
    bytes.extend_from_slice(key);
    if let Some(value) = value {
        write_length(value.len(), bytes);
        bytes.extend_from_slice(value);
    }
}

fn write_length(mut length: usize, bytes: &mut Vec<u8>) {
    while length >= 0x80 {
        bytes.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    bytes.push(length as u8);
}

/// Shows the changes of a payload in order.
///
/// # Errors
/// Where it ends in the middle of one: what was written before that was shown.
pub fn each<'a>(mut bytes: &'a [u8], mut visit: impl FnMut(StoredChange<'a>)) -> Result<(), String> {
    let ends = || "its payload ends in the middle of a change".to_owned();
    while let Some((kind, rest)) = bytes.split_first() {
        let (key, rest) = read_part(rest).ok_or_else(ends)?;
        bytes = rest;
        match *kind {
            REMOVED => visit((key, None)),
            PUT => {
                let (value, rest) = read_part(rest).ok_or_else(ends)?;
                bytes = rest;
                visit((key, Some(value)));
            }
            kind => return Err(format!("its payload has a change of kind {kind}, which is not known")),
        }
    }
    Ok(())
}

/// What is behind its length, and what is behind that.
fn read_part(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (mut length, mut at) = (0usize, 0);
    loop {
        let byte = *bytes.get(at)?;
        length |= usize::from(byte & 0x7f).checked_shl(7 * at as u32)?;
        at += 1;
        if byte < 0x80 {
            break;
        }
        if at > 5 {
            return None;
        }
    }
    bytes.get(at..)?.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_read_as_they_were_written() {
        let mut batch = Batch::default();
        batch.add(b"Ha".to_vec(), vec![7; 127]);
        batch.put(vec![b'B'; 300], vec![9; 70_000]);
        batch.remove(b"Hc".to_vec());
        batch.put(b"M".to_vec(), Vec::new());
        let mut bytes = Vec::new();
        write(&batch, &mut bytes);
        let mut found = Vec::new();
        each(&bytes, |(key, value)| found.push((key.to_vec(), value.map(<[u8]>::to_vec)))).unwrap();
        let long = (vec![b'B'; 300], Some(vec![9; 70_000]));
        let last = (b"M".to_vec(), Some(Vec::new()));
        assert_eq!(found, [(b"Ha".to_vec(), Some(vec![7; 127])), long, (b"Hc".to_vec(), None), last]);
    }

    #[test]
    fn a_payload_that_ends_too_early_or_has_an_unknown_kind_is_an_error() {
        let mut bytes = Vec::new();
        write_one(b"Ha", Some(b"value"), &mut bytes);
        for length in 1..bytes.len() {
            assert!(each(&bytes[..length], |_| {}).is_err(), "{length} bytes");
        }
        bytes[0] = 9;
        assert!(each(&bytes, |_| {}).is_err());
        assert!(each(&[PUT, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1], |_| {}).is_err());
    }
}
