//! The templates: what each source template reads, what each destination template needs, and which presets there are.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::test_event::TestCounts;
use crate::domain::time::HOUR_MS;
use crate::template::destination::definition::DestinationTemplate;
use crate::template::destination::file::SettingSpec;
use crate::template::preset::definition::PostbackPreset;
use crate::template::provenance::{FactDoubt, FactLevel, PlatformFact, Provenance};
use crate::template::source::definition::SourceTemplate;
use crate::template::source::facts::NetworkFact;
use crate::template::source::verify::scheme::Verification;
use crate::template::story_counts::StoryCounts;

/// Every template, the built-in ones and a user's own.
#[derive(Serialize)]
pub struct CatalogView<'a> {
    sources: Vec<SourceTemplateView<'a>>,
    destinations: Vec<DestinationTemplateView<'a>>,
    presets: Vec<PresetView<'a>>,
}

impl<'a> CatalogView<'a> {
    pub fn of(
        sources: &'a [Arc<SourceTemplate>],
        destinations: &'a [Arc<DestinationTemplate>],
        presets: &'a [Arc<PostbackPreset>],
        stories: &StoryCounts,
    ) -> CatalogView<'a> {
        CatalogView {
            sources: sources.iter().map(|template| SourceTemplateView::of(template, stories)).collect(),
            destinations: destinations.iter().map(|template| DestinationTemplateView::of(template)).collect(),
            presets: presets.iter().map(|preset| PresetView::of(preset)).collect(),
        }
    }
}

/// How a network writes its postbacks.
#[derive(Serialize)]
struct SourceTemplateView<'a> {
    name: &'a str,
    /// What the network calls itself; the name where the template does not say.
    title: &'a str,
    docs: &'a str,
    /// Where in the sender's settings the address is pasted.
    paste_at: Option<&'a str>,
    /// Whether the address is pasted without macros.
    webhook: bool,
    caveats: &'a [String],
    /// The template that this is another name of.
    alias_of: Option<&'a str>,
    currency: &'static str,
    /// `transaction`, `click` or `each`.
    dedup: &'static str,
    /// Each field and the parameters that it is read from, the first that holds a value.
    fields: BTreeMap<&'static str, Vec<&'a str>>,
    /// Their status words, in lower case, and ours.
    statuses: BTreeMap<&'a str, &'static str>,
    extra_parameters: Vec<&'a str>,
    /// How the network signs, as `[verify] kind` has it; null where it does not.
    verify: Option<&'static str>,
    /// How many stories it has, by which it is tested.
    stories: usize,
    /// The parameter of the network's links that carries our click id.
    link_param: Option<&'a str>,
    link_query: &'a [String],
    /// Whether nothing that is needed is in doubt.
    verified: bool,
    doubts: Vec<FactDoubtView>,
    provenance: Vec<NetworkFactView<'a>>,
}

impl<'a> SourceTemplateView<'a> {
    fn of(template: &'a SourceTemplate, stories: &StoryCounts) -> SourceTemplateView<'a> {
        let is_mapped = template.maps_currency();
        SourceTemplateView {
            name: template.name(),
            title: template.title(),
            docs: template.docs(),
            paste_at: template.paste_at(),
            webhook: template.is_webhook(),
            caveats: template.caveats(),
            alias_of: template.alias_of(),
            dedup: template.default_dedup().as_str(),
            fields: template.field_params().into_iter().collect(),
            statuses: template.statuses().map(|(theirs, ours)| (theirs, ours.as_str())).collect(),
            currency: if is_mapped { "from the postback" } else { "from the configuration" },
            extra_parameters: template.extra_params(),
            verify: template.verification().map(Verification::kind),
            stories: stories.source(template.name()),
            link_param: template.link_param(),
            link_query: template.link_query(),
            verified: template.is_verified(),
            doubts: FactDoubtView::all(template.doubts().into_iter().map(|(_, doubt)| doubt).collect()),
            provenance: template.facts().iter().map(NetworkFactView::of).collect(),
        }
    }
}

/// Where a fact of a network is documented.
#[derive(Serialize)]
struct NetworkFactView<'a> {
    about: Vec<&'static str>,
    #[serde(flatten)]
    provenance: ProvenanceView<'a>,
}

impl<'a> NetworkFactView<'a> {
    fn of(fact: &'a NetworkFact) -> NetworkFactView<'a> {
        let about = fact.about.iter().map(|kind| kind.as_str()).collect();
        NetworkFactView { about, provenance: ProvenanceView::of(&fact.provenance) }
    }
}

/// Where a fact of a template is documented.
#[derive(Serialize)]
struct ProvenanceView<'a> {
    fact: &'a str,
    from: &'a str,
    seen: &'a str,
    level: &'static str,
}

impl<'a> ProvenanceView<'a> {
    fn of(fact: &'a Provenance) -> ProvenanceView<'a> {
        let Provenance { fact, from, seen, level } = fact;
        ProvenanceView { fact, from, seen, level: level.as_str() }
    }
}

/// Where a fact of a platform is documented.
#[derive(Serialize)]
struct PlatformFactView<'a> {
    about: &'static str,
    #[serde(flatten)]
    provenance: ProvenanceView<'a>,
}

