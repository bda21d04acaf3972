//! What campaigns cost whose postbacks wait for nothing: memory and CPU of a `serve` with 2,000 of them on seven hosts,
//! next to one whose campaigns have no postback.

// A bench reads the clock, and what is not as it must be ends it.
#![allow(clippy::restriction, clippy::disallowed_methods)]

mod support;

use std::fmt::Write as _;
use std::time::Duration;

use support::child::{Process, free_port};
use support::{machine, median, relay, setting};

fn main() {
    let (rounds, campaigns) =
        (setting("POSTBRIDGE_BENCH_ROUNDS", 5), setting("POSTBRIDGE_BENCH_CAMPAIGNS", 2_000));
    let (seconds, hosts) = (setting("POSTBRIDGE_BENCH_SECONDS", 5), setting("POSTBRIDGE_BENCH_HOSTS", 7));
    println!("idle: {rounds} rounds of {seconds} s, {campaigns} campaigns, {hosts} hosts");
    let pairs: Vec<(Cost, Cost)> = (0..rounds)
        .map(|_| {
            (
                Cost::of(&configuration(campaigns, None), seconds),
                Cost::of(&configuration(campaigns, Some(hosts)), seconds),
            )
        })
        .collect();
    let of = |pick: &dyn Fn(&(Cost, Cost)) -> f64| median(&pairs.iter().map(pick).collect::<Vec<_>>());
    println!(
        "without postbacks {:.1} MiB, {:.2} ms of CPU a second; with {campaigns} that wait {:.1} MiB, {:.2} ms; {:.1} KiB each (at most 48), {:.2} % of a core (at most 2)",
        of(&|(bare, _)| bare.mib),
        of(&|(bare, _)| bare.cpu_ms),
        of(&|(_, ours)| ours.mib),
        of(&|(_, ours)| ours.cpu_ms),
        of(&|(bare, ours)| (ours.mib - bare.mib) * 1024.0 / campaigns as f64),
        of(&|(_, ours)| ours.cpu_ms / 10.0),
    );
}

/// What a process that has nothing to do holds and spends.
struct Cost {
    mib: f64,
    /// Milliseconds of CPU a second.
    cpu_ms: f64,
}

impl Cost {
    fn of(configuration: &str, seconds: u64) -> Cost {
        let folder = tempfile::tempdir_in(relay::checkout()).unwrap();
        let port = free_port();
        let config = folder.path().join("postbridge.toml");
        let head = format!(
            "[server]\nlisten = \"127.0.0.1:{port}\"\n[api]\ntokens = [{{ name = \"bench\", token = \"bench-token-0123456789\" }}]\n[store]\npath = \"{}\"\n",
            folder.path().join("data").display()
        );
        std::fs::write(&config, head + configuration).unwrap();
        let process = Process::serve(&config, port);
        std::thread::sleep(Duration::from_secs(2));
        let before = process.cpu_us();
        std::thread::sleep(Duration::from_secs(seconds));
        let spent = process.cpu_us() - before;
        Cost { mib: machine::memory_mib(process.pid(), "VmRSS:"), cpu_ms: spent / 1000.0 / seconds as f64 }
    }
}

/// Campaigns of one affiliate; with `hosts` each has a postback to one of so many.
fn configuration(campaigns: u64, hosts: Option<u64>) -> String {
    let mut text = String::from(
        "[[affiliate]]\nid = \"200\"\nname = \"Bench Media\"\n[[offer]]\nid = \"565\"\nurl = \"https://advertiser.example/lp?cid={click_id}\"\ncurrency = \"USD\"\npayout = \"7.00\"\n",
    );
    for number in 0..campaigns {
        write!(text, "[[campaign]]\nid = \"c{number}\"\noffer = \"565\"\naffiliate = \"200\"\n").unwrap();
        if let Some(hosts) = hosts {
            let host = number % hosts.max(1);
            write!(
                text,
                "[campaign.postback]\nurl = \"https://aff{host}.example/pb?cid=#s2#&payout=#price#\"\n"
            )
            .unwrap();
        }
    }
    text
}
