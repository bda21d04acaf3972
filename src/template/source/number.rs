//! How a network writes its amounts: `[number]` of a source template, and reading by it.

use rust_decimal::Decimal;

use crate::domain::money::{Currency, Money, NumberFormat, parse_decimal};
use crate::domain::text::trim;
use crate::template::diagnostic::Problem;
use crate::template::source::param_names::ParamNames;
use crate::template::source::words::{self, ParamWords};
use crate::template::toml_doc::table::Table;
use crate::template::toml_doc::text::Text;

/// How amounts are written.
#[derive(Debug, Clone, Default)]
pub(crate) struct AmountRules {
    pub(crate) format: NumberFormat,
    unit: AmountUnit,
    /// A currency's sign may be before or behind an amount. It says nothing of which currency.
    symbols: bool,
    list: Option<AmountList>,
    /// An amount above 0 is meant below 0 where one of these parameters has one of its words.
    pub(crate) negative_when: Vec<ParamWords>,
}

/// What an amount counts.
#[derive(Debug, Clone, Default)]
enum AmountUnit {
    #[default]
    Major,
    /// Cents and the like, as many digits as ISO 4217 has for the currency, but for those that are named.
    Minor { digits: Vec<(Currency, u32)> },
}

/// Several amounts in one parameter, of which one counts.
#[derive(Debug, Clone, PartialEq, Eq)]
struct AmountList {
    separator: String,
    /// From 0.
    take: usize,
}

/// Why a text is no amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoAmount {
    /// It is not a number as the network writes them.
    NotANumber,
    /// It counts the smallest units of a currency that is not known.
    NoCurrency,
    /// It is a part of a smallest unit, of which there is none: it was meant in whole units.
    PartOfUnit,
}

/// Reads the section; without it amounts are plain numbers.
pub(crate) fn read(root: &Table<'_>, names: &mut ParamNames) -> AmountRules {
    root.read_table("number", |table| rules(table, names)).unwrap_or_default()
}

fn rules(table: &Table<'_>, names: &mut ParamNames) -> AmountRules {
    let is_minor = table.parsed("unit", |text| text.one_of(&[("major", false), ("minor", true)]));
    let digits = table.read_table("digits", digits);
    if digits.is_some() && is_minor != Some(true) {
        let hint = "add unit = \"minor\", or leave `digits` out";
        table.problem(
            "digits",
            "`digits` counts the digits of smallest units, and amounts are in whole ones",
            hint,
        );
    }
    let unit = match is_minor {
        Some(true) => AmountUnit::Minor { digits: digits.unwrap_or_default() },
        _ => AmountUnit::Major,
    };
    AmountRules {
        format: table.parsed("format", |text| text.one_of(&NumberFormat::NAMES)).unwrap_or_default(),
        unit,
        symbols: table.flag("symbols").unwrap_or_default(),
        list: table.read_table("list", list).flatten(),
        negative_when: table.read_table("negative_when", |when| words::read(when, names)).unwrap_or_default(),
    }
}

fn list(table: &Table<'_>) -> Option<AmountList> {
    let separator = table.required("separator", "\",\"", separator);
    let take = table.number("take", 0..=99).unwrap_or_default();
    Some(AmountList { separator: separator?, take })
}

/// What divides the parts of a value.
pub(crate) fn separator(text: &Text) -> Result<String, Problem> {
    let is_text = !text.value.is_empty();
    let what = || Problem::new("the separator is empty", "write separator = \",\"");
    is_text.then(|| text.value.clone()).ok_or_else(what)
}

fn digits(table: &Table<'_>) -> Vec<(Currency, u32)> {
    let read = |code: &str| {
        let currency = Currency::parse(code);
        if currency.is_none() {
            let what = format!("`{code}` is not a code of ISO 4217");
            table.problem(code, what, "write it as in digits = { ISK = 2 }");
        }
        currency
    };
    let keys = table.keys().into_iter();
    keys.filter_map(|code| Some((read(code)?, table.number(code, 0..=4)?))).collect()
}