impl<'a> PlatformFactView<'a> {
    fn of(fact: &'a PlatformFact) -> PlatformFactView<'a> {
        PlatformFactView { about: fact.about.as_str(), provenance: ProvenanceView::of(&fact.provenance) }
    }
}

/// A kind of fact that cannot be relied on.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Doubt")]
pub struct FactDoubtView {
    /// What the fact is about: `url`, `auth`, `age`…
    about: &'static str,
    /// `third_party`, `doubtful` or `no_source`.
    reason: &'static str,
}

impl FactDoubtView {
    pub fn all(doubts: Vec<FactDoubt>) -> Vec<FactDoubtView> {
        let view = |doubt: FactDoubt| FactDoubtView { about: doubt.about, reason: doubt.reason() };
        doubts.into_iter().map(view).collect()
    }
}

/// How a platform receives events.
#[derive(Serialize)]
struct DestinationTemplateView<'a> {
    name: &'a str,
    label: &'a str,
    docs: &'a str,
    settings: Vec<SettingView<'a>>,
    events: &'a BTreeMap<String, String>,
    landing_params: &'a [String],
    cookies: &'a [String],
    has_test_mode: bool,
    /// Whether the platform may use a test event for bidding or in reports: `no`, `unknown` or `yes`; null without a
    /// test mode.
    test_counts: Option<&'static str>,
    /// What a test event cannot show.
    test_note: Option<&'a str>,
    /// What the platform can be informed of after it was sent an event, in the words of the template's `[changes]`.
    changes: Vec<&'static str>,
    auth: Vec<&'static str>,
    /// Of the event's time; null where no helper of times writes it.
    time_unit: Option<&'static str>,
    /// Null: no limit is known.
    max_age_hours: Option<i64>,
    /// Whether nothing that is needed is in doubt.
    verified: bool,
    doubts: Vec<FactDoubtView>,
    provenance: Vec<PlatformFactView<'a>>,
}

impl<'a> DestinationTemplateView<'a> {
    fn of(template: &'a DestinationTemplate) -> DestinationTemplateView<'a> {
        DestinationTemplateView {
            name: template.name(),
            label: template.label(),
            docs: template.docs(),
            settings: template.settings().iter().map(SettingView::of).collect(),
            events: template.events(),
            landing_params: template.landing_params(),
            cookies: template.cookies(),
            has_test_mode: template.has_test_mode(),
            test_counts: template.test_counts().map(TestCounts::as_str),
            test_note: template.test_note(),
            changes: template.words_of_changes(),
            auth: template.auth_kinds(),
            time_unit: template.time_unit(),
            max_age_hours: template.max_age_ms().map(|age| age / HOUR_MS),
            verified: template.is_verified(),
            doubts: FactDoubtView::all(template.doubts()),
            provenance: template.facts().iter().map(PlatformFactView::of).collect(),
        }
    }
}

/// The postback URL of a traffic source or tracker.
#[derive(Serialize)]
pub struct PresetView<'a> {
    name: &'a str,
    label: &'a str,
    docs: &'a str,
    /// With its macros and settings.
    url: &'a str,
    settings: Vec<SettingView<'a>>,
    /// Our events, and what the receiver calls them.
    events: BTreeMap<&'a str, &'a str>,
    /// The parameter that brings the receiver's click id, unless the setting `click_param` says another; null: it wants none.
    landing_param: Option<&'a str>,
    /// What is to be written into the tracking URL; null: nothing is.
    tracking: Option<String>,
    /// How sure what it cannot do without is: the least sure of these facts. Null where one has no source.
    level: Option<&'static str>,
    doubts: Vec<FactDoubtView>,
    provenance: Vec<PlatformFactView<'a>>,
}

impl<'a> PresetView<'a> {
    pub fn of(preset: &'a PostbackPreset) -> PresetView<'a> {
        let events = preset.events().iter();
        let landing_param = preset.click().map(|click| click.param.as_str());
        PresetView {
            name: preset.name(),
            label: preset.label(),
            docs: preset.docs(),
            url: preset.url(),
            settings: preset.settings().iter().map(SettingView::of).collect(),
            events: events.map(|(ours, theirs)| (ours.as_str(), theirs.as_str())).collect(),
            landing_param,
            tracking: landing_param.and_then(|param| preset.tracking(param)),
            level: preset.level().map(FactLevel::as_str),
            doubts: FactDoubtView::all(preset.doubts()),
            provenance: preset.facts().iter().map(PlatformFactView::of).collect(),
        }
    }
}

/// A setting that a destination of a template, or a postback by a preset, has.
#[derive(Serialize)]
struct SettingView<'a> {
    name: &'a str,
    label: &'a str,
    required: bool,
    secret: bool,
    secret_path: bool,
}

impl<'a> SettingView<'a> {
    fn of(setting: &'a SettingSpec) -> SettingView<'a> {
        let SettingSpec { name, label, required, secret, secret_path, .. } = setting;
        SettingView { name, label, required: *required, secret: *secret, secret_path: *secret_path }
    }
}
