//! Each command of a group, decided.

use crate::store::commit::command::StoreCommand;
use crate::store::commit::delivery::Withdrawn;
use crate::store::commit::group::CommitGroup;
use crate::store::commit::purge::{self, Cursor};

impl CommitGroup<'_> {
    /// Decides one command. What cannot be decided is answered at once and leaves nothing behind.
    pub fn take(&mut self, command: StoreCommand, cursor: &mut Cursor) {
        match command {
            StoreCommand::Arrive(arrival, answer) => {
                let decided = self.arrive(*arrival);
                self.promise(decided, answer);
            }
            StoreCommand::Click(click, answer) => {
                let decided = self.click(*click);
                self.promise(decided, answer);
            }
            StoreCommand::Consent(arrival, answer) => {
                let decided = self.consent(&arrival);
                self.promise(decided, answer);
            }
            StoreCommand::Match { click, after } => {
                if let Err(error) = self.go_on_matching(&click, after) {
                    tracing::error!(%error, "conversions that wait for a click could not be matched");
                }
            }
            StoreCommand::ChangeRules(rules, answer) => {
                let decided = self.change_rules(rules);
                self.promise(decided, answer);
            }
            StoreCommand::Keep { name, text, answer } => {
                let decided = self.keep(name, text);
                self.promise(decided, answer);
            }
            StoreCommand::Record(outcomes, answer) => {
                let decided = self.record(&outcomes);
                self.promise(decided, answer);
            }
            StoreCommand::Retry(retry, answer) => {
                let decided = self.retry(&retry);
                self.promise(decided, answer);
            }
            StoreCommand::Withdraw(withdraw, answer) => match self.withdraw(withdraw) {
                Ok(Withdrawn::All(count)) => self.promise(Ok(count), answer),
                Ok(Withdrawn::Some(rest)) => self.again.push(StoreCommand::Withdraw(rest, answer)),
                Err(error) => self.promise(Err(error), answer),
            },
            StoreCommand::Expire { now, limit, answer } => {
                let decided = self.expire(now, limit);
                self.promise(decided, answer);
            }
            StoreCommand::EndHolds { now, limit, answer } => {
                let decided = self.end_holds(now, limit);
                self.promise(decided, answer);
            }
            StoreCommand::Purge(before, answer) => {
                let decided = purge::step(self, before, cursor);
                self.promise(decided, answer);
            }
            StoreCommand::Status(command) => self.take_status(command),
            StoreCommand::KeepFact(fact, answer) => {
                self.keep_fact(fact);
                self.promise(Ok(()), answer);
            }
            StoreCommand::Suppression(command) => self.take_suppression(command),
            StoreCommand::Probe(answer) => {
                self.probe = true;
                self.promise(Ok(()), answer);
            }
            StoreCommand::Close(answer) => self.promise(Ok(()), answer),
        }
    }
}
