//! What visitors answered to the question of consent: at their clicks, for their browsers, and ahead of a
//! click that is not recorded yet; and what is planned by it.

use std::ops::ControlFlow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::domain::click::{Click, ClickOrigin};
use crate::domain::consent::{Consent, ConsentRecord};
use crate::domain::conversion::Conversion;
use crate::domain::delivery::Delivery;
use crate::domain::ids::{ClickId, VisitorId};
use crate::domain::routing::{PlanRules, not_routed, plan};
use crate::domain::time::Time;
use crate::store::clicks::log::readable;
use crate::store::clicks::trail::Visits;
use crate::store::contract::arrival::ConsentArrival;
use crate::store::contract::error::StoreError;
use crate::store::engine::kv::{Batch, Direction, Span};
use crate::store::group::CommitGroup;
use crate::store::layout::{self, key};
use crate::store::records::{Records, corrupt};

/// An answer that was received before the click it is about. It is the head of its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct EarlyAnswer {
    /// When it was received last.
    pub received_at: Time,
    /// How many marks of age there were then.
    pub marks: u64,
    pub consent: ConsentRecord,
}

impl CommitGroup<'_> {
    /// Keeps an answer at its click and for the browser that gave it. Everything is read before anything is
    /// changed.
    pub fn consent(&mut self, arrival: &ConsentArrival) -> Result<(), StoreError> {
        let known = self.click_to_change(&arrival.click)?;
        let owner = known.as_ref().and_then(|click| click.context.visitor.clone());
        let is_stranger = arrival.visitor.is_some() && owner.is_some() && arrival.visitor != owner;
        let for_click = if is_stranger { arrival.consent.refusals() } else { arrival.consent };
        let speaker = arrival.visitor.clone().or(owner);
        let visits = match &speaker {
            Some(visitor) => Some((visitor.clone(), self.visits(visitor)?)),
            None => None,
        };
        let ahead = if known.is_none() { self.answers_ahead(&arrival.click)? } else { None };
        match known {
            Some(mut click) => {
                let consent = click.context.consent.latest(for_click);
                if consent != click.context.consent {
                    click.context.consent = consent;
                    self.put_click(Arc::new(click), true);
                }
            }
            None => {
                let consent = ahead.map_or(for_click, |ahead| ahead.consent.latest(for_click));
                let ahead =
                    EarlyAnswer { received_at: arrival.received_at, marks: self.age_marks(), consent };
                self.ahead.insert(arrival.click.clone(), ahead);
            }
        }
        // A browser of which no click is kept has nothing that the answer could be for.
        if let Some((visitor, mut visits)) = visits.filter(|(_, visits)| !visits.visits.is_empty()) {
            let consent = visits.consent.latest(arrival.consent);
            if consent != visits.consent {
                visits.consent = consent;
                self.trail.visitors.insert(visitor, visits);
            }
        }
        Ok(())
    }

    /// Gives a new click the answers that were received ahead of it. A link's click has an id that no one
    /// knew before.
    pub fn join_answers(&self, click: &mut Click) -> Result<(), StoreError> {
        if click.context.origin == ClickOrigin::Link {
            return Ok(());
        }
        if let Some(ahead) = self.answers_ahead(&click.id)? {
            click.context.consent = click.context.consent.latest(ahead.consent);
        }
        Ok(())
    }

    fn age_marks(&self) -> u64 {
        match &self.kept {
            Some(kept) => kept.ages.made(),
            None => self.shared.index.lock().kept.ages.made(),
        }
    }

    fn answers_ahead(&self, click: &ClickId) -> Result<Option<EarlyAnswer>, StoreError> {
        match self.ahead.get(click) {
            Some(ahead) => Ok(Some(*ahead)),
            None => self.shared.records.answers_ahead(click),
        }
    }

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
                None => readable(self.shared.records.consent_of(visitor))?.unwrap_or_default(),
            },
        };
        let all = conversion.consent.latest(click.context.consent).latest(of_visitor);
        Ok(all.answers())
    }
}

impl Records {
    /// A browser's clicks and its visitor's consent.
    pub fn visits(&self, visitor: &VisitorId) -> Result<Option<Visits>, StoreError> {
        let key = key::visitor(visitor);
        let Some(bytes) = self.get(&key)? else { return Ok(None) };
        let unpack = || Ok(Visits { visits: layout::body(&bytes)?, consent: layout::head(&bytes)? });
        unpack().map(Some).map_err(|error| corrupt(&key, &error))
    }

    /// What a browser's visitor answered last.
    fn consent_of(&self, visitor: &VisitorId) -> Result<ConsentRecord, StoreError> {
        Ok(self.head(&key::visitor(visitor))?.unwrap_or_default())
    }

    /// The click with its visitor's latest answers, wherever they were given.
    pub fn click_as_answered(&self, id: &ClickId) -> Result<Option<Arc<Click>>, StoreError> {
        let Some(click) = self.click(id)? else { return Ok(None) };
        let Some(visitor) = &click.context.visitor else { return Ok(Some(click)) };
        let consent = click.context.consent.latest(self.consent_of(visitor)?);
        if consent == click.context.consent {
            return Ok(Some(click));
        }
        let mut answered = Click::clone(&click);
        answered.context.consent = consent;
        Ok(Some(Arc::new(answered)))
    }

    fn answers_ahead(&self, click: &ClickId) -> Result<Option<EarlyAnswer>, StoreError> {
        self.head(&key::answers(click))
    }
}

/// Puts an answer that is ahead of its click over what was kept.
pub fn put_ahead(batch: &mut Batch, click: &ClickId, ahead: &EarlyAnswer) -> Result<(), StoreError> {
    let key = key::answers(click);
    let packed = layout::pack(ahead, &()).map_err(|error| corrupt(&key, &error))?;
    batch.put(key, packed);
    Ok(())
}

/// Keys of answers to remove, and the key at which the next step begins, if there may be more.
pub type EndedAnswers = (Vec<Vec<u8>>, Option<Vec<u8>>);

/// The keys of those of up to `most` answers, from key `from` on, that are past their days; and where the next
/// step begins, if there may be more. One that cannot be read is left.
pub fn ended(
    records: &Records,
    from: &[u8],
    most: usize,
    is_due: impl Fn(EarlyAnswer) -> bool,
) -> Result<EndedAnswers, StoreError> {
    let (mut keys, mut seen, mut last) = (Vec::new(), 0, None);
    let to = key::after_answers();
    records.scan(Span { from, to: &to, direction: Direction::Up }, &mut |key, bytes| {
        let ahead = layout::head::<EarlyAnswer>(bytes).ok();
        keys.extend(ahead.filter(|ahead| is_due(*ahead)).map(|_| key.to_vec()));
        seen += 1;
        if seen < most {
            return ControlFlow::Continue(());
        }
        last = Some([key, &[0]].concat());
        ControlFlow::Break(())
    })?;
    Ok((keys, last))
}
