//! What the writer does about erasures: each between two groups, in a commit of its own.

use std::sync::Arc;

use crate::store::commit::embedded_commit::EmbeddedCommit;
use crate::store::commit::erasing::{self, CommittedStep, ErasingCommand, ErasingCommit};
use crate::store::commit::erasure_list;
use crate::store::commit::known_facts::KnownFacts;
use crate::store::contract::erasure::ErasureStep;
use crate::store::contract::error::StoreError;
use crate::store::decision::group::CommitGroup;
use crate::store::reader::readable;
use crate::store::writer::{Committed, Writer};

impl Writer {
    /// Does what is asked about erasures, and answers it. A dropped receiver is a caller that went away.
    pub(super) fn erase(&mut self, command: ErasingCommand) {
        match command {
            ErasingCommand::Keep(order, answer) => {
                drop(answer.send(self.apart(|commit| erasure_list::keep(commit, &order))));
            }
            ErasingCommand::Again(others, answer) => {
                drop(answer.send(self.apart(|commit| erasure_list::again(commit, others))));
            }
            ErasingCommand::Note(notes, answer) => {
                drop(answer.send(self.apart(|commit| erasure_list::note(commit, notes))));
            }
            ErasingCommand::Step(step, answer) => drop(answer.send(self.erase_step(*step))),
        }
    }

    /// Where a change cannot be written, the others are, each alone, and the pass goes on.
    fn erase_step(&mut self, commit: ErasingCommit) -> Result<CommittedStep, StoreError> {
        let done = self.apart(|made| erasing::step(made, &commit));
        let Err(StoreError::Corrupt { .. }) = done else { return done };
        let (mut committed, mut unreadable) = (CommittedStep::default(), commit.unreadable);
        for one in commit.one_by_one() {
            let done = self.apart(|made| erasing::step(made, &one));
            match readable(done, "a record that is to be erased")? {
                Some(done) => {
                    committed.step.erased.add(&done.step.erased);
                    committed.stale.extend(done.stale);
                }
                None => unreadable += 1,
            }
        }
        if !committed.stale.is_empty() {
            return Ok(CommittedStep { step: ErasureStep { more: true, ..committed.step }, ..committed });
        }
        let rest = commit.without_changes(unreadable);
        let done = self.apart(|made| erasing::step(made, &rest))?;
        committed.step.more = done.step.more;
        Ok(CommittedStep { is_another: done.is_another, ..committed })
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
