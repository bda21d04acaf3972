//! A conversion that an advertiser reports by offer and click id: what it reports → draft → one write.

use jiff::tz::TimeZone;
use rust_decimal::Decimal;

use crate::domain::attribution::Attribution;
use crate::domain::click::{CustomerTraits, Pairs};
use crate::domain::consent::Consent;
use crate::domain::conversion::{Conversion, Draft, EventClaim, NetworkClaim};
use crate::domain::ids::{OfferId, SourceId};
use crate::domain::money::{Currency, Money};
use crate::domain::offer::Offer;
use crate::domain::postback::Verdict;
use crate::domain::rejection::Rejection;
use crate::domain::rejection::note::ReportNote;
use crate::domain::rejection::param::ParamFault;
use crate::domain::rejection::wanted::{LengthLimit, ParamFix};
use crate::domain::reporter::{BuiltInSource, ReportRoute};
use crate::domain::ruleset::Ruleset;
use crate::domain::status::Status;
use crate::domain::text::trim;
use crate::domain::time::Time;
use crate::ingest::parameters::{ParamReader, of_value};
use crate::ingest::submit::{Received, count, named_click, submit};
use crate::store::contract::Store;
use crate::store::contract::arrival::Finding;
use crate::store::contract::change::ConversionRef;
use crate::store::contract::error::StoreError;
use crate::template::macros::detect::ValueUse;
use crate::template::source::params::Params;

/// What a caller reports of a conversion, read and found sound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdvertiserReport {
    /// The offer that the caller names; it takes reports here.
    pub offer: OfferId,
    /// As received, decoded once.
    pub click_id: String,
    /// The amounts are in the offer's currency.
    pub currency: Currency,
    /// What the affiliate is to earn, in place of the offer's payout.
    pub payout: Option<Decimal>,
    /// What the advertiser is to pay, in place of the offer's revenue.
    pub revenue: Option<Decimal>,
    /// What the customer paid.
    pub amount: Option<Decimal>,
    /// `conversion_date`, read in the zone of the network's API; `None` makes it the time of arrival.
    pub happened: Option<Time>,
    /// The caller's own reference: of two tellings with the same one the first wins.
    pub unique_id: Option<String>,
    /// `order_id` and the like, by the names that conversions keep them under.
    pub params: Pairs,
    /// What was repaired or left out.
    pub notes: Vec<ReportNote>,
}

/// What a report became, after it is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordedReport {
    /// The conversion as it is now; of a repeat, the first report's.
    Taken(Box<Conversion>),
    /// The click had expired: the conversion is kept, scrubbed, and earns nothing.
    TooLate(Box<Conversion>),
    /// The click is of another offer: there is no conversion. What the network is notified of it.
    AnotherOffer(Rejection),
    /// No such click is recorded: there is no conversion.
    NoClick,
}

/// The longest text that is kept.
pub const LONGEST_TEXT: LengthLimit = LengthLimit::Characters(200);

/// The parameters that are read.
pub const NAMES: [&str; 14] = [
    "api_key",
    "click_id",
    "offer_id",
    "unique_id",
    "payout",
    "revenue",
    "amount",
    "conversion_date",
    "order_id",
    "adv1",
    "adv2",
    "adv3",
    "adv4",
    "adv5",
];

/// The parameters that are kept with the conversion under their own names.
const KEPT: [&str; 6] = ["order_id", "adv1", "adv2", "adv3", "adv4", "adv5"];

/// Reads a report. `offer` finds the one that it names, as [`named_offer`] does.
///
/// # Errors
/// The first thing that a person has to fix; an offer that takes no reports here.
pub fn read<'a>(
    params: &Params,
    offer: impl FnOnce(&ParamReader<'_>) -> Result<&'a Offer, Rejection>,
    (zone, now): (&TimeZone, Time),
) -> Result<AdvertiserReport, Rejection> {
    let mut reader = ParamReader::new(params, &NAMES, LONGEST_TEXT);
    let click_id = reader.needed("click_id", ParamFix::ClickIdOfLink)?;
    let offer = offer(&reader)?;
    if let Some(closed) = offer.reports.closed(&offer.id, ReportRoute::Api, None) {
        return Err(closed.into());
    }
    let unique_id = reader.id("unique_id")?.map(|id| trim(id).to_owned());
    let mut kept = Pairs::new();
    for name in KEPT {
        let used = if name == "order_id" { ValueUse::Id } else { ValueUse::Text };
        if let Some(value) = reader.text(name, used)? {
            kept.push((name.to_owned(), value));
        }
    }
    let happened = reader.moment("conversion_date", (zone, now))?;
    Ok(AdvertiserReport {
        offer: offer.id.clone(),
        click_id,
        currency: offer.currency,
        payout: reader.amount("payout", ParamFix::ReverseByStatus)?,
        revenue: reader.amount("revenue", ParamFix::ReverseByStatus)?,
        amount: reader.amount("amount", ParamFix::ReverseByStatus)?,
        happened,
        unique_id,
        params: kept,
        notes: reader.notes(),
    })
}

