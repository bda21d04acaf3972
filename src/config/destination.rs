//! `[[destination]]`: one configured ad account or webhook, and which conversions it takes.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::sync::Arc;

use url::Url;

use crate::config::exposure::{self, is_private};
use crate::config::names::{AFFILIATE, CAMPAIGN, IdKind, OFFER, SOURCE};
use crate::config::secret_files::SecretFiles;
use crate::config::server::web_url;
use crate::config::source::unknown_template;
use crate::domain::change_rules::OnRejected;
use crate::domain::code::CodedReason;
use crate::domain::event::EventName;
use crate::domain::ids::{AffiliateId, CampaignId, DestinationId, OfferId, SourceId};
use crate::domain::reporter::BuiltInSource;
use crate::domain::routing::{Only, Route};
use crate::template::catalog::Catalog;
use crate::template::destination::batch::BatchSize;
use crate::template::destination::batch_file::{LONGEST_WAIT_MS, MOST_EVENTS};
use crate::template::destination::definition::DestinationTemplate;
use crate::template::destination::expiring::ExpiringSetting;
use crate::template::destination::file::{SettingKind, SettingSpec};
use crate::template::destination::ready::ReadyDestination;
use crate::template::destination::rendering::DestinationMode;
use crate::template::destination::spec::{DestinationSpec, SpecPart};
use crate::template::diagnostic::Problem;
use crate::template::toml_doc::document::Document;
use crate::template::toml_doc::table::Table;
use crate::template::toml_doc::text::Text;
use crate::template::typed_text::event_name;

/// One destination as configured, ready to render and send.
#[derive(Clone)]
pub struct Destination {
    pub ready: Arc<ReadyDestination>,
    pub route: Route,
    pub max_per_second: Option<NonZeroU32>,
    pub max_in_flight: usize,
    pub batch: BatchSize,
    /// Whether it may live at a private or loopback address.
    pub allow_private_network: bool,
    /// How long one request may take in all.
    pub timeout_ms: u64,
    /// The settings that are in files of their own.
    pub secrets: Arc<SecretFiles>,
    /// The settings whose value the platform takes only until a day, each with its place in the file.
    pub expiring: Vec<(ExpiringSetting, String)>,
}

/// The keys whose default is that of the default file's example.
const DEFAULTED: &[&str] = &["mode", "consent", "allow_private_network", "max_in_flight", "timeout_ms"];

/// What `consent` may be, and whether it asks for an explicit yes.
const CONSENT: [(&str, bool); 2] = [("unless_denied", false), ("granted", true)];

const DESTINATION: IdKind<DestinationId> = IdKind {
    word: "destination",
    parse: DestinationId::parse,
    whose_id: "the id of a [[destination]]",
    example: "my-account",
    why_unique: "deliveries are kept under it",
};

/// Reads every `[[destination]]`; one with a problem is left out, its problems kept. `known` is what its
/// `only` may name.
pub fn read_all(root: &Table<'_>, catalog: &Catalog, known: &NamableIds<'_>) -> Vec<Destination> {
    let mut ids = Vec::new();
    let sections = root.tables_or_default("destination", DEFAULTED);
    sections.into_iter().filter_map(|section| read(section, catalog, known, &mut ids)).collect()
}

