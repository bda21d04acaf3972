//! `POST update_conversion.json`: a conversion's status changed, with a note.

use crate::domain::conversion::Conversion;
use crate::domain::rejection::Rejection;
use crate::domain::rejection::access::AccessProblem;
use crate::domain::rejection::param::ParamFault;
use crate::domain::rejection::wanted::{LengthLimit, ParamFix};
use crate::domain::reporter::ReportRoute;
use crate::domain::status::Status;
use crate::domain::status_move::MAX_NOTE_CHARS;
use crate::ingest::advertiser::LONGEST_TEXT;
use crate::ingest::parameters::{ParamReader, missing, of_value};
use crate::ops::status::{self, StatusError, StatusOutcome, StatusWish};
use crate::store::contract::change::ConversionRef;
use crate::template::source::params::Params;
use crate::web::access_log::TokenArea;
use crate::web::cake::caller::KeyHolder;
use crate::web::cake::{AdvertiserApi, CakeError, CakeResult, envelope};
use crate::web::routes::RouteRow;

/// The parameters that are read.
pub(super) const NAMES: [&str; 4] = ["api_key", "conversion_id", "status", "note"];

impl AdvertiserApi {
    pub(super) async fn update(&self, (caller, row): (&KeyHolder, &RouteRow), params: &Params) -> CakeResult {
        if !caller.may_write_some() {
            return Err(self.only_looks(caller).into());
        }
        let (number, wish) = wish(caller, params)?;
        let unknown = || of_value("conversion_id", &number.to_string(), ParamFault::UnknownConversion);
        let meant = self.numbering(caller).await?.seq(number);
        let which = meant.map(ConversionRef::Number).ok_or_else(unknown)?;
        let kept = self.store.conversion_now(which).await?;
        let kept = kept.filter(|conversion| caller.may_change(&self.rules, conversion));
        let kept = kept.ok_or_else(unknown)?;
        if let Some(closed) = self.closed_to(caller, &kept) {
            return Err(closed.into());
        }
        match status::set_status(self.store.as_ref(), which, wish, self.clock.now()).await {
            Ok(StatusOutcome::Changed(conversion)) => {
                // No caller keeps this line from being written: nothing that it does cancels what answers it.
                if let Some(change) = row.change {
                    let id = number.to_string();
                    self.access.log.changed(&caller.name, TokenArea::NetworkApi, change, &id);
                }
                Ok(envelope::updated(&conversion, number))
            }
            Ok(StatusOutcome::Already(conversion)) => Ok(envelope::updated(&conversion, number)),
            Err(StatusError::Missing(_)) => Err(unknown().into()),
            Err(StatusError::Refused(refused)) => Err(CakeError::NotMoved(refused)),
            Err(StatusError::Store(error)) => Err(error.into()),
        }
    }

    /// Why an advertiser may not change a conversion here: its offer takes nothing by this API. The network's own
    /// keys change what they may change everywhere.
    fn closed_to(&self, caller: &KeyHolder, conversion: &Conversion) -> Option<AccessProblem> {
        let placed = conversion.campaign_ref.as_ref().filter(|_| !caller.changes_all())?;
        self.rules.offer(&placed.offer)?.reports.closed(&placed.offer, ReportRoute::Api, None)
    }
}

fn wish(caller: &KeyHolder, params: &Params) -> Result<(u64, StatusWish), Rejection> {
    let reader = ParamReader::new(params, &NAMES, LONGEST_TEXT);
    let no_id = || missing("conversion_id", ParamFix::ConversionIdOfReply);
    let number = reader.whole("conversion_id", ParamFix::Digits)?.ok_or_else(no_id)?;
    let no_status = || missing("status", ParamFix::StatusToSet);
    let to: Status = reader.status("status")?.ok_or_else(no_status)?;
    let written = reader.given("note")?.unwrap_or_default();
    let wish = StatusWish::new(to, caller.actor(), written).map_err(|_| {
        let limit = LengthLimit::Characters(u32::try_from(MAX_NOTE_CHARS).unwrap_or(u32::MAX));
        of_value("note", written, ParamFault::TooLong { limit })
    })?;
    Ok((number, wish))
}
