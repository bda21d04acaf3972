//! How long the embedded store takes to open with a million conversions that all wait to be sent, what
//! it needs of memory and disk, and how that compares with reading the same raw bytes from a flat file.
//!
//! `POSTBRIDGE_BENCH_EVENTS` makes it smaller. The parent fills the store and ends without closing it, as
//! a killed process does; each opening happens in a fresh process.

// A bench reads the clock, and what is not as it must be ends it.
#![allow(clippy::restriction, clippy::disallowed_methods)]

use std::error::Error;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use postbridge::clock::stopwatch;
use postbridge::domain::click::CustomerTraits;
use postbridge::domain::conversion::{Dedup, Draft, EventClaim};
use postbridge::domain::event::EventName;
use postbridge::domain::ids::{DestinationId, SourceId};
use postbridge::domain::money::{Currency, Money, NumberFormat, parse_decimal};
use postbridge::domain::postback::RawRequest;
use postbridge::domain::routing::{Route, SourcePolicy, Unmatched};
use postbridge::domain::ruleset::Ruleset;
use postbridge::domain::status::Status;
use postbridge::domain::time::Time;
use postbridge::store::contract::Store;
use postbridge::store::contract::arrival::Arrival;
use postbridge::store::contract::conformance::fixture::received::{mapped, request};
use postbridge::store::embedded::Embedded;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROUNDS: usize = 5;
/// Arrivals that wait for their answer at one time.
const IN_FLIGHT: usize = 512;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.get(1).map(String::as_str) {
        Some("fill") => fill(Path::new(&arguments[2]), arguments[3].parse()?),
        Some("open") => open(Path::new(&arguments[2])),
        Some("read") => read(Path::new(&arguments[2])),
        _ => measure(),
    }
}

fn measure() -> Outcome<()> {
    let events: usize =
        std::env::var("POSTBRIDGE_BENCH_EVENTS").ok().map_or(Ok(1_000_000), |text| text.parse())?;
    let folder = tempfile::tempdir_in(target_directory())?;
    let data = folder.path().join("data");
    let flat = folder.path().join("flat");
    println!("recovery: {events} conversions, each with a waiting delivery, in {}", folder.path().display());
    let began = stopwatch();
    run(&["fill", &text(&data), &events.to_string()])?;
    println!("filled in {:.1} s (and ended without closing)", began.elapsed().as_secs_f64());
    let mut raw = std::fs::File::create(&flat)?;
    let mut raw_bytes = 0;
    for number in 0..events {
        let line = line(number);
        raw_bytes += line.len();
        raw.write_all(line.as_bytes())?;
        raw.write_all(b"\n")?;
    }
    raw.sync_all()?;
    let disk = size(&data)?;
    let (mut opened, mut resident, mut flat_read) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        // Every round opens what the kill left: sled writes a snapshot when it opens, and a second
        // opening would begin from that.
        let copy = folder.path().join("copy");
        copy_folder(&data, &copy)?;
        let reported = run(&["open", &text(&copy)])?;
        std::fs::remove_dir_all(&copy)?;
        let mut reported = reported.split_whitespace();
        opened.push(reported.next().unwrap_or_default().parse::<f64>()?);
        resident.push(reported.next().unwrap_or_default().parse::<f64>()?);
        flat_read.push(run(&["read", &text(&flat)])?.trim().parse::<f64>()?);
    }
    let (opened, resident, flat_read) = (median(opened), median(resident), median(flat_read));
    println!("open              {opened:.2} s (median of {ROUNDS}; target: at most 3 per million)");
    println!("peak RSS          {resident:.0} MiB (target: under 400)");
    println!(
        "disk              {:.0} bytes a conversion, {:.2} of the raw bytes ({:.0} each; target: at most 3)",
        disk as f64 / events as f64,
        disk as f64 / raw_bytes as f64,
        raw_bytes as f64 / events as f64
    );
    println!(
        "flat file         {flat_read:.2} s to read and hash the lines; opening takes {:.1} times that",
        opened / flat_read
    );
    Ok(())
}

fn run(arguments: &[&str]) -> Outcome<String> {
    let done = std::process::Command::new(std::env::current_exe()?).args(arguments).output()?;
    let errors = String::from_utf8_lossy(&done.stderr);
    if !errors.is_empty() {
        eprint!("{errors}");
    }
    Ok(String::from_utf8(done.stdout)?)
}

fn fill(path: &Path, events: usize) -> Outcome<()> {
    let store: Arc<dyn Store> = Arc::new(Embedded::open_sled(path, rules())?);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build()?;
    runtime.block_on(async {
        let mut tasks = tokio::task::JoinSet::new();
        for worker in 0..IN_FLIGHT {
            let store = Arc::clone(&store);
            tasks.spawn(async move {
                for number in (worker..events).step_by(IN_FLIGHT) {
                    if let Err(error) = store.arrive(arrival(number)).await {
                        eprintln!("{error}");
                        std::process::abort();
                    }
                }
            });
        }
        while tasks.join_next().await.is_some() {}
    });
    // As `kill -9`: no destructor of the engine runs.
    std::process::abort();
}

