//! Whether retention is paused because the clock is not believed, and the button that says it is right.

use serde_json::{Value, json};

use crate::web::api::clock::reason;
use crate::web::pages::session::{Flash, Visitor};
use crate::web::pages::{Pages, Sheet, Stop, advice};

impl Pages {
    /// `/clock`.
    pub(super) fn clock_sheet(&self) -> Sheet {
        let now = self.clock.now();
        Sheet::new("clock", "Clock", json!({"now": now.to_string(), "paused": self.paused()}))
    }

    /// Why retention is paused; null where it is not.
    pub(super) fn paused(&self) -> Value {
        let now = self.clock.now();
        self.clock.doubt().map_or(Value::Null, |doubt| {
            json!({
                "reason": reason(&doubt),
                "until": doubt.until.to_string(),
                "distance": advice::distance(doubt.until, now),
            })
        })
    }

    pub(super) fn confirm_clock(&self, visitor: &Visitor) -> Result<Flash, Stop> {
        let was_paused = self.clock.doubt().is_some();
        self.api().confirm_clock(&visitor.name)?;
        let text = if was_paused { "Retention goes on" } else { "The clock was believed already" };
        let hint = format!("The clock shows {}.", self.clock.now());
        Ok(Flash { good: true, text: text.to_owned(), hint, link: None })
    }
}
