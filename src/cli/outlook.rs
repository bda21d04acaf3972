//! What `preview` found: from the parameters to the requests.

use std::sync::Arc;

use crate::domain::conversion::Conversion;
use crate::domain::delivery::{DeliveryState, SentRequest};
use crate::domain::postback::Fault;
use crate::domain::remark::Remark;
use crate::ingest::preview::{self as ingest, PreviewOutcome, PreviewedDelivery, PreviewedRequest};
use crate::template::destination::account::Account;
use crate::template::destination::mode::Mode;
use crate::template::source::params::Param;

/// What would happen, from the parameters to the requests.
pub struct Outlook {
    pub params: Vec<Param>,
    /// What was repaired or left out.
    pub notes: Vec<String>,
    pub verdict: Result<Conversion, Fault>,
    pub sendings: Vec<Sending>,
}

/// What one destination would get.
pub struct Sending {
    pub destination: String,
    pub mode: Mode,
    /// The state that its delivery would have at its turn, or from which it would wait for its click.
    pub state: DeliveryState,
    /// The request with its secrets masked, also where it would not leave; or why there is none.
    pub request: Result<SentRequest, String>,
    /// What of the conversion is not in the request, or is otherwise in it.
    pub remarks: Vec<Remark>,
}

impl Outlook {
    pub fn of(found: ingest::Preview, accounts: &[Arc<Account>]) -> Outlook {
        let (params, mut notes) = found.params.map(|params| (params.pairs, params.notes)).unwrap_or_default();
        let previewed = match found.outcome {
            PreviewOutcome::Quarantined(fault) => {
                return Outlook { params, notes, verdict: Err(fault), sendings: Vec::new() };
            }
            PreviewOutcome::Conversion(previewed) => *previewed,
        };
        notes.extend(previewed.note);
        notes.extend(previewed.nothing_sent);
        let sending = |PreviewedDelivery { delivery, request, remarks }: PreviewedDelivery| {
            let account = accounts.iter().find(|account| *account.id() == delivery.destination)?;
            let request = match request {
                PreviewedRequest::Request(request) => Ok(request),
                PreviewedRequest::Skipped(reason) | PreviewedRequest::Broken(reason) => Err(reason),
            };
            let destination = delivery.destination.to_string();
            Some(Sending { destination, mode: account.mode(), state: delivery.state, request, remarks })
        };
        let sendings = previewed.deliveries.into_iter().filter_map(sending).collect();
        Outlook { params, notes, verdict: Ok(previewed.conversion), sendings }
    }
}
