//! Spans of keys that the index cannot give: what the journal has of them is kept in memory, and they are read there.

use std::ops::ControlFlow;
use std::sync::Arc;

use parking_lot::RwLock;

use crate::store::engine::kv::{Batch, Direction, Kv, KvError, ScanVisitor, Span, Step};

/// From this key (inclusive) to that one (exclusive).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadableSpan {
    /// The first key that cannot be read.
    pub from: Vec<u8>,
    /// The first one behind it that can, or the end of the table.
    pub to: Vec<u8>,
}

impl UnreadableSpan {
    /// Whether a key is within it.
    pub fn covers(&self, key: &[u8]) -> bool {
        self.from.as_slice() <= key && key < self.to.as_slice()
    }

    /// Whether it has no key in common with a span.
    fn is_apart(&self, span: Span<'_>) -> bool {
        self.to.as_slice() <= span.from || span.to <= self.from.as_slice()
    }
}

/// The spans that are known to be unreadable, in order, none in another.
#[derive(Default)]
pub struct UnreadableSpans(RwLock<Arc<Vec<UnreadableSpan>>>);

impl UnreadableSpans {
    /// As they are now.
    pub fn now(&self) -> Arc<Vec<UnreadableSpan>> {
        Arc::clone(&self.0.read())
    }

    /// Whether one of them has this key.
    pub fn covers(&self, key: &[u8]) -> bool {
        self.0.read().iter().any(|span| span.covers(key))
    }

    /// The one that has this key.
    pub fn of(&self, key: &[u8]) -> Option<UnreadableSpan> {
        self.0.read().iter().find(|span| span.covers(key)).cloned()
    }

    /// Whether all of a span is known.
    pub fn have(&self, wanted: &UnreadableSpan) -> bool {
        self.0.read().iter().any(|span| span.from <= wanted.from && wanted.to <= span.to)
    }

    /// Adds one; what it has in common with others is one with it.
    pub fn add(&self, mut added: UnreadableSpan) {
        let mut known = self.0.write();
        let mut spans = Vec::with_capacity(known.len() + 1);
        for span in known.iter() {
            if span.to < added.from || added.to < span.from {
                spans.push(span.clone());
            } else {
                added.from = added.from.min(span.from.clone());
                added.to = added.to.max(span.to.clone());
            }
        }
        spans.push(added);
        spans.sort_by(|one, other| one.from.cmp(&other.from));
        *known = Arc::new(spans);
    }
}

/// The parts of a span in its direction, and whether each can be read.
pub fn parts<'a>(span: Span<'a>, unreadable: &'a [UnreadableSpan]) -> Vec<(Span<'a>, bool)> {
    let mut found = Vec::new();
    let mut from = span.from;
    for known in unreadable.iter().filter(|known| !known.is_apart(span)) {
        let (begin, end) = (known.from.as_slice().max(span.from), known.to.as_slice().min(span.to));
        if from < begin {
            found.push((Span { from, to: begin, ..span }, true));
        }
        found.push((Span { from: begin, to: end, ..span }, false));
        from = end;
    }
    if from < span.to {
        found.push((Span { from, ..span }, true));
    }
    if span.direction == Direction::Down {
        found.reverse();
    }
    found
}

/// Around a place that `kv` cannot read: which keys it cannot, as far as reading from both sides shows. `at` has what is
/// known of the place, and nothing that can be read.
///
/// # Errors
/// Any failure but of what is damaged.
pub fn around(kv: &dyn Kv, at: &UnreadablePlace) -> Result<UnreadableSpan, KvError> {
    let (begin, end) = (vec![at.table], at.table.checked_add(1).map_or(vec![0xff; 9], |next| vec![next]));
    let behind = |direction| Span { from: &at.to, to: &end, direction };
    let next = match nearest(kv, behind(Direction::Up))? {
        Nearest::Key(next) => Some(next),
        Nearest::None => None,
        Nearest::Unknown => farthest(kv, behind(Direction::Down))?,
    };
    let ahead = |direction| Span { from: &begin, to: &at.from, direction };
    let before = match nearest(kv, ahead(Direction::Down))? {
        Nearest::Key(before) => Some(before),
        Nearest::None => None,
        Nearest::Unknown => farthest(kv, ahead(Direction::Up))?,
    };
    // The block before may have records that are among these: the journal has them too.
    let from = before.map_or(begin, |before| [before.as_slice(), &[0]].concat());
    Ok(UnreadableSpan { from, to: next.unwrap_or(end) })
}