fn open(path: &Path) -> Outcome<()> {
    let began = stopwatch();
    let store = Embedded::open_sled(path, Arc::default())?;
    let took = began.elapsed().as_secs_f64();
    let peak = peak_resident()?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let backlog = runtime.block_on(store.backlog(base()))?;
    let waiting: u64 = backlog.iter().map(|one| one.waiting).sum();
    eprintln!("opened with {waiting} waiting in {took:.2} s");
    println!("{took} {peak}");
    std::process::abort();
}

fn read(path: &Path) -> Outcome<()> {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let began = stopwatch();
    let bytes = std::fs::read(path)?;
    let hashes: std::collections::HashSet<u64> = bytes
        .split(|byte| *byte == b'\n')
        .map(|line| {
            let mut hasher = DefaultHasher::new();
            line.hash(&mut hasher);
            hasher.finish()
        })
        .collect();
    std::hint::black_box(hashes.len());
    println!("{}", began.elapsed().as_secs_f64());
    Ok(())
}

fn base() -> Time {
    Time::parse("2026-11-01T00:00:00Z").unwrap_or(Time::EPOCH)
}

/// A request line of about 300 bytes with ids that differ as a network's do.
fn line(number: usize) -> String {
    let random = scramble(number as u64);
    let other = scramble(random);
    format!(
        "GET /***/collect/network?s1={random:016x}&s2={}&s3=facebook-feed&s4=adset-{}&s5=ad-{}&affid={}&\
         campid={}&cid=77&oid={}&tid={}&price={}.{:02}&leadid={:x}&ip=203.0.{}.{}&subid=summer-sale-2026&\
         device=mobile&os=android-14&browser=chrome-129&country=US&region=CA&city=san-francisco HTTP/1.1",
        click(number),
        random % 97,
        other % 997,
        random % 1000,
        random % 50,
        other % 300,
        transaction(number),
        random % 90,
        other % 100,
        other,
        random % 256,
        other % 256,
    )
}

fn click(number: usize) -> String {
    let random = scramble(number as u64 ^ 0xc1c1);
    format!("{:017x}{:017x}", random, scramble(random))
}

fn transaction(number: usize) -> String {
    format!("{:018}", scramble(number as u64 ^ 0x7171) % 1_000_000_000_000_000_000)
}

/// SplitMix64: cheap, and as hard to compress as real ids.
fn scramble(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

fn arrival(number: usize) -> Arrival {
    let line = line(number);
    let value = |name: &str| {
        let pairs = line.split(['?', '&', ' ']);
        pairs
            .filter_map(|pair| pair.split_once('='))
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value.to_owned())
    };
    let params = ["s1", "s3", "s4", "s5", "affid", "campid", "cid"];
    let draft = Draft {
        source: source(),
        event: EventClaim::ByValue { positive: event("Purchase"), zero: event("Lead") },
        status: Some(Status::Approved),
        transaction_id: value("tid"),
        click_id: value("s2"),
        item_id: value("oid"),
        items: Vec::new(),
        adjustment_id: None,
        value: value("price")
            .and_then(|price| parse_decimal(&price, NumberFormat::Plain))
            .and_then(|price| Currency::parse("USD").map(|currency| Money::new(price, currency))),
        negative_received: None,
        payout: None,
        revenue: None,
        sale_amount: None,
        event_time: None,
        traits: CustomerTraits::default(),
        params: params.iter().filter_map(|name| Some(((*name).to_owned(), value(name)?))).collect(),
        consent: Default::default(),
        notes: Vec::new(),
        network: Default::default(),
    };
    let raw = RawRequest { peer: Some([203, 0, 113, 7].into()), ..request(line) };
    mapped(raw, draft, base().plus_millis(number as i64 / 50))
}

/// All of it goes to one destination, with its click or without.
fn rules() -> Arc<Ruleset> {
    let policy = SourcePolicy {
        source: source(),
        customer: Default::default(),
        click_sub_id: None,
        dedup: Dedup::Transaction,
        forward_status: vec![Status::Approved],
        unmatched: Unmatched::Forward,
    };
    let policies = [(source(), Arc::new(policy))].into();
    Arc::new(Ruleset { policies, routes: vec![Route::to(destination())], ..Ruleset::default() })
}

fn source() -> SourceId {
    SourceId::parse("network").unwrap_or_else(|_| std::process::abort())
}

fn destination() -> DestinationId {
    DestinationId::parse("ads-main").unwrap_or_else(|_| std::process::abort())
}

fn event(name: &str) -> EventName {
    EventName::parse(name).unwrap_or_else(|| std::process::abort())
}

fn target_directory() -> PathBuf {
    // On the disk of the checkout, wherever temporary files may lie.
    PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

fn size(path: &Path) -> Outcome<u64> {
    let mut total = 0;
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        let about = entry.metadata()?;
        total += if about.is_dir() { size(&entry.path())? } else { about.len() };
    }
    Ok(total)
}

fn copy_folder(from: &Path, to: &Path) -> Outcome<()> {
    std::fs::create_dir(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.metadata()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// In MiB, from `/proc/self/status`.
fn peak_resident() -> Outcome<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? / 1024.0)
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}
