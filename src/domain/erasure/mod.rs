//! The erasure of a person's data: who is asked for, how a person is known again, and what is left of a record.

pub mod blank;
pub mod find;
pub mod identity;
pub mod ids_in_text;
pub mod persons;
pub mod report;
pub mod subject;
pub mod texts;

/// What is in the place of what was erased.
pub const ERASED: &str = "[erased]";
