//! Where the facts of a template are from, how sure each of them is, and what follows for the template as a whole.

use crate::template::diagnostic::Problem;
use crate::template::toml_doc::table::Table;
use crate::template::toml_doc::text::Text;
use crate::template::typed_text::day;

/// Where a fact of a template is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provenance {
    /// What is known from there.
    pub fact: String,
    /// The page, document or program.
    pub from: String,
    /// When it was read: a day, or a month.
    pub seen: String,
    /// How sure it is.
    pub level: FactLevel,
}

/// A fact of a platform, and what of the platform it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlatformFact {
    /// What it is about.
    pub about: FactKind,
    /// Where it is from.
    pub provenance: Provenance,
}

/// How sure a fact is, the surest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FactLevel {
    /// The vendor's own page, repository or program says so.
    Vendor,
    /// Public text or code that names the vendor's page says so.
    VendorVia,
    /// Public code that works says so.
    Code,
    /// Someone else says so.
    ThirdParty,
    /// It is a guess, or sources differ.
    Doubtful,
}

impl FactLevel {
    const NAMES: [(&str, FactLevel); 5] = [
        ("vendor", FactLevel::Vendor),
        ("vendor_via", FactLevel::VendorVia),
        ("code", FactLevel::Code),
        ("third_party", FactLevel::ThirdParty),
        ("doubtful", FactLevel::Doubtful),
    ];

    /// As a template writes it.
    pub fn as_str(self) -> &'static str {
        name_in(&FactLevel::NAMES, self)
    }

    /// Whether it is too little to rely on.
    pub fn is_in_doubt(self) -> bool {
        matches!(self, FactLevel::ThirdParty | FactLevel::Doubtful)
    }
}

/// What of a platform a fact is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FactKind {
    /// Where requests go.
    Url,
    /// How a request says who sends it.
    Auth,
    /// The members of an event.
    EventShape,
    /// The unit and place of times.
    Time,
    /// How amounts and currencies are written.
    Value,
    /// What is hashed, and what is done to it before.
    Hash,
    /// How old an event or its click may be.
    Age,
    /// How many events a request may hold.
    Batch,
    /// What replies mean.
    Replies,
    /// By what the platform knows an event again.
    Dedup,
    /// How much it takes in a time.
    Rate,
    /// How a visitor's answers are written.
    Consent,
    /// How its test mode works.
    TestMode,
    /// The landing parameters and cookies of its clicks.
    ClickIds,
    /// Its names of events.
    Events,
    /// What can be changed of an event that it has.
    Changes,
}

impl FactKind {
    /// Every kind with its name, those first that a verified template needs.
    pub const NAMES: [(&str, FactKind); 16] = [
        ("url", FactKind::Url),
        ("auth", FactKind::Auth),
        ("event_shape", FactKind::EventShape),
        ("time", FactKind::Time),
        ("value", FactKind::Value),
        ("hash", FactKind::Hash),
        ("age", FactKind::Age),
        ("batch", FactKind::Batch),
        ("replies", FactKind::Replies),
        ("dedup", FactKind::Dedup),
        ("rate", FactKind::Rate),
        ("consent", FactKind::Consent),
        ("test_mode", FactKind::TestMode),
        ("click_ids", FactKind::ClickIds),
        ("events", FactKind::Events),
        ("changes", FactKind::Changes),
    ];

    /// As a template writes it.
    pub fn as_str(self) -> &'static str {
        name_in(&FactKind::NAMES, self)
    }

    /// Whether a template is verified only where such facts are: what is wrong here loses or falsifies events.
    pub fn is_needed(self) -> bool {
        use FactKind::{Auth, EventShape, Hash, Time, Url, Value};
        matches!(self, Url | Auth | EventShape | Time | Value | Hash)
    }
}