fn read(
    section: Table<'_>,
    catalog: &Catalog,
    known: &NamableIds<'_>,
    ids: &mut Vec<DestinationId>,
) -> Option<Destination> {
    let id = own_id(&section, ids);
    let template = read_template(&section, catalog);
    let modes = DestinationMode::ALL.map(|mode| (mode.as_str(), mode));
    let mode = section.parsed("mode", |text| text.one_of(&modes));
    let token_endpoint = section.parsed("token_endpoint", endpoint);
    let endpoint = section.parsed("endpoint", endpoint);
    let allow_private_network = section.flag("allow_private_network");
    let max_per_second = section.number::<u32>("max_per_second", 1..=1_000_000).and_then(NonZeroU32::new);
    let max_in_flight = section.number("max_in_flight", 1..=10_000);
    let batch = section.read_table("batch", read_batch);
    let timeout_ms = section.number("timeout_ms", 100..=600_000);
    if let (Some(endpoint), Some(false)) = (&endpoint, allow_private_network) {
        warn_of_private_endpoint(&section, endpoint);
    }
    let on_rejected = section.parsed("on_rejected", |text| text.one_of(&OnRejected::NAMES));
    let explicit = section.parsed("consent", |text| text.one_of(&CONSENT));
    let only = section.table_or_empty("only").map(|section| read_only(section, known));
    let table = section.table_or_empty("settings");
    let events = section.table_or_empty("events");
    let document = section.document();
    let places = SettingPositions::of(&section, table.as_ref(), events.as_ref());
    let (settings, events) = (table.as_ref().map(read_settings), events.map(|table| renamed(&table)));
    section.finish_knowing(|key| is_setting(key, template.as_deref()));
    let (template, table, settings) = (template?, table?, settings?);
    let batch = batch_of(&section, &template, mode.unwrap_or_default(), batch);
    warn_of_odd_secrets(&table, &template, &settings.read);
    let address = (endpoint.is_some(), plain_url(&template, &settings.read));
    let spec = DestinationSpec {
        // One that is wrong has been reported; the settings are checked all the same.
        id: id.clone().or_else(|| DestinationId::parse("unnamed").ok())?,
        template: template.clone(),
        mode: mode?,
        endpoint: endpoint.map(|url| url.as_str().trim_end_matches('/').to_owned()),
        token_endpoint: token_endpoint.map(|url| url.as_str().trim_end_matches('/').to_owned()),
        settings: settings.read,
        on_rejected,
        events: events?,
    };
    let destination = match ReadyDestination::build(spec) {
        Ok(destination) => destination.with_explicit_consent(explicit?),
        Err(problems) => {
            let reported =
                |part: &SpecPart| part.setting().is_some_and(|name| settings.unread.contains(name));
            let new = problems.into_iter().filter(|wrong| !reported(&wrong.part));
            new.for_each(|wrong| document.problem(places.line(&wrong.part), wrong.problem));
            return None;
        }
    };
    warn_of_plain_secrets((&section, &table), address, &destination);
    warn_of_no_events(&section, &template, &destination);
    let destination = with_sign_in_warnings((&section, &table), destination, &settings.files);
    let route = Route { only: only?, ..route_of(&template, &destination, id?) };
    Some(Destination {
        route,
        max_per_second: max_per_second.or_else(|| template.max_per_second()),
        max_in_flight: max_in_flight?,
        batch,
        allow_private_network: allow_private_network?,
        timeout_ms: timeout_ms?,
        secrets: Arc::new(settings.files),
        expiring: places.of_expiring(&destination, document),
        ready: Arc::new(destination),
    })
}

/// `batch = { max_events = 100, max_wait_ms = 500 }`.
fn read_batch(table: &Table<'_>) -> (Option<usize>, Option<u64>) {
    (table.number("max_events", 1..=MOST_EVENTS), table.number("max_wait_ms", 0..=LONGEST_WAIT_MS))
}

