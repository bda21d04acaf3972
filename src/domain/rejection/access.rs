//! Why a report may not come in: its offer takes none like it, or its sender has no right to send it.

use std::fmt::Display;

use serde::{Deserialize, Serialize};

use crate::domain::code::{CodedReason, ReasonCode};
use crate::domain::event::EventName;
use crate::domain::forwarding::HidingProxy;
use crate::domain::ids::OfferId;
use crate::domain::rejection::code::RejectionCode;
use crate::domain::reporter::{ReportRoute, report_by_line};

/// Why it may not.
///
/// It is stored: new variants go to the end, and those that are here keep their order and their fields.
#[allow(missing_docs, reason = "a variant is the `RejectionCode` of the same name, which has its meaning")]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum AccessProblem {
    /// No reports are taken by the route. `open`: those by which the offer takes them.
    RouteClosed {
        offer: OfferId,
        route: ReportRoute,
        open: Vec<ReportRoute>,
    },
    /// The offer takes reports by servers from listed addresses only.
    AddressNotListed {
        offer: OfferId,
    },
    /// The event is none that routes without a key may report. `field`: the parameter that names it; `open`: those
    /// that they may.
    EventClosed {
        field: String,
        offer: OfferId,
        event: EventName,
        open: Vec<EventName>,
    },
    SenderBehindProxy {
        offer: OfferId,
        proxy: HidingProxy,
    },
    /// The key's name.
    ReadOnlyKey {
        name: String,
    },
    MissingKey {
        place: KeyPlace,
    },
    NoKeyConfigured,
    /// The key in a postback's path.
    BadPathKey,
    BadKey {
        place: KeyPlace,
    },
    UnknownSource,
    TooFast,
    /// In the words of the reader of HTTP.
    MalformedRequest {
        error: String,
    },
    /// More bytes than a request line may have.
    RequestLineTooLong,
    /// More headers, or larger ones, than a request may have.
    HeadersTooLarge,
    /// It was not whole in time.
    RequestTimeout,
    /// There was no room for it; it was to be sent again.
    Overloaded,
    /// A fault of this program's own.
    InternalError,
}

/// Where the network's API looks for a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyPlace {
    /// The query of the URL.
    Query,
    /// A JSON body.
    Body,
}

impl AccessProblem {
    /// Whether the report may count later as it was received.
    pub(super) fn may_reopen(&self) -> bool {
        match self {
            AccessProblem::RouteClosed { .. }
            | AccessProblem::AddressNotListed { .. }
            | AccessProblem::EventClosed { .. }
            | AccessProblem::SenderBehindProxy { .. } => true,
            AccessProblem::ReadOnlyKey { .. }
            | AccessProblem::MissingKey { .. }
            | AccessProblem::NoKeyConfigured
            | AccessProblem::BadPathKey
            | AccessProblem::BadKey { .. }
            | AccessProblem::UnknownSource
            | AccessProblem::TooFast
            | AccessProblem::MalformedRequest { .. }
            | AccessProblem::RequestLineTooLong
            | AccessProblem::HeadersTooLarge
            | AccessProblem::RequestTimeout
            | AccessProblem::Overloaded
            | AccessProblem::InternalError => false,
        }
    }
}

impl CodedReason for AccessProblem {
    type Code = RejectionCode;

    fn code(&self) -> RejectionCode {
        match self {
            AccessProblem::RouteClosed { .. } | AccessProblem::AddressNotListed { .. } => {
                RejectionCode::EndpointClosed
            }
            AccessProblem::EventClosed { .. } => RejectionCode::EventClosed,
            AccessProblem::SenderBehindProxy { .. } => RejectionCode::SenderBehindProxy,
            AccessProblem::ReadOnlyKey { .. } => RejectionCode::ReadOnlyKey,
            AccessProblem::MissingKey { .. } => RejectionCode::MissingKey,
            AccessProblem::NoKeyConfigured => RejectionCode::NoKeyConfigured,
            AccessProblem::BadPathKey | AccessProblem::BadKey { .. } => RejectionCode::BadKey,
            AccessProblem::UnknownSource => RejectionCode::UnknownSource,
            AccessProblem::TooFast => RejectionCode::TooFast,
            AccessProblem::MalformedRequest { .. } => RejectionCode::MalformedRequest,
            AccessProblem::RequestLineTooLong => RejectionCode::RequestLineTooLong,
            AccessProblem::HeadersTooLarge => RejectionCode::HeadersTooLarge,
            AccessProblem::RequestTimeout => RejectionCode::RequestTimeout,
            AccessProblem::Overloaded => RejectionCode::Overloaded,
            AccessProblem::InternalError => RejectionCode::InternalError,
        }
    }

