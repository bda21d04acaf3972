//! Which conversion a report belongs to, and the id of a new one. Pure but for the look-ups it is handed.

use crate::domain::attribution::canonical_click;
use crate::domain::conversion::{Conversion, Dedup, Draft, EventClaim, Reuse};
use crate::domain::event::EventName;
use crate::domain::facts::{Facts, LaterConversions};
use crate::domain::ids::{ConversionId, Seq};
use crate::domain::rejection::note::ReportNote;
use crate::domain::rejection::sale::{CandidateSale, CandidateSales, SaleProblem};
use crate::domain::status::Status;

/// The most conversions of one transaction id that a decision reads, besides the one found by its click:
/// the first and the newest. A constant id thereby costs no more than any other.
pub const MOST_READ: usize = 10;
/// The first and the newest: of a transaction id with more than [`MOST_READ`] conversions, those whose
/// visitor is compared.
const ENDS: usize = 2;

/// What a report turned out to be a report of.
pub enum ReportMatch {
    /// A conversion that is known.
    Known(Box<Conversion>),
    /// None that is known. `Some`: its transaction id has conversions of other clicks.
    New(Option<Box<FurtherIdentity>>),
    /// Several might be meant, or only such as do not fit.
    Ambiguous(SaleProblem),
}

/// The identity of a further conversion of a transaction id.
pub struct FurtherIdentity {
    pub id: ConversionId,
    pub reuse: Reuse,
    /// The click id that the first conversion named, while that is kept.
    pub first_click: Option<String>,
}

/// What another amount under the same identity means.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum AmountRule {
    /// The same sale, worth something else now.
    Change,
    /// Perhaps another sale of the same visitor; only the click id distinguish them, and it cannot:
    /// the first wins.
    FirstWins,
}

/// By what a report is known again.
enum DedupBasis {
    /// The key of a route of the network's side, whatever the event is called.
    Key,
    /// A transaction id, which may be reused.
    Transaction,
    /// A text that is of one conversion of each event.
    Single,
    /// By nothing: every report is its own conversion.
    Each,
}

/// The dedup key of a report. Its text is prefixed by its kind, so that a transaction id never meets a
/// click id.
pub struct Identity {
    text: String,
    kind: DedupBasis,
    pub note: Option<ReportNote>,
    pub amounts: AmountRule,
}

impl Identity {
    /// The identity of a report by its source's dedup mode.
    pub fn of(draft: &Draft, dedup: Dedup, seq: Seq) -> Identity {
        let new = |text, kind, amounts| Identity { text, kind, note: None, amounts };
        if let Some(key) = &draft.network.key {
            return new(key.clone(), DedupBasis::Key, AmountRule::FirstWins);
        }
        let transaction = draft.transaction_id.as_ref().map(|id| format!("transaction:{id}"));
        let click = click_of(draft).map(|id| format!("click:{id}"));
        match (dedup, transaction, click) {
            (Dedup::Each, ..) => new(format!("each:{seq}"), DedupBasis::Each, AmountRule::Change),
            (Dedup::Transaction, Some(text), _) => new(text, DedupBasis::Transaction, AmountRule::Change),
            (Dedup::Transaction, None, Some(text)) => new(text, DedupBasis::Single, AmountRule::FirstWins),
            (Dedup::Click, _, Some(text)) | (Dedup::Click, Some(text), None) => {
                new(text, DedupBasis::Single, AmountRule::Change)
            }
            (_, None, None) => Identity {
                note: Some(ReportNote::NoIdentity),
                ..new(format!("each:{seq}"), DedupBasis::Each, AmountRule::Change)
            },
        }
    }

    /// The id of the first conversion of this identity.
    pub fn id(&self, draft: &Draft, event: &EventName) -> ConversionId {
        match self.kind {
            DedupBasis::Key => ConversionId::derive_keyed(&draft.source, &self.text),
            _ => ConversionId::derive(&draft.source, event.as_str(), &self.text),
        }
    }

