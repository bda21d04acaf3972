//! Clicks whose visitors were sent on without a record: counted, by the reason.

/// Why a click is not recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnrecordedReason {
    /// Free disk space is below the reserve.
    Disk,
}

impl UnrecordedReason {
    pub fn as_str(self) -> &'static str {
        match self {
            UnrecordedReason::Disk => "disk",
        }
    }
}

/// Counts one.
pub fn count(reason: UnrecordedReason) {
    metrics::counter!("postbridge_unrecorded_clicks_total", "reason" => reason.as_str()).increment(1);
}
