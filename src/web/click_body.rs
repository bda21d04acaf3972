//! The body of `POST /api/v1/clicks`: what of it can be kept becomes a click, and the rest is named.
//!
//! A click is worth more than any one member of it, so only two things are refused: a body that is not a JSON
//! object, and a click id that cannot be one, for its click could never be found.

use std::borrow::Cow;
use std::collections::HashMap;

use jiff::tz::TimeZone;

use crate::domain::address;
use crate::domain::click::{CustomerTrait, CustomerTraits, Pairs};
use crate::domain::consent::Consent;
use crate::domain::ids::ClickId;
use crate::domain::moment::{self, EpochUnit};
use crate::domain::omission::{Omission, OmissionReason, Omissions};
use crate::domain::text::{email_with_plus, trim};
use crate::domain::time::Time;
use crate::ingest::click::ClickDraft;
use crate::ingest::landing::{CarriedPairs, Landing, NamePatterns, PickedPairs};
use crate::template::source::json_body::members;
use crate::template::source::map::yes_or_no;
use crate::template::source::params::{listed, shown};

/// The most names that are kept of each object.
const MOST_NAMES: usize = 64;
/// The longest identifier that is kept, and the longest name, in bytes. How large the click may be as a whole is
/// [`crate::domain::click_size`]'s.
const LONGEST_TEXT: usize = 4096;
const LONGEST_NAME: usize = 256;
/// The most notes of one click.
const MOST_NOTES: usize = 100;

/// A click, and what of it could not be read: one sentence each, which begins with `left_out` or `read_as`.
#[derive(Debug, Clone, Default)]
pub struct ReadClick {
    /// What is to be recorded; what could not be read is absent from it.
    pub draft: ClickDraft,
    /// In the order of the body; the first 100.
    pub notes: Vec<String>,
}

/// Reads a click as the API describes it. Names that `landing` declares are kept in its spelling, and come
/// first where there are too many.
///
/// # Errors
/// The body is not a JSON object, or its click id cannot be one: a sentence saying so.
pub fn read(body: &[u8], landing: &Landing, now: Time) -> Result<ReadClick, String> {
    let text = String::from_utf8_lossy(body);
    let is_damaged = matches!(text, Cow::Owned(_));
    let text = text.trim_start_matches('\u{feff}').trim();
    if !text.starts_with('{') {
        return Err("the body is not a JSON object".to_owned());
    }
    let members = members(text).ok_or("the body is not JSON")?;
    let mut reader = ClickReader { landing, now, click: ReadClick::default(), consent: Consent::default() };
    if is_damaged {
        reader.note("read_as: the body was not UTF-8; a text with such bytes is left out".to_owned());
    }
    let mut seen: HashMap<&str, &str> = HashMap::new();
    for (name, json) in &members {
        match seen.get(name.as_str()) {
            None => {
                seen.insert(name, json);
                reader.member(name, json)?;
            }
            Some(first) if first == json => {}
            Some(_) => reader.left_out(name, "was sent twice with different values; the first is kept"),
        }
    }
    reader.fill_from_landing_url();
    // The answer is as old as the click that it is reported with.
    let said_at = reader.click.draft.at.map_or(now, |at| at.min(now));
    reader.click.draft.context.consent = reader.consent.said_at(said_at);
    Ok(reader.click)
}

