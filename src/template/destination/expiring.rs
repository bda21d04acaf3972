//! A setting whose value the platform takes only until a day, such as the version of its API. Pure: `now` is an argument.

use crate::domain::time::{DAY_MS, Time};
use crate::template::destination::file::SettingSpec;
use crate::template::diagnostic::Problem;

/// How long before that day it is warned of.
pub const WARNED_BEFORE_MS: i64 = 60 * DAY_MS;

/// A setting in use, with the value that ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpiringSetting {
    /// The setting's name.
    pub name: String,
    /// The value that it has, which is the template's default.
    pub value: String,
    /// From when the platform refuses it.
    pub expires: Time,
}

impl ExpiringSetting {
    /// The setting with the value that is used; `None` where the template knows of no end of it.
    pub(crate) fn of(spec: &SettingSpec, used: Option<&str>) -> Option<ExpiringSetting> {
        let (expires, value) = (spec.expires?, spec.default.as_deref()?);
        let is_used = used.is_some_and(|used| used == value);
        is_used.then(|| ExpiringSetting { name: spec.name.clone(), value: value.to_owned(), expires })
    }

    /// The warning, from 60 days before the end.
    pub fn warning(&self, now: Time) -> Option<Problem> {
        let ExpiringSetting { name, value, expires } = self;
        if now < expires.plus_millis(-WARNED_BEFORE_MS) {
            return None;
        }
        let day = expires.to_string().split('T').next().unwrap_or_default().to_owned();
        let what = match now < *expires {
            true => format!("the setting `{name}` is `{value}`, which the platform takes until {day}"),
            false => {
                format!("the setting `{name}` is `{value}`, which the platform takes no longer, since {day}")
            }
        };
        Some(Problem::new(
            what,
            format!("set `{name}` to a later one under [destination.settings], or update Postbridge"),
        ))
    }
}
