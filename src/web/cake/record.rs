//! `GET conversion.json`: an advertiser reports a conversion. Every call with a valid key is kept.

use crate::domain::ids::OfferId;
use crate::domain::rejection::Rejection;
use crate::domain::rejection::param::{ParamFault, ParamProblem};
use crate::domain::reporter::{BuiltInSource, Reporter};
use crate::domain::time::Time;
use crate::ingest::advertiser::{self, AdvertiserReport, RecordedReport};
use crate::ingest::parameters::of_value;
use crate::ingest::submit::Received;
use crate::template::source::params::Params;
use crate::web::cake::caller::KeyHolder;
use crate::web::cake::envelope::{RecordReply, text};
use crate::web::cake::{AdvertiserApi, CakeResult};
use crate::web::request::ReceivedRequest;
use crate::web::secret_names::SecretNames;

impl AdvertiserApi {
    pub(super) async fn record(
        &self,
        caller: &KeyHolder,
        call: &ReceivedRequest<'_>,
        params: Result<Params, Rejection>,
    ) -> CakeResult {
        let source = BuiltInSource::Api.id();
        let now = self.clock.now();
        let (raw, mapping) = (call.raw(&SecretNames::API_KEY), None);
        let mut received = Received { source: Some(source.clone()), raw, received_at: now, mapping };
        let report = match params.and_then(|params| self.reported_of(caller, &params, now)) {
            Ok(report) => report,
            Err(rejection) => {
                if rejection.may_reopen() {
                    received.raw.reporter = Some(Box::new(Reporter::Keyed));
                }
                advertiser::quarantine(self.store.as_ref(), received, rejection.clone()).await?;
                return Err(rejection.into());
            }
        };
        let (click, offer) = (report.click_id.clone(), report.offer.clone());
        match advertiser::report(self.store.as_ref(), received, advertiser::draft(source, report)).await? {
            RecordedReport::Taken(conversion) => {
                let number = self.numbering(caller).await?.number(conversion.seq);
                Ok(text(&RecordReply::of(&conversion, number)))
            }
            // The network hears whose click it is; an advertiser is not.
            RecordedReport::AnotherOffer(rejection) if caller.changes_all() => Err(rejection.into()),
            RecordedReport::TooLate(_) | RecordedReport::AnotherOffer(_) | RecordedReport::NoClick => {
                Err(self.no_usable_click(&click, offer).into())
            }
        }
    }

    /// What the call reports, or the first thing in it that a person has to fix.
    fn reported_of(
        &self,
        caller: &KeyHolder,
        params: &Params,
        now: Time,
    ) -> Result<AdvertiserReport, Rejection> {
        if !caller.may_write_some() {
            return Err(self.only_looks(caller).into());
        }
        advertiser::read(
            params,
            |reader| self.reached(reader, |offer| caller.may_write(offer)),
            (&self.zone, now),
        )
    }

    /// One answer for a click that is not known, that has expired, or that is another's: anyone who
    /// guesses click ids learns nothing by it.
    fn no_usable_click(&self, click: &str, offer: OfferId) -> ParamProblem {
        let session_hours = self.rules.offer(&offer).map(|offer| offer.session_hours).unwrap_or_default();
        of_value("click_id", click.trim(), ParamFault::NoUsableClick { offer, session_hours })
    }
}
