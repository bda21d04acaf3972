//! Where a page of a list ended, as the text that the next page is asked for by.

use crate::store::contract::error::StoreError;

/// A place among dated records: the UTC day under which the record is kept, its number, and of a list of deliveries the
/// delivery's place in it. Lists run downwards, and the next page is of what is below.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListCursor {
    pub day: i32,
    pub number: u64,
    pub item: usize,
}

impl ListCursor {
    /// As a list shows it.
    pub fn show(self) -> String {
        let ListCursor { day, number, item } = self;
        if item == 0 { format!("{day}.{number}") } else { format!("{day}.{number}.{item}") }
    }

    /// From what a list showed.
    ///
    /// # Errors
    /// No list did.
    pub fn parse(text: &str) -> Result<ListCursor, StoreError> {
        let mut parts = text.split('.');
        let cursor = (|| {
            let (day, number) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
            let item = parts.next().map_or(Some(0), |item| item.parse().ok())?;
            Some(ListCursor { day, number, item }).filter(|_| parts.next().is_none())
        })();
        cursor.ok_or_else(|| StoreError::Cursor(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_shown_is_a_cursor() {
        for cursor in [
            ListCursor { day: 20_000, number: 7, item: 0 },
            ListCursor { day: -1, number: u64::MAX, item: 3 },
        ] {
            assert_eq!(ListCursor::parse(&cursor.show()).unwrap(), cursor);
        }
        for text in ["", "7", "7.", ".7", "7.7.", "7.7.7.7", "7.-7", "x.7", "7.7.x"] {
            assert!(matches!(ListCursor::parse(text), Err(StoreError::Cursor(bad)) if bad == text), "{text}");
        }
    }
}
