//! What is too large or too slow gets a clear answer, and costs one slot and no more.

use std::time::{Duration, Instant};

use postbridge::http1::ConnectionLimits;
use postbridge::http1::memory::{BodySender, FREE_BYTES, RequestMemory};
use postbridge::http1::refusal::{HttpRefusal, HttpRefusalKind};
use postbridge::http1::timer::{LEAST_PER_SECOND, WriteTime};
use postbridge::web::listen::ListenSettings;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::http1_server::{
    TestServer, converse_over, count, is_own_refusal, play, read_answer, read_to_end, server, server_limited,
    server_with,
};

fn short(change: impl FnOnce(&mut ConnectionLimits)) -> ConnectionLimits {
    let mut limits = ConnectionLimits::default();
    change(&mut limits);
    limits
}

const BLINK: Duration = Duration::from_millis(50);

#[tokio::test]
async fn a_request_line_of_16_kibibytes_is_taken_and_one_byte_more_is_414() {
    let line = |length: usize| {
        let frame = "GET /? HTTP/1.1".len();
        format!("GET /?{} HTTP/1.1", "#".repeat(length - frame))
    };
    for (length, status) in [(16 * 1024, 200), (16 * 1024 + 1, 414)] {
        let played = play(vec![format!("{}\r\nHost: t\r\n\r\n", line(length)).into_bytes()]).await;
        assert_eq!(count(&played.answers, status), 1, "{length}");
        assert_eq!(played.refusals.len(), usize::from(status == 414));
    }
}

#[tokio::test]
async fn a_request_line_without_end_is_414_as_soon_as_it_is_too_long() {
    let server = server().await;
    let mut stream = server.connect().await;
    stream.write_all(&b"GET /?".repeat(3000)).await.unwrap();
    let answer = read_answer(&mut stream).await;
    assert!(is_own_refusal(answer.as_bytes(), 414), "{answer}");
    assert_eq!(server.refusals()[0].why, HttpRefusal::LINE_TOO_LONG);
}

#[tokio::test]
async fn a_head_of_32_kibibytes_is_taken_and_one_byte_more_is_431() {
    let head = |length: usize| {
        let frame = "GET / HTTP/1.1\r\nHost: t\r\nA: \r\n\r\n".len();
        format!("GET / HTTP/1.1\r\nHost: t\r\nA: {}\r\n\r\n", "a".repeat(length - frame))
    };
    for (length, status) in [(32 * 1024, 200), (32 * 1024 + 1, 431), (100_000, 431)] {
        let played = play(vec![head(length).into_bytes()]).await;
        assert_eq!(count(&played.answers, status), 1, "{length}");
    }
}

#[tokio::test]
async fn sixty_four_headers_are_taken_and_one_more_is_431() {
    for (headers, status) in [(63, 200), (64, 431), (500, 431)] {
        let request = format!("GET / HTTP/1.1\r\nHost: t\r\n{}\r\n", "A: b\r\n".repeat(headers));
        let played = play(vec![request.into_bytes()]).await;
        assert_eq!(count(&played.answers, status), 1, "{headers} with Host");
    }
}

#[tokio::test]
async fn a_body_at_the_limit_is_taken_and_a_longer_one_is_413_before_it_is_sent() {
    let head = |length: u64| format!("POST / HTTP/1.1\r\nHost: t\r\nContent-Length: {length}\r\n\r\n");
    let played = play(vec![head(65536).into_bytes(), vec![b'x'; 65536]]).await;
    assert_eq!(played.seen[0].body.len(), 65536);
    let server = server().await;
    for length in [65537, u64::MAX] {
        let mut stream = server.connect().await;
        stream.write_all(head(length).as_bytes()).await.unwrap();
        let answer = read_answer(&mut stream).await;
        assert!(is_own_refusal(answer.as_bytes(), 413), "{answer}");
    }
    assert_eq!(server.refusals().len(), 2);
}

#[tokio::test]
async fn a_chunked_body_is_413_once_its_chunks_exceed_the_limit() {
    let head = b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    let chunk = [b"1000\r\n".to_vec(), vec![b'x'; 4096], b"\r\n".to_vec()].concat();
    let full: Vec<Vec<u8>> = std::iter::once(head.clone()).chain(vec![chunk; 16]).collect();
    let at_limit = [full.clone(), vec![b"0\r\n\r\n".to_vec()]].concat();
    assert_eq!(play(at_limit).await.seen[0].body.len(), 65536);
    let beyond = [full, vec![b"1\r\nx\r\n0\r\n\r\n".to_vec()]].concat();
    for pieces in [beyond, vec![head, b"fffffffffffffffffffff\r\n".to_vec()]] {
        let played = play(pieces).await;
        assert!(is_own_refusal(&played.answers, 413), "{}", String::from_utf8_lossy(&played.answers));
        assert_eq!(played.seen.len(), 0);
    }
}

