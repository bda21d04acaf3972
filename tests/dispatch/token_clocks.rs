//! Accounts that sign in where the wall clock is wrong, or is set: how long a token is used, what a key states of itself,
//! and what a server that refuses that leads to.

use std::time::Duration;

use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use postbridge::clock::Clock;
use postbridge::config::secret_files::SecretFiles;
use postbridge::domain::code::{CodedReason, ReasonCode};
use postbridge::domain::time::{HOUR_MS, Time};
use rcgen::{KeyPair, PKCS_RSA_SHA256};
use serde_json::{Value, json};

use crate::dispatch::sign_in::{SignedTarget, by_refresh_token, fixture, form, giving, refusing, start};
use crate::support::dispatch_fixture::until;
use crate::support::platform::{Act, Platform, Received};

#[tokio::test]
async fn a_wall_clock_that_is_wrong_or_set_changes_nothing_in_how_long_a_token_is_used() {
    for wrong_ms in [-HOUR_MS, 0, HOUR_MS] {
        let (platform, tokens) = (refusing(&[]), giving(false));
        let fixture = fixture(&["a"]);
        let clock = &fixture.clock;
        clock.set(clock.now().plus_millis(wrong_ms));
        let dispatch = start(&fixture, &[by_refresh_token("a", (&platform, &tokens), None)]);
        let steps =
            [(0, 0, 1), (HOUR_MS, 0, 1), (-2 * HOUR_MS, 0, 1), (0, 3_539_000, 1), (HOUR_MS, 2_000, 2)];
        for (number, (set_ms, run_ms, given)) in steps.into_iter().enumerate() {
            clock.set(clock.now().plus_millis(set_ms));
            clock.run(run_ms);
            let sale = fixture.sale(&format!("t-{number}")).await;
            fixture.reaches(sale, "delivered").await;
            assert_eq!(tokens.count(), given, "wrong by {wrong_ms}, step {number}");
        }
        dispatch.stop(Duration::from_secs(5)).await;
    }
}

/// When a statement was made and until when it holds, in seconds, where this server and no other is meant.
fn stated(key: &KeyPair, asked: &Received) -> (i64, i64) {
    let mut rules = Validation::new(Algorithm::RS256);
    rules.set_audience(&["https://tokens.invalid/token"]);
    rules.validate_exp = false;
    let public = DecodingKey::from_rsa_pem(key.public_key_pem().as_bytes()).unwrap();
    let claims = jsonwebtoken::decode::<Value>(&form(asked)["assertion"], &public, &rules).unwrap().claims;
    (claims["iat"].as_i64().unwrap(), claims["exp"].as_i64().unwrap())
}

/// Gives a token for a statement that is of this time by its own clock, as servers do that allow for some minutes.
fn strict(key: &KeyPair, now: Time) -> Platform {
    let key = KeyPair::from_pem(&key.serialize_pem()).unwrap();
    Platform::start(move |asked| {
        let (made, ends) = stated(&key, asked);
        let now = now.as_seconds();
        match made <= now + 300 && ends > now && ends <= now + 3_900 {
            true => Act::ok(r#"{"access_token":"access-1","expires_in":3600}"#),
            false => Act::status(
                400,
                r#"{"error":"invalid_grant","error_description":"Invalid JWT: Token must be a short-lived token (60 minutes)"}"#,
            ),
        }
    })
}

#[tokio::test]
async fn a_statement_that_is_of_a_wrong_time_parks_in_the_servers_words_until_the_clock_is_right() {
    let key = KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap();
    let account = json!({"client_email": "relay@project.example", "private_key": key.serialize_pem()});
    for wrong_ms in [-2 * HOUR_MS, 2 * HOUR_MS] {
        let right = Clock::system().now();
        let (platform, tokens) = (refusing(&[]), strict(&key, right));
        let fixture = fixture(&["a"]);
        fixture.clock.set(right.plus_millis(wrong_ms));
        let target = SignedTarget {
            id: "a",
            platform: &platform,
            tokens: &tokens,
            settings: vec![("service_account", account.to_string())],
            secrets: SecretFiles::default(),
        };
        let dispatch = start(&fixture, &[target]);
        let sale = fixture.sale("t").await;
        until("it is parked", || dispatch.states()[0].parked.is_some()).await;
        let (_, reason) = dispatch.states()[0].parked.clone().unwrap();
        assert_eq!(reason.code().as_str(), "sign_in_refused");
        let words = "invalid_grant: Invalid JWT: Token must be a short-lived token (60 minutes)";
        assert_eq!(reason.sentence(), format!("no access token: HTTP 400: {words}"));
        let made = right.plus_millis(wrong_ms).as_seconds();
        assert_eq!(stated(&key, &tokens.received()[0]), (made, made + 3_600));
        assert_eq!((tokens.count(), platform.count()), (1, 0), "it is not asked without end");
        assert_eq!(fixture.delivery(sale).await.0.attempts, 0, "it is not charged");
        fixture.clock.set(right);
        // It is probed after a while by this clock.
        for _ in 0..200 {
            fixture.clock.run(60);
            tokio::time::sleep(Duration::from_millis(5)).await;
            if platform.count() > 0 {
                break;
            }
        }
        fixture.reaches(sale, "delivered").await;
        dispatch.stop(Duration::from_secs(5)).await;
    }
}
