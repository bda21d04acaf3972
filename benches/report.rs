//! How long a 500-row page of a report takes over two million conversions, the first and the last, under
//! every filter; what the rows cost of memory; and how that compares with a scan of a bare list of rows.
//!
//! `POSTBRIDGE_BENCH_EVENTS` makes it smaller. Two stores are filled, one of sales that belong to offers and
//! one of the same sales without: what the second needs less of memory is what the rows need. Each is opened
//! in a fresh process.

// A bench reads the clock, and what is not as it must be ends it.
#![allow(clippy::restriction, clippy::disallowed_methods)]

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use postbridge::clock::stopwatch;
use postbridge::domain::click::{Click, ClickContext, CustomerTraits};
use postbridge::domain::conversion::{Dedup, Draft, EventClaim, NetworkClaim};
use postbridge::domain::event::EventName;
use postbridge::domain::ids::{AffiliateId, CampaignId, ClickId, OfferId, SourceId};
use postbridge::domain::money::{Currency, Money, NumberFormat, parse_decimal};
use postbridge::domain::offer::AttributionModel;
use postbridge::domain::offer::{CampaignRef, Caps, Disposition, Offer, OfferStatus};
use postbridge::domain::reporter::ReportRoute;
use postbridge::domain::reports::{FurtherSales, Reporting};
use postbridge::domain::routing::{SourcePolicy, Unmatched};
use postbridge::domain::ruleset::Ruleset;
use postbridge::domain::status::Status;
use postbridge::domain::status_move::{Actor, StatusMove};
use postbridge::domain::time::{DAY_MS, Time};
use postbridge::store::contract::Store;
use postbridge::store::contract::arrival::{Arrival, ClickArrival, Screening};
use postbridge::store::contract::change::ConversionRef;
use postbridge::store::contract::conformance::fixture::received::{mapped, request};
use postbridge::store::contract::lookup::ReportQuery;
use postbridge::store::embedded::Embedded;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROUNDS: usize = 5;
/// Arrivals that wait for their answer at one time.
const IN_FLIGHT: usize = 1024;
const OFFERS: u64 = 200;
const AFFILIATES: u64 = 1000;
const DAYS: i64 = 400;
const PAGE: usize = 500;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.get(1).map(String::as_str) {
        Some("fill") => fill(Path::new(&arguments[2]), arguments[3].parse()?, &arguments[4] == "offers"),
        Some("open") => open(Path::new(&arguments[2])).map(drop),
        Some("read") => read(Path::new(&arguments[2]), arguments[3].parse()?),
        _ => measure(),
    }
}

fn measure() -> Outcome<()> {
    let events: u64 =
        std::env::var("POSTBRIDGE_BENCH_EVENTS").ok().map_or(Ok(2_000_000), |text| text.parse())?;
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    println!(
        "report: {events} conversions of {OFFERS} offers by {AFFILIATES} affiliates over {DAYS} days, each 20th \
         with another status since, in {}",
        folder.path().display()
    );
    for kind in ["plain", "offers"] {
        let path = folder.path().join(kind);
        let began = stopwatch();
        run(&["fill", &path.display().to_string(), &events.to_string(), kind])?;
        println!("{kind:<8} filled in {:.0} s", began.elapsed().as_secs_f64());
        run(&["open", &path.display().to_string()])?;
    }
    run(&["read", &folder.path().join("offers").display().to_string(), &events.to_string()])
}

fn run(arguments: &[&str]) -> Outcome<()> {
    let done = std::process::Command::new(std::env::current_exe()?).args(arguments).status()?;
    if done.success() { Ok(()) } else { Err(format!("{arguments:?} ended with {done}").into()) }
}

fn fill(path: &Path, events: u64, of_offers: bool) -> Outcome<()> {
    let store: Arc<dyn Store> = Arc::new(Embedded::open_sled(path, rules())?);
    // As the relay does while it runs.
    postbridge::app::process_memory::take_small_pages();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build()?;
    runtime
        .block_on(async {
            for affiliate in (0..AFFILIATES).filter(|_| of_offers) {
                let click = ClickArrival { click: click(affiliate)?, screening: Screening::None };
                store.record_click(click).await?;
            }
            let mut tasks = tokio::task::JoinSet::new();
            for worker in 0..IN_FLIGHT as u64 {
                let store = Arc::clone(&store);
                tasks.spawn(async move {
                    for number in (worker..events).step_by(IN_FLIGHT) {
                        receive(&*store, number, of_offers).await?;
                    }
                    Outcome::Ok(())
                });
            }
            while let Some(done) = tasks.join_next().await {
                done??;
            }
            store.close().await?;
            Outcome::Ok(())
        })
        .map_err(|error| error.to_string().into())
}

