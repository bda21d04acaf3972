//! Suppression lists as they are stored, and what is kept of them in memory: how much of what is on
//! which list. The entries themselves lie on the disk, where each is found by its value.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::ControlFlow;

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use hmac::{Hmac, Mac};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::domain::suppression::{ListSummary, ListedEntry, Suppressed, SuppressedKind, Traces};
use crate::domain::time::Time;
use crate::store::codec::{self, LayoutError, corrupt};
use crate::store::contract::error::StoreError;
use crate::store::contract::lookup::{Page, PageRequest};
use crate::store::engine::kv::{Batch, Direction, Span};
use crate::store::reader::Reader;

/// The key of the hashes that stand for e-mail addresses and phone numbers. Minted once for a store; a
/// copy of the lists without it says nothing about anyone.
#[derive(Clone, Serialize, Deserialize)]
pub struct HashKey([u8; 32]);

impl HashKey {
    /// A fresh key, from the operating system.
    pub fn mint() -> Result<HashKey, getrandom::Error> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)?;
        Ok(HashKey(bytes))
    }

    /// Keeps it for every later start.
    pub fn put(&self, batch: &mut Batch) -> Result<(), StoreError> {
        let packed = codec::pack(self, &()).map_err(|error| corrupt(HASH_KEY, &error))?;
        batch.put(HASH_KEY.to_vec(), packed);
        Ok(())
    }

    fn hash(&self, class: LookupClass, text: &str) -> Option<SuppressionKey> {
        // HMAC takes a key of any length.
        let mut hash = Hmac::<Sha256>::new_from_slice(&self.0).ok()?;
        hash.update(&[class.byte()]);
        hash.update(text.as_bytes());
        Some(SuppressionKey::new(class, &hash.finalize().into_bytes()))
    }
}

/// What is looked up alike: a kind, of networks also the length of the prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum LookupClass {
    Ip4(u8),
    Ip6(u8),
    OrderId,
    ClickId,
    Email,
    Phone,
}

impl LookupClass {
    /// The first byte of its tokens: a list is shown in this order. Stored, so it never changes.
    fn byte(self) -> u8 {
        match self {
            LookupClass::Ip4(_) => 1,
            LookupClass::Ip6(_) => 2,
            LookupClass::OrderId => 3,
            LookupClass::ClickId => 4,
            LookupClass::Email => 5,
            LookupClass::Phone => 6,
        }
    }
}

/// An entry as it is stored: a byte for its kind, then its value or hash. Of a network the address, then
/// the length of its prefix.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SuppressionKey(Vec<u8>);

impl SuppressionKey {
    fn new(class: LookupClass, value: &[u8]) -> SuppressionKey {
        SuppressionKey([&[class.byte()], value].concat())
    }

    fn net(net: &IpNet) -> (LookupClass, SuppressionKey) {
        match net {
            IpNet::V4(net) => {
                let class = LookupClass::Ip4(net.prefix_len());
                (class, SuppressionKey::new(class, &[&net.addr().octets()[..], &[net.prefix_len()]].concat()))
            }
            IpNet::V6(net) => {
                let class = LookupClass::Ip6(net.prefix_len());
                (class, SuppressionKey::new(class, &[&net.addr().octets()[..], &[net.prefix_len()]].concat()))
            }
        }
    }

    /// The token of an entry; `None` of one that is hashed while there is no key, and so no such entry.
    pub fn of(entry: &Suppressed, key: Option<&HashKey>) -> Option<(LookupClass, SuppressionKey)> {
        let hashed = |class, text: &str| Some((class, key?.hash(class, text)?));
        match entry {
            Suppressed::Ip(net) => Some(SuppressionKey::net(net)),
            Suppressed::OrderId(text) => {
                Some((LookupClass::OrderId, SuppressionKey::new(LookupClass::OrderId, text.as_bytes())))
            }
            Suppressed::ClickId(text) => {
                Some((LookupClass::ClickId, SuppressionKey::new(LookupClass::ClickId, text.as_bytes())))
            }
            Suppressed::Email(text) => hashed(LookupClass::Email, text),
            Suppressed::Phone(text) => hashed(LookupClass::Phone, text),
        }
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Reads a stored token.
    pub fn parse(bytes: &[u8]) -> Option<(LookupClass, SuppressionKey)> {
        let (first, value) = bytes.split_first()?;
        let class = match first {
            1 => LookupClass::Ip4(*value.last()?),
            2 => LookupClass::Ip6(*value.last()?),
            3 => LookupClass::OrderId,
            4 => LookupClass::ClickId,
            5 => LookupClass::Email,
            6 => LookupClass::Phone,
            _ => return None,
        };
        Some((class, SuppressionKey(bytes.to_vec())))
    }

    /// What may be shown of it.
    fn shown(&self) -> Option<(SuppressedKind, Option<String>)> {
        let (first, value) = self.0.split_first()?;
        let text = || Some(String::from_utf8_lossy(value).into_owned());
        Some(match first {
            1 => {
                let (address, length) = value.split_first_chunk::<4>()?;
                (SuppressedKind::Ip, Some(net_text(IpAddr::from(*address), length)?))
            }
            2 => {
                let (address, length) = value.split_first_chunk::<16>()?;
                (SuppressedKind::Ip, Some(net_text(IpAddr::from(*address), length)?))
            }
            3 => (SuppressedKind::OrderId, text()),
            4 => (SuppressedKind::ClickId, text()),
            5 => (SuppressedKind::Email, None),
            _ => (SuppressedKind::Phone, None),
        })
    }
}

/// A single address without its prefix length, as people write it.
fn net_text(address: IpAddr, length: &[u8]) -> Option<String> {
    let net = IpNet::new(address, *length.first()?).ok()?;
    Some(if net.prefix_len() == net.max_prefix_len() { address.to_string() } else { net.to_string() })
}

/// What is kept with an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddedEntry {
    pub at: Time,
    pub actor: String,
}

