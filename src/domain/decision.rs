//! The one decision about everything that reports a sale: new, changed, repeated or wrong. Pure but for
//! the look-ups it is handed.

use crate::domain::adjustment_sum;
use crate::domain::attribution::{Attribution, canonical_click};
use crate::domain::conversion::{Conversion, Dedup, Draft, EventClaim, push_change, reported_status};
use crate::domain::dedup::{AmountRule, FurtherIdentity, Identity, ReportMatch, shown_id};
use crate::domain::earning::{self, JoinedClick};
use crate::domain::event::EventName;
use crate::domain::facts::Facts;
use crate::domain::history::{Cause, FieldChange, FromTo};
use crate::domain::ids::{ConversionId, OfferId, Seq};
use crate::domain::money::Money;
use crate::domain::once::{self, ConversionIds, EarlierReport, MeantEvent, OnceKey};
use crate::domain::rejection::Rejection;
use crate::domain::rejection::click_not_taken::ClickNotTaken;
use crate::domain::rejection::note::ReportNote;
use crate::domain::rejection::sale::SaleProblem;
use crate::domain::remark::{self, Remark};
use crate::domain::ruleset::Ruleset;
use crate::domain::status::Status;
use crate::domain::time::Time;

/// What a postback is to what is already known. Its notes are those of its draft and those of the decision.
#[allow(missing_docs, reason = "the comment of a variant says what its fields are")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// It means nothing that is known: a conversion of its own, as it is to be stored.
    New { conversion: Conversion, notes: Vec<ReportNote> },
    /// The conversion after the change; the change is its history's last.
    Update { conversion: Conversion, notes: Vec<ReportNote> },
    /// It says what is known already: the conversion as it was.
    Duplicate { conversion: Conversion, notes: Vec<ReportNote> },
    /// It is wrong, or no one can know what it means: a person has to look.
    Quarantine(Rejection),
    /// A further sale of a click that has as many as may wait: strangers can report any number of them, so it is
    /// the caller's to keep, within what is kept of strangers.
    Surplus(Rejection),
    /// It takes back a sale that is not known (yet): it is to be decided again once a conversion of one of
    /// these identities is received.
    UnknownSale { rejection: Rejection, sales: Vec<ConversionId> },
}

/// When and as what a postback arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArrivalContext {
    /// Its own number, also where it reprocesses another one.
    pub seq: Seq,
    /// When its bytes were received.
    pub at: Time,
    /// When it is decided: later than `at` where a postback is reprocessed.
    pub now: Time,
}

/// Decides what `draft` is. Errors are only those of the look-ups.
pub fn decide<F: Facts>(
    rules: &Ruleset,
    draft: &Draft,
    arrived: ArrivalContext,
    facts: &F,
) -> Result<Decision, F::Error> {
    let dedup = rules.policy(&draft.source).dedup;
    if let (None, Some(offer), Dedup::Click) = (&draft.network.key, &draft.network.offer, dedup) {
        return decide_keyless(rules, (draft, offer), arrived, facts);
    }
    decide_known(rules, draft, (arrived, dedup), facts)
}

/// Decides a report on a route without a key: see [`OnceKey::earlier`] for what makes it one with another.
fn decide_keyless<F: Facts>(
    rules: &Ruleset,
    (draft, offer): (&Draft, &OfferId),
    arrived: ArrivalContext,
    facts: &F,
) -> Result<Decision, F::Error> {
    // Whose click it is must be known first: here, where every earlier click is.
    let joined = earning::join_click(rules, draft, happened(draft, arrived), facts)?;
    let known = OnceKey::of(draft, joined.as_ref().ok().map(|joined| &joined.attribution));
    let meant = MeantEvent::by(draft, rules.offer(offer).map(AsRef::as_ref));
    let ids = match known.map(|known| known.earlier(&draft.source, (offer, &meant), facts)).transpose()? {
        Some(EarlierReport::Repeated(earlier)) => {
            return again_by_key(rules, *earlier, (draft, draft.notes.clone()), (arrived, facts));
        }
        Some(EarlierReport::None(ids)) => Some(ids),
        None => None,
    };
    match joined {
        Ok(joined) => first_keyless(rules, (draft, meant.event), (ids, joined), (arrived, facts)),
        Err(problem) => Ok(Decision::Quarantine(problem.into())),
    }
}

