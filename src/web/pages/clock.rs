//! Whether retention is paused because the clock is not believed, and the button that says it is right.

use crate::ops;
use crate::view::clock::ClockView;
use crate::web::pages::session::{Flash, SignedIn};
use crate::web::pages::{PageContent, Pages, document};

impl Pages {
    /// `/clock`.
    pub(super) fn clock_page(&self) -> PageContent {
        let clock = &self.ops.clock;
        PageContent::new("clock", "Clock", document(&ClockView::of(clock.now(), clock.doubt().as_ref())))
    }

    pub(super) fn confirm_clock(&self, visitor: &SignedIn) -> Flash {
        let clock = &self.ops.clock;
        let was_paused = clock.doubt().is_some();
        ops::confirm_clock(clock, &visitor.name);
        let text = if was_paused { "Retention goes on" } else { "The clock was believed already" };
        let hint = format!("The clock shows {}.", clock.now());
        Flash { good: true, text: text.to_owned(), hint, link: None }
    }
}
