//! A bar that shows how far long work is: on a terminal alone.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressStyle};

/// A bar on standard error; none where that is no terminal.
pub struct WorkBar(Option<ProgressBar>);

impl WorkBar {
    /// Of work that is called so.
    pub fn new(name: &'static str) -> WorkBar {
        if !std::io::stderr().is_terminal() {
            return WorkBar(None);
        }
        let bar = ProgressBar::new(0).with_message(name);
        if let Ok(style) = ProgressStyle::with_template("{msg} [{wide_bar}] {percent} % {elapsed_precise}") {
            bar.set_style(style);
        }
        WorkBar(Some(bar))
    }

    /// So much is done, of so much.
    pub fn at(&self, done: u64, all: u64) {
        if let Some(bar) = &self.0 {
            bar.set_length(all.max(1));
            bar.set_position(done);
        }
    }

    /// Takes the bar away.
    pub fn end(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
