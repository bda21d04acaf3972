//! What the writer does about erasures: each between two groups, in a commit of its own.

use std::sync::Arc;

use crate::store::commit::embedded_commit::EmbeddedCommit;
use crate::store::commit::erasing::{self, ErasingCommand, PreparedStep};
use crate::store::commit::known_facts::KnownFacts;
use crate::store::contract::erasure::ErasureStep;
use crate::store::contract::error::StoreError;
use crate::store::decision::group::CommitGroup;
use crate::store::reader::readable;
use crate::store::table::store_facts;
use crate::store::writer::{Committed, Writer};

impl Writer {
    /// Does what is asked about erasures, and answers it. A dropped receiver is a caller that went away.
    pub(super) fn erase(&mut self, command: ErasingCommand) {
        match command {
            ErasingCommand::Keep(order, answer) => {
                drop(answer.send(self.apart(|commit| erasing::keep(commit, &order))));
            }
            ErasingCommand::Again(others, answer) => {
                drop(answer.send(self.apart(|commit| erasing::again(commit, others))));
            }
            ErasingCommand::Step(step, answer) => drop(answer.send(self.erase_step(*step))),
        }
    }

    /// Where a record of a step cannot be written, the others are, each alone, and the pass goes on.
    fn erase_step(&mut self, step: PreparedStep) -> Result<ErasureStep, StoreError> {
        let key = store_facts::digest_key(&self.shared.reader)
            .map_err(|error| self.shared.reader.fail("read", error))?;
        let done = self.apart(|commit| erasing::step(commit, &key, &step));
        let Err(StoreError::Corrupt { .. }) = done else { return done };
        let mut more = true;
        for one in step.one_by_one() {
            let erased = self.apart(|commit| erasing::step(commit, &key, &one));
            more = readable(erased, "a record that is to be erased")?.is_none_or(|done| done.more);
        }
        Ok(ErasureStep { more, ..ErasureStep::default() })
    }

    /// Commits what is made without orders.
    fn apart<T>(
        &mut self,
        prepare: impl FnOnce(&mut EmbeddedCommit<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let shared = Arc::clone(&self.shared);
        shared.reader.check()?;
        let facts = KnownFacts::of(&shared);
        let group = CommitGroup::new(&facts, shared.beginning(self.numbers));
        let began = self.watch.as_ref().map(|watch| (watch.clock)());
        let mut commit = EmbeddedCommit::of(&shared, group);
        let became = prepare(&mut commit)?;
        let sync = self.commit(&mut commit, 0)?;
        self.end(Vec::new(), Ok(Committed::of(commit, sync)), began);
        Ok(became)
    }
}
