//! Templates calculate nothing: what is written like a calculation is found when a template is read, before
//! an amount is sent as text or stays empty.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use crate::domain::money::{NumberFormat, parse_decimal};
use crate::template::destination::expression::{Expression, TemplatePiece, ValueKind};
use crate::template::destination::fields;
use crate::template::diagnostic::Problem;
use crate::template::macros::names::AMOUNTS;
use crate::template::macros::url::{self, MacroUrl};
use crate::template::source::definition;

const OPERATORS: [char; 8] = ['+', '-', '*', '/', '^', '×', '÷', '−'];

/// In place of an amount in a text that is looked at.
const AMOUNT: char = '\u{E001}';
/// In place of any other value.
const OTHER: char = '\u{E002}';

/// What to do instead; `one` is how a single amount is written there.
pub(crate) fn hint(one: &str) -> String {
    format!(
        "a template calculates nothing: write one amount, {one}, and have the result sent or calculated elsewhere"
    )
}

/// Whether what a field of numbers joins can never be a number, whatever number each parameter holds.
pub(crate) fn joins_no_number(pieces: &[definition::ValuePiece], mark: NumberFormat) -> bool {
    let sample = pieces.iter().map(|piece| match piece {
        definition::ValuePiece::Text(text) => text.as_str(),
        definition::ValuePiece::Param(_) => "1",
    });
    parse_decimal(&sample.collect::<String>(), mark).is_none()
}

/// Whether a text that should be a name is a calculation with names: `price * 0.8`, `total - tax`.
pub(crate) fn is_of_names(text: &str) -> bool {
    text.contains(" - ") || text.contains(|c| c != '-' && OPERATORS.contains(&c))
}

/// The first calculation between `{{` and `}}`, with the line it is on, counted from 1: an operator that is
/// no text in quotes.
pub(crate) fn in_expressions(template: &str) -> Option<(usize, &str)> {
    let mut line = 1;
    let mut rest = template;
    while let Some((before, behind)) = rest.split_once("{{") {
        let (inside, after) = behind.split_once("}}")?;
        line += before.matches('\n').count();
        if !inside.starts_with(['!', '#', '/', '>', '{']) && words(inside).any(is_calculation_word) {
            return Some((line, inside.trim()));
        }
        line += inside.matches('\n').count();
        rest = after;
    }
    None
}

/// The words of an expression, without its texts in quotes.
fn words(expression: &str) -> impl Iterator<Item = &str> {
    let outside = expression.split(['"', '\'']).step_by(2);
    outside.flat_map(|part| part.split(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | '=')))
}

/// An operator alone, or names and numbers with one between them.
fn is_calculation_word(word: &str) -> bool {
    let Some(at) = word.find(OPERATORS) else { return false };
    let is_operand = |part: &str| {
        part.is_empty() || fields::find(part).is_some() || parse_decimal(part, NumberFormat::Plain).is_some()
    };
    let is_negative_number = at == 0 && parse_decimal(word, NumberFormat::Plain).is_some();
    !is_negative_number && word.split(OPERATORS).all(is_operand)
}

/// Whether an expression can never be a number, whatever its values are: texts joined by what is in no number.
pub(crate) fn is_no_number(expression: &Expression) -> bool {
    let Expression::Call(call) = expression else {
        return matches!(expression, Expression::Text(text) if parse_decimal(text, NumberFormat::Plain).is_none());
    };
    match call.helper.name {
        "join" => parse_decimal(&sample(expression), NumberFormat::Plain).is_none(),
        "default" => call.arguments.iter().any(is_no_number),
        "when" => call.arguments.get(1).is_some_and(is_no_number),
        "in_test" | "in_restate" | "in_retract" | "json" | "text" | "number" | "one_of" | "none_of" => {
            call.arguments.first().is_some_and(is_no_number)
        }
        _ => false,
    }
}

/// Whether texts are joined to a calculation with amounts, which is sent as it is written.
pub(crate) fn is_joined(expression: &Expression) -> bool {
    fn outline(expression: &Expression) -> String {
        match expression {
            Expression::Text(text) => text.clone(),
            Expression::Integer(number) => number.to_string(),
            _ if is_amount(expression) => AMOUNT.to_string(),
            _ => OTHER.to_string(),
        }
    }
    let Expression::Call(call) = expression else { return false };
    let separator = call.options.first().and_then(Option::as_ref).map(outline).unwrap_or_default();
    let arguments = call.arguments.iter().map(outline).collect::<Vec<_>>();
    call.helper.name == "join" && is_calculation(&arguments.join(&separator))
}