/// How many events a request carries: as the destination says, else as its template does.
fn batch_of(
    section: &Table<'_>,
    template: &DestinationTemplate,
    mode: DestinationMode,
    read: Option<(Option<usize>, Option<u64>)>,
) -> BatchSize {
    let usual = template.batch();
    let (max_events, max_wait_ms) = read.unwrap_or_default();
    let live = template.max_batch();
    let most = if mode == DestinationMode::Test { template.max_test_batch() } else { live };
    if let Some(events) = max_events.filter(|events| *events > live) {
        let what = format!("`max_events` is {events}, and `{}` takes {live} in a request", template.name());
        section.problem("batch", what, "write a lower number, or take it out");
    } else if let Some(events) = max_events.filter(|events| *events > most) {
        let what = format!(
            "`max_events` is {events}, and in test mode `{}` looks at {most} of a request",
            template.name()
        );
        section.warning(
            "batch",
            what,
            format!("nothing to do: in test mode a request carries {most} at most"),
        );
    }
    let max_events = max_events.unwrap_or(usual.max_events).min(most);
    if max_events == 1 && max_wait_ms.is_some_and(|wait| wait > 0) {
        let what = "`max_wait_ms` in `batch`: a request carries one event, so none waits for others";
        section.warning("batch", what, "name `max_events` too, or take `max_wait_ms` out");
    }
    BatchSize { max_events, max_wait_ms: max_wait_ms.unwrap_or(usual.max_wait_ms) }
}

/// A destination's route, as far as its template and its own choices say.
fn route_of(template: &DestinationTemplate, ready: &ReadyDestination, id: DestinationId) -> Route {
    let limits = template.age_limits();
    Route {
        consent: ready.consent_need(),
        changes: ready.changes(),
        max_age_ms: limits.event_ms,
        max_click_age_ms: limits.click_ms,
        min_click_age_ms: template.min_click_age_ms(),
        ..Route::to(id)
    }
}

/// A token that was pasted with more than itself is refused by the platform at the first sale.
fn warn_of_odd_secrets(table: &Table<'_>, template: &DestinationTemplate, given: &BTreeMap<String, String>) {
    let is_token = |spec: &&SettingSpec| spec.secret && spec.kind == SettingKind::Text;
    for spec in template.settings().iter().filter(is_token) {
        if let Some(secret) = given.get(&spec.name) {
            exposure::warn_of_odd_secret(table, &spec.name, secret.trim());
        }
    }
}

/// Where the account makes the events, one that names none is never sent any.
fn warn_of_no_events(section: &Table<'_>, template: &DestinationTemplate, destination: &ReadyDestination) {
    if destination.event_names().is_empty() && !template.passes_custom_events() {
        let what = format!("`{}` has the events that its account made, and none is named", template.name());
        let hint = "name each that is reported under [destination.events], as in Purchase = \"…\": nothing is sent until then";
        section.warning("events", what, hint);
    }
}

/// A platform that replaces its refresh tokens locks an account out that keeps showing the first one.
fn with_sign_in_warnings(
    (section, table): (&Table<'_>, &Table<'_>),
    destination: ReadyDestination,
    files: &SecretFiles,
) -> ReadyDestination {
    let Some(sign_in) = destination.sign_in() else {
        if section.has("token_endpoint") {
            let what =
                format!("`token_endpoint`: `{}` asks for no access token", destination.template_name());
            section.warning("token_endpoint", what, "take it out");
        }
        return destination;
    };
    let rotating = sign_in.refresh_token().filter(|_| sign_in.rotates());
    let unkept = rotating.and_then(|(setting, _)| {
        let unkept = files.refusal(setting)?;
        table.warning(setting, format!("`{setting}`: {}", unkept.sentence()), unkept.hint());
        Some(unkept)
    });
    destination.with_unkept_token(unkept)
}

/// What the address of a destination's secrets is named by: its endpoint, a setting, or its template.
fn warn_of_plain_secrets(
    (section, settings): (&Table<'_>, &Table<'_>),
    (has_endpoint, plain_url): (bool, Option<String>),
    destination: &ReadyDestination,
) {
    match (has_endpoint, plain_url) {
        (true, _) => exposure::warn_of_plain_secrets(section, "endpoint", destination),
        (false, Some(setting)) => exposure::warn_of_plain_secrets(settings, &setting, destination),
        (false, None) => exposure::warn_of_plain_secrets(section, "template", destination),
    }
}

