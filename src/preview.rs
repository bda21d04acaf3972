//! What would happen to a postback: parameters → conversion → the exact outgoing requests. Sends
//! nothing, writes nothing.

pub mod pasted;
pub mod signature;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::attribution::{self, FoundClick};
use crate::domain::click::Click;
use crate::domain::consent::Consent;
use crate::domain::conversion::{Conversion, Draft};
use crate::domain::customer::CustomerFormat;
use crate::domain::decision::{self, ArrivalContext, Decision};
use crate::domain::delivery::{Delivery, DeliveryState, SentRequest};
use crate::domain::delivery_reason::DeathReason;
use crate::domain::facts::Facts;
use crate::domain::ids::{ClickId, ConversionId, DeliveryId, DestinationId, Occasion, Seq};
use crate::domain::ignored::IgnoredReason;
use crate::domain::postback::{KeptHeaders, VerdictName};
use crate::domain::rejection::Rejection;
use crate::domain::rejection::note::ReportNote;
use crate::domain::remark::Remark;
use crate::domain::routing::{self, Forwarding, PlanRules, Route, RouteScope};
use crate::domain::ruleset::usual;
use crate::domain::sent::{DeliveryKind, SentBefore};
use crate::domain::skip::SkipReason;
use crate::domain::time::Time;
use crate::domain::unsent::{self, Undelivered, Unsent};
use crate::ingest::postback::Network;
use crate::ingest::verify;
use crate::preview::pasted::PastedRequest;
use crate::preview::signature::PreviewedSignature;
use crate::store::contract::work::{Claimed, Lease, LeaseToken};
use crate::template::destination::origins::OriginTable;
use crate::template::destination::ready::ReadyDestination;
use crate::template::destination::rendering::{DestinationMode, RenderInput, Rendered, Rendering};
use crate::template::diagnostic::Problem;
use crate::template::source::mapped_report::MappedReport;
use crate::template::source::params::Params;

/// What would happen, each step as far as it gets.
pub struct Preview {
    /// The parameters as they were read; why they could not be.
    pub params: Result<Params, Rejection>,
    /// What the source would find of its signature; `None` where it does not look.
    pub signature: Option<PreviewedSignature>,
    /// The conversion that would be made, or why there would be none.
    pub conversion: Result<Conversion, NoConversion>,
    /// The click that it would have.
    pub click: Option<Click>,
    /// What was odd about the report.
    pub notes: Vec<ReportNote>,
    /// Why no destination would get it, where none would.
    pub unsent: Option<Unsent>,
    /// What each destination would get.
    pub deliveries: Vec<PreviewedDelivery>,
}

/// What a postback would be that makes no conversion.
pub enum NoConversion {
    /// Kept and understood to be wrong.
    Quarantined(Rejection),
    /// Of nothing that counts.
    Ignored(IgnoredReason),
}

impl From<Rejection> for NoConversion {
    fn from(rejection: Rejection) -> NoConversion {
        NoConversion::Quarantined(rejection)
    }
}

impl NoConversion {
    /// The verdict that it would have.
    pub fn verdict(&self) -> VerdictName {
        match self {
            NoConversion::Quarantined(_) => VerdictName::Quarantined,
            NoConversion::Ignored(_) => VerdictName::Ignored,
        }
    }
}

impl Preview {
    /// What was odd about the report. The parameters' notes are among those of a report that counts.
    pub fn all_notes(&self) -> impl Iterator<Item = &ReportNote> {
        let of_params = self.params.as_ref().ok().filter(|_| self.conversion.is_err());
        of_params.into_iter().flat_map(|params| &params.notes).chain(&self.notes)
    }
}

/// What one destination would get.
pub struct PreviewedDelivery {
    /// A configured destination, or one campaign's or affiliate's outgoing postback.
    pub destination: DestinationId,
    /// A `shadow` destination shows its request all the same; nothing of it leaves.
    pub mode: DestinationMode,
    /// The state that its delivery would have at its turn, or from which it would wait for its click.
    pub state: DeliveryState,
    /// The request with its secrets masked, also where it would not leave; or why there is none.
    pub request: Result<SentRequest, Unmade>,
    /// What of the conversion is not in the request, or is otherwise in it.
    pub remarks: Vec<Remark>,
    /// Of what each value of the request is made; empty where there is no request.
    pub origins: OriginTable,
}

/// Why no request is made.
#[derive(Debug)]
pub enum Unmade {
    /// The platform would refuse it, so it would be skipped.
    Skipped(SkipReason),
    /// The template fails for it: a dead letter.
    Dead(DeathReason),
}

impl PreviewedDelivery {
    /// Why it would not be sent: by its state, else because no request is made.
    pub fn reason(&self) -> Option<Undelivered<'_>> {
        match (&self.state, &self.request) {
            (DeliveryState::Dead { reason, .. }, _) => Some(Undelivered::Dead(reason)),
            (DeliveryState::Skipped { reason, .. }, _) => Some(Undelivered::Skipped(reason)),
            (_, Err(Unmade::Dead(reason))) => Some(Undelivered::Dead(reason)),
            (_, Err(Unmade::Skipped(reason))) => Some(Undelivered::Skipped(reason)),
            (_, Ok(_)) => None,
        }
    }
}

