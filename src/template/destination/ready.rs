//! One configured destination, whatever it is made of: renders requests, classifies replies.

use url::Url;

use crate::domain::attempt::AttemptPurpose;
use crate::domain::change::as_known;
use crate::domain::change_rules::{ChangeRules, Changes, OnRejected, OnValue};
use crate::domain::consent::{Consent, ConsentNeed};
use crate::domain::delivery::{OutgoingRequest, PlatformResponse, Reply, ReplyVerdict};
use crate::domain::event::EventName;
use crate::domain::expiry::AgeLimits;
use crate::domain::ids::{DeliveryId, DestinationId};
use crate::domain::remark::Remark;
use crate::domain::secret_store::SecretNotKept;
use crate::domain::sent::{DeliveryKind, SentEvent};
use crate::domain::skip::SkipReason;
use crate::domain::test_event::TestRefused;
use crate::domain::time::Time;
use crate::template::destination::batch::{BatchSize, BatchVerdict, RateUnit};
use crate::template::destination::confirm::{AskedEvent, ConfirmRules, ConfirmVerdict, PollSchedule};
use crate::template::destination::definition::DestinationTemplate;
use crate::template::destination::envelope::{AssembledRequest, EventPart, RequestHead};
use crate::template::destination::expiring::ExpiringSetting;
use crate::template::destination::origins::OriginTable;
use crate::template::destination::rendering::{DestinationMode, RenderInput, Rendered, Rendering};
use crate::template::destination::sign_in::AccountSignIn;
use crate::template::destination::spec::{DestinationSpec, SpecProblem};
use crate::template::destination::templated::Templated;
use crate::template::diagnostic::Problem;
use crate::template::macros::outgoing::OutgoingPostback;
use crate::template::preset::usage::PresetUse;

/// The name by which a template reads whether the visitor agreed to personalized ads.
const PERSONALIZATION: &str = "click.ad_personalization";

/// One configured destination, ready to render and classify; shared by `Arc`.
pub struct ReadyDestination {
    id: DestinationId,
    mode: DestinationMode,
    /// Whether nothing is sent without an explicit yes of the visitor's.
    explicit_consent: bool,
    /// Why another refresh token that the platform gives is lost when the program ends; `None` where it is kept, or none
    /// is given.
    unkept_token: Option<SecretNotKept>,
    kind: Kind,
}

enum Kind {
    /// An ad account or webhook, in its template's words.
    Templated(Box<Templated>),
    /// A URL with macros.
    Postback(Box<OutgoingPostback>),
}

impl ReadyDestination {
    /// Joins a template and its settings.
    ///
    /// # Errors
    /// Every missing, unknown or unreadable setting at once; test mode without what it needs; an
    /// endpoint that is no web address.
    pub fn build(spec: DestinationSpec) -> Result<ReadyDestination, Vec<SpecProblem>> {
        let (id, mode) = (spec.id.clone(), spec.mode);
        let kind = Kind::Templated(Box::new(Templated::build(spec)?));
        Ok(ReadyDestination { id, mode, explicit_consent: false, unkept_token: None, kind })
    }

    /// An outgoing postback: a campaign's, an affiliate's or one for all.
    pub fn of_postback(
        id: DestinationId,
        mode: DestinationMode,
        postback: OutgoingPostback,
    ) -> ReadyDestination {
        let kind = Kind::Postback(Box::new(postback));
        ReadyDestination { id, mode, explicit_consent: false, unkept_token: None, kind }
    }

    /// The same, which gets nothing without an explicit yes of the visitor's where `explicit`.
    #[must_use]
    pub fn with_explicit_consent(self, explicit: bool) -> ReadyDestination {
        ReadyDestination { explicit_consent: explicit, ..self }
    }

    /// The same, whose platform gives other refresh tokens, which cannot be kept for this.
    #[must_use]
    pub fn with_unkept_token(self, why: Option<SecretNotKept>) -> ReadyDestination {
        ReadyDestination { unkept_token: why, ..self }
    }

