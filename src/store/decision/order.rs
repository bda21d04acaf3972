//! What the store is to do, and how the answer finds its way back.

use std::cell::Cell;

use tokio::sync::oneshot;

use crate::store::contract::error::StoreError;
use crate::store::decision::group::CommitGroup;
use crate::store::decision::need::{Known, Need, Undecided};

/// How many conversions one step of a long order changes.
pub const STEP: usize = 1024;

/// Where an answer goes. A caller who no longer listens changes nothing.
pub type ReplySender<T> = oneshot::Sender<Result<T, StoreError>>;

/// Something to do, decided as part of a group.
pub trait Order: Sized + Send + 'static {
    /// What the caller is answered.
    type Answer: Send + 'static;

    /// Names what it will surely look up and costs a round trip where it is not at hand.
    fn foresee(&self, _needs: &mut Vec<Need>) {}

    /// Decides it, after what the group has decided so far. All that may be missing is looked up before anything of the
    /// group is changed, since it is decided again then.
    fn decide<'a>(&'a self, group: &mut CommitGroup<'a>) -> Known<Decided<Self>>;

    /// Looks up what deciding it would, and changes nothing: one before it in the group waits for what is missing, and
    /// what this one misses is fetched along with that.
    fn look_ahead(&self, _group: &CommitGroup<'_>) -> Known<()> {
        Ok(())
    }

    /// Bytes that it brings along, roughly.
    fn weight(&self) -> usize {
        0
    }
}

/// How far an order has come with its group.
pub enum Decided<O: Order> {
    /// It is done.
    Whole(O::Answer),
    /// A step of it is: this is left.
    Step(O),
}

/// An order that waits for its group, or is in one.
pub trait OrderInGroup: Send {
    /// As [`Order::foresee`].
    fn foresee(&self, needs: &mut Vec<Need>);

    /// As [`Order::decide`]; what cannot be decided is so by its own fault.
    ///
    /// # Errors
    /// What is missing.
    fn decide<'a>(&'a self, group: &mut CommitGroup<'a>) -> Result<(), Vec<Need>>;

    /// It is not decided, for this reason.
    fn fail(&self, error: StoreError);

    /// As [`Order::look_ahead`]: what is missing.
    fn look_ahead(&self, group: &CommitGroup<'_>) -> Vec<Need>;

    /// As [`Order::weight`].
    fn weight(&self) -> usize;

    /// Whether only a step of it was decided.
    fn has_rest(&self) -> bool;

    /// What is left of it, if anything, once its group is durable.
    fn rest(self: Box<Self>) -> Option<Box<dyn OrderInGroup>>;

    /// Answers what was decided, if the group is durable, and otherwise why not.
    fn answer(self: Box<Self>, committed: Result<(), StoreError>);
}

/// An order on its way, with the way back.
pub struct Ordered<O: Order> {
    order: O,
    /// `None`: no one waits.
    reply: Option<ReplySender<O::Answer>>,
    decided: Cell<Option<Result<Decided<O>, StoreError>>>,
}

impl<O: Order> Ordered<O> {
    /// On its way.
    pub fn new(order: O, reply: Option<ReplySender<O::Answer>>) -> Box<Ordered<O>> {
        Box::new(Ordered { order, reply, decided: Cell::new(None) })
    }
}

impl<O: Order> OrderInGroup for Ordered<O> {
    fn foresee(&self, needs: &mut Vec<Need>) {
        self.order.foresee(needs);
    }

    fn decide<'a>(&'a self, group: &mut CommitGroup<'a>) -> Result<(), Vec<Need>> {
        let decided = match self.order.decide(group) {
            Ok(decided) => Ok(decided),
            Err(Undecided::Failed(error)) => Err(error),
            Err(Undecided::Missing(needs)) => return Err(needs),
        };
        self.decided.set(Some(decided));
        Ok(())
    }

    fn fail(&self, error: StoreError) {
        self.decided.set(Some(Err(error)));
    }

    fn look_ahead(&self, group: &CommitGroup<'_>) -> Vec<Need> {
        match self.order.look_ahead(group) {
            Err(Undecided::Missing(needs)) => needs,
            Ok(()) | Err(Undecided::Failed(_)) => Vec::new(),
        }
    }

    fn weight(&self) -> usize {
        self.order.weight()
    }

    fn has_rest(&self) -> bool {
        let decided = self.decided.take();
        let has_rest = matches!(decided, Some(Ok(Decided::Step(_))));
        self.decided.set(decided);
        has_rest
    }

    fn rest(self: Box<Self>) -> Option<Box<dyn OrderInGroup>> {
        match self.decided.into_inner() {
            Some(Ok(Decided::Step(rest))) => Some(Ordered::new(rest, self.reply)),
            _ => None,
        }
    }

    fn answer(self: Box<Self>, committed: Result<(), StoreError>) {
        let answer = match (self.decided.into_inner(), committed) {
            (Some(Err(error)), _) | (_, Err(error)) => Err(error),
            (Some(Ok(Decided::Whole(answer))), Ok(())) => Ok(answer),
            // Nothing answers what is not decided whole, but that the store ends.
            (Some(Ok(Decided::Step(_))) | None, Ok(())) => Err(StoreError::Closed),
        };
        // A dropped receiver is a caller that went away; what was done holds all the same.
        match (self.reply, answer) {
            (Some(reply), answer) => drop(reply.send(answer)),
            (None, Err(error)) => tracing::error!(%error, "what the store does on its own failed"),
            (None, Ok(_)) => {}
        }
    }
}
