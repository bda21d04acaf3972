//! Who may be connected: an address's share, the longest idle connection that makes room, and what is logged.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use postbridge::http1::ConnectionLimits;
use postbridge::web::connections::{Admission, Connections, Seated};
use postbridge::web::listen::{ListenSettings, over_share_fix};
use postbridge::web::once_a_minute::OnceAMinute;
use postbridge::web::per_address::home_of;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::http1_server::{
    TestServer, count, read_answer, read_to_end, server_for_strangers, server_with,
};
use crate::support::tls_fixture::CertificateFolder;

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: t\r\n\r\n";
const SLOW: &[u8] = b"GET /slow HTTP/1.1\r\nHost: t\r\n\r\n";
const PATIENCE: Duration = Duration::from_secs(10);

fn at_most(connections: usize) -> ListenSettings {
    ListenSettings { connections, ..ListenSettings::default() }
}

/// Whether the other side has closed a connection on which nothing was sent; waits a little for it.
async fn is_closed(stream: &mut TcpStream) -> bool {
    let read = tokio::time::timeout(Duration::from_millis(300), stream.read(&mut [0u8; 16])).await;
    matches!(read, Ok(Ok(0) | Err(_)))
}

async fn open(streams: &mut [TcpStream]) -> Vec<usize> {
    let mut open = Vec::new();
    for (number, stream) in streams.iter_mut().enumerate() {
        if !is_closed(stream).await {
            open.push(number);
        }
    }
    open
}

/// One answered request on a connection that stays open.
async fn ask(stream: &mut TcpStream) {
    stream.write_all(REQUEST).await.unwrap();
    assert!(read_answer(stream).await.starts_with("HTTP/1.1 200 "));
}

/// A request with its handler under way.
async fn ask_slowly(server: &TestServer, stream: &mut TcpStream) {
    stream.write_all(SLOW).await.unwrap();
    tokio::time::timeout(PATIENCE, server.recorder.entered.notified()).await.unwrap();
}

#[tokio::test]
async fn an_address_keeps_its_newest_eighth_and_others_are_served() {
    let server = server_for_strangers(at_most(64)).await;
    let mut many = Vec::new();
    for _ in 0..20 {
        many.push(server.connect_from(2).await);
    }
    let mut other = server.connect_from(3).await;
    ask(&mut other).await;
    assert_eq!(open(&mut many).await, (12..20).collect::<Vec<_>>(), "the longest idle ones made room");
    ask(&mut many[19]).await;
}

#[tokio::test]
async fn the_longest_idle_connection_is_the_one_that_has_asked_nothing_for_longest() {
    let server = server_for_strangers(at_most(32)).await;
    let mut mine = Vec::new();
    for _ in 0..4 {
        mine.push(server.connect_from(2).await);
        let newest = mine.last_mut().unwrap();
        ask(newest).await;
    }
    // The first one asks again: the second has now been idle for longest.
    ask(&mut mine[0]).await;
    mine.push(server.connect_from(2).await);
    ask(&mut mine[4]).await;
    assert_eq!(open(&mut mine).await, [0, 2, 3, 4]);
}

