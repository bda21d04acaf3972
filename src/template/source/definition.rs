//! A source template: how one network writes its postbacks, compiled from a TOML file.
//!
//! What the file may say is in `file`, how a postback is read by it in `map`.

use std::borrow::Cow;
use std::collections::HashMap;

use encoding_rs::Encoding;
use jiff::tz::TimeZone;

use crate::domain::click::{CustomerTrait, sub_id_number};
use crate::domain::conversion::Dedup;
use crate::domain::customer::{CustomerFormat, DateOrder};
use crate::domain::event::EventName;
use crate::domain::ids::SourceId;
use crate::domain::moment::EpochUnit;
use crate::domain::money::Currency;
use crate::domain::postback::MappingVersion;
use crate::domain::routing::SourcePolicy;
use crate::domain::status::Status;
use crate::template::diagnostic::{Problem, did_you_mean};
use crate::template::source::click_id::ClickIdRules;
use crate::template::source::events::EventRules;
use crate::template::source::facts::NetworkFact;
use crate::template::source::guide::SourceGuide;
use crate::template::source::html_repair;
use crate::template::source::items::ItemRules;
use crate::template::source::number::AmountRules;
use crate::template::source::param_names::ParamNames;
use crate::template::source::params::Params;
use crate::template::source::reply::NetworkReply;
use crate::template::source::verify::scheme::Verification;

/// What one configured source says over its template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceBinding {
    /// The source that the conversions are of.
    pub source: SourceId,
    /// The currency of amounts for which the postback names none.
    pub currency: Option<Currency>,
    /// The event of a value above 0, in place of the template's.
    pub positive_event: Option<EventName>,
    /// The event of a value of 0, in place of the template's.
    pub zero_event: Option<EventName>,
    /// The network's status words (lower case) that mean something else here than the template says, or that it lacks.
    pub statuses: Vec<(String, Status)>,
    /// The same of its event words.
    pub events: Vec<(String, EventName)>,
    /// The zone of times without an offset, in place of the template's.
    pub time_zone: Option<TimeZone>,
}

impl SourceBinding {
    /// Of a source that says nothing over its template.
    pub fn of(source: SourceId) -> SourceBinding {
        SourceBinding {
            source,
            currency: None,
            positive_event: None,
            zero_event: None,
            statuses: Vec::new(),
            events: Vec::new(),
            time_zone: None,
        }
    }
}

/// A compiled source template. Parameters are known by their index in `names`.
#[derive(Debug, Clone)]
pub struct SourceTemplate {
    pub(crate) name: String,
    /// The whole file: a version of the template is known by it.
    pub(crate) text: String,
    /// The template that this is another name of.
    pub(crate) alias_of: Option<String>,
    pub(crate) docs: String,
    pub(crate) guide: SourceGuide,
    /// What the network writes before and behind a macro's name; nothing of a webhook.
    pub(crate) macro_marks: (String, String),
    pub(crate) names: ParamNames,
    /// The postback URL's parameters in order.
    pub(crate) postback: Vec<UrlParam>,
    /// Parameters that the URL may carry besides.
    pub(crate) extra: Vec<UrlParam>,
    /// What each mapped field reads, the first reading that holds a value.
    pub(crate) fields: Vec<(Field, Vec<FieldRule>)>,
    /// The parameters of `[constant]`, which the fields read too.
    pub(crate) constants: Vec<(Field, usize)>,
    /// Where the things of an order are.
    pub(crate) items: Option<ItemRules>,
    /// Parameters kept under their own names.
    pub(crate) keep: Vec<usize>,
    /// The headers, in lower case, that `[verify]` and `[map]` name.
    pub(crate) headers: Vec<String>,
    /// Their status word (lower case) and ours.
    pub(crate) statuses: Vec<(String, Status)>,
    pub(crate) events: EventRules,
    pub(crate) amounts: AmountRules,
    pub(crate) times: Vec<TimeFormat>,
    pub(crate) zone: TimeZone,
    /// How text is encoded that is not UTF-8, where its sender does not say.
    pub(crate) fallback: Option<&'static Encoding>,
    pub(crate) click_id: ClickIdRules,
    pub(crate) reply: NetworkReply,
    pub(crate) dedup: Dedup,
    /// Where the id of a row is, where the rows of a sale add up.
    pub(crate) adjustment_id: Option<FieldRule>,
    /// How its birthdates are written.
    pub(crate) birthdate: Option<DateOrder>,
    /// What a field is taken to be when its parameter is absent.
    pub(crate) defaults: HashMap<Field, String>,
    pub(crate) body: BodyLimits,
    pub(crate) links: Option<NetworkLinks>,
    pub(crate) facts: Vec<NetworkFact>,
    /// How its network proves that a postback is its own.
    pub(crate) verification: Option<Verification>,
}

