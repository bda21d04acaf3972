//! An amount: a decimal as text, and its currency.

use serde::Serialize;

use crate::domain::money::Money;

/// `{"amount":"7.50","currency":"USD"}`.
#[derive(Serialize)]
pub struct MoneyView {
    amount: String,
    currency: String,
}

impl MoneyView {
    pub fn of(money: Money) -> MoneyView {
        MoneyView { amount: money.amount.to_string(), currency: money.currency.to_string() }
    }
}
