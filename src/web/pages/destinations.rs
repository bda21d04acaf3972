//! Each destination: its queue, whether it is parked, its last error, and how to set it up.

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Value, json};

use crate::domain::code::ReasonCode;
use crate::domain::ids::DestinationId;
use crate::domain::test_event::TestCounts;
use crate::domain::time::Time;
use crate::domain::unsent::UnsentCode;
use crate::ops::{self, DestinationBacklogs, DestinationHealth};
use crate::store::contract::work::Backlog;
use crate::template::destination::definition::DestinationTemplate;
use crate::template::destination::ready::ReadyDestination;
use crate::template::destination::rendering::DestinationMode;
use crate::template::preset::definition::PostbackPreset;
use crate::template::preset::usage::PresetUse;
use crate::template::provenance::{FactDoubt, FactLevel};
use crate::view::destination::DestinationView;
use crate::view::reason::ReasonView;
use crate::view::template::PresetView;
use crate::web::pages::list::options;
use crate::web::pages::test_event::ShownTest;
use crate::web::pages::{PageContent, PageExit, Pages, document};

impl Pages {
    /// `/destinations`, with what a test event has become.
    pub(super) async fn destinations(&self, test: Option<ShownTest>) -> Result<PageContent, PageExit> {
        let health = DestinationHealth::now(&self.ops).with_tried(&self.ops, |_| true).await?;
        let removed = ops::removed(&self.ops).await?;
        let queues = DestinationBacklogs::at(&self.ops, &health).await?;
        let card = |destination: &Arc<ReadyDestination>| {
            let (worker, queue) = (health.worker(destination.id()), queues.queue(destination.id()));
            let view = DestinationView::of(destination, worker, queue, health.at);
            let test = test.as_ref().filter(|test| test.is_of(destination.id()));
            document(&DestinationCard::of(destination, (view, test), health.at))
        };
        let is_known =
            |id: &DestinationId| self.ops.destinations.iter().any(|destination| destination.id() == id);
        let stray = |queue: &Backlog| {
            let id =
                queue.destination.clone().filter(|id| !is_known(id) && queue.held + queue.waiting > 0)?;
            let until = removed.get(&id).copied();
            Some(RemovedDestinationCard { id, held: queue.held, waiting: queue.waiting, until })
        };
        let items: Vec<Value> = self.ops.destinations.iter().map(card).collect();
        let strays: Vec<RemovedDestinationCard> = queues.0.iter().filter_map(stray).collect();
        let data = json!({"items": items, "strays": strays, "presets": self.presets()});
        Ok(PageContent::new("destinations", "Destinations", data))
    }

    /// Every preset that an outgoing postback can name.
    fn presets(&self) -> Vec<Value> {
        let catalog = &self.config.catalog;
        let presets = catalog.preset_names().into_iter().filter_map(|name| catalog.preset(name));
        let of = |preset: &PostbackPreset| {
            let is_it = |used: &&PresetUse| used.preset().name() == preset.name();
            let used = self.ops.destinations.iter().filter(|one| one.preset().filter(is_it).is_some());
            let used_by = used.map(|one| one.id().as_str()).collect::<Vec<_>>().join(", ");
            document(&PresetRow { facts: facts_of_preset(preset), used_by, preset: PresetView::of(preset) })
        };
        presets.map(|preset| of(&preset)).collect()
    }
}

/// A preset, as the template `destinations` lists it.
#[derive(Serialize)]
struct PresetRow<'a> {
    facts: String,
    /// The postbacks that name it.
    used_by: String,
    #[serde(flatten)]
    preset: PresetView<'a>,
}