fn name_in<T: PartialEq>(names: &[(&'static str, T)], wanted: T) -> &'static str {
    names.iter().find(|(_, named)| *named == wanted).map_or("", |(name, _)| name)
}

/// A kind of fact that cannot be relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FactDoubt {
    /// What it is about: the name of a kind of fact.
    pub about: &'static str,
    /// The least sure of its facts; `None`: the template names no source for any, though it needs one.
    pub level: Option<FactLevel>,
}

impl FactDoubt {
    /// The doubt that is left where these are the levels of all facts of a kind.
    pub(crate) fn of(
        about: &'static str,
        levels: impl Iterator<Item = FactLevel>,
        is_needed: bool,
    ) -> Option<FactDoubt> {
        match levels.max() {
            None => is_needed.then_some(FactDoubt { about, level: None }),
            level => level.is_some_and(FactLevel::is_in_doubt).then_some(FactDoubt { about, level }),
        }
    }

    /// Why: `third_party`, `doubtful`, or `no_source`.
    pub fn reason(self) -> &'static str {
        self.level.map_or("no_source", FactLevel::as_str)
    }
}

/// What of a platform's facts is in doubt. A needed kind without any fact is.
pub fn doubts(facts: &[PlatformFact]) -> Vec<FactDoubt> {
    doubts_of(facts, FactKind::is_needed)
}

/// The same, where other kinds are needed.
pub fn doubts_of(facts: &[PlatformFact], is_needed: impl Fn(FactKind) -> bool) -> Vec<FactDoubt> {
    let doubt = |(name, about): (&'static str, FactKind)| {
        let of_kind = facts.iter().filter(|fact| fact.about == about);
        FactDoubt::of(name, of_kind.map(|fact| fact.provenance.level), is_needed(about))
    };
    FactKind::NAMES.into_iter().filter_map(doubt).collect()
}

/// Whether nothing that is needed is in doubt.
pub fn is_verified(facts: &[PlatformFact]) -> bool {
    let is_needed = |doubt: &FactDoubt| {
        FactKind::NAMES.iter().any(|(name, kind)| *name == doubt.about && kind.is_needed())
    };
    !doubts(facts).iter().any(is_needed)
}

/// Reads every `[[provenance]]` of a destination template.
pub(crate) fn read_of_platform(root: &Table<'_>) -> Vec<PlatformFact> {
    let tables = root.tables("provenance").into_iter();
    let read = |table: Table<'_>| {
        let about = table.required("about", "\"event_shape\"", |text| text.one_of(&FactKind::NAMES));
        let provenance = Provenance::read(&table);
        Some(PlatformFact { about: about?, provenance: provenance? })
    };
    tables.filter_map(read).collect()
}

impl Provenance {
    /// Reads one, and ends the reading of its table; the names that the keys had before are pointed to those that they
    /// have.
    pub(crate) fn read(table: &Table<'_>) -> Option<Provenance> {
        let [fact, from] = ["fact", "from"].map(|key| table.required_text(key, "\"…\""));
        let seen = table.required("seen", "\"2026-11-29\"", day_or_month);
        let level = table.required("level", "\"vendor\"", |text| text.one_of(&FactLevel::NAMES));
        table.finish_knowing(|key| {
            let keys = [("what", "fact"), ("source", "from"), ("date", "seen")];
            let (_, meant) = keys.into_iter().find(|(before, _)| *before == key)?;
            Some(format!("write `{meant}`"))
        });
        Some(Provenance { fact: fact?.value, from: from?.value, seen: seen?, level: level? })
    }
}

fn day_or_month(text: &Text) -> Result<String, Problem> {
    let mut first = text.clone();
    if text.value.len() == "2026-11".len() {
        first.value.push_str("-01");
    }
    match day(&first) {
        Ok(_) => Ok(text.value.clone()),
        Err(_) => Err(Problem::new(
            format!("{} is not a day or a month", text.shown()),
            "write it as in \"2026-11-29\" or \"2026-11\"",
        )),
    }
}
