//! A relay as a process of its own whose clock is ahead of the machine's: it is killed as any other, and hours pass until
//! it starts again.

use std::path::Path;
use std::time::{Duration, Instant};

use postbridge::app::App;
use postbridge::clock::Clock;
use postbridge::config::configuration::Config;
use postbridge::domain::time::Time;

use crate::support::relay::{Relay, Setup};

const PROGRAM: &str = "POSTBRIDGE_TEST_CHILD_PROGRAM";
const CONFIG: &str = "POSTBRIDGE_TEST_CHILD_CONFIG";
const AHEAD_MS: &str = "POSTBRIDGE_TEST_CHILD_AHEAD_MS";
const NAME: &str = "journeys::moved_relay::serves_by_a_clock_that_is_ahead_until_it_is_killed";

/// Starts it with the machine's time and so much more.
pub fn start_ahead(setup: Setup, ahead: Duration) -> Relay {
    let program = std::env::current_exe().unwrap();
    let setup = setup.env(PROGRAM, program.to_str().unwrap()).env(AHEAD_MS, ahead.as_millis().to_string());
    let script = format!(
        "{CONFIG}=\"$3\"; export {CONFIG}; exec \"${PROGRAM}\" --exact {NAME} --nocapture --test-threads 1"
    );
    setup.start_by(&script)
}

/// The time of a relay that is so far ahead.
pub fn now_ahead(ahead: Duration) -> Time {
    Clock::system().now().plus_millis(i64::try_from(ahead.as_millis()).unwrap())
}

/// No test of its own: what the process of [`start_ahead`] does.
#[test]
fn serves_by_a_clock_that_is_ahead_until_it_is_killed() {
    let Ok(config) = std::env::var(CONFIG) else { return };
    let ahead: u64 = std::env::var(AHEAD_MS).unwrap().parse().unwrap();
    let config = Config::load(Path::new(&config)).unwrap_or_else(|problems| panic!("{problems:?}"));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let clock = Clock::fixed(now_ahead(Duration::from_millis(ahead)));
        let app = App::start(config, clock.clone()).await.unwrap_or_else(|problem| panic!("{problem}"));
        println!("\npostbridge listens on {}", app.address());
        let mut at = Instant::now();
        loop {
            tokio::time::sleep(Duration::from_millis(10)).await;
            let passed = at.elapsed().as_millis();
            at += Duration::from_millis(u64::try_from(passed).unwrap());
            clock.run(i64::try_from(passed).unwrap());
        }
    });
}
