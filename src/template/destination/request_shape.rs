//! What a template's requests are made by, and what they name: those of events, of changes and of late events.

use crate::template::destination::compile::TemplatedLine;
use crate::template::destination::definition::{ALL_EVENTS, DestinationTemplate};
use crate::template::destination::envelope::Envelope;
use crate::template::destination::expression::Expression;
use crate::template::destination::parameters::ParameterTable;
use crate::template::destination::request_variant::RequestVariant;
use crate::template::destination::require::EventBody;

/// What a request of one event is made by.
pub(crate) struct RequestShape<'t> {
    pub method: &'t str,
    pub url: &'t TemplatedLine,
    pub query: &'t ParameterTable,
    /// `None`: the template has no request for the event.
    pub body: Option<&'t EventBody>,
    pub envelope: Option<&'t Envelope>,
}

impl DestinationTemplate {
    /// Whether any payload, the URL or a header reads the value of this name.
    pub(crate) fn names(&self, name: &str) -> bool {
        self.any(&|expression| is_field(expression, name))
    }

    /// The same of requests of this variant alone; `None`: of events' own.
    pub(crate) fn request_names(&self, variant: Option<&RequestVariant>, name: &str) -> bool {
        self.any_of(variant, &|expression| is_field(expression, name))
    }

    /// Whether any payload, the URL or a header holds the setting with this number.
    pub(crate) fn sends_setting(&self, number: usize) -> bool {
        self.any(&|expression| matches!(expression, Expression::Setting(index) if *index == number))
    }

    /// Whether `test` holds for anything in any payload, the URL, a parameter or a header.
    pub(crate) fn any(&self, test: &dyn Fn(&Expression) -> bool) -> bool {
        let variants = [&self.change, &self.late].into_iter().flatten().map(Some);
        std::iter::once(None).chain(variants).any(|variant| self.any_of(variant, test))
    }

    /// Whether it holds for anything in the requests of one variant; `None`: in events' own.
    fn any_of(&self, variant: Option<&RequestVariant>, test: &dyn Fn(&Expression) -> bool) -> bool {
        let events = self.bodies.iter();
        let has_body = variant.is_some_and(RequestVariant::has_body);
        let shape = self.shape(variant, ALL_EVENTS);
        let bodies = shape.body.into_iter().filter(|_| has_body).chain(events.filter(|_| !has_body));
        bodies.filter_map(|body| body.payload.as_ref()).any(|payload| payload.any(test))
            || shape.url.any(test)
            || shape.query.any(test)
            || self.form.any(test)
            || self.headers.iter().any(|(_, line)| line.any(test))
            || shape.envelope.is_some_and(|envelope| envelope.any(test))
    }

    /// What a request for our event is made by, where it is of this variant; `None`: it is the event's own.
    pub(crate) fn shape<'t>(&'t self, variant: Option<&'t RequestVariant>, event: &str) -> RequestShape<'t> {
        let address = variant.and_then(|variant| variant.address.as_ref());
        let (url, query) = address.map_or((&self.url, &self.query), |(url, query)| (url, query));
        RequestShape {
            method: variant
                .and_then(|variant| variant.method.as_deref())
                .unwrap_or(&self.file.request.method),
            url,
            query,
            body: variant.and_then(|variant| variant.body.as_ref()).or_else(|| self.body(event)),
            envelope: variant.and_then(|variant| variant.envelope.as_ref()).or(self.envelope.as_ref()),
        }
    }

    /// Where requests are sent to.
    pub(crate) fn urls(&self) -> impl Iterator<Item = &TemplatedLine> {
        let variants = [&self.change, &self.late].into_iter().flatten();
        std::iter::once(&self.url).chain(variants.filter_map(RequestVariant::url))
    }
}

fn is_field(expression: &Expression, name: &str) -> bool {
    matches!(expression, Expression::Field(field) if field.name == name)
}
