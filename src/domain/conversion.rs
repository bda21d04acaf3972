//! A conversion, and what a postback reports of one.

use serde::{Deserialize, Serialize};

use crate::domain::adjustment::Adjustment;
use crate::domain::attribution::Attribution;
use crate::domain::candidate::Considered;
use crate::domain::click::{Click, CustomerTraits, Pairs};
use crate::domain::consent::{Consent, ConsentRecord};
use crate::domain::event::EventName;
use crate::domain::history::{Cause, Change, FieldChange};
use crate::domain::ids::{ConversionId, DestinationId, OfferId, Seq, SourceId, VisitorId};
use crate::domain::item::SoldItem;
use crate::domain::money::Money;
use crate::domain::offer::{CampaignRef, PayoutFrom};
use crate::domain::rejection::note::ReportNote;
use crate::domain::rejection::sale::ReceivedValue;
use crate::domain::remark::Remark;
use crate::domain::reporter::BuiltInSource;
use crate::domain::status::Status;
use crate::domain::status_reason::StatusReason;
use crate::domain::time::Time;

/// How a source distinguishes two sales from one that is reported twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Dedup {
    /// The transaction id; where it is absent, click id and event.
    #[default]
    Transaction,
    /// The click id; where it is absent, the transaction id. At the endpoints of the network's side, where the
    /// offer is named: the click that is found, by its id or by the visitor, once for each event.
    Click,
    /// Every postback is its own conversion.
    Each,
}

impl Dedup {
    /// Every mode with the word that templates and the configuration use.
    pub const NAMES: [(&'static str, Dedup); 3] = [
        (Dedup::Transaction.as_str(), Dedup::Transaction),
        (Dedup::Click.as_str(), Dedup::Click),
        (Dedup::Each.as_str(), Dedup::Each),
    ];

    /// As templates and the configuration write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Dedup::Transaction => "transaction",
            Dedup::Click => "click",
            Dedup::Each => "each",
        }
    }
}

/// The event a postback reports: named by the network, or to be inferred from the value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventClaim {
    /// As it was received, or as the template has it by default.
    Named(EventName),
    /// No name was received: a value above 0 is `positive`, 0 is `zero`, below 0 takes an earlier one back.
    ByValue {
        /// For something that is paid.
        positive: EventName,
        /// For something that is free; also where there is no value at all.
        zero: EventName,
    },
}

impl EventClaim {
    /// For endpoints where no one names an event: a sale where there is something to pay, else a lead.
    pub fn sale_or_lead() -> EventClaim {
        EventClaim::ByValue { positive: EventName::purchase(), zero: EventName::lead() }
    }
}

/// What a source template made of a postback's parameters. Empty and unexpanded values are absent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// A configured one, or one of [`BuiltInSource`].
    pub source: SourceId,
    /// Where it is inferred, the value decides once the offer's terms have said theirs.
    pub event: EventClaim,
    /// `None`: as the offer's disposition says, and no news in a repeat.
    pub status: Option<Status>,
    /// The order's number, as the network or the advertiser has it.
    pub transaction_id: Option<String>,
    /// As received, decoded once: [`candidates`](crate::domain::attribution::candidates) reads it.
    pub click_id: Option<String>,
    /// Which item of the order it is, where each is reported as a conversion of its own.
    pub item_id: Option<String>,
    /// The things of the order, where the report names several.
    pub items: Vec<SoldItem>,
    /// Which row of the sale it is, at a source whose rows add up.
    pub adjustment_id: Option<String>,
    /// What is reported to the ad platform as the event's worth. Always there for [`EventClaim::ByValue`], but
    /// where an offer's terms say what it is worth.
    pub value: Option<Money>,
    /// Of a value below 0, how it was received, for a person who must fix it.
    pub negative_received: Option<ReceivedValue>,
    /// What the affiliate earns. `None`: what the offer's terms say, if anything.
    pub payout: Option<Money>,
    /// What the advertiser pays the network. `None`: what the offer's terms say, if anything.
    pub revenue: Option<Money>,
    /// What the customer paid; an offer may pay a percentage of it.
    pub sale_amount: Option<Money>,
    /// When it happened, where the network says so.
    pub event_time: Option<Time>,
    /// As reported; the click may know more.
    pub traits: CustomerTraits,
    /// What the sender says that the visitor agreed to.
    pub consent: Consent,
    /// Every other mapped parameter: `affid`, `s1`…
    pub params: Pairs,
    /// What was repaired or left out.
    pub notes: Vec<ReportNote>,
    /// What only the endpoints of the network's side report.
    pub network: NetworkClaim,
}

/// What a draft of the network's side reports in addition: which offer, whose browser, and what is a repeat.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NetworkClaim {
    /// The offer that the caller names. Its click must be of this offer.
    pub offer: Option<OfferId>,
    /// The browser that reported it; asked for its clicks where no usable click id was received.
    pub visitor: Option<VisitorId>,
    /// What makes two tellings one, whatever else they say: the first wins. `None`: as the source's
    /// dedup mode says.
    pub key: Option<String>,
    /// Whether a conversion without a recorded click is refused.
    pub needs_click: bool,
}

