//! Load on a relay that runs: clicks, sales that name them, and sales that are reported anew with another price; and the
//! ledger of what was acknowledged, which any copy of its data folder has to have.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use postbridge::domain::ids::{ClickId, ConversionId};
use postbridge::store::contract::Store;
use postbridge::store::contract::conformance::fixture::received::wait;

use crate::support::relay::{Answer, CAMPAIGN, Connection, KEY, Relay, Setup, wait_until};
use crate::support::trial::{Chance, rounds};

/// Something that was answered as kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Acknowledged {
    Click(ClickId),
    /// A sale, which is reported at one price and then, perhaps, at another.
    Sale {
        transaction: String,
        conversion: ConversionId,
        price: &'static str,
    },
}

/// What was acknowledged, in the order in which each caller read its answers.
pub type Ledger = Vec<Acknowledged>;

/// The price that a sale is first reported at, and the one after.
pub const PRICES: [&str; 2] = ["2.50", "3.75"];

/// A relay with a source, a destination and a campaign, whose journal is in files of 1 MiB, and which records every click:
/// what is over a limit is sent on without a record.
pub fn setup(folder: &Path, platform: SocketAddr) -> Setup {
    let mut setup = Setup::cake_to_meta(folder, platform);
    setup.extra.push_str(CAMPAIGN);
    setup.extra.push_str("[links]\nmax_per_second_per_ip = 0\nmax_kib_per_second = 0\n");
    let backups = folder.join("backups");
    setup.store = format!("segment_mb = 1\nreserve_mb = 0\nbackup_dir = \"{}\"\n", backups.display());
    setup
}

/// The program that the trials run: the one that was built with them; in the long trials that of a release, built where it
/// is not there.
pub fn program() -> PathBuf {
    if rounds(1) == 1 {
        return PathBuf::from(env!("CARGO_BIN_EXE_postbridge"));
    }
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
    cargo.args(["build", "--locked", "--quiet", "--release", "--bin", "postbridge"]);
    assert!(cargo.status().unwrap().success(), "the release is built");
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    target.join("release/postbridge")
}

/// Starts a setup by that program, and waits until its store is open.
pub fn start(setup: &Setup, program: &Path) -> Relay {
    let relay = setup.start_by(&format!("exec '{}' \"$@\"", program.display()));
    let ready = || {
        let answer = Connection::open(relay.address).and_then(|mut connection| connection.get("/readyz"));
        answer.is_ok_and(|answer| answer.status == 200)
    };
    assert!(wait_until(Duration::from_secs(60), ready), "the relay is ready");
    relay
}

/// Runs a command of that program in a setup's folder. Answers what it printed.
pub fn run(setup: &Setup, program: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(&setup.folder).env_clear();
    let done = command.output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{arguments:?}: {}: {said}", done.status);
    String::from_utf8(done.stdout).unwrap()
}

/// Callers that load a relay until they are stopped.
pub struct Load {
    ledger: Arc<Mutex<Ledger>>,
    stop: Arc<AtomicBool>,
    callers: Vec<JoinHandle<()>>,
}

impl Load {
    /// So many callers, whose names begin with `name`. What they were answered is added to the ledger.
    pub fn start(address: SocketAddr, name: &str, callers: usize, ledger: &Arc<Mutex<Ledger>>) -> Load {
        let (ledger, stop) = (Arc::clone(ledger), Arc::new(AtomicBool::new(false)));
        let callers = (0..callers).map(|number| {
            let (name, ledger, stop) = (format!("{name}-{number}"), Arc::clone(&ledger), Arc::clone(&stop));
            std::thread::spawn(move || {
                // A relay that ends while it is asked answers no more.
                let _ = call(address, &name, &ledger, &stop);
            })
        });
        Load { callers: callers.collect(), ledger, stop }
    }

    /// What was acknowledged by now.
    pub fn acknowledged(&self) -> Ledger {
        self.ledger.lock().unwrap().clone()
    }

    pub fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.callers.into_iter().for_each(|caller| caller.join().unwrap());
    }
}

