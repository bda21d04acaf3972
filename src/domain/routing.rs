//! Which deliveries a conversion causes: what its source wants, which destinations take it, and when. Pure.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::domain::conversion::{Conversion, Dedup, Status};
use crate::domain::delivery::{Delivery, DeliveryState};
use crate::domain::ids::{AffiliateId, CampaignId, ClickId, DestinationId, Occasion, SourceId};
use crate::domain::rulebook::built_in;
use crate::domain::time::Time;

/// What to do with a conversion whose click is not recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unmatched {
    /// Wait for the click this many hours, then skip.
    Hold { hours: u32 },
    /// Send it without the click.
    Forward,
    /// Keep it, send it nowhere.
    Drop,
}

/// What a source wants done with its conversions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourcePolicy {
    pub source: SourceId,
    pub dedup: Dedup,
    pub forward_status: Vec<Status>,
    pub unmatched: Unmatched,
}

/// Which conversions one destination takes, when, and how many of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    pub destination: DestinationId,
    /// Sources it takes; empty: all.
    pub sources: Vec<SourceId>,
    /// Events it takes, by our name; empty: all.
    pub events: Vec<String>,
    /// Whether it hears of changes after it was told the conversion once.
    pub changes: Changes,
    pub scope: Scope,
    /// The statuses it is told, of an outgoing postback. `None`: those that the source forwards.
    pub on: Option<Vec<Status>>,
    /// How long a delivery waits before it is sent.
    pub delay_ms: i64,
    /// How many of a hundred conversions it is told: 0–100, decided by the click id.
    pub percent: u8,
}

/// Whose conversions a destination takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Everybody's: an ad account.
    Any,
    /// Those that some campaign brought: a postback for all.
    AnyCampaign,
    Affiliate(AffiliateId),
    Campaign(CampaignId),
}

/// Whether a destination can express that a conversion it knows has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changes {
    Ignore,
    Send,
}

impl Route {
    /// A route for all conversions, told once, at once.
    pub fn to(destination: DestinationId) -> Route {
        Route {
            destination,
            sources: Vec::new(),
            events: Vec::new(),
            changes: Changes::Ignore,
            scope: Scope::Any,
            on: None,
            delay_ms: 0,
            percent: 100,
        }
    }

    fn takes(&self, conversion: &Conversion) -> bool {
        let source = self.sources.is_empty() || self.sources.contains(&conversion.source);
        let event =
            self.events.is_empty() || self.events.iter().any(|event| event == conversion.event.as_str());
        source && event && self.scope.covers(conversion)
    }

    /// Whether it is told a conversion of this status on first telling.
    fn forwards(&self, conversion: &Conversion, policy: &SourcePolicy) -> bool {
        match &self.on {
            Some(on) => on.contains(&conversion.status) && conversion.status != Status::Scrubbed,
            None => is_forwardable(conversion, policy),
        }
    }

    /// Whether the conversion is among those that it is told; the same answer for all its changes.
    fn is_chosen(&self, conversion: &Conversion) -> bool {
        if self.percent >= 100 {
            return true;
        }
        let click = conversion.attribution.click().map(ClickId::as_str).or(conversion.attribution.given());
        let share = match click {
            Some(click) => share_of(click.trim().as_bytes()),
            None => share_of(conversion.id.as_bytes()),
        };
        share < u64::from(self.percent)
    }
}

impl Scope {
    /// Whether the conversion is one of those that are meant at all.
    pub fn covers(&self, conversion: &Conversion) -> bool {
        let placement = conversion.placement.as_ref();
        // What the tag tells is no sale of a campaign's.
        let earns = conversion.source.as_str() != built_in::TAG;
        match self {
            Scope::Any => true,
            Scope::AnyCampaign => earns && placement.is_some_and(|placed| placed.campaign.is_some()),
            Scope::Affiliate(id) => {
                earns && placement.is_some_and(|placed| placed.affiliate.as_ref() == Some(id))
            }
            Scope::Campaign(id) => {
                earns && placement.is_some_and(|placed| placed.campaign.as_ref() == Some(id))
            }
        }
    }
}

