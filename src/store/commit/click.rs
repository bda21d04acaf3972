//! The command that a click is, and matching what waits for it.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::domain::click::Click;
use crate::domain::conversion::Conversion;
use crate::domain::delivery::Delivery;
use crate::domain::earning::matched_by;
use crate::domain::ids::ClickId;
use crate::store::codec::hash;
use crate::store::commit::click_trail::Footprint;
use crate::store::commit::command::{STEP, StoreCommand};
use crate::store::commit::facts::DecisionLookups;
use crate::store::commit::group::CommitGroup;
use crate::store::contract::arrival::{ClickArrival, ClickReceipt, ClickRecorded};
use crate::store::contract::error::StoreError;
use crate::store::table::cap_tally::Tally;
use crate::store::table::conversion::Record;

impl CommitGroup<'_> {
    /// Records a click, or fills a known one, and matches what waits for it.
    pub fn click(&mut self, arrival: ClickArrival) -> Result<ClickReceipt, StoreError> {
        let ClickArrival { mut click, screening } = arrival;
        let before = self.click_to_change(&click.id)?;
        let (done, click, footprint) = match before.clone() {
            None => {
                self.join_answers(&mut click)?;
                let footprint = self.admit(&mut click, screening)?;
                (ClickRecorded::New, click, footprint)
            }
            Some(mut known) => {
                let had_visitor = known.context.visitor.is_some();
                match known.fill(&click) {
                    true => {
                        // What a stranger refused for this click alone is not its visitor's word.
                        let answered = if had_visitor { &click } else { &known }.context.consent;
                        let footprint = self.admit_again(&known, answered)?;
                        (ClickRecorded::Filled, known, footprint)
                    }
                    false => (ClickRecorded::Known, known, Footprint::default()),
                }
            }
        };
        let step = self.step_of_matching(&click, 0)?;
        let click = Arc::new(click);
        let matched = self.matched(&click, step.found)?;
        if done != ClickRecorded::Known {
            self.counting.click(before.as_ref(), Some(&click));
            self.put_click(Arc::clone(&click), done == ClickRecorded::Filled);
            self.leave(footprint);
        }
        self.match_all(matched);
        if let Some(after) = step.rest {
            self.matching.insert(click.id.clone(), true);
            self.again.push(StoreCommand::Match { click: click.id.clone(), after });
        }
        Ok(ClickReceipt { recorded: done, click })
    }

    /// The next step of matching a click that has very many conversions waiting.
    pub fn go_on_matching(&mut self, id: &ClickId, after: u64) -> Result<(), StoreError> {
        let Some(click) = self.shared.records.click(id)? else {
            self.matching.insert(id.clone(), false);
            return Ok(());
        };
        let step = self.step_of_matching(&click, after)?;
        let matched = self.matched(&click, step.found)?;
        self.match_all(matched);
        match step.rest {
            Some(after) => self.again.push(StoreCommand::Match { click: id.clone(), after }),
            None => {
                self.matching.insert(id.clone(), false);
            }
        }
        Ok(())
    }

    /// Reads what the click frees. Changes nothing, so that a failed read leaves nothing half done.
    fn step_of_matching(&self, click: &Click, after: u64) -> Result<Matching, StoreError> {
        let stored = self.shared.index.lock().waiting_for(hash(click.id.as_str()), after, STEP);
        let rest = (stored.len() == STEP).then(|| stored.last().copied()).flatten();
        let here = self.awaiting.get(&click.id).into_iter().flatten().copied();
        let numbers: BTreeSet<u64> = stored.into_iter().chain(here).collect();
        let mut found = Vec::new();
        for number in numbers {
            if let Some(record) = self.readable(number)? {
                found.push((number, record));
            }
        }
        Ok(Matching { found, rest })
    }

    /// Those of the found conversions that the click is joined to, as they become. Reads only.
    fn matched(
        &self,
        click: &Arc<Click>,
        found: Vec<(u64, Arc<Record>)>,
    ) -> Result<Vec<Matched>, StoreError> {
        let mut matched = Vec::new();
        // Nothing is changed before all of it is decided; a cap counts those decided before all the same.
        let mut tally = if found.is_empty() { Tally::default() } else { self.counting.caps.clone() };
        for (number, old) in found {
            let memory = DecisionLookups::new(self, &tally, None).with(number, Arc::clone(&old));
            let joined = matched_by(&self.rules, &old.conversion, click, click.recorded_at, &memory)?;
            let Some(mut conversion) = joined else { continue };
            let earlier = &old.standing.deliveries;
            let planned = self.planned_with(&mut conversion, earlier, (Some(click), click.recorded_at))?;
            tally.apply(Some(&old.conversion), Some(&conversion));
            matched.push((number, old, conversion, planned));
        }
        Ok(matched)
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
