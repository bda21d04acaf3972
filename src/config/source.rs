//! `[[source]]`: one configured network, its keys, and what is done with its conversions.

use std::num::NonZeroU32;
use std::sync::Arc;

use crate::config::read::{Section, Text};
use crate::config::secrets::Secret;
use crate::config::server::MIN_SECRET_CHARS;
use crate::domain::conversion::{Dedup, EventName, Status};
use crate::domain::delivery::{SourcePolicy, Unmatched};
use crate::domain::ids::SourceId;
use crate::domain::money::Currency;
use crate::problem::{Problem, did_you_mean};
use crate::template::catalog::Catalog;
use crate::template::source::{SourceBinding, SourceTemplate};

/// One network as configured. Its postback URL is `/{key}/collect/{id}`.
#[derive(Clone)]
pub struct Source {
    pub id: SourceId,
    pub template: Arc<SourceTemplate>,
    /// One, or several while the key is being changed: each is taken.
    pub keys: Vec<Secret>,
    pub binding: SourceBinding,
    pub policy: Arc<SourcePolicy>,
    /// More postbacks a second than this are answered 429.
    pub max_per_second: Option<NonZeroU32>,
}

/// The longest key: it has to fit a URL that people paste.
const MAX_KEY_CHARS: usize = 128;

/// The keys whose default is that of the default file's example.
const DEFAULTED: &[&str] = &["forward_status", "unmatched", "hold_hours"];

/// Every source that was read whole, and the ids of all, also of those with a problem.
#[derive(Default)]
pub struct Sources {
    pub whole: Vec<Source>,
    pub ids: Vec<SourceId>,
}

/// Reads every `[[source]]`; one with a problem is left out, its problems kept.
pub fn read_all(root: &Section<'_>, catalog: &Catalog) -> Sources {
    let mut sources = Sources::default();
    for section in root.sections("source", DEFAULTED) {
        let line = section.line();
        let Some(source) = read(section, catalog, &mut sources.ids) else { continue };
        let shares = |known: &&Source| known.keys.iter().any(|key| source.keys.contains(key));
        if let Some(other) = sources.whole.iter().find(shares) {
            let what = format!("`{}` and `{}` have the same key", other.id, source.id);
            let hint = "give each its own: who knows one URL could write the other";
            root.reader().warning(line, Problem::new(what, hint));
        }
        sources.whole.push(source);
    }
    sources
}

fn read(section: Section<'_>, catalog: &Catalog, ids: &mut Vec<SourceId>) -> Option<Source> {
    let id = read_id(&section, ids);
    let given = section.require("template", "\"generic\"");
    let template = given.then(|| section.parsed("template", |text| find_template(text, catalog))).flatten();
    let given = section.require("key", "{ env = \"POSTBACK_KEY\" }");
    let keys = given.then(|| section.all_parsed("key", postback_key)).flatten();
    if keys.as_ref().is_some_and(Vec::is_empty) {
        section.problem(
            "key",
            "`key` in [[source]] is empty: nobody could reach it",
            "name at least one key",
        );
    }
    let currency = read_currency(&section, template.as_deref());
    let event = |key: &'static str| section.parsed(key, event_name);
    let (positive_event, zero_event) = (event("positive_event"), event("zero_event"));
    let dedup = section.parsed("dedup", |text| {
        one_of(text, &[("transaction", Dedup::Transaction), ("click", Dedup::Click), ("each", Dedup::Each)])
    });
    let forward_status = section.all_parsed("forward_status", status);
    let unmatched = read_unmatched(&section);
    let max_per_second = section.number::<u32>("max_per_second", 1..=1_000_000).and_then(NonZeroU32::new);
    if forward_status.as_ref().is_some_and(Vec::is_empty) {
        section.warning(
            "forward_status",
            "`forward_status` is empty: nothing of this source is sent to any destination",
            "name at least \"approved\", or leave the key out",
        );
    }
    section.finish();
    let (id, template) = (id?, template?);
    let policy = SourcePolicy {
        source: id.clone(),
        dedup: dedup.unwrap_or_else(|| template.default_dedup()),
        forward_status: forward_status?,
        unmatched: unmatched?,
    };
    let binding = SourceBinding { source: id.clone(), currency, positive_event, zero_event };
    Some(Source { id, template, keys: keys?, binding, policy: Arc::new(policy), max_per_second })
}

