//! How many bytes records take in memory: what caches and groups are bounded by.

use std::mem::size_of;
use std::sync::Arc;

use quick_cache::Weighter;

use crate::domain::attempt::Exchange;
use crate::domain::click::{Click, Pairs};
use crate::domain::conversion::Conversion;
use crate::domain::delivery::Delivery;
use crate::domain::filter_verdict::FilterHit;
use crate::domain::ids::ClickId;
use crate::domain::item::SoldItem;
use crate::store::table::conversion::Record;

/// What an entry of a cache takes besides its key and its value's own bytes.
const ENTRY: usize = 96;

/// What a text, or a pair of them, takes besides its bytes, where it is in a list.
const TEXT: usize = 32;

/// Weighs what is in a cache by its bytes.
#[derive(Debug, Clone, Copy)]
pub struct ByBytes;

impl Weighter<ClickId, Arc<Click>> for ByBytes {
    fn weight(&self, id: &ClickId, click: &Arc<Click>) -> u64 {
        (ENTRY + id.as_str().len() + of_click(click)) as u64
    }
}

impl Weighter<u64, Arc<Record>> for ByBytes {
    fn weight(&self, _number: &u64, record: &Arc<Record>) -> u64 {
        let deliveries = record.standing.deliveries.len() * (size_of::<Delivery>() + 2 * TEXT);
        (ENTRY + size_of::<Record>() + of_conversion(&record.conversion) + deliveries) as u64
    }
}

/// A request and its answer, by what may be large of them.
pub fn of_exchange(exchange: &Exchange) -> usize {
    let before = exchange.before.iter().filter_map(|larger| larger.answer.as_ref());
    let answers: usize = exchange.answer.iter().chain(before).map(|answer| answer.body.len()).sum();
    exchange.request.url.len() + exchange.request.body.len() + answers
}

/// A click. A text takes what it has room for, however short it was made.
pub fn of_click(click: &Click) -> usize {
    let texts = [&click.landing_url, &click.referrer, &click.user_agent];
    let texts: usize = texts.into_iter().flatten().map(String::capacity).sum();
    let customer: usize = click.customer.0.values().map(|value| value.capacity() + TEXT).sum();
    let verdicts = &click.context.verdicts;
    let reasons: usize = verdicts.iter().filter_map(|one| one.hit.as_ref()).map(FilterHit::text_bytes).sum();
    let lists = of_pairs(&click.params) + of_pairs(&click.cookies) + of_pairs(&click.sub_ids);
    let other_bytes = verdicts.len() * TEXT + reasons + click.context.omitted.bytes();
    size_of::<Click>() + texts + customer + lists + other_bytes
}

/// The bytes behind a conversion.
fn of_conversion(conversion: &Conversion) -> usize {
    let traits: usize = conversion.traits.0.values().map(|value| value.len() + TEXT).sum();
    let lists = conversion.history.len() + conversion.considered.len() + conversion.remarks.len();
    // A change, a click that was considered or a remark is one to four short texts.
    let items: usize = conversion.items.iter().map(|item| size_of::<SoldItem>() + item.text_bytes()).sum();
    of_pairs(&conversion.params) + traits + items + lists * 8 * TEXT
}

fn of_pairs(pairs: &Pairs) -> usize {
    pairs.iter().map(|(name, value)| name.capacity() + value.capacity() + 2 * TEXT).sum()
}