    /// The ids of the sales that the report may take back, for when one of them is received later.
    pub fn sales(&self, draft: &Draft) -> Vec<ConversionId> {
        match self.kind {
            DedupBasis::Each => Vec::new(),
            _ => events(draft).into_iter().map(|event| self.id(draft, event)).collect(),
        }
    }

    /// Looks up what the report belongs to.
    ///
    /// # Errors
    /// Only those of the look-ups.
    pub fn belonging<F: Facts>(&self, draft: &Draft, facts: &F) -> Result<ReportMatch, F::Error> {
        if matches!(self.kind, DedupBasis::Transaction) {
            return self.of_transaction(draft, facts);
        }
        for event in events(draft) {
            if let Some(known) = facts.conversion(&self.id(draft, event))? {
                return Ok(ReportMatch::Known(Box::new(known)));
            }
        }
        Ok(ReportMatch::New(None))
    }

    fn of_transaction<F: Facts>(&self, draft: &Draft, facts: &F) -> Result<ReportMatch, F::Error> {
        let mut groups = Vec::with_capacity(2);
        for event in events(draft) {
            groups.push(Siblings::find(self, draft, event, facts)?);
        }
        let click = click_of(draft);
        if let Some(click) = click.as_deref() {
            for siblings in &groups {
                if let Some(known) = siblings.by_click(self, draft, click, facts)? {
                    return Ok(ReportMatch::Known(Box::new(known)));
                }
            }
        }
        let takes_back = takes_back_for_sure(draft);
        let mut misfits = Vec::new();
        for siblings in groups.iter().filter(|siblings| takes_back || siblings.is_taken_back_by(draft)) {
            match siblings.only_one(draft, siblings.some(MOST_READ, facts)?) {
                SoleCandidate::Found(known) => return Ok(ReportMatch::Known(known)),
                SoleCandidate::Several(some) => {
                    return Ok(ReportMatch::Ambiguous(ambiguous(draft, siblings.count(), &some)));
                }
                SoleCandidate::None(others) => misfits.extend(others),
            }
        }
        if takes_back && !misfits.is_empty() {
            return Ok(ReportMatch::Ambiguous(of_another_item(draft, &misfits)));
        }
        let own = groups.iter().find(|siblings| siblings.event == reported_event(draft));
        match own {
            Some(own) => own.repeat(self, draft, click.as_deref(), facts),
            None => Ok(ReportMatch::New(None)),
        }
    }
}

/// The click id of a report in its one canonical reading.
fn click_of(draft: &Draft) -> Option<String> {
    draft.click_id.as_deref().and_then(canonical_click)
}

/// The click id that a conversion named, in its one canonical reading.
fn click_named(conversion: &Conversion) -> Option<String> {
    let attribution = &conversion.attribution;
    let given = attribution.given().and_then(canonical_click);
    given.or_else(|| attribution.click().map(|click| click.as_str().to_owned()))
}

/// Whether it takes back whatever else is known: by its status, or by a value below 0 that reports the event.
fn takes_back_for_sure(draft: &Draft) -> bool {
    let by_status = matches!(draft.status, Some(Status::Rejected | Status::Scrubbed));
    let by_value = matches!(draft.event, EventClaim::ByValue { .. })
        && draft.value.is_some_and(|value| value.is_below_zero());
    by_status || by_value
}

/// The event that a report names, or that its value reports.
fn reported_event(draft: &Draft) -> &EventName {
    match &draft.event {
        EventClaim::Named(name) => name,
        EventClaim::ByValue { positive, zero } => match draft.value {
            Some(value) if value.is_above_zero() => positive,
            _ => zero,
        },
    }
}

/// The events under which an earlier report of this sale may be known, the likeliest first. A value above
/// 0 never touches an earlier zero event, unless it takes back: a Lead that rises becomes its own Purchase.
fn events(draft: &Draft) -> Vec<&EventName> {
    match &draft.event {
        EventClaim::Named(name) => vec![name],
        EventClaim::ByValue { positive, zero } => match draft.value {
            Some(value) if value.is_above_zero() && !takes_back_for_sure(draft) => vec![positive],
            _ => vec![positive, zero],
        },
    }
}

