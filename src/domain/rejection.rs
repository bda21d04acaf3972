//! Why a postback was not accepted, as a code that programs can compare.

use serde::{Deserialize, Serialize};

/// The reason of a quarantine or a refusal. What it is about is [`Fault::field`].
///
/// [`Fault::field`]: crate::domain::postback::Fault::field
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RejectionCode {
    /// The body has a `Content-Encoding` that is not read here.
    UnsupportedEncoding,
    /// An id that dedup or attribution needs holds bytes that are no text in the declared charset.
    UnreadableBytes,
    /// It takes back, or repeats without a click id, a transaction id that several conversions have.
    AmbiguousTransaction,
    /// It takes back a transaction that no conversion has (yet).
    UnknownTransaction,
    /// The body is not what its `Content-Encoding` says: it cannot be inflated.
    DamagedEncoding,
    /// The offer takes no reports by this route, from this address or of this event.
    EndpointClosed,
    /// The offer takes reports only from the addresses it names, and a proxy hides whose this one is.
    SenderBehindProxy,
    /// As many further sales of its click, offer and event wait for a person as may: see
    /// [`crate::domain::once::MOST_WAITING`].
    TooManyFurtherSales,
}

impl RejectionCode {
    pub const ALL: [RejectionCode; 8] = [
        RejectionCode::UnsupportedEncoding,
        RejectionCode::UnreadableBytes,
        RejectionCode::AmbiguousTransaction,
        RejectionCode::UnknownTransaction,
        RejectionCode::DamagedEncoding,
        RejectionCode::EndpointClosed,
        RejectionCode::SenderBehindProxy,
        RejectionCode::TooManyFurtherSales,
    ];

    /// Whether a report that fails for this alone may count later as it was received: once the configuration
    /// allows it, or a person has made room for it.
    pub fn may_reopen(self) -> bool {
        use RejectionCode::{EndpointClosed, SenderBehindProxy, TooManyFurtherSales};
        matches!(self, EndpointClosed | SenderBehindProxy | TooManyFurtherSales)
    }

    /// As API and pages write it.
    pub fn as_str(self) -> &'static str {
        match self {
            RejectionCode::UnsupportedEncoding => "unsupported_encoding",
            RejectionCode::UnreadableBytes => "unreadable_bytes",
            RejectionCode::AmbiguousTransaction => "ambiguous_transaction",
            RejectionCode::UnknownTransaction => "unknown_transaction",
            RejectionCode::DamagedEncoding => "damaged_encoding",
            RejectionCode::EndpointClosed => "endpoint_closed",
            RejectionCode::SenderBehindProxy => "sender_behind_proxy",
            RejectionCode::TooManyFurtherSales => "too_many_further_sales",
        }
    }
}
