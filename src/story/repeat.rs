//! What a source's story is to those of the same template that were received before it: new, changed or known already.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;

use crate::domain::attribution::FoundClick;
use crate::domain::conversion::{Conversion, Draft};
use crate::domain::decision::{self, ArrivalContext, Decision};
use crate::domain::facts::Facts;
use crate::domain::ids::{ConversionId, Seq};
use crate::domain::postback::VerdictName;
use crate::domain::rejection::Rejection;
use crate::domain::rejection::note::ReportNote;
use crate::domain::routing::SourcePolicy;
use crate::domain::ruleset::{Ruleset, usual};
use crate::domain::time::Time;
use crate::template::source::definition::SourceTemplate;

/// The conversions that were made so far; no click is known.
#[derive(Default)]
struct Made(Vec<Conversion>);

impl Facts for Made {
    type Error = Infallible;

    fn conversion(&self, id: &ConversionId) -> Result<Option<Conversion>, Infallible> {
        Ok(self.0.iter().find(|known| known.id == *id).cloned())
    }

    fn click(&self, _: &str) -> Result<Option<FoundClick>, Infallible> {
        Ok(None)
    }
}

/// What became of a story's postback: its verdict, and what is noted of it.
pub(super) type RepeatVerdict = Result<(VerdictName, Vec<ReportNote>), Rejection>;

/// The verdict on `draft` where `earlier` were received before it, in this order.
pub(super) fn verdict(template: &SourceTemplate, earlier: &[Draft], draft: &Draft) -> RepeatVerdict {
    let policy = SourcePolicy { dedup: template.default_dedup(), ..usual(draft.source.clone()) };
    let policies = HashMap::from([(draft.source.clone(), Arc::new(policy))]);
    let rules = Ruleset { policies, ..Ruleset::default() };
    let mut made = Made::default();
    let mut seq = Seq::FIRST;
    for before in earlier {
        // What of them is wrong, a story of its own shows.
        let _ = receive(&rules, &mut made, seq, before);
        seq = Seq::new(seq.get() + 1).unwrap_or(seq);
    }
    receive(&rules, &mut made, seq, draft)
}

fn receive(rules: &Ruleset, made: &mut Made, seq: Seq, draft: &Draft) -> RepeatVerdict {
    let arrived = ArrivalContext { seq, at: Time::EPOCH, now: Time::EPOCH };
    let decided = match decision::decide(rules, draft, arrived, made) {
        Ok(decided) => decided,
        Err(never) => match never {},
    };
    let (verdict, conversion, notes) = match decided {
        Decision::New { conversion, notes } => (VerdictName::Accepted, conversion, notes),
        Decision::Update { conversion, notes } => (VerdictName::Updated, conversion, notes),
        Decision::Duplicate { notes, .. } => return Ok((VerdictName::Duplicate, notes)),
        Decision::Quarantine(rejection)
        | Decision::Surplus(rejection)
        | Decision::UnknownSale { rejection, .. } => return Err(rejection),
    };
    made.0.retain(|known| known.id != conversion.id);
    made.0.push(conversion);
    Ok((verdict, notes))
}
