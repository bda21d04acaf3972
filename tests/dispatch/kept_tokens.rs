//! Refresh tokens that a platform replaces: what a reload, another file, a person and a stop make of the newest.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use postbridge::dispatch::{Dispatch, DispatchPlan};
use postbridge::domain::time::HOUR_MS;

use crate::dispatch::sign_in::{SignedTarget, by_refresh_token, fixture, form, giving, refusing, start};
use crate::support::dispatch_fixture::{DispatchFixture, policy, source, until};
use crate::support::platform::{Act, Platform};

fn plan(targets: &[SignedTarget<'_>]) -> DispatchPlan {
    DispatchPlan {
        destinations: targets.iter().map(SignedTarget::plan).collect(),
        policies: HashMap::from([(source(), policy())]),
    }
}

/// The account as a reload finds it: with this token, which is in this file.
fn holding<'a>(token: &str, pair: (&'a Platform, &'a Platform), file: &Path) -> SignedTarget<'a> {
    let mut target = by_refresh_token("a", pair, Some(file));
    for (name, value) in &mut target.settings {
        if *name == "refresh_token" {
            token.clone_into(value);
        }
    }
    target
}

fn kept(file: &Path) -> String {
    std::fs::read_to_string(file).unwrap_or_default().trim().to_owned()
}

/// A file with a token in a folder of its own.
fn file_with(folder: &Path, token: &str) -> PathBuf {
    std::fs::create_dir_all(folder).unwrap();
    let file = folder.join("refresh-token");
    std::fs::write(&file, token).unwrap();
    file
}

/// The refresh tokens that were shown, in order.
fn shown(tokens: &Platform) -> Vec<String> {
    tokens.received().iter().map(|asked| form(asked)["refresh_token"].clone()).collect()
}

async fn delivers(fixture: &DispatchFixture, transaction: &str) {
    let sale = fixture.sale(transaction).await;
    fixture.reaches(sale, "delivered").await;
}

async fn stop(dispatch: Dispatch) {
    dispatch.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_token_that_is_moved_into_a_file_is_written_there_as_it_is_by_then_and_so_are_later_ones() {
    let (platform, tokens) = (refusing(&[]), giving(true));
    let pair = (&platform, &tokens);
    let (fixture, folder) = (fixture(&["a"]), tempfile::tempdir().unwrap());
    let dispatch = start(&fixture, &[by_refresh_token("a", pair, None)]);
    delivers(&fixture, "t-1").await;
    let file = file_with(folder.path(), "refresh-0\n");
    dispatch.reload(plan(&[by_refresh_token("a", pair, Some(&file))]));
    until("what it has by then is written", || kept(&file) == "refresh-1").await;
    delivers(&fixture, "t-2").await;
    assert_eq!(tokens.count(), 1, "the access token is used on");
    fixture.clock.run(HOUR_MS);
    delivers(&fixture, "t-3").await;
    assert_eq!(
        (shown(&tokens), kept(&file)),
        (vec!["refresh-0".into(), "refresh-1".into()], "refresh-2".into())
    );
    stop(dispatch).await;
}

#[tokio::test]
async fn a_token_whose_file_is_another_since_is_kept_in_that() {
    let (platform, tokens) = (refusing(&[]), giving(true));
    let pair = (&platform, &tokens);
    let (fixture, folder) = (fixture(&["a"]), tempfile::tempdir().unwrap());
    let first = file_with(&folder.path().join("first"), "refresh-0");
    let dispatch = start(&fixture, &[holding("refresh-0", pair, &first)]);
    delivers(&fixture, "t-1").await;
    assert_eq!(kept(&first), "refresh-1");
    // One was made by a copy from before the first renewal, the other after it.
    for (number, copy) in ["refresh-0", "refresh-1"].into_iter().enumerate() {
        let file = file_with(&folder.path().join(format!("copy-{number}")), copy);
        let newest = format!("refresh-{}", number + 1);
        dispatch.reload(plan(&[holding(copy, pair, &file)]));
        until("what it has by then is written", || kept(&file) == newest).await;
        fixture.clock.run(HOUR_MS);
        delivers(&fixture, copy).await;
        assert_eq!(shown(&tokens).last(), Some(&newest));
        assert_eq!(kept(&file), format!("refresh-{}", number + 2));
    }
    assert_eq!(kept(&first), "refresh-1", "it is no longer its file");
    stop(dispatch).await;
}

#[tokio::test]
async fn a_reload_that_finds_the_token_that_was_given_since_asks_for_no_other() {
    let (platform, tokens) = (refusing(&[]), giving(true));
    let pair = (&platform, &tokens);
    let (fixture, folder) = (fixture(&["a"]), tempfile::tempdir().unwrap());
    let file = file_with(folder.path(), "refresh-0");
    let dispatch = start(&fixture, &[holding("refresh-0", pair, &file)]);
    delivers(&fixture, "t-1").await;
    dispatch.reload(plan(&[holding(&kept(&file), pair, &file)]));
    delivers(&fixture, "t-2").await;
    assert_eq!((tokens.count(), kept(&file).as_str()), (1, "refresh-1"));
    stop(dispatch).await;
}

/// When a token is written that could not be when it was given.
#[derive(Debug, Clone, Copy)]
enum Chance {
    Reload,
    /// Also where the server gives no other then.
    Renewal,
    Stop,
}

#[tokio::test]
async fn a_token_that_could_not_be_written_is_at_the_next_chance() {
    for chance in [Chance::Reload, Chance::Renewal, Chance::Stop] {
        let (platform, tokens) = (refusing(&[]), giving(true));
        let (fixture, folder) = (fixture(&["a"]), tempfile::tempdir().unwrap());
        let gone = folder.path().join("gone");
        let target = || [holding("refresh-0", (&platform, &tokens), &gone.join("refresh-token"))];
        let dispatch = start(&fixture, &target());
        delivers(&fixture, "t-1").await;
        let file = file_with(&gone, "refresh-0\n");
        match chance {
            Chance::Reload => dispatch.reload(plan(&target())),
            Chance::Renewal => {
                tokens.script(|_| Act::status(503, "{}"));
                fixture.clock.run(HOUR_MS);
                fixture.sale("t-2").await;
            }
            Chance::Stop => {
                stop(dispatch).await;
                assert_eq!(kept(&file), "refresh-1", "{chance:?}");
                continue;
            }
        }
        until("it is written", || kept(&file) == "refresh-1").await;
        stop(dispatch).await;
    }
}

#[tokio::test]
async fn each_destination_of_an_account_has_the_newest_token_in_its_own_file() {
    let (platform, tokens) = (refusing(&[]), giving(true));
    let pair = (&platform, &tokens);
    let (fixture, folder) = (fixture(&["a", "b"]), tempfile::tempdir().unwrap());
    let files = ["a", "b"].map(|id| file_with(&folder.path().join(id), "refresh-0"));
    let targets =
        [by_refresh_token("a", pair, Some(&files[0])), by_refresh_token("b", pair, Some(&files[1]))];
    let dispatch = start(&fixture, &targets);
    fixture.sale("t-1").await;
    until("both are sent to", || platform.count() == 2).await;
    assert_eq!(
        (files.map(|file| kept(&file)), tokens.count()),
        (["refresh-1".into(), "refresh-1".into()], 1)
    );
    stop(dispatch).await;
}

#[tokio::test]
async fn what_a_person_puts_into_the_file_goes_before_what_the_account_has() {
    let (platform, tokens) = (refusing(&[]), giving(true));
    let pair = (&platform, &tokens);
    let (fixture, folder) = (fixture(&["a"]), tempfile::tempdir().unwrap());
    let dispatch = start(&fixture, &[by_refresh_token("a", pair, None)]);
    delivers(&fixture, "t-1").await;
    let file = file_with(folder.path(), "by-a-person");
    dispatch.reload(plan(&[holding("by-a-person", pair, &file)]));
    delivers(&fixture, "t-2").await;
    assert_eq!(
        (shown(&tokens), kept(&file)),
        (vec!["refresh-0".into(), "by-a-person".into()], "refresh-2".into())
    );
    stop(dispatch).await;
}

#[tokio::test]
async fn an_older_token_that_is_put_back_counts_only_where_the_newest_is_refused() {
    let (platform, tokens) = (refusing(&[]), giving(true));
    let (fixture, folder) = (fixture(&["a"]), tempfile::tempdir().unwrap());
    let file = file_with(folder.path(), "refresh-0");
    let dispatch = start(&fixture, &[holding("refresh-0", (&platform, &tokens), &file)]);
    delivers(&fixture, "t-1").await;
    std::fs::write(&file, "refresh-0").unwrap();
    fixture.clock.run(HOUR_MS);
    delivers(&fixture, "t-2").await;
    assert_eq!(
        (shown(&tokens), kept(&file)),
        (vec!["refresh-0".into(), "refresh-1".into()], "refresh-2".into())
    );
    tokens.script(|asked| match form(asked)["refresh_token"].as_str() {
        "refresh-0" => Act::ok(r#"{"access_token":"access-9","refresh_token":"refresh-9"}"#),
        _ => Act::status(400, r#"{"error":"invalid_grant"}"#),
    });
    fixture.clock.run(HOUR_MS);
    let sale = fixture.sale("t-3").await;
    until("it is refused", || dispatch.states()[0].parked.is_some()).await;
    std::fs::write(&file, "refresh-0").unwrap();
    for _ in 0..200 {
        fixture.clock.run(60);
        tokio::time::sleep(Duration::from_millis(5)).await;
        if platform.count() >= 3 {
            break;
        }
    }
    fixture.reaches(sale, "delivered").await;
    assert_eq!(kept(&file), "refresh-9");
    stop(dispatch).await;
}
