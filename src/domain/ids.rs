//! Every id, each its own type, built only by parsing or derivation.

use std::fmt;
use std::sync::Arc;

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

use crate::domain::shared_text::shared_text;

/// Why a text is not an id. `Display` says what is allowed.
#[allow(missing_docs, reason = "the message of a variant says what it means")]
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    #[error("a click id is 1–100 characters of A–Z a–z 0–9 . _ ~ -")]
    Click,
    #[error(
        "an id in the configuration is 1–64 characters of a–z A–Z 0–9 _ - : and begins with a letter or digit"
    )]
    Config,
    #[error("a conversion id is 32 hexadecimal digits")]
    Conversion,
    #[error("a delivery id is a conversion id, a destination and an occasion joined by `~`")]
    Delivery,
    #[error("a postback id is a whole number from 1 to 9007199254740991")]
    Sequence,
    #[error("a visitor id is 16–64 characters of A–Z a–z 0–9 _ -")]
    Visitor,
}

/// The id that travels with a visitor: minted here or given by the caller, case kept.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ClickId(String);

impl ClickId {
    /// 1–100 characters of `[A-Za-z0-9._~-]`, which no URL encoder changes.
    ///
    /// ```
    /// use postbridge::domain::ids::ClickId;
    ///
    /// assert_eq!(ClickId::parse("0mwpksvhilar8").unwrap().as_str(), "0mwpksvhilar8");
    /// assert!(ClickId::parse("#s2#").is_err(), "a macro that was not filled in is no id");
    /// ```
    ///
    /// # Errors
    /// Another character, none, or too many.
    pub fn parse(text: &str) -> Result<ClickId, IdError> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'~' | b'-');
        if (1..=100).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(ClickId(text.to_owned()))
        } else {
            Err(IdError::Click)
        }
    }

    /// A fresh id: 9 digits of time (base 36 milliseconds, good until the year 5188) and 20 of
    /// `entropy`, 29 characters of `[0-9a-z]`; it fits the 50 characters that the narrowest sub id carries.
    pub fn mint(millis: i64, entropy: [u8; 16]) -> ClickId {
        ClickId(timed(millis, entropy))
    }

    /// In the case in which it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Time, then chance: 9 and 20 digits of base 36.
fn timed(millis: i64, entropy: [u8; 16]) -> String {
    let mut text = [b'0'; 29];
    let (time, chance) = text.split_at_mut(9);
    base36(millis.max(0).unsigned_abs(), time);
    // 36^20 is about 2^103: the id keeps 103 of the 128 bits. Half of the digits fit a word, which is divided faster.
    let entropy = u128::from_be_bytes(entropy);
    let (high, low) = chance.split_at_mut(10);
    base36((entropy / u128::from(HALF) % u128::from(HALF)) as u64, high);
    base36((entropy % u128::from(HALF)) as u64, low);
    text.iter().map(|digit| char::from(*digit)).collect()
}

/// 36^10.
const HALF: u64 = 36u64.pow(10);

/// Fills all of `digits`, the last one first.
fn base36(mut number: u64, digits: &mut [u8]) {
    for digit in digits.iter_mut().rev() {
        let value = (number % 36) as u8;
        *digit = if value < 10 { b'0' + value } else { b'a' + value - 10 };
        number /= 36;
    }
}

impl fmt::Display for ClickId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

macro_rules! config_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub struct $name(#[serde(deserialize_with = "shared_text")] Arc<str>);

        impl $name {
            /// 1–64 characters of `[A-Za-z0-9_:-]`, the first a letter or digit.
            pub fn parse(text: &str) -> Result<$name, IdError> {
                let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b':' | b'-');
                let first = text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
                if first && text.len() <= 64 && text.bytes().all(allowed) {
                    Ok($name(Arc::from(text)))
                } else {
                    Err(IdError::Config)
                }
            }

            /// As the configuration writes it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

config_id!(
    /// The id of one configured network, as in `/{key}/collect/{source}`.
    SourceId
);
impl SourceId {
    /// The id of a source that no one configures: see [`crate::domain::reporter::BuiltInSource`].
    pub(in crate::domain) fn built_in(id: &'static str) -> SourceId {
        SourceId(Arc::from(id))
    }
}

config_id!(
    /// The id of one configured ad account, or of one outgoing postback.
    DestinationId
);

/// To whom an outgoing postback reports, as the beginning of its id says: `campaign:8599`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutgoingKind {
    /// The `postback` table of one campaign.
    Campaign,
    /// The `postback` table of one affiliate.
    Affiliate,
    /// A `[[postback]]`, for the conversions of every campaign.
    Every,
}