/// One JSON value, as far as a click looks at it.
enum ClickValue<'j> {
    Nothing,
    /// A text, or the digits of a number, or `true` or `false`.
    Text(String),
    Object(Vec<(String, &'j str)>),
    Array(Vec<&'j str>),
    /// Text that no JSON reader takes: half of a surrogate pair, say.
    Broken,
}

impl<'j> ClickValue<'j> {
    fn of(json: &'j str) -> ClickValue<'j> {
        let inner = || members(json);
        match json.as_bytes().first() {
            None | Some(b'n') => ClickValue::Nothing,
            Some(b'"') => serde_json::from_str(json).map_or(ClickValue::Broken, ClickValue::Text),
            Some(b'{') => inner().map_or(ClickValue::Broken, ClickValue::Object),
            Some(b'[') => inner().map_or(ClickValue::Broken, |items| {
                ClickValue::Array(items.into_iter().map(|(_, item)| item).collect())
            }),
            // A number keeps its digits: an id of twenty would not survive a float.
            Some(_) => ClickValue::Text(json.to_owned()),
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            ClickValue::Nothing => "null",
            ClickValue::Text(_) => "a text",
            ClickValue::Object(_) => "an object",
            ClickValue::Array(_) => "an array",
            ClickValue::Broken => "broken",
        }
    }
}

struct ClickReader<'l> {
    landing: &'l Landing,
    now: Time,
    click: ReadClick,
    consent: Consent,
}

impl<'l> ClickReader<'l> {
    fn note(&mut self, note: String) {
        if self.click.notes.len() < MOST_NOTES {
            self.click.notes.push(note);
        }
    }

    fn left_out(&mut self, name: &str, why: &str) {
        self.note(format!("left_out: `{}` {why}", shown("", name)));
    }

    fn member(&mut self, name: &str, json: &str) -> Result<(), String> {
        match name {
            "click_id" => self.click.draft.id = click_id(json)?,
            "time" => self.click.draft.at = self.time(json),
            "landing_url" => self.click.draft.landing_url = self.one(name, json),
            "referrer" => self.click.draft.referrer = self.one(name, json),
            "user_agent" => self.click.draft.user_agent = self.one(name, json),
            "ip" => self.click.draft.ip = self.address(name, json).and_then(|text| text.parse().ok()),
            "params" => self.click.draft.params = self.pairs(name, json, &self.landing.params),
            "cookies" => self.click.draft.cookies = self.pairs(name, json, &self.landing.cookies),
            "sub_ids" => self.click.draft.sub_ids = self.pairs(name, json, &self.landing.sub_ids),
            "customer" => self.click.draft.customer = self.customer(json),
            "consent" => self.consent = self.consent(json),
            _ => self.left_out(name, "is not a member of a click"),
        }
        Ok(())
    }

    /// One text; of an array, the one that all its items are.
    fn one(&mut self, name: &str, json: &str) -> Option<String> {
        let found = match ClickValue::of(json) {
            ClickValue::Nothing => return None,
            ClickValue::Text(text) => Some(text),
            ClickValue::Array(items) => {
                let mut texts = items.iter().filter_map(|item| match ClickValue::of(item) {
                    ClickValue::Text(text) => Some(text),
                    _ => None,
                });
                let first = texts.next().filter(|first| texts.all(|other| other == *first));
                first.filter(|_| items.iter().all(|item| matches!(ClickValue::of(item), ClickValue::Text(_))))
            }
            ClickValue::Object(_) | ClickValue::Broken => None,
        };
        match found {
            Some(text) if text.contains('\u{fffd}') => {
                self.left_out(name, "holds bytes that are no text");
                None
            }
            Some(text) => Some(trim(&text).to_owned()).filter(|text| !text.is_empty()),
            None => {
                self.left_out(name, &format!("is {}; it must be a text", ClickValue::of(json).kind()));
                None
            }
        }
    }

    /// An identifier: whole or not at all.
    fn whole(&mut self, name: &str, json: &str) -> Option<String> {
        let text = self.one(name, json)?;
        if text.len() > LONGEST_TEXT {
            self.left_out(name, &format!("has {} bytes; at most {LONGEST_TEXT} are kept", text.len()));
            return None;
        }
        Some(text)
    }

    fn time(&mut self, json: &str) -> Option<Time> {
        let text = self.one("time", json)?;
        let read = |text: &str| {
            let units = [EpochUnit::Seconds, EpochUnit::Millis, EpochUnit::Micros, EpochUnit::Nanos];
            Time::parse(text)
                .or_else(|| units.into_iter().find_map(|unit| moment::epoch(text, unit)))
                .or_else(|| moment::compact(text, &TimeZone::UTC))
        };
        let found = read(&text).or_else(|| read(&moment::with_plus(&text)?));
        let why = match found {
            None => "which is no RFC 3339 time",
            Some(time) if !moment::is_recent_enough(time) => "before 2005",
            Some(time) if moment::is_ahead(time, self.now) => "more than a day ahead",
            Some(time) => return Some(time),
        };
        self.left_out("time", &format!("is `{}`, {why}; the click counts from now", shown("", &text)));
        None
    }

    /// The first address that a visitor can have, of a text, a list in it, or an array.
    fn address(&mut self, name: &str, json: &str) -> Option<String> {
        let text = match ClickValue::of(json) {
            ClickValue::Array(items) => {
                let texts = items.iter().filter_map(|item| match ClickValue::of(item) {
                    ClickValue::Text(text) => Some(text),
                    _ => None,
                });
                texts.collect::<Vec<_>>().join(",")
            }
            _ => self.one(name, json)?,
        };
        let found = address::visitors(&text).map(|address| address.to_string());
        match &found {
            None => self.left_out(
                name,
                &format!("is `{}`, which is no address that a visitor can have", shown("", &text)),
            ),
            Some(address) if text.contains(',') => {
                self.note(format!(
                    "read_as: `{name}` is a list; {address} is the first that a visitor can have"
                ));
            }
            Some(_) => {}
        }
        found
    }

    /// Names and values in the order of the body, each whole, each name once: those that are declared in
    /// their own spelling. Of too many those that are declared go first.
    fn pairs(&mut self, name: &str, json: &str, known: &'l NamePatterns) -> Pairs {
        let mut kept = Pairs::new();
        let mut places: HashMap<String, usize> = HashMap::new();
        for (key, value) in self.object(name, json).unwrap_or_default() {
            let place = format!("{name}.{key}");
            if key.is_empty() || key.len() > LONGEST_NAME {
                self.left_out(
                    &place,
                    &format!("has a name that is empty or longer than {LONGEST_NAME} bytes"),
                );
                continue;
            }
            let Some(text) = self.whole(&place, value) else { continue };
            let key = known.spelling(&key).unwrap_or(key);
            match places.get(&key).and_then(|at| kept.get(*at)) {
                Some((_, had)) if *had == text => {}
                Some(_) => self.left_out(&place, "was sent twice with different values; the first is kept"),
                None => {
                    places.insert(key.clone(), kept.len());
                    kept.push((key, text));
                }
            }
        }
        if kept.len() > MOST_NAMES {
            // Stable: within a rank the order of the body stays.
            kept.sort_by_key(|(key, _)| known.rank(key));
            let beyond: Vec<String> = kept.drain(MOST_NAMES..).map(|(key, _)| key).collect();
            self.left_out(
                name,
                &format!("has more than {MOST_NAMES} names; these are not kept: {}", listed(&beyond)),
            );
        }
        kept
    }

    fn object<'j>(&mut self, name: &str, json: &'j str) -> Option<Vec<(String, &'j str)>> {
        match ClickValue::of(json) {
            ClickValue::Nothing => None,
            ClickValue::Object(members) => Some(members),
            // An empty list is how some languages write an empty map.
            ClickValue::Array(items) if items.is_empty() => None,
            other => {
                self.left_out(name, &format!("is {}; it must be an object of texts", other.kind()));
                None
            }
        }
    }

    fn customer(&mut self, json: &str) -> CustomerTraits {
        let mut traits = CustomerTraits::default();
        for (key, value) in self.object("customer", json).unwrap_or_default() {
            let place = format!("customer.{key}");
            let Some(name) = CustomerTrait::parse(&key) else {
                let known: Vec<&str> = CustomerTrait::NAMES.iter().map(|(_, name)| *name).collect();
                self.left_out(&place, &format!("is not known of a customer; known are {}", known.join(", ")));
                continue;
            };
            let text = match name {
                CustomerTrait::Ip => self.address(&place, value),
                _ => self.whole(&place, value),
            };
            let Some(text) = text else { continue };
            let restored = if name == CustomerTrait::Email { email_with_plus(&text) } else { None };
            if restored.is_some() {
                self.note(format!("read_as: a space in `{place}` was read as `+`"));
            }
            traits.0.insert(name, restored.unwrap_or(text));
        }
        traits
    }

    fn consent(&mut self, json: &str) -> Consent {
        let mut consent = Consent::default();
        for (key, value) in self.object("consent", json).unwrap_or_default() {
            let place = format!("consent.{key}");
            let answer = match key.as_str() {
                "ad_user_data" => &mut consent.ad_user_data,
                "ad_personalization" => &mut consent.ad_personalization,
                _ => {
                    self.left_out(&place, "is not known; a consent has ad_user_data and ad_personalization");
                    continue;
                }
            };
            match ClickValue::of(value) {
                ClickValue::Nothing => {}
                ClickValue::Text(text) => match yes_or_no(&text) {
                    Some(said) => *answer = Some(said),
                    None => self.left_out(&place, &format!("is `{}`; it is true or false", shown("", &text))),
                },
                other => self.left_out(&place, &format!("is {}; it is true or false", other.kind())),
            }
        }
        consent
    }

    /// What the landing URL carries and the members do not say: its click ids would be lost otherwise.
    fn fill_from_landing_url(&mut self) {
        let (landing, draft) = (self.landing, &mut self.click.draft);
        let omitted = &mut draft.context.omitted;
        let carried = draft.landing_url.as_deref().map(CarriedPairs::of_address).unwrap_or_default();
        fill(&mut draft.params, landing.params.pick(&carried), ("params", &mut *omitted));
        fill(&mut draft.sub_ids, landing.sub_ids.pick(&carried), ("sub_ids", omitted));
    }
}

fn fill(mine: &mut Pairs, others: PickedPairs, (sort, omitted): (&str, &mut Omissions)) {
    for (name, value) in others.without(mine).named(sort, omitted) {
        if mine.len() < MOST_NAMES {
            mine.push((name, value));
        } else {
            let field = format!("{sort}.{name}");
            omitted.add(Omission::new(&field, OmissionReason::TooManyNames, (value.len(), 0)));
        }
    }
}

/// The click's id, if it has one of its own.
///
/// # Errors
/// It can be none.
fn click_id(json: &str) -> Result<Option<ClickId>, String> {
    match ClickValue::of(json) {
        ClickValue::Nothing => Ok(None),
        ClickValue::Text(text) if trim(&text).is_empty() => Ok(None),
        ClickValue::Text(text) => match ClickId::parse(trim(&text)) {
            Ok(id) => Ok(Some(id)),
            Err(error) => Err(format!("`click_id` is `{}`: {error}", shown("", &text))),
        },
        other => Err(format!("`click_id` is {}; it must be a text", other.kind())),
    }
}
