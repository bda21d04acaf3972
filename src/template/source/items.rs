//! `items` in the `[map]` of a source template: where a postback names the things of an order.

use crate::domain::item::{ItemMember, MOST_ITEMS};
use crate::template::source::number::separator;
use crate::template::source::param_names::ParamNames;
use crate::template::source::params::check_param;
use crate::template::toml_doc::table::Table;
use crate::template::toml_doc::text::Text;

/// Where the items are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ItemRules {
    /// A list of a JSON body: `items.0.id`, `items.0.price`, `items.1.id`…
    List(ItemList),
    /// Parameters that are lists themselves, of the same length: `skus=a,b&prices=1,2`.
    Parallel {
        separator: String,
        /// Of each member the parameters, of which the first counts that holds anything.
        members: Vec<(ItemMember, Vec<usize>)>,
    },
}

/// Names as the template compares them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ItemList {
    /// What is before an item's number.
    list: String,
    /// Of each member the names behind the number, of which the first counts that holds anything.
    members: Vec<(ItemMember, Vec<String>)>,
}

/// Where in a list a parameter belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ItemPlace {
    /// From 0; [`MOST_ITEMS`] is the first item that is too many.
    pub(crate) number: usize,
    pub(crate) member: ItemMember,
    /// 0 for the name that goes first.
    pub(crate) rank: usize,
}

/// The key of `[map]`.
pub(crate) const ITEMS: &str = "items";

/// Reads what `[map]` says of items.
pub(crate) fn read(map: &Table<'_>, names: &mut ParamNames) -> Option<ItemRules> {
    map.read_table(ITEMS, |table| read_rules(table, names)).flatten()
}

fn read_rules(table: &Table<'_>, names: &mut ParamNames) -> Option<ItemRules> {
    let list = table.parsed("each", |text| check_param(&text.value).map(|()| text.value.clone()));
    let separator = table.parsed("separator", separator);
    let named: Vec<(ItemMember, Vec<Text>)> = ItemMember::NAMES
        .iter()
        .map(|(key, member)| (*member, table.readable_texts(key)))
        .filter(|(_, texts)| !texts.is_empty())
        .collect();
    for text in named.iter().flat_map(|(_, texts)| texts) {
        if let Err(problem) = check_param(&text.value) {
            table.document().problem(text.line, problem);
        }
    }
    if named.is_empty() {
        let hint = "name at least one member: id = \"sku\"";
        table.head_problem("`items` names no member of an item", hint);
    }
    match (list, separator, table.has("each") == table.has("separator")) {
        (_, _, true) => {
            let hint = "write each = \"items\" for a list in a JSON body, or separator = \",\" for lists in parameters";
            table.head_problem("`items` needs one of `each` and `separator`", hint);
            None
        }
        (Some(list), ..) => {
            let key = |text: &Text| names.key(&text.value).into_owned();
            let members = named.iter().map(|(member, texts)| (*member, texts.iter().map(key).collect()));
            Some(ItemRules::List(ItemList {
                list: names.key(&list).into_owned(),
                members: members.collect(),
            }))
        }
        (None, Some(separator), _) => {
            let mut index = |text: &Text| names.intern(&text.value);
            let members =
                named.iter().map(|(member, texts)| (*member, texts.iter().map(&mut index).collect()));
            Some(ItemRules::Parallel { separator, members: members.collect() })
        }
        (None, None, _) => None,
    }
}

impl ItemRules {
    /// Whether a parameter with this index is one of the lists.
    pub(crate) fn reads(&self, index: usize) -> bool {
        match self {
            ItemRules::List(_) => false,
            ItemRules::Parallel { members, .. } => {
                members.iter().any(|(_, indexes)| indexes.contains(&index))
            }
        }
    }

    /// Where a parameter belongs; its name is as the template compares it.
    pub(crate) fn place(&self, key: &str) -> Option<ItemPlace> {
        let ItemRules::List(ItemList { list, members }) = self else { return None };
        let (number, member) = key.strip_prefix(list.as_str())?.strip_prefix('.')?.split_once('.')?;
        let number = number_of(number)?;
        members.iter().find_map(|(known, names)| {
            let rank = names.iter().position(|name| name == member)?;
            Some(ItemPlace { number, member: *known, rank })
        })
    }

    /// Whether a parameter of an item has a name that begins with this one and a dot.
    pub(crate) fn has_within(&self, key: &str) -> bool {
        let ItemRules::List(ItemList { list, members }) = self else { return false };
        let is_before =
            |whole: &str, key: &str| whole.strip_prefix(key).is_some_and(|rest| rest.starts_with('.'));
        if key == list || is_before(list, key) {
            return true;
        }
        let Some(rest) = key.strip_prefix(list.as_str()).and_then(|rest| rest.strip_prefix('.')) else {
            return false;
        };
        match rest.split_once('.') {
            None => number_of(rest).is_some(),
            Some((number, within)) => {
                let mut names = members.iter().flat_map(|(_, names)| names);
                number_of(number).is_some() && names.any(|name| is_before(name, within))
            }
        }
    }

    /// The most parameters that belong to items.
    pub(crate) fn most_leaves(&self) -> usize {
        match self {
            ItemRules::List(ItemList { members, .. }) => {
                let names: usize = members.iter().map(|(_, names)| names.len()).sum();
                names * (MOST_ITEMS + 1)
            }
            ItemRules::Parallel { .. } => 0,
        }
    }
}

/// The number of an item, where it is kept, or the first that is not.
fn number_of(text: &str) -> Option<usize> {
    let is_plain = (1..=3).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    let number: usize = is_plain.then(|| text.parse().ok())??;
    (number <= MOST_ITEMS).then_some(number)
}
