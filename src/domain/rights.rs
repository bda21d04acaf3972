//! What the holder of a token may do.

use crate::domain::ids::AdvertiserId;

/// One right of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Right {
    /// Everything: the network's own people.
    Network,
    /// Looking at everything, changing nothing.
    Read,
    /// The network's API, for the offers of this advertiser alone. No pages, no `/api/v1`.
    Advertiser(AdvertiserId),
}

/// The rights of one token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rights(Vec<Right>);

impl Rights {
    /// Exactly these rights.
    pub fn new(rights: Vec<Right>) -> Rights {
        Rights(rights)
    }

    /// Of a token that names none.
    pub fn everything() -> Rights {
        Rights(vec![Right::Network])
    }

    /// Whether it may change anything.
    pub fn may_change_all(&self) -> bool {
        self.0.contains(&Right::Network)
    }

    /// Whether it may look at everything.
    pub fn may_read_all(&self) -> bool {
        self.0.iter().any(|right| matches!(right, Right::Network | Right::Read))
    }

    /// The advertisers whose offers it reaches in addition.
    pub fn advertisers(&self) -> impl Iterator<Item = &AdvertiserId> {
        self.0.iter().filter_map(|right| match right {
            Right::Advertiser(id) => Some(id),
            Right::Network | Right::Read => None,
        })
    }
}
