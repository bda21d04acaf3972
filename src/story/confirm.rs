//! Stories of what a platform says later of a request that it accepted.

use serde_json::{Value as Json, json};

use crate::domain::delivery::ReplyVerdict;
use crate::domain::time::Time;
use crate::story::reply_file::ConfirmStory;
use crate::template::destination::confirm::{AskedEvent, ConfirmVerdict, SaidOfEvents};
use crate::template::destination::ready::ReadyDestination;

/// It is asked again.
pub(crate) const AGAIN: &str = "again";

/// What a platform says of the events of a request that it accepted; `None`: it is not asked.
pub(crate) fn confirmed(
    destination: &ReadyDestination,
    story: &ConfirmStory,
    now: Time,
) -> Option<ConfirmVerdict> {
    let ConfirmStory { reply, events, after_unknown } = story;
    let asked = |number| AskedEvent { number, after_unknown: *after_unknown };
    let asked: Vec<AskedEvent> = (0..*events).map(asked).collect();
    destination.confirmed(reply, (&asked, *events), now)
}

/// The same as a story has it, and in a word.
pub(crate) fn of_confirm(
    verdict: &ConfirmVerdict,
    classified: impl Fn(&ReplyVerdict) -> Json,
) -> (Json, &'static str) {
    match verdict {
        ConfirmVerdict::Again(verdict) => {
            (json!({ "verdict": AGAIN, "because": classified(verdict) }), AGAIN)
        }
        ConfirmVerdict::Events(SaidOfEvents { verdicts: events, .. }) => {
            let word = events.first().map_or(AGAIN, ReplyVerdict::as_str);
            let found = match &events[..] {
                [only] => classified(only),
                several => json!({ "events": several.iter().map(&classified).collect::<Vec<_>>() }),
            };
            (found, word)
        }
    }
}
