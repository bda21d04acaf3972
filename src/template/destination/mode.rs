//! Whether a destination sends, and to where: live, as a test, in the shadow, or not at all.

/// What a destination does with the events it is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    #[default]
    Live,
    /// The platform's own test mode.
    Test,
    /// Rendered and validated, never sent.
    Shadow,
    Off,
}

impl Mode {
    pub const ALL: [Mode; 4] = [Mode::Live, Mode::Test, Mode::Shadow, Mode::Off];

    /// The word of the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Mode::Live => "live",
            Mode::Test => "test",
            Mode::Shadow => "shadow",
            Mode::Off => "off",
        }
    }

    /// Whether anything leaves.
    pub fn sends(self) -> bool {
        matches!(self, Mode::Live | Mode::Test)
    }

    pub fn parse(word: &str) -> Option<Mode> {
        Mode::ALL.into_iter().find(|mode| mode.as_str() == word)
    }
}
