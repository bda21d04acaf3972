//! The suppression lists: what is on them, and forms that put things on and take them off.

use http::StatusCode;
use serde::Serialize;
use serde_json::{Value, json};

use crate::domain::code::CodedReason;
use crate::domain::suppression::{
    ChangedLine, LineEffect, ListChange, ListSummary, ListedEntry, SuppressedKind, list_name,
};
use crate::ops::missing::Missing;
use crate::ops::suppression::{self, EntryLayout, ListError, SuppressionRequest};
use crate::view::suppression::{EntryView, LineView, ListView};
use crate::web::pages::form::PostedForm;
use crate::web::pages::list::{Filters, options};
use crate::web::pages::route::segment;
use crate::web::pages::session::{Flash, SignedIn, sentence};
use crate::web::pages::{PageContent, PageExit, Pages, document};
use crate::web::routes::BodyLimit;

/// The most lines of an import that are reported one by one.
const MOST_SHOWN: usize = 2000;

impl Pages {
    /// `/suppression`.
    pub(super) async fn lists(&self) -> Result<PageContent, PageExit> {
        let lists = self.ops.store.lists().await?;
        let data = json!({
            "items": lists.iter().map(ListCard::of).collect::<Vec<_>>(),
            "kinds": kinds(""),
            "limit": size_limit(),
        });
        Ok(PageContent::new("lists", "Suppression", data))
    }

    /// `/suppression/{list}`.
    pub(super) async fn list(&self, name: &str, query: &[u8]) -> Result<PageContent, PageExit> {
        let filters = Filters::read(query);
        let page = filters.query()?.page()?;
        let list = suppression::list(self.ops.store.as_ref(), name).await?;
        let page = self.ops.store.listed(list.name.clone(), page).await?;
        let path = path(&list.name);
        let data = json!({
            "list": ListCard::of(&list),
            "links": filters.links(&path, page.next_cursor.as_deref()),
            "items": page.items.iter().map(EntryLine::of).collect::<Vec<_>>(),
            "kinds": kinds(""),
            "limit": size_limit(),
        });
        Ok(PageContent::new("list", &format!("Suppression list {}", list.name), data))
    }

    /// Puts what a form holds on a list or takes it off, and reports what became of every line.
    pub(super) async fn change_list(
        &self,
        visitor: &SignedIn,
        (wish, name): (ListChange, &str),
        form: &PostedForm,
    ) -> Result<PageContent, PageExit> {
        let list = list_name(name).ok_or_else(|| {
            refused(
                "The list has no usable name",
                "A name has 1 to 64 visible characters, such as `fraud 2026`.",
            )
        })?;
        let kind = match form.get("kind") {
            "" => None,
            word => Some(SuppressedKind::parse(word).ok_or_else(|| {
                refused("This kind of entry is not known", "Choose one of the form's kinds.")
            })?),
        };
        let mut lines = Vec::new();
        for (text, layout) in posted_texts(form) {
            let read = suppression::read(text, layout, kind);
            lines.extend(read.map_err(|why| {
                let hint = format!("{}; {}", why.sentence(), why.hint());
                refused("Nothing was read, and nothing was changed", &sentence(&hint))
            })?);
        }
        if lines.is_empty() {
            return Err(refused(
                "There is no entry in it",
                "Write one entry a line, or choose a file, and send it again.",
            ));
        }
        let order = SuppressionRequest { wish, list, actor: visitor.name.clone(), now: self.ops.clock.now() };
        let done = suppression::carry_out(self.ops.store.as_ref(), &order, lines).await?;
        Ok(PageContent::new("import", "Suppression list changed", document(&ImportReport::of(&order, &done))))
    }

    /// Removes a whole list, if the form says that this is meant.
    pub(super) async fn remove_list(&self, name: &str, form: &PostedForm) -> Result<Flash, PageExit> {
        if form.get("sure") != "yes" {
            return Err(refused(
                "The list was not removed: the box next to the button was not ticked",
                "Go back, tick it and press the button again.",
            ));
        }
        let entries = suppression::remove(self.ops.store.as_ref(), name).await?;
        let text = format!("The list `{name}` is removed, with its {entries} entries");
        Ok(Flash { good: true, text, hint: String::new(), link: None })
    }
}

