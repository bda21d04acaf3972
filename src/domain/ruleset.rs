//! What decisions go by: what each source wants, the offers, the routes, the filters. As configured now.

use std::collections::HashMap;
use std::sync::Arc;

use crate::domain::conversion::Dedup;
use crate::domain::customer::CustomerFormat;
use crate::domain::filter::FilterRules;
use crate::domain::ids::{OfferId, SourceId};
use crate::domain::offer::Offer;
use crate::domain::routing::{Route, SourcePolicy, Unmatched};
use crate::domain::status::Status;

/// All that decisions read of the configuration. Swapped whole by a reload.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ruleset {
    pub policies: HashMap<SourceId, Arc<SourcePolicy>>,
    pub offers: HashMap<OfferId, Arc<Offer>>,
    /// Every destination's route, those of outgoing postbacks included; the plan picks those that fit.
    pub routes: Vec<Route>,
    pub filters: FilterRules,
}

impl Ruleset {
    /// What the source wants; for one that is no longer configured, what is usual.
    pub fn policy(&self, source: &SourceId) -> Arc<SourcePolicy> {
        self.policies.get(source).cloned().unwrap_or_else(|| Arc::new(usual(source.clone())))
    }

    pub fn offer(&self, id: &OfferId) -> Option<&Arc<Offer>> {
        self.offers.get(id)
    }
}

/// What a source wants that says nothing: approved sales are sent; one without its click waits 3 days.
pub fn usual(source: SourceId) -> SourcePolicy {
    SourcePolicy {
        source,
        customer: CustomerFormat::default(),
        dedup: Dedup::Transaction,
        forward_status: vec![Status::Approved],
        unmatched: Unmatched::Hold { hours: 72 },
    }
}
