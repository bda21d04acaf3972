//! Whether retention is paused because the clock is not believed, and the button that says it is right.

use serde::Serialize;

use crate::domain::time::Time;
use crate::web::api::clock::reason;
use crate::web::pages::session::{Flash, Visitor};
use crate::web::pages::{Page, Pages, Stop, document};

#[derive(Serialize)]
struct ClockPage {
    now: Time,
    paused: Option<Paused>,
}

/// Why retention is paused, and until when.
#[derive(Serialize)]
struct Paused {
    reason: String,
    until: Time,
}

impl Pages {
    /// `/clock`.
    pub(super) fn clock_sheet(&self) -> Page {
        let now = self.clock.now();
        Page::new("clock", "Clock", document(&ClockPage { now, paused: self.paused() }))
    }

    /// Why retention is paused; `None` where it is not.
    fn paused(&self) -> Option<Paused> {
        self.clock.doubt().map(|doubt| Paused { reason: reason(&doubt), until: doubt.until })
    }

    pub(super) fn confirm_clock(&self, visitor: &Visitor) -> Result<Flash, Stop> {
        let was_paused = self.clock.doubt().is_some();
        self.api().confirm_clock(&visitor.name)?;
        let text = if was_paused { "Retention goes on" } else { "The clock was believed already" };
        let hint = format!("The clock shows {}.", self.clock.now());
        Ok(Flash { good: true, text: text.to_owned(), hint, link: None })
    }
}
