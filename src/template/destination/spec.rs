//! What a configuration says of one destination, and what can be wrong with it.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::domain::change_rules::OnRejected;
use crate::domain::ids::DestinationId;
use crate::template::destination::definition::DestinationTemplate;
use crate::template::destination::rendering::DestinationMode;
use crate::template::diagnostic::Problem;

/// What a configuration says of one destination.
#[derive(Clone)]
pub struct DestinationSpec {
    /// The id of the configuration.
    pub id: DestinationId,
    /// Built in, or of a user's own folder.
    pub template: Arc<DestinationTemplate>,
    /// Whether what is made of it is sent.
    pub mode: DestinationMode,
    /// Replaces scheme and host of the template's URL and goes before its path.
    pub endpoint: Option<String>,
    /// Replaces scheme and host of the address that tokens are asked for at.
    pub token_endpoint: Option<String>,
    /// What `[destination.settings]` says, by name; secrets are in it as they are used.
    pub settings: BTreeMap<String, String>,
    /// What becomes of what is rejected after it was sent; `None`: what the template says.
    pub on_rejected: Option<OnRejected>,
    /// Our event names and the platform's, over the template's table.
    pub events: BTreeMap<String, String>,
}

/// The part of a [`DestinationSpec`] that a problem is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SpecPart {
    /// The setting of this name; it may be missing.
    Setting(String),
    /// A setting that only the test mode needs.
    TestSetting(String),
    /// The event of this name.
    Event(String),
    /// What becomes of what is rejected after it was sent: the template says what may.
    OnRejected,
    /// Its mode: not every template has a test mode.
    Mode,
    /// The URL that takes the place of the template's.
    Endpoint,
    /// The same of the address that tokens are asked for at.
    TokenEndpoint,
}

impl SpecPart {
    /// The name of the setting that it is.
    pub fn setting(&self) -> Option<&str> {
        match self {
            SpecPart::Setting(name) | SpecPart::TestSetting(name) => Some(name),
            SpecPart::Event(_)
            | SpecPart::OnRejected
            | SpecPart::Mode
            | SpecPart::Endpoint
            | SpecPart::TokenEndpoint => None,
        }
    }
}

/// A problem of a [`DestinationSpec`], without its place: the caller knows the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecProblem {
    /// By what the caller finds the line.
    pub part: SpecPart,
    /// What is wrong and how to fix it.
    pub problem: Problem,
}

impl SpecProblem {
    pub(crate) fn of_setting(name: &str, problem: Problem) -> SpecProblem {
        SpecProblem { part: SpecPart::Setting(name.to_owned()), problem }
    }

    pub(crate) fn of_event(name: &str, problem: Problem) -> SpecProblem {
        SpecProblem { part: SpecPart::Event(name.to_owned()), problem }
    }
}
