//! Which deliveries a conversion causes: what its source wants, which destinations take it, and when. Pure.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::domain::change::{self, PlannedChange};
use crate::domain::change_rules::{Changes, OnValue};
use crate::domain::consent::{Consent, ConsentNeed};
use crate::domain::conversion::{Conversion, Dedup};
use crate::domain::customer::CustomerFormat;
use crate::domain::delivery::{Delivery, DeliveryState};
use crate::domain::expiry::AgeLimits;
use crate::domain::history::{Change, FieldChange};
use crate::domain::ids::{AffiliateId, CampaignId, ClickId, DestinationId, Occasion, OfferId, SourceId};
use crate::domain::offer::CampaignRef;
use crate::domain::reporter;
use crate::domain::sent::DeliveryKind;
use crate::domain::skip::{ForwardedBy, SkipReason};
use crate::domain::status::Status;
use crate::domain::time::Time;

/// What to do with a conversion whose click is not recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unmatched {
    /// Wait for the click this many hours, then skip.
    Hold {
        /// Counted from when the delivery is planned.
        hours: u32,
    },
    /// Send it without the click.
    Forward,
    /// Keep it, send it nowhere.
    Drop,
}

/// What a source wants done with its conversions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourcePolicy {
    /// Whose conversions are meant.
    pub source: SourceId,
    /// How it writes customer data.
    pub customer: CustomerFormat,
    /// The number of the sub id by which it sends our click id back, where it is one.
    pub click_sub_id: Option<u8>,
    /// As the source is configured, else as its template says.
    pub dedup: Dedup,
    /// The statuses with which a conversion is sent at first: see [`is_forwardable`].
    pub forward_status: Vec<Status>,
    /// What becomes of a delivery where no click is known.
    pub unmatched: Unmatched,
}

/// Which statuses of a source's conversions a destination is sent.
#[derive(Debug, Clone, Copy)]
pub struct Forwarding<'a> {
    /// What the source wants; `None` where it is no longer configured.
    pub policy: Option<&'a SourcePolicy>,
    /// An outgoing postback's own list, which counts in its place.
    pub on: Option<&'a [Status]>,
}

/// Which conversions one destination takes, when, and how many of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// An ad account, or an outgoing postback.
    pub destination: DestinationId,
    /// Always empty at an outgoing postback, which has a `scope` for it.
    pub only: Only,
    /// What a visitor must have agreed to before a first report.
    pub consent: ConsentNeed,
    /// What it can be informed of after it was sent the conversion once.
    pub changes: Changes,
    /// [`RouteScope::Any`] at an ad account.
    pub scope: RouteScope,
    /// The statuses it is sent, of an outgoing postback. `None`: those that the source forwards.
    pub on: Option<Vec<Status>>,
    /// How long a delivery waits before it is sent.
    pub delay_ms: i64,
    /// How old an event may be that it takes, in milliseconds since it happened; `None`: of any age.
    pub max_age_ms: Option<i64>,
    /// How old its click may be, in milliseconds; `None`: of any age.
    pub max_click_age_ms: Option<i64>,
    /// How old the click must be before anything is sent: the platform knows it only then.
    pub min_click_age_ms: Option<i64>,
    /// How many of a hundred conversions it is sent: 0–100, decided by the click id.
    pub percent: u8,
}

/// Which conversions an ad account takes. Each list narrows, an empty one does not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Only {
    /// Configured sources and built-in ones.
    pub sources: Vec<SourceId>,
    /// By our name.
    pub events: Vec<String>,
    /// Where one is named, a conversion without an offer does not fit.
    pub offers: Vec<OfferId>,
    /// Where one is named, what no campaign brought does not fit.
    pub campaigns: Vec<CampaignId>,
    /// Where one is named, what no affiliate brought does not fit.
    pub affiliates: Vec<AffiliateId>,
}

impl Only {
    /// Whether every list has what it asks of the conversion.
    fn fits(&self, conversion: &Conversion) -> bool {
        let placed = conversion.campaign_ref.as_ref();
        let offer = placed.map(|placed| &placed.offer);
        let campaign = placed.and_then(|placed| placed.campaign.as_ref());
        let affiliate = placed.and_then(|placed: &CampaignRef| placed.affiliate.as_ref());
        let event = conversion.event.as_str();
        is_among(&self.sources, Some(&conversion.source))
            && (self.events.is_empty() || self.events.iter().any(|wanted| wanted == event))
            && is_among(&self.offers, offer)
            && is_among(&self.campaigns, campaign)
            && is_among(&self.affiliates, affiliate)
    }

