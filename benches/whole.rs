//! The whole way: postbacks accepted and delivered to a sink while accepting goes on.

// A bench reads the clock, and what is not as it must be ends it.
#![allow(clippy::restriction, clippy::disallowed_methods)]

mod support;

use std::time::{Duration, Instant};

use support::child::Process;
use support::load::{self, Until};
use support::relay::{self, Relay};
use support::{machine, median, setting};

fn main() {
    match std::env::var("POSTBRIDGE_BENCH_ROLE").as_deref() {
        Ok("bare") => return support::bare::serve_ok(),
        Ok("sink") => return support::bare::serve_sink(),
        _ => {}
    }
    let (rounds, count) =
        (setting("POSTBRIDGE_BENCH_ROUNDS", 3), setting("POSTBRIDGE_BENCH_EVENTS", 100_000));
    let bare = Process::role("bare");
    let sink = Process::role("sink");
    let relay = Relay::start(Some(sink.port));
    println!("whole: {rounds} rounds of {count} postbacks; {}", machine::describe(relay.folder.path()));
    let (mut ratios, mut rates, mut cpu, mut bares) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut delivered_before = 0;
    for round in 0..rounds {
        let baseline = load::run(bare.port, 256, Until::Time(Duration::from_secs(2)), relay::postback(0));
        let (cpu_before, sink_before) = (relay.process.cpu_us(), sink.cpu_us());
        let started = Instant::now();
        let figures = load::run(relay.process.port, 256, Until::Count(count), relay::postback(10 + round));
        assert_eq!(figures.failed, 0, "every answer is a 200");
        let accepted_in = started.elapsed();
        wait_for(&relay, delivered_before + count);
        delivered_before += count;
        let took = started.elapsed().as_secs_f64();
        let spent = relay.process.cpu_us() - cpu_before;
        let sink_spent = sink.cpu_us() - sink_before;
        println!(
            "  round {round}: accepted in {:.2} s, delivered in {took:.2} s; CPU µs each: relay {:.1}, sink {:.1}",
            accepted_in.as_secs_f64(),
            spent / count as f64,
            sink_spent / count as f64
        );
        rates.push(count as f64 / took);
        cpu.push(spent / count as f64);
        bares.push(baseline.per_second);
        ratios.push(count as f64 / took / baseline.per_second);
    }
    println!(
        "whole: {:.0} conversions/s at {:.1} µs of CPU each; bare {:.0}/s; ratio {:.3}",
        median(&rates),
        median(&cpu),
        median(&bares),
        median(&ratios)
    );
}

/// Waits until the relay's own counter says that `count` deliveries were made.
fn wait_for(relay: &Relay, count: u64) {
    for _ in 0..3_000 {
        let metrics = load::get_once(relay.process.port, "/metrics").unwrap_or_default();
        let delivered: f64 = metrics
            .lines()
            .filter(|line| {
                line.starts_with("postbridge_attempts_total") && line.contains("reason_code=\"delivered\"")
            })
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum();
        if delivered >= count as f64 {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("the deliveries did not finish");
}