/// What an expression may come to, where every text is a digit and every amount has two places.
fn sample(expression: &Expression) -> String {
    match expression {
        Expression::Text(text) => text.clone(),
        Expression::Integer(number) => number.to_string(),
        Expression::Call(call) if call.helper.name == "join" => {
            let separator = call.options.first().and_then(Option::as_ref).map(sample).unwrap_or_default();
            call.arguments.iter().map(sample).collect::<Vec<_>>().join(&separator)
        }
        _ if is_amount(expression) => "1.00".to_owned(),
        _ => "1".to_owned(),
    }
}

/// Whether it is money; times are numbers too, and no amounts.
fn is_amount(expression: &Expression) -> bool {
    match expression {
        Expression::Field(field) => field.kind == ValueKind::Number,
        Expression::Call(call) if call.helper.name == "text" => call.arguments.first().is_some_and(is_amount),
        Expression::Call(call) => call.helper.wants.is_none() && expression.kind() == ValueKind::Number,
        _ => false,
    }
}

/// Whether the text behind a value of a JSON template begins with an operator.
pub(crate) fn goes_on_in(text: &str) -> bool {
    text.trim_start().starts_with(is_operator)
}

/// Whether the text before a value of a JSON template ends with an operator.
pub(crate) fn leads_to(text: &str) -> bool {
    text.trim_end().ends_with(is_operator)
}

fn is_operator(c: char) -> bool {
    OPERATORS.contains(&c) || c == '%'
}

/// Whether a header calculates with amounts.
pub(crate) fn in_header(pieces: &[TemplatePiece]) -> bool {
    is_calculation(&outline(pieces))
}

/// Whether a value in a URL's query calculates with amounts.
pub(crate) fn in_query(pieces: &[TemplatePiece]) -> bool {
    query_calculates(&outline(pieces))
}

fn outline(pieces: &[TemplatePiece]) -> String {
    let outline = pieces.iter().map(|piece| match piece {
        TemplatePiece::Text { text, .. } => Cow::Borrowed(text.as_str()),
        TemplatePiece::Value { expression, .. } => {
            Cow::Owned(if is_amount(expression) { AMOUNT } else { OTHER }.to_string())
        }
    });
    outline.collect()
}

/// Refuses an outgoing postback whose query calculates with amounts: it would be called with the calculation
/// written out.
///
/// # Errors
/// It does.
pub fn check_postback(url: &MacroUrl) -> Result<(), Problem> {
    let outline = url.pieces.iter().map(|piece| match piece {
        url::UrlPiece::Text(text) => Cow::Borrowed(text.as_str()),
        url::UrlPiece::Name(name) => {
            Cow::Owned(if AMOUNTS.contains(&name.as_str()) { AMOUNT } else { OTHER }.to_string())
        }
    });
    if !query_calculates(&outline.collect::<String>()) {
        return Ok(());
    }
    let what = "a value in its query calculates with an amount, and a URL is called as it is written";
    let hint = "write one macro alone; `scale = \"0.80\"` sends a part of the payout";
    Err(Problem::new(what, hint))
}

fn query_calculates(url: &str) -> bool {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let values = query.split('&').filter_map(|pair| pair.split_once('=')).map(|(_, value)| value);
    values.into_iter().any(|value| {
        let plain = |text: &str| is_calculation(&percent_decode_str(text).decode_utf8_lossy());
        // A plus is a space to most readers of a query, and meant by some writers.
        plain(value) || plain(&value.replace('+', " "))
    })
}

/// Whether a text is two or more amounts and numbers, at least one of them an amount, with operators between.
fn is_calculation(text: &str) -> bool {
    let (mut amounts, mut operands) = (0, 0);
    // What is before it: nothing or an operator, a digit of a number, or an amount.
    let mut before = None;
    for c in text.chars().filter(|c| !c.is_whitespace() && !matches!(c, '(' | ')')) {
        let is_digit = c.is_ascii_digit() || matches!(c, '.' | ',');
        match before {
            None if c == AMOUNT => (amounts, operands) = (amounts + 1, operands + 1),
            None if is_digit => operands += 1,
            Some(last) if is_digit && last != AMOUNT => {}
            Some(_) if OPERATORS.contains(&c) => {
                before = None;
                continue;
            }
            _ => return false,
        }
        before = Some(c);
    }
    before.is_some() && amounts > 0 && operands > 1
}
