//! What decisions go by: what each source wants, the offers, the routes, the filters. As configured now.

use std::collections::HashMap;
use std::sync::Arc;

use crate::domain::conversion::Dedup;
use crate::domain::customer::CustomerFormat;
use crate::domain::filter::FilterRules;
use crate::domain::ids::{DestinationId, OfferId, SourceId};
use crate::domain::offer::Offer;
use crate::domain::routing::{Route, SourcePolicy, Unmatched};
use crate::domain::status::Status;
use crate::domain::target::TargetId;

/// All that decisions read of the configuration. Swapped whole by a reload.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ruleset {
    /// What each source wants done with its conversions.
    pub policies: HashMap<SourceId, Arc<SourcePolicy>>,
    /// The terms of every offer.
    pub offers: HashMap<OfferId, Arc<Offer>>,
    /// Every destination's route, those of outgoing postbacks included; the plan picks those that fit.
    pub routes: Vec<Route>,
    /// Of every destination that shares its target with others: which target that is. One that is off belongs to its
    /// own all the same, so that what waits for it is looked at. Each that is not named here has a target alone.
    pub targets: HashMap<DestinationId, TargetId>,
    /// What is odd about a click, and what is done about it.
    pub filters: FilterRules,
}

impl Ruleset {
    /// What the source wants; for one that is no longer configured, what is usual.
    pub fn policy(&self, source: &SourceId) -> Arc<SourcePolicy> {
        self.policies.get(source).cloned().unwrap_or_else(|| Arc::new(usual(source.clone())))
    }

    /// The terms of an offer; `None` once it is out of the configuration.
    pub fn offer(&self, id: &OfferId) -> Option<&Arc<Offer>> {
        self.offers.get(id)
    }
}

/// What a source wants that says nothing: approved sales are sent; one without its click waits 3 days.
pub fn usual(source: SourceId) -> SourcePolicy {
    SourcePolicy {
        source,
        customer: CustomerFormat::default(),
        click_sub_id: None,
        dedup: Dedup::Transaction,
        forward_status: vec![Status::Approved],
        unmatched: Unmatched::Hold { hours: 72 },
    }
}
