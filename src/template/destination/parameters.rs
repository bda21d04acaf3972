//! Tables of names and values: the parameters of a request's query, and those of a form.

use std::fmt::Write;

use crate::template::destination::compile::{CompileContext, Encoding, TemplatedLine, encoded};
use crate::template::destination::expression::{Expression, RenderScope};
use crate::template::diagnostic::Problem;
use crate::template::toml_doc::text::Text;

/// `name = "{{value}}"`, in the order of the file.
#[derive(Default)]
pub(crate) struct ParameterTable(pub Vec<(String, TemplatedLine)>);

/// What each parameter of a table is, in its order; `None` where a value in it is absent: it is left out.
pub(crate) struct RenderedParameters<'a> {
    table: &'a ParameterTable,
    values: Vec<Option<String>>,
}

impl ParameterTable {
    /// Compiles a table of a `destination.toml`.
    pub(crate) fn parse(
        place: (&str, &[String]),
        table: &[(String, Text)],
    ) -> Result<ParameterTable, Vec<Problem>> {
        let (file, settings) = place;
        let (mut parameters, mut problems) = (Vec::with_capacity(table.len()), Vec::new());
        for (name, text) in table {
            let source = CompileContext { file, first_line: text.line, settings, is_envelope: false };
            match TemplatedLine::parse(&source, &text.value, Encoding::Parameter) {
                Ok(line) => parameters.push((name.clone(), line)),
                Err(found) => problems.extend(found),
            }
        }
        if problems.is_empty() { Ok(ParameterTable(parameters)) } else { Err(problems) }
    }

    /// The number of a parameter.
    pub(crate) fn number(&self, name: &str) -> Option<usize> {
        self.0.iter().position(|(known, _)| known == name)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `test` holds for anything in it.
    pub(crate) fn any(&self, test: &dyn Fn(&Expression) -> bool) -> bool {
        self.0.iter().any(|(_, line)| line.any(test))
    }

    pub(crate) fn render(&self, scope: &RenderScope<'_>) -> RenderedParameters<'_> {
        let values = self.0.iter().map(|(_, line)| line.render_whole(scope)).collect();
        RenderedParameters { table: self, values }
    }
}

impl RenderedParameters<'_> {
    /// The value of the parameter with this number, not encoded.
    pub(crate) fn value(&self, number: usize) -> Option<&str> {
        self.values.get(number)?.as_deref()
    }

    /// All that are there, percent-encoded, as in a query or a form: `a=1&b=two%20words`.
    pub(crate) fn encoded(&self) -> String {
        let mut text = String::new();
        for ((name, _), value) in self.table.0.iter().zip(&self.values) {
            let Some(value) = value else { continue };
            let between = if text.is_empty() { "" } else { "&" };
            // Writing to a text cannot fail.
            let _ = write!(text, "{between}{}={}", encoded(name), encoded(value));
        }
        text
    }
}