    /// Why another refresh token that the platform gives cannot be kept; `None` where it can, or none is given.
    pub fn unkept_token(&self) -> Option<&SecretNotKept> {
        self.unkept_token.as_ref()
    }

    /// What it needs of a visitor's consent.
    pub fn consent_need(&self) -> ConsentNeed {
        let personal = self.template().is_some_and(DestinationTemplate::is_personal);
        ConsentNeed { personal, explicit: self.explicit_consent }
    }

    /// What a request cannot say: that the visitor refused personalized ads, where the template names no
    /// field of the platform's for it.
    fn consent_remark(&self, consent: Consent) -> Option<Remark> {
        let refused = consent.ad_personalization == Some(false);
        let says_it = |template: &DestinationTemplate| template.names(PERSONALIZATION);
        let template = self.template().filter(|template| template.is_personal())?;
        (refused && !says_it(template)).then_some(Remark::PersonalizationNotExpressed)
    }

    /// The id of the configuration.
    pub fn id(&self) -> &DestinationId {
        &self.id
    }

    /// Whether what is made of it is sent.
    pub fn mode(&self) -> DestinationMode {
        self.mode
    }

    /// What it speaks: its template's or preset's name, or `postback`.
    pub fn template_name(&self) -> &str {
        match &self.kind {
            Kind::Templated(destination) => destination.template.name(),
            Kind::Postback(postback) => {
                postback.preset.as_ref().map_or("postback", |usage| usage.preset().name())
            }
        }
    }

    /// The preset that its URL is of, where it is an outgoing postback and of one.
    pub fn preset(&self) -> Option<&PresetUse> {
        match &self.kind {
            Kind::Templated(_) => None,
            Kind::Postback(postback) => postback.preset.as_deref(),
        }
    }

    /// Its template, where it has one.
    pub fn template(&self) -> Option<&DestinationTemplate> {
        match &self.kind {
            Kind::Templated(destination) => Some(&destination.template),
            Kind::Postback(_) => None,
        }
    }

    /// The secrets that it sends or signs with, in every spelling in which they could be sent back.
    pub fn secrets(&self) -> &[String] {
        match &self.kind {
            Kind::Templated(destination) => &destination.secrets,
            Kind::Postback(postback) => postback.url.secrets(),
        }
    }

    /// How it is given the token that its requests carry; `None`: they carry none.
    pub fn sign_in(&self) -> Option<&AccountSignIn> {
        match &self.kind {
            Kind::Templated(destination) => destination.sign_in.as_ref(),
            Kind::Postback(_) => None,
        }
    }

    /// The settings in use whose value the platform takes only until a day.
    pub fn expiring(&self) -> Vec<ExpiringSetting> {
        match &self.kind {
            Kind::Templated(destination) => destination.expiring(),
            Kind::Postback(_) => Vec::new(),
        }
    }

    /// The version of the platform's API that is used, and from when the platform refuses it, where that is known;
    /// `None` where its template names no end of any.
    pub fn version(&self) -> Option<(&str, Option<Time>)> {
        match &self.kind {
            Kind::Templated(destination) => destination.version(),
            Kind::Postback(_) => None,
        }
    }

    /// Whether a test event can be sent: the platform has a test mode, and the account all that it needs.
    ///
    /// # Errors
    /// Why none can be sent.
    pub fn check_test_mode(&self) -> Result<(), TestRefused> {
        match &self.kind {
            Kind::Templated(destination) => destination.check_test_mode(),
            Kind::Postback(_) => Err(TestRefused::NoTestMode),
        }
    }

    /// Our names of the events that it has a name for; custom ones apart that it takes under their own.
    pub fn event_names(&self) -> Vec<&str> {
        match &self.kind {
            Kind::Templated(destination) => destination.event_names(),
            Kind::Postback(_) => Vec::new(),
        }
    }

    /// Of what each value of the request is made: by its place, a JSON pointer into the body, `?parameter` of the query
    /// or `form:parameter`, the names of values; none of what the template writes itself.
    pub fn origins(&self, input: &RenderInput<'_>) -> OriginTable {
        match &self.kind {
            Kind::Templated(destination) => destination.origins(input, self.mode),
            Kind::Postback(postback) => postback.url.parameters().into_iter().collect(),
        }
    }

