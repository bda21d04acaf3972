//! The detector by a table of values as senders write them: what each must be found to be, however it is encoded.

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use postbridge::template::macros::detect::{ValueClass, ValueUse, classify};

const TABLE: &str = include_str!("../../fixtures/macros/detector.tsv");

/// What begins the `from` of a value that no network's page or template is known for.
const IN_GENERAL: &str = "in general: ";

/// One line of the table.
struct DetectorRow {
    value: &'static str,
    used: ValueUse,
    found: &'static str,
    from: &'static str,
}

fn rows() -> Vec<DetectorRow> {
    let read = |line: &'static str| {
        let cells: Vec<&str> = line.split('\t').collect();
        let [value, used, found, from] = cells[..] else { panic!("four cells: {line:?}") };
        let used = match used {
            "id" => ValueUse::Id,
            "amount" => ValueUse::Amount,
            "text" => ValueUse::Text,
            other => panic!("`{other}` is no kind of field: {line:?}"),
        };
        assert!(["macro", "placeholder", "nothing", "empty", "sound"].contains(&found), "{line:?}");
        DetectorRow { value, used, found, from }
    };
    TABLE.lines().skip(1).map(read).collect()
}

fn word(class: &ValueClass) -> &'static str {
    match class {
        ValueClass::Macro(_) => "macro",
        ValueClass::Skeleton => "placeholder",
        ValueClass::Nothing => "nothing",
        ValueClass::Empty => "empty",
        ValueClass::Sound => "sound",
    }
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// The ways in which a value is received: as it is in a body, as it is in a URL, encoded, and encoded twice. Each is
/// the bytes and what one decoding makes of them.
fn forms(value: &str) -> [(&'static str, String, String); 4] {
    let decoded = |raw: &str| percent_decode_str(raw).decode_utf8_lossy().into_owned();
    let (once, twice) = (encoded(value), encoded(&encoded(value)));
    [
        ("in a body", value.to_owned(), value.to_owned()),
        ("in a URL", decoded(value), value.to_owned()),
        ("encoded", decoded(&once), once),
        ("encoded twice", decoded(&twice), twice),
    ]
}

/// The value in other cases, where case says nothing: of a value that is sound it does.
fn cases(row: &DetectorRow) -> Vec<String> {
    let mut cases = vec![row.value.to_owned()];
    // Between two underscores a word in small letters is an ordinary one.
    if row.found != "sound" && !row.value.starts_with("__") {
        cases.extend([row.value.to_lowercase(), row.value.to_uppercase()]);
    }
    cases
}

#[test]
fn every_value_of_the_table_is_found_to_be_what_it_is_in_whatever_form() {
    let (mut right, mut wrong) = (0, Vec::new());
    for row in rows() {
        for value in cases(&row) {
            for (form, decoded, raw) in forms(&value) {
                let found = word(&classify(&decoded, raw.as_bytes(), row.used));
                if found == row.found {
                    right += 1;
                } else {
                    let DetectorRow { used, found: wanted, from, .. } = &row;
                    wrong.push(format!("`{value}` {form}, as {used:?}: {found} and not {wanted} ({from})"));
                }
            }
        }
    }
    let all = right + wrong.len();
    assert!(wrong.is_empty(), "{right} of {all} are found:\n{}", wrong.join("\n"));
}

#[test]
fn the_table_holds_as_much_that_is_sound_and_is_mostly_from_the_networks() {
    let rows = rows();
    let count = |is: fn(&DetectorRow) -> bool| rows.iter().filter(|row| is(row)).count();
    assert!(rows.len() >= 200, "{}", rows.len());
    assert!(2 * count(|row| row.found == "sound") >= rows.len());
    assert!(2 * count(|row| !row.from.starts_with(IN_GENERAL)) >= rows.len());
    for used in [ValueUse::Id, ValueUse::Amount, ValueUse::Text] {
        for found in ["macro", "placeholder", "sound"] {
            assert!(rows.iter().any(|row| row.used == used && row.found == found), "{used:?} {found}");
        }
    }
    let mut values: Vec<_> = rows.iter().map(|row| (row.value, format!("{:?}", row.used))).collect();
    values.sort_unstable();
    values.dedup();
    assert_eq!(values.len(), rows.len(), "a value is there twice");
}
