//! `[campaign.postback]`, `[affiliate.postback]`, `[[postback]]`: postbacks that notify partners of conversions.

use std::num::NonZeroU32;
use std::sync::Arc;

use rust_decimal::Decimal;
use url::Url;

use crate::config::exposure::{self, is_private};
use crate::config::names::IdKind;
use crate::config::offer::amount;
use crate::config::preset;
use crate::config::source::forwarded_status;
use crate::domain::change_rules::Changes;
use crate::domain::ids::{DestinationId, OutgoingKind};
use crate::domain::routing::{Route, RouteScope};
use crate::domain::target::TargetId;
use crate::template::catalog::Catalog;
use crate::template::destination::calculation;
use crate::template::destination::ready::ReadyDestination;
use crate::template::destination::rendering::DestinationMode;
use crate::template::diagnostic::Problem;
use crate::template::macros::grammar::Grammar;
use crate::template::macros::outgoing::OutgoingPostback;
use crate::template::macros::url::{MacroUrl, POSTBACK_NAMES};
use crate::template::preset::usage::PresetUse;
use crate::template::toml_doc::table::Table;
use crate::template::toml_doc::text::Text;

/// One outgoing postback: a destination whose request is one URL with macros in it.
#[derive(Clone)]
pub struct Outgoing {
    /// `campaign:{id}`, `affiliate:{id}` or `postback:{id}`.
    pub id: DestinationId,
    pub route: Route,
    pub url: MacroUrl,
    /// What renders it and classifies the answers. There may be thousands: everyone shares this one.
    pub ready: Arc<ReadyDestination>,
    /// Factor on the payout that is sent; the conversion keeps its own.
    pub scale: Decimal,
    /// Never [`DestinationMode::Test`]: no one's tracker has one.
    pub mode: DestinationMode,
    pub allow_private_network: bool,
    pub max_per_second: Option<NonZeroU32>,
    /// How long one request may take in all.
    pub timeout_ms: u64,
}

impl Outgoing {
    /// Where it goes to, together with the others of its host.
    pub fn target(&self) -> TargetId {
        TargetId::of_outgoing(self.url.host(), self.mode.sends())
    }
}

/// The keys whose default is that of the default file's example.
const DEFAULTED: &[&str] = &[
    "macro",
    "on",
    "when",
    "delay_seconds",
    "percent",
    "scale",
    "mode",
    "allow_private_network",
    "timeout_ms",
];

const POSTBACK: IdKind<DestinationId> = IdKind {
    word: "postback",
    parse: DestinationId::parse,
    whose_id: "the id of a [[postback]]",
    example: "all",
    why_unique: "deliveries are kept under it",
};

/// The `postback` table of an affiliate or a campaign, if it has one and nothing is wrong with it.
pub fn read_of<'a>(
    (root, catalog): (&Table<'a>, &Catalog),
    owner: &Table<'a>,
    scope: Option<RouteScope>,
) -> Option<Outgoing> {
    let section = owner.table("postback")?;
    let id = match &scope {
        Some(RouteScope::Campaign(id)) => Some((OutgoingKind::Campaign, id.to_string())),
        Some(RouteScope::Affiliate(id)) => Some((OutgoingKind::Affiliate, id.to_string())),
        Some(RouteScope::Any | RouteScope::AnyCampaign | RouteScope::AnySale) | None => None,
    };
    read(with_defaults(root, section), catalog, id, scope)
}

/// All postbacks have the defaults that the default file shows at the one of its example campaign.
fn with_defaults<'a>(root: &Table<'a>, section: Table<'a>) -> Table<'a> {
    section.with_defaults_of(root, ["campaign", "postback"], DEFAULTED)
}

/// Every `[[postback]]` that nothing is wrong with. One that names a preset is sent the conversions of sources, too: it
/// reports to whom the clicks were bought from.
pub fn read_for_all<'a>(root: &Table<'a>, catalog: &Catalog) -> Vec<Outgoing> {
    let mut ids = Vec::new();
    let read = |section: Table<'a>| {
        let id = POSTBACK.own(&section, &mut ids).map(|id| (OutgoingKind::Every, id.to_string()));
        let scope = if section.has("preset") { RouteScope::AnySale } else { RouteScope::AnyCampaign };
        read(with_defaults(root, section), catalog, id, Some(scope))
    };
    root.tables("postback").into_iter().filter_map(read).collect()
}

