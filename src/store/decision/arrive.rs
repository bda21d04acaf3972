//! An arrival: what it counts for, and what the group keeps of it.

use crate::domain::attribution::candidates;
use crate::domain::code::CodedReason;
use crate::domain::conversion::{Conversion, Draft};
use crate::domain::decision::{ArrivalContext, Decision, decide};
use crate::domain::facts::LaterConversions;
use crate::domain::ids::{ConversionId, Seq};
use crate::domain::postback::{Postback, Verdict, VerdictName};
use crate::domain::rejection::note::ReportNote;
use crate::store::contract::arrival::{Arrival, ArrivalId, Finding, Receipt};
use crate::store::contract::error::StoreError;
use crate::store::decision::group::CommitGroup;
use crate::store::decision::lookups::DecisionLookups;
use crate::store::decision::need::{Known, Need, Undecided, unless_damaged};
use crate::store::decision::order::{Decided, Order};
use crate::store::decision::pending::{ArrivalOutcome, MAX_CHANGES, NewPostback, too_often};
use crate::store::decision::quarantine_line::QuarantineLine;
use crate::store::decision::stored::ReprocessedChain;
use crate::store::table::conversion::{Record, Sketch};
use crate::store::table::delivery::{DeliveryStates, MAX_DELIVERIES};
use crate::store::table::postback::PostbackBody;

impl Order for Arrival {
    type Answer = Receipt;

    fn foresee(&self, needs: &mut Vec<Need>) {
        needs.push(Need::Arrived(self.id));
        if let Finding::Mapped(draft) = &self.finding
            && let Some(given) = &draft.click_id
        {
            needs.extend(candidates(given).into_iter().map(|(id, _)| Need::Click(id)));
        }
    }

    fn decide<'a>(&'a self, group: &mut CommitGroup<'a>) -> Known<Decided<Arrival>> {
        if let Some(receipt) = group.arrived_before(self.id)? {
            return Ok(Decided::Whole(receipt));
        }
        let made = group.arrival(self)?;
        Ok(Decided::Whole(group.remember(self, made)))
    }

    fn look_ahead(&self, group: &CommitGroup<'_>) -> Known<()> {
        match group.arrived_before(self.id)? {
            Some(_) => Ok(()),
            None => group.arrival(self).map(drop),
        }
    }

    fn weight(&self) -> usize {
        self.raw.line.len() + self.raw.body.len()
    }
}

/// An arrival, decided.
struct DecidedArrival {
    seq: Seq,
    outcome: ArrivalOutcome,
    notes: Vec<ReportNote>,
    /// The quarantined postback that it settles.
    settles: Option<Postback>,
    /// The postback that was received with its bytes, where it reprocesses one.
    first: Option<u64>,
}

impl CommitGroup<'_> {
    /// What became of an arrival that is asked for again, where it is kept still.
    fn arrived_before(&self, id: ArrivalId) -> Known<Option<Receipt>> {
        let number = match self.arrived.get(&id) {
            Some(number) => Some(*number),
            None => self.facts.arrived(id)?,
        };
        let postback = number.map(|number| self.postback(number)).transpose()?.flatten();
        let Some(Postback { seq, verdict, notes, .. }) = postback else { return Ok(None) };
        let conversion = verdict.conversion().map(|id| self.find(&id)).transpose()?.flatten();
        let matched = conversion.map(|(_, record)| record.conversion.attribution.is_matched());
        Ok(Some(Receipt { postback: seq, verdict, matched, notes }))
    }

    /// A postback as it is after the commands so far, without its raw bytes.
    fn postback(&self, number: u64) -> Known<Option<Postback>> {
        match number.checked_sub(self.first).and_then(|place| usize::try_from(place).ok()) {
            Some(place) => Ok(self.born.get(place).map(|born| born.body.postback.clone())),
            None => self.facts.postback(number),
        }
    }

    /// What an arrival turns out to be. Changes nothing.
    fn arrival(&self, arrival: &Arrival) -> Known<DecidedArrival> {
        let number = self.numbers.next_postback;
        let exhausted =
            || StoreError::Broken { doing: "number a postback", cause: "2^53 were given".to_owned() };
        let seq = Seq::new(number).ok_or_else(exhausted)?;
        let again = arrival.again;
        let chain = again.map(|again| self.facts.chain(again.of)).transpose()?;
        if let Some(by) = chain.and_then(|chain| self.taken.get(&chain.first).copied().or(chain.taken_by)) {
            return Err(StoreError::ReprocessedAlready { by }.into());
        }
        let settles = match again.zip(chain) {
            Some((again, chain)) => self.settled_by(again.of, chain)?,
            None => None,
        };
        let (outcome, notes) = match &arrival.finding {
            Finding::Quarantined(rejection) => (ArrivalOutcome::quarantined(rejection.clone()), Vec::new()),
            Finding::Ignored { reason, notes } => {
                (ArrivalOutcome::Nothing(Verdict::Ignored(reason.clone())), notes.clone())
            }
            Finding::Refused(rejection) => {
                (ArrivalOutcome::Nothing(Verdict::Refused(rejection.clone())), Vec::new())
            }
            Finding::Mapped(draft) => {
                let now = again.map_or(arrival.received_at, |again| again.now);
                match self.map(draft, ArrivalContext { seq, at: arrival.received_at, now }) {
                    // It was kept before, within what is kept of strangers.
                    Err(Undecided::Failed(StoreError::Surplus(rejection))) if again.is_some() => {
                        (ArrivalOutcome::quarantined(rejection), Vec::new())
                    }
                    decided => decided?,
                }
            }
        };
        Ok(DecidedArrival { seq, outcome, notes, settles, first: chain.map(|chain| chain.first) })
    }

    /// The quarantined postback that an arrival with the bytes of `of` settles, unless it is settled already.
    fn settled_by(&self, of: Seq, chain: ReprocessedChain) -> Known<Option<Postback>> {
        let number = of.get();
        if chain.is_reprocessed || self.counting.reprocessed.contains(&number) {
            return Ok(None);
        }
        let found = unless_damaged(self.postback(number), "a postback that is reprocessed")?.flatten();
        Ok(found.filter(|postback| postback.verdict.name() == VerdictName::Quarantined))
    }

    /// Decides a mapped arrival. Reads only.
    fn map(&self, draft: &Draft, arrived: ArrivalContext) -> Known<(ArrivalOutcome, Vec<ReportNote>)> {
        let memory = DecisionLookups::new(self, &self.counting.caps);
        Ok(match decide(&self.rules, draft, arrived, &memory)? {
            Decision::New { mut conversion, notes } => {
                let standing = DeliveryStates::new(self.planned(&mut conversion, &[], arrived.now)?);
                let later = self.later_with(&conversion, arrived.seq)?;
                (ArrivalOutcome::New { conversion: Box::new(conversion), standing, later }, notes)
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
            Decision::Surplus(rejection) => return Err(StoreError::Surplus(rejection).into()),
            Decision::Quarantine(rejection) => (ArrivalOutcome::quarantined(rejection), Vec::new()),
            Decision::UnknownSale { rejection, sales } => {
                (ArrivalOutcome::UnknownSale(rejection, sales), Vec::new())
            }
        })
    }

    /// What is kept of a transaction id once this further conversion of it is.
    fn later_with(
        &self,
        conversion: &Conversion,
        seq: Seq,
    ) -> Known<Option<(ConversionId, LaterConversions)>> {
        let Some(reuse) = &conversion.reuse else { return Ok(None) };
        let kept = self.later(&reuse.first)?.map_or(0, |later| later.kept) + 1;
        Ok(Some((reuse.first, LaterConversions { newest: seq, nth: reuse.nth, kept })))
    }
}

