//! What was sold in one order, where its report names several things.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// The most items that are kept of one conversion.
pub const MOST_ITEMS: usize = 100;

/// The longest id, name or category of an item, in bytes; a longer one is left out.
pub const LONGEST_ITEM_TEXT: usize = 200;

/// One thing of an order, as reported. What was not reported, or cannot be used, is absent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SoldItem {
    /// Its number at who sold it.
    pub id: Option<String>,
    /// What people call it.
    pub name: Option<String>,
    /// What kind of thing it is.
    pub category: Option<String>,
    /// How many of it.
    pub quantity: Option<Decimal>,
    /// Of one of it, in the currency of the conversion.
    pub price: Option<Decimal>,
}

/// What can be known of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ItemMember {
    /// [`SoldItem::id`].
    Id,
    /// [`SoldItem::name`].
    Name,
    /// [`SoldItem::category`].
    Category,
    /// [`SoldItem::quantity`].
    Quantity,
    /// [`SoldItem::price`].
    Price,
}

impl ItemMember {
    /// Each with the word that templates use.
    pub const NAMES: [(&'static str, ItemMember); 5] = [
        ("id", ItemMember::Id),
        ("name", ItemMember::Name),
        ("category", ItemMember::Category),
        ("quantity", ItemMember::Quantity),
        ("price", ItemMember::Price),
    ];
}

impl SoldItem {
    /// Whether nothing is known of it.
    pub fn is_empty(&self) -> bool {
        *self == SoldItem::default()
    }

    /// The bytes of its texts.
    pub fn text_bytes(&self) -> usize {
        [&self.id, &self.name, &self.category].into_iter().flatten().map(String::capacity).sum()
    }
}

/// How many things an order has: of an item without a quantity one. `None` without items, or where they are more than
/// can be counted.
pub fn count(items: &[SoldItem]) -> Option<Decimal> {
    let mut total = Decimal::ZERO;
    for item in items {
        total = total.checked_add(item.quantity.unwrap_or(Decimal::ONE))?;
    }
    (!items.is_empty()).then(|| total.normalize())
}
