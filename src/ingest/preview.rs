//! What would happen to a postback: parameters → conversion → the exact outgoing requests. Sends
//! nothing, writes nothing.

use std::convert::Infallible;
use std::sync::Arc;

use crate::domain::attribution::{self, FoundClick};
use crate::domain::click::Click;
use crate::domain::consent::Consent;
use crate::domain::conversion::Conversion;
use crate::domain::customer::CustomerFormat;
use crate::domain::decision::{self, Arrived, Decision};
use crate::domain::delivery::{Delivery, DeliveryState, SentRequest};
use crate::domain::facts::Facts;
use crate::domain::ids::{ConversionId, DeliveryId, DestinationId, Occasion, Seq};
use crate::domain::postback::Fault;
use crate::domain::remark::Remark;
use crate::domain::routing::{self, Forwarding, PlanRules, Route, Scope};
use crate::domain::ruleset::usual;
use crate::domain::time::Time;
use crate::ingest::postback::Network;
use crate::store::Claimed;
use crate::template::destination::account::Account;
use crate::template::destination::rendering::{RenderInput, Rendered, Rendering};
use crate::template::source::params::Params;

/// What would happen, each step as far as it gets.
pub struct Preview {
    /// The parameters as they were read; the fault when they could not be.
    pub params: Result<Params, Fault>,
    pub outcome: PreviewOutcome,
}

/// Where the postback would end.
pub enum PreviewOutcome {
    Quarantined(Fault),
    Conversion(Box<Previewed>),
}

/// The state in which sending would leave a delivery at its turn, at that time: as it is where its request
/// would leave. Sending gives its own rule, so that a preview shows what it would do.
pub type Forecast = fn(&Account, Forwarding<'_>, &Claimed, Time) -> DeliveryState;

/// What a preview goes by.
#[derive(Clone, Copy)]
pub struct Ground<'a> {
    pub network: &'a Network,
    pub accounts: &'a [Arc<Account>],
    pub forecast: Forecast,
}

/// The conversion that would be made, and what would be sent for it.
pub struct Previewed {
    pub conversion: Conversion,
    pub note: Option<String>,
    pub deliveries: Vec<PreviewedDelivery>,
    /// Why no destination would get it, where none would.
    pub nothing_sent: Option<String>,
}

/// One destination's share.
pub struct PreviewedDelivery {
    /// In the state that it would have at its turn, unless it waits for its click.
    pub delivery: Delivery,
    pub request: PreviewedRequest,
    /// What of the conversion is not in the request, or is otherwise in it.
    pub remarks: Vec<Remark>,
}

/// The request to a destination, rendered also where it would not leave.
pub enum PreviewedRequest {
    /// Secrets masked.
    Request(SentRequest),
    Skipped(String),
    /// The template fails on this event.
    Broken(String),
}

/// A pasted postback: its raw query, and a body if it has one.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pasted<'a> {
    pub query: &'a [u8],
    pub content_type: Option<&'a str>,
    pub body: &'a [u8],
}

/// The query in what a person pasted: a whole request line, a URL, a path, or the query itself.
pub fn query_of(pasted: &str) -> &str {
    let pasted = pasted.trim();
    let line = pasted.strip_prefix("GET ").or_else(|| pasted.strip_prefix("POST "));
    let target = line.map_or(pasted, |rest| rest.split_once(" HTTP/1.").map_or(rest, |(target, _)| target));
    let is_target = line.is_some()
        || target.starts_with('/')
        || target.starts_with("http://")
        || target.starts_with("https://");
    match target.split_once('?') {
        Some((_, query)) if is_target => query,
        _ if is_target => "",
        _ => target.strip_prefix('?').unwrap_or(target),
    }
}

