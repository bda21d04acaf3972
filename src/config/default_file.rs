//! The shipped postbridge.toml: it explains every key, and it is the default.

use std::sync::LazyLock;

/// The shipped default file: every key, explained. Its values are the defaults, and `init` writes it.
pub const DEFAULT: &str = include_str!("default.toml");

/// The shipped file with its examples switched on: what `init --example` writes. The defaults of tables
/// that are there only where they are written, such as `[[source]]`, are those of its examples.
pub fn with_examples() -> &'static str {
    static EXAMPLES: LazyLock<String> =
        LazyLock::new(|| DEFAULT.split_inclusive('\n').map(without_example_mark).collect());
    &EXAMPLES
}

/// A line of an example begins with `#` and no space behind it.
fn without_example_mark(line: &str) -> &str {
    line.strip_prefix('#').filter(|rest| rest.starts_with(|c: char| !c.is_whitespace())).unwrap_or(line)
}
