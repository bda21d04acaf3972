//! What changed of a conversion, when and by whom: the entries of its history.

use serde::{Deserialize, Serialize};

use crate::domain::attribution::AttributionState;
use crate::domain::code::{CodedReason, ReasonCode, codes};
use crate::domain::ids::{ClickId, Seq};
use crate::domain::money::Money;
use crate::domain::status::Status;
use crate::domain::status_reason::StatusReason;
use crate::domain::time::Time;

/// One change to a conversion. Its number (1 and up) is the occasion of the deliveries it causes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// 1 for the first change; the occasion of the deliveries that it causes.
    pub number: u32,
    /// When it was decided.
    pub at: Time,
    /// Who or what changed it.
    pub cause: Cause,
    /// What changed; never empty.
    pub fields: Vec<FieldChange>,
    /// The conversion's status after it.
    pub status: Status,
}

/// What brought a change about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cause {
    /// A later postback with the same identity.
    Postback(Seq),
    /// The click it waited for arrived.
    Click(ClickId),
    /// Someone changed its status.
    Person {
        /// The name of their token.
        name: String,
        /// For whom they act.
        role: ActorRole,
        /// Why, in their own words.
        note: Option<String>,
    },
    /// The offer's disposition fell due.
    Disposition,
}

/// For whom a person acts who changes a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ActorRole {
    /// The network's own people and programs.
    Network,
    /// The advertiser of the offer.
    Advertiser,
}

impl ActorRole {
    /// As API and pages write it.
    pub fn as_str(self) -> &'static str {
        match self {
            ActorRole::Network => "network",
            ActorRole::Advertiser => "advertiser",
        }
    }
}

codes! {
    /// A field whose changes are kept. What is known of the person is not among them.
    ChangedField = "changed_field" {
        Status = "status",
            "the conversion has another status", "give it another one on its page, or by `POST /api/v1/conversions/{id}/status`";
        Reason = "reason",
            "why it has its status is another thing now", "see the reason's own code";
        Value = "value",
            "what it is worth is another amount", "have its sender report the right one";
        Payout = "payout",
            "what the affiliate earns is another amount", "have its sender report the right one, or correct the offer's terms";
        Revenue = "revenue",
            "what the advertiser pays is another amount", "have its sender report the right one";
        SaleAmount = "sale_amount",
            "the sale's amount is another one", "have its sender report the right one";
        ClickId = "click_id",
            "a repeat named the click that the first report lacked", "have the network send the click id with the first report";
        Attribution = "attribution",
            "the click that it waited for was received", "record clicks before their conversions are reported";
        AdUserData = "ad_user_data",
            "the visitor's answer is another one: whether ad platforms may get their data", "nothing: the latest answer counts";
        AdPersonalization = "ad_personalization",
            "the visitor's answer is another one: whether ads may be chosen by their data", "nothing: the latest answer counts";
        TransactionId = "transaction_id",
            "a repeat named the transaction id that the first report lacked", "have the network send the transaction id with the first report";
        ItemId = "item_id",
            "a repeat named the item that the first report lacked", "have the network send the item with the first report";
        Adjustment = "adjustment",
            "another row of the sale was reported, and its amounts are the sum of all", "nothing: this is how the network reports returns and further items";
    }
}

/// What a field was before a change and what it is after it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FromTo<T> {
    /// What it was.
    pub from: T,
    /// What it became.
    pub to: T,
}

/// One field that changed.
///
/// It is stored: new variants go to the end, and those that are here keep their order and their fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FieldChange {
    /// The status.
    Status(FromTo<Status>),
    /// Why the status is what it is.
    Reason(FromTo<Option<StatusReason>>),
    /// What ad platforms are sent.
    Value(FromTo<Option<Money>>),
    /// What the affiliate earns.
    Payout(FromTo<Option<Money>>),
    /// What the advertiser pays.
    Revenue(FromTo<Option<Money>>),
    /// What the customer paid.
    SaleAmount(FromTo<Option<Money>>),
    /// As it was received.
    ClickId(FromTo<Option<String>>),
    /// Whether a click earned it.
    Attribution(FromTo<AttributionState>),
    /// `None`: not asked, or not known.
    AdUserData(FromTo<Option<bool>>),
    /// Whether ads may be chosen by the visitor's data; `None`: no answer is known.
    AdPersonalization(FromTo<Option<bool>>),
    /// As it was received.
    TransactionId(FromTo<Option<String>>),
    /// As it was received.
    ItemId(FromTo<Option<String>>),
    /// The id of the row that was added, or that says now what it announced before.
    Adjustment(FromTo<Option<String>>),
}

impl FieldChange {
    /// The value before and after it, as API and pages write it: a reason by its code.
    pub fn values(&self) -> FromTo<Option<String>> {
        match self {
            FieldChange::Status(change) => change.map(|status| Some(status.as_str().to_owned())),
            FieldChange::Reason(change) => {
                change.map(|reason| Some(reason.as_ref()?.code().as_str().to_owned()))
            }
            FieldChange::Value(change)
            | FieldChange::Payout(change)
            | FieldChange::Revenue(change)
            | FieldChange::SaleAmount(change) => change.map(|money| Some(money.as_ref()?.to_string())),
            FieldChange::ClickId(change)
            | FieldChange::TransactionId(change)
            | FieldChange::ItemId(change)
            | FieldChange::Adjustment(change) => change.clone(),
            FieldChange::Attribution(change) => change.map(|state| Some(state.as_str().to_owned())),
            FieldChange::AdUserData(change) | FieldChange::AdPersonalization(change) => {
                change.map(|answer| Some(answered(*answer).to_owned()))
            }
        }
    }
}

impl<T> FromTo<T> {
    fn map<U>(&self, value: impl Fn(&T) -> U) -> FromTo<U> {
        FromTo { from: value(&self.from), to: value(&self.to) }
    }
}

fn answered(answer: Option<bool>) -> &'static str {
    match answer {
        Some(true) => "granted",
        Some(false) => "denied",
        None => "unknown",
    }
}

impl CodedReason for FieldChange {
    type Code = ChangedField;

    fn code(&self) -> ChangedField {
        match self {
            FieldChange::Status(_) => ChangedField::Status,
            FieldChange::Reason(_) => ChangedField::Reason,
            FieldChange::Value(_) => ChangedField::Value,
            FieldChange::Payout(_) => ChangedField::Payout,
            FieldChange::Revenue(_) => ChangedField::Revenue,
            FieldChange::SaleAmount(_) => ChangedField::SaleAmount,
            FieldChange::ClickId(_) => ChangedField::ClickId,
            FieldChange::Attribution(_) => ChangedField::Attribution,
            FieldChange::AdUserData(_) => ChangedField::AdUserData,
            FieldChange::AdPersonalization(_) => ChangedField::AdPersonalization,
            FieldChange::TransactionId(_) => ChangedField::TransactionId,
            FieldChange::ItemId(_) => ChangedField::ItemId,
            FieldChange::Adjustment(_) => ChangedField::Adjustment,
        }
    }

    fn field(&self) -> Option<&str> {
        Some(self.code().as_str())
    }

    fn sentence(&self) -> String {
        let values = match self {
            FieldChange::Reason(change) => change.map(|reason| reason.as_ref().map(CodedReason::sentence)),
            other => other.values(),
        };
        let shown = |value: Option<String>| value.unwrap_or_else(|| "none".to_owned());
        format!("{}: {} → {}", self.code().as_str(), shown(values.from), shown(values.to))
    }
}