/// Where something cannot be read.
#[derive(Debug, Clone)]
pub struct UnreadablePlace {
    /// The first byte of the keys there.
    pub table: u8,
    /// From this key on, up to the next (exclusive), it cannot. Both may be one: then it is what is next to it.
    pub from: Vec<u8>,
    /// See `from`.
    pub to: Vec<u8>,
}

impl UnreadablePlace {
    /// The place of a key.
    pub fn of(key: &[u8]) -> UnreadablePlace {
        let table = key.first().copied().unwrap_or_default();
        UnreadablePlace { table, from: key.to_vec(), to: [key, &[0]].concat() }
    }

    /// The place next to a key, in a table.
    pub fn next_to(key: Vec<u8>, table: u8) -> UnreadablePlace {
        UnreadablePlace { table, from: key.clone(), to: key }
    }
}

enum Nearest {
    Key(Vec<u8>),
    None,
    /// What is there cannot be read, and nothing behind it either.
    Unknown,
}

/// The first key of a span that can be read.
fn nearest(kv: &dyn Kv, span: Span<'_>) -> Result<Nearest, KvError> {
    let mut found = Nearest::None;
    let scanned = kv.scan(span, &mut |key, value| match value {
        Ok(_) => {
            found = Nearest::Key(key.to_vec());
            ControlFlow::Break(())
        }
        Err(_) => ControlFlow::Continue(()),
    });
    match scanned {
        Ok(()) => Ok(found),
        Err(KvError::Damaged { .. }) => Ok(Nearest::Unknown),
        Err(error) => Err(error),
    }
}

/// The last key of a span that can be read before what cannot.
fn farthest(kv: &dyn Kv, span: Span<'_>) -> Result<Option<Vec<u8>>, KvError> {
    let mut found = None;
    let scanned = kv.scan(span, &mut |key, value| match value {
        Ok(_) => {
            found = Some(key.to_vec());
            ControlFlow::Continue(())
        }
        Err(_) => ControlFlow::Break(()),
    });
    match scanned {
        Ok(()) | Err(KvError::Damaged { .. }) => Ok(found),
        Err(error) => Err(error),
    }
}

/// An engine that has nothing.
pub struct NoRecords;

impl Kv for NoRecords {
    fn get(&self, _: &[u8]) -> Result<Option<Vec<u8>>, KvError> {
        Ok(None)
    }

    fn scan(&self, _: Span<'_>, _: ScanVisitor<'_>) -> Result<(), KvError> {
        Ok(())
    }

    fn commit(&self, _: Batch, _: &mut dyn FnMut(Step)) -> Result<(), KvError> {
        Err(KvError::Failed("it takes nothing".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(from: &str, to: &str) -> UnreadableSpan {
        UnreadableSpan { from: from.into(), to: to.into() }
    }

    #[test]
    fn spans_that_touch_are_one_and_a_scan_is_cut_at_each() {
        let spans = UnreadableSpans::default();
        for (from, to) in [("Kd", "Kf"), ("Ka", "Kb"), ("Kf", "Kg"), ("Kx", "Kz"), ("Ke", "Kh")] {
            spans.add(span(from, to));
        }
        let now = spans.now();
        assert_eq!(**now, [span("Ka", "Kb"), span("Kd", "Kh"), span("Kx", "Kz")]);
        assert!(
            spans.covers(b"Kd") && spans.covers(b"Kg\xff") && !spans.covers(b"Kh") && !spans.covers(b"Kc")
        );
        let cut = |direction| {
            let parts = parts(Span { from: b"Kaa", to: b"Ke", direction }, &now);
            let text = |key: &[u8]| String::from_utf8(key.to_vec()).unwrap();
            parts.into_iter().map(|(span, good)| (text(span.from), text(span.to), good)).collect::<Vec<_>>()
        };
        let own = |from: &str, to: &str, good| (from.to_owned(), to.to_owned(), good);
        let up = vec![own("Kaa", "Kb", false), own("Kb", "Kd", true), own("Kd", "Ke", false)];
        assert_eq!(cut(Direction::Up), up);
        assert_eq!(cut(Direction::Down), up.into_iter().rev().collect::<Vec<_>>());
    }
}
