//! A destination that a template describes, with its settings, compiled once. Renders requests, classifies replies.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use url::Url;

use crate::domain::change::as_known;
use crate::domain::change_rules::ChangeRules;
use crate::domain::click::Click;
use crate::domain::conversion::Conversion;
use crate::domain::delivery::{OutgoingRequest, Reply};
use crate::domain::event::EventName;
use crate::domain::ids::DeliveryId;
use crate::domain::sent::DeliveryKind;
use crate::domain::skip::{ClickParts, SkipReason};
use crate::domain::test_event::{MissingSetting, TestRefused};
use crate::domain::time::Time;
use crate::template::destination::account_settings::{
    change_rules, check_setting, check_test_mode, check_web_address, events, secrets_of, sign_in, spellings,
    unknown_setting, value_of,
};
use crate::template::destination::auth::Credentials;
use crate::template::destination::batch::BatchVerdict;
use crate::template::destination::compile::TemplatedLine;
use crate::template::destination::definition::DestinationTemplate;
use crate::template::destination::envelope::{self, AssembledRequest, EventPart, RequestHead};
use crate::template::destination::expiring::ExpiringSetting;
use crate::template::destination::expression::RenderScope;
use crate::template::destination::file::SettingSpec;
use crate::template::destination::origins::{self, OriginTable};
use crate::template::destination::payload::MAX_PAYLOAD_BYTES;
use crate::template::destination::rendering::{DestinationMode, RenderInput, Rendered, Rendering};
use crate::template::destination::request_variant::RequestVariant;
use crate::template::destination::require::WrittenParts;
use crate::template::destination::sign_in::AccountSignIn;
use crate::template::destination::spec::{DestinationSpec, SpecPart, SpecProblem};
use crate::template::diagnostic::Problem;