impl From<ListError> for PageExit {
    fn from(error: ListError) -> PageExit {
        match error {
            ListError::Store(error) => error.into(),
            ListError::Unknown => Missing::SuppressionList.into(),
        }
    }
}

/// The largest import, for people.
fn size_limit() -> String {
    format!("{} MB", BodyLimit::IMPORT_BYTES / (1024 * 1024))
}

/// What was written into the form, and what was chosen as a file.
fn posted_texts(form: &PostedForm) -> Vec<(&[u8], EntryLayout)> {
    let written = form.get("entries").as_bytes();
    let mut posted_texts = Vec::new();
    if !written.trim_ascii().is_empty() {
        posted_texts.push((written, EntryLayout::Lines));
    }
    if let Some(file) = form.file() {
        posted_texts.push((file.bytes.as_slice(), EntryLayout::of(&file.name)));
    }
    posted_texts
}

/// The page of a list.
fn path(name: &str) -> String {
    format!("/suppression/{}", segment(name))
}

fn kinds(set: &str) -> Value {
    options(SuppressedKind::ALL.map(SuppressedKind::as_str), set)
}

/// A list with its page.
#[derive(Serialize)]
struct ListCard<'a> {
    #[serde(flatten)]
    list: ListView<'a>,
    path: String,
}

impl<'a> ListCard<'a> {
    fn of(list: &'a ListSummary) -> ListCard<'a> {
        ListCard { list: ListView::of(list), path: path(&list.name) }
    }
}

/// An entry with the name of its kind.
#[derive(Serialize)]
struct EntryLine<'a> {
    #[serde(flatten)]
    entry: EntryView<'a>,
    what: &'static str,
}

impl<'a> EntryLine<'a> {
    fn of(entry: &'a ListedEntry) -> EntryLine<'a> {
        EntryLine { entry: EntryView::of(entry), what: what(entry.kind) }
    }
}

fn what(kind: SuppressedKind) -> &'static str {
    match kind {
        SuppressedKind::Email => "e-mail",
        SuppressedKind::Phone => "phone",
        SuppressedKind::Ip => "IP",
        SuppressedKind::OrderId => "order id",
        SuppressedKind::ClickId => "click id",
    }
}

/// What became of an import, as the template `import` shows it.
#[derive(Serialize)]
struct ImportReport<'a> {
    list: &'a str,
    path: String,
    changed: OutcomeCount,
    same: OutcomeCount,
    refused: usize,
    /// Lines that are not shown.
    left_out: usize,
    lines: Vec<ImportLine<'a>>,
}

/// How many lines had an outcome.
#[derive(Serialize)]
struct OutcomeCount {
    word: String,
    count: usize,
}

/// A line with the name of the kind it was read as.
#[derive(Serialize)]
struct ImportLine<'a> {
    #[serde(flatten)]
    line: LineView<'a>,
    what: Option<&'static str>,
}

impl<'a> ImportReport<'a> {
    fn of(order: &'a SuppressionRequest, done: &'a [ChangedLine]) -> ImportReport<'a> {
        let count = |effect| done.iter().filter(|line| line.effect() == effect).count();
        let counted = |effect: LineEffect| OutcomeCount {
            word: effect.as_str(order.wish).replace('_', " "),
            count: count(effect),
        };
        // Where there are too many, what was refused matters: the rest went as wished.
        let only_refused = done.len() > MOST_SHOWN;
        let line = |one: &'a ChangedLine| ImportLine {
            line: LineView::of(one, order.wish),
            what: one.outcome.as_ref().ok().map(|(kind, _)| what(*kind)),
        };
        let shown = done.iter().filter(|one| !only_refused || one.outcome.is_err()).take(MOST_SHOWN);
        let lines: Vec<ImportLine<'a>> = shown.map(line).collect();
        ImportReport {
            list: &order.list,
            path: path(&order.list),
            changed: counted(LineEffect::Changed),
            same: counted(LineEffect::Unchanged),
            refused: count(LineEffect::Refused),
            left_out: done.len() - lines.len(),
            lines,
        }
    }
}

fn refused(what: &str, hint: &str) -> PageExit {
    PageExit::Refused(StatusCode::BAD_REQUEST, what.to_owned(), hint.to_owned())
}