/// Runs the whole way on paper. `find` looks up the click a reading names; without a store it
/// answers from a file, or `None`.
pub fn preview(
    ground: Ground<'_>,
    pasted: Pasted<'_>,
    now: Time,
    find: impl Fn(&str) -> Option<Click>,
) -> Preview {
    let network = ground.network;
    let params = network.template.read(pasted.query, pasted.content_type, pasted.body);
    let outcome = match &params {
        Err(fault) => PreviewOutcome::Quarantined(fault.clone()),
        Ok(params) => {
            decide(network, params, now, &find).map_or_else(PreviewOutcome::Quarantined, |decided| {
                let (conversion, note) = decided;
                let click = conversion.attribution.click().and_then(|id| find(id.as_str()));
                let deliveries = requests(ground, &conversion, click.as_ref(), now);
                let nothing_sent = deliveries.is_empty().then(|| why_nothing(&conversion, network));
                PreviewOutcome::Conversion(Box::new(Previewed { conversion, note, deliveries, nothing_sent }))
            })
        }
    };
    Preview { params, outcome }
}

fn decide(
    network: &Network,
    params: &Params,
    now: Time,
    find: &impl Fn(&str) -> Option<Click>,
) -> Result<(Conversion, Option<String>), Fault> {
    let draft = network.map(params, now)?;
    let Some(seq) = Seq::new(1) else {
        return Err(Fault::new("no sequence number", ""));
    };
    let arrived = Arrived { seq, at: now, now };
    match decision::decide(&network.rules, &draft, arrived, &Paper(find)) {
        Ok(Decision::Quarantine(fault) | Decision::Surplus(fault) | Decision::UnknownSale { fault, .. }) => {
            Err(fault)
        }
        Ok(
            Decision::New { conversion, note }
            | Decision::Update { conversion, note }
            | Decision::Duplicate { conversion, note },
        ) => Ok((conversion, note)),
        Err(never) => match never {},
    }
}

/// What is known on paper: a click, perhaps, and no earlier conversion.
struct Paper<'a, F>(&'a F);

impl<F: Fn(&str) -> Option<Click>> Facts for Paper<'_, F> {
    type Error = Infallible;

    fn conversion(&self, _: &ConversionId) -> Result<Option<Conversion>, Infallible> {
        Ok(None)
    }

    fn click(&self, given: &str) -> Result<Option<FoundClick>, Infallible> {
        let found = attribution::candidates(given).into_iter().find_map(|(id, reading)| {
            (self.0)(id.as_str()).map(|click| FoundClick { click: Arc::new(click), reading })
        });
        Ok(found)
    }
}

fn requests(
    ground: Ground<'_>,
    conversion: &Conversion,
    click: Option<&Click>,
    now: Time,
) -> Vec<PreviewedDelivery> {
    let (network, routes) = (ground.network, &ground.network.rules.routes);
    let rules = PlanRules { policy: &network.policy, routes, consent: conversion.consent_with(click) };
    let planned = routing::plan(conversion, &[], &rules, now);
    let mut previewed = Vec::with_capacity(planned.len());
    for mut delivery in planned {
        let account = ground.accounts.iter().find(|account| *account.id() == delivery.destination);
        let route = routes.iter().find(|route| route.destination == delivery.destination);
        let (Some(account), Some(route)) = (account, route) else { continue };
        let (request, remarks) = rendered(account, conversion, click, (now, network.policy.customer));
        let forwarding = Forwarding { policy: Some(&network.policy), on: route.on.as_deref() };
        delivery.state = at_its_turn(ground.forecast, account, forwarding, (conversion, click, &delivery));
        previewed.push(PreviewedDelivery { delivery, request, remarks });
    }
    previewed
}

/// The state of a planned delivery when its turn comes. What is held or skipped already has none.
fn at_its_turn(
    forecast: Forecast,
    account: &Account,
    forwarding: Forwarding<'_>,
    (conversion, click, delivery): (&Conversion, Option<&Click>, &Delivery),
) -> DeliveryState {
    let DeliveryState::Waiting { due } = delivery.state else { return delivery.state.clone() };
    let claimed = Claimed {
        id: delivery.id(conversion.id),
        conversion: conversion.clone(),
        delivery: delivery.clone(),
        click: click.cloned().map(Arc::new),
        sent_before: false,
    };
    forecast(account, forwarding, &claimed, due)
}