    /// Whether it names whose conversions it takes, by which those of advertisers are opened to it too. The
    /// events alone do not.
    pub fn names_whose(&self) -> bool {
        !(self.sources.is_empty()
            && self.offers.is_empty()
            && self.campaigns.is_empty()
            && self.affiliates.is_empty())
    }
}

fn is_among<T: PartialEq>(wanted: &[T], given: Option<&T>) -> bool {
    wanted.is_empty() || given.is_some_and(|given| wanted.contains(given))
}

/// Whose conversions a destination takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RouteScope {
    /// Everyone's: an ad account.
    Any,
    /// Those that some campaign brought: a postback for all.
    AnyCampaign,
    /// Those of sources, and those that some campaign brought: a postback to a traffic source or tracker of one's own.
    AnySale,
    /// Those that clicks of this affiliate earned, by whichever campaign.
    Affiliate(AffiliateId),
    /// Those that clicks of this campaign earned.
    Campaign(CampaignId),
}

impl Route {
    /// A route for all conversions, reported once, at once.
    pub fn to(destination: DestinationId) -> Route {
        Route {
            destination,
            only: Only::default(),
            consent: ConsentNeed::default(),
            changes: Changes::Never,
            scope: RouteScope::Any,
            on: None,
            delay_ms: 0,
            max_age_ms: None,
            max_click_age_ms: None,
            min_click_age_ms: None,
            percent: 100,
        }
    }

    /// How old a conversion and its click may be that it takes.
    pub fn age_limits(&self) -> AgeLimits {
        AgeLimits { event_ms: self.max_age_ms, click_ms: self.max_click_age_ms }
    }

    /// How old a conversion and its click may be for a delivery of this kind.
    pub fn age_limits_of(&self, kind: DeliveryKind) -> AgeLimits {
        match self.changes.rules().filter(|_| kind.is_change()) {
            Some(rules) => AgeLimits { event_ms: rules.max_age_ms, click_ms: None },
            None => self.age_limits(),
        }
    }

    /// Whether it asks how old the click is.
    pub fn asks_for_click_age(&self) -> bool {
        self.max_click_age_ms.or(self.min_click_age_ms).is_some()
    }

    /// The moment before which nothing of what is planned now is sent; `None` without a delay. `click`: when the click
    /// was.
    fn not_before(&self, click: Option<Time>, now: Time) -> Option<Time> {
        let by_delay = (self.delay_ms > 0).then(|| now.plus_millis(self.delay_ms));
        let by_click = click.zip(self.min_click_age_ms).map(|(click, age)| click.plus_millis(age));
        by_delay.into_iter().chain(by_click.filter(|known| *known > now)).max()
    }

    /// What advertisers report is the network's business: an ad account takes it only where it names whose
    /// conversions it takes.
    pub(in crate::domain) fn takes(&self, conversion: &Conversion) -> bool {
        self.only.fits(conversion) && self.scope.covers(conversion) && !self.leaves_out(conversion)
    }

    /// Whether it would take the conversion from a source, and does not because an advertiser reported it.
    fn leaves_out(&self, conversion: &Conversion) -> bool {
        self.scope == RouteScope::Any
            && reporter::is_of_advertisers(&conversion.source)
            && !self.only.names_whose()
            && self.only.fits(conversion)
    }

    /// Who says which statuses it is sent.
    pub fn forwarded_by(&self) -> ForwardedBy {
        if self.on.is_some() { ForwardedBy::Postback } else { ForwardedBy::Source }
    }

    /// Whether it is sent a conversion of this status on first report.
    pub(in crate::domain) fn forwards(&self, conversion: &Conversion, policy: &SourcePolicy) -> bool {
        match &self.on {
            Some(on) => on.contains(&conversion.status) && conversion.status != Status::Scrubbed,
            None => is_forwardable(conversion, policy),
        }
    }

    /// Whether the conversion is among those that it is sent; the same answer for all its changes.
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

impl RouteScope {
    /// Whether the conversion is one of those that are meant at all.
    pub fn covers(&self, conversion: &Conversion) -> bool {
        let campaign_ref = conversion.campaign_ref.as_ref();
        // What the tag reports is no sale of a campaign's.
        let earns = reporter::earns(&conversion.source);
        let is_of_campaign = campaign_ref.is_some_and(|placed| placed.campaign.is_some());
        match self {
            RouteScope::Any => true,
            RouteScope::AnyCampaign => earns && is_of_campaign,
            RouteScope::AnySale => {
                earns && (is_of_campaign || !reporter::is_of_advertisers(&conversion.source))
            }
            RouteScope::Affiliate(id) => {
                earns && campaign_ref.is_some_and(|placed| placed.affiliate.as_ref() == Some(id))
            }
            RouteScope::Campaign(id) => {
                earns && campaign_ref.is_some_and(|placed| placed.campaign.as_ref() == Some(id))
            }
        }
    }
}

/// 0–99, spread evenly over what is reported. Part of what people were promised, so it never changes.
fn share_of(text: &[u8]) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = <[u8; 32]>::from(Sha256::digest(text));
    u64::from_be_bytes([a, b, c, d, e, f, g, h]) % 100
}

