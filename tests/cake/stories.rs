//! Golden stories of the CAKE-compatible API: requests next to their answers. `BLESS=1` rewrites.

use std::fmt::Write;
use std::fs;

use postbridge::domain::time::Time;
use postbridge::story::expected::Expectations;

use crate::support::cake_fixture::{CakeFixture, folder};
use crate::support::stories::expectations;

/// Requests of a story: blocks between empty lines, each a request line and perhaps a body; `at …` sets
/// the clock, `#` begins a remark.
async fn play(fixture: &CakeFixture, requests: &str) -> String {
    let mut answers = String::new();
    for block in requests.split("\n\n") {
        let mut lines = block.trim_matches('\n').lines().filter(|line| !line.starts_with('#'));
        let Some(first) = lines.next() else { continue };
        if let Some(time) = first.strip_prefix("at ") {
            fixture.clock.set(Time::parse(time).unwrap());
            continue;
        }
        let (method, target) = first.split_once(' ').unwrap();
        let body = lines.collect::<Vec<_>>().join("\n");
        let reported = fixture.ask(method, target, &body).await;
        writeln!(answers, "{} {}", reported.status, reported.text).unwrap();
    }
    answers
}

#[tokio::test]
async fn every_story_of_the_api_is_answered_as_written() {
    let mut stories: Vec<_> = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    stories.retain(|path| path.is_dir());
    stories.sort();
    let mut problems = Vec::new();
    for story in &stories {
        let read = |name: &str| fs::read_to_string(story.join(name));
        let fixture = CakeFixture::with(&read("extra.toml").unwrap_or_default()).await;
        let received_text = play(&fixture, &read("request.http").unwrap()).await;
        let expected = story.join("response.http");
        match expectations() {
            Expectations::Rewrite => fs::write(expected, received_text).unwrap(),
            Expectations::Check
                if fs::read_to_string(&expected).is_ok_and(|wanted| wanted == received_text) => {}
            Expectations::Check => problems.push(format!("{}:\n{received_text}", expected.display())),
        }
    }
    assert!(stories.len() > 40, "{}", stories.len());
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}
