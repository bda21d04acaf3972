//! Reads a template's text by the grammar of Handlebars and resolves every name in it, so that rendering cannot
//! fail. Of the crate only the parser is used: the pages' templates have an engine of their own, `web/pages/engine`.

use handlebars::Path;
use handlebars::template::{HelperTemplate, Parameter, Subexpression, Template, TemplateElement};

use crate::template::destination::calculation;
use crate::template::destination::expression::{
    Expression, Helper, HelperCall, ReadOptions, RenderScope, TemplatePiece, ValueKind,
};
use crate::template::destination::fields::{self, FIELDS};
use crate::template::destination::helpers::{HELPERS, RAW, find_helper};
use crate::template::destination::quotes::with_backslashes_doubled;
use crate::template::diagnostic::{LintCode, Problem, did_you_mean};

/// In an envelope: the list of the events.
const EVENTS: &str = "events";
/// A template's text is refused beyond this many bytes.
const MAX_TEMPLATE_BYTES: usize = 64 * 1024;
/// Helpers within helpers; the grammar recurses on them.
const MAX_DEPTH: usize = 16;

/// The state of a text, and the settings it may name.
pub(crate) struct CompileContext<'s> {
    pub file: &'s str,
    /// The line its first line is in the file, counted from 1.
    pub first_line: usize,
    pub settings: &'s [String],
    /// Whether it is what is around the events, in which `{{events}}` is their place.
    pub is_envelope: bool,
}

impl CompileContext<'_> {
    fn problem(&self, line: usize, what: String, hint: impl Into<String>) -> Problem {
        Problem::new(what, hint).at(self.file, self.first_line + line.max(1) - 1)
    }
}

/// Cuts a text into pieces. Every unknown name and every construct that is not allowed is reported,
/// and an empty text is in its place, so that what is around it can be checked too.
pub(crate) fn pieces(source: &CompileContext<'_>, text: &str) -> (Vec<TemplatePiece>, Vec<Problem>) {
    let template = check_text(source, text).and_then(|()| {
        Template::compile(&with_backslashes_doubled(text)).map_err(|error| {
            let line = error.pos().map_or(1, |(line, _)| line);
            let what = format!("the template cannot be read: {}", error.reason());
            source.problem(line, what, "write values as `{{helper name}}`")
        })
    });
    let template = match template {
        Ok(template) => template,
        Err(problem) => return (Vec::new(), vec![problem]),
    };
    let mut pieces = Vec::with_capacity(template.elements.len());
    let mut problems = Vec::new();
    // The parser says where an expression begins, but not where the white space before a text does.
    let mut line = 1;
    for (index, element) in template.elements.iter().enumerate() {
        if let TemplateElement::RawString(text) = element {
            pieces.push(TemplatePiece::Text { text: text.clone(), line });
            line += text.matches('\n').count();
            continue;
        }
        line = template.mapping.get(index).map_or(line, |at| at.0);
        match piece(source, element, line) {
            Ok(piece) => pieces.extend(piece),
            Err(problem) => {
                problems.push(problem);
                pieces.push(TemplatePiece::Value {
                    expression: Expression::Text(String::new()),
                    line,
                    bare: false,
                });
            }
        }
    }
    (pieces, problems)
}

fn check_text(source: &CompileContext<'_>, text: &str) -> Result<(), Problem> {
    check_size(source, text)?;
    match calculation::in_expressions(text) {
        Some((line, inside)) => {
            let what = format!("`{inside}` is a calculation");
            Err(source.problem(line, what, calculation::hint("`{{number value}}`")))
        }
        None => Ok(()),
    }
}

fn check_size(source: &CompileContext<'_>, text: &str) -> Result<(), Problem> {
    if text.len() > MAX_TEMPLATE_BYTES {
        let what = format!("the template has {} bytes; {MAX_TEMPLATE_BYTES} are allowed", text.len());
        return Err(source.problem(1, what, "shorten it"));
    }
    for (number, line) in text.lines().enumerate() {
        let depth = line.bytes().scan(0usize, |depth, byte| {
            match byte {
                b'(' => *depth += 1,
                b')' => *depth = depth.saturating_sub(1),
                _ => {}
            }
            Some(*depth)
        });
        if depth.max().unwrap_or(0) > MAX_DEPTH {
            let what = format!("more than {MAX_DEPTH} helpers are within one another");
            return Err(source.problem(number + 1, what, "write a helper for it in Rust"));
        }
    }
    // A parenthesis may stay open over lines; together they may not go deeper either.
    if text.bytes().filter(|b| *b == b'(').count() > MAX_DEPTH * 64 {
        return Err(source.problem(1, "the template has too many parentheses".to_owned(), "shorten it"));
    }
    Ok(())
}

