//! Refresh tokens that are found in files and may be worth nothing: none of them costs an account the one that is good.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use postbridge::dispatch::{Dispatch, DispatchPlan};
use postbridge::domain::ids::ConversionId;
use postbridge::domain::time::HOUR_MS;
use serde_json::json;

use crate::dispatch::sign_in::{SignedTarget, by_refresh_token, fixture, form, refusing, start};
use crate::support::dispatch_fixture::{DispatchFixture, policy, source};
use crate::support::platform::{Act, Platform};

/// A token server that takes one refresh token only, gives the next for it, and refuses it as often as it is meant to.
#[derive(Clone)]
struct Strict(Arc<Mutex<StrictState>>);

struct StrictState {
    good: String,
    given: usize,
    /// Refuses the good one so often, too.
    refusals: usize,
    /// What is written into a file when something is refused: a copy, say.
    written: Option<(PathBuf, String)>,
    shown: Vec<String>,
    /// What the files held while each was shown.
    held: Vec<Vec<String>>,
    files: Vec<PathBuf>,
}

impl Strict {
    fn new(files: &[PathBuf]) -> (Strict, Platform) {
        let state = StrictState {
            good: "refresh-0".to_owned(),
            given: 0,
            refusals: 0,
            written: None,
            shown: Vec::new(),
            held: Vec::new(),
            files: files.to_vec(),
        };
        let strict = Strict(Arc::new(Mutex::new(state)));
        let asked = strict.clone();
        let platform = Platform::start(move |request| asked.0.lock().answer(&form(request)["refresh_token"]));
        (strict, platform)
    }

    fn shown(&self) -> Vec<String> {
        self.0.lock().shown.clone()
    }
}

impl StrictState {
    fn answer(&mut self, shown: &str) -> Act {
        self.shown.push(shown.to_owned());
        self.held.push(self.files.iter().map(|file| kept(file)).collect());
        if shown != self.good || self.refusals > 0 {
            self.refusals = self.refusals.saturating_sub(usize::from(shown == self.good));
            if let Some((file, text)) = self.written.take() {
                std::fs::write(file, text).unwrap();
            }
            return Act::status(400, r#"{"error":"invalid_grant"}"#);
        }
        self.given += 1;
        self.good = format!("refresh-{}", self.given);
        let answer = json!({"access_token": "access", "expires_in": 3600, "refresh_token": self.good});
        Act::ok(&answer.to_string())
    }
}

/// Two destinations of one account, each with a file of its own, which hold `refresh-1` after the first sale.
struct Pair {
    fixture: DispatchFixture,
    _folder: tempfile::TempDir,
    files: Vec<PathBuf>,
    platform: Platform,
    tokens: Platform,
    strict: Strict,
    ids: &'static [&'static str],
}

impl Pair {
    fn new(ids: &'static [&'static str]) -> Pair {
        let folder = tempfile::tempdir().unwrap();
        let files: Vec<PathBuf> = ids.iter().map(|id| file_in(&folder.path().join(id))).collect();
        let (strict, tokens) = Strict::new(&files);
        Pair { fixture: fixture(ids), _folder: folder, files, platform: refusing(&[]), tokens, strict, ids }
    }

    /// The destinations with what their files hold, as a reload finds them.
    fn targets(&self) -> Vec<SignedTarget<'_>> {
        let target = |(id, file): (&&'static str, &PathBuf)| {
            let mut target = by_refresh_token(id, (&self.platform, &self.tokens), Some(file));
            let token = target.settings.iter_mut().find(|(name, _)| *name == "refresh_token");
            token.unwrap().1 = kept(file);
            target
        };
        self.ids.iter().zip(&self.files).map(target).collect()
    }

    async fn start(&self) -> Dispatch {
        let dispatch = start(&self.fixture, &self.targets());
        let sale = self.fixture.sale("t-1").await;
        self.is_sent(sale).await;
        assert!(self.files.iter().all(|file| kept(file) == "refresh-1"));
        dispatch
    }

    fn reload(&self, dispatch: &Dispatch) {
        dispatch.reload(DispatchPlan {
            destinations: self.targets().iter().map(SignedTarget::plan).collect(),
            policies: HashMap::from([(source(), policy())]),
        });
    }

    /// Another sale when the access token has ended, which is sent by and by.
    async fn sells(&self, transaction: &str) {
        self.fixture.clock.run(HOUR_MS);
        let sale = self.fixture.sale(transaction).await;
        self.is_sent(sale).await;
    }

    /// Until a sale is delivered everywhere the destinations that are parked are tried again and again.
    async fn is_sent(&self, sale: ConversionId) {
        for _ in 0..2_000 {
            let deliveries = self.fixture.deliveries(sale).await;
            if deliveries.iter().all(|(delivery, _)| delivery.state.as_str() == "delivered") {
                return;
            }
            self.tries_again().await;
        }
        panic!("it is not sent: {:?}", self.strict.shown());
    }

    async fn tries_again(&self) {
        self.fixture.clock.run(60);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }

    async fn goes_on(&self, what: &str, holds: impl Fn() -> bool) {
        for _ in 0..2_000 {
            if holds() {
                return;
            }
            self.tries_again().await;
        }
        panic!("never: {what}: {:?}", self.strict.shown());
    }

    fn kept(&self) -> Vec<String> {
        self.files.iter().map(|file| kept(file)).collect()
    }
}

