//! `[[source]]`: one configured network, its keys, and what is done with its conversions.

use std::num::NonZeroU32;
use std::sync::Arc;

use crate::config::names::SOURCE;
use crate::config::secrets::Secret;
use crate::config::source_words;
use crate::config::verify::{self, SourceVerify};
use crate::domain::conversion::Dedup;
use crate::domain::customer::{CustomerFormat, DateOrder, PhoneRegion};
use crate::domain::ids::SourceId;
use crate::domain::money::Currency;
use crate::domain::postback::MappingVersion;
use crate::domain::reporter::BuiltInSource;
use crate::domain::routing::{SourcePolicy, Unmatched};
use crate::domain::secret_strength::weakness;
use crate::domain::status::Status;
use crate::template::catalog::Catalog;
use crate::template::destination::normalize::phone::reads_numbers_of;
use crate::template::diagnostic::{Problem, did_you_mean};
use crate::template::source::definition::{SourceBinding, SourceTemplate};
use crate::template::toml_doc::table::Table;
use crate::template::toml_doc::text::Text;
use crate::template::typed_text::{currency, event_name, time_zone};

/// One network as configured. Its postback URL is `/{key}/collect/{id}`.
#[derive(Clone)]
pub struct Source {
    pub id: SourceId,
    pub template: Arc<SourceTemplate>,
    /// One, or several while the key is being changed: each is taken.
    pub keys: Vec<Secret>,
    pub binding: SourceBinding,
    pub policy: Arc<SourcePolicy>,
    /// What its postbacks are mapped by, as their records name it.
    pub mapping: MappingVersion,
    /// How they are known as the network's.
    pub verify: SourceVerify,
    /// More postbacks a second than this are answered 429.
    pub max_per_second: Option<NonZeroU32>,
    /// Hosts of the network's tracking links, to which the tag appends the click id; a name covers its
    /// subdomains.
    pub link_hosts: Vec<String>,
    /// Paths of redirects on the landing page's own host that lead to such links; `*` at the end matches
    /// for any ending.
    pub link_paths: Vec<String>,
}

/// The shortest key that is taken; one that can be guessed is warned of.
const MIN_KEY_CHARS: usize = 8;
/// The longest key: it has to fit a URL that people paste.
const MAX_KEY_CHARS: usize = 128;

/// The keys whose default is that of the default file's example.
const DEFAULTED: &[&str] = &["forward_status", "unmatched", "hold_hours"];

/// Every source that was read whole, and the ids of all, also of those with a problem.
#[derive(Default)]
pub struct ConfiguredSources {
    pub whole: Vec<Source>,
    pub ids: Vec<SourceId>,
}

/// Reads every `[[source]]`; one with a problem is left out, its problems kept.
pub fn read_all(root: &Table<'_>, catalog: &Catalog) -> ConfiguredSources {
    let mut sources = ConfiguredSources::default();
    for section in root.tables_or_default("source", DEFAULTED) {
        let line = section.line();
        let Some(source) = read(section, catalog, &mut sources.ids) else { continue };
        let shares = |known: &&Source| known.keys.iter().any(|key| source.keys.contains(key));
        if let Some(other) = sources.whole.iter().find(shares) {
            let what = format!("`{}` and `{}` have the same key", other.id, source.id);
            let hint = "give each its own: who knows one URL could write the other";
            root.document().warning(line, Problem::new(what, hint));
        }
        sources.whole.push(source);
    }
    sources
}

