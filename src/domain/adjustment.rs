//! The rows of one sale that add up: what a network reports of an order line by line, and what it takes back of it as
//! rows below 0. Each has an id of its own.

use serde::{Deserialize, Serialize};

use crate::domain::money::Money;
use crate::domain::status::Status;

/// One row of a sale.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adjustment {
    /// By which the network knows the row. `None`: the sale was first reported without one.
    pub id: Option<String>,
    /// The item that the row is of, where it names one.
    pub item_id: Option<String>,
    /// The row's own. What is rejected or scrubbed does not count.
    pub status: Status,
    /// What ad platforms are sent of it; below 0 where it takes something back.
    pub value: Option<Money>,
    /// What the affiliate earns by it.
    pub payout: Option<Money>,
    /// What the advertiser pays for it.
    pub revenue: Option<Money>,
    /// What the customer paid.
    pub sale_amount: Option<Money>,
}

impl Adjustment {
    /// Whether it is part of the sum.
    pub fn counts(&self) -> bool {
        !matches!(self.status, Status::Rejected | Status::Scrubbed)
    }
}