async fn receive(
    store: &dyn Store,
    number: u64,
    of_offers: bool,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let receipt = store.arrive(arrival(number, of_offers).ok_or("a sale that cannot be made")?).await?;
    if number.is_multiple_of(20) {
        let by = Actor::Network("bench".to_owned());
        let order = StatusMove { to: Status::Rejected, by, note: None };
        store.set_status(ConversionRef::Number(receipt.postback), order, base()).await?;
    }
    Ok(())
}

/// Opens a store and reports what that takes.
fn open(path: &Path) -> Outcome<Embedded> {
    let began = stopwatch();
    let store = Embedded::open_sled(path, Arc::default())?;
    let took = began.elapsed();
    println!("         opened in {:.2} s, {:.0} MiB resident", took.as_secs_f64(), resident()?);
    Ok(store)
}

fn read(path: &Path, events: u64) -> Outcome<()> {
    let store = open(path)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build()?;
    let page = |query: ReportQuery| -> Outcome<(Duration, u64, usize)> {
        let began = stopwatch();
        let page = runtime.block_on(store.report(query))?;
        Ok((began.elapsed(), page.total, page.rows.len()))
    };
    println!(
        "{:<34} {:>9}  {:>24}  {:>24}",
        "filter", "rows", "first page, ms (worst)", "last page, ms (worst)"
    );
    for (name, query) in queries()? {
        let total = page(ReportQuery { limit: 1, ..query.clone() })?.1;
        let last = total.saturating_sub(PAGE as u64);
        let mut shown = Vec::new();
        for skip in [0, last] {
            let mut times = Vec::new();
            for _ in 0..ROUNDS {
                let (took, _, rows) = page(ReportQuery { skip, limit: PAGE, ..query.clone() })?;
                assert_eq!(rows as u64, total.min(PAGE as u64));
                times.push(took.as_secs_f64() * 1e3);
            }
            times.sort_by(f64::total_cmp);
            shown.push(format!("{:.1} ({:.1})", times[ROUNDS / 2], times[ROUNDS - 1]));
        }
        println!("{name:<34} {total:>9}  {:>24}  {:>24}", shown[0], shown[1]);
    }
    println!("         {:.0} MiB resident after all pages", resident()?);
    bare(events);
    Ok(())
}