fn read(section: Table<'_>, catalog: &Catalog, ids: &mut Vec<SourceId>) -> Option<Source> {
    let id = own_id(&section, ids);
    let template = read_template(&section, catalog);
    let has_key = section.require("key", "{ env = \"POSTBACK_KEY\" }");
    let keys = has_key.then(|| section.all_parsed("key", postback_key)).flatten();
    if keys.as_ref().is_some_and(Vec::is_empty) {
        section.problem(
            "key",
            "`key` in [[source]] is empty: no one could reach it",
            "name at least one key",
        );
    }
    if let Some(weakness) = keys.iter().flatten().find_map(|key| weakness(key.reveal())) {
        let hint = "who guesses it can report sales; make another: openssl rand -hex 12";
        section.warning("key", format!("a key in [[source]] {}", weakness.sentence()), hint);
    }
    let currency = read_currency(&section, template.as_deref());
    let event = |key: &'static str| section.parsed(key, event_name);
    let (positive_event, zero_event) = (event("positive_event"), event("zero_event"));
    let dedup = read_dedup(&section, template.as_deref());
    let forward_status = section.all_parsed("forward_status", forwarded_status);
    let unmatched = read_unmatched(&section);
    let max_per_second = section.number::<u32>("max_per_second", 1..=1_000_000).and_then(NonZeroU32::new);
    if forward_status.as_ref().is_some_and(Vec::is_empty) {
        section.warning(
            "forward_status",
            "`forward_status` is empty: nothing of this source is sent to any destination",
            "name at least \"approved\", or leave the key out",
        );
    }
    let (link_hosts, link_paths) = read_links(&section, template.as_deref());
    let (statuses, events) = source_words::read(&section, template.as_deref());
    let time_zone = section.parsed("time_zone", time_zone);
    let customer = CustomerFormat {
        phone_region: section.parsed("phone_region", phone_region),
        birthdate: section
            .parsed("birthdate", |text| text.one_of(&DateOrder::NAMES))
            .or_else(|| template.as_deref().and_then(SourceTemplate::default_birthdate)),
    };
    let verify = verify::read(&section, template.as_deref());
    section.finish();
    let (id, template, verify) = (id?, template?, verify?);
    let policy = SourcePolicy {
        source: id.clone(),
        customer,
        click_sub_id: template.click_sub_id(),
        dedup: dedup.unwrap_or_else(|| template.default_dedup()),
        forward_status: forward_status?,
        unmatched: unmatched?,
    };
    let source = id.clone();
    let binding = SourceBinding { source, currency, positive_event, zero_event, statuses, events, time_zone };
    let mapping = template.mapping_version(&binding, &policy);
    let policy = Arc::new(policy);
    Some(Source {
        id,
        template,
        keys: keys?,
        binding,
        policy,
        mapping,
        verify,
        max_per_second,
        link_hosts,
        link_paths,
    })
}

/// A country whose phone numbers can be read.
pub fn phone_region(text: &Text) -> Result<PhoneRegion, Problem> {
    PhoneRegion::parse(&text.value).filter(|region| reads_numbers_of(*region)).ok_or_else(|| {
        let hint = "write the country's two letters of ISO 3166: \"DE\", \"US\", \"GB\"";
        Problem::new(format!("{} is not a country with phone numbers", text.shown()), hint)
    })
}

/// Which links the tag gives the click id to. They need a parameter that the template names.
fn read_links(section: &Table<'_>, template: Option<&SourceTemplate>) -> (Vec<String>, Vec<String>) {
    let hosts = section.all_parsed("link_hosts", host_name);
    let paths = section.all_parsed("link_paths", path_pattern);
    for key in ["link_hosts", "link_paths"] {
        let Some(template) = template.filter(|template| template.link_param().is_none()) else { continue };
        if section.has(key) {
            let what =
                format!("`{key}` in [[source]]: the template `{}` has no `link_param`", template.name());
            let hint = "add `link_param` to the template: the sub id that brings the click id back";
            section.problem(key, what, hint);
        }
    }
    (hosts.unwrap_or_default(), paths.unwrap_or_default())
}

/// A host's name alone, in lower case.
pub fn host_name(text: &Text) -> Result<String, Problem> {
    let name = text.value.to_ascii_lowercase();
    let is_part = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    if name.len() > 253 || !name.split('.').all(is_part) {
        let hint = "write the name alone, without scheme, port and path: \"track.example.com\"";
        return Err(Problem::new(format!("{} is not a host's name", text.shown()), hint));
    }
    Ok(name)
}

fn path_pattern(text: &Text) -> Result<String, Problem> {
    let path = text.value.strip_suffix('*').unwrap_or(&text.value);
    if !path.starts_with('/') || path.contains(['*', '?', '#']) || path.contains(char::is_whitespace) {
        let hint = "begin it with a slash; a `*` may be at its end: \"/go/*\"";
        return Err(Problem::new(format!("{} is not a path", text.shown()), hint));
    }
    Ok(text.value.clone())
}

/// An id that none of the sources has that are there without being configured.
fn own_id(section: &Table<'_>, ids: &mut Vec<SourceId>) -> Option<SourceId> {
    let id = SOURCE.own(section, ids)?;
    if BuiltInSource::of(&id).is_some() {
        let what = format!("`id` in [[source]]: `{id}` is the id of a built-in source");
        section.problem("id", what, "choose another: conversions are kept under it");
        return None;
    }
    Some(id)
}

