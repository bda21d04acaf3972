//! Secrets never reach what is kept: keys in paths, `api_key` anywhere, tokens in requests and echoes.

use std::borrow::Cow;

use postbridge::domain::delivery::OutgoingRequest;
use postbridge::web::body_mask;
use postbridge::web::secret_names::SecretNames;
use postbridge::web::target::{masked_line, masked_unread};

fn line(received_text: &str) -> String {
    String::from_utf8(masked_line(received_text.as_bytes(), &SecretNames::API_KEY)).unwrap()
}

fn unread(received_text: &str) -> String {
    String::from_utf8(masked_unread(received_text.as_bytes(), &SecretNames::API_KEY)).unwrap()
}

fn masked_body<'a>(content_type: Option<&str>, body: &'a [u8]) -> Cow<'a, [u8]> {
    body_mask::masked_body(content_type, body, &SecretNames::API_KEY)
}

fn body(received_text: &str) -> String {
    String::from_utf8(masked_body(None, received_text.as_bytes()).into_owned()).unwrap()
}

#[test]
fn the_first_path_segment_and_every_api_key_are_masked_and_nothing_else() {
    let rows = [
        ("GET /KEY/collect/s?a=1&b=#b# HTTP/1.1", "GET /***/collect/s?a=1&b=#b# HTTP/1.1"),
        ("GET http://h:1/KEY/collect/s?a=1 HTTP/1.1", "GET http://h:1/***/collect/s?a=1 HTTP/1.1"),
        ("GET HTTPS://[::1]:80/KEY/collect/s HTTP/1.1", "GET HTTPS://[::1]:80/***/collect/s HTTP/1.1"),
        ("GET http://h?api_key=S HTTP/1.1", "GET http://h?api_key=*** HTTP/1.1"),
        ("GET //KEY/collect/s HTTP/1.1", "GET //***/collect/s HTTP/1.1"),
        ("GET ///KEY//collect///s//?a=1 HTTP/1.1", "GET ///***//collect///s//?a=1 HTTP/1.1"),
        ("GET /%2FKEY/collect/s%2f HTTP/1.1", "GET /%2F***/collect/s%2f HTTP/1.1"),
        ("GET http://h//KEY/collect/s/ HTTP/1.1", "GET http://h//***/collect/s/ HTTP/1.1"),
        ("GET /KEY/collect/s?api_key=S&b=2 HTTP/1.1", "GET /***/collect/s?api_key=***&b=2 HTTP/1.1"),
        ("GET /KEY/collect/s?b=2&API_KEY=S HTTP/1.1", "GET /***/collect/s?b=2&API_KEY=*** HTTP/1.1"),
        ("GET /KEY/collect/s?b=2&amp;api_key=S HTTP/1.1", "GET /***/collect/s?b=2&amp;api_key=*** HTTP/1.1"),
        ("GET /KEY/collect/s?api%5Fkey=S?x=1&y=2 HTTP/1.1", "GET /***/collect/s?api%5Fkey=***&y=2 HTTP/1.1"),
        ("GET /KEY/collect/s?x=1?api_key=A;B HTTP/1.1", "GET /***/collect/s?x=1?api_key=*** HTTP/1.1"),
        ("GET /KEY/collect/s?a=b=c&&d HTTP/1.1", "GET /***/collect/s?a=b=c&&d HTTP/1.1"),
    ];
    for (received_text, kept) in rows {
        assert_eq!(line(received_text), kept);
    }
}

#[test]
fn a_line_that_was_refused_unread_shows_no_key_however_it_was_bent() {
    for received_text in [
        "GET /KEY/collect/s/ HTTP/1.1",
        "GET /KEY/collect/s#a/b HTTP/1.1",
        "GET\t/KEY/collect/s\tHTTP/1.1",
        "GET //KEY/collect/s HTTP/1.1",
        "GET /%2fKEY%2Fcollect%2fs HTTP/1.1",
        "GET http://host/KEY/collect/s HTTP/1.1",
        "GET http://u:KEY@host/KEY/collect/s HTTP/1.1",
        "GET HTTP://KEY@[::1]:1//KEY/collect/s HTTP/1.1",
        "GET //u:KEY@host/KEY/collect/s HTTP/1.1",
        "GET /KEY HTTP/1.1",
        "GET   /KEY?x=1 HTTP/1.1",
        "GET t.example.com:443/KEY/collect/s HTTP/1.1",
        " GET /KEY/collect/s?a=1 HTTP/1.1",
        "GET x /KEY/collect/s HTTP/1.1",
        "CONNECT h:1/KEY/collect/s HTTP/1.1",
        "GET x%2FKEY%2fcollect/s HTTP/1.1",
        "/KEY/collect/s",
        "GET /KEY",
    ] {
        let kept = unread(received_text);
        assert!(
            !kept.contains("KEY") || received_text.starts_with("/KEY"),
            "{received_text:?} is kept as {kept:?}"
        );
        assert!(
            kept.contains("***") || received_text.starts_with("/KEY"),
            "{received_text:?} is kept as {kept:?}"
        );
    }
    assert_eq!(unread("GET /KEY/collect/s?api_key=S HTTP/1.1"), "GET /***/collect/s?api_key=*** HTTP/1.1");
}

