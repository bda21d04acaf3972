//! Which facts of a source template cannot be relied on, and whether it does without them.

use crate::template::provenance::FactDoubt;
use crate::template::source::definition::{Field, SourceTemplate};
use crate::template::source::facts::NetworkFactKind;

impl SourceTemplate {
    /// Whether a sale is counted, found and changed by facts that can be relied on alone.
    pub fn is_verified(&self) -> bool {
        self.doubts().iter().all(|(kind, _)| !self.needs(*kind))
    }

    /// What of the network's facts is in doubt, and why. A kind that is needed is without any fact.
    pub fn doubts(&self) -> Vec<(NetworkFactKind, FactDoubt)> {
        let doubt = |(about, kind): (&'static str, NetworkFactKind)| {
            let of_kind = self.facts.iter().filter(|fact| fact.about.contains(&kind));
            let levels = of_kind.map(|fact| fact.provenance.level);
            FactDoubt::of(about, levels, self.needs(kind)).map(|doubt| (kind, doubt))
        };
        NetworkFactKind::NAMES.into_iter().filter_map(doubt).collect()
    }

    /// Whether the template says something of this that loses or falsifies sales where it is wrong.
    pub(crate) fn needs(&self, kind: NetworkFactKind) -> bool {
        let has = |field: Field| self.reads(field) || self.defaults.contains_key(&field);
        match kind {
            NetworkFactKind::Macros => !self.postback.is_empty(),
            NetworkFactKind::ClickId => has(Field::ClickId),
            NetworkFactKind::TransactionId => has(Field::TransactionId),
            NetworkFactKind::Value => has(Field::Value),
            NetworkFactKind::Currency => has(Field::Currency),
            NetworkFactKind::Status => has(Field::Status),
            _ => false,
        }
    }
}