/// The setting that holds an address by http, if there is one.
fn plain_url(template: &DestinationTemplate, given: &BTreeMap<String, String>) -> Option<String> {
    let is_plain = |spec: &&SettingSpec| {
        let value = given.get(&spec.name);
        spec.kind == SettingKind::Url && value.is_some_and(|value| value.trim().starts_with("http:"))
    };
    template.settings().iter().find(is_plain).map(|spec| spec.name.clone())
}

/// An id that is not one of those that outgoing postbacks have.
fn own_id(section: &Table<'_>, ids: &mut Vec<DestinationId>) -> Option<DestinationId> {
    let id = DESTINATION.own(section, ids)?;
    if let Some(kind) = id.outgoing() {
        let what = format!("`id` in [[destination]]: `{id}` begins with `{}`", kind.beginning());
        section.problem("id", what, "choose another: outgoing postbacks have such ids");
        return None;
    }
    Some(id)
}

/// The template that the destination names. Nothing is said of one that is broken: that is said where it
/// is.
fn read_template(section: &Table<'_>, catalog: &Catalog) -> Option<Arc<DestinationTemplate>> {
    let find = |text: &Text| match catalog.destination(&text.value) {
        None if !catalog.has_broken_destination(&text.value) => {
            Err(unknown_template("destination", text, catalog.destination_names(), catalog.source_names()))
        }
        found => Ok(found),
    };
    section.required("template", "\"webhook\"", find).flatten()
}

/// An address that takes the place of scheme and host of a template's.
pub(super) fn endpoint(text: &Text) -> Result<Url, Problem> {
    let url = web_url(text)?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err(Problem::new(
            format!("{} has a query or a fragment", text.shown()),
            "end it after the host or a path: the template's own path and query follow",
        ));
    }
    Ok(url)
}

/// An address that the guard will refuse is better said now than found in the dead letters.
fn warn_of_private_endpoint(section: &Table<'_>, endpoint: &Url) {
    if endpoint.host().is_some_and(|host| is_private(&host.to_owned())) {
        section.warning(
            "endpoint",
            format!("`endpoint` is {endpoint}, a private address: every delivery to it will be refused"),
            "add allow_private_network = true if it is yours",
        );
    }
}

/// The settings of one account.
#[derive(Default)]
pub(super) struct SettingsTable {
    pub(super) read: BTreeMap<String, String>,
    /// Those that are in files of their own.
    files: SecretFiles,
    /// Those whose value could not be read: reported already.
    pub(super) unread: BTreeSet<String>,
}

pub(super) fn read_settings(section: &Table<'_>) -> SettingsTable {
    let texts = section.free_texts();
    let file =
        |(name, text): &(&str, Text)| Some(((*name).to_owned(), section.document().path(text.file()?)));
    let files = SecretFiles(texts.iter().filter_map(file).collect());
    let read: BTreeMap<String, String> =
        texts.into_iter().map(|(name, text)| (name.to_owned(), text.value)).collect();
    let unread = section.keys().into_iter().filter(|name| !read.contains_key(*name));
    SettingsTable { unread: unread.map(str::to_owned).collect(), read, files }
}

fn is_setting(key: &str, template: Option<&DestinationTemplate>) -> Option<String> {
    let known = template?.settings().iter().any(|setting| setting.name == key);
    known.then(|| "it is a setting of the template: write it below [destination.settings]".to_owned())
}

/// Ours = theirs, with ours in its standard spelling.
pub(super) fn renamed(events: &Table<'_>) -> BTreeMap<String, String> {
    let standard =
        |ours: &str| EventName::parse(ours).map_or(ours.to_owned(), |event| event.as_str().to_owned());
    events.free_texts().into_iter().map(|(ours, theirs)| (standard(ours), theirs.value)).collect()
}