impl OutgoingKind {
    /// Every kind; no beginning of one is the beginning of another.
    pub const ALL: [OutgoingKind; 3] = [OutgoingKind::Campaign, OutgoingKind::Affiliate, OutgoingKind::Every];

    /// What the ids of this kind begin with.
    pub fn beginning(self) -> &'static str {
        match self {
            OutgoingKind::Campaign => "campaign:",
            OutgoingKind::Affiliate => "affiliate:",
            OutgoingKind::Every => "postback:",
        }
    }
}

impl DestinationId {
    /// The id of the outgoing postback of `owner`.
    ///
    /// # Errors
    /// Where both together are longer than an id may be.
    pub fn of_outgoing(kind: OutgoingKind, owner: &str) -> Result<DestinationId, IdError> {
        DestinationId::parse(&format!("{}{owner}", kind.beginning()))
    }

    /// Which kind of outgoing postback it is the id of; `None`: of a `[[destination]]`.
    pub fn outgoing(&self) -> Option<OutgoingKind> {
        OutgoingKind::ALL.into_iter().find(|kind| self.as_str().starts_with(kind.beginning()))
    }
}

config_id!(
    /// The id of one offer.
    OfferId
);
config_id!(
    /// The id of one campaign, as in `/c/{campaign}`.
    CampaignId
);
config_id!(
    /// The id of one affiliate.
    AffiliateId
);
config_id!(
    /// The id of one advertiser.
    AdvertiserId
);
config_id!(
    /// The id of one creative.
    CreativeId
);

/// Who a browser says it is, by a first-party cookie that was minted here. It names no one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct VisitorId(String);

impl VisitorId {
    /// 16–64 characters of `[A-Za-z0-9_-]`.
    pub fn parse(text: &str) -> Result<VisitorId, IdError> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
        if (16..=64).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(VisitorId(text.to_owned()))
        } else {
            Err(IdError::Visitor)
        }
    }

    /// A fresh id, made as [`ClickId::mint`] makes one: as it begins with its time, the records of new
    /// browsers lie side by side on the disk.
    pub fn mint(millis: i64, entropy: [u8; 16]) -> VisitorId {
        VisitorId(timed(millis, entropy))
    }

    /// As the cookie carries it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for VisitorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The number of a postback in the order of arrival: 1 and up, below 2^53 so that JSON keeps it whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Seq(u64);

impl Seq {
    /// 2^53 - 1: the largest number that every reader of JSON keeps whole.
    pub const MAX: u64 = (1 << 53) - 1;
    /// The number of the first postback of a store.
    pub const FIRST: Seq = Seq(1);

    /// `None`: 0, or above [`Seq::MAX`].
    pub fn new(number: u64) -> Option<Seq> {
        (1..=Seq::MAX).contains(&number).then_some(Seq(number))
    }

    /// In decimal digits.
    ///
    /// # Errors
    /// No number, 0, or one above [`Seq::MAX`].
    pub fn parse(text: &str) -> Result<Seq, IdError> {
        text.parse().ok().and_then(Seq::new).ok_or(IdError::Sequence)
    }

    /// 1 to [`Seq::MAX`].
    pub fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Derived from (source, event, identity): the same sale has the same id, however often it is sent.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConversionId([u8; 16]);

impl ConversionId {
    /// The one that sorts before every other.
    pub const LEAST: ConversionId = ConversionId([0; 16]);

