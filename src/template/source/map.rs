//! Reading a postback by its source template: parameters in, a [`Draft`] out, or the reason why not.
//!
//! A bad value stops the postback only where the event cannot be right without it: the value it is
//! inferred from or needs, and a status or currency that was received and is none. Anywhere else it counts as absent
//! and is named in the note; so does an id that is a macro or a placeholder.

mod event;
mod items;
mod joined;
mod values;

use std::borrow::Cow;

use crate::domain::click::Pairs;
use crate::domain::conversion::{Draft, EventClaim, NetworkClaim};
use crate::domain::ignored::IgnoredReason;
use crate::domain::rejection::Rejection;
use crate::domain::rejection::note::ReportNote;
use crate::domain::rejection::param::{ParamFault, ParamProblem};
use crate::domain::text::trim;
use crate::domain::time::Time;
use crate::template::macros::detect::{ValueClass, ValueUse, classify};
use crate::template::source::definition::{Field, FieldRule, SourceBinding, SourceTemplate, UrlParam};
use crate::template::source::fault::{self, UnusableParam};
use crate::template::source::mapped_report::MappedReport;
use crate::template::source::params::{Param, Params, problem};
use crate::template::source::received::ReceivedParams;
use crate::template::source::repair;
use crate::template::source::time;

impl SourceTemplate {
    /// What a postback reports, by this template and what its source says over it. The note holds
    /// what was repaired in the parameters and what was left out.
    ///
    /// # Errors
    /// The postback is to be quarantined; the rejection names each parameter, what was received, and the fix.
    pub fn map(&self, binding: &SourceBinding, params: &Params) -> Result<MappedReport, Rejection> {
        if let Some(name) = self.cut_at(params) {
            return Err(fault::cut(name, self).into());
        }
        let (received, params) = (params, &*self.repaired(params));
        let indexed = ReceivedParams::index(self, params)?;
        let mut mapping = Mapping {
            template: self,
            binding,
            params,
            indexed,
            problems: Vec::new(),
            no_ids: Vec::new(),
            repaired: Vec::new(),
            left_out: Vec::new(),
            ignored: None,
        };
        mapping.left_out.append(&mut mapping.indexed.left_out);
        let draft = mapping.draft();
        match (draft, mapping.ignored.take()) {
            // What is no conversion need not be whole.
            (_, Some(reason)) => Ok(MappedReport::Ignored { reason, notes: Vec::new() }),
            (Some(draft), None) if mapping.problems.is_empty() => {
                Ok(MappedReport::Conversion(Box::new(draft)))
            }
            _ => {
                let problems = mapping.problems.into_iter().chain(mapping.no_ids);
                let mut problems = problems.map(|problem| self.with_content(problem));
                let first = problems.next().unwrap_or_else(|| fault::no_event(self));
                // What was or may be a parameter of the URL explains a value that cannot be read.
                let notes = params.notes.get(received.notes.len()..).unwrap_or_default();
                Err(Rejection::from(first).and(problems).with_notes(notes.iter().cloned()))
            }
        }
    }

    /// Classifies a parameter's value, knowing the macro that fills it. A sender that takes the last `#`
    /// of a URL for an empty fragment leaves `#price`, and `curl` takes the braces off `{sub1}`.
    pub(crate) fn classify(&self, index: usize, param: &Param, used: ValueUse) -> ValueClass {
        let verdict = classify(&param.value, &param.raw, used);
        let (before, behind) = &self.macro_marks;
        if verdict != ValueClass::Sound || before.is_empty() {
            return verdict;
        }
        let text = trim(&param.value);
        let inner = text.strip_prefix(before.as_str());
        let own = |entry: &UrlParam| {
            let name = &entry.macro_name;
            let is_left =
                |inner: &str| inner.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest == behind);
            entry.param == index && (inner.is_some_and(is_left) || (used == ValueUse::Id && text == name))
        };
        if self.postback.iter().chain(&self.extra).any(own) {
            return ValueClass::Macro(text.to_owned());
        }
        verdict
    }
}

/// What a field's parameters hold.
enum FieldInput<'a> {
    Absent,
    /// The parameter by the name it was received under, and its value, decoded once and not trimmed.
    Sound {
        param: &'a Param,
        text: Cow<'a, str>,
    },
    Bad {
        param: &'a Param,
        why: UnusableParam<'a>,
    },
}

struct Mapping<'a> {
    template: &'a SourceTemplate,
    binding: &'a SourceBinding,
    params: &'a Params,
    indexed: ReceivedParams<'a>,
    problems: Vec<ParamProblem>,
    /// Ids that count as absent; where something else stops the postback, they are named with it.
    no_ids: Vec<ParamProblem>,
    /// What was read otherwise than it was received.
    repaired: Vec<ReportNote>,
    /// What did not stop the postback.
    left_out: Vec<ReportNote>,
    /// Set where the template says that it is no conversion.
    ignored: Option<IgnoredReason>,
}