fn read_id(section: &Section<'_>, ids: &mut Vec<SourceId>) -> Option<SourceId> {
    let given = section.require("id", "\"my-network\"");
    let id = given.then(|| section.parsed("id", source_id)).flatten()?;
    if ids.contains(&id) {
        let what = format!("two sources have the id `{id}`");
        section.problem("id", what, "give each its own: it is part of its postback URL");
    }
    ids.push(id.clone());
    Some(id)
}

fn source_id(text: &Text) -> Result<SourceId, Problem> {
    SourceId::parse(&text.value).map_err(|error| {
        Problem::new(format!("{} is not an id", text.shown()), format!("{error}; such as \"my-network\""))
    })
}

fn find_template(text: &Text, catalog: &Catalog) -> Result<Arc<SourceTemplate>, Problem> {
    catalog
        .source(&text.value)
        .ok_or_else(|| unknown_template("source", text, catalog.source_names(), catalog.destination_names()))
}

/// Says which template was meant: near in spelling, or of the other kind.
pub fn unknown_template(kind: &str, text: &Text, known: Vec<&str>, other_kind: Vec<&str>) -> Problem {
    let hint = match did_you_mean(&text.value, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if other_kind.contains(&text.value.as_str()) => {
            format!("it is a template of the other kind; {kind} templates: {}", known.join(", "))
        }
        None => format!("{kind} templates: {}; your own go into [templates] path", known.join(", ")),
    };
    Problem::new(format!("there is no {kind} template {}", text.shown()), hint)
}

fn postback_key(text: &Text) -> Result<Secret, Problem> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'~' | b'-');
    let length = text.value.len();
    let what = if !text.value.bytes().all(allowed) {
        "a key has only letters, digits and . _ ~ -, which no URL changes".to_owned()
    } else if length < MIN_SECRET_CHARS {
        format!("a key of {length} characters can be guessed")
    } else if length > MAX_KEY_CHARS {
        format!("a key of {length} characters does not fit a URL that people paste")
    } else {
        return Ok(Secret::new(&text.value));
    };
    let hint = format!("write {MIN_SECRET_CHARS} to {MAX_KEY_CHARS} characters: openssl rand -hex 12");
    Err(Problem::new(what, hint))
}

fn read_currency(section: &Section<'_>, template: Option<&SourceTemplate>) -> Option<Currency> {
    let currency = section.parsed("currency", |text| {
        Currency::parse(&text.value).ok_or_else(|| {
            Problem::new(
                format!("{} is not a currency", text.shown()),
                "write its three letters of ISO 4217: \"USD\", \"EUR\"",
            )
        })
    });
    if let Some(template) = template
        && !section.has("currency")
        && !template.maps_currency()
    {
        section.problem(
            "currency",
            format!("[[source]] has no `currency`, and the template `{}` maps none", template.name()),
            "add the currency that the network pays in: currency = \"USD\"",
        );
    }
    currency
}

/// The name of an event, whatever the case of a standard one.
pub fn event_name(text: &Text) -> Result<EventName, Problem> {
    EventName::parse(&text.value).ok_or_else(|| {
        Problem::new(
            format!("{} is not an event's name", text.shown()),
            format!("1–64 characters, such as {}", EventName::STANDARD.join(", ")),
        )
    })
}

fn status(text: &Text) -> Result<Status, Problem> {
    one_of(text, &Status::ALL.map(|status| (status.word(), status)))
}

fn read_unmatched(section: &Section<'_>) -> Option<Unmatched> {
    // Two years: longer than clicks are kept by default, and than any platform looks back.
    let hours = section.number("hold_hours", 1..=17_520);
    let word = section.parsed("unmatched", |text| {
        one_of(text, &[("hold", "hold"), ("forward", "forward"), ("drop", "drop")])
    })?;
    match word {
        "forward" => Some(Unmatched::Forward),
        "drop" => Some(Unmatched::Drop),
        _ => hours.map(|hours| Unmatched::Hold { hours }),
    }
}

/// The meaning of one of a few words.
pub fn one_of<T: Copy>(text: &Text, words: &[(&str, T)]) -> Result<T, Problem> {
    if let Some((_, meaning)) = words.iter().find(|(word, _)| *word == text.value) {
        return Ok(*meaning);
    }
    let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
    let hint = match did_you_mean(&text.value, known.iter().copied()) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => format!("write one of: {}", known.join(", ")),
    };
    Err(Problem::new(format!("{} is none of {}", text.shown(), known.join(", ")), hint))
}