/// A sale or other event, once, in its current state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conversion {
    /// Derived from what distinguishes the sale, so a repeat finds it.
    pub id: ConversionId,
    /// The postback that made it.
    pub seq: Seq,
    /// Where it was reported. The same transaction id at another source is another conversion.
    pub source: SourceId,
    /// Settled when it was first reported; no repeat changes it.
    pub event: EventName,
    /// As last reported, as a person set it, or as the offer's terms have it.
    pub status: Status,
    /// The order's number. One that the first report lacked is taken from a repeat.
    pub transaction_id: Option<String>,
    /// Its click, as far as one is known: it may be received after the conversion.
    pub attribution: Attribution,
    /// Which item of the order it is; taken from a repeat where the first report lacked it.
    pub item_id: Option<String>,
    /// The things of the order, as first reported; taken from a repeat where the first report had none.
    pub items: Vec<SoldItem>,
    /// The rows that it is the sum of, at a source whose rows add up.
    pub adjustments: Vec<Adjustment>,
    /// What ad platforms are sent as its worth. At the endpoints of the network's side the revenue, else the
    /// payout, where none was reported.
    pub value: Option<Money>,
    /// What the affiliate earns, reported or by the offer's terms. It stays when the sale is taken back.
    pub payout: Option<Money>,
    /// What the advertiser pays the network, reported or by the offer's terms.
    pub revenue: Option<Money>,
    /// What the customer paid. `None`: not reported, and `value` takes its place where a percentage is paid.
    pub sale_amount: Option<Money>,
    /// When it happened, as reported; else when it arrived. Never after `received_at`.
    pub event_time: Time,
    /// When the postback that made it arrived, also where that was reprocessed later.
    pub received_at: Time,
    /// What its senders said of the customer; the click may know more.
    pub traits: CustomerTraits,
    /// As first reported: see [`Draft::params`].
    pub params: Pairs,
    /// What changed since it was first reported, the oldest change first.
    pub history: Vec<Change>,
    /// The offer, and whose click brought it; as it was when it was decided.
    pub campaign_ref: Option<CampaignRef>,
    /// The source of `payout`. `None` without an offer.
    pub payout_from: Option<PayoutFrom>,
    /// Why it has the status it has, where there is more to say than that the network says so.
    pub reason: Option<StatusReason>,
    /// What a person should know of it.
    pub remarks: Vec<Remark>,
    /// What its senders said that the visitor agreed to, as of when it happened.
    pub consent: ConsentRecord,
    /// Destinations that would take it from a source, but not from an advertiser, as they were configured
    /// when it was last decided about. See [`crate::domain::routing::not_routed`].
    pub not_routed: Vec<DestinationId>,
    /// Clicks that might have earned it and did not; the latest first.
    pub considered: Vec<Considered>,
    /// The status it takes automatically, and when, while it is pending.
    pub disposition: Option<(Time, Status)>,
    /// Set where its transaction id had a conversion of another click before.
    pub reuse: Option<Reuse>,
    /// Set where a route without a key reported it: the event of which its click has one that counts. See
    /// [`crate::domain::once`].
    pub once: Option<EventName>,
}

/// Which conversion of a transaction id this is, where it is not the first: each has another click.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reuse {
    /// The first conversion of the transaction id. It may be purged since.
    pub first: ConversionId,
    /// The postback that made the one before this. `None`: that is the first one.
    pub previous: Option<Seq>,
    /// 2 and up.
    pub nth: u32,
}

impl Conversion {
    /// What counts for it: the latest of its senders' answers and of those of its click.
    pub fn consent_with(&self, click: Option<&Click>) -> Consent {
        let clicked = click.map(|click| click.context.consent).unwrap_or_default();
        self.consent.latest(clicked).answers()
    }

    /// The conversion by its ids and amounts alone: without what is known of the person.
    #[must_use]
    pub fn ids_only(&self) -> Conversion {
        let (traits, params, items) = (CustomerTraits::default(), Pairs::new(), Vec::new());
        Conversion { traits, params, items, ..self.clone() }
    }

    /// The same with what its visitor answered last, wherever that was.
    #[must_use]
    pub fn by_ids(&self, click: Option<&Click>) -> Conversion {
        let clicked = click.map(|click| click.context.consent).unwrap_or_default();
        Conversion { consent: self.consent.latest(clicked), ..self.ids_only() }
    }

    /// The order it belongs to, as the advertiser reported it.
    pub fn order_id(&self) -> Option<&str> {
        crate::domain::click::find(&self.params, "order_id")
    }
}

/// A value below 0 that was received instead of an event name takes the sale back.
pub fn reported_status(draft: &Draft) -> Option<Status> {
    let taken_back =
        matches!(draft.event, EventClaim::ByValue { .. }) && draft.value.is_some_and(Money::is_below_zero);
    if taken_back { Some(Status::Rejected) } else { draft.status }
}

/// Adds a change to a conversion's history.
pub fn push_change(conversion: &mut Conversion, at: Time, cause: Cause, fields: Vec<FieldChange>) {
    let number = u32::try_from(conversion.history.len()).unwrap_or(u32::MAX).saturating_add(1);
    let status = conversion.status;
    conversion.history.push(Change { number, at, cause, fields, status });
}

/// The remark on a conversion that a pixel reported and that has no click. It follows from how the
/// conversion is now and is not kept with it: a repeat that names the click ends it.
pub fn no_click(conversion: &Conversion) -> Option<Remark> {
    let by_pixel = BuiltInSource::of(&conversion.source) == Some(BuiltInSource::Pixel);
    let attribution = &conversion.attribution;
    (by_pixel && attribution.click().is_none())
        .then(|| Remark::NoClick { named: attribution.given().is_some() })
}
