//! Goes through the index and the layers over it as if they were one.

use std::ops::ControlFlow;

use crate::store::engine::kv::{Direction, Kv, KvError, ScanVisitor, Span};
use crate::store::engine::overlay::{LayerCursor, LayerStack};

/// Hands over each pair of a span in order: of a key that a layer changes what that says, of all others what `below` has.
///
/// # Errors
/// The engine's below.
pub fn scan(
    layers: LayerStack,
    below: &dyn Kv,
    span: Span<'_>,
    visit: ScanVisitor<'_>,
) -> Result<(), KvError> {
    let mut over = LayerCursor::new(layers, span.from, span.to, span.direction);
    if over.peek().is_none() {
        return below.scan(span, visit);
    }
    let is_before = |one: &[u8], other: &[u8]| match span.direction {
        Direction::Up => one < other,
        Direction::Down => one > other,
    };
    let mut ended = false;
    // What is written to the index meanwhile may be met twice.
    let mut last: Option<Vec<u8>> = None;
    below.scan(span, &mut |key, value| {
        // What cannot be read begins at its key, and goes on behind it: downwards it is met before what is over it.
        let is_first = value.is_err() && span.direction == Direction::Down;
        while !is_first && over.peek().is_some_and(|(changed, _)| is_before(changed, key)) {
            if show_next(&mut over, visit).is_break() {
                ended = true;
                return ControlFlow::Break(());
            }
        }
        if value.is_err() {
            // Of what is damaged there, the key says no more than where it begins.
            let shown = visit(key, value);
            ended = shown.is_break();
            return shown;
        }
        if last.as_deref().is_some_and(|last| !is_before(last, key)) {
            return ControlFlow::Continue(());
        }
        last = Some(key.to_vec());
        let is_changed = over.peek().is_some_and(|(changed, _)| changed == key);
        let shown = if is_changed { show_next(&mut over, visit) } else { visit(key, value) };
        ended = shown.is_break();
        shown
    })?;
    while !ended && over.peek().is_some() {
        ended = show_next(&mut over, visit).is_break();
    }
    Ok(())
}

/// Shows the next change of the layers, if it leaves a record.
fn show_next(over: &mut LayerCursor, visit: ScanVisitor<'_>) -> ControlFlow<()> {
    match over.take_next() {
        Some((key, Some(value))) => visit(&key, Ok(&value)),
        _ => ControlFlow::Continue(()),
    }
}