impl AmountRules {
    /// The amount that a text names; `None` where the list that it is ends before the one that counts, or has
    /// nothing there.
    pub(crate) fn read(&self, text: &str, currency: Option<Currency>) -> Result<Option<Decimal>, NoAmount> {
        let text = match &self.list {
            None => trim(text),
            Some(AmountList { separator, take }) => match text.split(separator.as_str()).nth(*take).map(trim)
            {
                None | Some("") => return Ok(None),
                Some(part) => part,
            },
        };
        self.single(text, currency).map(Some)
    }

    /// The same of a text that is never a list, as the price of an item.
    pub(crate) fn single(&self, text: &str, currency: Option<Currency>) -> Result<Decimal, NoAmount> {
        let amount = if self.symbols { without_symbol(text) } else { None };
        let plain = amount.as_deref().unwrap_or(text);
        let amount = parse_decimal(plain, self.format).ok_or_else(|| self.unread(plain))?;
        match &self.unit {
            AmountUnit::Major => Ok(amount),
            AmountUnit::Minor { digits } => {
                let currency = currency.ok_or(NoAmount::NoCurrency)?;
                let amount = Some(amount.normalize()).filter(is_whole).ok_or(NoAmount::PartOfUnit)?;
                let known = digits.iter().find(|(known, _)| *known == currency).map(|(_, digits)| *digits);
                let money = Money::of_minor_units(amount, currency, known);
                money.map(|money| money.amount).ok_or(NoAmount::NotANumber)
            }
        }
    }

    /// Why a text cannot be read that is no number in the template's format. That another format has it is of use only
    /// where it counts what the template says.
    fn unread(&self, text: &str) -> NoAmount {
        let others = NumberFormat::NAMES.iter().filter_map(|(_, format)| parse_decimal(text, *format));
        let mut others = others.map(|amount| amount.normalize()).peekable();
        let is_minor = matches!(self.unit, AmountUnit::Minor { .. });
        let is_part = is_minor && others.peek().is_some() && !others.any(|amount| is_whole(&amount));
        if is_part { NoAmount::PartOfUnit } else { NoAmount::NotANumber }
    }
}

/// Whether an amount, normalized, has no part.
fn is_whole(amount: &Decimal) -> bool {
    amount.scale() == 0
}

/// A number without the currency's sign before or behind it: `$7.00`, `-€7`, `€ -7`, `7 €`, `US$7`. `None` where
/// there is none.
fn without_symbol(text: &str) -> Option<String> {
    let text = trim(text);
    let (sign, rest) = match text.strip_prefix(['-', '+']) {
        Some(rest) => (text.get(..1).unwrap_or_default(), trim(rest)),
        None => ("", text),
    };
    // The letters of `US$` and `R$`.
    let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
    let front = rest.get(letters..).filter(|_| letters <= 3).and_then(|rest| rest.strip_prefix(is_symbol));
    let number = front.or_else(|| rest.strip_suffix(is_symbol)).map(trim)?;
    // A second sign, as in `-$-7`, is left for the number to be refused for.
    Some(format!("{sign}{number}"))
}

/// A currency's sign: Unicode's category Sc.
fn is_symbol(c: char) -> bool {
    matches!(
        c,
        '$' | '\u{a2}'..='\u{a5}'
            | '\u{58f}'
            | '\u{60b}'
            | '\u{7fe}'
            | '\u{7ff}'
            | '\u{9f2}'
            | '\u{9f3}'
            | '\u{9fb}'
            | '\u{af1}'
            | '\u{bf9}'
            | '\u{e3f}'
            | '\u{17db}'
            | '\u{20a0}'..='\u{20cf}'
            | '\u{a838}'
            | '\u{fdfc}'
            | '\u{fe69}'
            | '\u{ff04}'
            | '\u{ffe0}'
            | '\u{ffe1}'
            | '\u{ffe5}'
            | '\u{ffe6}'
    )
}
