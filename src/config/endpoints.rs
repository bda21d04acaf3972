//! `[links]`, `[tag]`, `[pixel]` and `[cake_api]`: the endpoints of the network's side, as far as they can be set.

use std::num::NonZeroU32;

use jiff::tz::TimeZone;

use crate::config::server::web_url;
use crate::template::diagnostic::Problem;
use crate::template::toml_doc::table::Table;
use crate::template::toml_doc::text::Text;
use crate::template::typed_text::time_zone;

/// How many clicks strangers may have recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkSettings {
    /// By tracking links and the click pixel, of one address in a second; 0 is no limit.
    pub max_per_second_per_ip: u32,
    /// Of these and of the tag's clicks, KiB of all addresses in a second; 0 is no limit.
    pub max_kib_per_second: u32,
}

/// What the tag on landing pages may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagSettings {
    /// The pages that may report clicks and events, such as `https://shop.example`; none: no page.
    pub origins: Vec<String>,
    /// Clicks and events that one address may report in a second.
    pub max_per_second_per_ip: NonZeroU32,
}

/// How much the pixels take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PixelSettings {
    /// Conversions that one address may report in a second, or have looked at.
    pub max_per_second_per_ip: NonZeroU32,
}

/// How the network's API reads dates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkApiConfig {
    /// Whose days its dates are.
    pub time_zone: TimeZone,
}

impl LinkSettings {
    /// Reads `[links]`; `None` when a problem was kept.
    pub fn read(section: Table<'_>) -> Option<LinkSettings> {
        let max_per_second_per_ip = section.number("max_per_second_per_ip", 0..=1_000_000);
        let max_kib_per_second = section.number("max_kib_per_second", 0..=1_048_576);
        section.finish();
        Some(LinkSettings {
            max_per_second_per_ip: max_per_second_per_ip?,
            max_kib_per_second: max_kib_per_second?,
        })
    }
}

impl TagSettings {
    /// Reads `[tag]`; `None` when a problem was kept.
    pub fn read(section: Table<'_>) -> Option<TagSettings> {
        let origins = section.all_parsed("origins", origin);
        let max_per_second_per_ip = per_ip(&section);
        section.finish();
        Some(TagSettings { origins: origins?, max_per_second_per_ip: max_per_second_per_ip? })
    }
}

impl PixelSettings {
    /// Reads `[pixel]`; `None` when a problem was kept.
    pub fn read(section: Table<'_>) -> Option<PixelSettings> {
        let max_per_second_per_ip = per_ip(&section);
        section.finish();
        Some(PixelSettings { max_per_second_per_ip: max_per_second_per_ip? })
    }
}

impl NetworkApiConfig {
    /// Reads `[cake_api]`; `None` when a problem was kept.
    pub fn read(section: Table<'_>) -> Option<NetworkApiConfig> {
        let time_zone = section.parsed("time_zone", time_zone);
        section.finish();
        Some(NetworkApiConfig { time_zone: time_zone? })
    }
}

fn per_ip(section: &Table<'_>) -> Option<NonZeroU32> {
    section.number::<u32>("max_per_second_per_ip", 1..=1_000_000).and_then(NonZeroU32::new)
}

/// A page's origin as browsers report it: scheme, host and, where it is not the usual one, port.
fn origin(text: &Text) -> Result<String, Problem> {
    let url = web_url(text)?;
    let origin = url.origin().ascii_serialization();
    let given = text.value.to_ascii_lowercase();
    // A slash at the end is no path yet, and browsers never report it.
    let beyond = url.path() != "/" || url.query().is_some() || url.fragment().is_some();
    if beyond || given.contains('*') {
        let hint = match given.contains('*') {
            true => "name each host separately: \"https://shop.example\"".to_owned(),
            false => format!("end it after the host, or its port: \"{origin}\""),
        };
        return Err(Problem::new(format!("{} is not an origin", text.shown()), hint));
    }
    Ok(origin)
}
