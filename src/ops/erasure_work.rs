//! Looking for what would be erased, which takes as long as reading all records does: begun by a call, one at a time, and
//! asked about until it has ended. What it finds is kept until the next, as keyed hashes, and can be erased as it was shown.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::clock::Clock;
use crate::domain::erasure::report::Erasure;
use crate::domain::erasure::subject::{ErasureSubject, SubjectKind, SubjectRefused};
use crate::domain::time::Time;
use crate::ops::erasure::{self, ErasureError, ErasurePlan};
use crate::store::contract::Store;
use crate::store::contract::error::StoreError;

/// How often it is looked whether it has ended, by those who wait.
const LOOK: Duration = Duration::from_millis(20);

/// What is to be done with what is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErasureWish {
    /// It is only shown.
    Show,
    /// It is erased.
    Erase {
        /// Also where it is the data of more than one person.
        confirm: bool,
    },
}

/// What became of looking.
#[derive(Debug, Clone)]
pub enum ErasureOutcome {
    /// What would be erased.
    Found(Arc<ErasurePlan>),
    /// It is erased from now on, step by step.
    Kept(Box<Erasure>),
    /// Nothing is erased.
    Refused(SubjectRefused),
    /// The store could not be read or written.
    Failed(StoreError),
}

/// The work that was begun last.
#[derive(Debug, Clone)]
pub struct ErasureWorkState {
    /// Its number since the start, from 1.
    pub id: u64,
    /// The name of the token by which it was asked for.
    pub actor: String,
    /// What the value is.
    pub subject: SubjectKind,
    /// What is to be done with what is found.
    pub wish: ErasureWish,
    /// When it was begun.
    pub began: Time,
    /// When it ended, and how.
    pub ended: Option<(Time, ErasureOutcome)>,
}

/// Other work goes on, with this number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErasureBusy(pub u64);

/// The work on one store. Outlives a reload.
#[derive(Clone)]
pub struct ErasureWork {
    store: Arc<dyn Store>,
    clock: Clock,
    latest: Arc<Mutex<LatestErasureWork>>,
}

#[derive(Default)]
struct LatestErasureWork {
    count: u64,
    state: Option<ErasureWorkState>,
}

impl ErasureWork {
    /// The work on this store.
    pub fn new(store: Arc<dyn Store>, clock: Clock) -> ErasureWork {
        ErasureWork { store, clock, latest: Arc::default() }
    }

    /// The latest of this process.
    pub fn latest(&self) -> Option<ErasureWorkState> {
        self.latest.lock().state.clone()
    }

    /// Begins to look, by the holder of the token named `actor`.
    ///
    /// # Errors
    /// Other work goes on.
    pub fn begin(
        &self,
        subject: ErasureSubject,
        wish: ErasureWish,
        actor: &str,
    ) -> Result<ErasureWorkState, ErasureBusy> {
        let state = self.enter(subject.kind, wish, actor)?;
        let (work, begun) = (self.clone(), state.clone());
        let look = async move {
            let plan = erasure::look(work.store.as_ref(), &subject, begun.began).await;
            match (plan, begun.wish) {
                (Ok(plan), ErasureWish::Show) => ErasureOutcome::Found(Arc::new(plan)),
                (Ok(plan), ErasureWish::Erase { confirm }) => {
                    let kept = erasure::carry_out(work.store.as_ref(), plan, (&begun.actor, confirm)).await;
                    ErasureOutcome::of(kept)
                }
                (Err(error), _) => ErasureOutcome::of(Err(error)),
            }
        };
        let work = self.clone();
        let id = state.id;
        tokio::spawn(async move {
            let outcome = tokio::spawn(look).await;
            let cause = "it ended by a panic; see the log".to_owned();
            let panicked = |_| ErasureOutcome::Failed(StoreError::Unavailable { cause });
            work.end(id, outcome.unwrap_or_else(panicked));
        });
        Ok(state)
    }

