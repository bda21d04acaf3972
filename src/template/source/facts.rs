//! What is known of a network: what each fact of a source template is about, and where it is from.

use crate::template::provenance::Provenance;
use crate::template::toml_doc::table::Table;

/// A fact of a network, and what it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkFact {
    /// At least one.
    pub about: Vec<NetworkFactKind>,
    /// Where it is from.
    pub provenance: Provenance,
}

/// What of a network a fact is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NetworkFactKind {
    /// How macros are marked, and which there are.
    Macros,
    /// What carries our click id.
    ClickId,
    /// What carries the sale's number.
    TransactionId,
    /// What carries the amount, and what it is.
    Value,
    /// What carries the currency, or which it is.
    Currency,
    /// What carries the status, and what its words mean.
    Status,
    /// What carries the event, and what its words mean.
    Event,
    /// What carries the time, and how it is written.
    EventTime,
    /// Where the things of an order are.
    Items,
    /// What carries what is known of the customer.
    Customer,
    /// The parameters of its tracking links.
    Link,
    /// The answer that it wants.
    Reply,
    /// How it signs.
    Signature,
    /// When it sends the same sale again.
    Repeats,
}

impl NetworkFactKind {
    /// Every kind with its name, those first that a verified template needs.
    pub const NAMES: [(&'static str, NetworkFactKind); 14] = [
        ("macros", NetworkFactKind::Macros),
        ("click_id", NetworkFactKind::ClickId),
        ("transaction_id", NetworkFactKind::TransactionId),
        ("value", NetworkFactKind::Value),
        ("currency", NetworkFactKind::Currency),
        ("status", NetworkFactKind::Status),
        ("event", NetworkFactKind::Event),
        ("event_time", NetworkFactKind::EventTime),
        ("items", NetworkFactKind::Items),
        ("customer", NetworkFactKind::Customer),
        ("link", NetworkFactKind::Link),
        ("reply", NetworkFactKind::Reply),
        ("signature", NetworkFactKind::Signature),
        ("repeats", NetworkFactKind::Repeats),
    ];

    /// As a template writes it.
    pub fn as_str(self) -> &'static str {
        NetworkFactKind::NAMES.iter().find(|(_, kind)| *kind == self).map_or("", |(name, _)| name)
    }
}

/// Reads every `[[provenance]]` of a source template.
pub(crate) fn read(root: &Table<'_>) -> Vec<NetworkFact> {
    let read = |table: Table<'_>| {
        let about = table.all_parsed("about", |text| text.one_of(&NetworkFactKind::NAMES));
        if about.as_ref().is_none_or(Vec::is_empty) && table.require("about", "\"click_id\"") {
            table.problem(
                "about",
                "`about` names nothing",
                "write about = \"click_id\", or several of its words",
            );
        }
        let provenance = Provenance::read(&table);
        Some(NetworkFact { about: about?, provenance: provenance? })
    };
    root.tables("provenance").into_iter().filter_map(read).collect()
}
