//! What the rows of one sale add up to, and where a further row belongs among them.

use rust_decimal::Decimal;

use crate::domain::adjustment::Adjustment;
use crate::domain::conversion::{Conversion, Draft};
use crate::domain::money::{Currency, Money};
use crate::domain::status::Status;

/// What all rows of a sale come to.
#[derive(Debug, Clone, PartialEq, Eq)]
struct RowTotal {
    status: Status,
    value: Option<Money>,
    payout: Option<Money>,
    revenue: Option<Money>,
    sale_amount: Option<Money>,
}

/// The row that a report is.
fn row_of(draft: &Draft) -> Adjustment {
    Adjustment {
        id: draft.adjustment_id.clone(),
        item_id: draft.item_id.clone(),
        status: draft.status.unwrap_or(Status::Approved),
        value: draft.value,
        payout: draft.payout,
        revenue: draft.revenue,
        sale_amount: draft.sale_amount,
    }
}

/// The row that a sale is which was reported without the id of one.
fn whole(conversion: &Conversion) -> Adjustment {
    Adjustment {
        id: None,
        item_id: conversion.item_id.clone(),
        status: conversion.status,
        value: conversion.value,
        payout: conversion.payout,
        revenue: conversion.revenue,
        sale_amount: conversion.sale_amount,
    }
}

/// The rows of a sale whose first report this is.
pub fn first(draft: &Draft) -> Vec<Adjustment> {
    if draft.adjustment_id.is_some() { vec![row_of(draft)] } else { Vec::new() }
}

/// Adds the row that a further report of the sale is to `rows`, those of `known`. Answers the report of the whole sale
/// that follows: its amounts are the sums of each currency's rows, of which that counts that is above 0; a sum of 0 or
/// less is rejected. `None`: the row is known already.
pub fn add(rows: &mut Vec<Adjustment>, known: &Conversion, draft: &Draft) -> Option<Draft> {
    if rows.is_empty() {
        rows.push(whole(known));
    }
    let before = total(rows).status;
    let row = row_of(draft);
    match place(rows, &row) {
        AdjustmentPlace::Known => return None,
        AdjustmentPlace::Replaces(at) => *rows.get_mut(at)? = row,
        AdjustmentPlace::New => rows.push(row),
    }
    let RowTotal { status, value, payout, revenue, sale_amount } = total(rows);
    // What a person decided stays, unless the rows say something else than before.
    let status = (status != before).then_some(status);
    Some(Draft { status, value, payout, revenue, sale_amount, ..draft.clone() })
}

/// Where a row belongs among those that are known.
enum AdjustmentPlace {
    /// It is one of them.
    Known,
    /// It says what the row at this place only announced, or takes that out.
    Replaces(usize),
    New,
}

/// A pending row is replaced by the first that is not: that of its id, else that of its item, else the oldest where
/// one of the two names no item. One that is received behind what settles it says nothing new. A return of another id
/// settles nothing.
fn place(rows: &[Adjustment], row: &Adjustment) -> AdjustmentPlace {
    let with_id = rows.iter().position(|known| known.id == row.id);
    if let Some((at, known)) = with_id.and_then(|at| Some((at, rows.get(at)?))) {
        let is_settled_now = known.status == Status::Pending && row.status != Status::Pending;
        let is_taken_out_now = known.counts() && !row.counts();
        return if is_settled_now || is_taken_out_now {
            AdjustmentPlace::Replaces(at)
        } else {
            AdjustmentPlace::Known
        };
    }
    let is_return = |row: &Adjustment| row.value.is_some_and(Money::is_below_zero);
    if row.status == Status::Pending {
        let settles = |known: &Adjustment| {
            known.status == Status::Approved
                && !is_return(known)
                && known.id.is_some()
                && is_of_item(known, row)
        };
        return if rows.iter().any(settles) { AdjustmentPlace::Known } else { AdjustmentPlace::New };
    }
    if is_return(row) {
        return AdjustmentPlace::New;
    }
    let announced = |known: &Adjustment| known.status == Status::Pending && !is_return(known);
    let exact = rows.iter().position(|known| announced(known) && known.item_id == row.item_id);
    let perhaps = || rows.iter().position(|known| announced(known) && is_of_item(known, row));
    exact.or_else(perhaps).map_or(AdjustmentPlace::New, AdjustmentPlace::Replaces)
}

/// Whether two rows name the same item, or one of them names none.
fn is_of_item(one: &Adjustment, other: &Adjustment) -> bool {
    one.item_id == other.item_id || one.item_id.is_none() || other.item_id.is_none()
}

fn total(rows: &[Adjustment]) -> RowTotal {
    let counted: Vec<&Adjustment> = rows.iter().filter(|row| row.counts()).collect();
    let sum = |amount: fn(&Adjustment) -> Option<Money>| sum(counted.iter().filter_map(|row| amount(row)));
    let value = sum(|row| row.value);
    let is_all_pending = counted.iter().all(|row| row.status == Status::Pending);
    let status = match value {
        _ if counted.is_empty() => Status::Rejected,
        Some(value) if value.is_below_zero() => Status::Rejected,
        // What is only announced may be worth nothing yet.
        _ if is_all_pending => Status::Pending,
        Some(value) if !value.is_above_zero() => Status::Rejected,
        _ => Status::Approved,
    };
    RowTotal {
        status,
        value,
        payout: sum(|row| row.payout),
        revenue: sum(|row| row.revenue),
        sale_amount: sum(|row| row.sale_amount),
    }
}

/// The sum in the currency of the first amount whose sum is above 0, else in that of the first. Amounts of different
/// currencies are never added.
fn sum(amounts: impl Iterator<Item = Money>) -> Option<Money> {
    let mut sums: Vec<(Currency, Decimal)> = Vec::new();
    for Money { amount, currency } in amounts {
        match sums.iter_mut().find(|(known, _)| *known == currency) {
            Some((_, sum)) => *sum = sum.saturating_add(amount),
            None => sums.push((currency, amount)),
        }
    }
    let mut sums = sums.into_iter().map(|(currency, sum)| Money::new(sum, currency));
    let first = sums.next()?;
    Some(std::iter::once(first).chain(sums).find(|sum| sum.is_above_zero()).unwrap_or(first))
}