/// What is kept of a list next to its entries.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ListState {
    pub changed_at: Time,
    counts: BTreeMap<LookupClass, u64>,
}

/// Every list that has an entry, counted; of bounded size, however many entries there are.
#[derive(Clone, Default)]
pub struct Lists {
    pub key: Option<HashKey>,
    lists: BTreeMap<String, ListState>,
    /// How many entries of each class there are on all lists together.
    in_use: BTreeMap<LookupClass, u64>,
}

impl Lists {
    /// Reads what is stored.
    pub fn open(reader: &Reader) -> Result<Lists, StoreError> {
        let mut found = Vec::new();
        reader.scan(Span { from: b"N", to: b"O", direction: Direction::Up }, &mut |key, bytes| {
            let head = bytes.and_then(|bytes| codec::head(bytes).map_err(|error| corrupt(key, &error)));
            found.push((key.to_vec(), head));
            ControlFlow::Continue(())
        })?;
        let mut lists = Lists::default();
        for (key, summary) in found {
            let summary: ListState = summary?;
            for (class, count) in &summary.counts {
                *lists.in_use.entry(*class).or_default() += count;
            }
            let name = key.get(1..).and_then(|name| std::str::from_utf8(name).ok()).map(str::to_owned);
            let name = name.ok_or_else(|| {
                corrupt(&key, &LayoutError::Content("the name of its list is not text".to_owned()))
            })?;
            lists.lists.insert(name, summary);
        }
        lists.key = reader.head(HASH_KEY)?;
        Ok(lists)
    }

    pub fn get(&self, list: &str) -> Option<&ListState> {
        self.lists.get(list)
    }

    /// Counts one entry more.
    pub fn add(&mut self, list: &str, class: LookupClass, now: Time) {
        *self.in_use.entry(class).or_default() += 1;
        let fresh = || ListState { changed_at: now, counts: BTreeMap::new() };
        let summary = self.lists.entry(list.to_owned()).or_insert_with(fresh);
        summary.changed_at = now;
        *summary.counts.entry(class).or_default() += 1;
    }

    /// Counts one entry less. A list ends with its last.
    pub fn remove(&mut self, list: &str, class: LookupClass, now: Option<Time>) {
        less(&mut self.in_use, class);
        if let Some(summary) = self.lists.get_mut(list) {
            less(&mut summary.counts, class);
            summary.changed_at = now.unwrap_or(summary.changed_at);
            if summary.counts.is_empty() {
                self.lists.remove(list);
            }
        }
    }

    /// Under which tokens these traces would stand on lists: only those of classes that are in use, so
    /// that nothing is looked up in vain.
    pub fn tokens(&self, traces: &Traces) -> Vec<(SuppressedKind, SuppressionKey)> {
        let mut tokens = Vec::new();
        for class in self.in_use.keys().copied() {
            let plain = |text: &String| Some(SuppressionKey::new(class, text.as_bytes()));
            let hashed = |text: &String| self.key.as_ref()?.hash(class, text);
            let within = |address: &IpAddr| within(address.to_canonical(), class);
            let (kind, found): (_, Vec<SuppressionKey>) = match class {
                LookupClass::Ip4(_) | LookupClass::Ip6(_) => {
                    (SuppressedKind::Ip, traces.ip.iter().filter_map(within).collect())
                }
                LookupClass::OrderId => {
                    (SuppressedKind::OrderId, traces.order_id.iter().filter_map(plain).collect())
                }
                LookupClass::ClickId => {
                    (SuppressedKind::ClickId, traces.click_id.iter().filter_map(plain).collect())
                }
                LookupClass::Email => {
                    (SuppressedKind::Email, traces.email.iter().filter_map(hashed).collect())
                }
                LookupClass::Phone => {
                    (SuppressedKind::Phone, traces.phone.iter().filter_map(hashed).collect())
                }
            };
            tokens.extend(found.into_iter().map(|token| (kind, token)));
        }
        tokens
    }

