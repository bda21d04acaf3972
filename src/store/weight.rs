//! How many bytes records take in memory: what caches and groups are bounded by.

use std::mem::size_of;
use std::sync::Arc;

use quick_cache::Weighter;

use crate::domain::click::{Click, Pairs};
use crate::domain::conversion::Conversion;
use crate::domain::filter_verdict::FilterHit;
use crate::domain::ids::ClickId;
use crate::domain::postback::{Postback, RawRequest};
use crate::domain::rejection::RejectionCause;
use crate::domain::rejection::note::ReportNote;
use crate::store::table::postback::{Block, BlockEntry, EntryHead};

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

impl Weighter<u64, Arc<Block>> for ByBytes {
    fn weight(&self, _first: &u64, block: &Arc<Block>) -> u64 {
        let heads = block.heads.len() * size_of::<EntryHead>();
        let entries =
            block.entries.iter().map(|entry| size_of::<BlockEntry>() + entry.as_ref().map_or(0, of_entry));
        (ENTRY + heads + entries.sum::<usize>()) as u64
    }
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

/// The bytes behind an entry of a block.
fn of_entry(entry: &BlockEntry) -> usize {
    let raw = entry.postback.raw.as_ref().map_or(0, RawRequest::bytes);
    raw + of_verdict(&entry.postback) + entry.conversion.as_ref().map_or(0, of_conversion)
}

/// Why a postback was not taken, and what was noted about it: each is one to four short texts.
fn of_verdict(postback: &Postback) -> usize {
    let causes = postback.verdict.rejection().map_or(0, |rejection| rejection.causes().count());
    causes * (size_of::<RejectionCause>() + 8 * TEXT)
        + postback.notes.len() * (size_of::<ReportNote>() + 8 * TEXT)
}

fn of_conversion(conversion: &Conversion) -> usize {
    let traits: usize = conversion.traits.0.values().map(|value| value.len() + TEXT).sum();
    let lists = conversion.history.len() + conversion.considered.len() + conversion.remarks.len();
    // A change, a click that was considered or a remark is one to four short texts.
    of_pairs(&conversion.params) + traits + lists * 8 * TEXT
}

fn of_pairs(pairs: &Pairs) -> usize {
    pairs.iter().map(|(name, value)| name.capacity() + value.capacity() + 2 * TEXT).sum()
}

#[cfg(test)]
mod tests {
    use super::of_entry;
    use crate::domain::ids::Seq;
    use crate::domain::postback::{Postback, Verdict};
    use crate::domain::rejection::access::AccessProblem;
    use crate::domain::rejection::note::ReportNote;
    use crate::domain::time::Time;
    use crate::store::table::postback::BlockEntry;

    #[test]
    fn what_is_wrong_with_a_postback_and_what_was_noted_about_it_weigh_too() {
        let weight = |notes: Vec<ReportNote>| {
            let (seq, verdict) = (Seq::new(1).unwrap(), Verdict::Quarantined(AccessProblem::TooFast.into()));
            let (received_at, again) = (Time::EPOCH, None);
            let (source, raw, mapping) = (None, None, None);
            let postback = Postback { seq, received_at, source, raw, mapping, verdict, notes, again };
            of_entry(&BlockEntry { postback, conversion: None })
        };
        assert!(weight(Vec::new()) > 100, "{}", weight(Vec::new()));
        assert!(weight(vec![ReportNote::NoIdentity]) > weight(Vec::new()) + 100);
    }
}