fn kept(file: &Path) -> String {
    std::fs::read_to_string(file).unwrap_or_default().trim().to_owned()
}

fn file_in(folder: &Path) -> PathBuf {
    std::fs::create_dir_all(folder).unwrap();
    let file = folder.join("refresh-token");
    std::fs::write(&file, "refresh-0").unwrap();
    file
}

async fn stop(dispatch: Dispatch) {
    dispatch.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn one_refusal_in_passing_costs_no_token_whichever_file_holds_an_older_one() {
    for older in [0, 1] {
        let pair = Pair::new(&["a", "b"]);
        let dispatch = pair.start().await;
        {
            let mut strict = pair.strict.0.lock();
            strict.refusals = 1;
            strict.written = Some((pair.files[older].clone(), "refresh-0".to_owned()));
        }
        pair.sells("t-2").await;
        assert_eq!(pair.strict.shown(), ["refresh-0", "refresh-1", "refresh-0", "refresh-1"]);
        assert_eq!(pair.kept(), ["refresh-2", "refresh-2"], "the older was in file {older}");
        let held = pair.strict.0.lock().held[3].clone();
        assert_eq!(
            (&*held[older], &*held[1 - older]),
            ("refresh-0", "refresh-1"),
            "nothing was written meanwhile"
        );
        pair.sells("t-3").await;
        assert_eq!(pair.kept(), ["refresh-3", "refresh-3"]);
        stop(dispatch).await;
    }
}

#[tokio::test]
async fn a_reload_between_the_refusals_loses_neither_the_newest_nor_the_older_one() {
    for taken in ["refresh-0", "refresh-1"] {
        let pair = Pair::new(&["a", "b"]);
        let dispatch = pair.start().await;
        {
            let mut strict = pair.strict.0.lock();
            strict.good = "none".to_owned();
            strict.written = Some((pair.files[1].clone(), "refresh-0".to_owned()));
        }
        pair.fixture.clock.run(HOUR_MS);
        let sale = pair.fixture.sale("t-2").await;
        for count in 2..6 {
            pair.goes_on("another is refused", || pair.strict.shown().len() >= count).await;
            pair.reload(&dispatch);
        }
        taken.clone_into(&mut pair.strict.0.lock().good);
        pair.is_sent(sale).await;
        assert_eq!(pair.kept(), ["refresh-2", "refresh-2"], "{taken}");
        stop(dispatch).await;
    }
}

/// What a person does after a token was put into a file.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Then {
    Nothing,
    ReloadAtOnce,
    ReloadOnceRefused,
}