/// The state in which sending would leave a delivery at its turn, at that time: as it is where its request
/// would leave. Sending gives its own rule, so that a preview shows what it would do.
pub type Forecast = fn(&ReadyDestination, Forwarding<'_>, &Claimed, Time) -> DeliveryState;

/// What a preview goes by.
#[derive(Clone, Copy)]
pub struct PreviewSetup<'a> {
    /// The source by whose template and rules the postback is read.
    pub network: &'a Network,
    /// Every destination that could get it; the routes of the network's rules say which do.
    pub destinations: &'a [Arc<ReadyDestination>],
    /// What sending would make of each delivery at its turn.
    pub forecast: Forecast,
}

/// A pasted postback, as its source's template reads it.
pub struct PastedPostback {
    params: Result<Params, Rejection>,
    signature: Option<PreviewedSignature>,
    draft: Result<Draft, NoConversion>,
}

impl PastedPostback {
    /// Reads it as it would be received now.
    pub fn read(network: &Network, request: &PastedRequest<'_>, now: Time) -> PastedPostback {
        let mut headers = request.all_headers();
        let target = request.target();
        let signature = signature::previewed(network, request, (&target, &headers), now);
        let notes = signature.as_ref().map(PreviewedSignature::notes).unwrap_or_default();
        headers.fit(KeptHeaders::MOST_BYTES, network.template.read_headers());
        let params = network.read_body(request.query().as_bytes(), &headers, request.body);
        let mapped = params.as_ref().map_err(Rejection::clone).and_then(|params| network.map(params, now));
        let draft = match verify::noted(mapped, notes) {
            Ok(MappedReport::Conversion(draft)) => Ok(*draft),
            Ok(MappedReport::Ignored { reason, .. }) => Err(NoConversion::Ignored(reason)),
            Err(rejection) => Err(rejection.into()),
        };
        PastedPostback { params, signature, draft }
    }

    /// The clicks that its click id may mean, the likeliest first.
    pub fn clicks(&self) -> Vec<ClickId> {
        let named = self.draft.as_ref().ok().and_then(|draft| draft.click_id.as_deref());
        named.map(attribution::candidates).into_iter().flatten().map(|(id, _)| id).collect()
    }
}

/// Runs the whole way on paper; `clicks` are those that are on record of [`PastedPostback::clicks`].
pub fn preview(setup: PreviewSetup<'_>, pasted: PastedPostback, clicks: &[Click], now: Time) -> Preview {
    let PastedPostback { params, signature, draft } = pasted;
    let decided = draft.and_then(|draft| Ok(decide(setup.network, &draft, clicks, now)?));
    let (conversion, notes) = match decided {
        Ok(decided) => decided,
        Err(none) => {
            let (click, notes, unsent, deliveries) = Default::default();
            let conversion = Err(none);
            return Preview { params, signature, conversion, click, notes, unsent, deliveries };
        }
    };
    let click = conversion.attribution.click().and_then(|id| clicks.iter().find(|click| click.id == *id));
    let deliveries = deliveries(setup, &conversion, click, now);
    let rules = &setup.network.rules;
    let unsent = deliveries.is_empty().then(|| unsent::of_conversion(&conversion, &[], rules)).flatten();
    let (click, conversion) = (click.cloned(), Ok(conversion));
    Preview { params, signature, conversion, click, notes, unsent, deliveries }
}

fn decide(
    network: &Network,
    draft: &Draft,
    clicks: &[Click],
    now: Time,
) -> Result<(Conversion, Vec<ReportNote>), Rejection> {
    let arrived = ArrivalContext { seq: Seq::FIRST, at: now, now };
    match decision::decide(&network.rules, draft, arrived, &Paper(clicks)) {
        Ok(
            Decision::Quarantine(rejection)
            | Decision::Surplus(rejection)
            | Decision::UnknownSale { rejection, .. },
        ) => Err(rejection),
        Ok(
            Decision::New { conversion, notes }
            | Decision::Update { conversion, notes }
            | Decision::Duplicate { conversion, notes },
        ) => Ok((conversion, notes)),
        Err(never) => match never {},
    }
}

/// What is known on paper: clicks, and no earlier conversion.
struct Paper<'a>(&'a [Click]);

impl Facts for Paper<'_> {
    type Error = Infallible;

    fn conversion(&self, _: &ConversionId) -> Result<Option<Conversion>, Infallible> {
        Ok(None)
    }

    fn click(&self, given: &str) -> Result<Option<FoundClick>, Infallible> {
        let found = attribution::candidates(given).into_iter().find_map(|(id, reading)| {
            let click = self.0.iter().find(|click| click.id == id)?;
            Some(FoundClick { click: Arc::new(click.clone()), reading })
        });
        Ok(found)
    }
}

