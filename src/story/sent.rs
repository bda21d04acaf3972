//! What a story says that the destination of a change was sent before it.

use std::collections::BTreeMap;

use rust_decimal::Decimal;

use crate::domain::click::Pairs;
use crate::domain::money::{Currency, Money};
use crate::domain::sent::{DeliveryKind, SentEvent};
use crate::domain::time::Time;
use crate::template::diagnostic::Problem;
use crate::template::toml_doc::table::Table;
use crate::template::toml_doc::text::Text;
use crate::template::typed_text::{currency, decimal};

/// `[sent]` of a story: each member that is absent is what the first delivery of its conversion would say.
pub(crate) struct StorySent {
    kind: Option<DeliveryKind>,
    event: Option<String>,
    value: Option<Decimal>,
    currency: Option<Currency>,
    event_time: Option<Time>,
    transaction_id: Option<String>,
    ids: Option<Pairs>,
    reply: Option<Pairs>,
}

impl StorySent {
    /// Reads the table.
    pub(crate) fn read(table: &Table<'_>) -> StorySent {
        let kinds = DeliveryKind::ALL.map(|kind| (kind.as_str(), kind));
        let text = |key: &'static str| table.text(key).map(|text| text.value);
        StorySent {
            kind: table.parsed("kind", |text| text.one_of(&kinds)),
            event: text("event"),
            value: table.parsed("value", decimal),
            currency: table.parsed("currency", currency),
            event_time: table.parsed("event_time", time),
            transaction_id: text("transaction_id"),
            ids: pairs(table, "ids"),
            reply: pairs(table, "reply"),
        }
    }

    /// What it says, and else what `first` does.
    pub(crate) fn over(&self, first: SentEvent) -> SentEvent {
        let money = self.currency.or(first.value.map(|value| value.currency));
        let value = self.value.zip(money).map(|(amount, currency)| Money::new(amount, currency));
        SentEvent {
            kind: self.kind.unwrap_or(first.kind),
            event: self.event.clone().unwrap_or(first.event),
            value: value.or(first.value),
            event_time: self.event_time.unwrap_or(first.event_time),
            event_id: first.event_id,
            transaction_id: self.transaction_id.clone().or(first.transaction_id),
            ids: self.ids.clone().unwrap_or(first.ids),
            reply: self.reply.clone().unwrap_or(first.reply),
        }
    }
}

fn pairs(table: &Table<'_>, key: &'static str) -> Option<Pairs> {
    let texts: BTreeMap<&str, Text> = table.table(key)?.free_texts().into_iter().collect();
    Some(texts.into_iter().map(|(name, text)| (name.to_owned(), text.value)).collect())
}

/// A moment by RFC 3339.
pub(crate) fn time(text: &Text) -> Result<Time, Problem> {
    let what = || format!("{} is not a time", text.shown());
    let hint = "write it by RFC 3339, as in \"2026-11-27T10:15:00Z\"";
    Time::parse(&text.value).ok_or_else(|| Problem::new(what(), hint))
}
