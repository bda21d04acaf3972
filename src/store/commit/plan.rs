//! Which deliveries a conversion causes, by what its visitor answered.

use std::sync::Arc;

use crate::domain::click::Click;
use crate::domain::consent::{Consent, ConsentRecord};
use crate::domain::conversion::Conversion;
use crate::domain::delivery::Delivery;
use crate::domain::routing::{PlanRules, not_routed, plan};
use crate::domain::time::Time;
use crate::store::commit::group::CommitGroup;
use crate::store::contract::error::StoreError;
use crate::store::table::click::readable;

impl CommitGroup<'_> {
    /// The deliveries that the conversion causes, and what it is shown with that was left out of them.
    pub fn planned(
        &self,
        conversion: &mut Conversion,
        earlier: &[Delivery],
        now: Time,
    ) -> Result<Vec<Delivery>, StoreError> {
        let asks = self.rules.routes.iter().any(|route| route.consent.asks());
        let click = match conversion.attribution.click().filter(|_| asks) {
            Some(id) => match self.clicks.get(id) {
                Some(pending) => Some(Arc::clone(&pending.click)),
                // Sending reads it again, and does not go on without it.
                None => readable(self.shared.records.click(id))?.flatten(),
            },
            None => None,
        };
        self.planned_with(conversion, earlier, (click.as_deref(), now))
    }

    /// The same, of a conversion whose click is at hand.
    pub fn planned_with(
        &self,
        conversion: &mut Conversion,
        earlier: &[Delivery],
        (click, now): (Option<&Click>, Time),
    ) -> Result<Vec<Delivery>, StoreError> {
        let policy = self.rules.policy(&conversion.source);
        let routes = &self.rules.routes;
        conversion.not_routed = not_routed(conversion, earlier, routes);
        let consent = if routes.iter().any(|route| route.consent.asks()) {
            self.counting(conversion, click)?
        } else {
            Consent::default()
        };
        let rules = PlanRules { policy: &policy, routes, consent };
        Ok(plan(conversion, earlier, &rules, now))
    }

    /// The latest of all answers that count for a conversion.
    fn counting(&self, conversion: &Conversion, click: Option<&Click>) -> Result<Consent, StoreError> {
        let Some(click) = click else { return Ok(conversion.consent.answers()) };
        let of_visitor = match &click.context.visitor {
            None => ConsentRecord::default(),
            Some(visitor) => match self.trail.visitors.get(visitor) {
                Some(pending) => pending.consent,
                None => readable(self.shared.reader.consent_of(visitor))?.unwrap_or_default(),
            },
        };
        let all = conversion.consent.latest(click.context.consent).latest(of_visitor);
        Ok(all.answers())
    }
}
