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
    let row = row_of(draft);
    match place(rows, &row) {
        AdjustmentPlace::Known => return None,
        AdjustmentPlace::Replaces(at) => *rows.get_mut(at)? = row,
        AdjustmentPlace::New => rows.push(row),
    }
    let RowTotal { status, value, payout, revenue, sale_amount } = total(rows);
    Some(Draft { status: Some(status), value, payout, revenue, sale_amount, ..draft.clone() })
}

/// Where a row belongs among those that are known.
enum AdjustmentPlace {
    /// It is one of them.
    Known,
    /// It says what the row at this place only announced, or takes that out.
    Replaces(usize),
    New,
}

/// A pending row is replaced by the first that is not: that of its id, else that of its item, else, where no items
/// are named, the oldest.
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
    if row.status == Status::Pending {
        return AdjustmentPlace::New;
    }
    let announced =
        rows.iter().position(|known| known.status == Status::Pending && known.item_id == row.item_id);
    announced.map_or(AdjustmentPlace::New, AdjustmentPlace::Replaces)
}

fn total(rows: &[Adjustment]) -> RowTotal {
    let counted: Vec<&Adjustment> = rows.iter().filter(|row| row.counts()).collect();
    let sum = |amount: fn(&Adjustment) -> Option<Money>| sum(counted.iter().filter_map(|row| amount(row)));
    let value = sum(|row| row.value);
    let is_all_pending = counted.iter().all(|row| row.status == Status::Pending);
    let status = match value {
        _ if counted.is_empty() => Status::Rejected,
        Some(value) if !value.is_above_zero() => Status::Rejected,
        _ if is_all_pending => Status::Pending,
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