/// How large a postback of a template may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BodyLimits {
    /// The largest body in bytes, plain; without it the server's `max_body_bytes`.
    pub(crate) max_bytes: Option<usize>,
    /// The most parameters that are read.
    pub(crate) max_leaves: usize,
}

/// What the tag knows of a network's links.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NetworkLinks {
    /// The sub id that carries our click id.
    pub(crate) param: String,
    /// A link to another host is the network's where its query has all of these parameters, each a number.
    /// None: links are not known by their shape.
    pub(crate) query: Vec<String>,
}

/// What a postback can say about a conversion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Field {
    /// The sale's number at who sold it.
    TransactionId,
    /// The id of the click that led to it.
    ClickId,
    /// What was sold.
    ItemId,
    /// What ad platforms are sent.
    Value,
    /// What the affiliate earns.
    Payout,
    /// What the advertiser pays.
    Revenue,
    /// What the customer paid.
    SaleAmount,
    /// Of every amount.
    Currency,
    /// The network's word, which `[status]` translates.
    Status,
    /// The event's name.
    Event,
    /// When it happened.
    EventTime,
    /// Whether the visitor agreed that data about them goes to ad platforms.
    AdUserData,
    /// Whether the visitor agreed to personalized ads.
    AdPersonalization,
    /// Something that is known of the customer.
    Trait(CustomerTrait),
}

impl Field {
    /// The fields with the names that `[map]` and `[default]` use; traits have their own list.
    pub(crate) const NAMES: [(Field, &'static str); 13] = [
        (Field::TransactionId, "transaction_id"),
        (Field::ClickId, "click_id"),
        (Field::ItemId, "item_id"),
        (Field::Value, "value"),
        (Field::Payout, "payout"),
        (Field::Revenue, "revenue"),
        (Field::SaleAmount, "sale_amount"),
        (Field::Currency, "currency"),
        (Field::Status, "status"),
        (Field::Event, "event"),
        (Field::EventTime, "event_time"),
        (Field::AdUserData, "ad_user_data"),
        (Field::AdPersonalization, "ad_personalization"),
    ];

    pub(crate) fn parse(name: &str) -> Option<Field> {
        let own = Field::NAMES.iter().find(|(_, known)| *known == name).map(|(field, _)| *field);
        own.or_else(|| CustomerTrait::parse(name).map(Field::Trait))
    }

    /// As `[map]` names it.
    pub fn name(self) -> &'static str {
        match self {
            Field::Trait(name) => name.name(),
            own => Field::NAMES.iter().find(|(known, _)| *known == own).map_or("", |(_, name)| name),
        }
    }
}

/// How a field reads the parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FieldRule {
    One(usize),
    /// `{{s2}}{{s3}}`: several, joined.
    Join(Vec<ValuePiece>),
}