    /// Where its secrets are sent to, as far as the configuration alone decides; none where it sends none.
    pub fn secrets_go_to(&self) -> Vec<Url> {
        match &self.kind {
            Kind::Templated(destination) => destination.secrets_go_to(),
            Kind::Postback(postback) => postback.secrets_go_to().into_iter().collect(),
        }
    }

    /// What it can be informed of after it was sent a conversion.
    pub fn changes(&self) -> Changes {
        match &self.kind {
            Kind::Templated(destination) => Changes::By(destination.changes),
            Kind::Postback(postback) => postback.changes,
        }
    }

    /// The same of conversions of this event: of some a platform can be informed of nothing.
    pub fn changes_of(&self, event: &EventName) -> Changes {
        match &self.kind {
            Kind::Templated(destination) if !destination.template.can_change(event) => {
                Changes::By(ChangeRules {
                    on_rejected: OnRejected::None,
                    on_value: OnValue::None,
                    ..destination.changes
                })
            }
            _ => self.changes(),
        }
    }

    /// How old an event and its click may be.
    pub fn age_limits(&self) -> AgeLimits {
        self.template().map(DestinationTemplate::age_limits).unwrap_or_default()
    }

    /// How many events a request carries, and how long one waits for others, unless the account says otherwise.
    pub fn batch(&self) -> BatchSize {
        self.template().map(DestinationTemplate::batch).unwrap_or_default()
    }

    /// What the receiver's rate counts.
    pub fn rate_unit(&self) -> RateUnit {
        self.template().map(DestinationTemplate::rate_unit).unwrap_or_default()
    }

    /// For how long the receiver counts an event once that it is sent again, in milliseconds; `None`: it counts each.
    pub fn dedup_ms(&self) -> Option<i64> {
        let of_preset = || self.preset()?.preset().dedup_ms();
        self.template().map_or_else(of_preset, DestinationTemplate::dedup_ms)
    }

    /// The request that reports this conversion alone, or why none is to be sent. The same input gives the
    /// same bytes, but for signatures, which carry the time.
    ///
    /// # Errors
    /// As [`ReadyDestination::render_event`].
    pub fn render(&self, input: &RenderInput<'_>) -> Result<Rendering, Problem> {
        let Rendering { rendered, remarks } = self.render_event(input)?;
        let rendered = match rendered {
            Rendered::Skip { reason } => Rendered::Skip { reason },
            Rendered::Request(part, sent) => {
                Rendered::Request(self.assemble(&[&part], input.delivery, input.now).request, sent)
            }
        };
        Ok(Rendering { rendered, remarks })
    }

    /// What a request carries of a conversion, or why nothing is to be sent.
    ///
    /// # Errors
    /// Where the settings and values make no usable request: a URL that is none, a header with a
    /// line break, a payload beyond 256 KiB.
    pub fn render_event(&self, input: &RenderInput<'_>) -> Result<Rendering<EventPart>, Problem> {
        self.render_event_in(self.mode, input)
    }

    /// The same as if the destination had this mode.
    ///
    /// # Errors
    /// As [`ReadyDestination::render_event`].
    pub fn render_event_in(
        &self,
        mode: DestinationMode,
        input: &RenderInput<'_>,
    ) -> Result<Rendering<EventPart>, Problem> {
        match &self.kind {
            Kind::Templated(destination) => {
                let mut rendering = destination.render(input, mode)?;
                if matches!(rendering.rendered, Rendered::Request(..)) {
                    let consent = input.conversion.consent_with(input.click);
                    rendering.remarks.extend(self.consent_remark(consent));
                }
                Ok(rendering)
            }
            Kind::Postback(postback) => {
                let known = input
                    .sent
                    .filter(|_| matches!(input.kind, DeliveryKind::Restate | DeliveryKind::Retract));
                let as_known = known.map(|sent| as_known(input.conversion, input.kind, sent));
                let conversion = as_known.as_ref().unwrap_or(input.conversion);
                let status = conversion.status;
                let rendered = match known {
                    // The receiver would take it for any sale of the click.
                    Some(sent) if sent.transaction_id.is_none() => Err(SkipReason::Irreversible { status }),
                    _ => postback.render(conversion, input.click),
                };
                let (url, sent) = match rendered {
                    Ok(rendered) => rendered,
                    Err(reason) => {
                        let rendered = Rendered::Skip { reason };
                        return Ok(Rendering { rendered, remarks: Vec::new() });
                    }
                };
                let sent = SentEvent { kind: input.kind, ..sent };
                let head = RequestHead { method: "GET".to_owned(), url, headers: Vec::new() };
                let part = EventPart { head, envelope: None, body: Vec::new(), is_late: false };
                let rendered = Rendered::Request(part, Box::new(sent));
                let remark = postback.remark(input.conversion, input.click);
                Ok(Rendering { rendered, remarks: remark.into_iter().collect() })
            }
        }
    }

