//! How much memory the requests that are being received may take together.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;

/// What a connection may hold uncounted: nearly every request fits in it.
pub const FREE_BYTES: usize = 16 * 1024;
/// More is counted in pieces of this.
const STEP_BYTES: usize = 16 * 1024;
/// Strangers may have this part of all; the rest is for senders who are known.
const STRANGERS: usize = 2;
/// One address may have this part of what strangers may have.
const SHARE: usize = 8;

/// The memory of one listener's requests.
pub struct RequestMemory {
    most: usize,
    /// The most that one address may hold of the strangers' part.
    share: usize,
    held: Mutex<HeldBytes>,
}

#[derive(Default)]
struct HeldBytes {
    all: usize,
    /// Of strangers, by address.
    by_home: HashMap<IpAddr, usize>,
}

/// Who sends a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodySender {
    /// No key or token in what it sent so far.
    Stranger,
    /// Someone with a source's key, or with a token that may import.
    Known,
}

impl RequestMemory {
    /// At most so many bytes, beyond what each connection may hold uncounted. An address has room for a body of
    /// `body` bytes at least, and for the buffer that grows to it.
    pub fn new(most: usize, body: usize) -> Arc<RequestMemory> {
        let share = (most / STRANGERS / SHARE).max(body.saturating_mul(2));
        Arc::new(RequestMemory { most, share, held: Mutex::default() })
    }

    /// A connection's part of it: nothing as yet. `home`: whose share it counts against, if anyone's.
    pub fn part(self: &Arc<Self>, home: Option<IpAddr>) -> MemoryHold {
        MemoryHold { memory: Arc::clone(self), home, bytes: 0, of_share: 0 }
    }
}

impl HeldBytes {
    /// Takes so many bytes, if both sums stay within these bounds.
    fn take(&mut self, bytes: usize, most: usize, share: Option<(IpAddr, usize)>) -> bool {
        let more = |held: usize, most: usize| held.checked_add(bytes).filter(|held| *held <= most);
        let Some(all) = more(self.all, most) else { return false };
        if let Some((home, most)) = share {
            let Some(of_home) = more(self.by_home.get(&home).copied().unwrap_or(0), most) else {
                return false;
            };
            self.by_home.insert(home, of_home);
        }
        self.all = all;
        true
    }

    fn give_back(&mut self, bytes: usize, of_share: Option<(IpAddr, usize)>) {
        self.all = self.all.saturating_sub(bytes);
        let Some((home, part)) = of_share else { return };
        let Some(held) = self.by_home.get_mut(&home) else { return };
        *held = held.saturating_sub(part);
        if *held == 0 {
            self.by_home.remove(&home);
        }
    }
}

/// What one connection holds; given back when it is dropped.
pub struct MemoryHold {
    memory: Arc<RequestMemory>,
    home: Option<IpAddr>,
    bytes: usize,
    /// As many of them count against its address's share.
    of_share: usize,
}

impl MemoryHold {
    /// Whether `bytes` are within what is held already.
    pub fn covers(&self, bytes: usize) -> bool {
        bytes <= FREE_BYTES + self.bytes
    }

    /// Holds as many bytes, if there is room.
    pub fn grow_to(&mut self, bytes: usize, by: BodySender) -> bool {
        let wanted = bytes.saturating_sub(FREE_BYTES).next_multiple_of(STEP_BYTES);
        let more = wanted.saturating_sub(self.bytes);
        let strangers = self.memory.most / STRANGERS;
        let (most, share) = match by {
            BodySender::Known => (self.memory.most, None),
            BodySender::Stranger => (strangers, self.home.map(|home| (home, self.memory.share))),
        };
        let has_room = self.memory.held.lock().take(more, most, share);
        if has_room {
            self.bytes += more;
            self.of_share += share.map_or(0, |_| more);
        }
        has_room
    }

    /// Gives all of it back.
    pub fn give_back(&mut self) {
        if self.bytes > 0 {
            let of_share = self.home.map(|home| (home, self.of_share));
            self.memory.held.lock().give_back(self.bytes, of_share);
            (self.bytes, self.of_share) = (0, 0);
        }
    }
}

impl Drop for MemoryHold {
    fn drop(&mut self) {
        self.give_back();
    }
}
