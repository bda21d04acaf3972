//! What is too large or too slow gets a clear answer, and costs one slot and no more.

use std::time::Duration;

use postbridge::web::listen::ListenSettings;
use postbridge::web::wire::Limits;
use tokio::io::AsyncWriteExt;

use crate::wire_door::{
    count, door, door_limited, door_with, is_own_refusal, play, read_answer, read_to_end,
};

fn short(change: impl FnOnce(&mut Limits)) -> Limits {
    let mut limits = Limits::default();
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
    let door = door().await;
    let mut stream = door.connect().await;
    stream.write_all(&b"GET /?".repeat(3000)).await.unwrap();
    let answer = read_answer(&mut stream).await;
    assert!(is_own_refusal(answer.as_bytes(), 414), "{answer}");
    assert_eq!(door.refusals()[0].status, 414);
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
        assert_eq!(count(&played.answers, status), 1, "{headers} beside Host");
    }
}

#[tokio::test]
async fn a_body_at_the_limit_is_taken_and_a_longer_one_is_413_before_it_is_sent() {
    let head = |length: u64| format!("POST / HTTP/1.1\r\nHost: t\r\nContent-Length: {length}\r\n\r\n");
    let played = play(vec![head(65536).into_bytes(), vec![b'x'; 65536]]).await;
    assert_eq!(played.seen[0].body.len(), 65536);
    let door = door().await;
    for length in [65537, u64::MAX] {
        let mut stream = door.connect().await;
        stream.write_all(head(length).as_bytes()).await.unwrap();
        let answer = read_answer(&mut stream).await;
        assert!(is_own_refusal(answer.as_bytes(), 413), "{answer}");
    }
    assert_eq!(door.refusals().len(), 2);
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
    let door = door().await;
    let mut stream = door.connect().await;
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
async fn a_client_that_asks_first_is_told_to_go_on_or_is_refused_at_once() {
    let door = door().await;
    let mut stream = door.connect().await;
    let head = "POST / HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
    for _ in 0..2 {
        stream.write_all(head.as_bytes()).await.unwrap();
        assert_eq!(read_answer(&mut stream).await, "HTTP/1.1 100 Continue\r\n\r\n");
        stream.write_all(b"hello").await.unwrap();
        assert!(read_answer(&mut stream).await.starts_with("HTTP/1.1 200 "));
        let seen = door.seen();
        assert_eq!(seen[0].body, b"hello");
        assert!(seen[0].headers.iter().all(|(name, _)| name != "expect"));
    }
    let mut stream = door.connect().await;
    stream.write_all(head.replace(": 5", ": 99999").as_bytes()).await.unwrap();
    assert!(read_answer(&mut stream).await.starts_with("HTTP/1.1 413 "));
}

#[tokio::test]
async fn a_head_that_does_not_end_in_time_is_408_however_it_trickles() {
    let door = door_limited(short(|limits| limits.head = 4 * BLINK)).await;
    let mut stream = door.connect().await;
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
    assert_eq!(door.refusals()[0].status, 408);
}

#[tokio::test]
async fn a_body_that_does_not_end_in_time_is_408_and_closed() {
    let door = door_limited(short(|limits| limits.body = BLINK)).await;
    for framing in ["Content-Length: 9\r\n\r\nhello", "Transfer-Encoding: chunked\r\n\r\n9\r\nhello"] {
        let mut stream = door.connect().await;
        let request = format!("POST /k/collect/s HTTP/1.1\r\nHost: t\r\n{framing}");
        stream.write_all(request.as_bytes()).await.unwrap();
        let answer = read_to_end(&mut stream).await;
        assert!(is_own_refusal(&answer, 408), "{}", String::from_utf8_lossy(&answer));
        assert_eq!(door.refusals()[0].line, b"POST /k/collect/s HTTP/1.1");
        assert_eq!(door.seen().len(), 0);
    }
}

#[tokio::test]
async fn idle_connections_are_closed_without_a_word() {
    let door = door_limited(short(|limits| limits.idle = BLINK)).await;
    let mut silent = door.connect().await;
    assert_eq!(read_to_end(&mut silent).await, b"");
    let mut polite = door.connect().await;
    polite.write_all(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n").await.unwrap();
    assert!(read_answer(&mut polite).await.starts_with("HTTP/1.1 200 "));
    assert_eq!(read_to_end(&mut polite).await, b"");
    assert_eq!(door.refusals(), []);
}

#[tokio::test]
async fn a_long_handler_is_not_taken_for_an_idle_connection() {
    let door =
        door_limited(short(|limits| (limits.idle, limits.head, limits.body) = (BLINK, BLINK, BLINK))).await;
    let mut stream = door.connect().await;
    stream.write_all(b"GET /slow HTTP/1.1\r\nHost: t\r\n\r\n").await.unwrap();
    door.recorder.entered.notified().await;
    tokio::time::sleep(4 * BLINK).await;
    door.recorder.release.notify_one();
    assert!(read_answer(&mut stream).await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn a_client_that_never_takes_its_answer_is_dropped() {
    let limits = short(|limits| limits.write = BLINK);
    let door = door_with(ListenSettings { limits, connections: 1, ..ListenSettings::default() }).await;
    let mut deaf = door.connect().await;
    deaf.write_all(b"GET /large HTTP/1.1\r\nHost: t\r\n\r\n").await.unwrap();
    door.recorder.finished.notified().await;
    // The only slot falls free, though the deaf client stays.
    let answer = door.send(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n").await;
    assert_eq!(count(&answer, 200), 1);
    drop(deaf);
}

#[tokio::test]
async fn silent_clients_up_to_the_cap_hold_a_healthy_one_back_no_longer_than_their_timeout() {
    let limits = short(|limits| limits.head = 2 * BLINK);
    let door = door_with(ListenSettings { limits, connections: 8, ..ListenSettings::default() }).await;
    let mut silent = Vec::new();
    for number in 0..8 {
        let mut stream = door.connect().await;
        if number % 2 == 0 {
            stream.write_all(b"GET / HT").await.unwrap();
        }
        silent.push(stream);
    }
    let answer = door.send(b"GET /?healthy HTTP/1.1\r\nHost: t\r\n\r\n").await;
    assert_eq!(count(&answer, 200), 1);
    assert_eq!(door.seen()[0].target, b"/?healthy");
}