/// The least that any report could cost: one pass over a bare list of rows of the same size.
fn bare(events: u64) {
    let row = |number| (scramble(number) % OFFERS, number, u64::MAX - number);
    let rows: Vec<(u64, u64, u64)> = (0..events).map(row).collect();
    let mut times: Vec<f64> = (0..ROUNDS)
        .map(|round| {
            let wanted = round as u64;
            let began = stopwatch();
            std::hint::black_box(rows.iter().filter(|row| row.0 == wanted).count());
            began.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    println!("bare     one pass over a list of as many rows of 24 bytes: {:.1} ms", times[ROUNDS / 2]);
}

fn queries() -> Outcome<Vec<(&'static str, ReportQuery)>> {
    let all = ReportQuery::default;
    let offers = |numbers: std::ops::Range<u64>| numbers.map(offer_id).collect::<Option<Vec<_>>>();
    let some = |from: i64, days: i64| {
        let from = base().plus_millis(from * DAY_MS);
        (Some(from), Some(from.plus_millis(days * DAY_MS)))
    };
    let (month, day) = (some(200, 30), some(300, 1));
    let affiliate = affiliate_id(7);
    let status = Some(Status::Rejected);
    let missing = "an id is not one";
    Ok(vec![
        ("none", all()),
        ("a month", ReportQuery { from: month.0, until: month.1, ..all() }),
        ("a day", ReportQuery { from: day.0, until: day.1, ..all() }),
        ("a status", ReportQuery { status, ..all() }),
        ("an offer", ReportQuery { offers: Some(offers(3..4).ok_or(missing)?), ..all() }),
        ("an advertiser's ten offers", ReportQuery { offers: Some(offers(10..20).ok_or(missing)?), ..all() }),
        ("an affiliate", ReportQuery { affiliate: affiliate.clone(), ..all() }),
        ("an affiliate, a status", ReportQuery { affiliate, status, ..all() }),
        (
            "an offer, a status, a month",
            ReportQuery {
                offers: Some(offers(3..4).ok_or(missing)?),
                status,
                from: month.0,
                until: month.1,
                ..all()
            },
        ),
    ])
}

fn base() -> Time {
    Time::parse("2026-01-01T00:00:00Z").unwrap_or(Time::EPOCH)
}

fn offer_id(number: u64) -> Option<OfferId> {
    OfferId::parse(&(500 + number).to_string()).ok()
}

fn affiliate_id(number: u64) -> Option<AffiliateId> {
    AffiliateId::parse(&(2000 + number).to_string()).ok()
}

/// SplitMix64.
fn scramble(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// An affiliate's click; all its sales name it. Which offer it is of follows from its number.
fn click(affiliate: u64) -> Outcome<Click> {
    let campaign_ref = CampaignRef {
        offer: offer_id(affiliate % OFFERS).ok_or("no offer id")?,
        campaign: CampaignId::parse(&(8000 + affiliate).to_string()).ok(),
        affiliate: affiliate_id(affiliate),
        creative: None,
    };
    Ok(Click {
        id: ClickId::parse(&format!("click-{affiliate}"))?,
        at: base(),
        recorded_at: base(),
        landing_url: None,
        referrer: None,
        ip: None,
        user_agent: None,
        params: Vec::new(),
        cookies: Vec::new(),
        sub_ids: Vec::new(),
        customer: CustomerTraits::default(),
        context: ClickContext { campaign_ref: Some(campaign_ref), ..ClickContext::default() },
    })
}

/// Sales come nearly in the order in which they happened: up to an hour late.
fn arrival(number: u64, of_offers: bool) -> Option<Arrival> {
    let random = scramble(number);
    let affiliate = random % AFFILIATES;
    let spread = i64::try_from(number % 2_000_000).ok()? * (DAYS * DAY_MS / 2_000_000);
    let received_at = base().plus_millis(spread);
    let draft = Draft {
        source: source()?,
        event: EventClaim::Named(EventName::parse("Purchase")?),
        status: Some(Status::Approved),
        transaction_id: Some(format!("{:018}", scramble(number ^ 0x7171) % 1_000_000_000_000_000_000)),
        click_id: Some(format!("click-{affiliate}")),
        item_id: None,
        items: Vec::new(),
        adjustment_id: None,
        value: Some(Money::new(parse_decimal("7.50", NumberFormat::Plain)?, Currency::parse("USD")?)),
        negative_received: None,
        payout: None,
        revenue: None,
        sale_amount: None,
        event_time: Some(received_at.plus_millis(-i64::try_from(random % 3_600_000).ok()?)),
        traits: CustomerTraits::default(),
        params: vec![("s1".to_owned(), format!("{random:016x}"))],
        consent: Default::default(),
        notes: Vec::new(),
        network: NetworkClaim {
            offer: if of_offers { offer_id(affiliate % OFFERS) } else { None },
            ..NetworkClaim::default()
        },
    };
    let line = format!("POST /api conversion {random:016x} HTTP/1.1");
    Some(mapped(request(line), draft, received_at))
}

fn source() -> Option<SourceId> {
    SourceId::parse("network").ok()
}

/// Everything is kept and nothing is sent.
fn rules() -> Arc<Ruleset> {
    let policies = source().into_iter().map(|source| {
        let policy = SourcePolicy {
            source: source.clone(),
            customer: Default::default(),
            click_sub_id: None,
            dedup: Dedup::Transaction,
            forward_status: vec![Status::Approved],
            unmatched: Unmatched::Forward,
        };
        (source, Arc::new(policy))
    });
    let offers = (0..OFFERS).filter_map(offer_id).zip(Currency::parse("USD").into_iter().cycle());
    let offers = offers.map(|(id, currency)| {
        let offer = Offer {
            id: id.clone(),
            advertiser: None,
            currency,
            payout: None,
            revenue: None,
            status: OfferStatus::Active,
            caps: Caps::default(),
            session_hours: 24 * 1000,
            click_cookie_days: 1000,
            model: AttributionModel::LastTouch,
            disposition: Disposition { status: Status::Approved, after_hours: 0 },
            accept_pixel_value: false,
            reports: Reporting {
                by: vec![ReportRoute::Api],
                from: Vec::new(),
                events: Vec::new(),
                further: FurtherSales::Wait,
            },
        };
        (id, Arc::new(offer))
    });
    Arc::new(Ruleset { policies: policies.collect(), offers: offers.collect(), ..Ruleset::default() })
}

/// In MiB, from `/proc/self/status`.
fn resident() -> Outcome<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? / 1024.0)
}
