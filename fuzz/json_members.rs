//! What must hold of a JSON body that a template reads: nested names, name/value pairs, items, a secret.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::LazyLock;

use postbridge::domain::item::{LONGEST_ITEM_TEXT, MOST_ITEMS};
use postbridge::domain::money::without_exponent;
use postbridge::domain::postback::KeptHeaders;
use postbridge::domain::rejection::Rejection;
use postbridge::template::source::definition::SourceTemplate;
use postbridge::template::source::params::{Param, Params};
use postbridge::template::source::request;
use postbridge::web::body_mask::masked_body;
use postbridge::web::secret_names::SecretNames;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::binding;

/// The member in which the secret is sent.
const SECRET: &str = "hottok";
/// Members within members that are read whatever is in them.
const MOST_DEEP: usize = 16;
/// As many parameters as are kept whether they are read or not; and of repeats.
const MOST_SHOWN: usize = 256;
const MOST_REPEATED: usize = 64;
/// What the template below reads: its own names, those of pairs, those of items.
const MOST_READ: usize = 24 + 100 * 3 + 6 * (MOST_ITEMS + 1);

static TEMPLATE: LazyLock<SourceTemplate> = LazyLock::new(|| {
    let deep = ["d"; 20].join(".");
    let text = format!(
        "name = \"fuzz\"\nkeep = [\"{deep}\"]\n[map]\ntransaction_id = \"order.id\"\n\
         click_id = [\"attributes[click_id]\", \"order.click\"]\nvalue = \"order.total\"\n\
         currency = \"order.currency\"\nemail = \"customer.email\"\nevent_time = \"order.at\"\n\
         [map.items]\neach = \"order.lines\"\nid = [\"sku\", \"id\"]\nname = \"title\"\n\
         quantity = \"quantity\"\nprice = \"price.amount\"\ncategory = \"kind\"\n\
         [body]\nmax_leaves = 24\n[event]\nby_value = {{ positive = \"Purchase\", zero = \"Lead\" }}\n\
         [verify]\nkind = \"token\"\nparameter = \"{SECRET}\"\n"
    );
    SourceTemplate::parse("fuzz.toml", &text).expect("a template")
});

/// A name as loosely as any template reads one.
fn folded(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, '_' | '-')).map(|c| c.to_ascii_lowercase()).collect()
}

fn read(body: &[u8]) -> Result<Params, Rejection> {
    TEMPLATE.read_json(b"", &KeptHeaders::default(), body)
}

/// Reads a body.
pub fn check(body: &[u8]) {
    let params = read(body);
    assert_eq!(params, read(body));
    let whole = serde_json::from_slice::<Value>(body).ok().filter(Value::is_object);
    let is_plain = serde_json::from_slice::<Names>(body).is_ok_and(|names| !names.has_repeats);
    if let Some(object) = &whole {
        depth(object, body);
    }
    let mut members = BTreeMap::new();
    if let Some(object) = whole.as_ref().filter(|_| is_plain) {
        flatten("", object, &mut members);
        // What is deep and not read stops nothing.
        assert!(params.is_ok() || members.len() > MOST_SHOWN, "{params:?}");
    }
    let Ok(params) = params else { return };
    let mapped = TEMPLATE.map(&binding(), &params);
    assert_eq!(mapped, TEMPLATE.map(&binding(), &params));
    within_limits(&params);
    if let Some(object) = &whole {
        is_masked(object, body, &params);
    }
    if whole.is_some() && is_plain {
        are_members(&members, &params);
    }
    let Some(draft) = mapped.ok().and_then(|report| report.draft()) else { return };
    assert!(draft.items.len() <= MOST_ITEMS);
    for item in &draft.items {
        let texts = [&item.id, &item.name, &item.category];
        assert!(texts.into_iter().flatten().all(|text| text.len() <= LONGEST_ITEM_TEXT));
        assert!(!item.is_empty());
    }
}

fn within_limits(params: &Params) {
    assert!(params.pairs.len() <= MOST_SHOWN + MOST_READ, "{} parameters", params.pairs.len());
    assert!(params.repeated.len() <= MOST_REPEATED + MOST_READ, "{} repeats", params.repeated.len());
    for (at, param) in params.pairs.iter().enumerate() {
        assert!(!param.name.is_empty());
        assert!(params.pairs.iter().skip(at + 1).all(|other| other.name != param.name), "{param:?} twice");
    }
}

