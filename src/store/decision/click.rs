//! A click, and matching what waits for it.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::domain::click::{Click, ClickOrigin};
use crate::domain::conversion::Conversion;
use crate::domain::delivery::Delivery;
use crate::domain::earning::matched_by;
use crate::domain::ids::ClickId;
use crate::store::contract::arrival::{ClickArrival, ClickReceipt, ClickRecorded};
use crate::store::decision::click_trail::Footprint;
use crate::store::decision::group::CommitGroup;
use crate::store::decision::lookups::DecisionLookups;
use crate::store::decision::need::{Known, Need, Undecided, all};
use crate::store::decision::order::{Decided, Order, STEP};
use crate::store::table::cap_tally::Tally;
use crate::store::table::conversion::Record;
use crate::store::weight;

impl Order for ClickArrival {
    type Answer = ClickReceipt;

    fn foresee(&self, needs: &mut Vec<Need>) {
        let click = &self.click;
        needs.push(Need::Click(click.id.clone()));
        needs.extend(click.context.visitor.clone().map(Need::Visits));
        if click.context.origin != ClickOrigin::Link {
            needs.push(Need::AnswersAhead(click.id.clone()));
        }
    }

    fn decide<'a>(&'a self, group: &mut CommitGroup<'a>) -> Known<Decided<ClickArrival>> {
        let decided = group.click(self)?;
        Ok(Decided::Whole(group.take_click(decided)))
    }

    fn look_ahead(&self, group: &CommitGroup<'_>) -> Known<()> {
        group.click(self).map(drop)
    }

    fn weight(&self) -> usize {
        weight::of_click(&self.click)
    }
}

/// Goes on matching conversions after number `after` with a click that is stored, in steps.
pub struct MatchWaiting {
    pub click: ClickId,
    pub after: u64,
}

impl Order for MatchWaiting {
    type Answer = ();

    fn decide<'a>(&'a self, group: &mut CommitGroup<'a>) -> Known<Decided<MatchWaiting>> {
        let rest = match group.go_on_matching(&self.click, self.after) {
            Err(Undecided::Failed(error)) => {
                // No one waits for it: it is tried again at the next start.
                tracing::error!(%error, "conversions that wait for a click could not be matched");
                None
            }
            rest => rest?,
        };
        Ok(match rest {
            Some(after) => Decided::Step(MatchWaiting { click: self.click.clone(), after }),
            None => Decided::Whole(()),
        })
    }
}

/// A click, decided.
struct DecidedClick {
    recorded: ClickRecorded,
    before: Option<Arc<Click>>,
    click: Arc<Click>,
    footprint: Footprint,
    matched: Vec<Matched>,
    /// Where the next step of matching begins, if there is one.
    rest: Option<u64>,
}