/// The template that the source names. Nothing is said of one that is broken: that is said where it is.
fn read_template(section: &Table<'_>, catalog: &Catalog) -> Option<Arc<SourceTemplate>> {
    let find = |text: &Text| match catalog.source(&text.value) {
        None if !catalog.has_broken_source(&text.value) => {
            Err(unknown_template("source", text, catalog.source_names(), catalog.destination_names()))
        }
        found => Ok(found),
    };
    section.required("template", "\"generic\"", find).flatten()
}

/// Says which template was meant: near in spelling, or of the other kind.
pub fn unknown_template(kind: &str, text: &Text, known: Vec<&str>, other_kind: Vec<&str>) -> Problem {
    let hint = match did_you_mean(&text.value, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if other_kind.contains(&text.value.as_str()) => {
            format!("it is a template of the other kind; {}", all(kind, &known))
        }
        None => format!("{}; your own go into [templates] path", all(kind, &known)),
    };
    Problem::new(format!("there is no {kind} template {}", text.shown()), hint)
}

/// The names of all that there are, or where they are shown.
fn all(kind: &str, known: &[&str]) -> String {
    match known.len() {
        ..=MOST_NAMES => format!("{kind} templates: {}", known.join(", ")),
        many => format!("`postbridge templates list` shows the {many} {kind} templates"),
    }
}

/// So many names are read in a hint; of more no one finds theirs.
const MOST_NAMES: usize = 20;

fn postback_key(text: &Text) -> Result<Secret, Problem> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'~' | b'-');
    let length = text.value.len();
    let what = if !text.value.bytes().all(allowed) {
        "a key has only letters, digits and . _ ~ -, which no URL changes".to_owned()
    } else if length < MIN_KEY_CHARS {
        format!("a key of {length} characters can be guessed")
    } else if length > MAX_KEY_CHARS {
        format!("a key of {length} characters does not fit a URL that people paste")
    } else {
        return Ok(Secret::new(&text.value));
    };
    let hint = format!("write {MIN_KEY_CHARS} to {MAX_KEY_CHARS} characters: openssl rand -hex 12");
    Err(Problem::new(what, hint))
}

fn read_currency(section: &Table<'_>, template: Option<&SourceTemplate>) -> Option<Currency> {
    let currency = section.parsed("currency", currency);
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

/// How repeats are known; by nothing but the transaction where the template adds rows of one up.
fn read_dedup(section: &Table<'_>, template: Option<&SourceTemplate>) -> Option<Dedup> {
    let dedup = section.parsed("dedup", |text| text.one_of(&Dedup::NAMES));
    let adds_up = template.is_some_and(SourceTemplate::adds_up);
    if let Some(mode) = dedup.filter(|mode| adds_up && *mode != Dedup::Transaction) {
        let what = format!(
            "`dedup` in [[source]]: the template adds the rows of a transaction up, and \"{}\" does not know them by it",
            mode.as_str()
        );
        section.problem("dedup", what, "leave `dedup` out, or write dedup = \"transaction\"");
    }
    dedup
}

/// A status whose conversions may be sent to someone.
pub fn forwarded_status(text: &Text) -> Result<Status, Problem> {
    if text.value == Status::Scrubbed.as_str() {
        let hint = format!("take it out: write some of {}", FORWARDED.map(Status::as_str).join(", "));
        return Err(Problem::new("a scrubbed conversion is never sent anywhere", hint));
    }
    text.one_of(&FORWARDED.map(|status| (status.as_str(), status)))
}

const FORWARDED: [Status; 3] = [Status::Approved, Status::Pending, Status::Rejected];

fn read_unmatched(section: &Table<'_>) -> Option<Unmatched> {
    // Two years: longer than clicks are kept by default, and than any platform looks back.
    let hours = section.number("hold_hours", 1..=17_520);
    let word = section.parsed("unmatched", |text| {
        text.one_of(&[("hold", "hold"), ("forward", "forward"), ("drop", "drop")])
    })?;
    match word {
        "forward" => Some(Unmatched::Forward),
        "drop" => Some(Unmatched::Drop),
        _ => hours.map(|hours| Unmatched::Hold { hours }),
    }
}
