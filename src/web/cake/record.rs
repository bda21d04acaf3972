//! `GET conversion.json`: an advertiser reports a conversion. Every call with a valid key is kept.

use crate::domain::click::Pairs;
use crate::domain::ids::{OfferId, SourceId};
use crate::domain::offer::Offer;
use crate::domain::postback::Fault;
use crate::domain::rulebook::built_in;
use crate::domain::time::Time;
use crate::ingest::network::{self, Incoming, Reported, Told};
use crate::template::param_fault::{unread_repeats, usable};
use crate::template::params::{Params, shown};
use crate::template::values::Use;
use crate::web::cake::caller::Caller;
use crate::web::cake::envelope::{Recorded, text};
use crate::web::cake::{NetworkApi, Outcome, Stop, read};
use crate::web::postback::Call;

const CLICK_HINT: &str =
    "put there the click id that your system stored when the visitor arrived on the tracking link";
const OFFER_HINT: &str = "copy the postback URL from the offer: its offer_id is the number there";

/// The parameters that are read.
pub(super) const NAMES: [&str; 14] = [
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

impl NetworkApi {
    pub(super) async fn record(
        &self,
        caller: &Caller,
        call: &Call,
        params: Result<Params, Fault>,
    ) -> Outcome {
        let source = SourceId::parse(built_in::API);
        let source = source.map_err(|error| Fault::new(error.to_string(), "tell the network"))?;
        let now = self.clock.now();
        let incoming = Incoming { source, raw: call.raw(), received_at: now };
        let told = match params.and_then(|params| self.told_of(caller, &params, now)) {
            Ok(told) => told,
            Err(fault) => {
                network::quarantine(self.store.as_ref(), incoming, fault.clone()).await?;
                return Err(Stop::Asked(fault));
            }
        };
        let (click, offer) = (told.click_id.clone(), told.offer.clone());
        match network::report(self.store.as_ref(), incoming, told).await? {
            Reported::Taken(conversion) => Ok(text(&Recorded::of(&conversion))),
            // The network is told whose click it is; an advertiser is not.
            Reported::AnotherOffer(fault) if caller.changes_all() => Err(fault.into()),
            Reported::TooLate(_) | Reported::AnotherOffer(_) | Reported::NoClick => {
                Err(self.no_usable_click(&click, &offer).into())
            }
        }
    }

    /// What the call tells, or the first thing in it that a person has to mend.
    fn told_of(&self, caller: &Caller, params: &Params, now: Time) -> Result<Told, Fault> {
        if !caller.may_write_some() {
            return Err(self.only_looks(caller));
        }
        let mut notes = params.notes.clone();
        notes.extend(unread_repeats(params, &NAMES));
        let click_id = read::needed(params, "click_id", CLICK_HINT)?;
        let offer = self.named_offer(params, |offer| caller.may_write(offer))?;
        usable(params, "unique_id")?;
        let unique_id = read::text(params, "unique_id", Use::Id, &mut notes)?;
        let mut kept = Pairs::new();
        for name in KEPT {
            let used = if name == "order_id" { Use::Id } else { Use::Text };
            if let Some(value) = read::text(params, name, used, &mut notes)? {
                kept.push((name.to_owned(), value));
            }
        }
        let happened = read::moment(params, "conversion_date", (&self.zone, now), &mut notes)?;
        Ok(Told {
            offer: offer.id.clone(),
            click_id,
            currency: offer.currency,
            payout: read::amount(params, "payout")?,
            revenue: read::amount(params, "revenue")?,
            amount: read::amount(params, "amount")?,
            happened,
            unique_id,
            params: kept,
            note: (!notes.is_empty()).then(|| notes.join("; ")),
        })
    }

    /// The offer of `offer_id`, where the caller reaches it; else it is as one that does not exist.
    ///
    /// # Errors
    /// It is missing, not a whole number, or not there for this caller.
    pub(super) fn named_offer(
        &self,
        params: &Params,
        reaches: impl Fn(&Offer) -> bool,
    ) -> Result<&Offer, Fault> {
        let came = read::needed(params, "offer_id", OFFER_HINT)?;
        let came = came.trim();
        let wrong = || {
            let came = shown("offer_id", came);
            Fault::new(format!("`offer_id` is `{came}`, not a whole number"), OFFER_HINT)
        };
        let number: u64 =
            came.parse().ok().filter(|_| came.bytes().all(|b| b.is_ascii_digit())).ok_or_else(wrong)?;
        let id = OfferId::parse(&number.to_string()).ok();
        let offer = id.and_then(|id| self.rules.offer(&id)).map(AsRef::as_ref).filter(|offer| reaches(offer));
        offer.ok_or_else(|| Fault::new(format!("there is no offer {number}"), OFFER_HINT))
    }

    /// One answer for a click that is not known, that has expired, or that is another's: whoever
    /// guesses click ids learns nothing by it.
    fn no_usable_click(&self, click: &str, offer: &OfferId) -> Fault {
        let click = shown("click_id", click.trim());
        let session = self.rules.offer(offer).map(|offer| offer.session()).unwrap_or_default();
        Fault::new(
            format!("`click_id` is `{click}`, which is no active, unexpired click of the offer {offer}"),
            format!(
                "pass back the click id that the offer's URL carried; it converts for {session} after the click"
            ),
        )
    }
}
