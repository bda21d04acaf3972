//! What two parsers could read in two ways is refused, and nothing after it is read as a request.

use crate::support::http1_server::{count, is_own_refusal, play, server};

/// A second request, hidden behind each row; it must never reach the handler.
const HIDDEN: &str = "GET /hidden HTTP/1.1\r\nHost: t\r\n\r\n";

const REFUSED: &[(&str, &str)] = &[
    (
        "both framings",
        "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "both framings, the other way",
        "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
    ),
    ("two lengths", "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\n"),
    ("two equal lengths", "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n"),
    ("a list of lengths", "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 0, 0\r\n\r\n"),
    ("a signed length", "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: +0\r\n\r\n"),
    ("a negative length", "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: -1\r\n\r\n"),
    ("a hexadecimal length", "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 0x0\r\n\r\n"),
    ("an empty length", "POST / HTTP/1.1\r\nHost: t\r\nContent-Length:\r\n\r\n"),
    ("a length beyond 64 bits", "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 18446744073709551616\r\n\r\n"),
    ("a spaced length", "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 1 0\r\n\r\n"),
    ("another coding", "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: gzip\r\n\r\n"),
    ("identity", "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: identity\r\n\r\n"),
    ("two codings", "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    (
        "chunked, then another",
        "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    ),
    (
        "chunked twice",
        "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    ("chunked quoted", "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n"),
    (
        "chunked with a parameter",
        "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n",
    ),
    (
        "chunked with a vertical tab",
        "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    ),
    ("an empty coding", "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding:\r\n\r\n"),
    ("a coding in HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("a bare newline after the request line", "GET / HTTP/1.1\nHost: t\r\n\r\n"),
    ("a bare newline after a header", "GET / HTTP/1.1\r\nHost: t\n\r\n"),
    ("a bare newline in a value", "GET / HTTP/1.1\r\nHost: t\r\nA: b\nContent-Length: 5\r\n\r\n"),
    ("bare newlines only", "GET / HTTP/1.1\n\n"),
    ("a bare carriage return in the target", "GET /?a\rb HTTP/1.1\r\nHost: t\r\n\r\n"),
    ("a bare carriage return in a value", "GET / HTTP/1.1\r\nHost: t\r\nA: b\rc\r\n\r\n"),
    ("a carriage return before CRLF", "GET / HTTP/1.1\r\nHost: t\r\r\n\r\n"),
    ("a folded header", "GET / HTTP/1.1\r\nHost: t\r\nA: b\r\n c\r\n\r\n"),
    (
        "a header folded by a tab",
        "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding:\r\n\tchunked\r\n\r\n0\r\n\r\n",
    ),
    ("a fold before the first header", "GET / HTTP/1.1\r\n Host: t\r\n\r\n"),
    ("a space before a colon", "POST / HTTP/1.1\r\nHost: t\r\nContent-Length : 5\r\n\r\nhello"),
    ("a tab before a colon", "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n"),
    ("an empty header name", "GET / HTTP/1.1\r\nHost: t\r\n: b\r\n\r\n"),
    ("a header without a colon", "GET / HTTP/1.1\r\nHost: t\r\nnonsense\r\n\r\n"),
    ("a space in a header name", "GET / HTTP/1.1\r\nHost: t\r\nA B: c\r\n\r\n"),
    ("a NUL in a value", "GET / HTTP/1.1\r\nHost: t\r\nA: b\0c\r\n\r\n"),
    ("CONNECT", "CONNECT t:443 HTTP/1.1\r\nHost: t\r\n\r\n"),
    ("CONNECT with a path", "CONNECT / HTTP/1.1\r\nHost: t\r\n\r\n"),
    ("HTTP/2.0", "GET / HTTP/2.0\r\nHost: t\r\n\r\n"),
    ("the HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    ("HTTP/1.2", "GET / HTTP/1.2\r\nHost: t\r\n\r\n"),
    ("HTTP/0.9", "GET /\r\n\r\n"),
    ("a version in lower case", "GET / http/1.1\r\nHost: t\r\n\r\n"),
    ("a version with more digits", "GET / HTTP/1.10\r\nHost: t\r\n\r\n"),
    ("a space after the version", "GET / HTTP/1.1 \r\nHost: t\r\n\r\n"),
    ("no Host", "GET / HTTP/1.1\r\n\r\n"),
    ("two Hosts", "GET / HTTP/1.1\r\nHost: t\r\nHost: u\r\n\r\n"),
    ("two Hosts in HTTP/1.0", "GET / HTTP/1.0\r\nHost: t\r\nHost: u\r\n\r\n"),
    ("two spaces after the method", "GET  / HTTP/1.1\r\nHost: t\r\n\r\n"),
    ("a tab after the method", "GET\t/ HTTP/1.1\r\nHost: t\r\n\r\n"),
    ("a leading space", " GET / HTTP/1.1\r\nHost: t\r\n\r\n"),
    ("an illegal method", "G(T / HTTP/1.1\r\nHost: t\r\n\r\n"),
    ("no target", "GET HTTP/1.1\r\nHost: t\r\n\r\n"),
    ("an empty target", "GET  HTTP/1.1\r\nHost: t\r\n\r\n"),
    ("an absolute target with a user", "GET http://u:p@t/ HTTP/1.1\r\nHost: t\r\n\r\n"),
    ("an absolute target without a host", "GET http:///a HTTP/1.1\r\nHost: t\r\n\r\n"),
    ("an absolute target of another scheme", "GET ftp://t/ HTTP/1.1\r\nHost: t\r\n\r\n"),
    ("an absolute target with a port of letters", "GET http://t:a/ HTTP/1.1\r\nHost: t\r\n\r\n"),
    ("an absolute target with an open bracket", "GET http://[::1/ HTTP/1.1\r\nHost: t\r\n\r\n"),
    ("an absolute target with a backslash", "GET http://t\\u/ HTTP/1.1\r\nHost: t\r\n\r\n"),
    ("an absolute target and no Host", "GET http://t/ HTTP/1.1\r\n\r\n"),
    ("an absolute target and two Hosts", "GET http://t/ HTTP/1.1\r\nHost: t\r\nHost: t\r\n\r\n"),
    (
        "an upgrade with two framings",
        "POST / HTTP/1.1\r\nHost: t\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    ("the authority form", "GET t:80 HTTP/1.1\r\nHost: t\r\n\r\n"),
    ("a hash in the path", "GET /a#b?c HTTP/1.1\r\nHost: t\r\n\r\n"),
    ("a space in the path", "GET /a b?c HTTP/1.1\r\nHost: t\r\n\r\n"),
    ("two empty lines before the request", "\r\n\r\nGET / HTTP/1.1\r\nHost: t\r\n\r\n"),
    ("a TLS hello", "\x16\x03\x01\x02\0\x01\0\x01\n"),
    (
        "a chunk size without digits",
        "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n\r\n0\r\n\r\n",
    ),
    (
        "a chunk size with a prefix",
        "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n",
    ),
    (
        "a chunk size with a sign",
        "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n+5\r\nhello\r\n0\r\n\r\n",
    ),
    (
        "a chunk size with a space",
        "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n5 \r\nhello\r\n0\r\n\r\n",
    ),
    (
        "a chunk size ended by a bare newline",
        "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n",
    ),
    (
        "a newline in a chunk extension",
        "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n5;a\nb\r\nhello\r\n0\r\n\r\n",
    ),
    (
        "a chunk longer than its size",
        "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhello\r\n0\r\n\r\n",
    ),
    (
        "a chunk ended by a bare newline",
        "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\n0\r\n\r\n",
    ),
    (
        "a folded trailer",
        "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n c\r\n\r\n",
    ),
    (
        "a trailer without a colon",
        "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nGET / HTTP/1.1\r\n\r\n",
    ),
    (
        "a trailer ended by a bare newline",
        "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b\n\r\n",
    ),
];

#[tokio::test]
async fn each_ambiguous_request_is_answered_400_recorded_and_closed() {
    for (name, request) in REFUSED {
        for keep_alive in ["", HIDDEN] {
            let bytes = format!("{keep_alive}{request}{HIDDEN}").replace("/hidden", "/fine");
            let played = play(vec![bytes.into_bytes()]).await;
            let fine = usize::from(!keep_alive.is_empty());
            let own = played.answers.windows(13).rposition(|w| w == b"HTTP/1.1 400 ").unwrap_or(0);
            assert!(is_own_refusal(&played.answers[own..], 400), "{name}: {:?}", played.refusals);
            assert_eq!(played.refusals.len(), 1, "{name}");
            assert_eq!(count(&played.answers, 200), fine, "{name}");
            assert_eq!(played.seen.len(), fine, "{name}: nothing behind it is read");
        }
    }
}

#[tokio::test]
async fn a_refusal_reaches_a_client_that_keeps_its_connection_open() {
    let server = server().await;
    let mut stream = server.connect().await;
    tokio::io::AsyncWriteExt::write_all(&mut stream, b"GET / HTTP/1.1\nHost: t\r\n\r\n").await.unwrap();
    let answer = crate::support::http1_server::read_answer(&mut stream).await;
    assert!(is_own_refusal(answer.as_bytes(), 400), "{answer}");
    assert_eq!(server.refusals()[0].line, b"GET / HTTP/1.1");
}

#[tokio::test]
async fn a_refusal_to_a_head_request_has_no_body() {
    let played = play(vec![b"HEAD /#a HTTP/1.1\r\nHost: t\r\n\r\n".to_vec()]).await;
    assert_eq!(count(&played.answers, 400), 1);
    assert!(played.answers.ends_with(b"\r\n\r\n"));
}

#[tokio::test]
async fn a_refusal_keeps_at_most_two_kibibytes_of_what_received() {
    let request = format!("GET /#{} HTTP/1.1\r\nHost: t\r\n\r\n", "x".repeat(5000));
    let played = play(vec![request.into_bytes()]).await;
    assert_eq!(played.refusals[0].line.len(), 2048);
    assert!(played.refusals[0].line.starts_with(b"GET /#xxx"));
}

#[tokio::test]
async fn forms_that_can_be_read_in_one_way_only_are_taken() {
    for request in [
        "GET / HTTP/1.0\r\n\r\n",
        "GET / HTTP/1.0\r\nHost: t\r\n\r\n",
        "\r\nGET / HTTP/1.1\r\nHost: t\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: t\r\n\r\n",
        "GET /?a=b c HTTP/1.1\r\nHost: t\r\n\r\n",
        "GET /?a HTTP/1.1 HTTP/1.1\r\nHost: t\r\n\r\n",
        "GET /?a?b?c HTTP/1.1\r\nhost:t\r\n\r\n",
        "GET / HTTP/1.1\r\nHost:\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: t\r\nA:\r\nB: \t \r\n\r\n",
        "POST / HTTP/1.1\r\nHost: t\r\ntransfer-encoding: CHUNKED \r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 0005\r\n\r\nhello",
        "PUT / HTTP/1.1\r\nHost: t\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
    ] {
        let played = play(vec![request.as_bytes().to_vec()]).await;
        let outcome = (played.seen.len(), count(&played.answers, 200) + count_old(&played.answers));
        assert_eq!((outcome, played.refusals), ((1, 1), vec![]), "{request:?}");
    }
}

fn count_old(answers: &[u8]) -> usize {
    String::from_utf8_lossy(answers).matches("HTTP/1.0 200 ").count()
}

#[tokio::test]
async fn a_header_cannot_forge_what_the_handler_is_reported() {
    let forged =
        "GET /real?x=#y# HTTP/1.1\r\nHost: t\r\nX-Raw-Line: GET /forged HTTP/1.1\r\nX-Number: 9\r\n\r\n";
    let played = play(vec![forged.repeat(3).into_bytes()]).await;
    let numbers: Vec<u64> = played.seen.iter().map(|seen| seen.number).collect();
    assert_eq!(numbers, [1, 2, 3]);
    assert!(played.seen.iter().all(|seen| seen.target == b"/real?x=#y#"));
}

#[tokio::test]
async fn nothing_is_read_after_an_answer_that_closes() {
    let bytes = format!("GET /fine HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n{HIDDEN}");
    let played = play(vec![bytes.into_bytes()]).await;
    assert_eq!((played.seen.len(), count(&played.answers, 200)), (1, 1));
}