/// What no one can compress, so that files fill up.
pub fn filler(chance: &mut Chance, length: usize) -> String {
    (0..length).map(|_| char::from(b"0123456789abcdef"[usize::from(chance.byte() % 16)])).collect()
}

fn call(address: SocketAddr, name: &str, ledger: &Mutex<Ledger>, stop: &AtomicBool) -> std::io::Result<()> {
    let mut connection = Connection::open(address)?;
    let mut chance = Chance::of(name.bytes().fold(7, |seed, byte| seed * 31 + u64::from(byte)));
    let add = |entry| ledger.lock().unwrap().push(entry);
    for number in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let more = filler(&mut chance, 200);
        let answer = connection.get_with(
            &format!("/c/8599?s1=x&fbclid={more}"),
            "User-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\n",
        )?;
        assert_eq!(answer.status, 302, "{}", answer.text());
        let click = click_id(&answer);
        add(Acknowledged::Click(ClickId::parse(&click).unwrap()));
        for price in &PRICES[..1 + usize::from(number % 4 == 0)] {
            let (transaction, more) = (format!("{name}-{number}"), filler(&mut chance, 400));
            let path = format!(
                "/{KEY}/collect/cake-test?s2={click}&oid=565&tid={transaction}&price={price}&more={more}"
            );
            let answer = connection.get(&path)?;
            assert_eq!(answer.status, 200, "{}", answer.text());
            let conversion = ConversionId::parse(answer.json()["conversion_id"].as_str().unwrap()).unwrap();
            add(Acknowledged::Sale { transaction, conversion, price });
        }
    }
    Ok(())
}

fn click_id(answer: &Answer) -> String {
    let (_, rest) = answer.head.split_once("?cid=").expect("a redirect's target carries the click id");
    rest.split(['&', '\r', '\n']).next().unwrap().to_owned()
}

/// What of a ledger a store does not have, in words. A sale that was reported again has the later price once that was
/// acknowledged, and may have it before.
pub fn missing(store: &dyn Store, ledger: &[Acknowledged]) -> Vec<String> {
    let mut missing = Vec::new();
    let mut sales: BTreeMap<&str, (ConversionId, &str)> = BTreeMap::new();
    for entry in ledger {
        match entry {
            Acknowledged::Click(id) => {
                if wait(store.click(id)).unwrap().is_none() {
                    missing.push(format!("click {id}"));
                }
            }
            Acknowledged::Sale { transaction, conversion, price } => {
                let known = sales.insert(transaction, (*conversion, *price));
                assert!(known.is_none_or(|(known, _)| known == *conversion), "{transaction} keeps its id");
            }
        }
    }
    for (transaction, (conversion, price)) in sales {
        let trace = wait(store.conversion(conversion)).unwrap();
        let Some(trace) = trace else {
            missing.push(format!("sale {transaction}"));
            continue;
        };
        let value = trace.conversion.value.as_ref().map(|money| money.amount.to_string()).unwrap_or_default();
        let is_at_price = value == price || value == PRICES[1];
        let is_whole = trace.conversion.transaction_id.as_deref() == Some(transaction)
            && trace.postbacks.iter().all(|postback| postback.raw.is_some())
            && trace.click.is_some();
        if !is_at_price || !is_whole {
            missing.push(format!("sale {transaction} at {price}: it is there at {value}"));
        }
    }
    missing
}

/// Part of a long ledger: the latest entries, and some of those before. Of a sale's two reports both, or the later.
pub fn sample(ledger: &[Acknowledged], chance: &mut Chance) -> Ledger {
    const LATEST: usize = 3000;
    let older = ledger.len().saturating_sub(LATEST);
    let share = older as u64 / LATEST as u64 + 1;
    let is_in = |number: usize, chance: &mut Chance| number >= older || chance.below(share) == 0;
    let numbers: Vec<usize> = (0..ledger.len()).filter(|number| is_in(*number, chance)).collect();
    numbers.into_iter().map(|number| ledger[number].clone()).collect()
}
