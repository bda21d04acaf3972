//! The network's side: offers, and the campaigns and affiliates that bring them clicks.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::domain::ids::{AdvertiserId, AffiliateId, CampaignId, CreativeId, OfferId};
use crate::domain::money::{Currency, Money};
use crate::domain::reports::Reporting;
use crate::domain::status::Status;
use crate::domain::time::{DAY_MS, HOUR_MS, Time};

/// What decides about an offer's clicks and conversions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The id by which links and reports name it.
    pub id: OfferId,
    /// Whose it is; `None`: no advertiser's token reaches it.
    pub advertiser: Option<AdvertiserId>,
    /// Of payout and revenue, and of every amount that a caller reports without one.
    pub currency: Currency,
    /// To the affiliate, per conversion.
    pub payout: Option<Payout>,
    /// From the advertiser, per conversion.
    pub revenue: Option<Decimal>,
    /// Whether it takes visitors and conversions.
    pub status: OfferStatus,
    /// The most that it takes in a day.
    pub caps: Caps,
    /// How long after a click its id converts.
    pub session_hours: u32,
    /// How long a visitor's click counts where no click id is reported.
    pub click_cookie_days: u32,
    /// Which of a visitor's clicks earns a conversion that names none.
    pub model: AttributionModel,
    /// The status of a conversion whose caller names none.
    pub disposition: Disposition,
    /// Whether a browser's word for the price counts.
    pub accept_pixel_value: bool,
    /// By whom its conversions are reported.
    pub reports: Reporting,
}

impl Offer {
    /// Whether a click of `clicked` still converts by its id at `now`.
    pub fn is_in_session(&self, clicked: Time, now: Time) -> bool {
        now.millis_since(clicked) <= i64::from(self.session_hours).saturating_mul(HOUR_MS)
    }

    /// How long a click id converts, in words.
    pub fn session(&self) -> String {
        hours(self.session_hours)
    }

    /// Whether a visitor's click of `clicked` still counts at `now`.
    pub fn remembers(&self, clicked: Time, now: Time) -> bool {
        now.millis_since(clicked) <= i64::from(self.click_cookie_days).saturating_mul(DAY_MS)
    }
}

/// What an affiliate earns by a conversion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Payout {
    /// An amount in the offer's currency.
    Fixed(Decimal),
    /// Of the sale's amount, in hundredths: 12.5 is 12.5 %.
    Percent(Decimal),
}

/// The source of an effective payout. In this order the first that is there wins; 0 is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PayoutFrom {
    /// The postback or the API call named it.
    Caller,
    /// The offer's percentage of the sale.
    Percent,
    /// The offer's fixed payout.
    Fixed,
}

impl PayoutFrom {
    /// As the API writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            PayoutFrom::Caller => "caller",
            PayoutFrom::Percent => "offer_percent",
            PayoutFrom::Fixed => "offer_fixed",
        }
    }

    /// For people.
    pub fn sentence(self) -> &'static str {
        match self {
            PayoutFrom::Caller => "reported by the caller",
            PayoutFrom::Percent => "the offer's percentage of the sale",
            PayoutFrom::Fixed => "the offer's fixed payout",
        }
    }
}

/// The payout that counts, and why: reported, else the offer's percentage of `sale`, rounded to what can be
/// paid, else its fixed one.
pub fn effective_payout(
    offer: &Offer,
    reported: Option<Money>,
    sale: Option<Money>,
) -> Option<(Money, PayoutFrom)> {
    if let Some(reported) = reported {
        return Some((reported, PayoutFrom::Caller));
    }
    match offer.payout? {
        Payout::Fixed(amount) => Some((Money::new(amount, offer.currency), PayoutFrom::Fixed)),
        Payout::Percent(percent) => {
            let sale = sale?;
            let share = sale.amount.checked_mul(percent)?.checked_div(Decimal::ONE_HUNDRED)?;
            Some((Money::new(share, sale.currency).payable(), PayoutFrom::Percent))
        }
    }
}

/// So many hours, in words.
pub fn hours(count: u32) -> String {
    if count == 1 { "1 hour".to_owned() } else { format!("{count} hours") }
}

/// Whether an offer takes traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum OfferStatus {
    /// It takes visitors and conversions.
    Active,
    /// It takes neither, for the time being.
    Paused,
    /// It takes neither any more.
    Expired,
}

impl OfferStatus {
    /// Every status, as the configuration lists them.
    pub const ALL: [OfferStatus; 3] = [OfferStatus::Active, OfferStatus::Paused, OfferStatus::Expired];

    /// As the configuration writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            OfferStatus::Active => "active",
            OfferStatus::Paused => "paused",
            OfferStatus::Expired => "expired",
        }
    }
}

/// The most an offer takes on one UTC day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Caps {
    /// Clicks of a UTC day that count; `None`: no cap.
    pub clicks_per_day: Option<u64>,
    /// Conversions of a UTC day; `None`: no cap.
    pub conversions_per_day: Option<u64>,
}

/// The status of a conversion whose caller names none: `status` once `after_hours` have passed,
/// `pending` until then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disposition {
    /// What it becomes.
    pub status: Status,
    /// How long it is pending before, in hours; 0: at once.
    pub after_hours: u32,
}

/// One affiliate's run of one offer. Its tracking link is `/c/{id}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Campaign {
    /// The id in the tracking link.
    pub id: CampaignId,
    /// What it sends visitors to.
    pub offer: OfferId,
    /// Who brings them.
    pub affiliate: AffiliateId,
    /// The offer's creatives that it shows. A link that names none of them is the first one's.
    pub creatives: Vec<CreativeId>,
}

impl Campaign {
    /// Where a click belongs that names no creative.
    pub fn campaign_ref(&self) -> CampaignRef {
        self.campaign_ref_of(self.creatives.first())
    }

    /// Where a click on one of its creatives belongs.
    pub fn campaign_ref_of(&self, creative: Option<&CreativeId>) -> CampaignRef {
        CampaignRef {
            offer: self.offer.clone(),
            campaign: Some(self.id.clone()),
            affiliate: Some(self.affiliate.clone()),
            creative: creative.cloned(),
        }
    }
}

/// Which offer a click or conversion belongs to, and who brought it. Kept as it was then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CampaignRef {
    /// The offer that the click was on.
    pub offer: OfferId,
    /// Absent where no one's click is known: a pixel names only the offer.
    pub campaign: Option<CampaignId>,
    /// Who brought the visitor; `None` where no one did.
    pub affiliate: Option<AffiliateId>,
    /// The ad that was clicked, where the offer has several.
    pub creative: Option<CreativeId>,
}

impl CampaignRef {
    /// An offer alone, without who brought it.
    pub fn of_offer(offer: OfferId) -> CampaignRef {
        CampaignRef { offer, campaign: None, affiliate: None, creative: None }
    }
}

/// The UTC day that a cap counts: days since 1970-01-01.
pub fn day_of(time: Time) -> i64 {
    time.as_millis().div_euclid(DAY_MS)
}

/// Which of a visitor's clicks earns, where no click id is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum AttributionModel {
    /// The newest click.
    LastTouch,
    /// The oldest within the offer's days.
    FirstTouch,
}

impl AttributionModel {
    /// As the configuration writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            AttributionModel::LastTouch => "last_touch",
            AttributionModel::FirstTouch => "first_touch",
        }
    }
}
