//! What a parameter takes, how long it may be, and how to fix it.

use std::fmt::{self, Display};

use serde::{Deserialize, Serialize};

use crate::domain::click::CustomerTrait;
use crate::domain::text::trim;

/// What a parameter takes.
#[allow(missing_docs, reason = "`text` says what each is")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum WantedValue {
    Decimal,
    WholeNumber,
    Status,
    Date,
    Moment,
    Event,
    ClickId,
    /// One text, number, true or false of JSON.
    JsonText,
    /// A JSON object whose values are texts.
    JsonTexts,
    /// A text that is a list, next to another one.
    ListAsLong,
    SmallestUnits,
}

/// What a member belongs to that an own server sends of a click.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum MemberOf {
    /// The click itself.
    Click,
    /// Its `customer`.
    Customer,
    /// Its `consent`.
    Consent,
}

/// How to fix a parameter of this program's own endpoints.
#[allow(missing_docs, reason = "`text` has the sentence of each")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ParamFix {
    NameOffer,
    OfferIdOfUrl,
    ClickIdOfLink,
    ClickIdOfUrl,
    AmountOrNothing,
    PlainDecimal,
    PixelTakesNothingBack,
    ReverseByStatus,
    CurrencyOrNothing,
    EventOrNothing,
    EventName,
    Digits,
    IsoDate,
    IsoMoment,
    StatusWord,
    StatusToSet,
    ConversionIdOfReply,
    /// Of an id that counts as absent: the event counts all the same.
    MacroSpelling,
    MacroInItsPlace,
    OneText,
    ObjectOfTexts,
    SentOnce,
    BodyInUtf8,
    ClickTime,
    VisitorsAddress,
    YesOrNo,
    ClickIdCharacters,
    /// Of an amount in cents that has a part.
    WholeUnits,
}

/// The longest text that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum LengthLimit {
    /// Trimmed.
    Characters(u32),
    /// As it was received: what anyone may send takes no more room than this.
    Bytes(u32),
}

/// Some names: the first ten, and how many more there are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Names {
    first: Vec<String>,
    more: u64,
}

impl Names {
    const MOST: usize = 10;

    /// `shown`: a name fit for a sentence.
    pub fn of<S: AsRef<str>>(names: &[S], shown: impl Fn(&str) -> String) -> Names {
        let first = names.iter().take(Names::MOST).map(|name| shown(name.as_ref())).collect();
        Names { first, more: names.len().saturating_sub(Names::MOST) as u64 }
    }
}

impl WantedValue {
    /// As it is said behind "not".
    pub fn text(self) -> &'static str {
        match self {
            WantedValue::Decimal => "a decimal number",
            WantedValue::WholeNumber => "a whole number",
            WantedValue::Status => "a status",
            WantedValue::Date => "a date",
            WantedValue::Moment => "a date and time",
            WantedValue::Event => "an event's name",
            WantedValue::ClickId => "a click id",
            WantedValue::JsonText => "a text",
            WantedValue::JsonTexts => "an object of texts",
            WantedValue::ListAsLong => "a list as long as that of the items before it",
            WantedValue::SmallestUnits => "a whole number of the currency's smallest unit (cents)",
        }
    }
}

impl MemberOf {
    /// As it is said behind "a member of".
    pub fn text(self) -> &'static str {
        match self {
            MemberOf::Click => "a click",
            MemberOf::Customer => "a customer",
            MemberOf::Consent => "a consent",
        }
    }

    /// The members that are known of it.
    pub fn members(self) -> Vec<&'static str> {
        match self {
            MemberOf::Click => vec![
                "click_id",
                "time",
                "landing_url",
                "referrer",
                "ip",
                "user_agent",
                "params",
                "cookies",
                "sub_ids",
                "customer",
                "consent",
            ],
            MemberOf::Customer => CustomerTrait::NAMES.iter().map(|(_, name)| *name).collect(),
            MemberOf::Consent => vec!["ad_user_data", "ad_personalization"],
        }
    }
}

