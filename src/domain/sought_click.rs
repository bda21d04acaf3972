//! The click that a conversion lacks: by which id it was named, and how its id could have been received.

use crate::domain::conversion::Conversion;
use crate::domain::reporter::BuiltInSource;

/// The click that a conversion without one needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SoughtClick {
    /// With the id that was received.
    Named(String),
    /// The network's postback has no usable id.
    NotInPostback,
    /// What a page or an advertiser reported has none.
    NotInReport,
}

impl SoughtClick {
    /// Of a conversion that has no click.
    pub fn of(conversion: &Conversion) -> SoughtClick {
        match conversion.attribution.given() {
            Some(given) => SoughtClick::Named(given.to_owned()),
            None if BuiltInSource::of(&conversion.source).is_some() => SoughtClick::NotInReport,
            None => SoughtClick::NotInPostback,
        }
    }

    /// The id, where one was received.
    pub fn id(&self) -> Option<&str> {
        match self {
            SoughtClick::Named(id) => Some(id),
            SoughtClick::NotInPostback | SoughtClick::NotInReport => None,
        }
    }

    /// Why it has none, for a person.
    pub fn sentence(&self) -> String {
        match self {
            SoughtClick::Named(id) => format!("no click is recorded with the id `{id}` that was received"),
            SoughtClick::NotInPostback | SoughtClick::NotInReport => {
                "no usable click id was received".to_owned()
            }
        }
    }

    /// How its id is received; `None` where it was.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            SoughtClick::Named(_) => None,
            SoughtClick::NotInPostback => {
                Some("see that the network sends the click id: the URL under Sources carries it")
            }
            SoughtClick::NotInReport => Some("report it again with its click id"),
        }
    }
}
