//! A destination that a template describes, with its settings, compiled once. Renders requests, classifies replies.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::sync::Arc;

use url::Url;

use crate::domain::click::{Click, Pairs, is_covered};
use crate::domain::delivery::{OutgoingRequest, Reply};
use crate::domain::event::EventName;
use crate::domain::ids::DeliveryId;
use crate::domain::sent::SentEvent;
use crate::domain::skip::{ClickParts, SkipReason};
use crate::domain::time::Time;
use crate::template::destination::auth::Credentials;
use crate::template::destination::batch::BatchVerdict;
use crate::template::destination::compile::TemplatedLine;
use crate::template::destination::definition::DestinationTemplate;
use crate::template::destination::digest::SigningKey;
use crate::template::destination::envelope::{self, AssembledRequest, EventPart, RequestHead};
use crate::template::destination::expiring::ExpiringSetting;
use crate::template::destination::expression::RenderScope;
use crate::template::destination::file::{SettingKind, SettingSpec};
use crate::template::destination::normalize::place;
use crate::template::destination::payload::MAX_PAYLOAD_BYTES;
use crate::template::destination::rendering::{DestinationMode, RenderInput, Rendered, Rendering};
use crate::template::destination::require::WrittenParts;
use crate::template::destination::spec::{DestinationSpec, SpecPart, SpecProblem};
use crate::template::diagnostic::{Problem, did_you_mean};

/// A template and the settings of one account.
pub(crate) struct Templated {
    pub(crate) template: Arc<DestinationTemplate>,
    endpoint: Option<String>,
    /// In the order the template declares them; absent ones are `None`.
    settings: Vec<Option<String>>,
    events: BTreeMap<EventName, String>,
    pub(crate) secrets: Vec<String>,
    credentials: Credentials,
    /// Whether anything of the template names the conversion's value.
    says_value: bool,
}

impl Templated {
    /// Joins a template and its settings.
    ///
    /// # Errors
    /// Every missing, unknown or unreadable setting at once; test mode without what it needs; an
    /// endpoint that is no web address.
    pub(crate) fn build(spec: DestinationSpec) -> Result<Templated, Vec<SpecProblem>> {
        let mut problems = Vec::new();
        let specs = spec.template.settings();
        for name in spec.settings.keys().filter(|name| !specs.iter().any(|known| known.name == **name)) {
            problems.push(SpecProblem::of_setting(name, unknown_setting(name, specs)));
        }
        let settings: Vec<Option<String>> =
            specs.iter().map(|known| value_of(known, &spec.settings)).collect();
        for (known, value) in specs.iter().zip(&settings) {
            let wrong = check_setting(known, value.as_deref()).err();
            problems.extend(wrong.map(|problem| SpecProblem::of_setting(&known.name, problem)));
        }
        problems.extend(check_test_mode(&spec, &settings));
        let endpoint =
            spec.endpoint.as_deref().map(|endpoint| endpoint.trim().trim_end_matches('/').to_owned());
        let wrong = endpoint.as_deref().and_then(|endpoint| check_web_address("endpoint", endpoint).err());
        problems.extend(wrong.map(|problem| SpecProblem { part: SpecPart::Endpoint, problem }));
        let events = events(&spec.events, &mut problems);
        if !problems.is_empty() {
            return Err(problems);
        }
        let given = specs.iter().zip(&settings).filter_map(|(known, value)| Some((known, value.as_deref()?)));
        let credentials = Credentials::of(spec.template.auth(), &settings);
        let secrets =
            given.flat_map(|(known, value)| secrets_of(known, value)).chain(credentials.derived.clone());
        let secrets = secrets.flat_map(spellings).collect();
        let template = spec.template;
        let says_value = template.names("value");
        Ok(Templated { template, endpoint, settings, events, secrets, credentials, says_value })
    }

    /// What reports a conversion to the platform, or why nothing is to be sent. The same input gives the same bytes.
    ///
    /// # Errors
    /// Where the settings and values make no usable request: a URL that is none, a header with a
    /// line break, a payload beyond 256 KiB.
    pub(crate) fn render(
        &self,
        input: &RenderInput<'_>,
        mode: DestinationMode,
    ) -> Result<Rendering<EventPart>, Problem> {
        let event = &input.conversion.event;
        let Some(event_name) = self.event_name(event) else {
            let reason = SkipReason::EventNotNamed { event: event.clone() };
            return Ok(Rendering { rendered: Rendered::Skip { reason }, remarks: Vec::new() });
        };
        let scope = RenderScope {
            conversion: input.conversion,
            click: input.click,
            delivery: input.delivery,
            now: input.now,
            event_name,
            settings: &self.settings,
            test: mode == DestinationMode::Test,
            customer: input.customer,
            item: Cell::default(),
            left_out: RefCell::default(),
        };
        let rendered = self.render_in(&scope)?;
        Ok(Rendering { rendered, remarks: scope.left_out.into_inner() })
    }

