//! How a network writes moments and dates: `[time]` and `birthdate` of a source template, and reading by them.

use jiff::fmt::strtime;
use jiff::tz::TimeZone;

use crate::domain::conversion::Draft;
use crate::domain::moment::{self, EpochUnit};
use crate::domain::rejection::note::ReportNote;
use crate::domain::rejection::param::{ParamFault, ParamProblem};
use crate::domain::text::trim;
use crate::domain::time::Time;
use crate::template::diagnostic::Problem;
use crate::template::source::definition::{Field, SourceBinding, SourceTemplate, TimeFormat};
use crate::template::source::params::{Param, Params, problem};
use crate::template::toml_doc::table::Table;
use crate::template::toml_doc::text::Text;
use crate::template::typed_text::time_zone;

/// Reads `[time] formats, zone`; without it moments are numbers of the Unix epoch, RFC 3339 or compact dates.
pub(crate) fn read(root: &Table<'_>) -> (Vec<TimeFormat>, TimeZone) {
    let usual = vec![
        TimeFormat::Epoch(EpochUnit::Seconds),
        TimeFormat::Epoch(EpochUnit::Millis),
        TimeFormat::Epoch(EpochUnit::Micros),
        TimeFormat::Epoch(EpochUnit::Nanos),
        TimeFormat::Rfc3339,
        TimeFormat::Compact,
    ];
    let read = root.read_table("time", |table| {
        let formats = table.all_parsed("formats", time_format).filter(|formats| !formats.is_empty());
        (formats, table.parsed("zone", time_zone))
    });
    let (formats, zone) = read.unwrap_or_default();
    (formats.unwrap_or(usual), zone.unwrap_or(TimeZone::UTC))
}

fn time_format(text: &Text) -> Result<TimeFormat, Problem> {
    Ok(match text.value.as_str() {
        "unix" => TimeFormat::Epoch(EpochUnit::Seconds),
        "unix_ms" => TimeFormat::Epoch(EpochUnit::Millis),
        "unix_us" => TimeFormat::Epoch(EpochUnit::Micros),
        "unix_ns" => TimeFormat::Epoch(EpochUnit::Nanos),
        "rfc3339" => TimeFormat::Rfc3339,
        "compact" => TimeFormat::Compact,
        pattern if reads_what_it_writes(pattern) => TimeFormat::Pattern(pattern.to_owned()),
        _ => {
            let hint = "use \"unix\", \"unix_ms\", \"unix_us\", \"unix_ns\", \"rfc3339\", \"compact\" or a \
                        pattern such as \"%Y-%m-%d %H:%M:%S\"";
            return Err(Problem::new(format!("{} is not a time format", text.shown()), hint));
        }
    })
}

fn reads_what_it_writes(pattern: &str) -> bool {
    let moment = jiff::Timestamp::UNIX_EPOCH.to_zoned(TimeZone::UTC);
    pattern.contains('%')
        && strtime::format(pattern, &moment)
            .is_ok_and(|text| at_pattern(pattern, &text, &TimeZone::UTC).is_some())
}

/// The moment `text` names in one of the template's formats; as it is, else with the `+` back that became a
/// space before its offset. `Err` where that is before 2005: what only reads as a moment.
pub(crate) fn moment(
    template: &SourceTemplate,
    binding: &SourceBinding,
    text: &str,
) -> Option<Result<Time, Time>> {
    let text = trim(text);
    let zone = binding.time_zone.as_ref().unwrap_or(&template.zone);
    let read = |text: &str| template.times.iter().find_map(|format| by_format(format, text, zone));
    let found = read(text).or_else(|| read(&moment::with_plus(text)?))?;
    Some(if moment::is_recent_enough(found) { Ok(found) } else { Err(found) })
}

fn by_format(format: &TimeFormat, text: &str, zone: &TimeZone) -> Option<Time> {
    match format {
        TimeFormat::Epoch(unit) => moment::epoch(text, *unit),
        TimeFormat::Rfc3339 => Time::parse(text),
        TimeFormat::Compact => moment::compact(text, zone),
        TimeFormat::Pattern(pattern) => at_pattern(pattern, text, zone),
    }
}

impl SourceTemplate {
    /// Leaves the time of a draft out that is more than a day after `received_at`: the arrival counts
    /// then, as for a postback without one. It is named in the notes.
    pub fn leave_out_time_ahead(
        &self,
        binding: &SourceBinding,
        draft: &mut Draft,
        (params, received_at): (&Params, Time),
    ) {
        let Some(ahead) = draft.event_time.filter(|time| moment::is_ahead(*time, received_at)) else {
            return;
        };
        draft.event_time = None;
        let params = self.repaired(params);
        let is_it = |param: &&Param| {
            self.field_of_name(&param.name) == Some(Field::EventTime)
                && moment(self, binding, &param.value) == Some(Ok(ahead))
        };
        let wrong = ParamFault::TimeAhead { read: ahead };
        let problem = match params.pairs.iter().chain(&params.derived).find(is_it) {
            Some(param) => problem(param, wrong),
            None => {
                let field = Field::EventTime.name().to_owned();
                ParamProblem::new(field, Some(ahead.to_string()), wrong)
            }
        };
        draft.notes.push(ReportNote::left_out(self.with_content(problem)));
    }

    fn field_of_name(&self, name: &str) -> Option<Field> {
        self.names.known(name).and_then(|index| self.field_of(index))
    }
}

/// An offset within the text wins over `zone`. A local time that a change of clocks leaves out moves forward, of one
/// that there is twice the earlier counts.
fn at_pattern(pattern: &str, text: &str, zone: &TimeZone) -> Option<Time> {
    let parts = strtime::parse(pattern, text).ok()?;
    let stamp = match parts.to_timestamp() {
        Ok(stamp) => stamp,
        Err(_) => parts.to_datetime().ok()?.to_zoned(zone.clone()).ok()?.timestamp(),
    };
    Time::from_millis(stamp.as_millisecond())
}