#[tokio::test]
async fn a_request_in_flight_is_never_cut_and_the_newcomer_of_its_address_is_closed() {
    let server = server_for_strangers(at_most(16)).await;
    let mut busy = vec![server.connect_from(2).await, server.connect_from(2).await];
    for stream in &mut busy {
        ask_slowly(&server, stream).await;
    }
    let mut newcomer = server.connect_from(2).await;
    assert_eq!(read_to_end(&mut newcomer).await, b"");
    let mut half = server.connect_from(3).await;
    half.write_all(b"GET / HT").await.unwrap();
    let mut half_too = server.connect_from(3).await;
    half_too.write_all(b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\nh").await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let mut newcomer = server.connect_from(3).await;
    assert_eq!(read_to_end(&mut newcomer).await, b"", "a request half sent is under way too");
    half.write_all(b"TP/1.1\r\nHost: t\r\n\r\n").await.unwrap();
    half_too.write_all(b"i").await.unwrap();
    assert!(read_answer(&mut half).await.starts_with("HTTP/1.1 200 "));
    assert!(read_answer(&mut half_too).await.starts_with("HTTP/1.1 200 "));
    for _ in &busy {
        server.recorder.release.notify_one();
        // Each wakes one of the handlers that wait.
        tokio::time::timeout(PATIENCE, server.recorder.finished.notified()).await.unwrap();
    }
    for stream in &mut busy {
        assert!(read_answer(stream).await.starts_with("HTTP/1.1 200 "));
    }
}

/// Begins a request and does not end it: in its head, or in its body.
async fn begin(stream: &mut TcpStream, number: usize) {
    let half: &[u8] = match number % 3 {
        0 => b"G",
        1 => b"GET / HTTP/1.1\r\nHost: t\r\nX-Slow: ",
        _ => b"POST /k/collect/s HTTP/1.1\r\nHost: t\r\nContent-Length: 9\r\n\r\nh",
    };
    // One that was closed meanwhile is what is tested.
    let _closed = stream.write_all(half).await;
}

#[tokio::test]
async fn requests_that_are_half_sent_shut_no_one_out() {
    let hour = Duration::from_secs(3600);
    let limits = ConnectionLimits { head: hour, body: hour, idle: hour, ..ConnectionLimits::default() };
    let server = server_for_strangers(ListenSettings { limits, ..at_most(64) }).await;
    let mut resting = server.connect_from(30).await;
    ask(&mut resting).await;
    let mut half = Vec::new();
    for number in 0..64 {
        let mut stream = server.connect_from(2 + u8::try_from(number).unwrap() / 8).await;
        begin(&mut stream, number).await;
        half.push(stream);
    }
    for round in 0..24 {
        // One that says nothing yet, as one that shakes hands for TLS; the others come again.
        let mut honest = server.connect_from(20 + round % 8).await;
        for number in 0..8 {
            let mut stream = server.connect_from(2 + number).await;
            begin(&mut stream, usize::from(number)).await;
            half.push(stream);
        }
        ask(&mut honest).await;
    }
    ask(&mut resting).await;
}

#[tokio::test]
async fn when_all_places_are_taken_the_longest_idle_one_is_closed_for_each_newcomer() {
    let server = server_with(at_most(200)).await;
    let mut idle = Vec::new();
    for _ in 0..1_000 {
        idle.push(server.connect().await);
    }
    let began = Instant::now();
    let mut busy = server.connect().await;
    ask_slowly(&server, &mut busy).await;
    for _ in 0..300 {
        idle.push(server.connect().await);
        ask(idle.last_mut().unwrap()).await;
    }
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    server.recorder.release.notify_one();
    assert!(read_answer(&mut busy).await.starts_with("HTTP/1.1 200 "), "what is in flight stays");
    for stream in idle.iter_mut().rev().take(150) {
        ask(stream).await;
    }
    let first = read_to_end(&mut idle[0]).await;
    assert_eq!(first, b"", "closed without a word");
}

#[tokio::test]
async fn thousands_of_silent_sockets_of_one_address_shut_no_one_out() {
    for server in [server_with(at_most(4096)).await, server_for_strangers(at_most(4096)).await] {
        let mut idle = Vec::new();
        for _ in 0..4_200 {
            idle.push(server.connect_from(2).await);
        }
        let began = Instant::now();
        for last in 3..13 {
            let mut other = server.connect_from(last).await;
            ask(&mut other).await;
        }
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
        println!("4,200 silent sockets, then 10 others: {:?}", began.elapsed());
    }
}

#[tokio::test]
async fn a_silent_tls_handshake_makes_room_too() {
    let folder = CertificateFolder::empty();
    folder.renew();
    let tls = folder.load().unwrap();
    let server = server_with(ListenSettings { tls: Some(tls), ..at_most(4) }).await;
    let mut silent = Vec::new();
    for _ in 0..6 {
        silent.push(server.connect().await);
    }
    let began = Instant::now();
    assert_eq!(read_to_end(&mut silent[0]).await, b"");
    assert_eq!(read_to_end(&mut silent[1]).await, b"");
    assert!(began.elapsed() < Duration::from_secs(3), "before the handshake's own limit");
    assert!(!is_closed(&mut silent[5]).await);
}

#[tokio::test]
async fn a_stop_ends_connections_that_wait_for_a_place_too() {
    let server = server_with(at_most(1)).await;
    let mut busy = server.connect().await;
    ask_slowly(&server, &mut busy).await;
    let mut waits = server.connect().await;
    server.stop.send(true).unwrap();
    server.recorder.release.notify_one();
    assert_eq!(count(&read_to_end(&mut busy).await, 200), 1);
    let mut rest = Vec::new();
    // It was never served: it may see a reset.
    let _closed = tokio::time::timeout(PATIENCE, waits.read_to_end(&mut rest)).await.unwrap();
    assert_eq!(rest, b"");
    server.served.await.unwrap();
}

fn address(text: &str) -> IpAddr {
    home_of(text.parse().unwrap())
}

fn seated(connections: &Arc<Connections>, home: Option<IpAddr>, now: Instant) -> Seated {
    match connections.admit(home, now) {
        Admission::Seated(seated) => seated,
        Admission::Full { .. } | Admission::OverShare => panic!("there is room"),
    }
}

#[test]
fn of_ipv6_a_whole_64_is_one_address_and_exempt_ones_have_no_share() {
    let now = Instant::now();
    let connections = Connections::new(16, now);
    let mine = Some(address("2001:db8:1:2::1"));
    let first = seated(&connections, mine, now);
    first.idle.wake_up();
    let second = seated(&connections, Some(address("2001:db8:1:2:ffff::9")), now);
    second.idle.wake_up();
    let third = connections.admit(Some(address("2001:db8:1:2:3::4")), now);
    assert!(matches!(third, Admission::OverShare));
    let neighbour = seated(&connections, Some(address("2001:db8:1:3::1")), now);
    assert!(!neighbour.is_at_share);
    let mapped = seated(&connections, Some(address("::ffff:203.0.113.7")), now);
    let plain = seated(&connections, Some(address("203.0.113.7")), now);
    assert!(seated(&connections, Some(address("203.0.113.7")), now).is_at_share, "one address, one spelling");
    let exempt: Vec<Seated> = (0..8).map(|_| seated(&connections, None, now)).collect();
    drop(first);
    let again = seated(&connections, mine, now);
    assert!(!again.is_at_share, "a place that was given back is free again");
    drop((second, neighbour, mapped, plain, exempt));
}

#[test]
fn places_are_asked_back_in_the_order_in_which_they_fell_idle_and_only_while_they_are() {
    let began = Instant::now();
    let at = |ms: u64| began + Duration::from_millis(ms);
    let connections = Connections::new(300, began);
    let mut taken: Vec<Seated> = (0..300).map(|n| seated(&connections, None, at(n))).collect();
    taken[0].idle.wake_up();
    taken[1].idle.wake_up();
    taken[1].idle.rest(at(301));
    // Over and over, through several looks; each newcomer takes the place that fell free.
    for number in 2..250 {
        let now = at(1_000 + 100 * number);
        assert!(matches!(connections.admit(None, now), Admission::Full { displaced: true }));
        let early = connections.admit(None, now + Duration::from_millis(1));
        assert!(matches!(early, Admission::Full { displaced: false }), "one newcomer costs one place");
        let asked: Vec<usize> = (0..taken.len()).filter(|number| taken[*number].idle.is_leaving()).collect();
        assert_eq!(asked, [usize::try_from(number).unwrap()]);
        taken[asked[0]] = seated_after(&connections, &mut taken, asked[0], now);
    }
    assert!(!taken[0].idle.is_leaving(), "what is in flight stays");
}

/// Gives the place back, and takes it anew.
fn seated_after(connections: &Arc<Connections>, taken: &mut [Seated], number: usize, now: Instant) -> Seated {
    // A place that is not of these connections is in for the one that is given back.
    let other = seated(&Connections::new(1, now), None, now);
    drop(std::mem::replace(&mut taken[number], other));
    seated(connections, None, now)
}

#[test]
fn where_no_connection_is_idle_none_is_asked_to_leave() {
    let now = Instant::now();
    let connections = Connections::new(8, now);
    let taken: Vec<Seated> = (0..8).map(|_| seated(&connections, None, now)).collect();
    taken.iter().for_each(|one| one.idle.wake_up());
    let later = now + Duration::from_secs(1);
    assert!(matches!(connections.admit(None, later), Admission::Full { displaced: false }));
    taken[3].idle.rest(later);
    let soon = later + Duration::from_millis(60);
    assert!(matches!(connections.admit(None, soon), Admission::Full { displaced: true }));
    assert!(taken[3].idle.is_leaving());
}

#[test]
fn what_happens_a_thousand_times_a_second_is_logged_once_a_minute_with_its_number() {
    let began = Instant::now();
    let at = |seconds: u64| began + Duration::from_secs(seconds);
    let mut line = OnceAMinute::default();
    assert_eq!((line.take(at(0)), line.due_at(at(0))), (None, None), "nothing has happened");
    line.note();
    assert_eq!(line.take(at(0)), Some(1), "the first at once");
    (0..80).for_each(|_| line.note());
    assert_eq!(line.take(at(59)), None);
    assert_eq!(line.due_at(at(59)), Some(at(60)), "the rest is not forgotten");
    assert_eq!(line.take(at(60)), Some(80));
    assert_eq!(line.take(at(120)), None);
}

/// Those that were asked to leave.
fn asked(taken: &[Seated]) -> Vec<usize> {
    (0..taken.len()).filter(|number| taken[*number].idle.is_leaving()).collect()
}

/// All of them with a place, halfway through a request since so many milliseconds.
fn halfway(connections: &Arc<Connections>, began: Instant, of: &[(Option<IpAddr>, u64)]) -> Vec<Seated> {
    let seat = |(home, ms): &(Option<IpAddr>, u64)| {
        let one = seated(connections, *home, began);
        one.idle.wake_up();
        one.idle.wait_halfway(began + Duration::from_millis(*ms));
        one
    };
    of.iter().map(seat).collect()
}

/// How the places of `taken` are asked back, one newcomer after the other; each that leaves is replaced by one
/// that is being answered.
fn order(connections: &Arc<Connections>, taken: &mut [Seated], began: Instant) -> Vec<usize> {
    let mut order = Vec::new();
    for round in 0..taken.len() as u64 {
        let now = began + Duration::from_secs(60 + round);
        let Admission::Full { displaced: true } = connections.admit(Some(address("203.0.113.99")), now)
        else {
            break;
        };
        let [left] = asked(taken)[..] else { panic!("one newcomer costs one place") };
        order.push(left);
        taken[left] = seated_after(connections, taken, left, now);
        taken[left].idle.answer();
    }
    order
}

#[test]
fn where_none_rests_the_longest_halfway_one_of_the_address_with_most_places_goes_and_exempt_ones_last() {
    let began = Instant::now();
    let connections = Connections::new(24, began);
    let (many, few) = (Some(address("203.0.113.1")), Some(address("203.0.113.2")));
    let mut of = vec![(many, 9), (many, 7), (many, 8), (few, 1), (few, 2), (None, 0), (None, 3)];
    let mut taken = halfway(&connections, began, &of);
    let answering: Vec<Seated> = (0..17).map(|_| seated(&connections, None, began)).collect();
    answering.iter().for_each(|one| one.idle.answer());
    // Of two with as many places the longest goes, whosever it is.
    assert_eq!(order(&connections, &mut taken, began), [1, 3, 2, 4, 0, 5, 6]);
    assert!(answering.iter().all(|one| !one.idle.is_leaving()), "no one that is being answered");
    drop((taken, answering));

    of.iter_mut().for_each(|(_, ms)| *ms += 1_000);
    let taken = halfway(&connections, began, &of);
    let resting: Vec<Seated> = (0..17).map(|_| seated(&connections, None, began)).collect();
    let now = began + Duration::from_secs(600);
    assert!(matches!(connections.admit(None, now), Admission::Full { displaced: true }));
    assert_eq!(asked(&taken), [0usize; 0]);
    assert_eq!(asked(&resting).len(), 1, "one that rests goes before all of them");
    drop((taken, resting));
}

#[test]
fn what_a_crowd_has_goes_before_the_rest_of_the_world() {
    let began = Instant::now();
    let connections = Connections::new(128, began);
    let (crowd, other) = (Some(address("203.0.113.1")), Some(address("203.0.113.2")));
    let mut taken: Vec<Seated> = (0..9).map(|_| seated(&connections, crowd, began)).collect();
    taken[..7].iter().for_each(|one| one.idle.wait_halfway(began + Duration::from_secs(1)));
    taken[7].idle.answer();
    taken[8].idle.rest(began + Duration::from_secs(2));
    taken.extend((0..119).map(|_| seated(&connections, None, began)));
    let mut next = |number: u64| {
        let now = began + Duration::from_secs(60 + number);
        assert!(matches!(connections.admit(other, now), Admission::Full { displaced: true }));
        let [left] = asked(&taken)[..] else { panic!("one newcomer costs one place") };
        taken[left] = seated_after(&connections, &mut taken, left, now);
        left
    };
    assert_eq!(next(0), 8, "its own that rests, though others rest for longer");
    assert!(next(1) < 7, "then its own halfway ones");
    assert!(next(2) > 8, "with seven it is a crowd no more");
}

#[tokio::test]
async fn who_is_cut_halfway_is_reported_to_send_it_again() {
    let hour = Duration::from_secs(3600);
    let limits = ConnectionLimits { head: hour, body: hour, ..ConnectionLimits::default() };
    let server = server_with(ListenSettings { limits, ..at_most(1) }).await;
    let mut cut = server.connect().await;
    let head = b"POST /k/collect/s HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n";
    cut.write_all(head).await.unwrap();
    assert!(read_answer(&mut cut).await.starts_with("HTTP/1.1 100 "), "it is known to be halfway");
    let mut newcomer = server.connect().await;
    ask(&mut newcomer).await;
    let answer = read_answer(&mut cut).await;
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("Retry-After: 1\r\n"), "{answer}");
    assert_eq!(server.refusals()[0].line, b"POST /k/collect/s HTTP/1.1", "it leaves its record");
}

#[test]
fn the_line_about_a_share_names_what_may_be_a_proxy_with_the_fix_and_no_visitor() {
    for private in ["10.0.0.7", "192.168.1.9", "fd00::7"] {
        let fix = over_share_fix(private.parse().unwrap());
        assert!(fix.contains(&format!("trusted_proxies = [\"{private}\"]")), "{fix}");
    }
    for public in ["8.8.8.8", "2a00::1"] {
        let fix = over_share_fix(public.parse().unwrap());
        assert!(!fix.contains(public) && fix.contains("trusted_proxies"), "{fix}");
    }
}
