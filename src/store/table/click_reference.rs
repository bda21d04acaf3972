//! Which clicks deliveries still need: counted as conversions change, for purging to ask.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use crate::domain::conversion::Conversion;
use crate::store::codec::tag;
use crate::store::table::conversion::{Sketch, named_click, waits_for};
use crate::store::table::delivery::DeliveryStates;

const SHARDS: usize = 64;

/// Spreads 32 bits over 64.
#[derive(Default)]
pub struct SpreadHasher(u64);

impl Hasher for SpreadHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u32(u32::from(*byte)));
    }

    fn write_u32(&mut self, number: u32) {
        self.0 = (self.0 ^ u64::from(number)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

/// How many conversions with an unfinished delivery name each click, by the click's [`tag`]: 8 bytes a
/// click, in shards, so that growing copies little at a time. Of two clicks with one tag both stay.
pub struct ClickReferences {
    shards: Vec<HashMap<u32, u32, BuildHasherDefault<SpreadHasher>>>,
}

impl Default for ClickReferences {
    fn default() -> ClickReferences {
        ClickReferences { shards: (0..SHARDS).map(|_| HashMap::default()).collect() }
    }
}

impl ClickReferences {
    /// Moves a conversion from one appearance to another.
    pub fn apply(&mut self, before: Option<&Sketch>, after: Option<&Sketch>) {
        let (before, after) = (before.and_then(click), after.and_then(click));
        if before == after {
            return;
        }
        if let Some(click) = before {
            self.remove(click);
        }
        if let Some(click) = after {
            self.add(click);
        }
    }

    /// Moves the deliveries of a conversion from one state to another.
    pub fn apply_standing(
        &mut self,
        conversion: &Conversion,
        before: &DeliveryStates,
        after: &DeliveryStates,
    ) {
        let (was_needed, is_needed) = (before.is_unfinished(), after.is_unfinished());
        if was_needed == is_needed || !waits_for(conversion).is_empty() {
            return;
        }
        let Some(click) = named_click(conversion) else { return };
        if is_needed {
            self.add(click);
        } else {
            self.remove(click);
        }
    }

    fn add(&mut self, click: u32) {
        if let Some(shard) = self.shards.get_mut(place(click)) {
            *shard.entry(click).or_default() += 1;
        }
    }

    fn remove(&mut self, click: u32) {
        let Some(shard) = self.shards.get_mut(place(click)) else { return };
        let Some(count) = shard.get_mut(&click) else { return };
        *count -= 1;
        if *count == 0 {
            shard.remove(&click);
        }
    }

    /// Whether a delivery may need the click with this id.
    pub fn contains(&self, id: &str) -> bool {
        let click = tag(id);
        self.shards.get(place(click)).is_some_and(|shard| shard.contains_key(&click))
    }
}

/// The click that the conversion's deliveries will be sent with.
fn click(sketch: &Sketch) -> Option<u32> {
    sketch.click.filter(|_| sketch.waits_for.is_empty() && sketch.standing.is_unfinished())
}

fn place(click: u32) -> usize {
    let [.., low] = click.to_be_bytes();
    usize::from(low) % SHARDS
}
