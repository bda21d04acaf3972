//! Which refresh token of an account is shown next: the newest, or one that was found in a file and is not proven yet.

use sha2::{Digest, Sha256};

/// So many tokens are known again: those of a month, where each holds for an hour.
const REMEMBERED: usize = 1_000;

/// The refresh tokens of one account.
pub struct TokenChain {
    /// What the platform took or gave last, or what was configured.
    newest: String,
    known: Vec<KnownToken>,
    /// Whether the platform refused the newest.
    is_refused: bool,
    /// What else its files hold, as far as it may be shown.
    found: Vec<FoundToken>,
    /// How often one of those was refused.
    refusals: u64,
    turn: TokenTurn,
}

/// One that is or was the account's.
struct KnownToken {
    digest: [u8; 32],
    /// Whether it is the newest, or the platform replaced it by that, one after the other.
    is_of_chain: bool,
}

/// One that a file holds and the platform has not taken.
struct FoundToken {
    token: String,
    /// Whether a person or another program put it there, and it was not refused since: then it is shown although the newest
    /// is not refused.
    is_put: bool,
    /// Which refusal its last was, of all of those that were found; 0 before the first.
    refused_last: u64,
}

/// Which is shown.
enum TokenTurn {
    /// The newest, unless one that was found goes before it.
    Newest,
    /// The newest, because one that was found was refused.
    Former,
    /// One that was found, until the platform takes or refuses it.
    Found(String),
}

impl TokenChain {
    /// The chain that begins with a token.
    pub fn new(token: &str) -> TokenChain {
        let known = vec![KnownToken { digest: digest(token), is_of_chain: true }];
        TokenChain {
            newest: token.to_owned(),
            known,
            is_refused: false,
            found: Vec::new(),
            refusals: 0,
            turn: TokenTurn::Newest,
        }
    }

    /// What the platform took or gave last, or what was configured.
    pub fn newest(&self) -> &str {
        &self.newest
    }

    /// The one to show.
    pub fn shown(&self) -> &str {
        match &self.turn {
            TokenTurn::Found(token) => token,
            TokenTurn::Newest | TokenTurn::Former => &self.newest,
        }
    }

    /// Whether it is or was a token of the account, also one that is not proven.
    pub fn knows(&self, token: &str) -> bool {
        let digest = digest(token);
        self.known.iter().any(|known| known.digest == digest)
    }

    /// A file holds this token. `is_change`: it held another when it was last read or written.
    pub fn find(&mut self, token: &str, is_change: bool) {
        // What was replaced is put back by a copy of the file, and is worth nothing: unless the newest is refused.
        let is_put = is_change && !self.is_of_chain(token);
        if token == self.newest || !(is_put || self.is_refused) {
            return;
        }
        match self.found.iter_mut().find(|found| found.token == token) {
            Some(found) => found.is_put |= is_put,
            None => {
                self.found.push(FoundToken { token: token.to_owned(), is_put, refused_last: 0 });
                self.remember(token, false);
            }
        }
        if is_put && matches!(self.turn, TokenTurn::Former) {
            self.turn = TokenTurn::Newest;
        }
    }

    /// Forgets those that were found and are in no file any more.
    pub fn retain(&mut self, is_held: impl Fn(&str) -> bool) {
        self.found.retain(|found| is_held(&found.token));
    }

    /// Chooses the one to show, among the newest and those that a file holds. After one that was found and refused it is the
    /// newest's turn, then that of the one whose last refusal was the longest ago.
    pub fn choose(&mut self, is_held: impl Fn(&str) -> bool) {
        match &self.turn {
            TokenTurn::Former => return,
            TokenTurn::Found(token) if is_held(token) => return,
            TokenTurn::Newest | TokenTurn::Found(_) => {}
        }
        let may_be_shown = |found: &&FoundToken| (found.is_put || self.is_refused) && is_held(&found.token);
        let next =
            self.found.iter().filter(may_be_shown).min_by_key(|found| (!found.is_put, found.refused_last));
        self.turn = next.map_or(TokenTurn::Newest, |found| TokenTurn::Found(found.token.clone()));
    }

    /// Whether one that was put into a file, and that it holds still, waits for its turn.
    pub fn awaits_trial(&self, is_held: impl Fn(&str) -> bool) -> bool {
        self.found.iter().any(|found| found.is_put && is_held(&found.token))
    }

