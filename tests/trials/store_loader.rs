//! A process that loads a store and says what was acknowledged, to be killed; and the check of its word.

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use postbridge::domain::delivery::DeliveryState;
use postbridge::domain::ids::{ClickId, ConversionId, DeliveryId, OfferId, VisitorId};
use postbridge::domain::offer::CampaignRef;
use postbridge::domain::postback::Verdict;
use postbridge::store::contract::Store;
use postbridge::store::contract::arrival::{Arrival, ClickArrival, Screening};
use postbridge::store::contract::change::PurgeBefore;
use postbridge::store::contract::conformance::fixture::attempt::{delivered, one};
use postbridge::store::contract::conformance::fixture::engine::usual_rules;
use postbridge::store::contract::conformance::fixture::received::{
    DAY, HOUR, account, at, click, quarantined, sale, unscreened, wait,
};
use postbridge::store::contract::conformance::fixture::work::due_request;
use postbridge::store::contract::lookup::{ClickFilter, PageRequest};
use postbridge::store::embedded::{Embedded, EmbeddedSettings};

use crate::support::damaged_folder::small_settings;
use crate::support::recording::Recorder;
use crate::support::recount::assert_recounted;

const FOLDER: &str = "POSTBRIDGE_TEST_CHILD_FOLDER";
const ROUND: &str = "POSTBRIDGE_TEST_CHILD_ROUND";
const NAME: &str = "trials::store_loader::loads_a_store_until_it_is_killed";

/// What a child was reported is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ack {
    Sale { transaction: String, conversion: ConversionId },
    Click(ClickId),
    Delivered(DeliveryId),
}

/// A running child and the acknowledgements that it prints.
pub struct Loader {
    pub child: Child,
    acks: JoinHandle<Vec<Ack>>,
}

impl Loader {
    /// Starts a child that loads the store in `folder`; `round` keeps its names apart from others'.
    pub fn start(folder: &Path, round: usize, crash_at: Option<&str>) -> Loader {
        let mut command = command(folder, round);
        if let Some(point) = crash_at {
            command.env("POSTBRIDGE_CRASH_AT", point);
        }
        Loader::spawn(command)
    }

    /// The same, recorded.
    pub fn recorded(folder: &Path, round: usize, recorder: &Recorder) -> Loader {
        let mut command = command(folder, round);
        command.envs(recorder.environment());
        Loader::spawn(command)
    }

    fn spawn(mut command: Command) -> Loader {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let read = move || {
            let whole = |line: std::io::Result<Vec<u8>>| String::from_utf8(line.ok()?).ok();
            output.split(b'\n').map_while(whole).filter_map(|line| parse(&line)).collect()
        };
        Loader { child, acks: std::thread::spawn(read) }
    }

    /// Kills the child as `kill -9` does, and gives all that it acknowledged.
    pub fn kill(mut self) -> Vec<Ack> {
        self.child.kill().unwrap();
        self.ended()
    }

