//! How long an answer takes while every sale has the same transaction id and another click, against sales
//! with transaction ids of their own, in turns in one store.
//!
//! Each click is recorded and of its own visitor, so that every clause of the rule is asked: the costliest
//! way through it. `POSTBRIDGE_BENCH_EVENTS` makes it smaller.

// A bench reads the clock, and what is not as it must be ends it.
#![allow(clippy::restriction, clippy::disallowed_methods)]

mod support;

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use postbridge::clock::stopwatch;
use postbridge::domain::click::{Click, ClickContext, CustomerTraits};
use postbridge::domain::conversion::{Draft, EventClaim, NetworkClaim};
use postbridge::domain::event::EventName;
use postbridge::domain::ids::{ClickId, SourceId, VisitorId};
use postbridge::domain::money::{Currency, Money, NumberFormat, parse_decimal};
use postbridge::domain::postback::Verdict;
use postbridge::domain::ruleset::{Ruleset, usual};
use postbridge::domain::time::Time;
use postbridge::store::contract::Store;
use postbridge::store::contract::arrival::{Arrival, ClickArrival, Screening};
use postbridge::store::contract::conformance::fixture::received::{mapped, request};
use postbridge::store::embedded::Embedded;
use support::machine;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Arrivals that wait for their answer at one time.
const IN_FLIGHT: u64 = 64;
/// Into how many parts the sales are divided; the first is compared with the last.
const PARTS: u64 = 10;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Which transaction id a sale has.
#[derive(Clone, Copy)]
enum Id {
    Constant,
    Own,
}

fn main() -> Outcome<()> {
    let events: u64 =
        std::env::var("POSTBRIDGE_BENCH_EVENTS").ok().map_or(Ok(100_000), |text| text.parse())?;
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    println!(
        "constant_id: {events} sales with one transaction id and {events} with their own, {IN_FLIGHT} at a time; {}",
        machine::describe(folder.path())
    );
    let source = SourceId::parse("bench")?;
    let policies = [(source.clone(), Arc::new(usual(source)))].into();
    let rules = Arc::new(Ruleset { policies, ..Ruleset::default() });
    let store: Arc<dyn Store> = Arc::new(Embedded::open_sled(&folder.path().join("data"), rules)?);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build()?;
    let parts = runtime.block_on(measure(&store, events))?;
    runtime.block_on(store.close())?;
    report("one id for all", parts.iter().map(|(constant, _)| *constant).collect());
    report("ids of their own", parts.iter().map(|(_, own)| *own).collect());
    Ok(())
}

/// The 50th and the 99th percentile of one part.
type Percentiles = (Duration, Duration);

/// For each part those of the constant id, and those of ids of their own.
async fn measure(store: &Arc<dyn Store>, events: u64) -> Outcome<Vec<(Percentiles, Percentiles)>> {
    let mut parts = Vec::new();
    for part in 0..PARTS {
        let (from, to) = (events * part / PARTS, events * (part + 1) / PARTS);
        for id in [Id::Constant, Id::Own] {
            clicks(store, id, from..to).await?;
        }
        let constant = receive(store, Id::Constant, from..to).await?;
        parts.push((constant, receive(store, Id::Own, from..to).await?));
    }
    Ok(parts)
}