    fn render_in(&self, scope: &RenderScope<'_>) -> Result<Rendered<EventPart>, Problem> {
        let template = self.template.body(scope.conversion.event.as_str());
        let payload = template.and_then(|template| template.payload.as_ref());
        let written = payload.map(|payload| payload.write(scope));
        let (query, form) = (self.template.query.render(scope), self.template.form.render(scope));
        let parts = WrittenParts { payload: written.as_ref(), query: &query, form: &form };
        let click = || self.click_parts(scope.click);
        let requirements = template.map(|template| template.requirements.as_slice()).unwrap_or_default();
        let mut refusals =
            requirements.iter().filter_map(|rule| rule.refusal(scope.event_name, &parts, click));
        if let Some(reason) = refusals.next() {
            return Ok(Rendered::Skip { reason });
        }
        let body = match written {
            Some(written) => check_size(written.bytes)?,
            None if self.template.form.is_empty() => Vec::new(),
            None => check_size(form.encoded().into_bytes())?,
        };
        let url = with_query(with_query(self.url(scope)?, &query.encoded()), self.credentials.query());
        let headers = self.headers(scope)?;
        let envelope = self.template.envelope.as_ref().map(|envelope| envelope.write(scope)).transpose()?;
        let method = self.template.file.request.method.clone();
        let part = EventPart { head: RequestHead { method, url, headers }, envelope, body };
        let sent = self.sent(scope, &part);
        Ok(Rendered::Request(part, Box::new(sent)))
    }

    /// The request that carries these events, which join one another. `delivery`: of the first of them. The same input
    /// gives the same bytes, but for signatures, which carry the time.
    pub(crate) fn assemble(
        &self,
        parts: &[&EventPart],
        delivery: &DeliveryId,
        now: Time,
    ) -> AssembledRequest {
        let head = parts.first().map(|part| part.head.clone()).unwrap_or_default();
        let RequestHead { method, url, headers } = head;
        let (body, events) = envelope::body_of(parts);
        let content_type = &self.template.file.request.content_type;
        let content_type = Some(content_type).filter(|_| !body.is_empty()).filter(|name| !name.is_empty());
        let content_type = content_type.map(|name| ("content-type".to_owned(), name.clone()));
        let credentials = self.credentials.headers(delivery, now, &body);
        let headers = content_type.into_iter().chain(headers).chain(credentials).collect();
        let secrets = self.secrets.clone();
        AssembledRequest { request: OutgoingRequest { method, url, headers, body, secrets }, events }
    }

