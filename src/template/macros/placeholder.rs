//! The one list of what is written in an id's place until someone fills the id in: the words of URL
//! skeletons and our own snippets, words for nothing, and macros of which a half arrived.

/// Words for nothing, in any use.
const NOTHING: &[&str] = &["null", "undefined", "none", "n/a", "-", "[empty]"];

/// Words for nothing where an id is expected. Compared without case.
const NO_ID: &[&str] = &[
    "0",
    "-1",
    "nan",
    "nil",
    "na",
    "(not set)",
    "not set",
    "not_set",
    "(none)",
    "(null)",
    "[object object]",
    "\"\"",
    "''",
    "true",
    "false",
    "unknown",
    "unset",
    "empty",
    "notset",
    "not-set",
    "n.a.",
    "#n/a",
];

/// The GUID that means none, without what divides and encloses it.
const NIL_GUID: &str = "00000000000000000000000000000000";

/// Words of URL skeletons, in any use.
const SKELETON: &[&str] =
    &["replace", "optional", "transaction_id", "request_session_id", "click_id", "clickid", "sale_amount"];

/// Where an id is expected, what it is the id of: `ORDER_ID`, `clickId`, `Sub-ID`. Compared without case,
/// `_`, `-` and spaces, with `id` behind or before.
const ID_OF: &[&str] = &[
    "u",
    "uu",
    "gu",
    "order",
    "transaction",
    "trans",
    "tran",
    "txn",
    "tx",
    "t",
    "click",
    "req",
    "request",
    "session",
    "requestsession",
    "reqsess",
    "sub",
    "aff",
    "affiliate",
    "event",
    "conversion",
    "lead",
    "sale",
    "customer",
    "client",
    "user",
    "visitor",
    "external",
    "purchase",
    "payment",
    "invoice",
    "product",
    "item",
    "offer",
    "unique",
    "your",
    "my",
];

/// Where an id is expected, words that are written in its place by our own pages or by people, `#`, `_`,
/// `-` and spaces left out. An event is no id: a constant that every sale has.
const IN_PLACE_OF_ID: &[&str] = &[
    "apikey",
    "ordernumber",
    "orderno",
    "ordernr",
    "orderref",
    "orderreference",
    "transactionnumber",
    "invoicenumber",
    "order",
    "transaction",
    "conversion",
    "sale",
    "lead",
    "purchase",
    "completeregistration",
    "addtocart",
    "initiatecheckout",
    "addpaymentinfo",
    "subscribe",
    "starttrial",
    "viewcontent",
    "outboundclick",
    "placeholder",
    "changeme",
];

/// What begins a phrase that asks to be replaced: `YOUR_ORDER_ID`, `REPLACE_ME`.
const ASKS: &[&str] = &["your", "replace", "insert", "enter", "put"];

/// Whether `text` is a word for nothing; more words are where an id is expected.
pub(crate) fn is_nothing(text: &str, is_id: bool) -> bool {
    // Of the words only GUIDs have so many.
    if digits_in(text) > MOST_DIGITS {
        return is_id && is_nil_guid(text);
    }
    let is = |word: &&str| text.eq_ignore_ascii_case(word);
    NOTHING.iter().any(is) || (is_id && NO_ID.iter().any(is))
}

/// `00000000-0000-0000-0000-000000000000`, also in braces or in one.
fn is_nil_guid(text: &str) -> bool {
    if !(32..=38).contains(&text.len()) {
        return false;
    }
    let bare = text.trim_matches(['{', '}', '(', ')', '[', ']']);
    bare == NIL_GUID || (bare.len() == 36 && bare.replace('-', "") == NIL_GUID)
}

/// Whether `text` is a word that is written in a value's place; more words are where an id is expected.
pub(crate) fn is_placeholder(text: &str, is_id: bool) -> bool {
    SKELETON.iter().any(|word| text.eq_ignore_ascii_case(word)) || (is_id && is_in_place_of_id(text))
}

/// Whether `text` asks to be replaced, whatever is expected in its place: `REPLACE`, `YOUR_STATUS`, `xxxx`.
pub(crate) fn asks_to_be_replaced(text: &str) -> bool {
    ["replace", "optional"].iter().any(|word| text.eq_ignore_ascii_case(word))
        || is_filler(text)
        || asks(text)
}

/// `YOUR_ORDER`: a word that asks, and what for. `YOUR-SHOP-10234` is an order's name: what asks counts nothing.
fn asks(text: &str) -> bool {
    let mut words = text.split(['_', '-', ' ']);
    let asks = words.next().is_some_and(|first| ASKS.iter().any(|ask| first.eq_ignore_ascii_case(ask)));
    asks && digits_in(text) <= MOST_DIGITS && words.next().is_some_and(begins_with_letter)
}

