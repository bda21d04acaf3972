//! Bodies as parameters: those that hold none, those in UTF-16, and JSON whose names are damaged.

use postbridge::template::source::params::Params;
use postbridge::template::source::request;

fn pairs(params: &Params) -> Vec<(&str, &str)> {
    params.pairs.iter().map(|param| (param.name.as_str(), param.value.as_str())).collect()
}

#[test]
fn a_body_that_holds_no_parameter_is_none_whatever_its_type() {
    let bodies: [&[u8]; 31] = [
        b"null",
        b"[]",
        b"\"\"",
        b"false",
        b"true",
        b"{}",
        b" [ ] ",
        b"[{}]",
        b"{\"a\":null}",
        b"0",
        b"7.5",
        b"\"x\"",
        b"undefined",
        b"NULL",
        b"\xef\xbb\xbf",
        b"\xef\xbb\xbfnull",
        b"\xff\xfe",
        b"\xfe\xff",
        b"\xff\xfen\0u\0l\0l\0",
        b"\r\n\t ",
        b"\0",
        b"\0\0\0\0",
        b"{}\0\0",
        b"\xef\xbb\xbf\xef\xbb\xbf{}",
        b"\xef\xbb\xbf\xef\xbb\xbf",
        b"\xe2\x80\x8b",
        b"''",
        b"-",
        b"&&",
        b"[object Object]",
        b"[\"\", false]",
    ];
    let kinds = [
        None,
        Some("application/json"),
        Some("application/json; charset=utf-8"),
        Some("application/json; charset=utf-16"),
        Some("application/x-www-form-urlencoded"),
        Some("text/plain"),
        Some("multipart/form-data; boundary=x"),
    ];
    for body in bodies {
        for kind in kinds {
            let read = request::read(b"tid=1", kind, body).unwrap();
            assert_eq!((pairs(&read), read.notes.len()), (vec![("tid", "1")], 0), "{kind:?} {body:?}");
        }
    }
}

#[test]
fn a_list_with_named_values_and_json_that_was_cut_off_are_never_none() {
    for body in [&b"[{\"a\":1}]"[..], b"[[{\"a\":1}]]", b"{", b"[", b"{\"", b"[object Object"] {
        let read = request::read(b"tid=1", Some("application/json"), body);
        assert!(read.is_err(), "{body:?}");
    }
    let items = request::read(b"", Some("application/json"), br#"{"items":["x"]}"#).unwrap();
    assert_eq!(pairs(&items), [("items.0", "x")]);
}

#[test]
fn a_body_in_utf_16_is_known_by_its_bytes_and_not_by_what_is_declared() {
    let wide = |text: &str, big: bool| -> Vec<u8> {
        let unit = |unit: u16| if big { unit.to_be_bytes() } else { unit.to_le_bytes() };
        text.encode_utf16().flat_map(unit).collect()
    };
    for kind in [None, Some("application/json; charset=utf-16"), Some("text/plain; charset=utf-16le")] {
        for text in ["{\"a\":\"é\"}", "\n {\"a\":\"é\"}", "a=é", "a=é\0"] {
            for body in [text.as_bytes().to_vec(), wide(text, false), wide(text, true)] {
                let read = request::read(b"", kind, &body).unwrap();
                assert_eq!(pairs(&read), [("a", "é")], "{kind:?} {body:?}");
            }
        }
    }
}

#[test]
fn a_json_name_that_is_cut_within_a_character_breaks_nothing_else() {
    let read = request::read(
        b"",
        Some("application/json"),
        br#"{"tid":"1","\ud83d":"x","b":{"\udc00a":"y","c":2}}"#,
    )
    .unwrap();
    let kept: Vec<_> = pairs(&read).into_iter().filter(|(name, _)| name.is_ascii()).collect();
    assert_eq!(kept, [("tid", "1"), ("b.c", "2")]);
}