/// Where in the file each setting is, to place what the template says about it.
struct SettingPositions {
    head: usize,
    settings: BTreeMap<String, usize>,
    events: BTreeMap<String, usize>,
    /// Keys of the destination's own table.
    mode: Option<usize>,
    on_rejected: Option<usize>,
    endpoint: Option<usize>,
    token_endpoint: Option<usize>,
}

impl SettingPositions {
    fn of<'a>(
        head: &Table<'a>,
        settings: Option<&Table<'a>>,
        events: Option<&Table<'a>>,
    ) -> SettingPositions {
        let lines = |table: Option<&Table<'a>>| {
            let keys = table
                .into_iter()
                .flat_map(|table| table.keys().into_iter().map(|key| (key.to_owned(), table.line_of(key))));
            keys.collect::<BTreeMap<String, usize>>()
        };
        let own = |key: &'static str| head.has(key).then(|| head.line_of(key));
        SettingPositions {
            head: settings.map_or(head.line(), Table::line),
            settings: lines(settings),
            events: lines(events),
            mode: own("mode"),
            on_rejected: own("on_rejected"),
            endpoint: own("endpoint"),
            token_endpoint: own("token_endpoint"),
        }
    }

    /// The settings whose value the platform takes only until a day, each with its place.
    fn of_expiring(
        &self,
        ready: &ReadyDestination,
        document: &Document<'_>,
    ) -> Vec<(ExpiringSetting, String)> {
        let placed = |setting: ExpiringSetting| {
            let line = self.line(&SpecPart::Setting(setting.name.clone()));
            (setting, document.place(line))
        };
        ready.expiring().into_iter().map(placed).collect()
    }

    /// The line of what the problem is about; where that is not written, of the settings or the destination.
    fn line(&self, part: &SpecPart) -> usize {
        let line = match part {
            SpecPart::Setting(name) => self.settings.get(name).copied(),
            SpecPart::TestSetting(name) => self.settings.get(name).copied().or(self.mode),
            SpecPart::Event(name) => self.events.get(name).copied(),
            SpecPart::Mode => self.mode,
            SpecPart::OnRejected => self.on_rejected,
            SpecPart::Endpoint => self.endpoint,
            SpecPart::TokenEndpoint => self.token_endpoint,
        };
        line.unwrap_or(self.head)
    }
}

/// The ids that may be named; also of tables that were left out for a problem.
pub struct NamableIds<'a> {
    pub sources: &'a [SourceId],
    pub offers: &'a [OfferId],
    pub campaigns: &'a [CampaignId],
    pub affiliates: &'a [AffiliateId],
}

/// Reads the table; what names no such thing is a problem.
fn read_only(section: Table<'_>, known: &NamableIds<'_>) -> Only {
    let built_in = BuiltInSource::ALL.map(BuiltInSource::id);
    let sources: Vec<SourceId> = known.sources.iter().cloned().chain(built_in).collect();
    let source = |text: &Text| SOURCE.one_of(text, &sources);
    let offer = |text: &Text| OFFER.one_of(text, known.offers);
    let campaign = |text: &Text| CAMPAIGN.one_of(text, known.campaigns);
    let affiliate = |text: &Text| AFFILIATE.one_of(text, known.affiliates);
    let events = section.all_parsed("event", event_name).unwrap_or_default();
    let only = Only {
        sources: section.all_parsed("source", source).unwrap_or_default(),
        events: events.iter().map(|event| event.as_str().to_owned()).collect(),
        offers: section.all_parsed("offer", offer).unwrap_or_default(),
        campaigns: section.all_parsed("campaign", campaign).unwrap_or_default(),
        affiliates: section.all_parsed("affiliate", affiliate).unwrap_or_default(),
    };
    for key in ["source", "event", "offer", "campaign", "affiliate"] {
        if section.has(key) && section.is_empty_list(key) {
            let what = format!("`{key}` in [destination.only] is an empty list");
            section.problem(key, what, format!("name at least one {key}, or leave the key out to take all"));
        }
    }
    section.finish();
    only
}