    /// The platform refused the one that was shown. `is_of_grant`: because of the token, and not of who shows it, or how.
    pub fn refused(&mut self, shown: &str, is_of_grant: bool) {
        if shown == self.newest {
            self.is_refused |= is_of_grant;
            self.turn = TokenTurn::Newest;
            return;
        }
        if let Some(found) = self.found.iter_mut().find(|found| found.token == shown) {
            // Whatever it says: a token of another program is refused in many words.
            self.refusals = self.refusals.saturating_add(1);
            (found.is_put, found.refused_last) = (false, self.refusals);
        }
        self.turn = TokenTurn::Former;
    }

    /// The platform took the one that was shown, and gave `next` in its place, if anything. Answers whether others that had
    /// been put into a file are given up, because they were refused.
    pub fn taken(&mut self, shown: &str, next: Option<&str>) -> bool {
        if shown != self.newest {
            for known in &mut self.known {
                known.is_of_chain = false;
            }
            self.renew(shown);
        }
        if let Some(next) = next {
            self.renew(next);
        }
        (self.is_refused, self.turn) = (false, TokenTurn::Newest);
        let found = std::mem::take(&mut self.found);
        let others = found.into_iter().filter(|found| !self.is_of_chain(&found.token));
        let (waiting, rest): (Vec<_>, Vec<_>) = others.partition(|found| found.is_put);
        self.found = waiting;
        rest.iter().any(|found| found.refused_last > 0)
    }

    /// What is to be written into the files that hold another; `None` while it is not sure that the platform takes it.
    pub fn proven(&self) -> Option<&str> {
        let is_proven = !self.is_refused && !matches!(self.turn, TokenTurn::Found(_));
        is_proven.then_some(self.newest.as_str())
    }

    /// Whether it was found and the platform may take it yet: it is left in its file.
    pub fn is_unproven(&self, token: &str) -> bool {
        self.found.iter().any(|found| found.token == token)
    }

    fn is_of_chain(&self, token: &str) -> bool {
        let digest = digest(token);
        self.known.iter().any(|known| known.is_of_chain && known.digest == digest)
    }

    fn renew(&mut self, newest: &str) {
        newest.clone_into(&mut self.newest);
        self.remember(newest, true);
    }

    fn remember(&mut self, token: &str, is_of_chain: bool) {
        let digest = digest(token);
        match self.known.iter_mut().find(|known| known.digest == digest) {
            Some(known) => known.is_of_chain |= is_of_chain,
            None => self.known.push(KnownToken { digest, is_of_chain }),
        }
        if self.known.len() > REMEMBERED {
            // The first stays: where it is written in the configuration itself, that is what a reload finds.
            self.known.remove(1);
        }
    }
}

