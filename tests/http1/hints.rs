//! What a server may ignore is ignored: offers to switch the protocol, expectations, and the form of a target.

use postbridge::http1::head;
use postbridge::http1::refusal::HttpRefusal;
use postbridge::http1::target::RawHead;

use crate::support::http1_server::{Seen, count, play};

/// One request, played whole; what the handler saw of it.
async fn seen(request: &str) -> Seen {
    let played = play(vec![request.as_bytes().to_vec()]).await;
    assert_eq!((count(&played.answers, 200), played.refusals.len()), (1, 0), "{request:?}");
    played.seen.into_iter().next().unwrap()
}

fn header(seen: &Seen, name: &str) -> Option<String> {
    let found = seen.headers.iter().find(|(known, _)| known == name);
    found.map(|(_, value)| String::from_utf8_lossy(value).into_owned())
}

#[tokio::test]
async fn an_offer_to_switch_the_protocol_is_ignored_with_and_without_a_body() {
    // Java's HttpClient, curl --http2, a browser's WebSocket, Netty in lower case.
    let offers = [
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n",
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
        "upgrade: h2c\r\nconnection: keep-alive , upgrade\r\nhttp2-settings:\r\n",
        "Upgrade: TLS/1.2, HTTP/2.0\r\nUpgrade: x\r\n",
        "UPGRADE:\r\n",
    ];
    let bodies = [
        "\r\n",
        "Content-Length: 5\r\n\r\nhello",
        "Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
    ];
    for offer in offers {
        for (body, length) in bodies.into_iter().zip([0, 5, 5]) {
            let request = format!("POST /k/collect/s?a=#b# HTTP/1.1\r\nHost: t\r\n{offer}{body}");
            let seen = seen(&request).await;
            assert_eq!(
                (seen.target.as_slice(), seen.body.len()),
                (&b"/k/collect/s?a=#b#"[..], length),
                "{request}"
            );
            for hint in ["upgrade", "http2-settings"] {
                assert_eq!(header(&seen, hint), None, "{request}");
            }
            assert!(!header(&seen, "connection").is_some_and(|value| value.contains("pgrade")), "{request}");
        }
    }
}

#[tokio::test]
async fn the_other_tokens_of_connection_still_count() {
    let request = "GET /a HTTP/1.1\r\nHost: t\r\nConnection: Upgrade, close\r\nUpgrade: h2c\r\n\r\n";
    let played = play(vec![format!("{request}GET /hidden HTTP/1.1\r\nHost: t\r\n\r\n").into_bytes()]).await;
    assert_eq!(played.seen.len(), 1, "the connection is closed as asked");
    assert_eq!(header(&played.seen[0], "connection").as_deref(), Some("close"));
    let kept = "GET /a HTTP/1.1\r\nHost: t\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n";
    assert_eq!(play(vec![kept.repeat(3).into_bytes()]).await.seen.len(), 3, "and else it goes on");
}

#[tokio::test]
async fn an_expectation_that_no_one_defines_is_ignored() {
    for expect in ["Expect: 200-ok", "expect: nonsense; q=1", "Expect:", "Expect: x\r\nExpect: y"] {
        let request = format!("POST /a HTTP/1.1\r\nHost: t\r\n{expect}\r\nContent-Length: 2\r\n\r\nhi");
        let seen = seen(&request).await;
        assert_eq!((seen.body.as_slice(), header(&seen, "expect")), (&b"hi"[..], None), "{request}");
    }
}

#[tokio::test]
async fn of_an_absolute_target_the_path_is_read_and_its_host_counts() {
    let rows = [
        ("http://shop.example/a?b=#c#", "/a?b=#c#", "shop.example"),
        ("HTTP://shop.example:8080/a", "/a", "shop.example:8080"),
        ("https://Shop.Example/a?u=http://x/y", "/a?u=http://x/y", "Shop.Example"),
        ("http://[::1]:8080/a", "/a", "[::1]:8080"),
        ("http://[2001:db8::7]/", "/", "[2001:db8::7]"),
        ("http://127.0.0.1?a=1&b=x@y", "/?a=1&b=x@y", "127.0.0.1"),
        ("http://shop.example", "/", "shop.example"),
        ("http://shop.example:/a", "/a", "shop.example:"),
        ("http://a_b.example//k/collect/s/", "//k/collect/s/", "a_b.example"),
    ];
    for (target, path, host) in rows {
        for body in ["\r\n", "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"] {
            let request = format!("POST {target} HTTP/1.1\r\nhOST: elsewhere\r\n{body}");
            let seen = seen(&request).await;
            assert_eq!(String::from_utf8_lossy(&seen.target), path, "{target}");
            let hosts: Vec<_> = seen.headers.iter().filter(|(name, _)| name == "host").collect();
            assert_eq!(hosts, [&("host".to_owned(), host.as_bytes().to_vec())], "{target}");
            assert!(
                String::from_utf8_lossy(&seen.line).contains(target),
                "the line is kept as it was received"
            );
        }
    }
}

#[test]
fn positions_that_lie_outside_a_message_are_an_error_and_never_an_empty_text() {
    let bytes = b"GET http://h.example/p?q HTTP/1.1\r\nHost: t\r\n\r\n";
    let head = head::read(bytes).unwrap();
    let mut into = Vec::new();
    for length in [3, 20, 40] {
        let short = bytes.get(..length).unwrap();
        let wrong = head::rewrite(short, &head, b"/p?q", None, &mut into);
        assert_eq!(wrong, Err(HttpRefusal::MISCOUNTED), "{length}");
    }
    let target = &head.target;
    assert_eq!(target.path(b"GET http://h"), Err(HttpRefusal::MISCOUNTED));
    assert_eq!(target.query(b"GET http://h"), Err(HttpRefusal::MISCOUNTED));
    assert_eq!(target.authority(b"GET http"), Err(HttpRefusal::MISCOUNTED));
    assert_eq!(RawHead::new(1, b"GET http://h", target, None), Err(HttpRefusal::MISCOUNTED));
    let kind = HttpRefusal::MISCOUNTED.kind;
    assert_eq!((kind.status().as_u16(), kind.code()), (500, "internal_error"));
    assert_eq!((target.path(bytes), target.query(bytes)), (Ok("/p"), Ok(&b"?q"[..])));
}
