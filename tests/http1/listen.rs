//! The listener: TLS and its reload, the graceful stop, and clients that leave in the middle.

use std::sync::Arc;
use std::time::Duration;

use postbridge::web::listen::ListenSettings;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::http1_server::{
    TestServer, count, is_own_refusal, read_answer, read_to_end, server, server_with,
};
use crate::support::tls_fixture::{CertificateFolder, connect_tls};

const REQUEST: &[u8] = b"GET /?v=#raw# HTTP/1.1\r\nHost: localhost\r\n\r\n";

#[tokio::test]
async fn raw_bytes_arrive_over_tls_and_a_reload_changes_the_certificate() {
    let folder = CertificateFolder::empty();
    let first = folder.renew();
    let tls = folder.load().unwrap();
    let server = server_with(ListenSettings { tls: Some(tls.clone()), ..ListenSettings::default() }).await;
    let mut before = connect_tls(&server, &first).await.unwrap();
    assert_eq!(before.get_ref().1.alpn_protocol(), Some(b"http/1.1".as_slice()));
    before.write_all(REQUEST).await.unwrap();
    assert!(read_answer(&mut before).await.starts_with("HTTP/1.1 200 "));

    let second = folder.renew();
    folder.reload(&tls).unwrap();
    assert!(connect_tls(&server, &first).await.is_err(), "the old certificate is gone");
    let mut after = connect_tls(&server, &second).await.unwrap();
    for stream in [&mut after, &mut before] {
        stream.write_all(REQUEST).await.unwrap();
        assert!(read_answer(stream).await.starts_with("HTTP/1.1 200 "), "open connections go on");
    }
    let seen = server.seen();
    assert_eq!(seen.len(), 3);
    assert!(seen.iter().all(|seen| seen.target == b"/?v=#raw#"));
}