/// The offer of `offer_id`, where `reaches` says so; else it is as one that does not exist.
///
/// # Errors
/// It is missing, not a whole number, or not there for this caller.
pub fn named_offer<'a>(
    rules: &'a Ruleset,
    reader: &ParamReader<'_>,
    reaches: impl Fn(&Offer) -> bool,
) -> Result<&'a Offer, Rejection> {
    reader.needed("offer_id", ParamFix::OfferIdOfUrl)?;
    let number = reader.whole("offer_id", ParamFix::OfferIdOfUrl)?.unwrap_or_default();
    let id = OfferId::parse(&number.to_string()).ok();
    let offer = id.and_then(|id| rules.offer(&id)).map(AsRef::as_ref).filter(|offer| reaches(offer));
    let unknown = || of_value("offer_id", &number.to_string(), ParamFault::UnknownOffer);
    Ok(offer.ok_or_else(|| unknown().with_fix(ParamFix::OfferIdOfUrl))?)
}

/// Takes a report in and answers when that is durable.
///
/// # Errors
/// Only the store's: whatever the caller reported is data.
pub async fn report(
    store: &dyn Store,
    received: Received,
    draft: Draft,
) -> Result<RecordedReport, StoreError> {
    let is_known = named_click(store, &draft).await?.is_some();
    let receipt = submit(store, received, Finding::Mapped(Box::new(draft))).await?;
    count(BuiltInSource::Api, &receipt);
    match &receipt.verdict {
        Verdict::Quarantined(rejection) if is_known => Ok(RecordedReport::AnotherOffer(rejection.clone())),
        Verdict::Quarantined(_) | Verdict::Refused(_) | Verdict::Ignored(_) => Ok(RecordedReport::NoClick),
        Verdict::Accepted { conversion }
        | Verdict::Updated { conversion }
        | Verdict::Duplicate { conversion } => {
            let kept = store.conversion_now(ConversionRef::Id(*conversion)).await?;
            let kept = kept.ok_or_else(|| StoreError::Corrupt {
                key: format!("conversion {conversion}"),
                cause: "it was just reported and is not there".to_owned(),
            })?;
            Ok(classified(kept))
        }
    }
}

/// Keeps a report that cannot be read, with what is wrong.
///
/// # Errors
/// Only the store's.
pub async fn quarantine(
    store: &dyn Store,
    received: Received,
    rejection: Rejection,
) -> Result<(), StoreError> {
    let receipt = submit(store, received, Finding::Quarantined(rejection)).await?;
    count(BuiltInSource::Api, &receipt);
    Ok(())
}

/// Anyone who took a scrubbed one back made it count: then the click's age is no news any more.
fn classified(conversion: Conversion) -> RecordedReport {
    let too_late = matches!(conversion.attribution, Attribution::Expired { .. })
        && conversion.status == Status::Scrubbed;
    let conversion = Box::new(conversion);
    if too_late { RecordedReport::TooLate(conversion) } else { RecordedReport::Taken(conversion) }
}

/// What is to be decided. The reference makes repeats one within its offer, whatever else they say.
pub fn draft(source: SourceId, report: AdvertiserReport) -> Draft {
    let money = |amount: Decimal| Money::new(amount, report.currency);
    let key = report.unique_id.as_ref().map(|unique| format!("offer:{}:unique:{unique}", report.offer));
    Draft {
        source,
        event: EventClaim::sale_or_lead(),
        status: None,
        transaction_id: report.unique_id,
        click_id: Some(report.click_id),
        item_id: None,
        items: Vec::new(),
        adjustment_id: None,
        // Where it is absent, the offer's terms decide what the sale is worth.
        value: report.amount.map(money),
        negative_received: None,
        payout: report.payout.map(money),
        revenue: report.revenue.map(money),
        sale_amount: report.amount.map(money),
        event_time: report.happened,
        traits: CustomerTraits::default(),
        consent: Consent::default(),
        params: report.params,
        notes: report.notes,
        network: NetworkClaim { offer: Some(report.offer), visitor: None, key, needs_click: true },
    }
}