impl<'a> Mapping<'a> {
    /// `None` where a problem was noted that leaves nothing to draft.
    fn draft(&mut self) -> Option<Draft> {
        let (status, status_word) = self.status();
        let currency = self.currency();
        let event = self.event((status, status_word.as_deref()), currency);
        let needs_value = match &event {
            Some(EventClaim::ByValue { .. }) => true,
            Some(EventClaim::Named(name)) => self.template.events.value_required.contains(name),
            None => false,
        };
        let value =
            self.money(Field::Value, currency, needs_value.then_some(&event).and_then(Option::as_ref));
        let negative_received =
            value.filter(|value| value.amount.is_sign_negative()).and_then(|_| self.value_received());
        let transaction_id = self.identity(Field::TransactionId).map(|(param, text)| {
            repair::note_invisible(param, &text, &mut self.repaired);
            trim(&text).to_owned()
        });
        let click_id = self.identity(Field::ClickId);
        let click_id = click_id.map(|(param, text)| repair::click_id(param, text, &mut self.repaired));
        Some(Draft {
            source: self.binding.source.clone(),
            event: event?,
            status: Some(status),
            transaction_id,
            click_id,
            item_id: self.optional(Field::ItemId, ValueUse::Id),
            items: self.items(currency),
            adjustment_id: self.adjustment_id(),
            value,
            negative_received,
            payout: self.money(Field::Payout, currency, None),
            revenue: self.money(Field::Revenue, currency, None),
            sale_amount: self.money(Field::SaleAmount, currency, None),
            event_time: self.event_time(),
            traits: self.traits(),
            consent: self.consent(),
            params: self.kept(),
            notes: self.notes(),
            network: NetworkClaim::default(),
        })
    }