#[tokio::test]
async fn the_refusal_of_a_large_body_reaches_a_client_that_sends_it_all_the_same() {
    let server = server().await;
    let mut stream = server.connect().await;
    let head = b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 500000\r\n\r\n";
    stream.write_all(head).await.unwrap();
    stream.write_all(&vec![b'x'; 500_000]).await.unwrap();
    let answer = read_answer(&mut stream).await;
    assert!(is_own_refusal(answer.as_bytes(), 413), "{answer}");
}

#[tokio::test]
async fn chunk_extensions_and_trailers_are_bounded() {
    let head = "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n";
    let long_extension = format!("{head}1;{}\r\nx\r\n0\r\n\r\n", "e".repeat(300));
    let long_trailers = format!("{head}1\r\nx\r\n0\r\n{}\r\n", "T: v\r\n".repeat(1000));
    for (request, status) in [(long_extension, 400), (long_trailers, 431)] {
        let played = play(vec![request.into_bytes()]).await;
        assert!(is_own_refusal(&played.answers, status));
        assert_eq!(played.seen.len(), 0);
    }
}

#[tokio::test]
async fn a_client_that_asks_first_is_reported_to_go_on_or_is_refused_at_once() {
    let server = server().await;
    let mut stream = server.connect().await;
    let head = "POST / HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
    for _ in 0..2 {
        stream.write_all(head.as_bytes()).await.unwrap();
        assert_eq!(read_answer(&mut stream).await, "HTTP/1.1 100 Continue\r\n\r\n");
        stream.write_all(b"hello").await.unwrap();
        assert!(read_answer(&mut stream).await.starts_with("HTTP/1.1 200 "));
        let seen = server.seen();
        assert_eq!(seen[0].body, b"hello");
        assert!(seen[0].headers.iter().all(|(name, _)| name != "expect"));
    }
    let mut stream = server.connect().await;
    stream.write_all(head.replace(": 5", ": 99999").as_bytes()).await.unwrap();
    assert!(read_answer(&mut stream).await.starts_with("HTTP/1.1 413 "));
}

