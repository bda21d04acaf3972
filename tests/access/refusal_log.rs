//! The log of refusals: a line a minute of each kind, with their number.

use std::io::Write;
use std::sync::{Arc, Mutex};

use postbridge::domain::time::Time;
use postbridge::web::access_log::{AccessLog, Reason, TokenArea};

fn at(seconds: i64) -> Time {
    Time::parse("2026-11-20T12:00:00Z").unwrap().plus_millis(seconds * 1000)
}

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The lines that this leaves.
fn lines(work: impl FnOnce()) -> Vec<String> {
    let written = Written::default();
    let writer = written.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .without_time()
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::with_default(subscriber, work);
    let bytes = written.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn a_flood_leaves_a_line_a_minute_with_its_number_and_the_last_of_it_is_counted_too() {
    let lines = lines(|| {
        let log = AccessLog::default();
        for second in 0..100 {
            log.refused(TokenArea::Api, Reason::WrongToken, None, at(second));
        }
        log.flush(at(119));
        log.flush(at(120));
        log.flush(at(600));
    });
    let counts: Vec<_> = lines.iter().map(|line| line.split_once("count=").unwrap().1).collect();
    assert_eq!(counts, ["1", "60", "39"], "{lines:#?}");
    assert!(lines.iter().all(|line| line.contains("WARN") && line.contains("area=\"api_v1\"")), "{lines:#?}");
}

#[test]
fn each_kind_has_a_line_of_its_own_and_names_the_token_that_is_known() {
    let lines = lines(|| {
        let log = AccessLog::default();
        log.refused(TokenArea::Api, Reason::LacksRight, Some("eyes"), at(0));
        log.refused(TokenArea::Pages, Reason::WrongToken, None, at(0));
        log.refused(TokenArea::Api, Reason::WrongToken, None, at(0));
        log.changed("ops", TokenArea::Pages, "conversion: status", "00ff");
        log.changed("ops", TokenArea::Pages, "conversion: status", "00ff");
        log.refused(TokenArea::Api, Reason::WrongToken, None, at(-3600));
    });
    assert_eq!(
        lines.len(),
        6,
        "a change is never left out, and a clock set back silences nothing: {lines:#?}"
    );
    assert!(lines[0].contains("token=\"eyes\"") && lines[0].contains("lacks the right"), "{lines:#?}");
    assert!(lines[3].contains("token=\"ops\"") && lines[3].contains("id=\"00ff\""), "{lines:#?}");
}
