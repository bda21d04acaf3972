//! Free space on the data folder's disk: how much is kept in reserve, and what is not recorded below it.

const MB: u64 = 1024 * 1024;
/// The reserve is at most this part of the file system, so that a small disk can be used at all.
const LARGEST_PART: u64 = 10;
/// A state ends only when there is this part of its bound more: a few bytes freed do not end it.
const MARGIN: u64 = 16;

/// How much free space is kept in reserve, in bytes. 0 is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskReserve(u64);

/// How the free space compares with the reserve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskSpace {
    /// Everything is recorded.
    Enough,
    /// Below the reserve: visitors are redirected without a record, conversion pixels and the tag are answered 503.
    Low,
    /// Below half of the reserve: postbacks, the API's clicks, the network's API and answers about consent are answered 503 too.
    VeryLow,
}

impl DiskReserve {
    /// The reserve of `reserve_mb`, on a file system of `disk_bytes`.
    pub fn new(reserve_mb: u32, disk_bytes: u64) -> DiskReserve {
        DiskReserve((u64::from(reserve_mb) * MB).min(disk_bytes / LARGEST_PART))
    }

    /// The reserve in bytes.
    pub fn bytes(self) -> u64 {
        self.0
    }

    /// What `free` bytes are, after it was `before`.
    pub fn space(self, free: u64, before: DiskSpace) -> DiskSpace {
        let is_below = |bound: u64, was_below: bool| {
            free < if was_below { bound.saturating_add(bound / MARGIN) } else { bound }
        };
        if is_below(self.0 / 2, before == DiskSpace::VeryLow) {
            DiskSpace::VeryLow
        } else if is_below(self.0, before != DiskSpace::Enough) {
            DiskSpace::Low
        } else {
            DiskSpace::Enough
        }
    }
}

impl DiskSpace {
    /// Whether what visitors and their pages send is recorded.
    pub fn records_visitors(self) -> bool {
        self == DiskSpace::Enough
    }

    /// Whether postbacks, and what own servers report, are recorded.
    pub fn records_postbacks(self) -> bool {
        self != DiskSpace::VeryLow
    }
}