fn piece(
    source: &CompileContext<'_>,
    element: &TemplateElement,
    line: usize,
) -> Result<Option<TemplatePiece>, Problem> {
    match element {
        TemplateElement::Comment(_) => Ok(None),
        TemplateElement::Expression(expression) => {
            let bare = expression.params.is_empty() && expression.hash.is_empty();
            let expression = resolve(source, expression, line)?;
            let bare = bare && !matches!(expression, Expression::Call(_));
            Ok(Some(TemplatePiece::Value { expression, line, bare }))
        }
        TemplateElement::HtmlExpression(_) => {
            let hint = "write two braces and a typed helper: `{{json name}}`";
            let problem = source.problem(line, "a value is in three braces".to_owned(), hint);
            Err(problem.coded(LintCode::BareValue))
        }
        TemplateElement::PartialExpression(_) | TemplateElement::PartialBlock(_) => {
            Err(source.problem(line, "partials are not allowed".to_owned(), "write the text out"))
        }
        _ => Err(source.problem(
            line,
            "blocks such as `{{#if}}` are not allowed".to_owned(),
            "name the value: what is absent is null, and null members are left out",
        )),
    }
}

fn resolve(
    source: &CompileContext<'_>,
    expression: &HelperTemplate,
    line: usize,
) -> Result<Expression, Problem> {
    let name = written(&expression.name);
    if expression.params.is_empty() && expression.hash.is_empty() {
        if source.is_envelope && name == EVENTS {
            return Ok(Expression::Events);
        }
        return match find_helper(&name).filter(|helper| helper.arguments.0 == 0) {
            Some(helper) => call(source, helper, expression, line),
            None => resolve_parameter(source, &expression.name, line),
        };
    }
    let helper = find_helper(&name).ok_or_else(|| {
        let hint = match did_you_mean(&name, HELPERS.iter().map(|helper| helper.name)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("helpers: {}", list(HELPERS.iter().map(|helper| helper.name))),
        };
        source.problem(line, format!("there is no helper `{name}`"), hint).coded(LintCode::UnknownName)
    })?;
    call(source, helper, expression, line)
}

fn call(
    source: &CompileContext<'_>,
    helper: &'static Helper,
    expression: &HelperTemplate,
    line: usize,
) -> Result<Expression, Problem> {
    let name = helper.name;
    let (fewest, most) = helper.arguments;
    if !(fewest..=most).contains(&expression.params.len()) {
        let wanted = if fewest == most { fewest.to_string() } else { format!("{fewest} to {most}") };
        let what = format!("`{name}` was given {} arguments and takes {wanted}", expression.params.len());
        return Err(source.problem(line, what, "fix the call"));
    }
    let resolve_one = |parameter| resolve_parameter(source, parameter, line);
    let arguments: Vec<Expression> = expression.params.iter().map(resolve_one).collect::<Result<_, _>>()?;
    if let Some(unknown) = expression.hash.keys().find(|key| !helper.options.contains(&key.as_str())) {
        let hint = match helper.options {
            [] => format!("`{name}` has no options"),
            options => format!("`{name}` has the options {}", list(options.iter().copied())),
        };
        let problem = source.problem(line, format!("`{name}` has no option `{unknown}`"), hint);
        return Err(problem.coded(LintCode::UnknownName));
    }
    let options =
        helper.options.iter().map(|option| expression.hash.get(*option).map(resolve_one).transpose());
    let options = options.collect::<Result<Vec<_>, _>>()?;
    check_kinds(helper, &arguments).map_err(|(what, hint)| source.problem(line, what, hint))?;
    let prepared = helper.prepare.map_or(Ok(ReadOptions::Nothing), |prepare| prepare(&options));
    let prepared =
        prepared.map_err(|(what, hint)| source.problem(line, format!("`{name}`: {what}"), hint))?;
    let expression = Expression::Call(Box::new(HelperCall { helper, arguments, options, prepared }));
    let what = if name == "number" && calculation::is_no_number(&expression) {
        "what `number` is given here is never a number, whatever its values are"
    } else if calculation::is_joined(&expression) {
        "`join` writes a calculation with an amount, and it is sent as it is written"
    } else {
        return Ok(expression);
    };
    Err(source.problem(line, what.to_owned(), calculation::hint("`{{number value}}`")))
}