    fn field(&self) -> Option<&str> {
        match self {
            AccessProblem::RouteClosed { .. } => Some("report_by"),
            AccessProblem::AddressNotListed { .. } | AccessProblem::SenderBehindProxy { .. } => {
                Some("report_from")
            }
            AccessProblem::EventClosed { field, .. } => Some(field),
            AccessProblem::MissingKey { .. } | AccessProblem::BadKey { .. } => Some("api_key"),
            _ => None,
        }
    }

    /// The route or the event. Keys and addresses are not shown.
    fn value(&self) -> Option<&str> {
        match self {
            AccessProblem::RouteClosed { route, .. } => Some(route.as_str()),
            AccessProblem::EventClosed { event, .. } => Some(event.as_str()),
            _ => None,
        }
    }

    fn sentence(&self) -> String {
        match self {
            AccessProblem::RouteClosed { offer, route, .. } => {
                format!("the offer {offer} takes no reports by `{}`", route.as_str())
            }
            AccessProblem::AddressNotListed { offer } => only_listed(offer),
            AccessProblem::EventClosed { offer, event, .. } => {
                format!("the offer {offer} takes no `{event}` by pixel or server")
            }
            // The caller learns nothing of our network: the proxy's address is in the log, on the first page and
            // with the record.
            AccessProblem::SenderBehindProxy { offer, proxy } => {
                let why = match proxy {
                    HidingProxy::Undeclared(_) => {
                        "a proxy that was not declared when it was received hides whose this one is"
                    }
                    HidingProxy::Silent(_) => "the proxy in front does not say whose this one is",
                };
                format!("{}, and {why}", only_listed(offer))
            }
            AccessProblem::ReadOnlyKey { name } => {
                format!("the key `{name}` may look at conversions, not report or change them")
            }
            AccessProblem::MissingKey { .. } => "`api_key` is missing".to_owned(),
            AccessProblem::BadPathKey => "the key in the path is not this source's".to_owned(),
            AccessProblem::BadKey { .. } => "`api_key` is none of the configured keys".to_owned(),
            AccessProblem::MalformedRequest { error } => error.clone(),
            _ => self.code().meaning().to_owned(),
        }
    }

    fn hint(&self) -> String {
        match self {
            AccessProblem::RouteClosed { route, open, .. } => {
                let line = report_by_line(open, *route);
                format!("to open it, the network has to put {line} into the offer's table")
            }
            AccessProblem::AddressNotListed { .. } => "to open it, the network has to add the sender's address \
                to `report_from` in the offer's table"
                .to_owned(),
            AccessProblem::EventClosed { event, open, .. } => {
                let all: Vec<&str> = open.iter().chain([event]).map(EventName::as_str).collect();
                format!("to open it, the network has to put `pixel_events = {all:?}` into the offer's table")
            }
            AccessProblem::SenderBehindProxy { proxy: HidingProxy::Undeclared(_), .. } => "to open it, the \
                network has to declare the proxy in `trusted_proxies` under [server] (the log and the first page \
                name it), and then to reprocess this report, where it believes the addresses that it named"
                .to_owned(),
            AccessProblem::SenderBehindProxy { proxy: HidingProxy::Silent(_), .. } => "to open it, the network \
                has to have the proxy send `X-Forwarded-For`; then the sender has to send the report again"
                .to_owned(),
            AccessProblem::MissingKey { place } | AccessProblem::BadKey { place } => match place {
                KeyPlace::Query => "send `api_key` in the query; keys are the tokens under [api]",
                KeyPlace::Body => {
                    "send `api_key` as a member of the JSON body; keys are the tokens under [api]"
                }
            }
            .to_owned(),
            AccessProblem::NoKeyConfigured => "set one in postbridge.toml: [api] tokens = [{ name = \"ops\", \
                token = { env = \"POSTBRIDGE_TOKEN\" }, rights = [\"network\"] }]"
                .to_owned(),
            AccessProblem::BadPathKey => "copy the postback URL from `postbridge url SOURCE`".to_owned(),
            _ => self.code().fix().to_owned(),
        }
    }
}

fn only_listed(offer: &impl Display) -> String {
    let route = ReportRoute::Server.as_str();
    format!("the offer {offer} takes reports by `{route}` only from the addresses of `report_from`")
}