impl ParamFix {
    /// The sentence about this parameter.
    pub fn text(self, field: &str) -> String {
        match self {
            ParamFix::NameOffer => return format!("name one of the [[offer]] ids: {field}=565"),
            ParamFix::ClickIdOfUrl => {
                return format!("put there the click id that the offer's URL carried: {field}=0mwpk…");
            }
            ParamFix::OfferIdOfUrl => {
                "copy the postback URL from the offer: its offer_id is the number there"
            }
            ParamFix::ClickIdOfLink => {
                "put there the click id that your system stored when the visitor arrived on the tracking link"
            }
            ParamFix::AmountOrNothing => {
                "put the amount there, written like 12.00, or leave the parameter out"
            }
            ParamFix::PlainDecimal => {
                "write it like 12.00: digits and a dot, no sign of a currency, no thousands mark"
            }
            ParamFix::PixelTakesNothingBack => "send 0 or more; a pixel takes no sale back",
            ParamFix::ReverseByStatus => {
                "send 0 or more; a sale is taken back by update_conversion.json with the status rejected"
            }
            ParamFix::CurrencyOrNothing => {
                "write three letters of ISO 4217, such as USD, or leave it out for the offer's"
            }
            ParamFix::EventOrNothing => "write the event's name there, or leave the parameter out",
            ParamFix::EventName => "an event is 1–64 characters: Purchase, Lead, or a name of your own",
            ParamFix::Digits => "write it in digits alone",
            ParamFix::IsoDate => "write it YYYY-MM-DD, such as 2024-01-31",
            ParamFix::IsoMoment => "write it as ISO 8601, such as 2024-01-01T14:32:00Z",
            ParamFix::StatusWord => "use approved, pending, rejected or scrubbed",
            ParamFix::StatusToSet => "send approved, rejected or pending",
            ParamFix::ConversionIdOfReply => {
                "send the conversion_id that conversion.json or conversions.json answered"
            }
            ParamFix::MacroSpelling => "check that the network knows this macro in just this spelling",
            ParamFix::MacroInItsPlace => "put the network's macro in its place in the postback URL",
            ParamFix::OneText => "send one text, a number, true or false",
            ParamFix::ObjectOfTexts => "send an object of texts, such as {\"fbclid\": \"IwAR…\"}",
            ParamFix::SentOnce => "send it once; the first one was taken",
            ParamFix::BodyInUtf8 => "send the body in UTF-8",
            ParamFix::ClickTime => {
                "write it as RFC 3339, such as 2024-01-01T14:32:00Z; without it the click counts from now"
            }
            ParamFix::VisitorsAddress => "send the visitor's address, not a server's",
            ParamFix::YesOrNo => "send true or false",
            ParamFix::WholeUnits => {
                "let the network send it in cents, without a mark; where it sends whole units, copy the template to your \
                 own `[templates] path` and take unit = \"minor\" out of [number] there"
            }
            ParamFix::ClickIdCharacters => "a click id is 1–100 of `A–Z a–z 0–9 . _ ~ -`",
        }
        .to_owned()
    }
}

impl LengthLimit {
    /// Whether the text is longer.
    pub fn is_exceeded_by(self, value: &str) -> bool {
        let (length, most) = match self {
            LengthLimit::Characters(most) => (trim(value).chars().count(), most),
            LengthLimit::Bytes(most) => (value.len(), most),
        };
        u32::try_from(length).map_or(true, |length| length > most)
    }
}

impl Display for LengthLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LengthLimit::Characters(most) => write!(f, "{most} characters"),
            LengthLimit::Bytes(most) => write!(f, "{most} bytes"),
        }
    }
}

/// In backticks, separated by commas.
impl Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, name) in self.first.iter().enumerate() {
            let gap = if index == 0 { "" } else { ", " };
            write!(f, "{gap}`{name}`")?;
        }
        if self.more > 0 { write!(f, " and {} more", self.more) } else { Ok(()) }
    }
}
