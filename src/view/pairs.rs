//! Names and values as one JSON object, in the order in which they are kept.

use serde::{Serialize, Serializer};

use crate::domain::click::{Pairs, Trait, Traits};

/// Parameters, cookies, sub ids, or what is known of a customer.
pub struct PairsView<'a>(Vec<(&'a str, &'a str)>);

impl<'a> PairsView<'a> {
    pub fn of(pairs: &'a Pairs) -> PairsView<'a> {
        PairsView(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect())
    }

    pub fn of_traits(traits: &'a Traits) -> PairsView<'a> {
        PairsView(traits.0.iter().map(|(name, value)| (Trait::name(*name), value.as_str())).collect())
    }
}

impl Serialize for PairsView<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().copied())
    }
}
