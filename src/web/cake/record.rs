//! `GET conversion.json`: an advertiser reports a conversion. Every call with a valid key is kept.

use crate::domain::ids::{OfferId, SourceId};
use crate::domain::postback::Fault;
use crate::domain::reporter::{self, Reporter};
use crate::domain::time::Time;
use crate::ingest::network::{self, AdvertiserReport, Reported};
use crate::ingest::submit::Received;
use crate::template::source::params::{Params, shown};
use crate::web::asked::Asked;
use crate::web::cake::caller::Caller;
use crate::web::cake::envelope::{Recorded, text};
use crate::web::cake::{NetworkApi, Outcome, Stop};

impl NetworkApi {
    pub(super) async fn record(
        &self,
        caller: &Caller,
        call: &Asked<'_>,
        params: Result<Params, Fault>,
    ) -> Outcome {
        let source = SourceId::parse(reporter::API_SOURCE);
        let source = source.map_err(|error| Fault::new(error.to_string(), "inform the network"))?;
        let now = self.clock.now();
        let mut received = Received { source: Some(source.clone()), raw: call.raw(), received_at: now };
        let reported = match params.and_then(|params| self.reported_of(caller, &params, now)) {
            Ok(reported) => reported,
            Err(fault) => {
                if fault.may_reopen() {
                    received.raw.reporter = Some(Box::new(Reporter::Keyed));
                }
                network::quarantine(self.store.as_ref(), received, fault.clone()).await?;
                return Err(Stop::Asked(fault));
            }
        };
        let (click, offer) = (reported.click_id.clone(), reported.offer.clone());
        match network::report(self.store.as_ref(), received, network::draft(source, reported)).await? {
            Reported::Taken(conversion) => {
                let number = self.numbering(caller).await?.number(conversion.seq);
                Ok(text(&Recorded::of(&conversion, number)))
            }
            // The network hears whose click it is; an advertiser is not.
            Reported::AnotherOffer(fault) if caller.changes_all() => Err(fault.into()),
            Reported::TooLate(_) | Reported::AnotherOffer(_) | Reported::NoClick => {
                Err(self.no_usable_click(&click, &offer).into())
            }
        }
    }

    /// What the call reports, or the first thing in it that a person has to fix.
    fn reported_of(&self, caller: &Caller, params: &Params, now: Time) -> Result<AdvertiserReport, Fault> {
        if !caller.may_write_some() {
            return Err(self.only_looks(caller));
        }
        network::read(
            params,
            |reader| self.reached(reader, |offer| caller.may_write(offer)),
            (&self.zone, now),
        )
    }

    /// One answer for a click that is not known, that has expired, or that is another's: anyone who
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
