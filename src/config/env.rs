//! Where the values of environment variables come from.

/// Reads one environment variable; `None` when it is not set.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<String>;
