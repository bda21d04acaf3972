//! What must hold of amounts by `[number]`: every format, unit, list and sign, with one text.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use postbridge::domain::money::{Money, NumberFormat};
use postbridge::domain::postback::KeptHeaders;
use postbridge::domain::text::trim;
use postbridge::template::source::definition::SourceTemplate;

use super::binding;

/// One way of writing `[number]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct AmountWay {
    format: &'static str,
    is_minor: bool,
    symbols: bool,
    /// `;` between amounts, of which the second counts.
    is_list: bool,
    takes_back: bool,
}

impl AmountWay {
    const fn plain(format: &'static str) -> AmountWay {
        AmountWay { format, is_minor: false, symbols: false, is_list: false, takes_back: false }
    }

    fn template(self) -> SourceTemplate {
        let AmountWay { format, is_minor, symbols, is_list, takes_back } = self;
        let unit = if is_minor { "unit = \"minor\"\ndigits = { ISK = 2 }\n" } else { "" };
        let list = if is_list { "list = { separator = \";\", take = 1 }\n" } else { "" };
        let negative = if takes_back { "negative_when = { k = [\"refund\"] }\n" } else { "" };
        let text = format!(
            "name = \"fuzz\"\nmacro = \"{{{{}}}}\"\npostback = [\"v\", \"c\", \"k\"]\n[map]\nvalue = \"v\"\n\
             currency = \"c\"\n[default]\nevent = \"Purchase\"\n[number]\nformat = \"{format}\"\n\
             symbols = {symbols}\n{unit}{list}{negative}"
        );
        SourceTemplate::parse("fuzz.toml", &text).expect("a template")
    }
}

static WAYS: LazyLock<BTreeMap<AmountWay, SourceTemplate>> = LazyLock::new(|| {
    let both = [false, true];
    let mut ways = BTreeMap::new();
    for (format, _) in NumberFormat::NAMES {
        for is_minor in both {
            for symbols in both {
                for is_list in both {
                    for takes_back in both {
                        let way = AmountWay { format, is_minor, symbols, is_list, takes_back };
                        ways.insert(way, way.template());
                    }
                }
            }
        }
    }
    ways
});

/// A postback's currency and kind, which every reading of it shares.
#[derive(Clone, Copy)]
struct Sale<'a> {
    currency: &'a [u8],
    kind: &'a [u8],
}

impl Sale<'_> {
    /// The amount that a text is, in one way; twice the same.
    fn read(self, way: AmountWay, text: &[u8]) -> Option<Money> {
        let template = &WAYS[&way];
        let query = [("v", text), ("c", self.currency), ("k", self.kind)]
            .map(|(name, value)| format!("{name}={}", encoded(value)))
            .join("&");
        let once = || {
            let params = template.read(query.as_bytes(), &KeptHeaders::default(), b"");
            params.and_then(|params| template.map(&binding(), &params))
        };
        let (first, again) = (once(), once());
        assert_eq!(format!("{first:?}"), format!("{again:?}"));
        first.ok()?.draft()?.value
    }
}