fn check_kinds(helper: &Helper, arguments: &[Expression]) -> Result<(), (String, String)> {
    let Some(wanted) = helper.wants else { return Ok(()) };
    if arguments.iter().all(|argument| argument.kind() == wanted) {
        return Ok(());
    }
    let fields = || list(FIELDS.iter().filter(|field| field.kind == wanted).map(|field| field.name));
    let (takes, hint) = match wanted {
        ValueKind::Time => ("a time", format!("times are {}", fields())),
        ValueKind::Truth => ("an answer, true or false", format!("answers are {}", fields())),
        _ => ("a text", "give it a text".to_owned()),
    };
    Err((format!("`{}` takes {takes}", helper.name), hint))
}

fn resolve_parameter(
    source: &CompileContext<'_>,
    parameter: &Parameter,
    line: usize,
) -> Result<Expression, Problem> {
    match parameter {
        Parameter::Literal(serde_json::Value::String(text)) => Ok(Expression::Text(text.clone())),
        Parameter::Literal(serde_json::Value::Bool(truth)) => Ok(Expression::Truth(*truth)),
        Parameter::Literal(serde_json::Value::Number(number)) => match number.as_i64() {
            Some(number) => Ok(Expression::Integer(number)),
            None => Err(source.problem(line, format!("`{number}` is no whole number"), "write it in quotes")),
        },
        Parameter::Literal(other) => {
            Err(source.problem(line, format!("`{other}` cannot be here"), "write a name or a text in quotes"))
        }
        Parameter::Subexpression(Subexpression { element, .. }) => match element.as_ref() {
            TemplateElement::Expression(inner) => resolve(source, inner, line),
            _ => Err(source.problem(line, "only a helper can be in parentheses".to_owned(), "fix it")),
        },
        _ => resolve_name(source, &written(parameter), line),
    }
}

fn resolve_name(source: &CompileContext<'_>, name: &str, line: usize) -> Result<Expression, Problem> {
    if let Some(setting) = name.strip_prefix("settings.") {
        return match source.settings.iter().position(|known| known == setting) {
            Some(index) => Ok(Expression::Setting(index)),
            None => {
                let hint = near(setting, source.settings.iter().map(String::as_str))
                    .unwrap_or_else(|| "declare it in destination.toml as a [[setting]]".to_owned());
                let problem = source.problem(line, format!("there is no setting `{setting}`"), hint);
                Err(problem.coded(LintCode::UnknownName))
            }
        };
    }
    fields::find(name).map(Expression::Field).ok_or_else(|| {
        let hint = match find_helper(name) {
            None if name == EVENTS => Some("`{{events}}` is in envelope.json.hbs, bare and once".to_owned()),
            Some(_) => Some(format!("`{name}` is a helper: give it what it works on")),
            None => near(name, FIELDS.iter().map(|field| field.name)),
        };
        let hint = hint.unwrap_or_else(|| format!("names: {}", list(FIELDS.iter().map(|field| field.name))));
        source.problem(line, format!("there is no `{name}`"), hint).coded(LintCode::UnknownName)
    })
}

fn near<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    did_you_mean(typed, known).map(|word| format!("did you mean `{word}`?"))
}

fn list<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    words.into_iter().collect::<Vec<_>>().join(", ")
}

fn written(parameter: &Parameter) -> String {
    match parameter {
        Parameter::Name(name) => name.clone(),
        Parameter::Path(Path::Relative((_, raw)) | Path::Local((_, _, raw))) => raw.clone(),
        Parameter::Literal(literal) => literal.to_string(),
        _ => "(…)".to_owned(),
    }
}

/// A line of text with values in it: a URL or a header.
pub(crate) struct TemplatedLine {
    pub parts: Vec<LinePart>,
    encoding: Encoding,
}

/// A stretch of it.
pub(crate) enum LinePart {
    Text(String),
    Value(Expression),
    /// As it is, whatever the encoding.
    Raw(Expression),
}

/// The line of a value that names what only an item has.
fn line_of_item(piece: &TemplatePiece) -> Option<usize> {
    match piece {
        TemplatePiece::Value { expression, line, .. } => fields::is_of_item(expression).then_some(*line),
        TemplatePiece::Text { .. } => None,
    }
}