/// Records the clicks of a part.
async fn clicks(store: &Arc<dyn Store>, id: Id, numbers: std::ops::Range<u64>) -> Outcome<()> {
    let mut tasks = tokio::task::JoinSet::new();
    for worker in 0..IN_FLIGHT * 4 {
        let (store, numbers) = (Arc::clone(store), numbers.clone());
        tasks.spawn(async move {
            for number in (numbers.start + worker..numbers.end).step_by(IN_FLIGHT as usize * 4) {
                let click = ClickArrival { click: click(id, number)?, screening: Screening::None };
                store.record_click(click).await?;
            }
            Outcome::Ok(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(())
}

/// Reports the sales of a part, each of which has to become a conversion.
async fn receive(store: &Arc<dyn Store>, id: Id, numbers: std::ops::Range<u64>) -> Outcome<Percentiles> {
    let mut tasks = tokio::task::JoinSet::new();
    for worker in 0..IN_FLIGHT {
        let (store, numbers) = (Arc::clone(store), numbers.clone());
        tasks.spawn(async move {
            let mut took = Vec::new();
            for number in (numbers.start + worker..numbers.end).step_by(IN_FLIGHT as usize) {
                let began = stopwatch();
                let draft = draft(id, number)?;
                // As a postback does it: looked up before the one writer thread has to.
                drop(store.find_click(draft.click_id.as_deref().unwrap_or_default()).await?);
                let receipt = store.arrive(arrival(draft)).await?;
                took.push(began.elapsed());
                if !matches!(receipt.verdict, Verdict::Accepted { .. }) {
                    return Err(format!("sale {number} became {:?}", receipt.verdict).into());
                }
            }
            Outcome::Ok(took)
        });
    }
    let mut all = Vec::new();
    while let Some(done) = tasks.join_next().await {
        all.extend(done??);
    }
    all.sort_unstable();
    let at = |part: usize| all.get(all.len() * part / 100).copied().unwrap_or_default();
    Ok((at(50), at(99)))
}

fn report(name: &str, parts: Vec<Percentiles>) {
    let (Some(first), Some(last)) = (parts.first(), parts.last()) else { return };
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    let of = |pick: fn(&Percentiles) -> Duration| {
        let (first, last) = (ms(pick(first)), ms(pick(last)));
        format!("{first:>7.2} → {last:>7.2} ms (×{:.2})", last / first)
    };
    println!("{name:<17} first → last tenth: p50 {}, p99 {}", of(|part| part.0), of(|part| part.1));
    let all: Vec<String> = parts.iter().map(|part| format!("{:.2}", ms(part.1))).collect();
    println!("{:<17} p99 of each tenth, ms: {}", "", all.join(" "));
}

fn click_id(id: Id, number: u64) -> String {
    match id {
        Id::Constant => format!("c{number:08}"),
        Id::Own => format!("o{number:08}"),
    }
}

fn click(id: Id, number: u64) -> Outcome<Click> {
    let name = click_id(id, number);
    Ok(Click {
        id: ClickId::parse(&name)?,
        at: base(),
        recorded_at: base(),
        landing_url: Some(format!("https://shop.example/lp?n={number}")),
        referrer: None,
        ip: Some("203.0.113.9".parse()?),
        user_agent: Some("Mozilla/5.0 (X11; Linux x86_64) Bench".to_owned()),
        params: vec![("fbclid".to_owned(), format!("IwAR0bench{number:08}"))],
        cookies: Vec::new(),
        sub_ids: Vec::new(),
        customer: CustomerTraits::default(),
        context: ClickContext {
            visitor: Some(VisitorId::parse(&format!("visitor-{name}-0001"))?),
            ..ClickContext::default()
        },
    })
}

fn draft(id: Id, number: u64) -> Outcome<Draft> {
    let transaction = match id {
        Id::Constant => "SHOP-1".to_owned(),
        Id::Own => format!("T-{number:08}"),
    };
    let event = |name: &str| EventName::parse(name).ok_or("an event's name");
    let amount = parse_decimal("7.25", NumberFormat::Plain).ok_or("an amount")?;
    let value = Some(Money::new(amount, Currency::parse("USD").ok_or("a currency")?));
    Ok(Draft {
        source: SourceId::parse("bench")?,
        event: EventClaim::ByValue { positive: event("Purchase")?, zero: event("Lead")? },
        status: None,
        transaction_id: Some(transaction),
        click_id: Some(click_id(id, number)),
        item_id: None,
        items: Vec::new(),
        adjustment_id: None,
        value,
        negative_received: None,
        payout: None,
        revenue: None,
        sale_amount: None,
        event_time: None,
        traits: CustomerTraits::default(),
        params: vec![("affid".to_owned(), "200".to_owned())],
        consent: Default::default(),
        notes: Vec::new(),
        network: NetworkClaim::default(),
    })
}

fn arrival(draft: Draft) -> Arrival {
    let line = format!(
        "GET /***/collect/bench?s2={}&tid={}&price=7.25 HTTP/1.1",
        draft.click_id.as_deref().unwrap_or_default(),
        draft.transaction_id.as_deref().unwrap_or_default()
    );
    mapped(request(line), draft, base())
}

fn base() -> Time {
    Time::from_millis(1_790_000_000_000).unwrap_or(Time::EPOCH)
}