fn deliveries(
    setup: PreviewSetup<'_>,
    conversion: &Conversion,
    click: Option<&Click>,
    now: Time,
) -> Vec<PreviewedDelivery> {
    let PreviewSetup { network, destinations, forecast } = setup;
    let routes = &network.rules.routes;
    let consent = conversion.consent_with(click);
    let rules = PlanRules { policy: &network.policy, routes, consent, click: click.map(|click| click.at) };
    let previewed = |delivery: Delivery| {
        let destination =
            destinations.iter().find(|destination| *destination.id() == delivery.destination)?;
        let route = routes.iter().find(|route| route.destination == delivery.destination)?;
        let forwarding = Forwarding { policy: Some(&network.policy), on: route.on.as_deref() };
        let state = at_its_turn(forecast, destination, forwarding, (conversion, click, &delivery));
        Some(rendered(destination, state, (conversion, click), (now, network.policy.customer)))
    };
    routing::plan(conversion, &[], &rules, now).into_iter().filter_map(previewed).collect()
}

/// The state of a planned delivery at its turn. What is held or skipped already has none.
fn at_its_turn(
    forecast: Forecast,
    destination: &ReadyDestination,
    forwarding: Forwarding<'_>,
    (conversion, click, delivery): (&Conversion, Option<&Click>, &Delivery),
) -> DeliveryState {
    let DeliveryState::Waiting { due } = delivery.state else { return delivery.state.clone() };
    // Nothing is sent or recorded, so that no one holds it.
    let lease = Lease { token: LeaseToken::new(0), lasts: Duration::ZERO };
    let claimed = Claimed {
        id: delivery.id(conversion.id),
        lease,
        conversion: conversion.clone(),
        delivery: delivery.clone(),
        click: click.cloned().map(Arc::new),
        sent_before: false,
        before: SentBefore::Nothing,
    };
    forecast(destination, forwarding, &claimed, due)
}

/// Every outgoing postback that a conversion concerns, as it would leave now were the conversion new, rendered
/// also where it would not: the campaign's, the affiliate's and those for all.
pub fn preview_outgoing(
    (conversion, click): (&Conversion, Option<&Click>),
    postbacks: &[(Arc<ReadyDestination>, Route)],
    forecast: Forecast,
    now: Time,
) -> Vec<PreviewedDelivery> {
    let concerned = postbacks
        .iter()
        .filter(|(_, route)| route.scope != RouteScope::Any && route.scope.covers(conversion));
    let one = |(destination, route): &(Arc<ReadyDestination>, Route)| {
        let state = outgoing_state((destination, route), forecast, (conversion, click), now);
        rendered(destination, state, (conversion, click), (now, CustomerFormat::default()))
    };
    concerned.map(one).collect()
}

fn outgoing_state(
    (destination, route): (&ReadyDestination, &Route),
    forecast: Forecast,
    (conversion, click): (&Conversion, Option<&Click>),
    now: Time,
) -> DeliveryState {
    let policy = usual(conversion.source.clone());
    // An outgoing postback is sent whatever the visitor answered.
    let rules = PlanRules {
        policy: &policy,
        routes: std::slice::from_ref(route),
        consent: Consent::default(),
        click: None,
    };
    let forwarding = Forwarding { policy: Some(&policy), on: route.on.as_deref() };
    match routing::plan(conversion, &[], &rules, now).first() {
        Some(delivery) => at_its_turn(forecast, destination, forwarding, (conversion, click, delivery)),
        None => {
            let reason =
                SkipReason::StatusNotForwarded { status: conversion.status, by: route.forwarded_by() };
            DeliveryState::Skipped { at: now, reason }
        }
    }
}

fn rendered(
    destination: &ReadyDestination,
    state: DeliveryState,
    (conversion, click): (&Conversion, Option<&Click>),
    (now, customer): (Time, CustomerFormat),
) -> PreviewedDelivery {
    let to = destination.id().clone();
    let too_old = destination.age_limits().too_old(conversion, click.map(|click| click.at), now);
    if let Some(reason) = too_old {
        let (mode, request) = (destination.mode(), Err(Unmade::Skipped(reason)));
        let (remarks, origins) = (Vec::new(), OriginTable::new());
        return PreviewedDelivery { destination: to, mode, state, request, remarks, origins };
    }
    let id = DeliveryId { conversion: conversion.id, destination: to.clone(), occasion: Occasion::First };
    let (kind, sent) = (DeliveryKind::Event, None);
    let input = RenderInput { conversion, click, delivery: &id, kind, sent, now, customer };
    let rendering = destination.render(&input);
    let (request, remarks) = match rendering {
        Ok(Rendering { rendered: Rendered::Request(request, _), remarks }) => (Ok(request.masked()), remarks),
        Ok(Rendering { rendered: Rendered::Skip { reason }, remarks }) => {
            (Err(Unmade::Skipped(reason)), remarks)
        }
        Err(Problem { what, hint, .. }) => {
            (Err(Unmade::Dead(DeathReason::Unrendered { what, hint })), Vec::new())
        }
    };
    let origins = if request.is_ok() { destination.origins(&input) } else { OriginTable::new() };
    PreviewedDelivery { destination: to, mode: destination.mode(), state, request, remarks, origins }
}