    /// The first 128 bits of SHA-256 over the length-prefixed parts.
    pub fn derive(source: &SourceId, event: &str, identity: &str) -> ConversionId {
        ConversionId(digest(&["conversion", source.as_str(), event, identity]))
    }

    /// For a further conversion of an identity, reported with another click than the first.
    pub fn derive_reused(source: &SourceId, event: &str, identity: &str, click: &str) -> ConversionId {
        ConversionId(digest(&["conversion", source.as_str(), event, identity, "click", click]))
    }

    /// For a sale whose identity says all, whatever its event is called: the endpoints of the network's side.
    pub fn derive_keyed(source: &SourceId, key: &str) -> ConversionId {
        ConversionId(digest(&["conversion", source.as_str(), "", "key", key]))
    }

    /// 32 hexadecimal digits of either case.
    ///
    /// # Errors
    /// Fewer, more, or other characters.
    pub fn parse(text: &str) -> Result<ConversionId, IdError> {
        hex(text).map(ConversionId).ok_or(IdError::Conversion)
    }

    /// The 128 bits that `Display` writes in hexadecimal.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The id that the ad platforms deduplicate on: the same over retries, replays and re-imports.
    pub fn event_id(&self) -> EventId {
        EventId(digest(&["event", &self.to_string()]))
    }
}

/// What a platform gets so that it counts an event once.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct EventId([u8; 16]);

fn digest(parts: &[&str]) -> [u8; 16] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    let full: [u8; 32] = hash.finalize().into();
    let mut short = [0u8; 16];
    for (to, from) in short.iter_mut().zip(full) {
        *to = from;
    }
    short
}

macro_rules! hex_id {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                HEXLOWER.encode_write(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.collect_str(self)
                } else {
                    self.0.serialize(serializer)
                }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<$name, D::Error> {
                if !deserializer.is_human_readable() {
                    return <[u8; 16]>::deserialize(deserializer).map($name);
                }
                let id = hex(&String::deserialize(deserializer)?).map($name);
                id.ok_or_else(|| serde::de::Error::custom("an id has 32 hexadecimal digits"))
            }
        }
    };
}

/// The 128 bits of 32 hexadecimal digits of either case; `None` of any other text.
fn hex(text: &str) -> Option<[u8; 16]> {
    let mut id = [0; 16];
    // The length first: the decoder takes exactly what fills its space.
    let is_id = text.len() == 32 && HEXLOWER_PERMISSIVE.decode_mut(text.as_bytes(), &mut id).is_ok();
    is_id.then_some(id)
}

hex_id!(ConversionId);
hex_id!(EventId);

/// What caused a delivery: the conversion's arrival, or the change with this number (1 and up).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Occasion {
    /// Written `first`.
    First,
    /// Written as the number alone.
    Change(u32),
}

impl fmt::Display for Occasion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Occasion::First => f.write_str("first"),
            Occasion::Change(number) => write!(f, "{number}"),
        }
    }
}

/// Conversion × destination × occasion. Written `9f…3c~ads-main~first`; it says itself where to look.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeliveryId {
    /// What is sent.
    pub conversion: ConversionId,
    /// Where it is sent.
    pub destination: DestinationId,
    /// Why: one conversion may be sent to one place several times.
    pub occasion: Occasion,
}

impl DeliveryId {
    /// As `Display` writes it. Whether there is such a delivery, this does not know.
    ///
    /// # Errors
    /// Another number of parts, or one that is not an id.
    pub fn parse(text: &str) -> Result<DeliveryId, IdError> {
        let mut parts = text.split('~');
        let (Some(conversion), Some(destination), Some(occasion), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(IdError::Delivery);
        };
        let occasion = match occasion {
            "first" => Occasion::First,
            number => Occasion::Change(number.parse().map_err(|_| IdError::Delivery)?),
        };
        Ok(DeliveryId {
            conversion: ConversionId::parse(conversion).map_err(|_| IdError::Delivery)?,
            destination: DestinationId::parse(destination).map_err(|_| IdError::Delivery)?,
            occasion,
        })
    }
}

impl fmt::Display for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}~{}~{}", self.conversion, self.destination, self.occasion)
    }
}