/// The conversions of one transaction id and event.
struct Siblings<'a> {
    event: &'a EventName,
    root: ConversionId,
    first: Option<Conversion>,
    later: Option<LaterConversions>,
}

/// Which of the siblings is meant by a report that names none of their clicks.
enum SoleCandidate {
    Found(Box<Conversion>),
    /// Some of them, to be listed.
    Several(Vec<Conversion>),
    /// None of those that there are.
    None(Vec<Conversion>),
}

impl<'a> Siblings<'a> {
    fn find<F: Facts>(
        identity: &Identity,
        draft: &Draft,
        event: &'a EventName,
        facts: &F,
    ) -> Result<Siblings<'a>, F::Error> {
        let root = identity.id(draft, event);
        Ok(Siblings { event, root, first: facts.conversion(&root)?, later: facts.later(&root)? })
    }

    fn count(&self) -> u32 {
        u32::from(self.first.is_some()) + self.later.map_or(0, |later| later.kept)
    }

    /// Whether an inferred 0 takes these back: it does where they are of the positive event.
    fn is_taken_back_by(&self, draft: &Draft) -> bool {
        let EventClaim::ByValue { positive, .. } = &draft.event else { return false };
        self.event == positive && draft.value.is_some_and(|value| value.amount.is_zero())
    }

    fn by_click<F: Facts>(
        &self,
        identity: &Identity,
        draft: &Draft,
        click: &str,
        facts: &F,
    ) -> Result<Option<Conversion>, F::Error> {
        let first = self.first.as_ref().filter(|first| click_named(first).as_deref() == Some(click));
        match (first, self.later) {
            (Some(first), _) => Ok(Some(first.clone())),
            (None, Some(_)) => facts.conversion(&self.id_with(identity, draft, click)),
            (None, None) => Ok(None),
        }
    }

    fn id_with(&self, identity: &Identity, draft: &Draft, click: &str) -> ConversionId {
        ConversionId::derive_reused(&draft.source, self.event.as_str(), &identity.text, click)
    }

    /// The first and the newest: all of them unless they are many.
    fn some<F: Facts>(&self, most: usize, facts: &F) -> Result<Vec<Conversion>, F::Error> {
        let mut found: Vec<Conversion> = self.first.iter().cloned().collect();
        let mut next = self.later.map(|later| later.newest);
        while let Some(number) = next.filter(|_| found.len() < most) {
            let Some(conversion) = facts.made_by(number)? else { break };
            let reuse = conversion.reuse.as_ref().filter(|reuse| reuse.first == self.root);
            let Some(reuse) = reuse else { break };
            // A chain leads back in time; anything else would be a circle.
            next = reuse.previous.filter(|previous| *previous < number);
            found.push(conversion);
        }
        Ok(found)
    }

    /// The one that a report must mean that takes back and names none of their clicks: the only one, and
    /// of its item where both name one. `some` are those that were read.
    fn only_one(&self, draft: &Draft, some: Vec<Conversion>) -> SoleCandidate {
        let mut fitting = some.iter().filter(|one| is_of_item(one, draft));
        let found = fitting.next();
        let is_one = fitting.next().is_none();
        let are_all = usize::try_from(self.count()).is_ok_and(|count| count == some.len());
        match found {
            Some(found) if are_all && is_one => SoleCandidate::Found(Box::new(found.clone())),
            None if are_all => SoleCandidate::None(some),
            _ => SoleCandidate::Several(some),
        }
    }

    /// What a report that takes nothing back is to these: one of them reported again, or another one.
    fn repeat<F: Facts>(
        &self,
        identity: &Identity,
        draft: &Draft,
        click: Option<&str>,
        facts: &F,
    ) -> Result<ReportMatch, F::Error> {
        let unclicked = self.first.as_ref().filter(|first| click.is_none() || click_named(first).is_none());
        let known = match (click, unclicked) {
            _ if self.count() == 0 => None,
            (Some(_), Some(first)) => Some(first.clone()),
            (None, Some(first)) if self.count() == 1 => Some(first.clone()),
            (None, _) => {
                let mut some = self.some(MOST_READ, facts)?;
                if self.count() == 1 && some.len() == 1 {
                    some.pop()
                } else {
                    match self.only_one(draft, some) {
                        SoleCandidate::Found(known) => Some(*known),
                        SoleCandidate::Several(some) | SoleCandidate::None(some) => {
                            return Ok(ReportMatch::Ambiguous(ambiguous(draft, self.count(), &some)));
                        }
                    }
                }
            }
            (Some(_), None) => self.of_the_same_visitor(draft, facts)?,
        };
        Ok(match (known, click) {
            (Some(known), _) => ReportMatch::Known(Box::new(known)),
            (None, Some(click)) if self.count() > 0 => {
                ReportMatch::New(Some(Box::new(self.another(self.id_with(identity, draft, click)))))
            }
            (None, _) => ReportMatch::New(None),
        })
    }

    /// One whose recorded click is of the same visitor as the recorded click of the report.
    fn of_the_same_visitor<F: Facts>(
        &self,
        draft: &Draft,
        facts: &F,
    ) -> Result<Option<Conversion>, F::Error> {
        let Some(given) = draft.click_id.as_deref() else { return Ok(None) };
        let click = facts.click(given)?;
        let Some(visitor) = click.as_ref().and_then(|found| found.click.context.visitor.as_ref()) else {
            return Ok(None);
        };
        // A constant id asks this of every sale, and has to stay as fast as any other.
        let are_few = usize::try_from(self.count()).is_ok_and(|count| count <= MOST_READ);
        for one in self.some(if are_few { MOST_READ } else { ENDS }, facts)? {
            let Some(click) = one.attribution.click() else { continue };
            let found = facts.click(click.as_str())?;
            if found.is_some_and(|found| found.click.context.visitor.as_ref() == Some(visitor)) {
                return Ok(Some(one));
            }
        }
        Ok(None)
    }

    fn another(&self, id: ConversionId) -> FurtherIdentity {
        let reuse = Reuse {
            first: self.root,
            previous: self.later.map(|later| later.newest),
            nth: self.later.map_or(1, |later| later.nth).saturating_add(1),
        };
        FurtherIdentity { id, reuse, first_click: self.first.as_ref().and_then(click_named) }
    }
}