/// No placeholder is longer.
const LONGEST: usize = 64;
/// A placeholder, and a macro, may have a number: `s2`, `AFF_SUB_10`. What has more digits counts something.
const MOST_DIGITS: usize = 2;

fn is_in_place_of_id(text: &str) -> bool {
    if text.len() > LONGEST {
        return false;
    }
    if is_filler(text) || text.ends_with('…') {
        return true;
    }
    // What counts something is an id, and every word below has fewer digits.
    if digits_in(text) > MOST_DIGITS {
        return false;
    }
    if asks(text) {
        return true;
    }
    let plain: String =
        text.chars().filter(|c| !matches!(c, '_' | '-' | ' ')).map(|c| c.to_ascii_lowercase()).collect();
    if is_words_with_id(text) {
        return true;
    }
    let of = plain.strip_suffix("id").or_else(|| plain.strip_prefix("id"));
    of.is_some_and(|of| of.is_empty() || ID_OF.contains(&of)) || IN_PLACE_OF_ID.contains(&plain.as_str())
}

/// `AFF_SUB_ID`, `id_here`: words of letters, of which `id` is the last, or the first before words that are
/// known. `ID-XKCDQW` is an id whose letters mean nothing.
fn is_words_with_id(text: &str) -> bool {
    let words: Vec<&str> = text.split(['_', '-', ' ']).collect();
    let are_words =
        words.iter().all(|word| !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphabetic()));
    if words.len() < 2 || !are_words {
        return false;
    }
    let is_id = |word: &str| word.eq_ignore_ascii_case("id");
    let is_known = |word: &&str| {
        let is = |known: &&str| word.eq_ignore_ascii_case(known);
        ID_OF.iter().any(is) || ["of", "the", "here"].iter().any(is)
    };
    words.last().is_some_and(|last| is_id(last))
        || words.split_first().is_some_and(|(first, others)| is_id(first) && others.iter().all(is_known))
}

/// `XXXXXX`, `######`, `****`, `____`: one mark again and again.
fn is_filler(text: &str) -> bool {
    let mut marks = text.chars();
    let Some(mark) =
        marks.next().filter(|mark| matches!(mark.to_ascii_lowercase(), 'x' | '#' | '*' | '_' | '?' | '.'))
    else {
        return false;
    };
    text.chars().count() >= 3 && marks.all(|c| c == mark)
}

/// Whether only the first or the last half of a macro is there: `{transaction_id`, `tid}`, `#tid`, `[sub`;
/// or a program's own name for the value, which its author meant to be replaced: `$order_id`, `:order_id`,
/// `<%= order_id %>`.
/// Looked for in ids alone: `#1001` and `#EN1001` are orders' names, and other texts may hold such marks.
pub(crate) fn is_half_macro(text: &str) -> bool {
    let is_unmarked = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    if is_unmarked(text.as_bytes().first()) && is_unmarked(text.as_bytes().last()) {
        return false;
    }
    let opened = ["{", "${", "{{", "#", "##", "[", "[[[", "<", "%", "%%", "!!", "!!!", "@", "$", ":"];
    let closed = ["}", "}}", "#", "##", "]", "]]]", ">", "%", "%%", "!!", "!!!", "@"];
    if text.strip_prefix('#').is_some_and(is_orders_name) {
        return false;
    }
    let front = opened.iter().any(|mark| text.strip_prefix(mark).is_some_and(is_macro_name));
    let program = text.starts_with("<%") && text.ends_with("%>") || text.starts_with("<?");
    // In lower case it may be the front of any id: `__8kXw`.
    let shouted = |name: &str| is_macro_name(name) && !name.bytes().any(|b| b.is_ascii_lowercase());
    front
        || program
        || text.strip_prefix("__").is_some_and(shouted)
        || closed.iter().any(|mark| text.strip_suffix(mark).is_some_and(is_macro_name))
}

/// `EN1`, `POS-12`: capitals and a number, as a shop names its orders behind a `#`.
fn is_orders_name(name: &str) -> bool {
    let number = name.trim_start_matches(|c: char| c.is_ascii_uppercase());
    let capitals = name.len() - number.len();
    let number = number.strip_prefix('-').unwrap_or(number);
    capitals >= 1 && !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())
}

/// A macro's name as networks write them: more letters than digits, or `s2`. An order's name has more digits.
fn is_macro_name(name: &str) -> bool {
    let part = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
    let digits = digits_in(name);
    let letters = name.bytes().filter(u8::is_ascii_alphabetic).count();
    let is_sub_id =
        (letters, digits) == (1, 1) && name.bytes().next().is_some_and(|b| b.is_ascii_lowercase());
    begins_with_letter(name)
        && name.bytes().all(part)
        && digits <= MOST_DIGITS
        && (letters > digits || is_sub_id)
}

fn digits_in(text: &str) -> usize {
    text.bytes().filter(u8::is_ascii_digit).count()
}

fn begins_with_letter(name: &str) -> bool {
    name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic())
}