fn read(
    section: Table<'_>,
    catalog: &Catalog,
    id: Option<(OutgoingKind, String)>,
    scope: Option<RouteScope>,
) -> Option<Outgoing> {
    let address = read_address(&section, catalog);
    let key = if section.has("preset") { "preset" } else { "url" };
    let on = section.all_parsed("on", forwarded_status);
    if on.as_ref().is_some_and(Vec::is_empty) {
        let hint = "name at least \"approved\", or take the postback out";
        section.problem("on", "`on` is empty: nothing would ever be reported", hint);
    }
    let words = [("once", Changes::Never), ("each_change", Changes::EACH)];
    let changes = section.parsed("when", |text| text.one_of(&words));
    // A month: longer than any network waits before it pays.
    let delay = section.number::<i64>("delay_seconds", 0..=2_678_400);
    let percent = section.number::<u8>("percent", 0..=100);
    let scale = section.parsed("scale", amount);
    let mode = section.parsed("mode", mode);
    let allow_private_network = section.flag("allow_private_network");
    let max_per_second = section.number::<u32>("max_per_second", 1..=1_000_000).and_then(NonZeroU32::new);
    let timeout_ms = section.number("timeout_ms", 100..=600_000);
    if let (Some((url, _)), Some(false)) = (&address, allow_private_network) {
        warn_of_private_host(&section, key, url.host());
    }
    if let Some((url, None)) = &address {
        exposure::warn_of_odd_url(&section, "url", url);
    }
    let id = id.and_then(|(kind, owner)| whole_id(&section, kind, &owner));
    section.finish();
    let is_own = |key| section.keys().contains(&key);
    let mut changes = changes?;
    if let (Some((_, Some(usage))), Some(RouteScope::AnySale)) = (&address, &scope)
        && !is_own("on")
        && !is_own("when")
    {
        changes = usage.changes();
    }
    let id = id?;
    let route = Route {
        changes,
        scope: scope?,
        on: Some(on?),
        delay_ms: delay?.saturating_mul(1000),
        percent: percent?,
        ..Route::to(id.clone())
    };
    let ((url, preset), scale, mode) = (address?, scale?, mode?);
    let postback = OutgoingPostback { url: url.clone(), scale, changes: route.changes, preset };
    let ready = ReadyDestination::of_postback(id.clone(), mode, postback);
    exposure::warn_of_plain_secrets(&section, key, &ready);
    Some(Outgoing {
        id,
        route,
        url,
        ready: Arc::new(ready),
        scale,
        mode,
        allow_private_network: allow_private_network?,
        max_per_second,
        timeout_ms: timeout_ms?,
    })
}

/// Where the postback is sent to: its own URL, or that of the preset that it names.
fn read_address(section: &Table<'_>, catalog: &Catalog) -> Option<(MacroUrl, Option<Arc<PresetUse>>)> {
    if section.has("preset") {
        return preset::read(section, catalog).map(|(url, usage)| (url, Some(usage)));
    }
    preset::refuse_without_preset(section);
    let grammar = section.parsed("macro", |text| Grammar::parse(&text.value));
    if !section.has("url") {
        let hint = "add `url = \"https://aff.example/pb?cid=#s2#&payout=#price#\"`, or `preset = \"…\"`: \
                    `postbridge templates list` names them";
        section.head_problem(format!("{} has no `url` and no `preset`", section.name()), hint);
    }
    let url = match &grammar {
        Some(grammar) => section.parsed("url", |text| compile(text, grammar)),
        None => section.text("url").and(None),
    };
    Some((url?, None))
}

fn compile(text: &Text, grammar: &Grammar) -> Result<MacroUrl, Problem> {
    let url =
        MacroUrl::compile(&text.value, grammar, POSTBACK_NAMES).map_err(|problem| text.masked(problem))?;
    if url.has_fragment() {
        let what =
            format!("{} has a `#` that begins no macro: what is behind it is never sent", text.shown());
        return Err(Problem::new(what, "take it out, or show in `macro` how macros are written: \"#{}#\""));
    }
    calculation::check_postback(&url)?;
    Ok(if text.is_from_outside() { url.kept_secret() } else { url })
}

fn whole_id(section: &Table<'_>, kind: OutgoingKind, owner: &str) -> Option<DestinationId> {
    let id = DestinationId::of_outgoing(kind, owner).ok();
    if id.is_none() {
        let what = format!(
            "`{}{owner}`, under which its deliveries would be kept, is longer than 64 characters",
            kind.beginning()
        );
        section.problem("id", what, "give what the postback belongs to a shorter id");
    }
    id
}

fn mode(text: &Text) -> Result<DestinationMode, Problem> {
    text.one_of(
        &[DestinationMode::Live, DestinationMode::Shadow, DestinationMode::Off]
            .map(|mode| (mode.as_str(), mode)),
    )
}

fn warn_of_private_host(section: &Table<'_>, key: &str, host: &str) {
    let url = Url::parse(&format!("http://{host}/")).ok();
    if url.and_then(|url| url.host().map(|host| is_private(&host.to_owned()))) == Some(true) {
        section.warning(
            key,
            format!("`{key}` leads to {host}, a private address: every delivery to it will be refused"),
            "add allow_private_network = true if it is yours",
        );
    }
}