/// What is remembered of a token.
pub fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A chain whose newest is `new`, given for `old`, and what the account's files hold.
    struct Fixture {
        chain: TokenChain,
        held: Vec<String>,
    }

    impl Fixture {
        fn new(files: usize) -> Fixture {
            let mut chain = TokenChain::new("old");
            chain.taken("old", Some("new"));
            Fixture { chain, held: vec!["new".to_owned(); files] }
        }

        /// What is shown now that the files hold these.
        fn shows(&mut self, files: &[&str]) -> String {
            for (held, found) in self.held.iter_mut().zip(files) {
                self.chain.find(found, held != found);
                (*found).clone_into(held);
            }
            let is_held = |token: &str| files.contains(&token);
            self.chain.retain(is_held);
            self.chain.choose(is_held);
            self.chain.shown().to_owned()
        }

        /// What is shown, one after the other, where all is refused.
        fn refused(&mut self, files: &[&str], times: usize) -> Vec<String> {
            let one = |_| {
                let shown = self.shows(files);
                self.chain.refused(&shown, true);
                shown
            };
            (0..times).map(one).collect()
        }
    }

    #[test]
    fn after_a_refusal_an_older_one_is_tried_and_then_the_newest_again_in_whichever_file_it_is() {
        for files in [["new", "old"], ["old", "new"]] {
            let mut fixture = Fixture::new(2);
            assert_eq!(fixture.refused(&files, 2), ["new", "old"]);
            assert_eq!(fixture.chain.proven(), None, "nothing is known to be taken");
            assert_eq!(fixture.shows(&files), "new");
            assert!(!fixture.chain.taken("new", None), "no one had put it there");
            assert_eq!((fixture.shows(&files).as_str(), fixture.chain.proven()), ("new", Some("new")));
            assert!(!fixture.chain.is_unproven("old"), "it is written over");
        }
    }

    #[test]
    fn an_older_one_is_not_shown_while_the_newest_is_not_refused() {
        let mut fixture = Fixture::new(1);
        assert_eq!((fixture.shows(&["old"]).as_str(), fixture.chain.proven()), ("new", Some("new")));
        fixture.chain.refused("new", false);
        assert_eq!(fixture.shows(&["old"]), "new", "it is not the token that was refused");
    }

    #[test]
    fn an_older_one_that_the_platform_takes_is_the_newest() {
        let mut fixture = Fixture::new(2);
        fixture.refused(&["new", "old"], 1);
        assert_eq!(fixture.shows(&["new", "old"]), "old");
        assert_eq!(fixture.chain.proven(), None);
        fixture.chain.taken("old", Some("next"));
        assert_eq!((fixture.chain.shown(), fixture.chain.proven()), ("next", Some("next")));
        assert!(fixture.chain.knows("new"), "a reload may find it yet");
    }

    #[test]
    fn each_of_several_has_its_turn_with_the_newest_in_between() {
        let mut fixture = Fixture::new(3);
        let shown = fixture.refused(&["new", "new", "new"], 1);
        assert_eq!(shown, ["new"]);
        let shown = fixture.refused(&["new", "old", "other"], 8);
        assert_eq!(shown, ["other", "new", "old", "new", "other", "new", "old", "new"]);
    }

    #[test]
    fn one_that_was_put_into_a_file_is_shown_at_once_and_then_the_former_and_its_file_is_left_until_one_is_taken()
     {
        for is_of_grant in [true, false] {
            let mut fixture = Fixture::new(2);
            assert_eq!(fixture.shows(&["put", "new"]), "put");
            assert_eq!((fixture.chain.proven(), fixture.chain.newest()), (None, "new"), "it is on trial");
            assert_eq!(fixture.shows(&["put", "new"]), "put", "without an answer it is shown again");
            fixture.chain.refused("put", is_of_grant);
            assert_eq!(
                (fixture.shows(&["put", "new"]).as_str(), fixture.chain.proven()),
                ("new", Some("new"))
            );
            assert!(
                fixture.chain.is_unproven("put") && fixture.chain.knows("put") && fixture.chain.knows("new")
            );
            assert!(fixture.chain.taken("new", Some("next")), "it is given up");
            assert!(!fixture.chain.is_unproven("put"));
            assert_eq!(
                fixture.shows(&["put", "next"]),
                "next",
                "where it could not be written over it is not tried"
            );
        }
    }

    #[test]
    fn one_that_is_put_there_a_second_time_is_tried_a_second_time() {
        let mut fixture = Fixture::new(1);
        assert_eq!(fixture.refused(&["put"], 2), ["put", "new"]);
        assert_eq!(fixture.refused(&["put-2"], 1), ["put-2"], "it does not wait for the former");
        assert_eq!(fixture.shows(&["put-2"]), "new");
        fixture.chain.taken("new", None);
        assert_eq!(fixture.shows(&["new"]), "new");
        assert_eq!(fixture.shows(&["put"]), "put");
        fixture.chain.taken("put", None);
        assert_eq!(fixture.shows(&["new"]), "new", "the former did not end by the platform's word");
    }

    #[test]
    fn of_two_that_were_put_there_neither_is_written_over_before_it_was_shown() {
        let mut fixture = Fixture::new(2);
        assert_eq!(fixture.refused(&["one", "two"], 1), ["one"]);
        assert_eq!(fixture.shows(&["one", "two"]), "new");
        fixture.chain.taken("new", Some("next"));
        assert!(!fixture.chain.is_unproven("one") && fixture.chain.is_unproven("two"));
        assert!(fixture.chain.awaits_trial(|token| token == "two"));
        assert!(!fixture.chain.awaits_trial(|token| token == "next"), "it is in no file any more");
        assert_eq!((fixture.shows(&["next", "two"]).as_str(), fixture.chain.newest()), ("two", "next"));
    }

    #[test]
    fn one_that_is_in_no_file_any_more_is_not_shown() {
        let mut fixture = Fixture::new(1);
        assert_eq!(fixture.shows(&["put"]), "put");
        assert_eq!((fixture.shows(&["old"]).as_str(), fixture.chain.proven()), ("new", Some("new")));
    }

    #[test]
    fn of_more_than_a_month_the_first_and_the_last_are_known() {
        let mut chain = TokenChain::new("0");
        for number in 1..=REMEMBERED {
            chain.taken(&(number - 1).to_string(), Some(&number.to_string()));
        }
        let known = ["0", "1", "2", "1000"].map(|token| chain.knows(token));
        assert_eq!(known, [true, false, true, true]);
    }
}