fn encoded(bytes: &[u8]) -> String {
    let one = |byte: &u8| match byte {
        byte if byte.is_ascii_alphanumeric() => char::from(*byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    bytes.iter().map(one).collect()
}

/// Reads a text in every way.
pub fn check(currency: &[u8], kind: &[u8], text: &[u8]) {
    let sale = Sale { currency, kind };
    for way in WAYS.keys() {
        let found = sale.read(*way, text);
        if let (Some(money), Ok(text)) = (found, str::from_utf8(text)) {
            holds(sale, *way, (text, money));
        }
    }
    let plain = |format| sale.read(AmountWay::plain(format), text);
    let (dot, comma) = (plain("plain"), plain("comma"));
    // What one format reads whose mark the other has, the other does not.
    if dot.is_some() && comma.is_some() {
        assert!(dot == comma && !text.iter().any(|byte| b".,".contains(byte)), "{dot:?} {comma:?}");
    }
    // A format with thousands reads whatever the same without them reads.
    assert!(dot.is_none() || dot == plain("grouped"), "{dot:?}");
    assert!(comma.is_none() || comma == plain("grouped-comma"), "{comma:?}");
}

/// What must hold of the money that a text is in one way, by what the simpler ways say.
fn holds(sale: Sale<'_>, way: AmountWay, (text, money): (&str, Money)) {
    let says = format!("{way:?} {text:?} {money:?}");
    let written = sale_of(money, money.amount.to_string().as_bytes());
    assert_eq!(written.map(|written| written.amount.to_string()), Some(money.amount.to_string()), "{says}");
    if way.takes_back {
        let as_it_is = sale.read(AmountWay { takes_back: false, ..way }, text.as_bytes()).expect(&says);
        let is_meant = as_it_is.is_above_zero() && sale.kind.trim_ascii().eq_ignore_ascii_case(b"refund");
        assert_eq!(money.is_below_zero(), is_meant || as_it_is.is_below_zero(), "{says}");
        assert_eq!(money.amount.mantissa().abs(), as_it_is.amount.mantissa().abs(), "{says}");
    } else if way.is_list {
        let part = text.split(';').nth(1).expect(&says);
        assert_eq!(sale.read(AmountWay { is_list: false, ..way }, part.as_bytes()), Some(money), "{says}");
    } else if way.is_minor {
        let units = sale.read(AmountWay { is_minor: false, ..way }, text.as_bytes()).expect(&says);
        assert!(units.amount.normalize().scale() == 0, "part of a smallest unit: {says}");
        assert_eq!(money.amount.mantissa(), units.amount.normalize().mantissa(), "{says}");
        let by_iso = money.minor_units();
        assert!(money.currency.as_str() == "ISK" || by_iso == Some(units.amount), "{says}");
    } else if way.symbols {
        // Whatever the sign of a currency is, a number without one is there.
        let core = text.trim_matches(|c: char| !c.is_ascii_digit() && c != '.' && c != ',');
        let is_below = text.split(core).next().is_some_and(|before| before.contains('-'));
        let number = format!("{}{core}", if is_below { "-" } else { "" });
        let bare = sale.read(AmountWay { symbols: false, ..way }, number.as_bytes());
        assert_eq!(bare, Some(money), "{says}");
    } else {
        is_as_written(way, (text, money), &says);
    }
}

/// The digits of a plain amount are those of its text, each behind the same mark; nothing else is in it but what may
/// divide thousands.
fn is_as_written(way: AmountWay, (text, money): (&str, Money), says: &str) {
    let text = trim(text);
    let number = text.trim_start_matches(['-', '+']);
    let mark = if way.format.ends_with("comma") { ',' } else { '.' };
    let (units, fraction) = number.split_once(mark).unwrap_or((number, ""));
    let digits: String = units.chars().filter(char::is_ascii_digit).chain(fraction.chars()).collect();
    assert!(digits.bytes().all(|byte| byte.is_ascii_digit()), "{says}");
    let bare = |digits: &str| digits.trim_start_matches('0').to_owned();
    assert_eq!(bare(&digits), bare(&money.amount.mantissa().abs().to_string()), "{says}");
    assert_eq!(money.amount.scale() as usize, fraction.len(), "{says}");
    assert_eq!(money.is_below_zero(), text.starts_with('-') && !bare(&digits).is_empty(), "{says}");
    if let Some(divider) = units.chars().find(|c| !c.is_ascii_digit()) {
        assert!(way.format.starts_with("grouped"), "{says}");
        let mut groups = units.split(divider);
        let first = groups.next().expect(says);
        assert!((1..=3).contains(&first.len()) && !first.starts_with('0'), "{says}");
        assert!(groups.all(|group| group.len() == 3), "{says}");
    }
}

/// An amount as it is written without any rule.
fn sale_of(money: Money, text: &[u8]) -> Option<Money> {
    let sale = Sale { currency: money.currency.as_str().as_bytes(), kind: b"" };
    sale.read(AmountWay::plain("plain"), text)
}
