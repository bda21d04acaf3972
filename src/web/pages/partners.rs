//! What the outgoing postbacks would report of one conversion, as it is now. Sends nothing.

use serde::Serialize;
use serde_json::Value;

use crate::domain::ids::DestinationId;
use crate::domain::time::Time;
use crate::ingest::preview::{PreviewedPostback, PreviewedRequest, preview_outgoing};
use crate::store::Trace;
use crate::view::attempt::RequestView;
use crate::view::remark::RemarkView;
use crate::web::pages::{Pages, document};

impl Pages {
    /// Every outgoing postback that the conversion concerns, rendered.
    pub(super) fn partners(&self, trace: &Trace, now: Time) -> Vec<Value> {
        // Few of thousands: what the others belong to is not looked up.
        let cards = self.program.postbacks.iter();
        let postbacks: Vec<_> = cards
            .filter(|card| card.route.scope.covers(&trace.conversion))
            .filter_map(|card| {
                let account = self.accounts.iter().find(|account| *account.id() == card.id)?;
                Some((account.clone(), card.route.clone()))
            })
            .collect();
        let previewed =
            preview_outgoing((&trace.conversion, trace.click.as_deref()), &postbacks, self.forecast, now);
        previewed.iter().map(|one| document(&Partner::of(one))).collect()
    }
}

/// One outgoing postback, as the template `partners` shows it.
#[derive(Serialize)]
struct Partner<'a> {
    destination: &'a DestinationId,
    request: Option<RequestView<'a>>,
    /// Why there is no request.
    fault: Option<&'a str>,
    remarks: Vec<RemarkView>,
    unsent: Option<&'a str>,
}

impl<'a> Partner<'a> {
    fn of(previewed: &'a PreviewedPostback) -> Partner<'a> {
        let (request, fault) = match &previewed.request {
            PreviewedRequest::Request(request) => (Some(RequestView::of(request)), None),
            PreviewedRequest::Skipped(reason) | PreviewedRequest::Broken(reason) => {
                (None, Some(reason.as_str()))
            }
        };
        Partner {
            destination: &previewed.destination,
            request,
            fault,
            remarks: RemarkView::all(&previewed.remarks),
            unsent: previewed.unsent.as_deref(),
        }
    }
}