impl FieldRule {
    /// Whether a parameter is one of those that are read.
    pub(crate) fn reads(&self, index: usize) -> bool {
        match self {
            FieldRule::One(one) => *one == index,
            FieldRule::Join(pieces) => pieces.contains(&ValuePiece::Param(index)),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ValuePiece {
    Text(String),
    Param(usize),
}

/// One parameter of the postback URL and the macro that fills it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UrlParam {
    pub(crate) param: usize,
    pub(crate) macro_name: String,
}

/// One way of writing a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TimeFormat {
    /// A number since 1970, where it is a likely moment in this unit.
    Epoch(EpochUnit),
    Rfc3339,
    /// `20261127101500`; without an offset in it, in the template's zone.
    Compact,
    /// As `strptime` reads it; without an offset in it, in the template's zone.
    Pattern(String),
}

impl SourceTemplate {
    /// The word that a source's `template` uses; also the file's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What a source's postbacks are mapped by: this template as its file is, and what the source says of events,
    /// amounts, repeats and customer data.
    pub fn mapping_version(&self, binding: &SourceBinding, policy: &SourcePolicy) -> MappingVersion {
        let event = |event: &Option<EventName>| event.as_ref().map_or("", EventName::as_str).to_owned();
        let CustomerFormat { phone_region, birthdate } = policy.customer;
        let statuses = binding.statuses.iter().map(|(word, status)| format!("{word}={}", status.as_str()));
        let events = binding.events.iter().map(|(word, event)| format!("{word}={event}"));
        let settings = [
            binding.currency.map(|currency| currency.to_string()).unwrap_or_default(),
            event(&binding.positive_event),
            event(&binding.zero_event),
            policy.dedup.as_str().to_owned(),
            phone_region.map(|region| region.to_string()).unwrap_or_default(),
            birthdate.map(DateOrder::as_str).unwrap_or_default().to_owned(),
            statuses.collect::<Vec<_>>().join("\n"),
            events.collect::<Vec<_>>().join("\n"),
            binding.time_zone.as_ref().and_then(TimeZone::iana_name).unwrap_or_default().to_owned(),
        ];
        MappingVersion::of(std::iter::once(self.text.as_str()).chain(settings.iter().map(String::as_str)))
    }

    /// Where the network documents its postbacks; empty when the template does not say.
    pub fn docs(&self) -> &str {
        &self.docs
    }

    /// Where what it says is from, as the file has it.
    pub fn facts(&self) -> &[NetworkFact] {
        &self.facts
    }

    /// The query of the URL to paste at the network, macros in place and raw: `s1=#s1#&s2=#s2#…`;
    /// with the further parameters named in `with`, in that order.
    ///
    /// # Errors
    /// A name in `with` that the template does not know.
    pub fn postback_query(&self, with: &[String]) -> Result<String, Problem> {
        self.postback_query_with(with, &[])
    }

    /// The parameters of the URL: the template's own, then those of `with`.
    pub(crate) fn url_params(&self, with: &[String]) -> Result<Vec<&UrlParam>, Problem> {
        let mut entries: Vec<&UrlParam> = self.postback.iter().collect();
        for name in with {
            let wanted = self.names.find(name.trim());
            let known = self.extra.iter().chain(&self.postback).find(|entry| Some(entry.param) == wanted);
            let Some(entry) = known else { return Err(self.unknown_extra(name)) };
            if !entries.iter().any(|taken| taken.param == entry.param) {
                entries.push(entry);
            }
        }
        Ok(entries)
    }

    fn unknown_extra(&self, name: &str) -> Problem {
        let known: Vec<&str> = self.extra_params();
        let hint = match did_you_mean(name, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if self.postback.is_empty() => {
                "its sender says what it says, and no macro asks for more: leave --with out".to_owned()
            }
            None => {
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                format!(
                    "it knows {known}; where the network has a macro for another, copy the template to your own \
                     `[templates] path` and name it there: extra = [\"{name}=the_macro\"]"
                )
            }
        };
        Problem::new(format!("the template `{}` has no further parameter `{name}`", self.name), hint)
    }

    /// The parameters that [`SourceTemplate::postback_query`] may add.
    pub fn extra_params(&self) -> Vec<&str> {
        self.extra.iter().map(|entry| self.names.name(entry.param)).collect()
    }

    /// Whether postbacks name their currency, or the template sets one: else the source must.
    pub fn maps_currency(&self) -> bool {
        self.maps(Field::Currency) || self.defaults.contains_key(&Field::Currency)
    }

    pub(crate) fn reads(&self, field: Field) -> bool {
        self.fields.iter().any(|(known, _)| *known == field)
    }

    /// Our status for the network's word, which is in lower case: as the source says, else as the template does.
    pub(crate) fn status_of(&self, binding: &SourceBinding, word: &str) -> Option<Status> {
        let mut known = binding.statuses.iter().chain(&self.statuses);
        known.find(|(known, _)| known == word).map(|(_, status)| *status)
    }

    /// The same of an event word.
    pub(crate) fn event_of<'t>(&'t self, binding: &'t SourceBinding, word: &str) -> Option<&'t EventName> {
        let mut known = binding.events.iter().chain(&self.events.names);
        known.find(|(known, _)| known == word).map(|(_, event)| event)
    }