    /// Waits for the child to end, at most a minute.
    pub fn ended(mut self) -> Vec<Ack> {
        for _ in 0..6000 {
            if self.child.try_wait().unwrap().is_some() {
                return self.acks.join().unwrap();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        self.child.kill().unwrap();
        panic!("the child never reached the point where it was to end");
    }
}

fn command(folder: &Path, round: usize) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", NAME, "--nocapture", "--test-threads", "1"]);
    command.env(FOLDER, folder).env(ROUND, round.to_string()).env_remove("POSTBRIDGE_CRASH_AT");
    command
}

/// A line ends in `.`, so that one cut off by the kill is no acknowledgement.
pub fn parse(line: &str) -> Option<Ack> {
    let mut words = line.strip_suffix(" .")?.split(' ');
    match (words.next()?, words.next()?, words.next()) {
        ("ack-sale", transaction, Some(conversion)) => Some(Ack::Sale {
            transaction: transaction.to_owned(),
            conversion: ConversionId::parse(conversion).ok()?,
        }),
        ("ack-click", id, None) => Some(Ack::Click(ClickId::parse(id).ok()?)),
        ("ack-delivered", id, None) => Some(Ack::Delivered(DeliveryId::parse(id).ok()?)),
        _ => None,
    }
}

/// Checks that everything acknowledged is there, whole, and known when it is sent again; and that what is counted is
/// what is there.
pub fn verify(store: &dyn Store, acks: &[Ack]) {
    let mut lost = Vec::new();
    let listed = listed_clicks(store);
    for ack in acks {
        let kept = match ack {
            Ack::Sale { transaction, conversion } => {
                let trace = wait(store.conversion(*conversion)).unwrap();
                trace.is_some_and(|trace| {
                    trace.conversion.transaction_id.as_ref() == Some(transaction)
                        && trace.deliveries.len() == 1
                        && trace.postbacks[0].raw.is_some()
                })
            }
            Ack::Click(id) => wait(store.click(id)).unwrap().is_some() && listed.contains(id),
            Ack::Delivered(id) => {
                let trace = wait(store.conversion(id.conversion)).unwrap();
                trace.is_some_and(|trace| {
                    let (delivery, attempts) = &trace.deliveries[0];
                    matches!(delivery.state, DeliveryState::Delivered { .. }) && attempts.len() == 1
                })
            }
        };
        if !kept {
            lost.push(ack);
        }
    }
    assert_recounted(store);
    assert!(lost.is_empty(), "{} of {} acknowledged were lost: {:?} …", lost.len(), acks.len(), lost[0]);
    for ack in acks.iter().rev().take(50) {
        if let Ack::Sale { transaction, conversion } = ack {
            let again = sale(transaction).receive(store);
            assert_eq!(again.verdict.conversion(), Some(*conversion));
            assert!(!matches!(again.verdict, Verdict::Accepted { .. }), "{transaction} was accepted twice");
        }
    }
}

/// Every click that the list shows, each once.
fn listed_clicks(store: &dyn Store) -> HashSet<ClickId> {
    let (mut listed, mut cursor) = (HashSet::new(), None);
    loop {
        let page = PageRequest { cursor, limit: 1000 };
        let page = wait(store.clicks(ClickFilter::default(), page)).unwrap();
        for click in page.items {
            assert!(listed.insert(click.id.clone()), "{} is listed twice", click.id);
        }
        cursor = page.next_cursor;
        if cursor.is_none() {
            return listed;
        }
    }
}

/// The child itself, when the kill tests start it; else a first look that there is a child to kill.
#[test]
fn loads_a_store_until_it_is_killed() {
    let (Ok(folder), Ok(round)) = (std::env::var(FOLDER), std::env::var(ROUND)) else {
        let folder = tempfile::tempdir().unwrap();
        let loader = Loader::start(folder.path(), 0, None);
        std::thread::sleep(std::time::Duration::from_millis(700));
        assert!(!loader.kill().is_empty(), "the child acknowledges while it lives");
        return;
    };
    // Each child has its index made anew next to all that it does.
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(Path::new(&folder).join("index-to-renew"), "").unwrap();
    let store: Arc<dyn Store> =
        Arc::new(Embedded::open_sled_with(Path::new(&folder), usual_rules(), settings()).unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    // Else what is counted is folded by one commit in thousands.
    if std::env::var("POSTBRIDGE_CRASH_AT").is_ok_and(|point| point.starts_with("fold.")) {
        runtime.spawn(scatter_clicks(Arc::clone(&store), round.clone()));
    }
    for worker in 0..48 {
        runtime.spawn(report_sales(Arc::clone(&store), format!("r{round}-w{worker}")));
    }
    for worker in 0..4 {
        runtime.spawn(deliver(Arc::clone(&store)));
        runtime.spawn(record_clicks(Arc::clone(&store), format!("r{round}-w{worker}")));
    }
    runtime.block_on(purge(store));
}

/// Segments and checkpoints that are so small that a child has many of them.
fn settings() -> EmbeddedSettings {
    let mut settings = small_settings();
    settings.folder.journal.segment_bytes = 128 * 1024;
    settings.folder.checkpoint.bytes = 64 * 1024;
    settings
}

fn say(ack: &str) {
    // One write a line, so that a kill cuts between lines or inside the last.
    std::io::stdout().lock().write_all(format!("{ack} .\n").as_bytes()).unwrap();
}

async fn report_sales(store: Arc<dyn Store>, name: String) {
    for number in 0.. {
        let transaction = format!("{name}-{number}");
        let mut reported = sale(&transaction);
        reported =
            if number % 3 == 0 { reported.forward() } else { reported.click(&format!("c-{transaction}")) };
        if number % 40 == 7 {
            reported = reported.body(20_000);
        }
        let Ok(receipt) = store.arrive(reported.arrival()).await else { return };
        if let Verdict::Accepted { conversion } = receipt.verdict {
            say(&format!("ack-sale {transaction} {conversion}"));
        }
    }
}

/// Clicks, of which some free sales of other workers.
async fn record_clicks(store: Arc<dyn Store>, name: String) {
    for number in 0.. {
        let id = format!("c-{name}-{number}");
        let mut clicked = click(&id);
        clicked.context.campaign_ref = OfferId::parse("565").ok().map(CampaignRef::of_offer);
        clicked.context.visitor = VisitorId::parse(&format!("visitor-of-{name}")).ok();
        let screened = ClickArrival { click: clicked, screening: Screening::Filters };
        let Ok(_) = store.record_click(screened).await else { return };
        say(&format!("ack-click {id}"));
    }
}

/// Clicks that are counted in a line each, more than are kept apart.
async fn scatter_clicks(store: Arc<dyn Store>, round: String) {
    let clicks: Vec<_> = (0..5000)
        .map(|number| {
            let mut clicked = click(&format!("s-r{round}-{number}"));
            clicked.at = at(-number * HOUR);
            store.record_click(unscreened(clicked))
        })
        .collect();
    for click in clicks {
        let Ok(receipt) = click.await else { return };
        say(&format!("ack-click {}", receipt.click.id));
    }
}

async fn deliver(store: Arc<dyn Store>) {
    loop {
        let request = due_request(account("ads"), at(DAY), 8, 8);
        let Ok(claim) = store.claim(request).await else { return };
        if claim.work.is_empty() {
            tokio::task::yield_now().await;
        }
        for work in claim.work {
            let Ok(_) = store.record(one(delivered(&work, at(DAY)))).await else { return };
            say(&format!("ack-delivered {}", work.id));
        }
    }
}

/// Purges old refuse while the rest goes on.
async fn purge(store: Arc<dyn Store>) {
    let before = PurgeBefore { postbacks: at(-5 * DAY), conversions: at(-5 * DAY), clicks: at(-5 * DAY) };
    loop {
        let old: Vec<Arrival> = (0..20).map(|_| quarantined("no price", at(-9 * DAY))).collect();
        for arrival in old {
            let Ok(_) = store.arrive(arrival).await else { return };
        }
        while let Ok(purged) = store.purge(before).await {
            if !purged.more {
                break;
            }
        }
        if store.probe().await.is_err() {
            return;
        }
    }
}
