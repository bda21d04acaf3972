//! A page of a list: `{"items":[…],"next_cursor":…}`.

use serde::Serialize;

use crate::store::Page;

/// Some records of a list, and where the next page begins; null on the last one.
#[derive(Serialize)]
pub struct PageView<'a, V> {
    items: Vec<V>,
    next_cursor: Option<&'a str>,
}

impl<'a, V> PageView<'a, V> {
    pub fn of<T>(page: &'a Page<T>, view: impl Fn(&'a T) -> V) -> PageView<'a, V> {
        PageView { items: page.items.iter().map(view).collect(), next_cursor: page.next_cursor.as_deref() }
    }

    /// A list that has one page.
    pub fn whole(items: Vec<V>) -> PageView<'a, V> {
        PageView { items, next_cursor: None }
    }
}
