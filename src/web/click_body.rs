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
use crate::domain::rejection::RejectionCause;
use crate::domain::rejection::body::BodyProblem;
use crate::domain::rejection::note::ReportNote;
use crate::domain::rejection::param::{ParamFault, ParamProblem};
use crate::domain::rejection::wanted::{LengthLimit, MemberOf, ParamFix, WantedValue};
use crate::domain::text::{email_with_plus, trim};
use crate::domain::time::Time;
use crate::ingest::click::ClickDraft;
use crate::ingest::landing::{CarriedPairs, Landing, NamePatterns, PickedPairs};
use crate::ingest::parameters::{invalid, of_value};
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

/// A click, and what of it could not be read or was read otherwise than it was written.
#[derive(Debug, Clone, Default)]
pub struct ReadClick {
    /// What is to be recorded; what could not be read is absent from it.
    pub draft: ClickDraft,
    /// In the order of the body; the first 100.
    pub notes: Vec<ReportNote>,
}

/// Reads a click as the API describes it. Names that `landing` declares are kept in its spelling, and come
/// first where there are too many.
///
/// # Errors
/// The body is not a JSON object, or its click id cannot be one.
pub fn read(body: &[u8], landing: &Landing, now: Time) -> Result<ReadClick, RejectionCause> {
    let text = String::from_utf8_lossy(body);
    let is_damaged = matches!(text, Cow::Owned(_));
    let text = text.trim_start_matches('\u{feff}').trim();
    if !text.starts_with('{') {
        return Err(BodyProblem::NoClickObject.into());
    }
    let members = members(text).ok_or(BodyProblem::NoClickObject)?;
    let mut reader = ClickReader { landing, now, click: ReadClick::default(), consent: Consent::default() };
    if is_damaged {
        reader.note(ReportNote::BodyNotUtf8);
    }
    let mut seen: HashMap<&str, &str> = HashMap::new();
    for (name, json) in &members {
        match seen.get(name.as_str()) {
            None => {
                seen.insert(name, json);
                reader.member(name, json)?;
            }
            Some(first) if first == json => {}
            Some(first) => reader.leave_out(twice(name, name, (first, json))),
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
            // A number keeps its digits: an id of twenty would not survive a float. The `+` of an exponent says nothing,
            // and no id may have one.
            Some(_) => ClickValue::Text(json.replace('+', "")),
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
    fn note(&mut self, note: ReportNote) {
        if self.click.notes.len() < MOST_NOTES {
            self.click.notes.push(note);
        }
    }

    fn leave_out(&mut self, problem: ParamProblem) {
        let field = shown("", &problem.field);
        self.note(ReportNote::left_out(ParamProblem { field, ..problem }));
    }

    fn member(&mut self, name: &str, json: &str) -> Result<(), ParamProblem> {
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
            _ => self.leave_out(unknown(name, MemberOf::Click)),
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
                let wrong = ParamFault::UnreadableBytes;
                self.leave_out(of_value(name, &text, wrong).with_fix(ParamFix::BodyInUtf8));
                None
            }
            Some(text) => Some(trim(&text).to_owned()).filter(|text| !text.is_empty()),
            None => {
                self.leave_out(invalid((name, json), WantedValue::JsonText, ParamFix::OneText));
                None
            }
        }
    }

    /// An identifier: whole or not at all.
    fn whole(&mut self, name: &str, json: &str) -> Option<String> {
        let text = self.one(name, json)?;
        if text.len() > LONGEST_TEXT {
            let omission =
                Omission::new(&shown("", name), OmissionReason::ClickValueTooLong, (text.len(), 0));
            self.note(ReportNote::Omitted(omission));
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
        let wrong = match found {
            None => ParamFault::InvalidValue { wanted: WantedValue::Moment },
            Some(read) if !moment::is_recent_enough(read) => ParamFault::TimeTooOld { read },
            Some(read) if moment::is_ahead(read, self.now) => ParamFault::TimeAhead { read },
            Some(time) => return Some(time),
        };
        self.leave_out(of_value("time", &text, wrong).with_fix(ParamFix::ClickTime));
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
            None => {
                let problem = of_value(name, &text, ParamFault::NotVisitorsAddress);
                self.leave_out(problem.with_fix(ParamFix::VisitorsAddress));
            }
            Some(_) if text.contains(',') => {
                self.note(ReportNote::FirstAddressTaken { field: name.to_owned() });
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
                let wrong = ParamFault::InvalidName { limit: LengthLimit::Bytes(LONGEST_NAME as u32) };
                self.leave_out(ParamProblem::new(place, None, wrong));
                continue;
            }
            let Some(text) = self.whole(&place, value) else { continue };
            let key = known.spelling(&key).unwrap_or(key);
            match places.get(&key).and_then(|at| kept.get(*at)) {
                Some((_, had)) if *had == text => {}
                Some((first, had)) => {
                    let other = format!("{name}.{first}");
                    self.leave_out(twice(&place, &other, (had, &text)));
                }
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
            let (field, names) = (name.to_owned(), listed(&beyond));
            self.note(ReportNote::NamesLeftOut { field, most: MOST_NAMES as u64, names });
        }
        kept
    }

    fn object<'j>(&mut self, name: &str, json: &'j str) -> Option<Vec<(String, &'j str)>> {
        match ClickValue::of(json) {
            ClickValue::Nothing => None,
            ClickValue::Object(members) => Some(members),
            // An empty list is how some languages write an empty map.
            ClickValue::Array(items) if items.is_empty() => None,
            _ => {
                self.leave_out(invalid((name, json), WantedValue::JsonTexts, ParamFix::ObjectOfTexts));
                None
            }
        }
    }

    fn customer(&mut self, json: &str) -> CustomerTraits {
        let mut traits = CustomerTraits::default();
        for (key, value) in self.object("customer", json).unwrap_or_default() {
            let place = format!("customer.{key}");
            let Some(name) = CustomerTrait::parse(&key) else {
                self.leave_out(unknown(&place, MemberOf::Customer));
                continue;
            };
            let text = match name {
                CustomerTrait::Ip => self.address(&place, value),
                _ => self.whole(&place, value),
            };
            let Some(text) = text else { continue };
            let restored = if name == CustomerTrait::Email { email_with_plus(&text) } else { None };
            if restored.is_some() {
                self.note(ReportNote::SpaceReadAsPlus { field: place });
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
                    self.leave_out(unknown(&place, MemberOf::Consent));
                    continue;
                }
            };
            let said = match ClickValue::of(value) {
                ClickValue::Nothing => continue,
                ClickValue::Text(text) => yes_or_no(&text),
                _ => None,
            };
            match said {
                Some(said) => *answer = Some(said),
                None => {
                    let problem = of_value(&place, value, ParamFault::NotYesOrNo);
                    self.leave_out(problem.with_fix(ParamFix::YesOrNo));
                }
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
fn click_id(json: &str) -> Result<Option<ClickId>, ParamProblem> {
    let not_one = |value| invalid(("click_id", value), WantedValue::ClickId, ParamFix::ClickIdCharacters);
    match ClickValue::of(json) {
        ClickValue::Nothing => Ok(None),
        ClickValue::Text(text) if trim(&text).is_empty() => Ok(None),
        ClickValue::Text(text) => ClickId::parse(trim(&text)).map(Some).map_err(|_| not_one(&text)),
        _ => Err(not_one(json)),
    }
}

/// A member that nothing reads.
fn unknown(name: &str, of: MemberOf) -> ParamProblem {
    ParamProblem::new(name.to_owned(), None, ParamFault::UnknownMember { of })
}

/// A member that was sent twice, perhaps in two spellings, with two values: the first one was taken.
fn twice(name: &str, first: &str, (value, other): (&str, &str)) -> ParamProblem {
    let wrong = ParamFault::DifferentValues { other: first.to_owned(), other_value: shown("", other) };
    of_value(name, value, wrong).with_fix(ParamFix::SentOnce)
}
