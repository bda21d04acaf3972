//! How fast deliveries leave: claim, render, send and record, against a bare client loop with the same requests.

// A bench reads the clock, and what is not as it must be ends it.
#![allow(clippy::restriction, clippy::disallowed_methods)]

use std::collections::BTreeMap;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use postbridge::clock::{Clock, stopwatch};
use postbridge::dispatch::{DestinationPlan, Dispatch, DispatchPlan};
use postbridge::domain::click::{Click, CustomerTraits};
use postbridge::domain::conversion::{Draft, EventClaim};
use postbridge::domain::delivery::OutgoingRequest;
use postbridge::domain::event::EventName;
use postbridge::domain::ids::{ClickId, DestinationId, SourceId};
use postbridge::domain::money::{Currency, Money, NumberFormat, parse_decimal};
use postbridge::domain::routing::{Route, SourcePolicy, Unmatched};
use postbridge::domain::ruleset::{Ruleset, usual};
use postbridge::domain::secret_store::FixedSecrets;
use postbridge::domain::sent::DeliveryKind;
use postbridge::domain::status::Status;
use postbridge::store::contract::Store;
use postbridge::store::contract::arrival::{ClickArrival, Screening};
use postbridge::store::contract::conformance::fixture::received::{mapped, request};
use postbridge::store::contract::lookup::PageRequest;
use postbridge::store::embedded::Embedded;
use postbridge::store::engine::memory::Memory;
use postbridge::template::catalog::Catalog;
use postbridge::template::destination::batch::BatchSize;
use postbridge::template::destination::ready::ReadyDestination;
use postbridge::template::destination::rendering::{DestinationMode, RenderInput, Rendered};
use postbridge::template::destination::spec::DestinationSpec;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// As in the program: the allocator is part of what is measured.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const IN_FLIGHT: usize = 64;

fn main() {
    // As the relay does while it runs.
    postbridge::app::process_memory::take_small_pages();
    let number = |name: &str, usual: usize| {
        std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
    };
    let deliveries = number("DELIVERIES", 20_000);
    let rounds = number("ROUNDS", 7);
    let events = number("EVENTS", 1);
    let directory = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).expect("a folder next to the sources");
    println!(
        "delivery: {deliveries} deliveries a round, {events} in a request, {IN_FLIGHT} requests in flight, {rounds} rounds of each"
    );
    println!("disk: {}, median fdatasync {:?}", file_system(directory.path()), median_sync(directory.path()));
    let sink = Sink::start();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let bench = Bench::prepare(directory.path(), sink.address, events).await;
        let (mut ours, mut bare, mut cpu) = (Vec::new(), Vec::new(), Vec::new());
        bench.bare(&sink, deliveries / 4).await;
        bench.whole(&sink, deliveries / 4, "warm").await;
        for round in 0..rounds {
            let (took, bare_cpu) = bench.bare(&sink, deliveries).await;
            bare.push(took);
            let (took, our_cpu) = bench.whole(&sink, deliveries, &format!("r{round}")).await;
            ours.push(took);
            cpu.push((our_cpu, bare_cpu));
        }
        report(deliveries, &mut ours, &mut bare, &cpu);
    });
}

fn report(deliveries: usize, ours: &mut [Duration], bare: &mut [Duration], cpu: &[(Duration, Duration)]) {
    let mut ratios: Vec<f64> =
        ours.iter().zip(bare.iter()).map(|(ours, bare)| bare.as_secs_f64() / ours.as_secs_f64()).collect();
    ratios.sort_by(f64::total_cmp);
    ours.sort();
    bare.sort();
    let rate = |times: &[Duration]| deliveries as f64 / times[times.len() / 2].as_secs_f64();
    let per = |pick: fn(&(Duration, Duration)) -> Duration| {
        let mut all: Vec<Duration> = cpu.iter().map(pick).collect();
        all.sort();
        all[all.len() / 2].as_secs_f64() * 1e6 / deliveries as f64
    };
    println!(
        "bare client loop:                {:>8.0}/s  {:>5.1} µs CPU each (sink included)",
        rate(bare),
        per(|c| c.1)
    );
    println!(
        "claim, render, send, record:     {:>8.0}/s  {:>5.1} µs CPU each (sink included)",
        rate(ours),
        per(|c| c.0)
    );
    println!(
        "ratio, median of {} pairs:        {:.3}  (from {:.3} to {:.3})",
        ratios.len(),
        ratios[ratios.len() / 2],
        ratios[0],
        ratios[ratios.len() - 1]
    );
}

/// A platform that takes everything, on a thread of its own.
struct Sink {
    address: SocketAddr,
    taken: Arc<AtomicUsize>,
}

impl Sink {
    fn start() -> Sink {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a loopback port");
        listener.set_nonblocking(true).expect("a socket that does not block");
        let address = listener.local_addr().expect("its address");
        let taken = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&taken);
        std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).expect("the listener");
                while let Ok((stream, _)) = listener.accept().await {
                    stream.set_nodelay(true).expect("no delay");
                    let counter = Arc::clone(&counter);
                    tokio::spawn(async move {
                        // The client ends connections as it likes.
                        let _ = take_all(stream, counter).await;
                    });
                }
            });
        });
        Sink { address, taken }
    }
}