/// The first report of a sale on a route without a key. `ids`: `None` where nothing would know it again.
fn first_keyless<F: Facts>(
    rules: &Ruleset,
    (draft, event): (&Draft, EventName),
    (ids, joined): (Option<ConversionIds>, JoinedClick),
    (arrived, facts): (ArrivalContext, &F),
) -> Result<Decision, F::Error> {
    let mut notes = draft.notes.clone();
    notes.extend(joined.note.clone());
    let mut conversion = fresh(draft, arrived);
    conversion.once = Some(event);
    earning::settle(rules, &mut conversion, draft, joined, facts)?;
    if let Err(surplus) = once::hold_further(rules, &mut conversion, facts)? {
        return Ok(Decision::Surplus(surplus.into()));
    }
    conversion.id = match ids {
        Some(ids) => ids.of(&conversion),
        None => {
            let unknown = Identity::of(draft, Dedup::Click, arrived.seq);
            let id = unknown.id(draft, &conversion.event);
            notes.extend(unknown.note);
            id
        }
    };
    Ok(Decision::New { conversion, notes })
}

fn happened(draft: &Draft, arrived: ArrivalContext) -> Time {
    draft.event_time.map_or(arrived.at, |reported| reported.min(arrived.at))
}

fn decide_known<F: Facts>(
    rules: &Ruleset,
    draft: &Draft,
    (arrived, dedup): (ArrivalContext, Dedup),
    facts: &F,
) -> Result<Decision, F::Error> {
    let identity = Identity::of(draft, dedup, arrived.seq);
    let mut notes = draft.notes.clone();
    notes.extend(identity.note.clone());
    let reused = match identity.belonging(draft, facts)? {
        ReportMatch::Known(earlier) if draft.network.key.is_some() => {
            return again_by_key(rules, *earlier, (draft, notes), (arrived, facts));
        }
        ReportMatch::Known(earlier) => {
            let again = RepeatReport { draft, arrived, notes, amounts: identity.amounts };
            return repeat(rules, *earlier, again, facts);
        }
        ReportMatch::Ambiguous(problem) => return Ok(Decision::Quarantine(problem.into())),
        ReportMatch::New(reused) => reused,
    };
    if let Some(value) = draft.value.filter(|value| value.is_below_zero())
        && (matches!(draft.event, EventClaim::ByValue { .. }) || draft.adjustment_id.is_some())
    {
        let rejection = Rejection::from(unknown_reversal(draft, value));
        return Ok(Decision::UnknownSale { rejection, sales: identity.sales(draft) });
    }
    let joined = match earning::join_click(rules, draft, happened(draft, arrived), facts)? {
        Ok(joined) => joined,
        Err(problem) => return Ok(Decision::Quarantine(problem.into())),
    };
    notes.extend(joined.note.clone());
    let mut conversion = fresh(draft, arrived);
    earning::settle(rules, &mut conversion, draft, joined, facts)?;
    conversion.id = identity.id(draft, &conversion.event);
    notes.extend(reused.map(|reused| reuse(&mut conversion, *reused)));
    Ok(Decision::New { conversion, notes })
}

/// What a report is of a conversion that has its key: the first one stays as it is, but for a click that it
/// lacked.
fn again_by_key<F: Facts>(
    rules: &Ruleset,
    earlier: Conversion,
    (draft, mut notes): (&Draft, Vec<ReportNote>),
    (arrived, facts): (ArrivalContext, &F),
) -> Result<Decision, F::Error> {
    let why_not = match with_click(rules, &earlier, draft, (arrived, facts))? {
        BroughtClick::Click(conversion) => return Ok(Decision::Update { conversion: *conversion, notes }),
        BroughtClick::Unfit(why) => Some(ReportNote::ClickNotTaken(why)),
        BroughtClick::Nothing => None,
    };
    let differs = draft.value.is_some() && draft.value != earlier.value;
    notes.extend(differs.then_some(ReportNote::AnotherValue));
    notes.extend(why_not);
    Ok(Decision::Duplicate { conversion: earlier, notes })
}

/// Marks a conversion whose transaction id another one has, and says which.
fn reuse(conversion: &mut Conversion, reused: FurtherIdentity) -> ReportNote {
    let FurtherIdentity { id, reuse, first_click } = reused;
    let click = first_click.map(|click| shown_id(&click));
    let note = ReportNote::TransactionReused { first: reuse.first, click };
    conversion.remarks.push(Remark::TransactionReused { first: reuse.first, nth: reuse.nth });
    (conversion.id, conversion.reuse) = (id, Some(reuse));
    note
}

/// What a repeat under a key brings a conversion that has no click.
enum BroughtClick {
    /// The conversion with its click.
    Click(Box<Conversion>),
    /// A click that the conversion is not joined to, and why.
    Unfit(ClickNotTaken),
    Nothing,
}

