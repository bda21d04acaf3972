//! What the outgoing postbacks would tell of one conversion, as it is now. Sends nothing.

use serde_json::{Value, json};

use crate::domain::time::Time;
use crate::ingest::preview::{PreviewedPostback, PreviewedRequest, preview_outgoing};
use crate::store::Trace;
use crate::view::attempt::RequestView;
use crate::view::remark::RemarkView;
use crate::web::pages::Pages;

impl Pages {
    /// Every outgoing postback that the conversion concerns, rendered.
    pub(super) fn partners(&self, trace: &Trace, now: Time) -> Value {
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
        previewed.iter().map(partner).collect()
    }
}

fn partner(previewed: &PreviewedPostback) -> Value {
    let (request, fault) = match &previewed.request {
        PreviewedRequest::Request(request) => (Some(RequestView::of(request)), None),
        PreviewedRequest::Skipped(reason) | PreviewedRequest::Broken(reason) => (None, Some(reason)),
    };
    json!({
        "destination": previewed.destination.as_str(),
        "request": request,
        "fault": fault,
        "remarks": previewed.remarks.iter().map(RemarkView::of).collect::<Vec<_>>(),
        "unsent": previewed.unsent,
    })
}
