//! The small parts of views: money, names with their values, a campaign, bytes, a page of a list.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};

use crate::domain::click::{CustomerTrait, CustomerTraits, Pairs};
use crate::domain::consent::Consent;
use crate::domain::ids::{AffiliateId, CampaignId, CreativeId, OfferId};
use crate::domain::item::SoldItem;
use crate::domain::money::Money;
use crate::domain::offer::CampaignRef;
use crate::store::contract::lookup::Page;

/// `{"amount":"7.50","currency":"USD"}`.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Money")]
pub struct MoneyView {
    /// A decimal with a dot, exactly as it is kept: `7.50`.
    amount: String,
    /// Three letters of ISO 4217.
    currency: String,
}

impl MoneyView {
    pub fn of(money: Money) -> MoneyView {
        MoneyView { amount: money.amount.to_string(), currency: money.currency.to_string() }
    }
}

/// One thing of an order; what was not reported is null.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Item")]
pub struct ItemView<'a> {
    id: Option<&'a str>,
    name: Option<&'a str>,
    category: Option<&'a str>,
    /// A decimal, as reported.
    quantity: Option<String>,
    /// Of one of it, in the currency of the conversion: a decimal, as reported.
    price: Option<String>,
}

impl<'a> ItemView<'a> {
    pub fn of(item: &'a SoldItem) -> ItemView<'a> {
        ItemView {
            id: item.id.as_deref(),
            name: item.name.as_deref(),
            category: item.category.as_deref(),
            quantity: item.quantity.map(|quantity| quantity.to_string()),
            price: item.price.map(|price| price.to_string()),
        }
    }
}

/// Parameters, cookies, sub ids, or what is known of a customer.
pub struct PairsView<'a>(Vec<(&'a str, &'a str)>);

impl<'a> PairsView<'a> {
    pub fn of(pairs: &'a Pairs) -> PairsView<'a> {
        PairsView(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect())
    }

    pub fn of_traits(traits: &'a CustomerTraits) -> PairsView<'a> {
        PairsView(traits.0.iter().map(|(name, value)| (CustomerTrait::name(*name), value.as_str())).collect())
    }
}

impl Serialize for PairsView<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().copied())
    }
}

impl JsonSchema for PairsView<'_> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Pairs".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "object", "additionalProperties": {"type": "string"}})
    }
}

/// The ids as they were when the click was recorded.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "CampaignRef")]
pub struct CampaignRefView<'a> {
    #[schemars(with = "String")]
    offer: &'a OfferId,
    /// Null where only the offer is known.
    #[schemars(with = "Option<String>")]
    campaign: Option<&'a CampaignId>,
    /// Null where no one brought the visitor.
    #[schemars(with = "Option<String>")]
    affiliate: Option<&'a AffiliateId>,
    /// The ad that was clicked, where the link names one.
    #[schemars(with = "Option<String>")]
    creative: Option<&'a CreativeId>,
}

impl<'a> CampaignRefView<'a> {
    pub fn of(campaign_ref: &'a CampaignRef) -> CampaignRefView<'a> {
        CampaignRefView {
            offer: &campaign_ref.offer,
            campaign: campaign_ref.campaign.as_ref(),
            affiliate: campaign_ref.affiliate.as_ref(),
            creative: campaign_ref.creative.as_ref(),
        }
    }
}

/// The answers; `None` where nothing was answered.
pub fn answered(consent: Consent) -> Option<Consent> {
    (consent != Consent::default()).then_some(consent)
}

/// Text as it is; control characters but line ends, and bytes that are not UTF-8, as `\xNN`.
pub fn readable(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for letter in chunk.valid().chars() {
            if letter.is_control() && letter != '\n' {
                text.push_str(&format!("\\x{:02x}", u32::from(letter)));
            } else {
                text.push(letter);
            }
        }
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

/// Some records of a list, and where the next page begins; null on the last one.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "PageOf{V}")]
pub struct PageView<'a, V> {
    /// Newest first, but where the list says otherwise.
    items: Vec<V>,
    /// Opaque: send it as `cursor`, with the same filters. There may be more even where `items` is empty.
    next_cursor: Option<&'a str>,
}

impl<'a, V> PageView<'a, V> {
    pub fn of<T>(page: &'a Page<T>, view: impl Fn(&'a T) -> V) -> PageView<'a, V> {
        PageView { items: page.items.iter().map(view).collect(), next_cursor: page.next_cursor.as_deref() }
    }

    /// A list that has one page.
    pub fn whole(items: Vec<V>) -> PageView<'a, V> {
        PageView { items, next_cursor: None }
    }
}