/// How a [`TemplatedLine`] writes the values in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    None,
    /// Percent-encoded, but for what needs no encoding anywhere in a URL.
    Url,
    /// As it is: a parameter is encoded whole, with its name.
    Parameter,
}

/// A text as a value in a URL.
pub(crate) fn encoded(text: &str) -> percent_encoding::PercentEncode<'_> {
    percent_encoding::utf8_percent_encode(text, URL_VALUE)
}

/// All but the unreserved characters of RFC 3986.
const URL_VALUE: &percent_encoding::AsciiSet =
    &percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

impl TemplatedLine {
    /// Here a bare `{{name}}` is fine: everything becomes text, and absent is empty.
    pub(crate) fn parse(
        source: &CompileContext<'_>,
        text: &str,
        encoding: Encoding,
    ) -> Result<TemplatedLine, Vec<Problem>> {
        let part = |piece| match piece {
            TemplatePiece::Text { text, .. } => LinePart::Text(text),
            TemplatePiece::Value { expression: Expression::Call(mut call), .. }
                if call.helper.name == RAW =>
            {
                call.arguments.pop().map_or(LinePart::Text(String::new()), LinePart::Raw)
            }
            TemplatePiece::Value { expression, .. } => LinePart::Value(expression),
        };
        let (pieces, mut problems) = pieces(source, text);
        let is_raw = |piece: &TemplatePiece| match piece {
            TemplatePiece::Value { expression: Expression::Call(call), .. } => call.helper.name == RAW,
            _ => false,
        };
        if encoding == Encoding::Parameter && pieces.iter().any(is_raw) {
            let what = "`raw` is in a parameter, which is encoded once and whole".to_owned();
            problems.push(source.problem(1, what, "write the value without it"));
        }
        if let Some(line) = pieces.iter().find_map(line_of_item) {
            let (what, hint) = fields::OUTSIDE_OF_ITEMS;
            problems.push(source.problem(line, what.to_owned(), hint));
        }
        let calculates = match encoding {
            Encoding::None | Encoding::Parameter => calculation::in_header(&pieces),
            Encoding::Url => calculation::in_query(&pieces),
        };
        if calculates {
            let what = "it calculates with an amount, and is sent as it is written".to_owned();
            problems.push(source.problem(1, what, calculation::hint("`{{value}}`")));
        }
        if problems.is_empty() {
            Ok(TemplatedLine { parts: pieces.into_iter().map(part).collect(), encoding })
        } else {
            Err(problems)
        }
    }

    /// Whether `test` holds for anything in it.
    pub(crate) fn any(&self, test: &dyn Fn(&Expression) -> bool) -> bool {
        self.parts.iter().any(|part| match part {
            LinePart::Text(_) => false,
            LinePart::Value(expression) | LinePart::Raw(expression) => expression.any(test),
        })
    }

    /// What it begins with, as far as only the settings decide.
    pub(crate) fn beginning(&self, settings: &[Option<String>]) -> String {
        let mut beginning = String::new();
        for part in &self.parts {
            match part {
                LinePart::Text(text) => beginning.push_str(text),
                LinePart::Value(Expression::Setting(index)) | LinePart::Raw(Expression::Setting(index)) => {
                    beginning.push_str(settings.get(*index).and_then(Option::as_deref).unwrap_or_default());
                }
                LinePart::Value(_) | LinePart::Raw(_) => break,
            }
        }
        beginning
    }

    pub(crate) fn render(&self, scope: &RenderScope<'_>) -> String {
        let mut line = String::new();
        for part in &self.parts {
            match part {
                LinePart::Text(text) => line.push_str(text),
                LinePart::Raw(expression) => {
                    line.push_str(&expression.value(scope).into_text().unwrap_or_default());
                }
                LinePart::Value(expression) => {
                    let text = expression.value(scope).into_text().unwrap_or_default();
                    match self.encoding {
                        Encoding::None | Encoding::Parameter => line.push_str(&text),
                        Encoding::Url => line.extend(encoded(&text)),
                    }
                }
            }
        }
        line
    }

    /// The same, where every value in it is there.
    pub(crate) fn render_whole(&self, scope: &RenderScope<'_>) -> Option<String> {
        let is_there = |part: &LinePart| match part {
            LinePart::Text(_) => true,
            LinePart::Value(expression) | LinePart::Raw(expression) => {
                expression.value(scope).into_text().is_some()
            }
        };
        self.parts.iter().all(is_there).then(|| self.render(scope)).filter(|text| !text.is_empty())
    }
}
