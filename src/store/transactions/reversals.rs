//! Quarantined postbacks that take back a sale that is not known yet, and those whose sale was received
//! since. Rebuilt at open from the records alone.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use tokio::sync::Notify;

use crate::domain::ids::ConversionId;
use crate::store::layout::Sketch;

#[derive(Default)]
pub struct Reversals {
    /// By the id that the sale's first conversion will have.
    waiting: BTreeSet<(ConversionId, u64)>,
    /// The sales that each waits for.
    sales: HashMap<u64, Vec<ConversionId>>,
    /// Those whose sale was received, to be reprocessed.
    ready: BTreeSet<u64>,
    bell: Arc<Notify>,
}

impl Reversals {
    /// Takes note that postback `number` waits for one of these sales.
    pub fn wait(&mut self, number: u64, sales: &[ConversionId]) {
        if sales.is_empty() {
            return;
        }
        self.waiting.extend(sales.iter().map(|sale| (*sale, number)));
        self.sales.insert(number, sales.to_vec());
    }

    /// Takes note of a new conversion: what waits for it is ready.
    pub fn received(&mut self, sketch: &Sketch) {
        if self.waiting.is_empty() {
            return;
        }
        let sale = sketch.reuse.map_or(sketch.id, |reuse| reuse.first);
        let waiting = self.waiting.range((sale, 0)..=(sale, u64::MAX));
        let numbers: Vec<u64> = waiting.map(|(_, number)| *number).collect();
        for number in &numbers {
            self.forget(*number);
        }
        if !numbers.is_empty() {
            self.ready.extend(numbers);
            self.bell.notify_one();
        }
    }

    /// Drops a postback that was reprocessed or purged.
    pub fn forget(&mut self, number: u64) {
        for sale in self.sales.remove(&number).into_iter().flatten() {
            self.waiting.remove(&(sale, number));
        }
        self.ready.remove(&number);
    }

    /// Hands out up to `most` that are ready, the oldest first. Each is handed out once; one that was not
    /// reprocessed is ready again after the next start.
    pub fn take(&mut self, most: usize) -> Vec<u64> {
        let taken: Vec<u64> = self.ready.iter().take(most).copied().collect();
        for number in &taken {
            self.ready.remove(number);
        }
        taken
    }

    /// Rings when something may be ready.
    pub fn bell(&self) -> Arc<Notify> {
        Arc::clone(&self.bell)
    }
}
