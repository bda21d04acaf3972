//! Rules of the source code itself.

mod file_cycles;
mod layout_rules;
