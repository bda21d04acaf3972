//! `POST update_conversion.json`: a conversion's status changed, with a note.

use crate::domain::conversion::Conversion;
use crate::domain::postback::Fault;
use crate::domain::reporter::ReportRoute;
use crate::domain::status::Status;
use crate::domain::status_move::{self, StatusMove};
use crate::ingest::advertiser::LONGEST_TEXT;
use crate::ingest::parameters::{DIGITS, ParamReader};
use crate::store::{ConversionRef, StatusChanged};
use crate::template::source::params::Params;
use crate::web::access_log::TokenArea;
use crate::web::cake::caller::KeyHolder;
use crate::web::cake::{AdvertiserApi, CakeError, CakeResult, envelope};

/// The parameters that are read.
pub(super) const NAMES: [&str; 4] = ["api_key", "conversion_id", "status", "note"];

const ID_HINT: &str = "send the conversion_id that conversion.json or conversions.json answered";
const STATUS_HINT: &str = "send approved, rejected or pending";

impl AdvertiserApi {
    pub(super) async fn update(&self, caller: &KeyHolder, params: &Params) -> CakeResult {
        if !caller.may_write_some() {
            return Err(self.only_looks(caller).into());
        }
        let (number, order) = order(caller, params)?;
        let unknown = || CakeError::Asked(Fault::new(format!("there is no conversion {number}"), ID_HINT));
        let meant = self.numbering(caller).await?.seq(number);
        let which = meant.map(ConversionRef::Number).ok_or_else(unknown)?;
        let kept = self.store.conversion_now(which).await?;
        let kept = kept.filter(|conversion| caller.may_change(&self.rules, conversion));
        let kept = kept.ok_or_else(unknown)?;
        if let Some(closed) = self.closed_to(caller, &kept) {
            return Err(closed.into());
        }
        match self.store.set_status(which, order, self.clock.now()).await? {
            StatusChanged::Changed(conversion) => {
                // No caller keeps this line from being written: nothing that it does cancels what answers it.
                let id = number.to_string();
                self.access.log.changed(&caller.name, TokenArea::NetworkApi, "conversion: status", &id);
                Ok(envelope::updated(&conversion, number))
            }
            StatusChanged::Already(conversion) => Ok(envelope::updated(&conversion, number)),
            StatusChanged::Unknown => Err(unknown()),
            StatusChanged::Refused(refused) => Err(CakeError::Move(refused)),
        }
    }

    /// Why an advertiser may not change a conversion here: its offer takes nothing by this API. The network's own
    /// keys change what they may change everywhere.
    fn closed_to(&self, caller: &KeyHolder, conversion: &Conversion) -> Option<Fault> {
        let placed = conversion.campaign_ref.as_ref().filter(|_| !caller.changes_all())?;
        self.rules.offer(&placed.offer)?.reports.closed(&placed.offer, ReportRoute::Api, None)
    }
}

fn order(caller: &KeyHolder, params: &Params) -> Result<(u64, StatusMove), Fault> {
    let missing = |name: &str, hint| Fault::new(format!("`{name}` is missing"), hint);
    let reader = ParamReader::new(params, &NAMES, LONGEST_TEXT);
    let number = reader.whole("conversion_id", DIGITS)?.ok_or_else(|| missing("conversion_id", ID_HINT))?;
    let to: Status = reader.status("status")?.ok_or_else(|| missing("status", STATUS_HINT))?;
    let note = status_move::note(reader.given("note")?.unwrap_or_default()).map_err(|length| {
        let most = status_move::MAX_NOTE_CHARS;
        Fault::new(format!("`note` has {length} characters"), format!("send at most {most}"))
    })?;
    Ok((number, StatusMove { to, by: caller.actor(), note }))
}
