//! The command that an arrival is: what it counts for, and what the group keeps of it.

use crate::domain::code::CodedReason;
use crate::domain::conversion::Conversion;
use crate::domain::decision::{ArrivalContext, Decision, decide};
use crate::domain::facts::LaterConversions;
use crate::domain::ids::Seq;
use crate::domain::postback::{Postback, Verdict};
use crate::domain::rejection::note::ReportNote;
use crate::store::commit::facts::DecisionLookups;
use crate::store::commit::group::CommitGroup;
use crate::store::commit::pending::{ArrivalOutcome, ArrivedPostback, MAX_CHANGES, NewPostback, too_often};
use crate::store::commit::quarantine_line::QuarantineLine;
use crate::store::contract::arrival::{Arrival, Finding, MappedArrival, Receipt};
use crate::store::contract::error::StoreError;
use crate::store::table::conversion::{Record, Sketch};
use crate::store::table::delivery::{DeliveryStates, MAX_DELIVERIES};
use crate::store::table::postback::PostbackBody;

impl CommitGroup<'_> {
    pub fn arrive(&mut self, arrival: Arrival) -> Result<Receipt, StoreError> {
        let number = self.numbers.next_postback;
        let exhausted =
            || StoreError::Broken { doing: "number a postback", cause: "2^53 were given".to_owned() };
        let seq = Seq::new(number).ok_or_else(exhausted)?;
        let Arrival { raw, received_at, source, mapping, finding, again } = arrival;
        if let Some(by) = again.and_then(|again| self.taken_by(again.of)) {
            return Err(StoreError::ReprocessedAlready { by });
        }
        let settled = again.map_or(Ok(None), |again| self.settled_by(again.of))?;
        let (made, notes) = match finding {
            Finding::Quarantined(rejection) => (ArrivalOutcome::quarantined(rejection), Vec::new()),
            Finding::Ignored(reason) => (ArrivalOutcome::Nothing(Verdict::Ignored(reason)), Vec::new()),
            Finding::Refused(rejection) => (ArrivalOutcome::Nothing(Verdict::Refused(rejection)), Vec::new()),
            Finding::Mapped(mapped) => {
                let now = again.map_or(received_at, |again| again.now);
                match self.map(&mapped, ArrivalContext { seq, at: received_at, now }) {
                    // It was kept before, within what is kept of strangers.
                    Err(StoreError::Surplus(rejection)) if again.is_some() => {
                        (ArrivalOutcome::quarantined(rejection), Vec::new())
                    }
                    decided => decided?,
                }
            }
        };
        let (verdict, matched) = made.outcome();
        let receipt = Receipt { postback: seq, verdict: verdict.clone(), matched, notes: notes.clone() };
        let arrived = ArrivedPostback {
            seq,
            received_at,
            source,
            raw,
            mapping,
            again: again.map(|earlier| earlier.of),
        };
        settled.into_iter().for_each(|earlier| self.counting.settle(&earlier));
        self.remember(arrived, verdict, notes, made);
        Ok(receipt)
    }

    /// The postback by which the bytes of `of` are part of a conversion already.
    fn taken_by(&self, of: Seq) -> Option<Seq> {
        let index = self.shared.index.lock();
        let first = index.first_of(of.get());
        self.taken.get(&first).copied().or_else(|| Seq::new(index.taken_by(first)?))
    }

    /// Decides a mapped arrival. Reads only.
    fn map(
        &self,
        mapped: &MappedArrival,
        arrived: ArrivalContext,
    ) -> Result<(ArrivalOutcome, Vec<ReportNote>), StoreError> {
        let memory = DecisionLookups::new(self, &self.counting.caps, mapped.click.as_ref());
        Ok(match decide(&self.rules, &mapped.draft, arrived, &memory)? {
            Decision::New { mut conversion, notes } => {
                let standing = DeliveryStates::new(self.planned(&mut conversion, &[], arrived.now)?);
                (ArrivalOutcome::New(Box::new(conversion), standing), notes)
            }
            Decision::Update { mut conversion, notes } => {
                let Some((number, old)) = memory.looked_up(&conversion.id) else {
                    return Ok((ArrivalOutcome::Duplicate(Box::new(conversion)), notes));
                };
                let planned = self.planned(&mut conversion, &old.standing.deliveries, arrived.now)?;
                if conversion.history.len() > MAX_CHANGES || planned.len() > MAX_DELIVERIES {
                    return Ok((ArrivalOutcome::quarantined(too_often(&conversion)), notes));
                }
                let mut record = Record { conversion, ..Record::clone(&old) };
                record.standing.replan(planned);
                (ArrivalOutcome::Update { number, old, new: Box::new(record) }, notes)
            }
            Decision::Duplicate { conversion, notes } => {
                (ArrivalOutcome::Duplicate(Box::new(conversion)), notes)
            }
            Decision::Surplus(rejection) => return Err(StoreError::Surplus(rejection)),
            Decision::Quarantine(rejection) => (ArrivalOutcome::quarantined(rejection), Vec::new()),
            Decision::UnknownSale { rejection, sales } => {
                (ArrivalOutcome::UnknownSale(rejection, sales), Vec::new())
            }
        })
    }

    fn remember(
        &mut self,
        arrived: ArrivedPostback,
        verdict: Verdict,
        notes: Vec<ReportNote>,
        made: ArrivalOutcome,
    ) {
        if let (Verdict::Quarantined(rejection), Some(source), None) =
            (&verdict, &arrived.source, arrived.again)
        {
            let (source, code, postback) = (source.clone(), rejection.code(), arrived.seq);
            self.lines.push(QuarantineLine { source, code, postback, received_at: arrived.received_at });
        }
        let number = arrived.seq.get();
        let mut conversion = None;
        let mut sketch = None;
        let mut sales = Vec::new();
        match made {
            ArrivalOutcome::New(new, standing) => {
                self.born_ids.insert(new.id, number);
                self.reuse(&new, arrived.seq);
                self.await_click(&new, number);
                let new_sketch = Sketch::of(&new, standing);
                self.counting.new_conversion(&new);
                self.note_claim(number, new_sketch.claim);
                sketch = Some(new_sketch);
                conversion = Some(*new);
            }
            ArrivalOutcome::Update { number, old, new } => {
                self.await_click(&new.conversion, number);
                self.change(number, &old, *new, true);
            }
            ArrivalOutcome::UnknownSale(_, waited_for) => sales = waited_for,
            ArrivalOutcome::Duplicate(_) | ArrivalOutcome::Nothing(_) => {}
        }
        if let Some(of) = arrived.again.filter(|_| verdict.conversion().is_some()) {
            let first = self.shared.index.lock().first_of(of.get());
            self.taken.insert(first, arrived.seq);
        }
        let postback = Postback {
            seq: arrived.seq,
            received_at: arrived.received_at,
            source: arrived.source,
            raw: Some(arrived.raw),
            mapping: arrived.mapping,
            verdict,
            notes,
            again: arrived.again,
        };
        self.counting.postback(&postback);
        self.numbers.next_postback = number + 1;
        self.born.push(NewPostback { body: PostbackBody { postback, conversion }, sketch, sales });
    }

    /// A report later in this group sees how often the transaction id is used.
    fn reuse(&mut self, conversion: &Conversion, seq: Seq) {
        let Some(reuse) = &conversion.reuse else { return };
        let kept = self.later(&reuse.first).map_or(0, |later| later.kept) + 1;
        self.reused.insert(reuse.first, LaterConversions { newest: seq, nth: reuse.nth, kept });
    }
}