    /// The first of a field's readings that holds anything.
    fn find(&mut self, field: Field, used: ValueUse) -> FieldInput<'a> {
        let template = self.template;
        let Some((_, readings)) = template.fields.iter().find(|(known, _)| *known == field) else {
            return FieldInput::Absent;
        };
        for reading in readings {
            let found = self.known_word(field, reading).unwrap_or_else(|| self.read(reading, used));
            if !matches!(found, FieldInput::Absent) {
                return found;
            }
        }
        FieldInput::Absent
    }

    fn read(&mut self, reading: &FieldRule, used: ValueUse) -> FieldInput<'a> {
        match reading {
            FieldRule::One(index) => self.one(*index, used),
            FieldRule::Join(pieces) => self.join(pieces, used),
        }
    }

    /// A parameter whose value is one of the words that template and source know: it is that, also where it is
    /// a word for nothing elsewhere.
    fn known_word(&self, field: Field, reading: &FieldRule) -> Option<FieldInput<'a>> {
        let FieldRule::One(index) = reading else { return None };
        let param = self.indexed.get(*index)?;
        let word = trim(&param.value).to_lowercase();
        let is_known = match field {
            Field::Status => self.template.status_of(self.binding, &word).is_some(),
            Field::Event => self.template.event_of(self.binding, &word).is_some(),
            _ => false,
        };
        let is_sound = is_known && self.indexed.wrong(*index, param).is_none();
        is_sound.then_some(FieldInput::Sound { param, text: Cow::Borrowed(&param.value) })
    }

    fn one(&mut self, index: usize, used: ValueUse) -> FieldInput<'a> {
        let Some(param) = self.indexed.get(index) else { return FieldInput::Absent };
        if let Some(why) = self.indexed.wrong(index, param) {
            return FieldInput::Bad { param, why };
        }
        match self.template.classify(index, param, used) {
            ValueClass::Sound => FieldInput::Sound { param, text: Cow::Borrowed(&param.value) },
            ValueClass::Empty => FieldInput::Absent,
            ValueClass::Nothing => {
                self.leave_out(fault::unfilled(param, &ValueClass::Nothing));
                FieldInput::Absent
            }
            why @ (ValueClass::Macro(_) | ValueClass::Skeleton) => {
                FieldInput::Bad { param, why: UnusableParam::Classified(why) }
            }
        }
    }

    /// The id of the row of a sale that it is. One that is none is named in the note.
    fn adjustment_id(&mut self) -> Option<String> {
        let template = self.template;
        match self.read(template.adjustment_id.as_ref()?, ValueUse::Id) {
            FieldInput::Sound { text, .. } => Some(trim(&text).to_owned()),
            FieldInput::Absent => None,
            FieldInput::Bad { param, why } => {
                self.problems.push(why.of(param));
                None
            }
        }
    }

    fn default(&self, field: Field) -> Option<&'a str> {
        self.template.defaults.get(&field).map(String::as_str)
    }

    /// A transaction or click id. One that is a macro or a placeholder is absent, as every other such
    /// postback would carry the same; the note names it, and the field's next reading counts.
    fn identity(&mut self, field: Field) -> Option<(&'a Param, Cow<'a, str>)> {
        let template = self.template;
        let (_, readings) = template.fields.iter().find(|(known, _)| *known == field)?;
        let noted = self.left_out.len();
        for reading in readings {
            match self.read(reading, ValueUse::Id) {
                FieldInput::Absent => {}
                FieldInput::Sound { param, text } => match self.id_within(field, param, text) {
                    Some(id) => {
                        // What an earlier reading lacks is not needed then.
                        let found = self.left_out.split_off(noted);
                        self.left_out.extend(found.into_iter().filter(|note| !fault::is_lack(note)));
                        return Some((param, id));
                    }
                    None => self.no_ids.push(fault::unfilled(param, &ValueClass::Nothing)),
                },
                FieldInput::Bad { param, why: UnusableParam::Classified(class) } => {
                    let note = ReportNote::IdLeftOut(Box::new(fault::no_id(param, &class)));
                    // An earlier reading may have named it.
                    if !self.left_out.contains(&note) {
                        self.left_out.push(note);
                        self.no_ids.push(fault::unfilled(param, &class));
                    }
                }
                // An id was received, and which one cannot be known.
                FieldInput::Bad { param, why } => {
                    self.problems.push(why.of(param));
                    return None;
                }
            }
        }
        None
    }

    /// The id in a value, without what the network has around a click's. What is none counts as absent and is noted.
    fn id_within(&mut self, field: Field, param: &Param, text: Cow<'a, str>) -> Option<Cow<'a, str>> {
        let rules = &self.template.click_id;
        if field != Field::ClickId || rules.takes_whole() {
            return Some(text);
        }
        let within = rules.within(&text);
        let class = within.map_or(ValueClass::Nothing, |id| classify(id, id.as_bytes(), ValueUse::Id));
        match within.filter(|_| class == ValueClass::Sound) {
            Some(id) => Some(Cow::Owned(id.to_owned())),
            None => {
                self.left_out.push(ReportNote::IdLeftOut(Box::new(fault::no_id(param, &class))));
                None
            }
        }
    }

    /// A field that no event needs.
    fn optional(&mut self, field: Field, used: ValueUse) -> Option<String> {
        match self.find(field, used) {
            FieldInput::Sound { param, text } => Some(match field {
                Field::Trait(name) => repair::customer(name, param, &text, &mut self.repaired),
                _ => trim(&text).to_owned(),
            }),
            FieldInput::Absent => self.default(field).map(str::to_owned),
            FieldInput::Bad { param, why } => {
                self.leave_out_unusable(param, &why);
                None
            }
        }
    }

    fn event_time(&mut self) -> Option<Time> {
        match self.find(Field::EventTime, ValueUse::Text) {
            FieldInput::Sound { param, text } => {
                let why = match time::moment(self.template, self.binding, &text) {
                    Some(Ok(moment)) => return Some(moment),
                    Some(Err(read)) => ParamFault::TimeTooOld { read },
                    None => ParamFault::InvalidTime,
                };
                self.leave_out(problem(param, why));
                None
            }
            FieldInput::Bad { param, why } => {
                self.leave_out_unusable(param, &why);
                None
            }
            FieldInput::Absent => None,
        }
    }

    /// The parameters kept under their own names, in the order in which they were received.
    fn kept(&mut self) -> Pairs {
        let template = self.template;
        let received = std::mem::take(&mut self.indexed.pairs);
        let mut pairs = Pairs::with_capacity(received.len());
        for (index, param) in &received {
            if !template.keep.contains(index) {
                continue;
            }
            if let Some(why) = self.indexed.wrong(*index, param) {
                self.leave_out_unusable(param, &why);
                continue;
            }
            match template.classify(*index, param, ValueUse::Text) {
                ValueClass::Sound => {
                    pairs.push((template.names.name(*index).to_owned(), trim(&param.value).to_owned()));
                }
                ValueClass::Empty => {}
                class => self.leave_out(fault::unfilled(param, &class)),
            }
        }
        pairs
    }

    /// Names it once, however many readings and fields read it.
    fn leave_out(&mut self, problem: ParamProblem) {
        let note = ReportNote::left_out(problem);
        if !self.left_out.contains(&note) {
            self.left_out.push(note);
        }
    }

    /// Of unreadable bytes the parameters' own note says it.
    fn leave_out_unusable(&mut self, param: &Param, why: &UnusableParam<'_>) {
        if *why != UnusableParam::Unreadable {
            self.leave_out(why.of(param));
        }
    }

    fn notes(&mut self) -> Vec<ReportNote> {
        let template = self.template;
        let own = self.repaired.drain(..).chain(self.left_out.drain(..));
        let own = own.map(|note| note.map_problem(|problem| template.with_content(problem)));
        self.params.notes.iter().cloned().chain(own).collect()
    }
}

/// The words by which senders say that a visitor agreed, or did not.
pub(crate) fn yes_or_no(word: &str) -> Option<bool> {
    match trim(word).to_lowercase().as_str() {
        "yes" | "true" | "1" | "granted" => Some(true),
        "no" | "false" | "0" | "denied" => Some(false),
        _ => None,
    }
}
