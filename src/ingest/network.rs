//! A conversion that an advertiser reports by offer and click id: what it tells → draft → one write.

use rust_decimal::Decimal;

use crate::domain::attribution::Attribution;
use crate::domain::click::{Pairs, Traits};
use crate::domain::consent::Consent;
use crate::domain::conversion::{Conversion, Draft, EventClaim, NetworkClaim, Status};
use crate::domain::ids::{OfferId, SourceId};
use crate::domain::money::{Currency, Money};
use crate::domain::postback::{Fault, RawRequest, Verdict};
use crate::domain::time::Time;
use crate::store::{Arrival, ConversionRef, Finding, MappedArrival, Store, StoreError};

/// What a caller tells of a conversion, read and found sound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    pub offer: OfferId,
    /// As it came, decoded once.
    pub click_id: String,
    /// The amounts are in the offer's currency.
    pub currency: Currency,
    pub payout: Option<Decimal>,
    pub revenue: Option<Decimal>,
    /// What the customer paid.
    pub amount: Option<Decimal>,
    pub happened: Option<Time>,
    /// The caller's own reference: of two tellings with the same one the first wins.
    pub unique_id: Option<String>,
    /// `order_id` and the like, by the names that conversions keep them under.
    pub params: Pairs,
    /// What was left out and why.
    pub note: Option<String>,
}

/// A report as it arrived: secrets are masked in `raw`.
#[derive(Debug, Clone)]
pub struct Incoming {
    pub source: SourceId,
    pub raw: RawRequest,
    pub received_at: Time,
}

/// What a report came to, after it is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reported {
    /// The conversion as it is now; of a repeat, the first telling's.
    Taken(Box<Conversion>),
    /// The click had expired: the conversion is kept, scrubbed, and earns nothing.
    TooLate(Box<Conversion>),
    /// The click is of another offer: there is no conversion. What the network is told of it.
    AnotherOffer(Fault),
    /// No such click is recorded: there is no conversion.
    NoClick,
}

/// Takes a report in and answers when that is durable.
///
/// # Errors
/// Only the store's: whatever the caller told is data.
pub async fn report(store: &dyn Store, incoming: Incoming, told: Told) -> Result<Reported, StoreError> {
    // Looked up here so that the one writer thread need not; it looks again only for what is missing.
    let click = store.find_click(&told.click_id).await?;
    let is_known = click.is_some();
    let draft = draft(incoming.source.clone(), told);
    let finding = Finding::Mapped(Box::new(MappedArrival { draft, click }));
    let verdict = arrive(store, incoming, finding).await?;
    match &verdict {
        Verdict::Quarantined(fault) if is_known => Ok(Reported::AnotherOffer(fault.clone())),
        Verdict::Quarantined(_) | Verdict::Refused(_) => Ok(Reported::NoClick),
        Verdict::Accepted { conversion }
        | Verdict::Updated { conversion }
        | Verdict::Duplicate { conversion } => {
            let kept = store.conversion_now(ConversionRef::Id(*conversion)).await?;
            let kept = kept.ok_or_else(|| StoreError::Corrupt {
                key: format!("conversion {conversion}"),
                cause: "it was just told and is not there".to_owned(),
            })?;
            Ok(judged(kept))
        }
    }
}

/// Keeps a report that cannot be read, with what is wrong.
///
/// # Errors
/// Only the store's.
pub async fn quarantine(store: &dyn Store, incoming: Incoming, fault: Fault) -> Result<(), StoreError> {
    arrive(store, incoming, Finding::Quarantined(fault)).await.map(|_| ())
}

async fn arrive(store: &dyn Store, incoming: Incoming, finding: Finding) -> Result<Verdict, StoreError> {
    let Incoming { source, raw, received_at } = incoming;
    let label = source.to_string();
    let receipt =
        store.arrive(Arrival { raw, received_at, source: Some(source), finding, again: None }).await?;
    let verdict = receipt.verdict.word();
    metrics::counter!("postbridge_postbacks_total", "source" => label, "verdict" => verdict).increment(1);
    Ok(receipt.verdict)
}

/// Whoever took a scrubbed one back made it count: then the click's age is no news any more.
fn judged(conversion: Conversion) -> Reported {
    let too_late = matches!(conversion.attribution, Attribution::Expired { .. })
        && conversion.status == Status::Scrubbed;
    let conversion = Box::new(conversion);
    if too_late { Reported::TooLate(conversion) } else { Reported::Taken(conversion) }
}

/// What is to be decided. The reference makes repeats one within its offer, whatever else they say.
pub fn draft(source: SourceId, told: Told) -> Draft {
    let money = |amount: Decimal| Money::new(amount, told.currency);
    let key = told.unique_id.as_ref().map(|unique| format!("offer:{}:unique:{unique}", told.offer));
    Draft {
        source,
        event: EventClaim::sale_or_lead(),
        status: None,
        transaction_id: told.unique_id,
        click_id: Some(told.click_id),
        item_id: None,
        // Where it is absent, the offer's terms decide what the sale is worth.
        value: told.amount.map(money),
        negative_came: None,
        payout: told.payout.map(money),
        revenue: told.revenue.map(money),
        sale_amount: told.amount.map(money),
        event_time: told.happened,
        traits: Traits::default(),
        consent: Consent::default(),
        params: told.params,
        note: told.note,
        network: NetworkClaim { offer: Some(told.offer), visitor: None, key, needs_click: true },
    }
}
