//! What a visitor answered about consent.

use std::sync::Arc;

use crate::domain::click::{Click, ClickOrigin};
use crate::domain::consent::ConsentRecord;
use crate::domain::ids::{ClickId, VisitorId};
use crate::store::contract::arrival::ConsentArrival;
use crate::store::decision::group::CommitGroup;
use crate::store::decision::need::{Known, Need};
use crate::store::decision::order::{Decided, Order};
use crate::store::table::early_answer::EarlyAnswer;
use crate::store::table::visitor::Visits;

impl Order for ConsentArrival {
    type Answer = ();

    fn foresee(&self, needs: &mut Vec<Need>) {
        needs.push(Need::Click(self.click.clone()));
        needs.push(Need::AnswersAhead(self.click.clone()));
        needs.extend(self.visitor.clone().map(Need::Visits));
    }

    fn decide<'a>(&'a self, group: &mut CommitGroup<'a>) -> Known<Decided<ConsentArrival>> {
        let heard = group.hear(self)?;
        group.take_answer(self, heard);
        Ok(Decided::Whole(()))
    }

    fn look_ahead(&self, group: &CommitGroup<'_>) -> Known<()> {
        group.hear(self).map(drop)
    }
}

/// An answer with what is known of whom it is of.
struct HeardAnswer {
    known: Option<Arc<Click>>,
    /// What of it counts for the click.
    for_click: ConsentRecord,
    /// The browser that gave it, with its clicks.
    visits: Option<(VisitorId, Visits)>,
    /// What was answered ahead of the click, which is not recorded yet.
    ahead: Option<EarlyAnswer>,
}

impl CommitGroup<'_> {
    /// Whom an answer is of, and what is known of that. Changes nothing.
    fn hear(&self, arrival: &ConsentArrival) -> Known<HeardAnswer> {
        let known = self.click_now(&arrival.click)?;
        let owner = known.as_ref().and_then(|click| click.context.visitor.clone());
        let is_stranger = arrival.visitor.is_some() && owner.is_some() && arrival.visitor != owner;
        let for_click = if is_stranger { arrival.consent.refusals() } else { arrival.consent };
        let visits = match arrival.visitor.clone().or(owner) {
            Some(visitor) => {
                let visits = self.visits(&visitor)?;
                Some((visitor, visits))
            }
            None => None,
        };
        let ahead = if known.is_none() { self.answers_ahead(&arrival.click)? } else { None };
        Ok(HeardAnswer { known, for_click, visits, ahead })
    }

    /// Keeps an answer at its click and for the browser that gave it.
    fn take_answer(&mut self, arrival: &ConsentArrival, heard: HeardAnswer) {
        let HeardAnswer { known, for_click, visits, ahead } = heard;
        match known {
            Some(known) => {
                let consent = known.context.consent.latest(for_click);
                if consent != known.context.consent {
                    let mut click = Click::clone(&known);
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
    }

    /// Gives a new click the answers that were received ahead of it. A link's click has an id that no one
    /// knew before.
    pub fn join_answers(&self, click: &mut Click) -> Known<()> {
        if click.context.origin == ClickOrigin::Link {
            return Ok(());
        }
        if let Some(ahead) = self.answers_ahead(&click.id)? {
            click.context.consent = click.context.consent.latest(ahead.consent);
        }
        Ok(())
    }

    fn age_marks(&self) -> u64 {
        self.kept.as_ref().unwrap_or(&self.kept_before).ages.made()
    }

    fn answers_ahead(&self, click: &ClickId) -> Known<Option<EarlyAnswer>> {
        match self.ahead.get(click) {
            Some(ahead) => Ok(Some(*ahead)),
            None => self.facts.answers_ahead(click),
        }
    }
}