#[tokio::test]
async fn a_refusal_over_tls_arrives_and_ends_with_a_proper_close() {
    let folder = CertificateFolder::empty();
    let trusted = folder.renew();
    let tls = folder.load().unwrap();
    let server = server_with(ListenSettings { tls: Some(tls), ..ListenSettings::default() }).await;
    let mut stream = connect_tls(&server, &trusted).await.unwrap();
    stream.write_all(b"GET /#a HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("close_notify is sent before the end");
    assert!(is_own_refusal(&answer, 400));
}

#[test]
fn a_failed_reload_names_the_file_and_keeps_what_was_there() {
    let (folder, other) = (CertificateFolder::empty(), CertificateFolder::empty());
    let missing = folder.load().err().unwrap();
    assert!(missing.at.ends_with("cert.pem"), "{missing}");
    folder.renew();
    let tls = folder.load().unwrap();
    std::fs::write(&folder.key, "nonsense").unwrap();
    let unreadable = folder.reload(&tls).unwrap_err();
    assert!(unreadable.at.ends_with("key.pem"), "{unreadable}");
    other.renew();
    std::fs::copy(&other.key, &folder.key).unwrap();
    assert!(folder.reload(&tls).unwrap_err().what.contains("refused"), "a key that is not the certificate's");
    std::fs::write(&folder.certificate, "").unwrap();
    assert!(folder.reload(&tls).unwrap_err().what.contains("no certificate"));
}

#[tokio::test]
async fn a_stop_finishes_the_request_in_flight_closes_idle_ones_and_takes_no_more() {
    let server = server().await;
    let mut idle = server.connect().await;
    idle.write_all(REQUEST).await.unwrap();
    read_answer(&mut idle).await;
    server.recorder.entered.notified().await;
    let mut silent = server.connect().await;
    let mut halfway = server.connect().await;
    halfway.write_all(b"POST /half HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\nhe").await.unwrap();
    let mut busy = server.connect().await;
    busy.write_all(b"GET /slow HTTP/1.1\r\nHost: t\r\n\r\n").await.unwrap();
    server.recorder.entered.notified().await;

    server.stop.send(true).unwrap();
    assert_eq!(read_to_end(&mut idle).await, b"", "an idle connection is closed at once");
    assert_eq!(read_to_end(&mut silent).await, b"");
    assert!(TcpStream::connect(server.address).await.is_err(), "nothing more is accepted");
    assert!(!server.served.is_finished());
    halfway.write_all(b"llo").await.unwrap();
    let answer = read_to_end(&mut halfway).await;
    assert_eq!(count(&answer, 200), 1, "a request half sent may finish");
    server.recorder.release.notify_one();
    let answer = read_to_end(&mut busy).await;
    assert_eq!(count(&answer, 200), 1);
    assert!(String::from_utf8_lossy(&answer).to_ascii_lowercase().contains("connection: close"));
    server.served.await.unwrap();
}

#[tokio::test]
async fn a_stop_waits_no_longer_than_its_grace() {
    let grace = Duration::from_millis(50);
    let server = server_with(ListenSettings { grace, ..ListenSettings::default() }).await;
    let mut stuck = server.connect().await;
    stuck.write_all(b"GET /slow HTTP/1.1\r\nHost: t\r\n\r\n").await.unwrap();
    server.recorder.entered.notified().await;
    server.stop.send(true).unwrap();
    server.served.await.unwrap();
    assert_eq!(read_to_end(&mut stuck).await, b"");
}

#[tokio::test]
async fn hanging_up_does_not_cancel_the_handler() {
    let server = server().await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET /slow?kept HTTP/1.1\r\nHost: t\r\n\r\n").await.unwrap();
    server.recorder.entered.notified().await;
    drop(stream);
    assert_eq!(count(&server.send(REQUEST).await, 200), 1);
    is_finished_all_the_same(&server).await;
}

#[tokio::test]
async fn a_reset_connection_does_not_cancel_the_handler() {
    let server = server().await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET /slow?kept HTTP/1.1\r\nHost: t\r\n\r\n").await.unwrap();
    server.recorder.entered.notified().await;
    stream.set_zero_linger().unwrap();
    drop(stream);
    assert_eq!(count(&server.send(REQUEST).await, 200), 1);
    is_finished_all_the_same(&server).await;
}

#[tokio::test]
async fn garbage_and_a_reset_after_a_request_over_tls_do_not_cancel_the_handler() {
    let folder = CertificateFolder::empty();
    let trusted = folder.renew();
    let tls = folder.load().unwrap();
    let server = server_with(ListenSettings { tls: Some(tls), ..ListenSettings::default() }).await;
    let mut stream = connect_tls(&server, &trusted).await.unwrap();
    stream.write_all(b"GET /slow?kept HTTP/1.1\r\nHost: t\r\n\r\n").await.unwrap();
    server.recorder.entered.notified().await;
    // No record of TLS: the server's alert about it finds the connection reset.
    let (mut below, _session) = stream.into_inner();
    below.write_all(&[b'x'; 64]).await.unwrap();
    below.set_zero_linger().unwrap();
    drop(below);
    let mut another = connect_tls(&server, &trusted).await.unwrap();
    another.write_all(REQUEST).await.unwrap();
    assert!(read_answer(&mut another).await.starts_with("HTTP/1.1 200 "));
    is_finished_all_the_same(&server).await;
}

/// What waits in the handler ends as if its client were there. Whatever the server makes of the hang-up, it has had its
/// chance: another request was answered since.
async fn is_finished_all_the_same(server: &TestServer) {
    server.recorder.finished.notified().await;
    server.recorder.release.notify_one();
    let finished = tokio::time::timeout(Duration::from_secs(10), server.recorder.finished.notified()).await;
    finished.expect("the handler goes on");
    assert_eq!(server.seen()[1].target, b"/slow?kept");
}

#[tokio::test]
async fn a_client_that_hangs_up_half_way_leaves_a_record_and_no_request() {
    let server = server().await;
    for part in [
        "POST /k/collect/s HTTP/1.1\r\nHos",
        "POST /k/collect/s HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\nhel",
    ] {
        let answer = server.send(part.as_bytes()).await;
        assert!(is_own_refusal(&answer, 400));
        assert_eq!(server.refusals()[0].line, b"POST /k/collect/s HTTP/1.1");
    }
    assert_eq!(server.send(b"").await, b"");
    assert_eq!((server.seen().len(), server.refusals().len()), (0, 0));
}

#[tokio::test]
async fn a_body_the_handler_did_not_read_does_not_become_a_request() {
    let server = server().await;
    let hidden = b"GET /hidden HTTP/1.1\r\nHost: t\r\n\r\n".repeat(1000);
    let head = format!("POST /deaf HTTP/1.1\r\nHost: t\r\nContent-Length: {}\r\n\r\n", hidden.len());
    let answer = server.send(&[head.as_bytes(), &hidden].concat()).await;
    assert_eq!(count(&answer, 200), 1);
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_panicking_handler_costs_its_own_connection_only() {
    let server = server().await;
    let answer = server.send(b"GET /panic HTTP/1.1\r\nHost: t\r\n\r\n").await;
    let answer = String::from_utf8_lossy(&answer).to_ascii_lowercase();
    assert!(answer.starts_with("http/1.1 503 ") && answer.contains("retry-after: 5"), "{answer}");
    assert!(answer.contains("may not have been kept"), "networks send it again: {answer}");
    assert_eq!(count(&server.send(REQUEST).await, 200), 1);
}

#[tokio::test]
async fn many_connections_at_once_each_keep_their_own_order() {
    let server = Arc::new(server().await);
    let clients = (0..32).map(|client| {
        let server = Arc::clone(&server);
        tokio::spawn(async move {
            let mut stream = server.connect().await;
            for number in 0..20 {
                let request = format!("GET /?c={client}&n={number}&h=#x# HTTP/1.1\r\nHost: t\r\n\r\n");
                stream.write_all(request.as_bytes()).await.unwrap();
                assert!(read_answer(&mut stream).await.starts_with("HTTP/1.1 200 "));
            }
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.unwrap();
    }
    let seen = server.seen();
    assert_eq!(seen.len(), 640);
    assert!(seen.iter().all(|one| {
        let query = String::from_utf8_lossy(&one.target).into_owned();
        query.contains(&format!("&n={}&", one.number - 1)) && query.ends_with("&h=#x#")
    }));
}