/// What an outgoing postback would report of a conversion.
pub struct PreviewedPostback {
    pub destination: DestinationId,
    pub request: PreviewedRequest,
    /// What the request says otherwise than the conversion: a payout that is scaled.
    pub remarks: Vec<Remark>,
    /// Why it would not be sent as things stand, were the conversion new.
    pub unsent: Option<String>,
}

/// Every outgoing postback that a conversion concerns, rendered as it would leave now, also where it
/// would not: the campaign's, the affiliate's and those for all.
pub fn preview_outgoing(
    (conversion, click): (&Conversion, Option<&Click>),
    postbacks: &[(Arc<Account>, Route)],
    forecast: Forecast,
    now: Time,
) -> Vec<PreviewedPostback> {
    let concerned =
        postbacks.iter().filter(|(_, route)| route.scope != Scope::Any && route.scope.covers(conversion));
    let one = |(account, route): &(Arc<Account>, Route)| {
        let (request, remarks) = rendered(account, conversion, click, (now, CustomerFormat::default()));
        let unsent = unsent((account, route), forecast, (conversion, click), now);
        PreviewedPostback { destination: account.id().clone(), request, remarks, unsent }
    };
    concerned.map(one).collect()
}

fn unsent(
    (account, route): (&Account, &Route),
    forecast: Forecast,
    (conversion, click): (&Conversion, Option<&Click>),
    now: Time,
) -> Option<String> {
    let policy = usual(conversion.source.clone());
    // An outgoing postback is sent whatever the visitor answered.
    let rules =
        PlanRules { policy: &policy, routes: std::slice::from_ref(route), consent: Consent::default() };
    let planned = routing::plan(conversion, &[], &rules, now);
    let forwarding = Forwarding { policy: Some(&policy), on: route.on.as_deref() };
    let state =
        |delivery: Delivery| at_its_turn(forecast, account, forwarding, (conversion, click, &delivery));
    match planned.into_iter().next().map(state) {
        Some(DeliveryState::Skipped { reason, .. } | DeliveryState::Dead { reason, .. }) => Some(reason),
        Some(_) => None,
        None => {
            let reported: Vec<&str> = route.on.iter().flatten().map(|status| status.as_str()).collect();
            let status = conversion.status.as_str();
            Some(format!("the status is {status}, and this postback reports {}", reported.join(", ")))
        }
    }
}

fn rendered(
    account: &Account,
    conversion: &Conversion,
    click: Option<&Click>,
    (now, customer): (Time, CustomerFormat),
) -> (PreviewedRequest, Vec<Remark>) {
    let delivery = DeliveryId {
        conversion: conversion.id,
        destination: account.id().clone(),
        occasion: Occasion::First,
    };
    match account.render(&RenderInput { conversion, click, delivery: &delivery, now, customer }) {
        Ok(Rendering { rendered: Rendered::Request(request), remarks }) => {
            (PreviewedRequest::Request(request.masked()), remarks)
        }
        Ok(Rendering { rendered: Rendered::Skip { reason }, remarks }) => {
            (PreviewedRequest::Skipped(reason), remarks)
        }
        Err(problem) => (PreviewedRequest::Broken(problem.to_string()), Vec::new()),
    }
}

fn why_nothing(conversion: &Conversion, network: &Network) -> String {
    let policy = &network.policy;
    if routing::is_forwardable(conversion, policy) {
        return format!("no destination takes the event {} of this source", conversion.event);
    }
    let forwarded: Vec<&str> = policy.forward_status.iter().map(|status| status.as_str()).collect();
    format!(
        "the status is {}, and this source forwards {}: kept, not sent",
        conversion.status.as_str(),
        if forwarded.is_empty() { "none".to_owned() } else { forwarded.join(", ") }
    )
}
