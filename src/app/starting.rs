//! A relay before its store is open: it listens, and answers that it is to be asked again.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::app::listeners::Listeners;
use crate::app::measure::Recorder;
use crate::config::configuration::Config;
use crate::domain::ruleset::Ruleset;
use crate::ingest::landing::VisitorEnricher;
use crate::web::WebListener;

/// A relay that listens, and whose store was not touched yet. Dropping it has the listeners close.
pub struct Starting {
    pub(super) endpoints: Listeners,
    pub(super) web: WebListener,
    pub(super) config: Arc<Config>,
    pub(super) rules: Arc<Ruleset>,
    pub(super) enricher: VisitorEnricher,
    pub(super) metrics: Recorder,
}

impl Starting {
    /// Where networks and visitors come in.
    pub fn address(&self) -> SocketAddr {
        self.endpoints.address
    }

    /// Where pages, API and metrics are, if they are elsewhere.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.endpoints.admin_address
    }
}