impl<'a> CommitGroup<'a> {
    /// Takes an arrival into the group.
    fn remember(&mut self, arrival: &'a Arrival, decided: DecidedArrival) -> Receipt {
        let DecidedArrival { seq, outcome, notes, settles, first } = decided;
        let (verdict, matched) = outcome.outcome();
        let receipt = Receipt { postback: seq, verdict: verdict.clone(), matched, notes: notes.clone() };
        let again = arrival.again.map(|earlier| earlier.of);
        if let (Verdict::Quarantined(rejection), Some(source), None) = (&verdict, &arrival.source, again) {
            let (source, code, received_at) = (source.clone(), rejection.code(), arrival.received_at);
            self.lines.push(QuarantineLine { source, code, postback: seq, received_at });
        }
        settles.iter().for_each(|earlier| self.counting.settle(earlier));
        if verdict.conversion().is_some() {
            self.taken.extend(first.map(|first| (first, seq)));
        }
        let (conversion, sketch, sales) = self.take_outcome(seq.get(), outcome);
        let postback = Postback {
            seq,
            received_at: arrival.received_at,
            source: arrival.source.clone(),
            raw: None,
            mapping: arrival.mapping,
            verdict,
            notes,
            again,
        };
        self.counting.postback(&postback);
        self.numbers.next_postback = seq.get() + 1;
        self.arrived.insert(arrival.id, seq.get());
        let (body, raw) = (PostbackBody { postback, conversion }, &arrival.raw);
        self.born.push(Box::new(NewPostback { body, raw, sketch, sales }));
        receipt
    }

    /// What the group keeps of postback `number`: the conversion that it makes, with what the index needs of that, and
    /// the sales that it waits for.
    fn take_outcome(
        &mut self,
        number: u64,
        outcome: ArrivalOutcome,
    ) -> (Option<Conversion>, Option<Sketch>, Vec<ConversionId>) {
        match outcome {
            ArrivalOutcome::New { conversion, standing, later } => {
                self.born_ids.insert(conversion.id, number);
                // A report later in this group sees how often the transaction id is used.
                self.reused.extend(later);
                self.await_click(&conversion, number);
                let sketch = Sketch::of(&conversion, standing);
                self.counting.new_conversion(&conversion);
                self.note_claim(number, sketch.claim);
                (Some(*conversion), Some(sketch), Vec::new())
            }
            ArrivalOutcome::Update { number, old, new } => {
                self.await_click(&new.conversion, number);
                self.change(number, &old, *new, true);
                (None, None, Vec::new())
            }
            ArrivalOutcome::UnknownSale(_, sales) => (None, None, sales),
            ArrivalOutcome::Duplicate(_) | ArrivalOutcome::Nothing(_) => (None, None, Vec::new()),
        }
    }
}