#[tokio::test]
async fn a_head_that_does_not_end_in_time_is_408_however_it_trickles() {
    let server = server_limited(short(|limits| limits.head = 4 * BLINK)).await;
    let mut stream = server.connect().await;
    let (mut reader, mut writer) = stream.split();
    let trickle = async {
        loop {
            // The pace of the client is what is tested here.
            tokio::time::sleep(BLINK / 2).await;
            if writer.write_all(b"G").await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    };
    let answer = tokio::select! {
        answer = read_answer(&mut reader) => answer,
        () = trickle => String::new(),
    };
    assert!(is_own_refusal(answer.as_bytes(), 408), "{answer}");
    assert_eq!(server.refusals()[0].why.kind, HttpRefusalKind::TooSlow);
}

#[tokio::test]
async fn a_body_that_does_not_end_in_time_is_408_and_closed() {
    let server = server_limited(short(|limits| limits.body = BLINK)).await;
    for framing in ["Content-Length: 9\r\n\r\nhello", "Transfer-Encoding: chunked\r\n\r\n9\r\nhello"] {
        let mut stream = server.connect().await;
        let request = format!("POST /k/collect/s HTTP/1.1\r\nHost: t\r\n{framing}");
        stream.write_all(request.as_bytes()).await.unwrap();
        let answer = read_to_end(&mut stream).await;
        assert!(is_own_refusal(&answer, 408), "{}", String::from_utf8_lossy(&answer));
        assert_eq!(server.refusals()[0].line, b"POST /k/collect/s HTTP/1.1");
        assert_eq!(server.seen().len(), 0);
    }
}

#[tokio::test]
async fn idle_connections_are_closed_without_a_word() {
    let server = server_limited(short(|limits| limits.idle = BLINK)).await;
    let mut silent = server.connect().await;
    assert_eq!(read_to_end(&mut silent).await, b"");
    let mut polite = server.connect().await;
    polite.write_all(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n").await.unwrap();
    assert!(read_answer(&mut polite).await.starts_with("HTTP/1.1 200 "));
    assert_eq!(read_to_end(&mut polite).await, b"");
    assert_eq!(server.refusals(), []);
}

#[tokio::test]
async fn a_long_handler_is_not_taken_for_an_idle_connection() {
    let server =
        server_limited(short(|limits| (limits.idle, limits.head, limits.body) = (BLINK, BLINK, BLINK))).await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET /slow HTTP/1.1\r\nHost: t\r\n\r\n").await.unwrap();
    server.recorder.entered.notified().await;
    tokio::time::sleep(2 * BLINK).await;
    server.recorder.release.notify_one();
    assert!(read_answer(&mut stream).await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn a_client_that_never_takes_its_answer_is_dropped() {
    let limits = short(|limits| limits.write = BLINK);
    let server = server_with(ListenSettings { limits, connections: 1, ..ListenSettings::default() }).await;
    let mut deaf = server.connect().await;
    deaf.write_all(b"GET /large HTTP/1.1\r\nHost: t\r\n\r\n").await.unwrap();
    server.recorder.finished.notified().await;
    // The only slot falls free, though the deaf client stays.
    let answer = server.send(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n").await;
    assert_eq!(count(&answer, 200), 1);
    drop(deaf);
}

#[tokio::test]
async fn silent_clients_up_to_the_cap_hold_a_healthy_one_back_no_longer_than_their_timeout() {
    let limits = short(|limits| limits.head = 2 * BLINK);
    let server = server_with(ListenSettings { limits, connections: 8, ..ListenSettings::default() }).await;
    let mut silent = Vec::new();
    for number in 0..8 {
        let mut stream = server.connect().await;
        if number % 2 == 0 {
            stream.write_all(b"GET / HT").await.unwrap();
        }
        silent.push(stream);
    }
    let answer = server.send(b"GET /?healthy HTTP/1.1\r\nHost: t\r\n\r\n").await;
    assert_eq!(count(&answer, 200), 1);
    assert_eq!(server.seen()[0].target, b"/?healthy");
}

#[tokio::test]
async fn a_client_that_takes_its_answer_a_byte_at_a_time_is_dropped_too() {
    let limits = short(|limits| limits.write = 4 * BLINK);
    let (mut client, io) = tokio::io::duplex(64);
    let served = tokio::spawn(converse_over(io, limits));
    client.write_all(b"GET /large HTTP/1.1\r\nHost: t\r\n\r\n").await.unwrap();
    let mut byte = [0u8; 1];
    let dropped = async {
        // Its pace is what is tested: each byte is progress, within the time for one write.
        while client.read(&mut byte).await.unwrap_or(0) > 0 {
            tokio::time::sleep(BLINK).await;
        }
    };
    tokio::select! {
        ended = served => drop(ended.unwrap()),
        () = dropped => {}
        () = tokio::time::sleep(20 * Duration::from_secs(1)) => panic!("it is still served"),
    }
}

#[test]
fn time_for_writing_is_spent_over_all_answers_and_earned_back_by_bytes() {
    let began = Instant::now();
    let at = |seconds: u64| began + Duration::from_secs(seconds);
    let mut time = WriteTime::new(Duration::from_secs(30));
    let five = Duration::from_secs(5);
    assert!(time.is_whole() && !time.take(100, at(0)));
    assert_eq!(time.block(at(0), five), (at(30), at(5)));
    assert_eq!(time.block(at(9), five), (at(30), at(5)), "the same write");
    assert!(time.take(1, at(10)) && !time.is_whole());
    assert_eq!(time.block(at(100), five), (at(120), at(100)), "20 s are left, 10 were spent");
    assert!(time.take(LEAST_PER_SECOND * 4, at(105)));
    assert_eq!(time.block(at(200), five).0, at(219), "15 s, and 4 s for what was taken");
    assert!(time.take(usize::MAX, at(201)) && time.is_whole(), "never more than all of it");
}

/// A connection on which a body of 60 KB has begun, all of it here but its last byte.
async fn large(server: &TestServer, target: &str) -> TcpStream {
    let mut stream = server.connect().await;
    let head = format!("POST {target} HTTP/1.1\r\nHost: t\r\nContent-Length: 60001\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let _refused = stream.write_all(&[b'x'; 60_000]).await;
    stream
}

#[tokio::test]
async fn bodies_that_are_received_at_the_same_time_take_bounded_memory_and_strangers_leave_room() {
    let server = server_limited(short(|limits| limits.memory_bytes = 768 * 1024)).await;
    let mut open = Vec::new();
    let answer = loop {
        assert!(open.len() < 100, "memory is bounded");
        let mut stream = large(&server, "/").await;
        let answer = tokio::time::timeout(Duration::from_millis(300), read_answer(&mut stream)).await;
        match answer {
            Ok(answer) => break answer,
            Err(_waits) => open.push(stream),
        }
    };
    assert!(is_own_refusal(answer.as_bytes(), 503) && answer.contains("Retry-After: 1\r\n"), "{answer}");
    assert!(open.len() > 1, "{}", open.len());
    let small = server.send(b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\nhi").await;
    assert_eq!(count(&small, 200), 1, "what is small needs none of it");
    let mut known = large(&server, "/known").await;
    known.write_all(b"x").await.unwrap();
    assert!(
        read_answer(&mut known).await.starts_with("HTTP/1.1 200 "),
        "anyone who has a key has a part of it"
    );
    // What one ends, or goes away with, is free again.
    open[0].write_all(b"x").await.unwrap();
    assert!(read_answer(&mut open[0]).await.starts_with("HTTP/1.1 200 "));
    let mut again = large(&server, "/").await;
    again.write_all(b"x").await.unwrap();
    assert!(read_answer(&mut again).await.starts_with("HTTP/1.1 200 "));
}

#[test]
fn memory_is_held_in_steps_and_given_back() {
    let memory = RequestMemory::new(128 * 1024, 1024);
    let (mut one, mut two) = (memory.part(None), memory.part(None));
    assert!(one.covers(FREE_BYTES) && !one.covers(FREE_BYTES + 1));
    assert!(one.grow_to(FREE_BYTES + 64 * 1024, BodySender::Stranger), "half of it");
    assert!(!two.grow_to(FREE_BYTES + 1, BodySender::Stranger));
    assert!(two.grow_to(FREE_BYTES + 1, BodySender::Known));
    assert!(
        two.grow_to(FREE_BYTES + 64 * 1024, BodySender::Known)
            && !two.grow_to(FREE_BYTES + 65 * 1024, BodySender::Known)
    );
    one.give_back();
    assert!(!one.grow_to(FREE_BYTES + 1, BodySender::Stranger), "what others hold counts too");
    drop(two);
    assert!(one.grow_to(FREE_BYTES + 64 * 1024, BodySender::Stranger));
}

#[test]
fn one_address_holds_an_eighth_of_what_strangers_may() {
    let memory = RequestMemory::new(1024 * 1024, 1024);
    let home = |last: u8| Some(std::net::IpAddr::from([203, 0, 113, last]));
    let body = FREE_BYTES + 32 * 1024;
    let (mut one, mut two, mut three) = (memory.part(home(1)), memory.part(home(1)), memory.part(home(1)));
    assert!(one.grow_to(body, BodySender::Stranger) && two.grow_to(body, BodySender::Stranger));
    assert!(!three.grow_to(FREE_BYTES + 1, BodySender::Stranger), "64 KiB of 512 are an eighth");
    assert!(three.grow_to(body, BodySender::Known), "a key is no stranger's");
    let mut others: Vec<_> = (2..=7).map(|last| memory.part(home(last))).collect();
    assert!(others.iter_mut().all(|other| other.grow_to(FREE_BYTES + 64 * 1024, BodySender::Stranger)));
    let mut proxy = memory.part(None);
    assert!(!proxy.grow_to(FREE_BYTES + 64 * 1024, BodySender::Stranger), "strangers hold their half");
    drop(one);
    assert!(
        two.grow_to(FREE_BYTES + 64 * 1024, BodySender::Stranger),
        "what one gave back its address may have"
    );
    drop(others);
    assert!(proxy.grow_to(FREE_BYTES + 416 * 1024, BodySender::Stranger), "who is exempt has no share");
    two.give_back();
    assert!(two.grow_to(FREE_BYTES + 32 * 1024, BodySender::Stranger));
    let of_large_bodies = RequestMemory::new(1024 * 1024, 128 * 1024);
    let mut large = of_large_bodies.part(home(1));
    assert!(large.grow_to(256 * 1024, BodySender::Stranger), "the largest body that is allowed has room");
}

#[test]
fn refusals_below_http_have_the_headers_of_all_answers() {
    for fault in [HttpRefusal::BODY_TOO_LARGE, HttpRefusal::CUT_OFF, HttpRefusal::NO_MEMORY] {
        let text = |is_https| String::from_utf8(fault.answer(false, is_https)).unwrap();
        for header in ["X-Content-Type-Options: nosniff\r\n", "Cache-Control: no-store\r\n"] {
            assert!(text(false).contains(header), "{}", text(false));
        }
        assert!(text(true).contains("\r\nStrict-Transport-Security: max-age=31536000\r\n"), "{}", text(true));
        assert!(!text(false).contains("Strict-Transport-Security"));
        assert_eq!(fault.response(true).headers()["strict-transport-security"], "max-age=31536000");
    }
}