/// Whether the two name the same item, or one of them names none. The rows of a sale may each be of another.
fn is_of_item(conversion: &Conversion, draft: &Draft) -> bool {
    match (&conversion.item_id, &draft.item_id) {
        (Some(theirs), Some(ours)) => theirs == ours || draft.adjustment_id.is_some(),
        _ => true,
    }
}

/// An id as it is shown in a sentence.
pub fn shown_id(id: &str) -> String {
    let mut shown: String = id.chars().take(100).collect();
    if shown.len() < id.len() {
        shown.push('…');
    }
    shown
}

fn ambiguous(draft: &Draft, count: u32, some: &[Conversion]) -> SaleProblem {
    SaleProblem::AmbiguousTransaction {
        transaction: shown_id(draft.transaction_id.as_deref().unwrap_or_default()),
        click: draft.click_id.as_deref().map(shown_id),
        candidates: candidates(some, count),
    }
}

fn of_another_item(draft: &Draft, some: &[Conversion]) -> SaleProblem {
    SaleProblem::OtherItems {
        transaction: shown_id(draft.transaction_id.as_deref().unwrap_or_default()),
        item: shown_id(draft.item_id.as_deref().unwrap_or_default()),
        candidates: candidates(some, u32::try_from(some.len()).unwrap_or(u32::MAX)),
    }
}

fn candidates(some: &[Conversion], count: u32) -> CandidateSales {
    let candidate = |conversion: &Conversion| CandidateSale {
        conversion: conversion.id,
        click: click_named(conversion).map(|click| shown_id(&click)),
        item: conversion.item_id.as_deref().map(shown_id),
    };
    CandidateSales { first: some.iter().map(candidate).collect(), count }
}