/// Joins a conversion that has no click to the one that a repeat under its key names. A click that is not recorded
/// or was too late brings nothing: anyone could name one. Nor does one that would take a sale back that a route
/// without a key reported: anyone can repeat it there.
fn with_click<F: Facts>(
    rules: &Ruleset,
    earlier: &Conversion,
    draft: &Draft,
    (arrived, facts): (ArrivalContext, &F),
) -> Result<BroughtClick, F::Error> {
    if earlier.attribution != Attribution::NoClickId {
        return Ok(BroughtClick::Nothing);
    }
    let joined = earning::join_click(rules, draft, earlier.event_time, facts)?;
    let Some(joined) = joined.ok().filter(|joined| joined.attribution.is_matched()) else {
        return Ok(BroughtClick::Nothing);
    };
    let mut now = earlier.clone();
    let named = joined.attribution.click().map(|click| click_named(click.as_str()));
    let moved = earning::rejoin(rules, &mut now, joined, facts)?;
    if let Some(taken) = once::taken_click(rules, &now, facts)? {
        return Ok(BroughtClick::Unfit(taken));
    }
    if moved.is_some() && earlier.once.is_some() {
        return Ok(BroughtClick::Unfit(ClickNotTaken::WouldBe { status: now.status }));
    }
    let fields = named.into_iter().chain(moved).collect();
    push_change(&mut now, arrived.now, Cause::Postback(arrived.seq), fields);
    Ok(BroughtClick::Click(Box::new(now)))
}

fn unknown_reversal(draft: &Draft, value: Money) -> SaleProblem {
    SaleProblem::UnknownTransaction {
        received: draft.negative_received.clone(),
        value,
        transaction: draft.transaction_id.as_deref().map(shown_id),
    }
}

/// The conversion as it was reported. Its id, and what depends on its click and offer, is settled next.
fn fresh(draft: &Draft, arrived: ArrivalContext) -> Conversion {
    let happened = happened(draft, arrived);
    let event = match &draft.event {
        EventClaim::Named(name) => name,
        EventClaim::ByValue { zero, .. } => zero,
    };
    Conversion {
        id: ConversionId::derive(&draft.source, event.as_str(), ""),
        seq: arrived.seq,
        source: draft.source.clone(),
        event: event.clone(),
        status: reported_status(draft).unwrap_or(Status::Approved),
        transaction_id: draft.transaction_id.clone(),
        attribution: Attribution::NoClickId,
        item_id: draft.item_id.clone(),
        items: draft.items.clone(),
        adjustments: adjustment_sum::first(draft),
        value: draft.value,
        payout: draft.payout,
        revenue: draft.revenue,
        sale_amount: draft.sale_amount,
        event_time: happened,
        received_at: arrived.at,
        traits: draft.traits.clone(),
        params: draft.params.clone(),
        history: Vec::new(),
        campaign_ref: None,
        payout_from: None,
        reason: None,
        remarks: Vec::new(),
        consent: draft.consent.said_at(happened),
        not_routed: Vec::new(),
        considered: Vec::new(),
        disposition: None,
        reuse: None,
        once: None,
    }
}

/// Another reporting of something known.
struct RepeatReport<'a> {
    draft: &'a Draft,
    arrived: ArrivalContext,
    notes: Vec<ReportNote>,
    amounts: AmountRule,
}

