//! What was sent with a click and is not kept, or not whole: nothing vanishes without being named.

use serde::{Deserialize, Serialize};

use crate::domain::code::{CodedReason, ReasonCode, codes};
use crate::domain::landing_url::up_to;
use crate::domain::time::Time;

codes! {
    /// Why something of a click is missing.
    ///
    /// It is stored: new codes go to the end, and those that are here keep their order.
    #[derive(Serialize, Deserialize)]
    OmissionReason = "omitted" {
        ClickValueTooLong = "click_value_too_long",
            "no value may be so long", "send a shorter value";
        TooManyNames = "too_many_names",
            "there were too many of its sort", "send fewer parameters, sub ids or cookies";
        ClickTooLarge = "click_too_large",
            "a click keeps 6 KiB in all", "send less with each click";
        AddressRate = "address_rate",
            "its address had more clicks than one address may",
            "raise `max_per_second_per_ip` of `[links]`, or declare the proxy that the address is";
        Erased = "erased",
            "the data of its person was erased", "nothing: it was asked for";
    }
}

/// One thing that is missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Omission {
    /// `landing_url`, `params.utm_term`, `cookies._ga`…
    pub field: String,
    /// Why it was left out or cut.
    pub reason: OmissionReason,
    /// How many bytes it had.
    pub sent: u64,
    /// How many of them are kept: none of what is only good whole.
    pub kept: u64,
}

impl Omission {
    /// Of `sent` bytes `kept` are kept.
    pub fn new(field: &str, reason: OmissionReason, (sent, kept): (usize, usize)) -> Omission {
        Omission { field: field.to_owned(), reason, sent: sent as u64, kept: kept as u64 }
    }
}

impl CodedReason for Omission {
    type Code = OmissionReason;

    fn code(&self) -> OmissionReason {
        self.reason
    }

    fn field(&self) -> Option<&str> {
        Some(&self.field)
    }

    fn sentence(&self) -> String {
        let Omission { field, reason, sent, kept } = self;
        let why = reason.meaning();
        match kept {
            _ if *reason == OmissionReason::Erased => erased(self),
            0 => format!("`{field}` has {sent} bytes; {why}"),
            kept => format!("`{field}` has {sent} bytes; its first {kept} are kept: {why}"),
        }
    }
}

/// With the time at which it was.
fn erased(omission: &Omission) -> String {
    let at = i64::try_from(omission.sent).ok().and_then(Time::from_millis);
    let at = at.map(|at| format!(" at {at}")).unwrap_or_default();
    format!("{}{at}", omission.reason.meaning())
}

/// All that is missing of one click.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Omissions {
    named: Vec<Omission>,
    /// Whether more is missing than is named.
    more: bool,
}

/// The most things that are named, and the longest name, in bytes.
const MOST_NAMED: usize = 6;
const LONGEST_FIELD: usize = 72;

impl Omissions {
    /// Of a click whose person's data was erased then: nothing else is said of what it lacks.
    pub fn erased(at: Time) -> Omissions {
        let millis = at.as_millis().unsigned_abs();
        let reason = OmissionReason::Erased;
        // What it had is not said; in its place is the time, in milliseconds since 1970.
        let named = vec![Omission { field: "click".to_owned(), reason, sent: millis, kept: 0 }];
        Omissions { named, more: false }
    }

    /// When the data of the click's person was erased; `None`: it was not.
    pub fn erased_at(&self) -> Option<Time> {
        let erased = self.named.iter().find(|one| one.reason == OmissionReason::Erased)?;
        Time::from_millis(i64::try_from(erased.sent).ok()?)
    }

    /// Each that is named.
    pub fn named(&self) -> &[Omission] {
        &self.named
    }

    /// Whether more is missing than is named.
    pub fn has_more(&self) -> bool {
        self.more
    }

    /// Names one more. Of a field that is named already, what was sent first and is kept now counts.
    pub fn add(&mut self, omission: Omission) {
        let field = up_to(&omission.field, LONGEST_FIELD);
        if let Some(known) = self.named.iter_mut().find(|known| known.field == field) {
            (known.reason, known.kept) = (omission.reason, omission.kept);
        } else if self.named.len() < MOST_NAMED {
            let field = field.to_owned();
            self.named.push(Omission { field, ..omission });
        } else {
            self.more = true;
        }
    }

    /// About how many bytes they take.
    pub fn bytes(&self) -> usize {
        self.named.iter().map(|one| one.field.len() + 12).sum()
    }
}
