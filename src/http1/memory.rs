//! How much memory the requests that are being received may take together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What a connection may hold uncounted: nearly every request fits in it.
pub const FREE_BYTES: usize = 16 * 1024;
/// More is counted in pieces of this.
const STEP_BYTES: usize = 16 * 1024;
/// Strangers may have this part of all; the rest is for senders who are known.
const STRANGERS: usize = 2;

/// The memory of one listener's requests.
pub struct Memory {
    most: usize,
    held: AtomicUsize,
}

/// Who sends a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SentBy {
    Stranger,
    /// Someone with a source's key, or with a token that may import.
    Known,
}

impl Memory {
    /// At most so many bytes, beyond what each connection may hold uncounted.
    pub fn new(most: usize) -> Arc<Memory> {
        Arc::new(Memory { most, held: AtomicUsize::new(0) })
    }

    /// A connection's part of it: nothing as yet.
    pub fn part(self: &Arc<Self>) -> Hold {
        Hold { memory: Arc::clone(self), bytes: 0 }
    }

    fn take(&self, bytes: usize, by: SentBy) -> bool {
        let most = if by == SentBy::Known { self.most } else { self.most / STRANGERS };
        let more = |held: usize| held.checked_add(bytes).filter(|held| *held <= most);
        self.held.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).is_ok()
    }
}

/// What one connection holds; given back when it is dropped.
pub struct Hold {
    memory: Arc<Memory>,
    bytes: usize,
}

impl Hold {
    /// Whether `bytes` are within what is held already.
    pub fn covers(&self, bytes: usize) -> bool {
        bytes <= FREE_BYTES + self.bytes
    }

    /// Holds as many bytes, if there is room.
    pub fn grow_to(&mut self, bytes: usize, by: SentBy) -> bool {
        let wanted = bytes.saturating_sub(FREE_BYTES).next_multiple_of(STEP_BYTES);
        let more = wanted.saturating_sub(self.bytes);
        let has_room = self.memory.take(more, by);
        if has_room {
            self.bytes += more;
        }
        has_room
    }

    /// Gives all of it back.
    pub fn give_back(&mut self) {
        if self.bytes > 0 {
            self.memory.held.fetch_sub(self.bytes, Ordering::AcqRel);
            self.bytes = 0;
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.give_back();
    }
}