fn repeat<F: Facts>(
    rules: &Ruleset,
    earlier: Conversion,
    again: RepeatReport<'_>,
    facts: &F,
) -> Result<Decision, F::Error> {
    let RepeatReport { draft, arrived, mut notes, mut amounts } = again;
    let mut now = earlier.clone();
    let mut fields = Vec::new();
    let summed;
    let draft = if draft.adjustment_id.is_some() {
        let Some(sum) = adjustment_sum::add(&mut now.adjustments, &earlier, draft) else {
            return Ok(Decision::Duplicate { conversion: earlier, notes });
        };
        let row = Some(draft.adjustment_id.clone().unwrap_or_default());
        fields.push(FieldChange::Adjustment(FromTo { from: None, to: row }));
        // The rows distinguish what nothing else does.
        amounts = AmountRule::Change;
        summed = sum;
        &summed
    } else {
        draft
    };
    notes.extend(change_status(&mut fields, &mut now, draft));
    let differs = draft.value != earlier.value;
    let both =
        draft.value.is_some_and(Money::is_above_zero) && earlier.value.is_some_and(Money::is_above_zero);
    if amounts == AmountRule::FirstWins && both && differs {
        notes.push(ReportNote::SecondSaleIndistinct);
    } else {
        change_amounts(&mut fields, &mut now, draft);
        fields.extend(earning::reprice(rules, &mut now, draft, &earlier));
    }
    change_consent(&mut fields, &mut now, draft, arrived);
    match (&earlier.attribution, draft.click_id.as_deref()) {
        (Attribution::NoClickId, Some(given)) => {
            match earning::join_click(rules, draft, now.event_time, facts)? {
                Ok(joined) => {
                    fields.push(click_named(given));
                    fields.extend(earning::rejoin(rules, &mut now, joined, facts)?);
                }
                Err(problem) => {
                    notes.push(ReportNote::ClickNotTaken(ClickNotTaken::Unusable(Box::new(problem))));
                }
            }
        }
        (had, Some(given)) => notes.extend(another_click(had, given)),
        _ => {}
    }
    if fields.is_empty() {
        return Ok(Decision::Duplicate { conversion: earlier, notes });
    }
    let is_erased = remark::erased_at(&now.remarks).is_some();
    // What was erased is not filled in again.
    if !is_erased {
        now.traits.fill(&draft.traits);
    }
    if now.items.is_empty() && !is_erased {
        now.items.clone_from(&draft.items);
    }
    fields.extend(named_now(&mut now.item_id, draft.item_id.as_ref()).map(FieldChange::ItemId));
    let transaction = named_now(&mut now.transaction_id, draft.transaction_id.as_ref());
    fields.extend(transaction.map(FieldChange::TransactionId));
    push_change(&mut now, arrived.now, Cause::Postback(arrived.seq), fields);
    Ok(Decision::Update { conversion: now, notes })
}

/// Takes an id that the first report lacked.
fn named_now(known: &mut Option<String>, reported: Option<&String>) -> Option<FromTo<Option<String>>> {
    let taken = reported.filter(|_| known.is_none())?;
    *known = Some(taken.clone());
    Some(FromTo { from: None, to: Some(taken.clone()) })
}

fn click_named(given: &str) -> FieldChange {
    FieldChange::ClickId(FromTo { from: None, to: Some(given.to_owned()) })
}

/// Takes what a repeat says of the visitor's consent, where that is later than what is known, or stricter.
fn change_consent(
    fields: &mut Vec<FieldChange>,
    now: &mut Conversion,
    draft: &Draft,
    arrived: ArrivalContext,
) {
    let mut known = now.consent.answers();
    now.consent = now.consent.latest(draft.consent.said_at(happened(draft, arrived)));
    let said = now.consent.answers();
    change(fields, FieldChange::AdUserData, &mut known.ad_user_data, said.ad_user_data);
    change(fields, FieldChange::AdPersonalization, &mut known.ad_personalization, said.ad_personalization);
}

fn another_click(had: &Attribution, given: &str) -> Option<ReportNote> {
    let had = had.given().filter(|had| canonical_click(had) != canonical_click(given))?;
    Some(ReportNote::AnotherClick { given: given.to_owned(), kept: had.to_owned() })
}

/// Takes a status that is reported. What was scrubbed here stays so: only a person takes it back.
fn change_status(fields: &mut Vec<FieldChange>, now: &mut Conversion, draft: &Draft) -> Option<ReportNote> {
    let reported = reported_status(draft)?;
    if now.status == Status::Scrubbed && reported != Status::Scrubbed {
        return Some(ReportNote::StaysScrubbed { reported });
    }
    if now.status != reported {
        now.disposition = None;
        now.reason = None;
    }
    change(fields, FieldChange::Status, &mut now.status, reported);
    None
}

fn change_amounts(fields: &mut Vec<FieldChange>, now: &mut Conversion, draft: &Draft) {
    type Amount = fn(FromTo<Option<Money>>) -> FieldChange;
    let amounts: [(Amount, _, _); 4] = [
        (FieldChange::Value, &mut now.value, draft.value),
        (FieldChange::Payout, &mut now.payout, draft.payout),
        (FieldChange::Revenue, &mut now.revenue, draft.revenue),
        (FieldChange::SaleAmount, &mut now.sale_amount, draft.sale_amount),
    ];
    for (field, known, reported) in amounts {
        if reported.is_some() {
            change(fields, field, known, reported);
        }
    }
}

fn change<T: PartialEq + Copy>(
    fields: &mut Vec<FieldChange>,
    field: impl Fn(FromTo<T>) -> FieldChange,
    known: &mut T,
    reported: T,
) {
    if *known != reported {
        fields.push(field(FromTo { from: *known, to: reported }));
        *known = reported;
    }
}