/// 0–99, spread evenly over what is told. Part of what people were promised, so it never changes.
fn share_of(text: &[u8]) -> u64 {
    let digest = Sha256::digest(text);
    digest.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes)) % 100
}

/// The deliveries of a conversion after it came, changed or was matched. Pure, and the whole rule:
///
/// - Only a status in `forward_status` is sent on first telling.
/// - Without its click a delivery is held, sent or skipped, as the source says.
/// - A click that arrives frees what is held.
/// - After a change, a destination that was never told (or was skipped) gets a delivery for that
///   occasion; one that waits will be sent the current values; one that was told hears of it only
///   where its route says so. A second approval never sends twice.
pub fn plan(
    conversion: &Conversion,
    earlier: &[Delivery],
    policy: &SourcePolicy,
    routes: &[Route],
    now: Time,
) -> Vec<Delivery> {
    let mut deliveries = earlier.to_vec();
    if conversion.attribution.click().is_some() {
        release_held(&mut deliveries, routes, now);
    }
    let occasion =
        conversion.history.last().map_or(Occasion::First, |change| Occasion::Change(change.number));
    for route in routes.iter().filter(|route| route.takes(conversion)) {
        let first = first_state(conversion, policy, route, now);
        let mine = || earlier.iter().filter(|delivery| delivery.destination == route.destination);
        let unfinished = mine().any(|delivery| delivery.state.is_unfinished());
        let told = mine().any(Delivery::has_told);
        let dropped_before = matches!(first, DeliveryState::Skipped { .. }) && mine().next().is_some();
        let forwards = route.forwards(conversion, policy);
        let wanted = match (unfinished || dropped_before, told) {
            (true, _) => false,
            (false, true) => route.changes == Changes::Send && (route.on.is_none() || forwards),
            (false, false) => forwards,
        };
        if wanted {
            deliveries.push(Delivery {
                destination: route.destination.clone(),
                occasion,
                state: first,
                attempts: 0,
            });
        }
    }
    deliveries
}

/// Whether the conversion's status is one that its source forwards. What is scrubbed never is.
pub fn is_forwardable(conversion: &Conversion, policy: &SourcePolicy) -> bool {
    conversion.status != Status::Scrubbed && policy.forward_status.contains(&conversion.status)
}

fn first_state(conversion: &Conversion, policy: &SourcePolicy, route: &Route, now: Time) -> DeliveryState {
    if !route.is_chosen(conversion) {
        let reason = format!("not among the {} % of conversions that this postback tells", route.percent);
        return DeliveryState::Skipped { at: now, code: None, reason };
    }
    let due = now.plus_millis(route.delay_ms);
    if conversion.attribution.click().is_some() {
        return DeliveryState::Waiting { due };
    }
    match policy.unmatched {
        Unmatched::Hold { hours } => DeliveryState::Held { until: now.plus_hours(i64::from(hours)) },
        Unmatched::Forward => DeliveryState::Waiting { due },
        Unmatched::Drop => DeliveryState::Skipped { at: now, code: None, reason: NO_CLICK.to_owned() },
    }
}

/// Frees held deliveries: their click has come. A destination that wants a delay has it from then on.
fn release_held(deliveries: &mut [Delivery], routes: &[Route], now: Time) {
    for delivery in deliveries {
        if matches!(delivery.state, DeliveryState::Held { .. }) {
            let route = routes.iter().find(|route| route.destination == delivery.destination);
            let due = now.plus_millis(route.map_or(0, |route| route.delay_ms));
            delivery.state = DeliveryState::Waiting { due };
        }
    }
}

/// Why a conversion without its click was not sent.
pub const NO_CLICK: &str = "no click: none recorded with the id that came; record the click, then retry";

/// Turns every hold that has ended into a skip; says whether any had.
pub fn expire_holds(deliveries: &mut [Delivery], now: Time) -> bool {
    let mut any = false;
    for delivery in deliveries {
        if matches!(delivery.state, DeliveryState::Held { until } if until <= now) {
            delivery.state = DeliveryState::Skipped { at: now, code: None, reason: NO_CLICK.to_owned() };
            any = true;
        }
    }
    any
}
