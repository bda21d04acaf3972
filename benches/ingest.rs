//! Durable postbacks a second through the built `serve`, against a bare hyper server, round by round.

// A bench reads the clock, and what is not as it must be ends it.
#![allow(clippy::restriction, clippy::disallowed_methods)]

mod support;

use std::time::Duration;

use support::child::Process;
use support::load::{self, Figures, Until};
use support::relay::{self, Relay};
use support::{machine, median, setting};

fn main() {
    if std::env::var("POSTBRIDGE_BENCH_ROLE").is_ok_and(|role| role == "bare") {
        return support::bare::serve_ok();
    }
    let (rounds, seconds) = (setting("POSTBRIDGE_BENCH_ROUNDS", 5), setting("POSTBRIDGE_BENCH_SECONDS", 3));
    let bare = Process::role("bare");
    let relay = Relay::start(None);
    println!(
        "ingest: {rounds} rounds of {seconds} s, alternating; {}",
        machine::describe(relay.folder.path())
    );
    let mut answered = 0;
    for connections in [64, 256, 1024] {
        answered += warm(&bare, &relay, connections);
        let (mut bares, mut ours) = (Vec::new(), Vec::new());
        let (mut bare_cpu, mut our_cpu) = (Vec::new(), Vec::new());
        for round in 0..rounds {
            let until = Until::Time(Duration::from_secs(seconds));
            bares.push(measured(&bare, &mut bare_cpu, connections, until, 0));
            ours.push(measured(
                &relay.process,
                &mut our_cpu,
                connections,
                until,
                connections as u64 * 1000 + round,
            ));
        }
        answered += ours.iter().map(|figures| figures.answered).sum::<u64>();
        report(connections, &bares, &ours);
        println!(
            "     server CPU µs/request: bare {:.1}, durable {:.1}",
            median(&bare_cpu),
            median(&our_cpu)
        );
    }
    assert_eq!(relay.accepted_postbacks(), answered, "every postback that was answered is recorded");
}

/// How many the relay has answered.
fn warm(bare: &Process, relay: &Relay, connections: usize) -> u64 {
    let until = Until::Time(Duration::from_millis(700));
    load::run(bare.port, connections, until, relay::postback(1));
    load::run(relay.process.port, connections, until, relay::postback(connections as u64)).answered
}

fn measured(process: &Process, cpu: &mut Vec<f64>, connections: usize, until: Until, run: u64) -> Figures {
    let before = process.cpu_us();
    let figures = load::run(process.port, connections, until, relay::postback(run));
    assert_eq!(figures.failed, 0, "every answer is a 200");
    cpu.push((process.cpu_us() - before) / figures.answered as f64);
    figures
}

fn report(connections: usize, bares: &[Figures], ours: &[Figures]) {
    let of = |all: &[Figures], pick: fn(&Figures) -> f64| median(&all.iter().map(pick).collect::<Vec<_>>());
    let ratios: Vec<f64> =
        bares.iter().zip(ours).map(|(bare, our)| our.per_second / bare.per_second).collect();
    let p99: Vec<f64> = bares.iter().zip(ours).map(|(bare, our)| our.p99_ms / bare.p99_ms).collect();
    println!(
        "{connections:>4} connections: bare {:>7.0}/s (p50 {:.2} ms, p99 {:.2} ms); durable {:>7.0}/s (p50 {:.2} ms, p99 {:.2} ms); ratio {:.3}, p99 ratio {:.2}",
        of(bares, |f| f.per_second),
        of(bares, |f| f.p50_ms),
        of(bares, |f| f.p99_ms),
        of(ours, |f| f.per_second),
        of(ours, |f| f.p50_ms),
        of(ours, |f| f.p99_ms),
        median(&ratios),
        median(&p99),
    );
}