/// Where everything is read, nothing is that is too deep.
fn depth(object: &Value, body: &[u8]) {
    fn levels(value: &Value) -> usize {
        match value {
            Value::Array(items) => 1 + items.iter().map(levels).max().unwrap_or(0),
            Value::Object(members) => 1 + members.values().map(levels).max().unwrap_or(0),
            _ => 0,
        }
    }
    let all = request::read(b"", Some("application/json"), body);
    assert!(levels(object) <= MOST_DEEP + 1 || all.is_err(), "{} levels", levels(object));
}

/// Every parameter is a member of the document, by its dotted name and with its text.
fn are_members(members: &BTreeMap<String, Vec<String>>, params: &Params) {
    let bare = |text: &str| text.trim().replace('+', "").to_lowercase();
    for param in &params.pairs {
        let known = members.get(&param.name).unwrap_or_else(|| panic!("{param:?} is no member"));
        let is_text = known.iter().any(|text| bare(text) == bare(&param.value));
        assert!(folded(&param.name) == SECRET || is_text, "{param:?} of {known:?}");
    }
    for param in &params.derived {
        assert!(params.pairs.iter().any(|one| one.value == param.value && one.name.ends_with(".value")));
    }
}

fn flatten(path: &str, value: &Value, members: &mut BTreeMap<String, Vec<String>>) {
    let within = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    let mut leaf = |text: String| members.entry(path.to_owned()).or_default().push(text);
    match value {
        Value::Null => {}
        Value::Bool(flag) => leaf(flag.to_string()),
        Value::Number(number) => leaf(without_exponent(&number.to_string()).unwrap_or(number.to_string())),
        Value::String(text) => leaf(text.clone()),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(at, item)| flatten(&within(&at.to_string()), item, members));
        }
        Value::Object(object) => object.iter().for_each(|(name, item)| flatten(&within(name), item, members)),
    }
}

/// The secret is in no parameter and in nothing that is kept; all else is read of what is kept as of what was sent.
fn is_masked(object: &Value, body: &[u8], params: &Params) {
    let kept = masked_body(Some("application/json"), body, &SecretNames::of([&*TEMPLATE]));
    let is_other = |param: &&Param| {
        let name = folded(&param.name);
        !name.contains(SECRET) && !name.contains("apikey")
    };
    let others = |params: &Params| params.pairs.iter().filter(is_other).cloned().collect::<Vec<_>>();
    if params.pairs.len() < MOST_SHOWN {
        let again = read(&kept).expect("what is kept is read");
        assert_eq!(others(&again), others(params));
    }
    let Some(secret) = object.get(SECRET).and_then(Value::as_str) else { return };
    let times =
        |text: &[u8]| text.windows(secret.len()).filter(|window| *window == secret.as_bytes()).count();
    if secret.len() >= 8 && times(body) == 1 {
        assert_eq!(times(&kept), 0, "{secret:?} is kept");
        assert!(!format!("{params:?}").contains(secret), "{secret:?} is a parameter");
    }
}

/// Whether an object of a document has a name twice: then its parser keeps the last value.
struct Names {
    has_repeats: bool,
}

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Names, D::Error> {
        deserializer.deserialize_any(NamesVisitor)
    }
}

struct NamesVisitor;

const NONE: Names = Names { has_repeats: false };

impl<'de> Visitor<'de> for NamesVisitor {
    type Value = Names;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Names, E> {
        Ok(NONE)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Names, E> {
        Ok(NONE)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Names, E> {
        Ok(NONE)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Names, E> {
        Ok(NONE)
    }

    fn visit_str<E>(self, _: &str) -> Result<Names, E> {
        Ok(NONE)
    }

    fn visit_unit<E>(self) -> Result<Names, E> {
        Ok(NONE)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Names, A::Error> {
        let mut has_repeats = false;
        while let Some(item) = items.next_element::<Names>()? {
            has_repeats |= item.has_repeats;
        }
        Ok(Names { has_repeats })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Names, A::Error> {
        let (mut names, mut has_repeats) = (BTreeSet::new(), false);
        while let Some((name, member)) = members.next_entry::<String, Names>()? {
            has_repeats |= member.has_repeats | !names.insert(name);
        }
        Ok(Names { has_repeats })
    }
}
