//! Which deliveries a conversion causes, by what its visitor answered.

use crate::domain::click::Click;
use crate::domain::consent::{Consent, ConsentRecord};
use crate::domain::conversion::Conversion;
use crate::domain::delivery::Delivery;
use crate::domain::routing::{PlanRules, not_routed, plan};
use crate::domain::time::Time;
use crate::store::decision::group::CommitGroup;
use crate::store::decision::need::{Known, unless_damaged};

impl CommitGroup<'_> {
    /// The deliveries that the conversion causes, and what it is shown with that was left out of them.
    pub fn planned(
        &self,
        conversion: &mut Conversion,
        earlier: &[Delivery],
        now: Time,
    ) -> Known<Vec<Delivery>> {
        let asks = self.rules.routes.iter().any(|route| route.consent.asks() || route.asks_for_click_age());
        let click = match conversion.attribution.click().filter(|_| asks) {
            // Sending reads it again, and does not go on without it.
            Some(id) => unless_damaged(self.click_now(id), "a click")?.flatten(),
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
    ) -> Known<Vec<Delivery>> {
        let policy = self.rules.policy(&conversion.source);
        let routes = &self.rules.routes;
        conversion.not_routed = not_routed(conversion, earlier, routes);
        let consent = if routes.iter().any(|route| route.consent.asks()) {
            self.counting(conversion, click)?
        } else {
            Consent::default()
        };
        let rules = PlanRules { policy: &policy, routes, consent, click: click.map(|click| click.at) };
        Ok(plan(conversion, earlier, &rules, now))
    }

    /// The latest of all answers that count for a conversion.
    fn counting(&self, conversion: &Conversion, click: Option<&Click>) -> Known<Consent> {
        let Some(click) = click else { return Ok(conversion.consent.answers()) };
        let of_visitor = match &click.context.visitor {
            None => ConsentRecord::default(),
            Some(visitor) => {
                let visits = unless_damaged(self.visits(visitor), "a visitor")?;
                visits.map(|visits| visits.consent).unwrap_or_default()
            }
        };
        let all = conversion.consent.latest(click.context.consent).latest(of_visitor);
        Ok(all.answers())
    }
}
