//! What must hold of moments by `[time]`.

use std::sync::LazyLock;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use postbridge::domain::postback::KeptHeaders;
use postbridge::domain::time::{DAY_MS, Time};
use postbridge::template::source::definition::{SourceBinding, SourceTemplate};

use super::{binding, have_places};

/// 2005-01-01T00:00:00Z in milliseconds: no sale is older.
const EARLIEST_MS: i64 = 1_104_537_600_000;
/// The widest offset from UTC, in milliseconds, with which a zone or a text can write a time.
const WIDEST_MS: i64 = 26 * 60 * 60 * 1000;

static USUAL: LazyLock<SourceTemplate> = LazyLock::new(|| template("").expect("a template"));
static LOCAL: LazyLock<SourceTemplate> =
    LazyLock::new(|| template("[time]\nformats = [\"%Y-%m-%d %H:%M:%S\"]\n").expect("a template"));

fn template(section: &str) -> Option<SourceTemplate> {
    let text = format!(
        "name = \"fuzz\"\n[map]\nevent_time = \"t\"\ntransaction_id = \"id\"\n[default]\nevent = \"Lead\"\n{section}"
    );
    match SourceTemplate::parse("fuzz.toml", &text) {
        Ok(template) => Some(template),
        Err(problems) => {
            have_places(&problems);
            None
        }
    }
}

fn in_zone(zone: &TimeZone) -> SourceBinding {
    SourceBinding { time_zone: Some(zone.clone()), ..binding() }
}

/// The moment that a text is; twice the same. It is in the bounds of what a sale can be.
fn read(template: &SourceTemplate, binding: &SourceBinding, text: &[u8]) -> Option<Time> {
    let encoded: String = text.iter().map(|byte| format!("%{byte:02X}")).collect();
    let params = template.read(format!("t={encoded}").as_bytes(), &KeptHeaders::default(), b"").ok()?;
    let once = || template.map(binding, &params).ok();
    assert_eq!(once(), once());
    let mut draft = once()?.draft()?;
    let moment = draft.event_time;
    assert!(moment.is_none_or(|moment| moment.as_millis() >= EARLIEST_MS), "{moment:?}");
    // On the day of its arrival it counts, and not where it is more than a day ahead.
    let received_at = Time::parse("2026-11-28T12:00:00Z").expect("a time");
    template.leave_out_time_ahead(binding, &mut draft, (&params, received_at));
    let is_ahead = |moment: &Time| moment.millis_since(received_at) > DAY_MS;
    assert_eq!(draft.event_time, moment.filter(|moment| !is_ahead(moment)));
    moment
}

/// `section`: the lines of a `[time]`.
pub fn check(section: &[u8], text: &[u8]) {
    let Ok(section) = str::from_utf8(section) else { return };
    let Some(template) = template(&format!("[time]\n{section}")) else { return };
    let Some(moment) = read(&template, &binding(), text) else { return };
    let says = format!("{moment} {:?}", String::from_utf8_lossy(text));
    // As it is shown, it is read as the same moment, and so is the number of its seconds.
    assert_eq!(read(&USUAL, &binding(), moment.to_string().as_bytes()), Some(moment), "{says}");
    if moment.as_millis() < 4_102_444_800_000 {
        let seconds = read(&USUAL, &binding(), moment.as_seconds().to_string().as_bytes());
        assert_eq!(seconds.map(Time::as_millis), Some(moment.as_seconds() * 1000), "{says}");
    }
    for name in ["UTC", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Pacific/Apia"] {
        let zone = TimeZone::get(name).expect("a zone");
        // A zone moves a moment by its offset, and no further.
        let there = read(&template, &in_zone(&zone), text);
        let apart = there.map(|there| moment.millis_since(there).abs());
        assert!(apart.is_none_or(|apart| apart <= 2 * WIDEST_MS), "{name} {says} {there:?}");
        by_clock(&zone, moment);
        at_next_change(&zone, moment);
    }
}

/// Written by a clock of the zone, a moment is read as itself; where the clock shows that time twice, as the earlier.
fn by_clock(zone: &TimeZone, moment: Time) {
    let stamp = |moment: Time| Timestamp::from_second(moment.as_seconds()).expect("a time");
    let clock = |moment: Time| stamp(moment).to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string();
    let shown = clock(moment);
    // Below the earliest by its offset, and no four digits behind the latest.
    let Some(again) = read(&LOCAL, &in_zone(zone), shown.as_bytes()) else {
        let is_at_an_end = moment.as_millis() < EARLIEST_MS + 2 * WIDEST_MS;
        return assert!(is_at_an_end, "{shown} of {moment} is not read in {zone:?}");
    };
    assert!(stamp(again) <= stamp(moment), "{shown} of {moment} is {again} in {zone:?}");
    assert_eq!(clock(again), shown, "{zone:?}");
}

/// At the next change of a zone's clock, a time that it leaves out moves forward, and of one that it shows twice the
/// earlier counts.
fn at_next_change(zone: &TimeZone, moment: Time) {
    let stamp = Timestamp::from_second(moment.as_seconds()).expect("a time");
    let Some(change) = zone.following(stamp).next() else { return };
    let at = change.timestamp().as_second();
    let before = zone.to_offset(Timestamp::from_second(at - 1).expect("a time"));
    let (before_s, behind_s) = (i64::from(before.seconds()), i64::from(change.offset().seconds()));
    // What the clock shows then: by the offset that makes it unclear.
    let shown = before.min(change.offset()).to_datetime(change.timestamp());
    let expected = at - (before_s - behind_s).max(0);
    let shown = shown.strftime("%Y-%m-%d %H:%M:%S").to_string();
    let found = read(&LOCAL, &in_zone(zone), shown.as_bytes());
    assert_eq!(found.map(Time::as_seconds), Some(expected), "{shown} in {zone:?}");
}