    /// Every list, by name.
    pub fn summaries(&self) -> Vec<ListSummary> {
        let summary = |(name, summary): (&String, &ListState)| ListSummary {
            name: name.clone(),
            entries: summary.counts.values().sum(),
            changed_at: summary.changed_at,
        };
        self.lists.iter().map(summary).collect()
    }
}

fn less(counts: &mut BTreeMap<LookupClass, u64>, class: LookupClass) {
    if let Some(count) = counts.get_mut(&class) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.remove(&class);
        }
    }
}

/// The network of this class that the address is in.
fn within(address: IpAddr, class: LookupClass) -> Option<SuppressionKey> {
    let length = match (address, class) {
        (IpAddr::V4(_), LookupClass::Ip4(length)) | (IpAddr::V6(_), LookupClass::Ip6(length)) => length,
        _ => return None,
    };
    let net = IpNet::new(address, length).ok()?.trunc();
    Some(SuppressionKey::net(&net).1)
}

/// One page of a list's entries.
pub fn listed(reader: &Reader, list: &str, page: &PageRequest) -> Result<Page<ListedEntry>, StoreError> {
    let (mut from, to) = list_span(list);
    if let Some(cursor) = &page.cursor {
        let after = HEXLOWER_PERMISSIVE
            .decode(cursor.as_bytes())
            .ok()
            .and_then(|bytes| SuppressionKey::parse(&bytes));
        let (_, after) = after.ok_or_else(|| StoreError::Cursor(cursor.clone()))?;
        from = [&listed_key(list, &after)[..], &[0]].concat();
    }
    let limit = page.limit.clamp(1, 1000);
    let mut found = Vec::new();
    reader.scan(Span { from: &from, to: &to, direction: Direction::Up }, &mut |key, bytes| {
        let added = bytes.and_then(|bytes| codec::head::<AddedEntry>(bytes).map_err(|e| corrupt(key, &e)));
        found.push((key.to_vec(), added));
        if found.len() > limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    let more = found.len() > limit;
    found.truncate(limit);
    let prefix = list_span(list).0.len();
    let mut items = Vec::new();
    let mut last = None;
    for (key, added) in found {
        let Some((_, token)) = key.get(prefix..).and_then(SuppressionKey::parse) else {
            tracing::error!(key = %key.escape_ascii(), "an entry has no value and is left out of its suppression list");
            continue;
        };
        match (added, token.shown()) {
            (Ok(added), Some((kind, value))) => {
                items.push(ListedEntry { kind, value, added_at: added.at, actor: added.actor });
            }
            (Err(error @ StoreError::Corrupt { .. }), _) => {
                tracing::error!(%error, "an entry cannot be read and is left out of its suppression list");
            }
            (Err(error), _) => return Err(error),
            (Ok(_), None) => {}
        }
        last = Some(token);
    }
    Ok(Page { items, next_cursor: last.filter(|_| more).map(|token| HEXLOWER.encode(token.as_bytes())) })
}

/// The name under `M` of the key by which suppressed e-mail addresses and phone numbers are hashed.
const HASH_KEY: &[u8] = b"Mhashkey";

fn list_key(list: &str) -> Vec<u8> {
    [b"N", list.as_bytes()].concat()
}

pub fn listed_key(list: &str, token: &SuppressionKey) -> Vec<u8> {
    [b"L", list.as_bytes(), &[0], token.as_bytes()].concat()
}

/// Where a list's entries lie. A list's name has no control characters.
pub fn list_span(list: &str) -> (Vec<u8>, Vec<u8>) {
    ([b"L", list.as_bytes(), &[0]].concat(), [b"L", list.as_bytes(), &[1]].concat())
}

/// The lists of a value are adjacent, by name; no value begins another, as the length is first.
pub fn suppressed_key(token: &SuppressionKey, list: &str) -> Vec<u8> {
    let length = (token.as_bytes().len() as u64).to_be_bytes();
    [b"S", &length[..], token.as_bytes(), list.as_bytes()].concat()
}

/// Puts an entry on a list, or takes it off.
pub fn put_entry(
    batch: &mut Batch,
    list: &str,
    token: &SuppressionKey,
    added: Option<&AddedEntry>,
) -> Result<(), StoreError> {
    let (entry, value) = (listed_key(list, token), suppressed_key(token, list));
    match added {
        Some(added) => {
            let packed = codec::pack(added, &()).map_err(|error| corrupt(&entry, &error))?;
            batch.put(entry, packed);
            batch.put(value, vec![codec::VERSION]);
        }
        None => {
            batch.remove(entry);
            batch.remove(value);
        }
    }
    Ok(())
}

/// Puts what is kept of a list next to its entries; of one that is gone, removes it.
pub fn put_list(batch: &mut Batch, list: &str, state: Option<&ListState>) -> Result<(), StoreError> {
    let key = list_key(list);
    match state {
        Some(state) => {
            let packed = codec::pack(state, &()).map_err(|error| corrupt(&key, &error))?;
            batch.put(key, packed);
        }
        None => batch.remove(key),
    }
    Ok(())
}
