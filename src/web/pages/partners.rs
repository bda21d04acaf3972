//! What the outgoing postbacks would report of one conversion, as it is now. Sends nothing.

use serde_json::Value;

use crate::domain::time::Time;
use crate::preview::preview_outgoing;
use crate::store::contract::lookup::Trace;
use crate::view::preview::PreviewedDeliveriesView;
use crate::web::pages::{Pages, document};

impl Pages {
    /// Every outgoing postback that the conversion concerns, rendered; `None` where it concerns none.
    pub(super) fn partners(&self, trace: &Trace, now: Time) -> Option<Value> {
        // Few of thousands: what the others belong to is not looked up.
        let outgoing = self.config.outgoing.iter();
        let postbacks: Vec<_> = outgoing
            .filter(|one| one.route.scope.covers(&trace.conversion))
            .filter_map(|one| {
                let destination =
                    self.ops.destinations.iter().find(|destination| *destination.id() == one.id)?;
                Some((destination.clone(), one.route.clone()))
            })
            .collect();
        let previewed =
            preview_outgoing((&trace.conversion, trace.click.as_deref()), &postbacks, self.forecast, now);
        (!previewed.is_empty()).then(|| document(&PreviewedDeliveriesView::of(&previewed)))
    }
}
