//! Durable redirects a second through the built `serve`, against a bare hyper 302, round by round; and
//! what durability adds to a visitor's wait at 1,000 clicks a second, in fdatasyncs of the same disk.

// A bench reads the clock, and what is not as it must be ends it.
#![allow(clippy::restriction, clippy::disallowed_methods)]

mod support;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use support::child::Process;
use support::load::{self, Figures, Until};
use support::relay::{self, Relay};
use support::{machine, median, setting};

fn main() {
    if std::env::var("POSTBRIDGE_BENCH_ROLE").is_ok_and(|role| role == "bare") {
        return support::bare::serve_redirect();
    }
    let (rounds, seconds) = (setting("POSTBRIDGE_BENCH_ROUNDS", 5), setting("POSTBRIDGE_BENCH_SECONDS", 3));
    let bare = Process::role("bare");
    let relay = Relay::start(None);
    println!(
        "redirect: {rounds} rounds of {seconds} s, alternating; {}",
        machine::describe(relay.folder.path())
    );
    for connections in [64, 256] {
        let until = Until::Time(Duration::from_millis(700));
        pressed(bare.port, connections, until, 0);
        pressed_relay(relay.process.port, connections, until, connections as u64);
        let until = Until::Time(Duration::from_secs(seconds));
        let (mut bare_cpu, mut our_cpu) = (Vec::new(), Vec::new());
        let pairs: Vec<(Figures, Figures)> = (0..rounds)
            .map(|round| {
                let run = connections as u64 * 1000 + round;
                let bare = measured(&bare, &mut bare_cpu, &|port| pressed(port, connections, until, run));
                let ours = |port| pressed_relay(port, connections, until, run);
                (bare, measured(&relay.process, &mut our_cpu, &ours))
            })
            .collect();
        report(connections, &pairs);
        println!(
            "     server CPU µs/request: bare {:.1}, durable {:.1}",
            median(&bare_cpu),
            median(&our_cpu)
        );
    }
    let pairs: Vec<(Figures, Figures, f64)> = (0..rounds)
        .map(|round| {
            let sync_ms = machine::fdatasync_us(relay.folder.path(), 300) / 1000.0;
            let bare = pressed(bare.port, 50, paced(seconds), 900_000 + round);
            (bare, pressed_relay(relay.process.port, 50, paced(seconds), 900_000 + round), sync_ms)
        })
        .collect();
    report_wait(&pairs);
    let (answered, recorded) = (ANSWERED.load(Ordering::Relaxed), relay.recorded_clicks());
    assert_eq!(recorded, answered, "every click that was answered is recorded");
    println!("     {recorded} clicks recorded, as many as were answered");
}

/// Clicks that the relay has answered.
static ANSWERED: AtomicU64 = AtomicU64::new(0);

/// Presses the relay, and counts what it answers.
fn pressed_relay(port: u16, connections: usize, until: Until, run: u64) -> Figures {
    let figures = pressed(port, connections, until, run);
    ANSWERED.fetch_add(figures.answered, Ordering::Relaxed);
    figures
}

fn measured(process: &Process, cpu: &mut Vec<f64>, press: &dyn Fn(u16) -> Figures) -> Figures {
    let before = process.cpu_us();
    let figures = press(process.port);
    cpu.push((process.cpu_us() - before) / figures.answered as f64);
    figures
}

fn pressed(port: u16, connections: usize, until: Until, run: u64) -> Figures {
    let figures = load::run(port, connections, until, relay::click(run));
    assert_eq!(figures.failed, 0, "every answer is a 302");
    figures
}

/// 1,000 a second: 50 connections, each 20 times.
fn paced(seconds: u64) -> Until {
    Until::Paced(Duration::from_secs(seconds), Duration::from_millis(50))
}

fn report(connections: usize, pairs: &[(Figures, Figures)]) {
    let of = |pick: &dyn Fn(&(Figures, Figures)) -> f64| median(&pairs.iter().map(pick).collect::<Vec<_>>());
    println!(
        "{connections:>4} connections: bare 302 {:>7.0}/s (p50 {:.2} ms, p99 {:.2} ms); durable {:>7.0}/s (p50 {:.2} ms, p99 {:.2} ms); ratio {:.3} (at least 0.25)",
        of(&|(bare, _)| bare.per_second),
        of(&|(bare, _)| bare.p50_ms),
        of(&|(bare, _)| bare.p99_ms),
        of(&|(_, ours)| ours.per_second),
        of(&|(_, ours)| ours.p50_ms),
        of(&|(_, ours)| ours.p99_ms),
        of(&|(bare, ours)| ours.per_second / bare.per_second),
    );
}

fn report_wait(pairs: &[(Figures, Figures, f64)]) {
    let of =
        |pick: &dyn Fn(&(Figures, Figures, f64)) -> f64| median(&pairs.iter().map(pick).collect::<Vec<_>>());
    println!(
        "{:>4.0} clicks/s: bare 302 p50 {:.3} ms; durable p50 {:.3} ms, p99 {:.2} ms; fdatasync {:.3} ms; added {:.2} fdatasyncs (at most 4)",
        of(&|(_, ours, _)| ours.per_second),
        of(&|(bare, ..)| bare.p50_ms),
        of(&|(_, ours, _)| ours.p50_ms),
        of(&|(_, ours, _)| ours.p99_ms),
        of(&|(.., sync)| *sync),
        of(&|(bare, ours, sync)| (ours.p50_ms - bare.p50_ms) / sync),
    );
}
