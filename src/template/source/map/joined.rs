//! A field that several parameters are joined into, and which of them may be a part of an id.

use std::borrow::Cow;

use crate::domain::rejection::param::{ParamFault, ParamProblem};
use crate::domain::text::trim;
use crate::template::macros::detect::{ValueClass, ValueUse};
use crate::template::source::definition::{Field, FieldRule, SourceTemplate, ValuePiece};
use crate::template::source::fault::UnusableParam;
use crate::template::source::map::{FieldInput, Mapping};
use crate::template::source::params::Param;

/// The parts of a joined value so far.
#[derive(Default)]
struct JoinedParts<'a> {
    text: String,
    /// The first that is sound alone.
    first: Option<&'a Param>,
    /// The first that is a skeleton's word and no more than a part.
    skeleton: Option<&'a Param>,
    /// The first that was not received, or empty.
    lacking: Option<usize>,
    /// Whether one of them says that there is no id.
    is_none: bool,
}

impl<'a> Mapping<'a> {
    /// Sound parts joined; absent when every parameter is, and an id of parts divided by text also when one of them is.
    /// An id of which a part would be one alone, and is none, is absent too.
    pub(super) fn join(&mut self, pieces: &[ValuePiece], used: ValueUse) -> FieldInput<'a> {
        let is_divided_id =
            used == ValueUse::Id && pieces.iter().any(|piece| matches!(piece, ValuePiece::Text(_)));
        let mut parts = JoinedParts::default();
        for piece in pieces {
            let index = match piece {
                ValuePiece::Text(text) => {
                    parts.text.push_str(text);
                    continue;
                }
                ValuePiece::Param(index) => *index,
            };
            if let Some((param, class)) = self.part_of_id(index, used) {
                parts.text.push_str(trim(&param.value));
                parts.skeleton = parts.skeleton.or((class == ValueClass::Skeleton).then_some(param));
                continue;
            }
            match self.one(index, used) {
                FieldInput::Sound { param, text } => {
                    parts.text.push_str(trim(&text));
                    parts.first.get_or_insert(param);
                }
                FieldInput::Absent if self.is_word_for_nothing(index, used) => {
                    parts.is_none |= is_divided_id || self.template.is_id_alone(index);
                }
                FieldInput::Absent => parts.lacking = parts.lacking.or(Some(index)),
                bad => return bad,
            }
        }
        self.joined(parts, is_divided_id)
    }

    fn joined(&mut self, parts: JoinedParts<'a>, is_divided_id: bool) -> FieldInput<'a> {
        match (parts.first, parts.skeleton, parts.lacking.filter(|_| is_divided_id)) {
            (Some(_), _, Some(index)) => {
                let name = self.template.names.name(index).to_owned();
                self.leave_out(ParamProblem::new(name, None, ParamFault::MissingParameter));
                FieldInput::Absent
            }
            _ if parts.is_none => FieldInput::Absent,
            (Some(param), ..) => FieldInput::Sound { param, text: Cow::Owned(parts.text) },
            (None, Some(param), _) => {
                FieldInput::Bad { param, why: UnusableParam::Classified(ValueClass::Skeleton) }
            }
            (None, None, _) => FieldInput::Absent,
        }
    }

    /// A value that alone is no id, as `0` or `SALE`, and may be part of one; with what it is alone. What an id is
    /// read from alone is no mere part: an id of it and of what else is known would be that of every such sale.
    fn part_of_id(&self, index: usize, used: ValueUse) -> Option<(&'a Param, ValueClass)> {
        let param = self.indexed.get(index).filter(|_| used == ValueUse::Id)?;
        let class = |used| self.template.classify(index, param, used);
        let alone = class(ValueUse::Id);
        let is_part = matches!(alone, ValueClass::Nothing | ValueClass::Skeleton)
            && class(ValueUse::Text) == ValueClass::Sound
            && self.indexed.wrong(index, param).is_none()
            && !self.template.is_id_alone(index);
        is_part.then_some((param, alone))
    }

    /// Whether what was received is a word such as `null`, which a note names.
    fn is_word_for_nothing(&self, index: usize, used: ValueUse) -> bool {
        let class = self.indexed.get(index).map(|param| self.template.classify(index, param, used));
        class == Some(ValueClass::Nothing)
    }
}

impl SourceTemplate {
    /// Whether a transaction or click id is read from the parameter alone.
    fn is_id_alone(&self, index: usize) -> bool {
        let is_id = |field: &Field| matches!(field, Field::TransactionId | Field::ClickId);
        let mut ids = self.fields.iter().filter(|(field, _)| is_id(field));
        ids.any(|(_, readings)| readings.contains(&FieldRule::One(index)))
    }
}
