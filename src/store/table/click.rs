//! Clicks: a value that the landing URL holds is not stored a second time.

use std::borrow::Cow;
use std::net::IpAddr;
use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use crate::domain::click::{Click, ClickContext, CustomerTraits, Pairs};
use crate::domain::ids::ClickId;
use crate::domain::landing_url::{ValueSpan, places, value_at};
use crate::domain::time::Time;
use crate::store::codec::{self, LayoutError, corrupt};
use crate::store::contract::error::StoreError;
use crate::store::engine::kv::{Batch, Direction, Span};
use crate::store::reader::Reader;

/// Head of a click's record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClickHead {
    pub recorded_at: Time,
}

impl ClickHead {
    pub fn of(click: &Click) -> ClickHead {
        ClickHead { recorded_at: click.recorded_at }
    }
}

/// The body of a click's record: a value that its landing URL holds is not stored a second time.
#[derive(Serialize, Deserialize)]
pub struct StoredClick<'a> {
    id: Cow<'a, ClickId>,
    at: Time,
    recorded_at: Time,
    landing_url: Option<Cow<'a, str>>,
    referrer: Option<Cow<'a, str>>,
    ip: Option<IpAddr>,
    user_agent: Option<Cow<'a, str>>,
    params: Vec<StoredPair<'a>>,
    cookies: Cow<'a, Pairs>,
    sub_ids: Vec<StoredPair<'a>>,
    customer: Cow<'a, CustomerTraits>,
    context: Cow<'a, ClickContext>,
}

#[derive(Serialize, Deserialize)]
struct StoredPair<'a> {
    name: Cow<'a, str>,
    value: StoredValue<'a>,
}

#[derive(Serialize, Deserialize)]
enum StoredValue<'a> {
    Own(Cow<'a, str>),
    InLandingUrl(ValueSpan),
}

impl<'a> StoredClick<'a> {
    pub fn of(click: &'a Click) -> StoredClick<'a> {
        let url = click.landing_url.as_deref().unwrap_or_default();
        let pairs = || click.params.iter().chain(&click.sub_ids);
        let held = places(url, pairs().map(|(_, value)| value.as_str()));
        let mut params: Vec<StoredPair<'a>> =
            pairs().zip(held).map(|(pair, place)| StoredPair::of(pair, place)).collect();
        let sub_ids = params.split_off(click.params.len());
        StoredClick {
            id: Cow::Borrowed(&click.id),
            at: click.at,
            recorded_at: click.recorded_at,
            landing_url: click.landing_url.as_deref().map(Cow::Borrowed),
            referrer: click.referrer.as_deref().map(Cow::Borrowed),
            ip: click.ip,
            user_agent: click.user_agent.as_deref().map(Cow::Borrowed),
            params,
            cookies: Cow::Borrowed(&click.cookies),
            sub_ids,
            customer: Cow::Borrowed(&click.customer),
            context: Cow::Borrowed(&click.context),
        }
    }

    /// The click, whole.
    ///
    /// # Errors
    /// A value that the landing URL is to hold and does not.
    pub fn into_click(self) -> Result<Click, LayoutError> {
        let url = self.landing_url.as_deref().unwrap_or_default();
        let whole = |pairs: Vec<StoredPair<'a>>| -> Result<Pairs, LayoutError> {
            pairs.into_iter().map(|pair| pair.whole(url)).collect()
        };
        Ok(Click {
            params: whole(self.params)?,
            sub_ids: whole(self.sub_ids)?,
            id: self.id.into_owned(),
            at: self.at,
            recorded_at: self.recorded_at,
            referrer: self.referrer.map(Cow::into_owned),
            ip: self.ip,
            user_agent: self.user_agent.map(Cow::into_owned),
            cookies: self.cookies.into_owned(),
            customer: self.customer.into_owned(),
            context: self.context.into_owned(),
            landing_url: self.landing_url.map(Cow::into_owned),
        })
    }
}

impl<'a> StoredPair<'a> {
    fn of((name, value): &'a (String, String), place: Option<ValueSpan>) -> StoredPair<'a> {
        let value = place.map_or(StoredValue::Own(Cow::Borrowed(value)), StoredValue::InLandingUrl);
        StoredPair { name: Cow::Borrowed(name), value }
    }

    fn whole(self, url: &str) -> Result<(String, String), LayoutError> {
        let name = self.name.into_owned();
        match self.value {
            StoredValue::Own(value) => Ok((name, value.into_owned())),
            StoredValue::InLandingUrl(place) => match value_at(url, place) {
                Some(value) => Ok((name, value)),
                None => Err(LayoutError::Content(format!("its landing URL holds no `{name}`"))),
            },
        }
    }
}

fn click_key(id: &ClickId) -> Vec<u8> {
    [b"K", id.as_str().as_bytes()].concat()
}

/// A click whose waiting conversions are not all matched yet.
fn matching_key(id: &ClickId) -> Vec<u8> {
    [b"J", id.as_str().as_bytes()].concat()
}

/// From behind a click, or before the first, to behind the last of the keys of clicks.
pub fn clicks_behind(id: Option<&ClickId>) -> (Vec<u8>, Vec<u8>) {
    let from = id.map_or_else(|| b"K".to_vec(), |id| [&click_key(id)[..], &[0]].concat());
    (from, b"L".to_vec())
}

impl Reader {
    /// The click as stored, past the cache.
    pub fn click_afresh(&self, id: &ClickId) -> Result<Option<Click>, StoreError> {
        let key = click_key(id);
        let stored: Option<StoredClick<'static>> = self.body(&key)?;
        stored.map(|stored| stored.into_click().map_err(|error| corrupt(&key, &error))).transpose()
    }
}

/// Puts a click into a batch; over what was known of it, unless it is new.
pub fn put_click(batch: &mut Batch, click: &Click, is_new: bool) -> Result<(), StoreError> {
    let key = click_key(&click.id);
    let record = codec::pack(&ClickHead::of(click), &StoredClick::of(click));
    let record = record.map_err(|error| corrupt(&key, &error))?;
    if is_new {
        batch.add(key, record);
    } else {
        batch.put(key, record);
    }
    Ok(())
}

/// Takes a click out.
pub fn remove_click(batch: &mut Batch, id: &ClickId) {
    batch.remove(click_key(id));
}

/// Notes that conversions are left to match with a click, or that none is.
pub fn put_matching(batch: &mut Batch, id: &ClickId, is_left: bool) {
    match is_left {
        true => batch.put(matching_key(id), vec![codec::VERSION]),
        false => batch.remove(matching_key(id)),
    }
}

/// The clicks with which conversions are left to match.
pub fn matching(reader: &Reader) -> Result<Vec<ClickId>, StoreError> {
    let mut found = Vec::new();
    let span = Span { from: b"J", to: b"K", direction: Direction::Up };
    reader.scan(span, &mut |key, _| {
        let id = key.get(1..).and_then(|id| std::str::from_utf8(id).ok());
        found.extend(id.and_then(|id| ClickId::parse(id).ok()));
        ControlFlow::Continue(())
    })?;
    Ok(found)
}