    /// The number of the sub id that the click id is read from, where it is read from one.
    pub fn click_sub_id(&self) -> Option<u8> {
        let (_, rules) = self.fields.iter().find(|(field, _)| *field == Field::ClickId)?;
        rules.iter().find_map(|rule| match rule {
            FieldRule::One(param) => sub_id_number(self.names.name(*param)),
            FieldRule::Join(_) => None,
        })
    }

    /// The sub id that carries our click id outward, in the network's tracking links.
    pub fn link_param(&self) -> Option<&str> {
        self.links.as_ref().map(|links| links.param.as_str())
    }

    /// The parameters, each a number, by which a link to another host is known as the network's. None: by
    /// none.
    pub fn link_query(&self) -> &[String] {
        self.links.as_ref().map_or(&[], |links| &links.query)
    }

    /// What the network wants as an answer, in place of our JSON.
    pub fn reply(&self) -> &NetworkReply {
        &self.reply
    }

    /// The headers that it reads, in lower case: of a request that has too many, these are kept first.
    pub fn read_headers(&self) -> &[String] {
        &self.headers
    }

    /// How its network proves that a postback is its own; `None`: by nothing but the key in the URL.
    pub fn verification(&self) -> Option<&Verification> {
        self.verification.as_ref()
    }

    /// The largest body in bytes that the template takes, where it says so itself.
    pub fn max_body_bytes(&self) -> Option<usize> {
        self.body.max_bytes
    }

    /// What makes two postbacks the same conversion, where the source does not say.
    pub fn default_dedup(&self) -> Dedup {
        self.dedup
    }

    /// Whether the rows of a sale add up, each with an id of its own.
    pub fn adds_up(&self) -> bool {
        self.adjustment_id.is_some()
    }

    /// What a birthdate begins with, where its day and month could be either.
    pub fn default_birthdate(&self) -> Option<DateOrder> {
        self.birthdate
    }

    /// The events reported by the value: above 0, and 0. Absent when the template never does that.
    pub fn default_events(&self) -> Option<(EventName, EventName)> {
        self.events.by_value.clone()
    }

    /// The parameters with those put back that a page took for HTML characters.
    pub(crate) fn repaired<'a>(&self, params: &'a Params) -> Cow<'a, Params> {
        html_repair::repaired(params, self.names.list(), |name| self.names.find(name).is_some())
    }

    /// The parameter of the URL behind which none was received, where `missing` is due there: a `#` in its value cuts
    /// the query on the way, which leaves no other trace.
    pub(crate) fn last_before(&self, missing: &str, params: &Params) -> Option<&str> {
        // What a body carries is not cut.
        let last = params.in_query.checked_sub(1).filter(|_| params.in_query == params.pairs.len())?;
        let index = self.names.find(&params.pairs.get(last)?.name)?;
        let at = self.postback.iter().position(|entry| entry.param == index)?;
        let behind = self.postback.get(at + 1..)?;
        let was_received =
            |index: usize| params.pairs.iter().any(|param| self.names.find(&param.name) == Some(index));
        let missing = self.names.find(missing);
        let is_due = behind.iter().any(|entry| Some(entry.param) == missing);
        (is_due && !behind.iter().any(|entry| was_received(entry.param))).then(|| self.names.name(index))
    }

    /// Whether the query was cut at a `#` that the sender took for a URL's fragment: the last
    /// parameter is empty where its macro begins with `#`, and all that follow it in the URL are
    /// missing. Names that parameter.
    pub(crate) fn cut_at(&self, params: &Params) -> Option<&str> {
        if !params.cut_at_fragment || !self.macro_marks.0.contains('#') {
            return None;
        }
        let was_received =
            |index: usize| params.pairs.iter().any(|param| self.names.find(&param.name) == Some(index));
        let last = self.postback.iter().rposition(|entry| was_received(entry.param))?;
        let entry = self.postback.get(last)?;
        let name = self.names.name(entry.param);
        let is_empty = params
            .pairs
            .last()
            .is_some_and(|param| param.value.is_empty() && self.names.find(&param.name) == Some(entry.param));
        (is_empty && last + 1 < self.postback.len()).then_some(name)
    }
}
