//! The templates: what each source template reads, and what each destination template needs.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use crate::template::destination::definition::DestinationTemplate;
use crate::template::destination::file::SettingSpec;
use crate::template::source::definition::{Provenance, SourceTemplate};

/// Every template, the built-in ones and a user's own.
#[derive(Serialize)]
pub struct CatalogView<'a> {
    sources: Vec<SourceTemplateView<'a>>,
    destinations: Vec<DestinationTemplateView<'a>>,
}

impl<'a> CatalogView<'a> {
    pub fn of(
        sources: &'a [Arc<SourceTemplate>],
        destinations: &'a [Arc<DestinationTemplate>],
    ) -> CatalogView<'a> {
        CatalogView {
            sources: sources.iter().map(|template| SourceTemplateView::of(template)).collect(),
            destinations: destinations.iter().map(|template| DestinationTemplateView::of(template)).collect(),
        }
    }
}

/// How a network writes its postbacks.
#[derive(Serialize)]
struct SourceTemplateView<'a> {
    name: &'a str,
    docs: &'a str,
    currency: &'static str,
    extra_parameters: Vec<&'a str>,
    link_parameter: Option<&'a str>,
    link_query: &'a [String],
    provenance: Vec<ProvenanceView<'a>>,
}

impl<'a> SourceTemplateView<'a> {
    fn of(template: &'a SourceTemplate) -> SourceTemplateView<'a> {
        let is_mapped = template.maps_currency();
        SourceTemplateView {
            name: template.name(),
            docs: template.docs(),
            currency: if is_mapped { "from the postback" } else { "from the configuration" },
            extra_parameters: template.extra_params(),
            link_parameter: template.link_param(),
            link_query: template.link_query(),
            provenance: template.provenance().iter().map(ProvenanceView::of).collect(),
        }
    }
}

/// Where a fact of a template is documented.
#[derive(Serialize)]
struct ProvenanceView<'a> {
    what: &'a str,
    source: &'a str,
    date: &'a str,
}

impl<'a> ProvenanceView<'a> {
    fn of(fact: &'a Provenance) -> ProvenanceView<'a> {
        ProvenanceView { what: &fact.what, source: &fact.source, date: &fact.date }
    }
}

/// How a platform receives events.
#[derive(Serialize)]
struct DestinationTemplateView<'a> {
    name: &'a str,
    label: &'a str,
    docs: &'a str,
    settings: Vec<SettingView<'a>>,
    events: &'a BTreeMap<String, String>,
    landing_params: &'a [String],
    cookies: &'a [String],
    has_test_mode: bool,
}

impl<'a> DestinationTemplateView<'a> {
    fn of(template: &'a DestinationTemplate) -> DestinationTemplateView<'a> {
        DestinationTemplateView {
            name: template.name(),
            label: template.label(),
            docs: template.docs(),
            settings: template.settings().iter().map(SettingView::of).collect(),
            events: template.events(),
            landing_params: template.landing_params(),
            cookies: template.cookies(),
            has_test_mode: template.has_test_mode(),
        }
    }
}

/// A setting that a destination of a template has.
#[derive(Serialize)]
struct SettingView<'a> {
    name: &'a str,
    label: &'a str,
    required: bool,
    secret: bool,
    secret_path: bool,
}

impl<'a> SettingView<'a> {
    fn of(setting: &'a SettingSpec) -> SettingView<'a> {
        let SettingSpec { name, label, required, secret, secret_path, .. } = setting;
        SettingView { name, label, required: *required, secret: *secret, secret_path: *secret_path }
    }
}
