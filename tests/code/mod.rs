//! Rules of the source code itself.

mod code_families;
mod conformance_rules;
mod file_cycles;
mod layout_rules;
mod plain_words;
mod store_keys;
mod type_names;