    /// The request that carries these events, each of which joins the first. `delivery`: the first one's.
    pub fn assemble(&self, parts: &[&EventPart], delivery: &DeliveryId, now: Time) -> AssembledRequest {
        match &self.kind {
            Kind::Templated(destination) => destination.assemble(parts, delivery, now),
            Kind::Postback(postback) => {
                let RequestHead { method, url, headers } =
                    parts.first().map(|part| part.head.clone()).unwrap_or_default();
                let secrets = postback.url.secrets().to_vec();
                let request = OutgoingRequest { method, url, headers, body: Vec::new(), secrets };
                AssembledRequest { request, events: Vec::new() }
            }
        }
    }

    /// What the reply to a request means that carried one event. No secret that the other side echoes gets into a
    /// reason.
    pub fn classify(&self, reply: &Reply, now: Time) -> ReplyVerdict {
        let BatchVerdict { mut events, request, .. } = self.classify_batch(reply, 1, now);
        events.pop().flatten().map_or(request, |event| event.verdict)
    }

    /// The platform's name of a request that it accepted with this answer, where it says only later what became of that.
    pub fn accepted_as(&self, answer: &PlatformResponse) -> Option<String> {
        self.template()?.confirm()?.request_id(answer)
    }

    /// When the platform is asked what became of a request; `None`: it is not.
    pub fn polls(&self) -> Option<&PollSchedule> {
        self.template()?.confirm().map(|confirm| &confirm.schedule)
    }

    /// The request that asks what became of the one of this name, which carried `delivery`; `None`: it is not asked.
    pub fn confirm_request(
        &self,
        request_id: &str,
        delivery: &DeliveryId,
        now: Time,
    ) -> Option<OutgoingRequest> {
        match &self.kind {
            Kind::Templated(destination) => destination.confirm_request(request_id, delivery, now),
            Kind::Postback(_) => None,
        }
    }

    /// What the reply to that means to the events that are asked about, of a request that carried `sent`; `None`: it is not
    /// asked.
    pub fn confirmed(
        &self,
        reply: &Reply,
        asked: (&[AskedEvent], usize),
        now: Time,
    ) -> Option<ConfirmVerdict> {
        self.template()?.confirm().map(|confirm| confirm.classify(reply, asked, now))
    }

    /// Whether the reply to a request of this purpose, which carried `sent` events, refuses the token that it had: another
    /// may be taken.
    pub fn refuses_token(&self, reply: &Reply, (purpose, sent): (AttemptPurpose, usize)) -> bool {
        let Some(template) = self.template() else { return false };
        let rules = match purpose {
            AttemptPurpose::Report => Some(template.reply()),
            AttemptPurpose::Confirm => template.confirm().map(ConfirmRules::rules),
        };
        rules.is_some_and(|rules| rules.refuses_token(reply, sent))
    }

    /// What the reply to a request that carried `sent` events means to each of them.
    pub fn classify_batch(&self, reply: &Reply, sent: usize, now: Time) -> BatchVerdict {
        match &self.kind {
            Kind::Templated(destination) => destination.classify(reply, sent, now),
            Kind::Postback(postback) => BatchVerdict::of_all(sent, postback.classify(reply, now)),
        }
    }
}
