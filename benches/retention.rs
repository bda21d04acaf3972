//! How fast one day goes out of a folder of thirty, next to what is received: the records it purges a second, what the sales
//! that are received meanwhile wait, and the bytes that are given back.
//!
//! `POSTBRIDGE_BENCH_SALES` and `POSTBRIDGE_BENCH_CLICKS` say how many the folder has; each sale is a commit of its own, as it
//! is below a few hundred a second.

// A bench reads the clock, and what is not as it must be ends it.
#![allow(clippy::restriction, clippy::disallowed_methods)]

mod support;

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use postbridge::clock::Clock;
use postbridge::domain::time::Time;
use postbridge::maintenance::{Maintenance, MaintenanceSignals, RetentionDays};
use postbridge::store::contract::Store;
use postbridge::store::contract::conformance::fixture::engine::usual_rules;
use postbridge::store::contract::conformance::fixture::received::{click, sale, unscreened};
use postbridge::store::embedded::{Embedded, EmbeddedSettings};
use postbridge::store::engine::journal::manifest::Manifest;
use postbridge::store::writer::Watch;
use support::{median, setting};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const DAYS: u64 = 30;
const DAY_MS: i64 = 86_400_000;
/// The longest that rewriting one file of the journal takes.
const SETTLED: Duration = Duration::from_secs(15);
/// Clicks that wait for their answer at one time.
const IN_FLIGHT: u64 = 64;

fn main() {
    let (sales, clicks) =
        (setting("POSTBRIDGE_BENCH_SALES", 100_000), setting("POSTBRIDGE_BENCH_CLICKS", 400_000));
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let data = folder.path().join("data");
    println!("retention: {sales} sales and {clicks} clicks of {DAYS} days in {}", data.display());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let clock = Clock::system();
    let first = clock.now().plus_millis(-(DAYS as i64) * DAY_MS - DAY_MS / 2);
    let began = Instant::now();
    let store: Arc<Embedded> = Arc::new(Embedded::open_sled(&data, usual_rules()).unwrap());
    runtime.block_on(fill(&store, first, (sales, clicks)));
    runtime.block_on(store.close()).unwrap();
    drop(store);
    println!("filled in {:.0} s: {:.1} MiB on disk", began.elapsed().as_secs_f64(), mib(&data));
    let began = Instant::now();
    let watch = Watch {
        clock: clock.monotonic(),
        report: Arc::new(|_| {}),
        stuck: Arc::new(|error| panic!("{error}")),
    };
    let settings = EmbeddedSettings { watch: Some(watch), ..EmbeddedSettings::default() };
    let store = Arc::new(Embedded::open_sled_with(&data, usual_rules(), settings).unwrap());
    println!("opened in {:.2} s", began.elapsed().as_secs_f64());
    settle(&data.join("journal"));
    runtime.block_on(measure(&store, &data, clock, sales / DAYS + clicks / DAYS));
}

/// Waits until the journal's files are as they are in a relay that has been running: each rewritten once.
fn settle(journal: &Path) {
    let names = || {
        let names = std::fs::read_dir(journal).unwrap().flatten().map(|entry| entry.file_name());
        names.collect::<std::collections::BTreeSet<_>>()
    };
    let began = Instant::now();
    loop {
        let before = names();
        std::thread::sleep(SETTLED);
        if names() == before {
            break;
        }
    }
    println!("the journal was in order after {:.0} s", began.elapsed().as_secs_f64());
}

async fn fill(store: &Arc<Embedded>, first: Time, (sales, clicks): (u64, u64)) {
    for day in 0..DAYS {
        let start = first.plus_millis(day as i64 * DAY_MS);
        let of_day = clicks / DAYS;
        let mut tasks = tokio::task::JoinSet::new();
        for worker in 0..IN_FLIGHT {
            let store = Arc::clone(store);
            tasks.spawn(async move {
                for number in (worker..of_day).step_by(IN_FLIGHT as usize) {
                    let at = start.plus_millis((number * DAY_MS as u64 / of_day) as i64);
                    let id = format!("{:016x}", scramble(day * of_day + number));
                    let mut click = click(&id);
                    (click.at, click.recorded_at) = (at, at);
                    click.landing_url =
                        Some(format!("https://shop.example/c/8599?s1={id}&fbclid={id}{id}{id}"));
                    store.record_click(unscreened(click)).await.unwrap();
                }
            });
        }
        while tasks.join_next().await.is_some() {}
        let of_day = sales / DAYS;
        for number in 0..of_day {
            let at = start.plus_millis((number * DAY_MS as u64 / of_day) as i64);
            let sale = sale(&format!("t{:015x}", scramble(day * of_day + number) >> 4)).at(at);
            store.arrive(sale.arrival()).await.unwrap();
        }
    }
}