#[tokio::test]
async fn a_token_that_a_person_put_there_and_that_is_refused_gives_way_to_the_former() {
    for then in [Then::Nothing, Then::ReloadAtOnce, Then::ReloadOnceRefused] {
        let pair = Pair::new(&["a"]);
        let dispatch = pair.start().await;
        std::fs::write(&pair.files[0], "a bad copy").unwrap();
        match then {
            Then::Nothing => pair.fixture.clock.run(HOUR_MS),
            // Without waiting for the end of the access token: it may be of another person.
            Then::ReloadAtOnce => pair.reload(&dispatch),
            Then::ReloadOnceRefused => {
                pair.fixture.clock.run(HOUR_MS);
                pair.strict.0.lock().refusals = 3;
            }
        }
        let sale = pair.fixture.sale("t-2").await;
        if then == Then::ReloadOnceRefused {
            pair.goes_on("the former is refused in passing", || pair.strict.shown().len() >= 4).await;
            pair.reload(&dispatch);
        }
        pair.is_sent(sale).await;
        let (shown, held) = (pair.strict.shown(), pair.strict.0.lock().held.clone());
        assert_eq!(shown[..3], ["refresh-0", "a bad copy", "refresh-1"], "{then:?}");
        assert!(
            held[1..].iter().all(|held| held == &["a bad copy"]),
            "it is left until another is taken: {then:?}"
        );
        assert_eq!(shown.last().unwrap(), "refresh-1");
        assert_eq!(pair.kept(), ["refresh-2"], "{then:?}");
        pair.sells("t-3").await;
        assert_eq!(pair.kept(), ["refresh-3"], "{then:?}");
        stop(dispatch).await;
    }
}

#[tokio::test]
async fn while_a_token_that_a_person_put_there_is_on_trial_nothing_is_written_and_then_it_is_everywhere() {
    let pair = Pair::new(&["a", "b"]);
    let dispatch = pair.start().await;
    std::fs::write(&pair.files[0], "by-a-person").unwrap();
    std::fs::write(&pair.files[1], "refresh-0").unwrap();
    "by-a-person".clone_into(&mut pair.strict.0.lock().good);
    pair.sells("t-2").await;
    assert_eq!(pair.strict.shown(), ["refresh-0", "by-a-person"]);
    assert_eq!(pair.strict.0.lock().held[1], ["by-a-person", "refresh-0"]);
    assert_eq!(pair.kept(), ["refresh-2", "refresh-2"]);
    stop(dispatch).await;
}

#[tokio::test]
async fn of_two_tokens_that_were_put_there_each_is_shown_with_the_former_in_between() {
    let pair = Pair::new(&["a", "b"]);
    let dispatch = pair.start().await;
    std::fs::write(&pair.files[0], "put-1").unwrap();
    std::fs::write(&pair.files[1], "put-2").unwrap();
    "none".clone_into(&mut pair.strict.0.lock().good);
    pair.fixture.clock.run(HOUR_MS);
    let sale = pair.fixture.sale("t-2").await;
    pair.goes_on("each is shown twice", || pair.strict.shown().len() >= 9).await;
    let shown = pair.strict.shown();
    assert!(shown[2..9].iter().step_by(2).all(|token| token == "refresh-1"), "{shown:?}");
    assert!(shown[1] != shown[3] && shown[1] == shown[5] && shown[3] == shown[7], "{shown:?}");
    assert_eq!(pair.kept(), ["put-1", "put-2"], "each is left where it was put");
    "put-2".clone_into(&mut pair.strict.0.lock().good);
    pair.is_sent(sale).await;
    assert_eq!(pair.kept(), ["refresh-2", "refresh-2"]);
    stop(dispatch).await;
}

#[tokio::test]
async fn a_reload_after_another_token_was_put_into_one_of_two_files_makes_two_accounts_of_them() {
    let pair = Pair::new(&["a", "b"]);
    let dispatch = pair.start().await;
    std::fs::write(&pair.files[0], "of-another").unwrap();
    pair.reload(&dispatch);
    pair.fixture.sale("t-2").await;
    pair.goes_on("the other is refused", || pair.strict.shown().len() >= 2).await;
    pair.goes_on("one is sent", || pair.platform.count() == 3).await;
    assert!(pair.strict.shown()[1..].iter().all(|token| token == "of-another"), "{:?}", pair.strict.shown());
    assert_eq!(pair.kept(), ["of-another", "refresh-1"], "neither is written over by the other");
    stop(dispatch).await;
}