/// A template and the settings of one account.
pub(crate) struct Templated {
    pub(crate) template: Arc<DestinationTemplate>,
    endpoint: Option<String>,
    /// In the order the template declares them; absent ones are `None`.
    settings: Vec<Option<String>>,
    events: BTreeMap<EventName, String>,
    pub(crate) secrets: Vec<String>,
    credentials: Credentials,
    /// How it is given the token that its requests carry.
    pub(crate) sign_in: Option<AccountSignIn>,
    /// Whether a request of the event, of a change and of a late event names the conversion's value.
    pub(crate) says_value: [bool; 3],
    /// What the platform can be informed of after it was sent a conversion.
    pub(crate) changes: ChangeRules,
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
        let sign_in = sign_in(&spec, &settings, &mut problems);
        let changes =
            change_rules(&spec).map_err(|problem| problems.push(problem)).unwrap_or(ChangeRules::NONE);
        if !problems.is_empty() {
            return Err(problems);
        }
        let given = specs.iter().zip(&settings).filter_map(|(known, value)| Some((known, value.as_deref()?)));
        let credentials = Credentials::of(spec.template.auth(), &settings);
        let secrets =
            given.flat_map(|(known, value)| secrets_of(known, value)).chain(credentials.derived.clone());
        let secrets = secrets.flat_map(spellings).collect();
        let template = spec.template;
        let variants = [None, template.change.as_ref(), template.late.as_ref()];
        let says_value = variants.map(|variant| template.request_names(variant, "value"));
        Ok(Templated {
            template,
            endpoint,
            settings,
            events,
            secrets,
            credentials,
            sign_in,
            says_value,
            changes,
        })
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
        // Of what it was sent the platform is informed by the names that it was sent with, whatever they are now.
        let known =
            input.sent.filter(|_| matches!(input.kind, DeliveryKind::Restate | DeliveryKind::Retract));
        let as_known = known.map(|sent| as_known(input.conversion, input.kind, sent));
        let event_name = known.map(|sent| sent.event.as_str()).or_else(|| self.event_name(event));
        let Some(event_name) = event_name else {
            let reason = SkipReason::EventNotMapped { event: event.clone() };
            return Ok(Rendering { rendered: Rendered::Skip { reason }, remarks: Vec::new() });
        };
        let conversion = as_known.as_ref().unwrap_or(input.conversion);
        let scope = self.scope((input, conversion), event_name, mode);
        let rendered = self.render_in(&scope)?;
        Ok(Rendering { rendered, remarks: scope.left_out.into_inner() })
    }

    /// Of a conversion as it is, or as it was sent.
    fn scope<'a>(
        &'a self,
        (input, conversion): (&RenderInput<'a>, &'a Conversion),
        event_name: &'a str,
        mode: DestinationMode,
    ) -> RenderScope<'a> {
        RenderScope {
            conversion,
            click: input.click,
            delivery: input.delivery,
            kind: input.kind,
            sent: input.sent,
            now: input.now,
            event_name,
            settings: &self.settings,
            test: mode == DestinationMode::Test,
            customer: input.customer,
            item: Cell::default(),
            left_out: RefCell::default(),
        }
    }

    /// Of what each value of a request is made; nothing where it has no name for the event.
    pub(crate) fn origins(&self, input: &RenderInput<'_>, mode: DestinationMode) -> OriginTable {
        let Some(event_name) = self.event_name(&input.conversion.event) else { return OriginTable::new() };
        let scope = self.scope((input, input.conversion), event_name, mode);
        let form = self.change(&scope).or_else(|| self.late(&scope));
        origins::of_request(&self.template, form, &scope)
    }

    /// Whether a test event can be sent, whatever the destination's mode.
    pub(crate) fn check_test_mode(&self) -> Result<(), TestRefused> {
        let Some(test) = &self.template.file.test else { return Err(TestRefused::NoTestMode) };
        let unset = test.needs.iter().filter(|index| matches!(self.settings.get(**index), Some(None)));
        let missing =
            unset.filter_map(|index| self.template.settings().get(*index)).map(|setting| MissingSetting {
                name: setting.name.clone(),
                label: setting.label.clone(),
                hint: setting.hint.clone(),
            });
        let missing: Vec<MissingSetting> = missing.collect();
        if missing.is_empty() { Ok(()) } else { Err(TestRefused::SettingMissing(missing)) }
    }

    /// Our names of the events that it has a name for, in their order.
    pub(crate) fn event_names(&self) -> Vec<&str> {
        let own = self.events.keys().map(EventName::as_str);
        let all: BTreeSet<&str> = own.chain(self.template.events().keys().map(String::as_str)).collect();
        all.into_iter().collect()
    }

    /// The first setting that can expire, else the one that is called so, as it is used, and from when.
    pub(crate) fn version(&self) -> Option<(&str, Option<Time>)> {
        let settings = || self.template.settings().iter().zip(&self.settings);
        let expires = settings().find(|(spec, _)| spec.expires.is_some());
        let (spec, used) = expires.or_else(|| settings().find(|(spec, _)| spec.name == VERSION))?;
        let used = used.as_deref()?;
        Some((used, ExpiringSetting::of(spec, Some(used)).map(|expiring| expiring.expires)))
    }

    /// The form of a change; `None`: it is an event, or looks like one.
    fn change(&self, scope: &RenderScope<'_>) -> Option<&RequestVariant> {
        self.template.change.as_ref().filter(|_| scope.kind.is_change())
    }

    /// The form of an event that is late; `None`: it is none, or the account lacks what that needs.
    fn late(&self, scope: &RenderScope<'_>) -> Option<&RequestVariant> {
        let (spec, form) = (self.template.file.late.as_ref()?, self.template.late.as_ref()?);
        let age = scope.now.millis_since(scope.conversion.event_time);
        let has = |number: &usize| matches!(self.settings.get(*number), Some(Some(_)));
        (!scope.kind.is_change() && age >= spec.after_ms && spec.needs.iter().all(has)).then_some(form)
    }

    fn render_in(&self, scope: &RenderScope<'_>) -> Result<Rendered<EventPart>, Problem> {
        let (change, late) = (self.change(scope), self.late(scope));
        let mut shape = self.template.shape(change, scope.conversion.event.as_str());
        let mut form = self.template.form.render(scope);
        let mut written = shape.body.and_then(|body| Some(body.payload.as_ref()?.write(scope)));
        let mut query = shape.query.render(scope);
        let parts = WrittenParts { payload: written.as_ref(), query: &query, form: &form };
        let click = || self.click_parts(scope.click);
        let requirements = shape.body.map(|body| body.requirements.as_slice()).unwrap_or_default();
        let mut refusals =
            requirements.iter().filter_map(|rule| rule.refusal(scope.event_name, &parts, click));
        if let Some(reason) = refusals.next() {
            return Ok(Rendered::Skip { reason });
        }
        if late.is_some() {
            // What is left out of the request that is not sent is no one's concern.
            scope.left_out.borrow_mut().clear();
            shape = self.template.shape(late, scope.conversion.event.as_str());
            written = shape.body.and_then(|body| Some(body.payload.as_ref()?.write(scope)));
            query = shape.query.render(scope);
            form = self.template.form.render(scope);
        }
        let body = match written {
            Some(written) => check_size(written.bytes)?,
            None if self.template.form.is_empty() => Vec::new(),
            None => check_size(form.encoded().into_bytes())?,
        };
        let url = self.url(shape.url, scope)?;
        let url = with_query(with_query(url, &query.encoded()), self.credentials.query());
        let headers = self.headers(scope)?;
        let envelope = shape.envelope.map(|envelope| envelope.write(scope)).transpose()?;
        let head = RequestHead { method: shape.method.to_owned(), url, headers };
        let part = EventPart { head, envelope, body, is_late: late.is_some() };
        let sent = self.said(scope, &part);
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
        // Its place: the token takes it where the request leaves.
        let token = self.sign_in.as_ref().map(|_| ("authorization".to_owned(), "Bearer ***".to_owned()));
        let headers = content_type.into_iter().chain(headers).chain(credentials).chain(token).collect();
        let secrets = self.secrets.clone();
        AssembledRequest { request: OutgoingRequest { method, url, headers, body, secrets }, events }
    }

    /// Where secrets are sent to, as far as the settings alone decide; none where none is sent. A key that only signs
    /// does not leave.
    pub(crate) fn secrets_go_to(&self) -> Vec<Url> {
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
        if !sends {
            return Vec::new();
        }
        let beginning = |line: &TemplatedLine| line.beginning(&self.settings);
        let url = |line| Url::parse(&self.endpoint.clone().unwrap_or_else(|| beginning(line))).ok();
        self.template.urls().filter_map(url).collect()
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

    fn url(&self, line: &TemplatedLine, scope: &RenderScope<'_>) -> Result<String, Problem> {
        let url = line.render(scope);
        if self.endpoint.is_none() {
            check_web_address("url", &url)?;
        }
        Ok(self.at_endpoint(url))
    }

    /// The same URL at the account's own endpoint, where it has one.
    fn at_endpoint(&self, url: String) -> String {
        let Some(endpoint) = &self.endpoint else { return url };
        let after_scheme = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest);
        let path = after_scheme.find(['/', '?']).and_then(|at| after_scheme.get(at..)).unwrap_or_default();
        format!("{endpoint}{path}")
    }

    /// The request that asks what became of the one of this name; `None`: the platform is not asked. `delivery`: one of
    /// those that it carried.
    pub(crate) fn confirm_request(
        &self,
        request_id: &str,
        delivery: &DeliveryId,
        now: Time,
    ) -> Option<OutgoingRequest> {
        let url = self.at_endpoint(self.template.confirm()?.url_of(request_id));
        Some(OutgoingRequest {
            method: "GET".to_owned(),
            url: with_query(url, self.credentials.query()),
            headers: self.credentials.headers(delivery, now, &[]),
            body: Vec::new(),
            secrets: self.secrets.clone(),
        })
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

/// The setting of a template that has its platform's version, where that is not known to end.
const VERSION: &str = "version";

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