/// The destinations that would take the conversion from a source, and do not because an advertiser reported
/// it; but not those that have a delivery of it all the same.
pub fn not_routed(conversion: &Conversion, earlier: &[Delivery], routes: &[Route]) -> Vec<DestinationId> {
    let has_one = |route: &&Route| earlier.iter().any(|delivery| delivery.destination == route.destination);
    let left_out = routes.iter().filter(|route| route.leaves_out(conversion) && !has_one(route));
    left_out.map(|route| route.destination.clone()).collect()
}

/// What a plan goes by.
#[derive(Debug, Clone, Copy)]
pub struct PlanRules<'a> {
    /// Of the conversion's source.
    pub policy: &'a SourcePolicy,
    /// Of every destination that is configured.
    pub routes: &'a [Route],
    /// The visitor's latest answers.
    pub consent: Consent,
    /// When the click was, where there is one.
    pub click: Option<Time>,
}

/// The deliveries of a conversion after it was received, changed or was matched. Pure, and the whole rule:
///
/// - Only a status in `forward_status` is sent on first report.
/// - Without its click a delivery is held, sent or skipped, as the source says.
/// - A click that arrives frees what is held.
/// - What the visitor's consent does not allow is skipped. A destination that knows the conversion hears of
///   changes all the same: by its ids alone, as the sender sees to.
/// - After a change, a destination that was never sent it (or was skipped) gets a delivery for that
///   occasion; one that waits will be sent the current values; one that was sent it hears of it as its
///   route says: see [`change::planned`]. A second approval never sends twice.
pub fn plan(
    conversion: &Conversion,
    earlier: &[Delivery],
    rules: &PlanRules<'_>,
    now: Time,
) -> Vec<Delivery> {
    let PlanRules { policy, routes, .. } = rules;
    let mut deliveries = earlier.to_vec();
    expire_anew(&mut deliveries, conversion, rules);
    if conversion.attribution.click().is_some() {
        release_held(&mut deliveries, rules, now);
    }
    let occasion =
        conversion.history.last().map_or(Occasion::First, |change| Occasion::Change(change.number));
    for route in routes.iter().filter(|route| route.takes(conversion)) {
        if takes_change(&mut deliveries, (conversion, route), rules, now) {
            continue;
        }
        let first = first_state(conversion, rules, route, now);
        let mine = || earlier.iter().filter(|delivery| delivery.destination == route.destination);
        let unfinished = mine().any(|delivery| delivery.state.is_to_be_sent());
        let reported = mine().any(Delivery::has_reported);
        let first = if reported { first } else { allowed(first, route, rules.consent, now) };
        let dropped_before = matches!(first, DeliveryState::Skipped { .. }) && mine().next().is_some();
        let forwards = route.forwards(conversion, policy);
        let wanted = match (unfinished || dropped_before, reported) {
            (true, _) => false,
            (false, true) => hears_by_status(route, conversion) && (route.on.is_none() || forwards),
            (false, false) => forwards,
        };
        if wanted {
            let kind = if reported { DeliveryKind::Status } else { DeliveryKind::Event };
            let not_before = route.not_before(rules.click, now);
            deliveries.push(Delivery {
                not_before: not_before.filter(|_| !matches!(first, DeliveryState::Held { .. })),
                expires_at: route.age_limits_of(kind).expires_at(conversion, rules.click, None),
                ..Delivery::new(route.destination.clone(), occasion, kind, first)
            });
        }
    }
    deliveries
}

/// Whether a destination is sent each change with its status, and so this one.
fn hears_by_status(route: &Route, conversion: &Conversion) -> bool {
    let of_status =
        |change: &Change| change.fields.iter().any(|field| matches!(field, FieldChange::Status(_)));
    let restates = route.changes.rules().is_some_and(|rules| rules.on_value == OnValue::Restate);
    route.changes.are_by_status() && (restates || conversion.history.last().is_some_and(of_status))
}

