//! The limits of strangers where they are applied: which one holds for a request is what its row of the table says.

use std::sync::Arc;

use crate::domain::click_size::ClickSize;
use crate::domain::time::Time;
use crate::web::click_budget::{ClickBudget, TextBytes};
use crate::web::per_address::{LimitKey, PerAddress};
use crate::web::routes::StrangerLimit;

/// A request of someone who presents nothing.
#[derive(Debug, Clone, Copy)]
pub struct StrangerRequest {
    /// Of its row.
    pub limit: StrangerLimit,
    /// Whose requests count together.
    pub key: LimitKey,
    /// When it was received.
    pub now: Time,
}

/// What strangers have had, by each limit. Wrong keys and tokens are counted where they are looked at.
#[derive(Clone)]
pub struct StrangerBudgets {
    pixels: Arc<PerAddress>,
    tag: Arc<PerAddress>,
    /// Outlives a reload of the configuration.
    pub clicks: Arc<ClickBudget>,
}

impl StrangerBudgets {
    /// With the most requests of one address in a second, to pixels and by the tag.
    pub fn new(pixels: u32, tag: u32, clicks: &Arc<ClickBudget>) -> StrangerBudgets {
        StrangerBudgets {
            pixels: Arc::new(PerAddress::new(pixels)),
            tag: Arc::new(PerAddress::new(tag)),
            clicks: Arc::clone(clicks),
        }
    }

    /// Whether one more request from there is taken. Counts it.
    pub fn admits(&self, request: StrangerRequest) -> bool {
        let rate = match request.limit {
            StrangerLimit::Pixels => &self.pixels,
            StrangerLimit::Tag => &self.tag,
            StrangerLimit::Nothing
            | StrangerLimit::Refused
            | StrangerLimit::WrongTokens
            | StrangerLimit::Clicks => return true,
        };
        rate.admits(request.key, request.now)
    }

    /// How much of a click with these texts is recorded; `None`: nothing, and it is counted as unrecorded.
    pub fn admit_click(&self, request: StrangerRequest, texts: impl TextBytes) -> Option<ClickSize> {
        let (address, now) = (request.key.address(), request.now);
        match request.limit {
            StrangerLimit::Clicks => self.clicks.admit(address, texts, now),
            StrangerLimit::Tag => self.clicks.admit_bytes(address, texts, now),
            StrangerLimit::Nothing
            | StrangerLimit::Refused
            | StrangerLimit::WrongTokens
            | StrangerLimit::Pixels => Some(ClickSize::Full),
        }
    }

    /// Whether something else of so many bytes is recorded.
    pub fn admits_bytes(&self, request: StrangerRequest, bytes: usize) -> bool {
        match request.limit {
            StrangerLimit::Clicks | StrangerLimit::Tag => {
                self.clicks.admit_whole(request.key.address(), bytes, request.now)
            }
            StrangerLimit::Nothing
            | StrangerLimit::Refused
            | StrangerLimit::WrongTokens
            | StrangerLimit::Pixels => true,
        }
    }
}
