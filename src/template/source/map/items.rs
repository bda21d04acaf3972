//! What a postback says of the things of an order. Nothing of it stops a postback.

use std::collections::BTreeMap;

use crate::domain::item::{ItemMember, LONGEST_ITEM_TEXT, MOST_ITEMS, SoldItem};
use crate::domain::money::{Currency, parse_decimal};
use crate::domain::rejection::note::ReportNote;
use crate::domain::rejection::param::{ParamFault, ParamProblem};
use crate::domain::rejection::wanted::{LengthLimit, WantedValue};
use crate::domain::text::trim;
use crate::template::macros::detect::{ValueClass, ValueUse, classify};
use crate::template::source::fault;
use crate::template::source::items::{ItemPlace, ItemRules};
use crate::template::source::map::{FieldInput, Mapping};
use crate::template::source::number::NoAmount;
use crate::template::source::params::{Param, listed, problem};

/// The items as far as they were read, and the members of which something wrong is noted already: what is wrong with
/// one item is usually wrong with all.
#[derive(Default)]
struct ReadItems {
    items: Vec<SoldItem>,
    noted: Vec<ItemMember>,
    /// Of the prices.
    currency: Option<Currency>,
}

impl<'a> Mapping<'a> {
    /// The items of the order, without those of which nothing is known.
    pub(super) fn items(&mut self, currency: Option<Currency>) -> Vec<SoldItem> {
        let template = self.template;
        let mut read = ReadItems { currency, ..ReadItems::default() };
        match &template.items {
            None => return Vec::new(),
            Some(rules @ ItemRules::List(_)) => self.listed_items(rules, &mut read),
            Some(ItemRules::Parallel { separator, members }) => {
                self.parallel_items(separator, members, &mut read);
            }
        }
        read.items.retain(|item| !item.is_empty());
        read.items
    }

    fn listed_items(&mut self, rules: &ItemRules, read: &mut ReadItems) {
        let params = self.params;
        let mut by_number: BTreeMap<usize, Vec<(ItemPlace, &'a Param)>> = BTreeMap::new();
        // Most parameters are of no list, which their names show without being compared.
        for param in params.pairs.iter().filter(|param| param.name.contains('.')) {
            if let Some(place) = rules.place(&self.template.names.key(&param.name)) {
                by_number.entry(place.number).or_default().push((place, param));
            }
        }
        if let Some((_, beyond)) = by_number.range(MOST_ITEMS..).next() {
            let names: Vec<&str> = beyond.iter().map(|(_, param)| param.name.as_str()).collect();
            self.too_many(&names);
        }
        for (_, mut found) in by_number.into_iter().take_while(|(number, _)| *number < MOST_ITEMS) {
            found.sort_by_key(|(place, _)| place.rank);
            let mut item = SoldItem::default();
            for (place, param) in found {
                if !param.is_damaged() && !has(&item, place.member) {
                    self.read_member(&mut item, place.member, param, read);
                }
            }
            read.items.push(item);
        }
    }

    fn parallel_items(
        &mut self,
        separator: &str,
        members: &[(ItemMember, Vec<usize>)],
        read: &mut ReadItems,
    ) {
        for (member, indexes) in members {
            let Some((param, text)) = self.first_list(indexes) else { continue };
            let parts: Vec<&str> = text.split(separator).collect();
            if read.items.is_empty() {
                if parts.len() > MOST_ITEMS {
                    self.too_many(&[param.name.as_str()]);
                }
                read.items.resize(parts.len().min(MOST_ITEMS), SoldItem::default());
            } else if parts.len().min(MOST_ITEMS) != read.items.len() {
                let wanted = WantedValue::ListAsLong;
                self.leave_out(problem(param, ParamFault::InvalidValue { wanted }));
                continue;
            }
            let mut items = std::mem::take(&mut read.items);
            for (item, part) in items.iter_mut().zip(parts) {
                let raw = part.as_bytes().to_vec();
                let part = Param { name: param.name.clone(), value: part.to_owned(), raw };
                self.read_member(item, *member, &part, read);
            }
            read.items = items;
        }
    }

    /// The first of several parameters that holds anything.
    fn first_list(&mut self, indexes: &[usize]) -> Option<(&'a Param, String)> {
        for index in indexes {
            match self.one(*index, ValueUse::Text) {
                FieldInput::Sound { param, text } => return Some((param, trim(&text).to_owned())),
                FieldInput::Bad { param, why } => self.leave_out_unusable(param, &why),
                FieldInput::Absent => {}
            }
        }
        None
    }

    fn read_member(&mut self, item: &mut SoldItem, member: ItemMember, param: &Param, read: &mut ReadItems) {
        let wrong = match classify(&param.value, &param.raw, used(member)) {
            ValueClass::Sound => self.put(item, member, (param, read.currency)).err(),
            ValueClass::Empty | ValueClass::Nothing => None,
            class => Some(fault::unfilled(param, &class)),
        };
        if let Some(wrong) = wrong
            && !read.noted.contains(&member)
        {
            read.noted.push(member);
            self.leave_out(wrong);
        }
    }

    fn put(
        &self,
        item: &mut SoldItem,
        member: ItemMember,
        (param, currency): (&Param, Option<Currency>),
    ) -> Result<(), ParamProblem> {
        let text = trim(&param.value);
        let rules = &self.template.amounts;
        let number =
            || parse_decimal(text, rules.format).ok_or_else(|| fault::no_decimal(param, rules.format));
        let price = || match rules.single(text, currency) {
            Ok(price) => Ok(price),
            Err(NoAmount::NotANumber) => Err(fault::no_decimal(param, rules.format)),
            Err(NoAmount::PartOfUnit) => Err(fault::part_of_unit(param)),
            Err(NoAmount::NoCurrency) => Err(fault::no_currency(&param.name, self.template)),
        };
        let short = || {
            let limit = LengthLimit::Bytes(LONGEST_ITEM_TEXT as u32);
            let is_short = (text.len() <= LONGEST_ITEM_TEXT).then(|| text.to_owned());
            is_short.ok_or_else(|| problem(param, ParamFault::TooLong { limit }))
        };
        match member {
            ItemMember::Id => item.id = Some(short()?),
            ItemMember::Name => item.name = Some(short()?),
            ItemMember::Category => item.category = Some(short()?),
            ItemMember::Quantity => item.quantity = Some(number()?),
            ItemMember::Price => item.price = Some(price()?),
        }
        Ok(())
    }

    fn too_many(&mut self, names: &[&str]) {
        let (field, most) = ("items".to_owned(), MOST_ITEMS as u64);
        self.left_out.push(ReportNote::NamesLeftOut { field, most, names: listed(names) });
    }
}

fn used(member: ItemMember) -> ValueUse {
    match member {
        ItemMember::Id => ValueUse::Id,
        ItemMember::Name | ItemMember::Category => ValueUse::Text,
        ItemMember::Quantity | ItemMember::Price => ValueUse::Amount,
    }
}

fn has(item: &SoldItem, member: ItemMember) -> bool {
    match member {
        ItemMember::Id => item.id.is_some(),
        ItemMember::Name => item.name.is_some(),
        ItemMember::Category => item.category.is_some(),
        ItemMember::Quantity => item.quantity.is_some(),
        ItemMember::Price => item.price.is_some(),
    }
}
