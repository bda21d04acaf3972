//! Every byte of a request line arrives, or is refused with our own answer.

use crate::support::http1_server::{count, is_own_refusal, play, read_answer, server};
use tokio::io::AsyncWriteExt;

const CAKE: &[u8] = b"GET /k/collect/cake-test?s1=#s1#&s2=abc&tid=1 HTTP/1.1\r\nHost: t\r\n\r\n";

fn decoded(handed: &str, name: &str) -> Option<Vec<u8>> {
    let (_, query) = handed.split_once('?')?;
    let pair = query.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}=")))?;
    let plain = pair.replace('+', " ");
    Some(percent_encoding::percent_decode_str(&plain).collect())
}

#[tokio::test]
async fn every_byte_in_a_query_value_arrives_raw_or_is_refused_by_us() {
    let server = server().await;
    for byte in 0..=255u8 {
        let line = [b"GET /k/collect/s?v=a".as_slice(), &[byte], b"b&w=1 HTTP/1.1"].concat();
        let answer = server.send(&[&line[..], b"\r\nHost: t\r\n\r\n"].concat()).await;
        let (seen, refusals) = (server.seen(), server.refusals());
        if matches!(byte, b'\r' | b'\n') {
            assert!(is_own_refusal(&answer, 400), "{byte:#x}: {}", String::from_utf8_lossy(&answer));
            assert!(seen.is_empty() && refusals.len() == 1, "{byte:#x}");
            continue;
        }
        assert_eq!((count(&answer, 200), refusals.len(), seen.len()), (1, 0, 1), "{byte:#x}");
        assert_eq!(seen[0].line, line, "{byte:#x}");
        assert_eq!(seen[0].handed, seen[0].uri, "{byte:#x}");
        let expected = match byte {
            b'&' => b"a".to_vec(),
            b'+' => b"a b".to_vec(),
            _ => vec![b'a', byte, b'b'],
        };
        assert_eq!(decoded(&seen[0].handed, "v").unwrap(), expected, "{byte:#x}");
        assert_eq!(decoded(&seen[0].handed, "w").unwrap(), b"1", "{byte:#x}");
    }
}

#[tokio::test]
async fn every_byte_in_a_path_arrives_or_is_refused_by_us() {
    let server = server().await;
    for byte in 0..=255u8 {
        let line = [b"GET /k".as_slice(), &[byte], b"x/y HTTP/1.1"].concat();
        let answer = server.send(&[&line[..], b"\r\nHost: t\r\n\r\n"].concat()).await;
        let (seen, refusals) = (server.seen(), server.refusals());
        let plain = byte > 0x20 && byte < 0x7F && !matches!(byte, b'#' | b'"' | b'<' | b'>' | b'`');
        if plain {
            assert_eq!((count(&answer, 200), refusals.len()), (1, 0), "{byte:#x}");
            assert_eq!((&seen[0].line, &seen[0].handed), (&line, &seen[0].uri), "{byte:#x}");
        } else {
            assert!(is_own_refusal(&answer, 400), "{byte:#x}: {}", String::from_utf8_lossy(&answer));
            assert!(seen.is_empty() && refusals.len() == 1, "{byte:#x}");
        }
    }
}

#[tokio::test]
async fn every_byte_in_a_method_arrives_or_is_refused_by_us() {
    let server = server().await;
    for byte in 0..=255u8 {
        let line = [b"G".as_slice(), &[byte], b"T / HTTP/1.1"].concat();
        let answer = server.send(&[&line[..], b"\r\nHost: t\r\n\r\n"].concat()).await;
        let (seen, refusals) = (server.seen(), server.refusals());
        if byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte) {
            assert_eq!((count(&answer, 200), refusals.len()), (1, 0), "{byte:#x}");
            assert_eq!(seen[0].line, line, "{byte:#x}");
        } else {
            assert!(is_own_refusal(&answer, 400), "{byte:#x}: {}", String::from_utf8_lossy(&answer));
            assert!(seen.is_empty() && refusals.len() == 1, "{byte:#x}");
        }
    }
}