#[test]
fn in_a_body_only_the_value_of_api_key_changes() {
    let rows = [
        ("a=1&api_key=S&b=2", "a=1&api_key=***&b=2"),
        (r#"{"a": 1.10, "api_key" : "S\"x", "a": 2}"#, r#"{"a": 1.10, "api_key" : "***", "a": 2}"#),
        (r#"{"Api_Key":123,"b":"api_key"}"#, r#"{"Api_Key":"***","b":"api_key"}"#),
        (r#"{"api\u005fkey":"S"}"#, r#"{"api\u005fkey":"***"}"#),
        (r#"{"api_key":"S", broken"#, r#"{"api_key":"***", broken"#),
        (r#"[{"x":{"api_key":null}}]"#, r#"[{"x":{"api_key":"***"}}]"#),
        (r#"{"api_key":["A",{"b":"C]"}], "d":1}"#, r#"{"api_key":"***", "d":1}"#),
        ("{}", "{}"),
    ];
    for (received_text, kept) in rows {
        assert_eq!(body(received_text), kept);
    }
}

#[test]
fn a_key_in_a_body_that_cannot_be_read_is_masked_too() {
    let part = "--x\r\nContent-Disposition: form-data; name=\"api_key\"\r\n\r\nKEY\r\n--x\r\n";
    let rows = [
        ("\u{feff}{\"api_key\":\"KEY\",", "\u{feff}{\"api_key\":\"***\","),
        ("x{\"api_key\":\"KEY\",\"a\":1}", "x{\"api_key\":\"***\",\"a\":1}"),
        (part, &part.replace("KEY", "***")),
        ("a=5\"&api_key=KEY&b=\"", "a=5\"&api_key=***&b=\""),
    ];
    for (received_text, kept) in rows {
        assert_eq!(body(received_text), kept);
    }
}

#[test]
fn a_key_is_masked_in_every_way_that_a_body_is_read() {
    let wide = |text: &str, mark: &[u8], big: bool| -> Vec<u8> {
        let unit = |unit: u16| if big { unit.to_be_bytes() } else { unit.to_le_bytes() };
        [mark, &text.encode_utf16().flat_map(unit).collect::<Vec<u8>>()].concat()
    };
    let (received_text, kept) = (r#"{"a":"é","api_key":"KEY"}"#, r#"{"a":"é","api_key":"***"}"#);
    for (mark, big) in
        [(&b""[..], false), (&b""[..], true), (&b"\xff\xfe"[..], false), (&b"\xfe\xff"[..], true)]
    {
        assert_eq!(masked_body(None, &wide(received_text, mark, big)), wide(kept, mark, big));
    }
    let form = wide("a=1&api_key=KEY", b"", false);
    assert_eq!(masked_body(Some("x/y; charset=utf-16le"), &form), wide("a=1&api_key=***", b"", false));
    for text in ["a=1&api_key=KEY", "{\"api_key\":\"KEY\"}", "a\0b&api_key=KEY", "api_key=KEY\0"] {
        let masked = masked_body(Some("application/json; charset=utf-16"), text.as_bytes());
        assert!(!String::from_utf8_lossy(&masked).contains("KEY"), "declared UTF-16, and is none: {text:?}");
    }
    let big = wide("\n{\"api_key\":\"KEY\"}", b"", true);
    assert_eq!(masked_body(None, &big), wide("\n{\"api_key\":\"***\"}", b"", true));
    assert_eq!(body("a=1&+api_key+=KEY&%20api%5fkey=KEY"), "a=1&+api_key+=***&%20api%5fkey=***");
    let bare = "--x\rContent-Disposition: form-data; name=\"api_key\"\r\rKEY\r--x--\r";
    assert!(!body(bare).contains("KEY"), "{}", body(bare));
    let plain = wide("a=1&b=\u{e9}", b"\xff\xfe", false);
    assert_eq!(masked_body(None, &plain), plain, "what holds no key stays as it was received");
    assert_eq!(body(r#""{\"api_key\":\"KEY\"}""#), r#""{\"api_key\":\"***\"}""#);
    assert_eq!(body("{x}=1&api_key=KEY"), "{x}=1&api_key=***");
}

#[test]
fn a_token_is_masked_in_every_spelling_of_a_url() {
    let secret = "123|ab_c d";
    let request = OutgoingRequest {
        method: "POST".to_owned(),
        url: format!("https://h.example/{}?t=123%7Cab_c+d&u=123%7cab%5fc%20d", "123%7Cab_c%20d"),
        headers: vec![("authorization".to_owned(), format!("Bearer {secret}"))],
        body: br#"{"t":"123|ab_c d","n":"123|ab"}"#.to_vec(),
        secrets: vec![secret.to_owned()],
    };
    let kept = request.masked();
    assert_eq!(kept.url, "https://h.example/***?t=***&u=***");
    assert_eq!(kept.headers[0].1, "Bearer ***");
    assert_eq!(kept.body, r#"{"t":"***","n":"123|ab"}"#);
    assert_eq!(request.mask("nothing of it: é %zz %"), "nothing of it: é %zz %");
}

#[test]
fn an_endpoint_opens_for_each_of_its_keys_and_for_nothing_else() {
    let keys = postbridge::web::auth::Keys::new(["key-from-a-file", "k3y-of-the-network"]);
    assert!(keys.open_for(b"key-from-a-file") && keys.open_for(b"k3y-of-the-network"));
    assert!(!keys.open_for(b"key-from-a-fil") && !keys.open_for(b"key-from-a-file ") && !keys.open_for(b""));
    assert!(!postbridge::web::auth::Keys::default().open_for(b""), "an endpoint without keys is closed");
}