/// Reads requests as cheaply as can be, so that what is compared is the clients.
async fn take_all(mut stream: tokio::net::TcpStream, taken: Arc<AtomicUsize>) -> std::io::Result<()> {
    let mut buffer: Vec<u8> = Vec::with_capacity(8 * 1024);
    loop {
        let whole = loop {
            if let Some(head) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                let whole = head + 4 + body_length(&buffer[..head]);
                if buffer.len() >= whole {
                    break whole;
                }
            }
            if stream.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        };
        let events = memchr::memmem::find_iter(&buffer[..whole], b"\"event_name\":").count();
        buffer.drain(..whole);
        taken.fetch_add(events, Ordering::Relaxed);
        let body = format!("{{\"events_received\":{events},\"messages\":[]}}");
        let answer = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(answer.as_bytes()).await?;
    }
}

fn body_length(head: &[u8]) -> usize {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let length = head.split("content-length:").nth(1).and_then(|rest| rest.lines().next());
    length.map_or(0, |text| text.trim().parse().expect("a length"))
}

struct Bench {
    store: Arc<dyn Store>,
    destination: Arc<ReadyDestination>,
    bare: reqwest::Client,
    /// How many events a request carries.
    events: usize,
}

impl Bench {
    async fn prepare(directory: &Path, sink: SocketAddr, events: usize) -> Bench {
        let catalog = Catalog::load(None).expect("the built-in templates");
        let spec = DestinationSpec {
            id: DestinationId::parse("main").expect("an id"),
            template: catalog.destination("meta").expect("the template"),
            mode: DestinationMode::Live,
            endpoint: Some(format!("http://{sink}")),
            token_endpoint: None,
            on_rejected: None,
            settings: BTreeMap::from([
                ("pixel_id".to_owned(), "1234567890".to_owned()),
                ("access_token".to_owned(), "EAAG-0123456789abcdefghijklmnopqrstuvwxyz".to_owned()),
            ]),
            events: BTreeMap::new(),
        };
        let destination =
            Arc::new(ReadyDestination::build(spec).unwrap_or_else(|problems| panic!("{problems:?}")));
        let store = open(directory);
        let arrival = ClickArrival { click: click(), screening: Screening::None };
        store.record_click(arrival).await.expect("a recorded click");
        let bare = reqwest::Client::builder().no_proxy().http1_only().build().expect("a client");
        Bench { store, destination, bare, events }
    }

    /// The whole way, from waiting deliveries in the store to their durable ends. Answers how long
    /// it took, and the CPU time of the process meanwhile.
    async fn whole(&self, sink: &Sink, count: usize, name: &str) -> (Duration, Duration) {
        let turn = |part: usize| async move {
            let mut at = part;
            while at < count {
                arrive(self.store.as_ref(), format!("{name}-{at}")).await;
                at += 256;
            }
        };
        futures_util::future::join_all((0..256).map(turn)).await;
        let before = sink.taken.load(Ordering::Relaxed);
        let destination = DestinationPlan {
            destination: Arc::clone(&self.destination),
            max_per_second: None,
            batch: BatchSize { max_events: self.events, max_wait_ms: 0 },
            max_in_flight: IN_FLIGHT,
            allow_private_network: true,
            timeout_ms: 30_000,
            secrets: Arc::new(FixedSecrets),
            outgoing: None,
        };
        let policies = rules().policies.clone();
        let plan = DispatchPlan { destinations: vec![destination], policies };
        let (began, spent) = (stopwatch(), cpu_time());
        let dispatch = Dispatch::start(Arc::clone(&self.store), plan, Clock::system());
        while dispatch.states().iter().map(|worker| worker.delivered).sum::<u64>() < count as u64 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let took = (began.elapsed(), cpu_time() - spent);
        dispatch.stop(Duration::from_secs(10)).await;
        assert_eq!(sink.taken.load(Ordering::Relaxed) - before, count, "each event left once");
        took
    }

    /// The same requests, rendered beforehand, from a bare client.
    async fn bare(&self, sink: &Sink, count: usize) -> (Duration, Duration) {
        let request = self.rendered().await;
        let before = sink.taken.load(Ordering::Relaxed);
        let left = Arc::new(AtomicUsize::new(count / self.events));
        let (began, spent) = (stopwatch(), cpu_time());
        let loops = (0..IN_FLIGHT).map(|_| {
            let (client, request, left) = (self.bare.clone(), request.clone(), Arc::clone(&left));
            tokio::spawn(async move {
                while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_ok() {
                    let mut call = client.post(&request.url).body(request.body.clone());
                    for (name, value) in &request.headers {
                        call = call.header(name, value);
                    }
                    let answer = call.send().await.expect("an answer");
                    answer.bytes().await.expect("its body");
                }
            })
        });
        for task in loops.collect::<Vec<_>>() {
            task.await.expect("a loop");
        }
        let took = (began.elapsed(), cpu_time() - spent);
        assert_eq!(sink.taken.load(Ordering::Relaxed) - before, count / self.events * self.events);
        took
    }

