//! What visitors answered about consent on a page whose click is not recorded yet.

use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use crate::domain::consent::ConsentRecord;
use crate::domain::ids::ClickId;
use crate::domain::time::Time;
use crate::store::codec::{self, corrupt};
use crate::store::contract::error::StoreError;
use crate::store::engine::kv::{Batch, Direction, Span};
use crate::store::reader::Reader;

/// An answer that was received before the click it is about. It is the head of its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct EarlyAnswer {
    /// When it was received last.
    pub received_at: Time,
    /// How many marks of age there were then.
    pub marks: u64,
    pub consent: ConsentRecord,
}

/// Answers about a click that is not recorded.
pub fn answers_key(click: &ClickId) -> Vec<u8> {
    [b"Y", click.as_str().as_bytes()].concat()
}

/// Before the keys of all answers.
pub const FIRST_ANSWER: &[u8] = b"Y";

/// Behind the keys of all answers.
pub fn after_answers() -> Vec<u8> {
    b"Z".to_vec()
}

impl Reader {
    pub fn answers_ahead(&self, click: &ClickId) -> Result<Option<EarlyAnswer>, StoreError> {
        self.head(&answers_key(click))
    }
}

/// Puts an answer that is ahead of its click over what was kept.
pub fn put_ahead(batch: &mut Batch, click: &ClickId, ahead: &EarlyAnswer) -> Result<(), StoreError> {
    let key = answers_key(click);
    let packed = codec::pack(ahead, &()).map_err(|error| corrupt(&key, &error))?;
    batch.put(key, packed);
    Ok(())
}

/// Keys of answers to remove, and the key at which the next step begins, if there may be more.
pub type EndedAnswers = (Vec<Vec<u8>>, Option<Vec<u8>>);

/// The keys of those of up to `most` answers, from key `from` on, that are past their days; and where the next
/// step begins, if there may be more. One that cannot be read is left.
pub fn ended(
    reader: &Reader,
    from: &[u8],
    most: usize,
    is_due: impl Fn(EarlyAnswer) -> bool,
) -> Result<EndedAnswers, StoreError> {
    let (mut keys, mut seen, mut last) = (Vec::new(), 0, None);
    let to = after_answers();
    reader.scan(Span { from, to: &to, direction: Direction::Up }, &mut |key, bytes| {
        let ahead = bytes.ok().and_then(|bytes| codec::head::<EarlyAnswer>(bytes).ok());
        keys.extend(ahead.filter(|ahead| is_due(*ahead)).map(|_| key.to_vec()));
        seen += 1;
        if seen < most {
            return ControlFlow::Continue(());
        }
        last = Some([key, &[0]].concat());
        ControlFlow::Break(())
    })?;
    Ok((keys, last))
}