impl CommitGroup<'_> {
    /// What becomes of a click, and of what waits for it. Changes nothing.
    fn click(&self, arrival: &ClickArrival) -> Known<DecidedClick> {
        let before = self.click_now(&arrival.click.id)?;
        let (recorded, click, footprint) = match &before {
            None => {
                let mut click = arrival.click.clone();
                self.join_answers(&mut click)?;
                let footprint = self.admit(&mut click, arrival.screening)?;
                (ClickRecorded::New, Arc::new(click), footprint)
            }
            Some(known) => {
                let mut filled = Click::clone(known);
                match filled.fill(&arrival.click) {
                    true => {
                        // What a stranger refused for this click alone is not its visitor's word.
                        let had_visitor = known.context.visitor.is_some();
                        let answered = if had_visitor { &arrival.click } else { &filled }.context.consent;
                        let footprint = self.admit_again(&filled, answered)?;
                        (ClickRecorded::Filled, Arc::new(filled), footprint)
                    }
                    false => (ClickRecorded::Known, Arc::clone(known), Footprint::default()),
                }
            }
        };
        let Matching { found, rest } = self.step_of_matching(&click, 0)?;
        let matched = self.matched(&click, found)?;
        Ok(DecidedClick { recorded, before, click, footprint, matched, rest })
    }

    /// Takes a click into the group: records it, or fills a known one, and matches what waits for it.
    fn take_click(&mut self, decided: DecidedClick) -> ClickReceipt {
        let DecidedClick { recorded, before, click, footprint, matched, rest } = decided;
        if recorded != ClickRecorded::Known {
            self.counting.click(before.as_deref(), Some(&click));
            self.put_click(Arc::clone(&click), recorded == ClickRecorded::Filled);
            self.leave(footprint);
        }
        self.match_all(matched);
        if rest.is_some() {
            self.matching.insert(click.id.clone(), rest);
        }
        ClickReceipt { recorded, click }
    }

    /// The next step of matching a click that has very many conversions waiting. Answers where the one after it begins.
    fn go_on_matching(&mut self, id: &ClickId, after: u64) -> Known<Option<u64>> {
        let mut rest = None;
        if let Some(click) = self.click_now(id)? {
            let step = self.step_of_matching(&click, after)?;
            let matched = self.matched(&click, step.found)?;
            self.match_all(matched);
            rest = step.rest;
        }
        if rest.is_none() {
            self.matching.insert(id.clone(), None);
        }
        Ok(rest)
    }

    /// Reads what the click frees. Changes nothing, so that a failed read leaves nothing half done.
    fn step_of_matching(&self, click: &Click, after: u64) -> Known<Matching> {
        let stored = self.facts.waiting_for(&click.id, after, STEP)?;
        let rest = (stored.len() == STEP).then(|| stored.last().copied()).flatten();
        let here = self.awaiting.get(&click.id).into_iter().flatten().copied();
        let numbers: BTreeSet<u64> = stored.into_iter().chain(here).collect();
        let found = self.all_readable(numbers, |_| None)?;
        Ok(Matching { found, rest })
    }

    /// Those of the found conversions that the click is joined to, as they become. Reads only.
    fn matched(&self, click: &Arc<Click>, found: Vec<(u64, Arc<Record>)>) -> Known<Vec<Matched>> {
        let mut matched = Vec::new();
        // Nothing is changed before all of it is decided; a cap counts those decided before all the same.
        let mut tally = if found.is_empty() { Tally::default() } else { self.counting.caps.clone() };
        // Each is decided after the one before it, once what all of them look up is at hand.
        if found.len() > 1 {
            all(found.iter().map(|waiting| self.matched_one(click, waiting, &tally)))?;
        }
        for waiting in found {
            let Some((conversion, planned)) = self.matched_one(click, &waiting, &tally)? else { continue };
            let (number, old) = waiting;
            tally.apply(Some(&old.conversion), Some(&conversion));
            matched.push((number, old, conversion, planned));
        }
        Ok(matched)
    }

    /// What becomes of one of them; `None` where the click is not joined to it.
    fn matched_one(
        &self,
        click: &Arc<Click>,
        (number, old): &(u64, Arc<Record>),
        tally: &Tally,
    ) -> Known<Option<(Conversion, Vec<Delivery>)>> {
        let memory = DecisionLookups::new(self, tally).with(*number, Arc::clone(old));
        let joined = matched_by(&self.rules, &old.conversion, click, click.recorded_at, &memory)?;
        let Some(mut conversion) = joined else { return Ok(None) };
        let earlier = &old.standing.deliveries;
        let planned = self.planned_with(&mut conversion, earlier, (Some(click), click.recorded_at))?;
        Ok(Some((conversion, planned)))
    }

    fn match_all(&mut self, matched: Vec<Matched>) {
        for (number, old, conversion, mut planned) in matched {
            let earlier = &old.standing.deliveries;
            if conversion.status == old.conversion.status {
                // That a click was received is no news to a destination that has a delivery already, whatever
                // became of it: only those that the click's campaign brings are new.
                let is_known = |added: &Delivery| {
                    earlier.iter().any(|delivery| delivery.destination == added.destination)
                };
                let added = planned.split_off(earlier.len().min(planned.len()));
                planned.extend(added.into_iter().filter(|added| !is_known(added)));
            }
            let mut record = Record { conversion, ..Record::clone(&old) };
            record.standing.replan(planned);
            self.change(number, &old, record, true);
        }
    }
}

/// A conversion's number, what it was, and what it becomes with its click: itself and its deliveries.
type Matched = (u64, Arc<Record>, Conversion, Vec<Delivery>);

struct Matching {
    found: Vec<(u64, Arc<Record>)>,
    /// Where the next step begins, if there is one.
    rest: Option<u64>,
}