/// Plans what a destination that restates or takes back is sent of the latest change. Answers whether the change is one
/// of what the destination was sent, or was to be sent: else it is for the plan of a first delivery.
fn takes_change(
    deliveries: &mut Vec<Delivery>,
    (conversion, route): (&Conversion, &Route),
    rules: &PlanRules<'_>,
    now: Time,
) -> bool {
    let by_rules = route.changes.rules().filter(|_| !route.changes.are_by_status());
    let (Some(change_rules), Some(latest)) = (by_rules, conversion.history.last()) else { return false };
    let occasion = Occasion::Change(latest.number);
    let mine: Vec<&Delivery> =
        deliveries.iter().filter(|delivery| delivery.destination == route.destination).collect();
    let unfinished = mine.iter().any(|delivery| delivery.state.is_to_be_sent());
    let was_skipped = !mine.is_empty() && !unfinished && !route.forwards(conversion, rules.policy);
    if !mine.iter().any(|delivery| delivery.has_reported()) && !was_skipped {
        return false;
    }
    let planned = change::planned(&change_rules, conversion, &mine, latest.fields.iter(), now);
    let is_planned = mine.iter().any(|delivery| delivery.occasion >= occasion);
    match planned {
        Some(planned) if unfinished => {
            let waits = |one: &&mut Delivery| {
                one.destination == route.destination && one.kind.is_change() && one.state.is_to_be_sent()
            };
            deliveries.iter_mut().filter(waits).for_each(|waiting| waiting.kind = planned.kind);
        }
        Some(planned) if !is_planned => {
            let PlannedChange { kind, state, not_before } = planned;
            let expires_at = route.age_limits_of(kind).expires_at(conversion, rules.click, None);
            let delivery = Delivery::new(route.destination.clone(), occasion, kind, state);
            deliveries.push(Delivery { not_before, expires_at, ..delivery });
        }
        _ => {}
    }
    true
}

/// Whether the conversion's status is one that its source forwards. What is scrubbed never is.
pub fn is_forwardable(conversion: &Conversion, policy: &SourcePolicy) -> bool {
    conversion.status != Status::Scrubbed && policy.forward_status.contains(&conversion.status)
}

fn first_state(conversion: &Conversion, rules: &PlanRules<'_>, route: &Route, now: Time) -> DeliveryState {
    if !route.is_chosen(conversion) {
        let reason = SkipReason::NotChosen { percent: route.percent };
        return DeliveryState::Skipped { at: now, reason };
    }
    let due = route.not_before(rules.click, now).unwrap_or(now);
    if conversion.attribution.click().is_some() {
        return DeliveryState::Waiting { due };
    }
    match rules.policy.unmatched {
        Unmatched::Hold { hours } => DeliveryState::Held { until: now.plus_hours(i64::from(hours)) },
        Unmatched::Forward => DeliveryState::Waiting { due },
        Unmatched::Drop => DeliveryState::Skipped { at: now, reason: SkipReason::NoClick },
    }
}

/// The state, unless the visitor's consent does not allow to send. What is held stays so: its click may bring
/// another answer.
fn allowed(state: DeliveryState, route: &Route, consent: Consent, now: Time) -> DeliveryState {
    match (&state, route.consent.refusal(consent)) {
        (DeliveryState::Waiting { .. }, Some(reason)) => DeliveryState::Skipped { at: now, reason },
        _ => state,
    }
}

/// Gives what is unfinished the time that its destination's maximum age allows now: a reload may have changed it.
fn expire_anew(deliveries: &mut [Delivery], conversion: &Conversion, rules: &PlanRules<'_>) {
    for delivery in deliveries.iter_mut().filter(|delivery| delivery.state.is_unfinished()) {
        if let Some(route) = rules.routes.iter().find(|route| route.destination == delivery.destination) {
            let before = delivery.expires_at;
            let limits = route.age_limits_of(delivery.kind);
            delivery.expires_at = limits.expires_at(conversion, rules.click, before);
        }
    }
}

/// Frees held deliveries: their click has come. A destination that wants a delay has it from then on.
fn release_held(deliveries: &mut [Delivery], rules: &PlanRules<'_>, now: Time) {
    for delivery in deliveries {
        if matches!(delivery.state, DeliveryState::Held { .. }) {
            let route = rules.routes.iter().find(|route| route.destination == delivery.destination);
            delivery.not_before = route.and_then(|route| route.not_before(rules.click, now));
            let waiting = DeliveryState::Waiting { due: delivery.not_before.unwrap_or(now) };
            delivery.state = match route {
                Some(route) => allowed(waiting, route, rules.consent, now),
                None => waiting,
            };
        }
    }
}

/// Turns every hold that has ended into a skip; says whether any had.
pub fn expire_holds(deliveries: &mut [Delivery], now: Time) -> bool {
    let mut any = false;
    for delivery in deliveries {
        if matches!(delivery.state, DeliveryState::Held { until } if until <= now) {
            delivery.state = DeliveryState::Skipped { at: now, reason: SkipReason::NoClick };
            any = true;
        }
    }
    any
}
