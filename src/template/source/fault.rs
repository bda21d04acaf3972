//! What is wrong with a postback that a template cannot read: the parameter, what was received, what may explain it.

use crate::domain::conversion::EventClaim;
use crate::domain::money::{NoCurrency, NumberFormat, parse_decimal};
use crate::domain::rejection::note::ReportNote;
use crate::domain::rejection::param::{MissingClue, ParamFault, ParamProblem};
use crate::domain::rejection::wanted::{ParamFix, WantedValue};
use crate::domain::text::trim;
use crate::template::diagnostic::did_you_mean;
use crate::template::macros::detect::ValueClass;
use crate::template::source::definition::{Field, FieldRule, SourceBinding, SourceTemplate, ValuePiece};
use crate::template::source::params::{Param, Params, listed, problem, shown, twice, unreadable};

/// Why a parameter that was received cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum UnusableParam<'a> {
    /// Its value is none.
    Classified(ValueClass),
    /// It was received with this value too.
    Twice(&'a Param),
    /// Its bytes are no text.
    Unreadable,
}

impl UnusableParam<'_> {
    /// What is wrong with the parameter.
    pub(crate) fn of(&self, param: &Param) -> ParamProblem {
        match self {
            UnusableParam::Classified(class) => unfilled(param, class),
            UnusableParam::Twice(other) => twice(param, other),
            UnusableParam::Unreadable => unreadable(param),
        }
    }
}

/// A parameter whose value is none: a macro, a placeholder, a word that means nothing.
pub fn unfilled(param: &Param, class: &ValueClass) -> ParamProblem {
    let wrong = match class {
        ValueClass::Macro(read) => {
            let is_encoded = *read != trim(&param.value);
            ParamFault::UnexpandedMacro { decoded: is_encoded.then(|| shown(&param.name, read)) }
        }
        ValueClass::Nothing => ParamFault::MeansNothing,
        ValueClass::Sound | ValueClass::Empty | ValueClass::Skeleton => ParamFault::Placeholder,
    };
    problem(param, wrong)
}

/// A transaction or click id that is none: the postback counts all the same.
pub(crate) fn no_id(param: &Param, class: &ValueClass) -> ParamProblem {
    unfilled(param, class).with_fix(match class {
        ValueClass::Macro(_) => ParamFix::MacroSpelling,
        _ => ParamFix::MacroInItsPlace,
    })
}

/// Whether it is of a part of an id that was not received.
pub(crate) fn is_lack(note: &ReportNote) -> bool {
    note.problem().is_some_and(|problem| matches!(problem.wrong, ParamFault::MissingParameter))
}

pub(crate) fn cut(name: &str, template: &SourceTemplate) -> ParamProblem {
    let (before, behind) = &template.macro_marks;
    let wrong = ParamFault::CutAtFragment { unexpanded: format!("{before}{name}{behind}") };
    ParamProblem::new(name.to_owned(), None, wrong)
}

/// `name`: the parameter, or the field that has it by default.
pub(crate) fn unknown_status(
    name: &str,
    word: &str,
    (template, binding): (&SourceTemplate, &SourceBinding),
) -> ParamProblem {
    let own =
        binding.statuses.iter().filter(|(word, _)| template.statuses.iter().all(|(known, _)| known != word));
    let known: Vec<&str> = template.statuses.iter().chain(own).map(|(word, _)| word.as_str()).collect();
    let wrong = ParamFault::UnknownStatus { template: template.name.clone(), known: listed(&known) };
    ParamProblem::new(name.to_owned(), Some(shown(name, word)), wrong)
}

pub(crate) fn no_currency_code(param: &Param, why: NoCurrency) -> ParamProblem {
    problem(param, ParamFault::InvalidCurrency { why })
}

pub(crate) fn no_currency(name: &str, template: &SourceTemplate) -> ParamProblem {
    let param = first_param(Field::Currency, template).map(str::to_owned);
    ParamProblem::new(name.to_owned(), None, ParamFault::MissingCurrency { param })
}

pub(crate) fn no_decimal(param: &Param, format: NumberFormat) -> ParamProblem {
    let mut others = NumberFormat::NAMES.iter().filter(|(_, other)| *other != format);
    let other_fits = others.any(|(_, other)| parse_decimal(&param.value, *other).is_some());
    problem(param, ParamFault::NotANumber { format, other_fits })
}

/// An amount that cannot count smallest units, where the template says that amounts do.
pub(crate) fn part_of_unit(param: &Param) -> ParamProblem {
    let wrong = ParamFault::InvalidValue { wanted: WantedValue::SmallestUnits };
    problem(param, wrong).with_fix(ParamFix::WholeUnits)
}

pub(crate) fn no_event(template: &SourceTemplate) -> ParamProblem {
    let field = first_param(Field::Event, template).unwrap_or("event").to_owned();
    ParamProblem::new(field, None, ParamFault::MissingEvent)
}

impl SourceTemplate {
    /// The problem as far as its value may be shown: where fields of the sale are read from its parameter, and
    /// none of the customer.
    pub(crate) fn with_content(&self, problem: ParamProblem) -> ParamProblem {
        let Some(index) = self.names.known(&problem.field) else { return problem };
        let mut fields = self.fields_of(index).peekable();
        let is_read = fields.peek().is_some();
        let is_of_the_sale = is_read && !fields.any(|field| matches!(field, Field::Trait(_)));
        if is_of_the_sale { problem.of_the_sale() } else { problem }
    }
}

/// A value that the event needs and that was not received, or was received empty.
pub(crate) fn missing(
    field: Field,
    event: &EventClaim,
    template: &SourceTemplate,
    params: &Params,
) -> ParamProblem {
    let name = first_param(field, template).unwrap_or(field.name());
    let index = template.names.known(name);
    let mut received = params.pairs.iter().filter(|param| template.names.find(&param.name) == index);
    let mut derived = params.derived.iter().filter(|param| template.names.known(&param.name) == index);
    let received = received.next().or_else(|| derived.next());
    let needed_by = match event {
        EventClaim::ByValue { .. } => None,
        EventClaim::Named(event) => Some(event.clone()),
    };
    let unread = params.pairs.iter().filter(|param| template.names.find(&param.name).is_none());
    let clue = MissingClue {
        near: did_you_mean(name, unread.map(|param| param.name.as_str())).map(str::to_owned),
        entry: entry(name, template),
        last_before: template.last_before(name, params).map(str::to_owned),
    };
    let wrong = ParamFault::MissingValue { needed_by, clue: Box::new(clue) };
    match received {
        Some(param) => problem(param, wrong),
        None => ParamProblem::new(name.to_owned(), None, wrong),
    }
}

/// `price=#price#`, as the URL to paste writes it.
fn entry(name: &str, template: &SourceTemplate) -> String {
    let index = template.names.find(name);
    let (before, behind) = &template.macro_marks;
    let known = template.postback.iter().chain(&template.extra).find(|entry| Some(entry.param) == index);
    known.map_or_else(|| name.to_owned(), |entry| format!("{name}={before}{}{behind}", entry.macro_name))
}

/// The parameter a person would expect the field in.
fn first_param(field: Field, template: &SourceTemplate) -> Option<&str> {
    let (_, readings) = template.fields.iter().find(|(known, _)| *known == field)?;
    readings.iter().find_map(|reading| match reading {
        FieldRule::One(index) => Some(template.names.name(*index)),
        FieldRule::Join(pieces) => pieces.iter().find_map(|piece| match piece {
            ValuePiece::Param(index) => Some(template.names.name(*index)),
            ValuePiece::Text(_) => None,
        }),
    })
}