    /// What a request says of the conversion.
    fn sent(&self, scope: &RenderScope<'_>, part: &EventPart) -> SentEvent {
        let conversion = scope.conversion;
        let is_in = |value: &str| {
            let is_in = |text: &[u8]| memchr::memmem::find(text, value.as_bytes()).is_some();
            !value.is_empty() && part.texts().any(is_in)
        };
        let named = |pairs: &'_ Pairs, names: &[String]| -> Pairs {
            let known = pairs.iter().filter(|(name, value)| is_named(names, name) && is_in(value));
            known.cloned().collect()
        };
        let of_click = |click: &Click| {
            let mut ids = named(&click.params, self.template.landing_params());
            ids.extend(named(&click.cookies, self.template.cookies()));
            ids
        };
        SentEvent {
            event: scope.event_name.to_owned(),
            value: conversion.value.filter(|_| self.says_value),
            event_time: conversion.event_time.min(scope.now),
            event_id: conversion.id.event_id(),
            ids: scope.click.map(of_click).unwrap_or_default(),
            reply: Pairs::new(),
        }
    }

    /// Where a secret is sent to, as far as the settings alone decide; `None` where none is sent. A key
    /// that only signs does not leave.
    pub(crate) fn secrets_go_to(&self) -> Option<Url> {
        let specs = self.template.settings();
        let is_sent = |number: usize, spec: &SettingSpec| {
            self.template.auth().iter().any(|auth| auth.sends(number))
                || (spec.secret && self.template.sends_setting(number))
        };
        let set = specs.iter().zip(&self.settings).enumerate();
        let mut set = set.filter_map(|(number, (spec, value))| Some((number, spec, value.as_deref()?)));
        let sends = set.any(|(number, spec, value)| {
            is_sent(number, spec) || (spec.secret_path && !secrets_of(spec, value).is_empty())
        });
        let beginning = self.template.url.beginning(&self.settings);
        let url = Url::parse(self.endpoint.as_deref().unwrap_or(&beginning)).ok();
        url.filter(|_| sends)
    }

    /// The settings in use whose value the platform takes only until a day.
    pub(crate) fn expiring(&self) -> Vec<ExpiringSetting> {
        let settings = self.template.settings().iter().zip(&self.settings);
        settings.filter_map(|(spec, used)| ExpiringSetting::of(spec, used.as_deref())).collect()
    }

    /// What a reply means. No secret that the platform echoes is quoted in a reason.
    pub(crate) fn classify(&self, reply: &Reply, sent: usize, now: Time) -> BatchVerdict {
        let mut verdict = self.template.file.batch.classify(self.template.reply(), reply, sent, now);
        for quoted in verdict.quoted_mut() {
            for secret in &self.secrets {
                *quoted = quoted.replace(secret.as_str(), "***");
            }
        }
        verdict
    }

    fn event_name<'a>(&'a self, event: &'a EventName) -> Option<&'a str> {
        let own = self.events.get(event).map(String::as_str);
        own.or_else(|| self.template.event_name(event.as_str()))
    }

    /// What to record of a click, for an event that lacks what only its click can bring.
    fn click_parts(&self, found: Option<&Click>) -> ClickParts {
        let template = &self.template;
        ClickParts {
            click: found.map(|click| click.id.clone()),
            params: template.landing_params().to_vec(),
            cookies: template.cookies().to_vec(),
        }
    }

    fn url(&self, scope: &RenderScope<'_>) -> Result<String, Problem> {
        let url = self.template.url.render(scope);
        let Some(endpoint) = &self.endpoint else {
            check_web_address("url", &url)?;
            return Ok(url);
        };
        let after_scheme = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest);
        let path = after_scheme.find(['/', '?']).and_then(|at| after_scheme.get(at..)).unwrap_or_default();
        Ok(format!("{endpoint}{path}"))
    }

    /// Those of the template. What the account signs in with is added by [`Templated::assemble`].
    fn headers(&self, scope: &RenderScope<'_>) -> Result<Vec<(String, String)>, Problem> {
        let render = |(name, line): &(String, TemplatedLine)| (name.clone(), line.render(scope));
        let headers: Vec<_> = self.template.headers.iter().map(render).collect();
        match headers.iter().find(|(_, value)| value.contains(|c: char| c.is_control())) {
            Some((name, _)) => {
                Err(Problem::new(format!("the header `{name}` holds a control character"), "fix the setting"))
            }
            None => Ok(headers),
        }
    }
}

/// Whether one of the names that a template declares is this one, or covers it.
fn is_named(names: &[String], name: &str) -> bool {
    names.iter().any(|known| is_covered(known, name.as_bytes()))
}

/// The fewest characters behind a host that are kept secret: fewer are no key, and to mask such a word
/// wherever it is would spoil what is shown.
const SHORTEST_SECRET_PATH: usize = 8;

/// What of a setting's value is never shown. Of an address with a secret path all that is behind
/// the host; its path and the values of its query by themselves too, for answers name them like that.
fn secrets_of(spec: &SettingSpec, value: &str) -> Vec<String> {
    if spec.secret {
        return vec![value.to_owned()];
    }
    if !spec.secret_path {
        return Vec::new();
    }
    let after_scheme = value.split_once("://").map_or(value, |(_, rest)| rest);
    let (authority, behind) = match after_scheme.find(['/', '?', '#']) {
        Some(at) => after_scheme.split_at(at),
        None => (after_scheme, ""),
    };
    let behind = behind.trim_start_matches('/');
    let (path, query) = behind.split_once(['?', '#']).unwrap_or((behind, ""));
    let values = query.split(['&', '#']).map(|pair| pair.split_once('=').map_or(pair, |(_, value)| value));
    let login = authority.rsplit_once('@').map(|(login, _)| login);
    let long = [behind, path].into_iter().chain(values).filter(|text| text.len() >= SHORTEST_SECRET_PATH);
    long.chain(login).map(str::to_owned).collect()
}

/// A secret as it is, and as it is inside a JSON text where that differs.
fn spellings(secret: String) -> Vec<String> {
    let quoted = serde_json::Value::from(secret.as_str()).to_string();
    let escaped = quoted.trim_matches('"').to_owned();
    if escaped == secret { vec![secret] } else { vec![secret, escaped] }
}

/// The URL with more parameters in its query.
fn with_query(mut url: String, query: &str) -> String {
    if query.is_empty() {
        return url;
    }
    match url.find('?') {
        Some(at) if at + 1 == url.len() || url.ends_with('&') => {}
        Some(_) => url.push('&'),
        None => url.push('?'),
    }
    url + query
}