/// A destination, as the template `destinations` shows it.
#[derive(Serialize)]
struct DestinationCard<'a> {
    mode_note: &'static str,
    setup: &'a str,
    /// How sure the facts of its template or preset are; of a postback with a URL of its own none.
    facts: Option<String>,
    /// Of a preset: what is to be written into the tracking URL, for the click id to be kept.
    tracking: Option<String>,
    /// The settings whose value the platform soon refuses.
    expiring: Vec<String>,
    /// Where the last error, which is shown anyway, does not say the same.
    hold_reason: Option<String>,
    hold_hint: &'static str,
    pause_hint: &'static str,
    /// The events that a test can be of.
    test_events: Value,
    /// Why none can be sent.
    no_test: Option<ReasonView>,
    /// Whether the platform may use one for bidding or in reports, in words; `None`: it has no test mode.
    test_counts: Option<&'static str>,
    /// Whether a person has to say that it is sent all the same.
    asks_anyway: bool,
    /// What a test event cannot show.
    test_note: Option<&'a str>,
    test: Option<&'a ShownTest>,
    #[serde(flatten)]
    destination: DestinationView<'a>,
}

impl<'a> DestinationCard<'a> {
    fn of(
        ready: &'a ReadyDestination,
        (destination, test): (DestinationView<'a>, Option<&'a ShownTest>),
        now: Time,
    ) -> DestinationCard<'a> {
        let counts = ready.template().and_then(DestinationTemplate::test_counts);
        let warnings = ready.expiring().into_iter().filter_map(|setting| setting.warning(now));
        let last_error = destination.last_error.as_ref().map(|last| &last.reason);
        let hold = destination.on_hold.as_ref().map(|hold| &hold.reason);
        let hold = hold.filter(|hold| last_error.is_none_or(|last| last != *hold));
        DestinationCard {
            mode_note: mode_note(ready.mode(), counts),
            setup: ready.template().map_or("", |template| template.setup().trim()),
            facts: ready
                .template()
                .map(facts)
                .or_else(|| ready.preset().map(|used| facts_of_preset(used.preset()))),
            tracking: ready.preset().and_then(PresetUse::tracking),
            expiring: warnings.map(|warning| format!("{}: {}", warning.what, warning.hint)).collect(),
            hold_hint: UnsentCode::DestinationOnHold.fix(),
            pause_hint: UnsentCode::DestinationPaused.fix(),
            test_events: options(ready.event_names(), test.map_or("", |test| test.event())),
            no_test: ready.check_test_mode().err().as_ref().map(ReasonView::of),
            test_counts: counts.map(TestCounts::sentence),
            asks_anyway: counts.and_then(TestCounts::refusal).is_some(),
            test_note: ready.template().and_then(DestinationTemplate::test_note),
            test,
            hold_reason: hold.map(|reason| reason.sentence().to_owned()),
            destination,
        }
    }
}

/// Deliveries to a destination that is not configured any more.
#[derive(Serialize)]
struct RemovedDestinationCard {
    id: DestinationId,
    held: u64,
    waiting: u64,
    until: Option<Time>,
}

/// Whether a template is verified, and what is in doubt.
fn facts(template: &DestinationTemplate) -> String {
    let verified = if template.is_verified() { "verified" } else { "not verified" };
    with_doubts(verified, template.doubts())
}

/// How sure a preset's URL and click id are, and what is in doubt.
fn facts_of_preset(preset: &PostbackPreset) -> String {
    let level = preset.level().map_or("no_source", FactLevel::as_str);
    with_doubts(&format!("level {level}"), preset.doubts())
}

fn with_doubts(whole: &str, doubts: Vec<FactDoubt>) -> String {
    let doubt = |doubt: FactDoubt| format!("{} ({})", doubt.about, doubt.reason());
    let doubts: Vec<String> = doubts.into_iter().map(doubt).collect();
    match doubts.as_slice() {
        [] => whole.to_owned(),
        doubts => format!("{whole}; in doubt: {}", doubts.join(", ")),
    }
}

fn mode_note(mode: DestinationMode, counts: Option<TestCounts>) -> &'static str {
    match mode {
        DestinationMode::Live => "Events are sent and count.",
        DestinationMode::Test => match counts {
            Some(TestCounts::No) | None => "Events are sent to the platform's test mode and do not count.",
            Some(TestCounts::Yes) => {
                "Events are sent to the platform's test mode, and it uses them as it uses live ones."
            }
            Some(TestCounts::Unknown) => {
                "Events are sent to the platform's test mode; whether it uses them is not known."
            }
        },
        DestinationMode::Shadow => "Requests are made and checked, but never sent.",
        DestinationMode::Off => "Nothing is sent.",
    }
}