    /// One of the requests that the whole way sends.
    async fn rendered(&self) -> OutgoingRequest {
        let memory = Embedded::open(Arc::new(Memory::new()), rules()).expect("a store in memory");
        arrive(&memory, "r0-1000".to_owned()).await;
        let page = PageRequest { cursor: None, limit: 1 };
        let page = memory.conversions(Default::default(), page).await.expect("a conversion");
        let (conversion, deliveries) = &page.items[0];
        let id = deliveries[0].id(conversion.id);
        let click = click();
        let input = RenderInput {
            conversion,
            click: Some(&click),
            delivery: &id,
            kind: DeliveryKind::Event,
            sent: None,
            now: conversion.received_at,
            customer: Default::default(),
        };
        match self.destination.render_event(&input).expect("a request").rendered {
            Rendered::Request(part, _) => {
                let parts = vec![&part; self.events];
                self.destination.assemble(&parts, &id, input.now).request
            }
            Rendered::Skip { reason } => panic!("{reason:?}"),
        }
    }
}

/// All of it goes to one destination.
fn rules() -> Arc<Ruleset> {
    let source = SourceId::parse("bench").expect("an id");
    let policy = SourcePolicy { unmatched: Unmatched::Forward, ..usual(source.clone()) };
    let route = Route::to(DestinationId::parse("main").expect("an id"));
    let policies = [(source, Arc::new(policy))].into();
    Arc::new(Ruleset { policies, routes: vec![route], ..Ruleset::default() })
}

/// A sale, made durable with its one waiting delivery.
async fn arrive(store: &dyn Store, transaction: String) {
    let source = SourceId::parse("bench").expect("an id");
    let draft = Draft {
        source,
        event: EventClaim::Named(EventName::parse("Purchase").expect("an event")),
        status: Some(Status::Approved),
        transaction_id: Some(transaction.clone()),
        click_id: Some(CLICK.to_owned()),
        item_id: Some("sku-77".to_owned()),
        items: Vec::new(),
        adjustment_id: None,
        value: Some(Money::new(
            parse_decimal("49.90", NumberFormat::Plain).expect("a decimal"),
            Currency::parse("USD").expect("a currency"),
        )),
        negative_received: None,
        payout: None,
        revenue: None,
        sale_amount: None,
        event_time: None,
        traits: CustomerTraits::default(),
        params: vec![("affid".to_owned(), "12".to_owned()), ("campid".to_owned(), "345".to_owned())],
        consent: Default::default(),
        notes: Vec::new(),
        network: Default::default(),
    };
    let line = format!("GET /***/collect/bench?tid={transaction}&s2={CLICK}&price=49.90&oid=sku-77 HTTP/1.1");
    let now = Clock::system().now();
    let arrival = mapped(request(line), draft, now);
    store.arrive(arrival).await.expect("a durable arrival");
}

const CLICK: &str = "0lq3k9x2a7f5d8g1h4j6k0m2n9p3q";

fn click() -> Click {
    let now = Clock::system().now();
    Click {
        id: ClickId::parse(CLICK).expect("a click id"),
        at: now,
        recorded_at: now,
        landing_url: Some("https://shop.example/landing?fbclid=IwAR0abc&utm_source=fb".to_owned()),
        referrer: None,
        ip: Some("203.0.113.9".parse().expect("an address")),
        user_agent: Some("Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X)".to_owned()),
        params: vec![("fbclid".to_owned(), "IwAR0abcdefghijklmnopqrstuvwxyz".to_owned())],
        cookies: vec![("_fbp".to_owned(), "fb.1.1700000000000.1234567890".to_owned())],
        sub_ids: Vec::new(),
        customer: CustomerTraits::default(),
        context: Default::default(),
    }
}

fn open(directory: &Path) -> Arc<dyn Store> {
    Arc::new(Embedded::open_sled(&directory.join("data"), rules()).expect("a store"))
}

fn median_sync(directory: &Path) -> Duration {
    let mut file = std::fs::File::create(directory.join("sync")).expect("a file");
    let mut times: Vec<Duration> = (0..200)
        .map(|_| {
            file.write_all(&[7; 4096]).expect("a write");
            let began: Instant = stopwatch();
            file.sync_data().expect("a sync");
            began.elapsed()
        })
        .collect();
    times.sort();
    times[times.len() / 2]
}

/// The file system that holds a folder: the longest mount point above it.
fn file_system(directory: &Path) -> String {
    let mounts = std::fs::read_to_string("/proc/mounts").unwrap_or_default();
    let mut best = ("", "unknown");
    for line in mounts.lines() {
        let mut fields = line.split(' ').skip(1);
        if let (Some(point), Some(kind)) = (fields.next(), fields.next())
            && directory.starts_with(point)
            && point.len() >= best.0.len()
        {
            best = (point, kind);
        }
    }
    best.1.to_owned()
}

/// User and system time of this process.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(") ").next().unwrap_or_default();
    let ticks: u64 = after_name.split(' ').skip(11).take(2).filter_map(|text| text.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}