fn check_size(written: Vec<u8>) -> Result<Vec<u8>, Problem> {
    let size = written.len();
    if size == 0 {
        return Err(Problem::new("the payload is empty", "name values in the template that are known"));
    }
    if size > MAX_PAYLOAD_BYTES {
        let what = format!("the payload has {size} bytes; {MAX_PAYLOAD_BYTES} are allowed");
        return Err(Problem::new(what, "leave long parameters out of the template"));
    }
    Ok(written)
}

fn unknown_setting(name: &str, specs: &[SettingSpec]) -> Problem {
    let known = || specs.iter().map(|spec| spec.name.as_str());
    let hint = match did_you_mean(name, known()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("settings are {}", known().collect::<Vec<_>>().join(", ")),
    };
    Problem::new(format!("there is no setting `{name}`"), hint)
}

fn value_of(spec: &SettingSpec, given: &BTreeMap<String, String>) -> Option<String> {
    let given = given.get(&spec.name).map(|value| value.trim()).filter(|value| !value.is_empty());
    given.map(str::to_owned).or_else(|| spec.default.clone())
}

/// Never shows a value: it may be a secret.
fn check_setting(spec: &SettingSpec, value: Option<&str>) -> Result<(), Problem> {
    let name = &spec.name;
    let Some(value) = value else {
        if !spec.required {
            return Ok(());
        }
        let what = format!("the setting `{name}` ({}) is missing", spec.label);
        return Err(Problem::new(what, spec.hint.clone()));
    };
    if value.chars().any(char::is_control) {
        let what = format!("the setting `{name}` holds a control character");
        return Err(Problem::new(what, "paste it again as one line"));
    }
    match spec.kind {
        SettingKind::Text => Ok(()),
        SettingKind::Digits if value.bytes().all(|b| b.is_ascii_digit()) => Ok(()),
        SettingKind::Digits => {
            Err(Problem::new(format!("the setting `{name}` holds more than digits"), spec.hint.clone()))
        }
        SettingKind::Url => check_web_address(name, value),
        SettingKind::Country => place::country(value).map(drop).map_err(|_| {
            Problem::new(format!("the setting `{name}` is no country"), "write two letters, as in \"US\"")
        }),
        SettingKind::SigningKey => SigningKey::parse(value).map(|_| ()).map_err(|wrong| {
            let hint = "a signing key is `whsec_` and base64 of 24 to 64 bytes";
            Problem::new(format!("the setting `{name}` is no signing key: {wrong}"), hint)
        }),
    }
}

fn check_web_address(name: &str, text: &str) -> Result<(), Problem> {
    let url = Url::parse(text).ok();
    match url.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host()) {
        Some(_) => Ok(()),
        None => Err(Problem::new(
            format!("`{name}` is no web address"),
            "write it whole, as in https://example.com/path",
        )),
    }
}

fn check_test_mode(spec: &DestinationSpec, settings: &[Option<String>]) -> Vec<SpecProblem> {
    if spec.mode != DestinationMode::Test {
        return Vec::new();
    }
    let Some(test) = &spec.template.file.test else {
        let what = format!("`{}` has no test mode", spec.template.name());
        let problem = Problem::new(what, "use mode = \"shadow\" to see requests without sending them");
        return vec![SpecProblem { part: SpecPart::Mode, problem }];
    };
    let specs = spec.template.settings();
    let missing = test.needs.iter().filter(|index| matches!(settings.get(**index), Some(None)));
    missing
        .filter_map(|index| specs.get(*index))
        .map(|setting| {
            let what = format!("test mode needs the setting `{}` ({})", setting.name, setting.label);
            let problem = Problem::new(what, setting.hint.clone());
            SpecProblem { part: SpecPart::TestSetting(setting.name.clone()), problem }
        })
        .collect()
}

fn events(given: &BTreeMap<String, String>, problems: &mut Vec<SpecProblem>) -> BTreeMap<EventName, String> {
    let mut events = BTreeMap::new();
    for (ours, theirs) in given {
        match EventName::parse(ours) {
            Some(event) if !theirs.trim().is_empty() => {
                events.insert(event, theirs.trim().to_owned());
            }
            Some(_) => problems.push(SpecProblem::of_event(
                ours,
                Problem::new(
                    format!("the event `{ours}` has an empty name at the destination"),
                    "name it, or route it away by `only`",
                ),
            )),
            None => problems.push(SpecProblem::of_event(
                ours,
                Problem::new(format!("`{ours}` is no event name"), "an event name has 1 to 64 characters"),
            )),
        }
    }
    events
}