    /// Erases what work `id` has found, as it was shown. `None`: it is not the latest, or has found nothing to be erased.
    ///
    /// # Errors
    /// Other work goes on.
    pub async fn erase_found(
        &self,
        id: u64,
        confirm: bool,
        actor: &str,
    ) -> Result<Option<ErasureWorkState>, ErasureBusy> {
        let found = self.latest().filter(|state| state.id == id);
        let Some((_, ErasureOutcome::Found(plan))) = found.and_then(|state| state.ended) else {
            return Ok(None);
        };
        let state = self.enter(plan.subject, ErasureWish::Erase { confirm }, actor)?;
        let (work, plan, actor) = (self.clone(), ErasurePlan::clone(&plan), actor.to_owned());
        let id = state.id;
        // It is done even when no one waits for the answer.
        let done = tokio::spawn(async move {
            let kept = erasure::carry_out(work.store.as_ref(), plan, (&actor, confirm)).await;
            work.end(id, ErasureOutcome::of(kept));
        });
        if let Err(error) = done.await {
            self.end(id, ErasureOutcome::Failed(StoreError::Unavailable { cause: error.to_string() }));
        }
        Ok(self.latest().filter(|state| state.id == id))
    }

    /// How work `id` is once it has ended, or after so long.
    pub async fn ended(&self, id: u64, most: Duration) -> Option<ErasureWorkState> {
        let state = || self.latest().filter(|state| state.id == id);
        let ends = async {
            while state().is_some_and(|state| state.ended.is_none()) {
                tokio::time::sleep(LOOK).await;
            }
        };
        // It may go on for longer than anyone waits.
        let _ = tokio::time::timeout(most, ends).await;
        state()
    }

    fn enter(
        &self,
        subject: SubjectKind,
        wish: ErasureWish,
        actor: &str,
    ) -> Result<ErasureWorkState, ErasureBusy> {
        let mut latest = self.latest.lock();
        if let Some(other) = latest.state.as_ref().filter(|state| state.ended.is_none()) {
            return Err(ErasureBusy(other.id));
        }
        latest.count += 1;
        let (id, actor, began) = (latest.count, actor.to_owned(), self.clock.now());
        let state = ErasureWorkState { id, actor, subject, wish, began, ended: None };
        latest.state = Some(state.clone());
        Ok(state)
    }

    fn end(&self, id: u64, outcome: ErasureOutcome) {
        if let ErasureOutcome::Failed(error) = &outcome {
            tracing::error!(%error, "what would be erased could not be looked for, or erased");
        }
        let ended = Some((self.clock.now(), outcome));
        if let Some(state) = self.latest.lock().state.as_mut().filter(|state| state.id == id) {
            state.ended = ended;
        }
    }
}

impl ErasureOutcome {
    fn of(kept: Result<Erasure, ErasureError>) -> ErasureOutcome {
        match kept {
            Ok(kept) => ErasureOutcome::Kept(Box::new(kept)),
            Err(ErasureError::Refused(refused)) => ErasureOutcome::Refused(refused),
            Err(ErasureError::Store(error)) => ErasureOutcome::Failed(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::erasure::subject;
    use crate::store::embedded::Embedded;
    use crate::store::engine::memory::Memory;

    #[tokio::test]
    async fn only_one_looks_at_a_time_and_what_was_found_can_be_erased_once() {
        let store: Arc<dyn Store> =
            Arc::new(Embedded::open(Arc::new(Memory::new()), Arc::default()).unwrap());
        let work = ErasureWork::new(store, Clock::system());
        let look = |email: &str| {
            let subject = subject(SubjectKind::Email, email).unwrap();
            work.begin(subject, ErasureWish::Show, "ops").map(|state| state.id)
        };
        assert_eq!(look("jane@example.com"), Ok(1));
        assert_eq!(look("adam@example.com"), Err(ErasureBusy(1)));
        assert!(matches!(work.erase_found(1, false, "ops").await, Ok(None)), "it is not found yet");
        let ended = work.ended(1, Duration::from_secs(60)).await.unwrap().ended;
        assert!(matches!(ended, Some((_, ErasureOutcome::Found(_)))), "{ended:?}");
        assert!(matches!(work.erase_found(7, false, "ops").await, Ok(None)));
        let refused = work.erase_found(1, false, "ops").await.unwrap().unwrap().ended;
        let nothing = SubjectRefused::NothingFound;
        assert!(matches!(refused, Some((_, ErasureOutcome::Refused(why))) if why == nothing));
        assert_eq!(look("adam@example.com"), Ok(3));
    }
}
