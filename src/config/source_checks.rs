//! Warnings of sources whose postbacks say less than they could: one line each.

use crate::config::configuration::Config;
use crate::config::source::Source;
use crate::template::diagnostic::{LintCode, Problem};
use crate::template::source::definition::Field;
use crate::template::toml_doc::table::Table;

/// Keeps the warnings. `root` is asked only for lines.
pub fn remark(root: &Table<'_>, config: &Config) {
    let tables = root.tables("source");
    for source in &config.sources {
        let table = tables.iter().find(|table| table.plain("id") == Some(source.id.as_str()));
        let line = table.map_or(0, Table::line);
        let decides = table.is_some_and(|table| table.has("dedup"));
        let no_transaction_id = no_transaction_id(source).filter(|_| !decides);
        let found =
            [no_transaction_id.or_else(|| no_row_id(source)), no_status(source), doubtful_fact(source)];
        for problem in found.into_iter().flatten() {
            root.document().warning(line, problem);
        }
    }
}

/// Without it two sales of one click are one conversion; a `dedup` at the source shows that this was thought of.
fn no_transaction_id(source: &Source) -> Option<Problem> {
    let Source { id, template, .. } = source;
    if template.says(Field::TransactionId) {
        return None;
    }
    let what = format!("the postbacks of `{id}` carry no transaction id: of a click one sale counts");
    let hint = "say what is meant: dedup = \"click\", or \"each\" where every postback is a sale of its own";
    Some(Problem::new(what, hint).coded(LintCode::NoTransactionId))
}

/// Without it every row after the first is taken for a repeat of its sale.
fn no_row_id(source: &Source) -> Option<Problem> {
    let Source { id, template, .. } = source;
    if template.says_row() {
        return None;
    }
    let what =
        format!("the postbacks of `{id}` do not say which row of an order they are: no two rows add up");
    let hint = format!(
        "have the URL of the template `{}` carry all that [dedup] adjustment_id reads",
        template.name()
    );
    Some(Problem::new(what, hint).coded(LintCode::NoTransactionId))
}

fn no_status(source: &Source) -> Option<Problem> {
    let Source { id, template, .. } = source;
    if template.may_say_status() {
        return None;
    }
    let what = format!("the postbacks of `{id}` carry no status: a rejection is never reported");
    let hint = "reject such sales by hand, or by POST /api/v1/conversions/{id}/status";
    Some(Problem::new(what, hint).coded(LintCode::NoStatus))
}

/// What a sale is counted, found and changed by.
fn doubtful_fact(source: &Source) -> Option<Problem> {
    let Source { id, template, .. } = source;
    let doubts = template.doubts().into_iter().filter(|(kind, _)| template.needs(*kind));
    let doubts: Vec<String> =
        doubts.map(|(kind, doubt)| format!("{} ({})", kind.as_str(), doubt.reason())).collect();
    if doubts.is_empty() {
        return None;
    }
    let name = template.name();
    let what =
        format!("the template `{name}` of `{id}` is not verified, by its facts of {}", doubts.join(", "));
    let hint = format!(
        "compare the first postbacks with what the network shows; `postbridge templates show {name}` says where each \
         fact is from"
    );
    Some(Problem::new(what, hint).coded(LintCode::DoubtfulFact))
}