/// First without purging, then with it, the same sales are received.
async fn measure(store: &Arc<Embedded>, data: &Path, clock: Clock, wanted: u64) {
    let rate = setting("POSTBRIDGE_BENCH_RATE", 1500);
    let quiet = receive(store, &clock, rate, Until::Time(Duration::from_secs(10))).await;
    let before = parts(data);
    let keep = RetentionDays {
        conversions_days: DAYS as u32 - 1,
        postbacks_days: DAYS as u32 - 1,
        clicks_days: DAYS as u32 - 1,
        removed_hours: 24,
    };
    let heartbeat = Arc::new(AtomicI64::new(0));
    let (_stop, stopped) = tokio::sync::watch::channel(false);
    let signals = MaintenanceSignals {
        space: Arc::default(),
        keep,
        configured: Arc::new(HashSet::new),
        put_back: Arc::new(Mutex::new(HashSet::new())),
        stop: stopped,
        heartbeat,
    };
    let contract: Arc<dyn Store> = Arc::<Embedded>::clone(store);
    let mut maintenance = Maintenance::new(contract, clock.clone(), signals);
    let ends = Arc::new(AtomicBool::new(false));
    let receiving = {
        let (store, clock, ends) = (Arc::clone(store), clock.clone(), Arc::clone(&ends));
        tokio::spawn(async move { receive(&store, &clock, rate, Until::Flag(ends)).await })
    };
    let (began, cpu) = (Instant::now(), support::machine::cpu_us(std::process::id()));
    loop {
        maintenance.tick().await.unwrap();
        if !maintenance.is_purging() {
            break;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let took = began.elapsed().as_secs_f64();
    let cpu = (support::machine::cpu_us(std::process::id()) - cpu) / 1e6;
    ends.store(true, Ordering::Release);
    let busy = receiving.await.unwrap();
    println!(
        "one day, {wanted} records: gone in {took:.1} s, {:.0} a second; CPU {cpu:.1} s",
        wanted as f64 / took
    );
    println!("sales at {rate}/s meanwhile, p50 and p99 in µs: without {quiet:?}, with {busy:?}");
    settle(&data.join("journal"));
    println!("MiB of the journal and of the index: {before:.1?} before, {:.1?} after", parts(data));
}

enum Until {
    Time(Duration),
    Flag(Arc<AtomicBool>),
}

/// Receives sales at a steady rate. Answers what half and all but one in a hundred of them waited at most, in µs.
async fn receive(store: &Arc<Embedded>, clock: &Clock, rate: u64, until: Until) -> (f64, f64) {
    static NUMBER: AtomicI64 = AtomicI64::new(0);
    let began = Instant::now();
    let (mut tasks, mut sent) = (tokio::task::JoinSet::new(), 0);
    loop {
        let is_over = match &until {
            Until::Time(time) => began.elapsed() >= *time,
            Until::Flag(flag) => flag.load(Ordering::Acquire),
        };
        if is_over {
            break;
        }
        let due = (began.elapsed().as_secs_f64() * rate as f64) as u64;
        while sent < due {
            sent += 1;
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let arrival = sale(&format!("now-{number}")).at(clock.now()).arrival();
            let store = Arc::clone(store);
            tasks.spawn(async move {
                let began = Instant::now();
                store.arrive(arrival).await.unwrap();
                began.elapsed().as_secs_f64() * 1e6
            });
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let mut waited = Vec::new();
    while let Some(done) = tasks.join_next().await {
        waited.push(done.unwrap());
    }
    waited.sort_by(f64::total_cmp);
    let at = |share: f64| waited.get((waited.len() as f64 * share) as usize).copied().unwrap_or(f64::NAN);
    (median(&waited).round(), at(0.99).round())
}

/// SplitMix64: cheap, and as hard to compress as real ids.
fn scramble(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// The MiB of the files that the journal's manifest names, since those that they took the place of stay for a while; and of
/// the index.
fn parts(data: &Path) -> (f64, f64) {
    let segments = Manifest::read(&data.join("journal")).0.unwrap().segments;
    let bytes = segments.iter().filter_map(|entry| Some(entry.finished.as_ref()?.bytes)).sum::<u64>();
    (bytes as f64 / f64::from(1 << 20), mib(&data.join("index")))
}

fn mib(path: &Path) -> f64 {
    fn size(path: &Path) -> u64 {
        let Ok(entries) = std::fs::read_dir(path) else { return 0 };
        let sizes = entries.flatten().map(|entry| match entry.metadata() {
            Ok(about) if about.is_dir() => size(&entry.path()),
            Ok(about) => about.len(),
            Err(_) => 0,
        });
        sizes.sum()
    }
    size(path) as f64 / f64::from(1 << 20)
}