#[tokio::test]
async fn every_byte_in_a_header_value_or_name_arrives_or_is_refused_by_us() {
    let server = server().await;
    for byte in 0..=255u8 {
        for part in ["value", "name"] {
            let header = match part {
                "value" => [b"X-A: a".as_slice(), &[byte], b"b"].concat(),
                _ => [b"X".as_slice(), &[byte], b"A: a"].concat(),
            };
            let request = [b"GET / HTTP/1.1\r\nHost: t\r\n", &header[..], b"\r\n\r\n"].concat();
            let answer = server.send(&request).await;
            let (seen, refusals) = (server.seen(), server.refusals());
            if seen.is_empty() {
                assert!(
                    is_own_refusal(&answer, 400),
                    "{part} {byte:#x}: {}",
                    String::from_utf8_lossy(&answer)
                );
                assert_eq!(refusals.len(), 1, "{part} {byte:#x}");
            } else {
                assert_eq!((count(&answer, 200), refusals.len()), (1, 0), "{part} {byte:#x}");
            }
        }
    }
}

#[tokio::test]
async fn raw_hashes_arrive_whole_on_every_request_of_a_connection() {
    let server = server().await;
    let mut stream = server.connect().await;
    for number in 1..=5 {
        stream.write_all(CAKE).await.unwrap();
        assert!(read_answer(&mut stream).await.starts_with("HTTP/1.1 200 OK"));
        let seen = server.seen();
        assert_eq!((seen.len(), seen[0].number), (1, number));
        assert_eq!(seen[0].target, b"/k/collect/cake-test?s1=#s1#&s2=abc&tid=1");
        assert_eq!(seen[0].handed, "/k/collect/cake-test?s1=%23s1%23&s2=abc&tid=1");
    }
}

#[tokio::test]
async fn pipelined_requests_arrive_whole_and_in_order() {
    let server = server().await;
    let mut all = Vec::new();
    for number in 0..40 {
        all.extend_from_slice(format!("POST /p?n={number}&h=#x# HTTP/1.1\r\nHost: t\r\n").as_bytes());
        match number % 3 {
            0 => all.extend_from_slice(b"Content-Length: 5\r\n\r\nhello"),
            1 => all.extend_from_slice(
                b"Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\nT: v\r\n\r\n",
            ),
            _ => all.extend_from_slice(b"\r\n"),
        }
    }
    let answers = server.send(&all).await;
    assert_eq!(count(&answers, 200), 40);
    let seen = server.seen();
    assert_eq!(seen.len(), 40);
    for (number, one) in seen.iter().enumerate() {
        assert_eq!(one.number, number as u64 + 1);
        assert_eq!(one.target, format!("/p?n={number}&h=#x#").into_bytes());
        assert_eq!(one.body, if number % 3 == 2 { b"".to_vec() } else { b"hello".to_vec() });
    }
    assert_eq!(server.refusals(), []);
}

#[tokio::test]
async fn the_next_request_waits_until_the_answer_before_it_is_written() {
    let server = server().await;
    let mut stream = server.connect().await;
    let two =
        |first: &str| format!("GET {first} HTTP/1.1\r\nHost: t\r\n\r\nGET /next HTTP/1.1\r\nHost: t\r\n\r\n");
    stream.write_all(two("/large").as_bytes()).await.unwrap();
    server.recorder.finished.notified().await;
    // Another client's whole exchange gives the server every chance to read on.
    assert_eq!(count(&server.send(CAKE).await, 200), 1);
    let targets: Vec<_> = server.seen().into_iter().map(|seen| seen.uri).collect();
    assert!(!targets.contains(&"/next".to_owned()), "{targets:?}");
    for _ in 0..2 {
        assert!(read_answer(&mut stream).await.starts_with("HTTP/1.1 200 "));
    }
    assert_eq!(server.seen()[0].uri, "/next");
}

#[tokio::test]
async fn a_request_cut_in_two_pieces_anywhere_is_the_same_request() {
    let chunked: &[u8] = b"POST /p?a=#b# HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n\
        2\r\nhe\r\n3\r\nllo\r\n0\r\nT: v\r\n\r\n";
    let counted: &[u8] = b"POST /p?a=#b# HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\nhello";
    for (request, body) in [(CAKE, ""), (chunked, "hello"), (counted, "hello")] {
        let twice = [request, request].concat();
        for at in 1..twice.len() {
            let played = play(vec![twice[..at].to_vec(), twice[at..].to_vec()]).await;
            assert_eq!((count(&played.answers, 200), played.seen.len()), (2, 2), "cut at {at}");
            for seen in played.seen {
                assert!(request.starts_with(&seen.line), "cut at {at}");
                assert_eq!(seen.body, body.as_bytes(), "cut at {at}");
            }
        }
        let bytes = twice.iter().map(|byte| vec![*byte]).collect();
        assert_eq!(play(bytes).await.seen.len(), 2, "byte by byte");
    }
}
