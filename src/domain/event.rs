//! The name of what a conversion reports: Purchase, Lead, or one of the network's own.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The name of an event: one of the industry's, or a custom one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct EventName(String);

impl EventName {
    /// The names that the industry uses, as they are written.
    pub const STANDARD: [&'static str; 8] = [
        "Purchase",
        "Lead",
        "CompleteRegistration",
        "AddToCart",
        "InitiateCheckout",
        "Subscribe",
        "ViewContent",
        "OutboundClick",
    ];

    /// Further names of the industry, which not every platform has: one that takes events of any name is sent them
    /// as custom events.
    pub const FURTHER: [&'static str; 3] = ["AddPaymentInfo", "StartTrial", "Search"];

    /// All of them.
    pub fn known() -> impl Iterator<Item = &'static str> {
        EventName::STANDARD.into_iter().chain(EventName::FURTHER)
    }

    /// The event of a sale.
    pub fn purchase() -> EventName {
        EventName("Purchase".to_owned())
    }

    /// The event of interest without a sale.
    pub fn lead() -> EventName {
        EventName("Lead".to_owned())
    }

    /// 1–64 characters without control characters. A name of the industry is known whatever its case,
    /// `_`, `-` and spaces; any other text is a custom event, kept as reported.
    ///
    /// ```
    /// use postbridge::domain::event::EventName;
    ///
    /// assert_eq!(EventName::parse("complete_registration").unwrap().as_str(), "CompleteRegistration");
    /// assert_eq!(EventName::parse("start trial").unwrap().as_str(), "StartTrial");
    /// assert_eq!(EventName::parse("Upsell 2").unwrap().as_str(), "Upsell 2");
    /// ```
    pub fn parse(text: &str) -> Option<EventName> {
        let text = text.trim();
        let sane = !text.is_empty() && text.chars().count() <= 64 && !text.chars().any(char::is_control);
        let same = |known: &&str| {
            let plain = |c: &char| !matches!(c, '_' | '-' | ' ');
            text.chars()
                .filter(plain)
                .map(|c| c.to_ascii_lowercase())
                .eq(known.chars().map(|c| c.to_ascii_lowercase()))
        };
        let known = EventName::known().find(same);
        sane.then(|| EventName(known.unwrap_or(text).to_owned()))
    }

    /// As it is stored and shown.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EventName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
