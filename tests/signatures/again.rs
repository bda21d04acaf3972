//! A refused postback is verified again after its source's secret was corrected: by what is kept of it.

use std::sync::Arc;

use postbridge::clock::Clock;
use postbridge::domain::code::{CodedReason, ReasonCode};
use postbridge::domain::ids::Seq;
use postbridge::domain::postback::Verdict;
use postbridge::domain::rejection::Rejection;
use postbridge::store::contract::arrival::Receipt;
use postbridge::store::embedded::Embedded;

use crate::support::signed_source::{KEY, Outgoing, SignedSource, noon};

const SALE: &str = "cid=c1&amount=7.00&tid=t1";
const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";

/// Each kind with a request that is signed by `s3cret`.
fn kinds() -> Vec<(&'static str, Outgoing)> {
    let (get, post) = (Outgoing::get, Outgoing::post);
    vec![
        ("kind = \"token\"\nheader = \"x-token\"\n", get(SALE).header("x-token", "s3cret")),
        ("kind = \"token\"\nparameter = \"token\"\n", get(&format!("{SALE}&token=s3cret"))),
        ("kind = \"token\"\nparameter = \"token\"\n", post(FORM, &format!("token=s3cret&{SALE}"))),
        ("kind = \"token\"\nparameter = \"auth.token\"\n", post(JSON, r#"{"cid":"c1","amount":7,"tid":"t1","auth":{"token":"s3cret"}}"#)),
        ("kind = \"basic\"\n", get(SALE).header("authorization", "Basic dXNlcjpzM2NyZXQ=")),
        ("kind = \"hmac\"\nhash = \"sha256\"\nover = \"body\"\nheader = \"x-sign\"\n", post(FORM, SALE).header("x-sign", "c721db6e9f73e15e1d9a2666d6da6c5c9b6d6e17eeca1252ae6956765d196698")),
        ("kind = \"hmac\"\nhash = \"sha256\"\nover = \"body\"\nheader = \"x-sign\"\n", post(FORM, &format!("{SALE}&api_key={KEY}")).header("x-sign", "9ff7765e91631f4ff1ea36d99ced6ddfc515bd06ff83a97cef6a8ba0a314a361")),
        ("kind = \"hmac\"\nhash = \"sha512\"\nover = \"body\"\nencoding = \"base64\"\nheader = \"x-sign\"\n", post(JSON, &r#"{"api_key": "KEY", "cid":"c1","amount":7,"tid":"t1"}"#.replace("KEY", KEY)).header("x-sign", "kNByXKOSw58g+tgrfoYT5DMTnfDsuVDTCBmVjQtXCYg5gA9FgzRsYk5eN/PkusbusilUGew8ehN6bdcFCbNXTg==")),
        ("kind = \"hmac\"\nhash = \"sha1\"\nover = \"url\"\nparameter = \"hash\"\n", get(&format!("{SALE}&hash=1f1ab6c392e09f9de18ab58c08319a42d800a261"))),
        ("kind = \"hmac\"\nhash = \"sha1\"\nover = \"url\"\nheader = \"x-sign\"\n", get(&format!("API_KEY={KEY}&{SALE}")).header("x-sign", "4efe846f8ce40661125f11896522016576a8c414")),
        ("kind = \"hmac\"\nhash = \"md5\"\nover = \"fields\"\nfields = [\"tid\", \"amount\"]\nseparator = \"|\"\nparameter = \"sig\"\n", get(&format!("{SALE}&sig=74d12aad0f800b9cf359388a7f762d34"))),
        ("kind = \"hmac-timestamped\"\nhash = \"sha256\"\nheader = \"x-sign\"\ntimestamp = \"t\"\nsignature = \"v1\"\n", post(FORM, SALE).header("x-sign", "t=1764331200,v1=d687f8eaa0543ee49dbee0f532a52323206e28465023bc6f03f1876acd16e481")),
        ("kind = \"digest\"\nhash = \"sha512\"\nsorted = true\npair = \"k=v\"\nsecret = \"after_each\"\nparameter = \"sig\"\n", post(FORM, &format!("{SALE}&sig=dcb53c2354919450a249d4e144869b25906612d644541630bd14109a7185d03f1c12ca2bba1953a1d51b42753cdad1a1b67e877fd595827fcd4da92c496d8ff8"))),
        ("kind = \"digest\"\nhash = \"md5\"\nsorted = true\nparameter = \"sig\"\n", get(&format!("{SALE}&api_key={KEY}&sig=d37eaa1ad2fa77268f8e5bf23a3f2507"))),
        ("kind = \"aes-256-cbc\"\npayload = \"notification\"\niv = \"iv\"\n", post(JSON, r#"{"notification": "ZC4/YjJAE8C2TSf9bYE2tcYnZmC0falY/StMTdo1fO+PXDbldqzXrBdUVm8H5cqU", "iv": "AAECAwQFBgcICQoLDA0ODw=="}"#)),
    ]
}

fn code(receipt: &Receipt) -> &'static str {
    receipt.verdict.rejection().map_or("", |rejection: &Rejection| rejection.code().as_str())
}

#[tokio::test]
async fn each_kind_is_taken_once_the_secret_is_right_and_not_before() {
    for (verify, request) in kinds() {
        let wrong = SignedSource::new(verify, "secret = \"user:wrong\"\n");
        let answer = wrong.send(&request).await;
        let refused = if verify.contains("aes") { "cannot_decrypt" } else { "wrong_signature" };
        assert_eq!(answer.verdict(), ("quarantined", refused), "{verify}");
        let still = wrong.again(Seq::FIRST).await.unwrap();
        assert_eq!(code(&still), refused, "{verify}");
        // Years later: the time window counts from the arrival.
        wrong.clock.set(noon().plus_hours(3 * 365 * 24));
        let right = if verify.contains("basic") { "user:s3cret" } else { "s3cret" };
        let corrected = wrong.with(&format!("secret = [\"user:another\", \"{right}\"]\n"));
        let again = corrected.again(still.postback).await.unwrap();
        assert!(matches!(again.verdict, Verdict::Accepted { .. }), "{verify}: {again:?}");
    }
}

#[tokio::test]
async fn the_right_secret_takes_each_kind_at_once() {
    for (verify, request) in kinds() {
        let secret = if verify.contains("basic") { "user:s3cret" } else { "s3cret" };
        let source = SignedSource::new(verify, &format!("secret = \"{secret}\"\n"));
        assert_eq!(source.send(&request).await.verdict(), ("accepted", ""), "{verify}");
    }
}

const OVER_BODY: &str = "kind = \"hmac\"\nhash = \"sha256\"\nover = \"body\"\nheader = \"x-sign\"\n";
/// HMAC-SHA256 of the sale under `s3cret`, and with `&api_key=someone-elses`.
const OF_SALE: &str = "c721db6e9f73e15e1d9a2666d6da6c5c9b6d6e17eeca1252ae6956765d196698";
const OF_SALE_AND_KEY: &str = "53e209dc7e27dd430533fbd9992b3c6d34061c2abb711cff81401e7386d83d78";
const RIGHT: &str = "secret = \"s3cret\"\n";
const WRONG: &str = "secret = \"wrong\"\n";

async fn code_again(source: &SignedSource) -> &'static str {
    code(&source.again(Seq::FIRST).await.unwrap())
}

#[tokio::test]
async fn where_masking_took_anything_else_it_cannot_be_verified_again() {
    let source = SignedSource::new(OVER_BODY, WRONG);
    let sale =
        Outgoing::post(FORM, &format!("{SALE}&api_key=someone-elses")).header("x-sign", OF_SALE_AND_KEY);
    assert_eq!(source.send(&sale).await.verdict(), ("quarantined", "wrong_signature"));
    assert_eq!(code_again(&source.with(RIGHT)).await, "cannot_verify_again");
    let observed = source.with(&format!("{RIGHT}verify = \"observe\"\n")).again(Seq::FIRST).await.unwrap();
    assert_eq!(observed.notes.last().and_then(|note| note.why()), Some("cannot_verify_again"));
    assert!(matches!(observed.verdict, Verdict::Accepted { .. }), "{observed:?}");
    let at_once = SignedSource::new(OVER_BODY, RIGHT);
    assert_eq!(
        at_once.send(&sale).await.verdict(),
        ("accepted", ""),
        "what is masked is masked only in what is kept"
    );
}

#[tokio::test]
async fn stars_that_the_sender_wrote_are_no_mask() {
    let source = SignedSource::new(OVER_BODY, WRONG);
    let sale = Outgoing::post(FORM, "cid=c1&amount=7.00&card=****1111")
        .header("x-sign", "0a9a48f92761bd8a8df9b435dff6f5b93d825abff4020ab29977f28007021d90");
    source.send(&sale).await;
    assert_eq!(code_again(&source).await, "wrong_signature");
    assert_eq!(code_again(&source.with(RIGHT)).await, "");
}

#[tokio::test]
async fn a_url_is_verified_again_by_the_key_that_it_was_received_with() {
    let over_url = "kind = \"hmac\"\nhash = \"sha1\"\nover = \"url\"\nparameter = \"hash\"\n";
    let source = SignedSource::new(over_url, WRONG);
    source.send(&Outgoing::get(&format!("{SALE}&hash=1f1ab6c392e09f9de18ab58c08319a42d800a261"))).await;
    let new_key = format!("{RIGHT}key = \"another-key-0123\"\n");
    assert_eq!(code_again(&source.with(&new_key)).await, "cannot_verify_again");
    let both = format!("{RIGHT}key = [\"another-key-0123\", \"{KEY}\"]\n");
    assert_eq!(code_again(&source.with(&both)).await, "");
}

#[tokio::test]
async fn a_header_that_was_not_kept_cannot_be_verified_again() {
    let source = SignedSource::new(OVER_BODY, WRONG);
    let huge = "0".repeat(5000);
    let sale = Outgoing::post(FORM, SALE).header("x-sign", &huge);
    assert_eq!(source.send(&sale).await.verdict(), ("quarantined", "unreadable_signature"));
    assert_eq!(code_again(&source.with(RIGHT)).await, "cannot_verify_again");
    let source = SignedSource::new(OVER_BODY, WRONG);
    let crowded = Outgoing::post(FORM, SALE).header("x-other", &"0".repeat(4000)).header("x-sign", OF_SALE);
    source.send(&crowded).await;
    assert_eq!(code_again(&source.with(RIGHT)).await, "", "it is kept before the others");
}

#[tokio::test]
async fn what_was_received_before_its_template_had_this_scheme_is_verified_by_what_is_kept_of_it() {
    const LONG: &str = "secret = \"s3cret-0815\"\n";
    let in_header = "kind = \"token\"\nheader = \"x-token\"\n";
    let in_param = "kind = \"token\"\nparameter = \"sign\"\n";
    let amount = "cid=c1&amount=seven&tid=t1";
    let both = || Outgoing::get(&format!("{amount}&sign=s3cret-0815")).header("x-token", "s3cret-0815");
    let basic = "kind = \"basic\"\n";
    let credentials = "Basic dXNlcjpzM2NyZXQtMDgxNQ==";
    let missing = "missing_signature";
    let wrong = Outgoing::get(&format!("{amount}&sign=other-1")).header("x-token", "other-1");
    for (before, then, sent, code) in [
        ("kind = \"none\"\n", in_header, both(), "not_a_number"),
        ("kind = \"none\"\n", in_header, wrong.clone(), "wrong_signature"),
        ("kind = \"none\"\n", in_header, Outgoing::get(amount), missing),
        ("kind = \"none\"\n", in_param, both(), "not_a_number"),
        ("kind = \"none\"\n", in_param, Outgoing::get(amount), missing),
        ("kind = \"none\"\n", basic, both().header("authorization", credentials), "cannot_verify_again"),
        ("kind = \"none\"\n", basic, both(), missing),
        // The template named the wrong place.
        (in_header, in_param, Outgoing::get(&format!("{amount}&sign=s3cret-0815")), "not_a_number"),
        (in_param, in_header, Outgoing::get(amount).header("x-token", "s3cret-0815"), "not_a_number"),
        (in_param, in_header, wrong, "wrong_signature"),
        (in_param, in_header, Outgoing::get(amount), missing),
        (in_header, basic, Outgoing::get(amount).header("authorization", credentials), "cannot_verify_again"),
    ] {
        let source = SignedSource::new(before, if before.contains("none") { "" } else { LONG });
        source.send(&sent).await;
        let (store, clock) = (Arc::clone(&source.store), source.clock.clone());
        let secret = if then == basic { "secret = \"user:s3cret-0815\"\n" } else { LONG };
        let corrected = SignedSource::on(store, clock, then, secret);
        assert_eq!(code_again(&corrected).await, code, "{before}{then}{sent:?}");
        let raw = corrected.newest().await.raw.unwrap();
        let kept = String::from_utf8([raw.line.as_slice(), raw.headers.as_bytes()].concat()).unwrap();
        assert!(!kept.contains("s3cret-0815") || code != "not_a_number", "{before}{then}{kept}");
    }
}

#[tokio::test]
async fn a_masked_body_from_before_its_template_had_a_scheme_is_not_called_wrongly_signed() {
    let source = SignedSource::new("kind = \"none\"\n", "");
    let bad = |sign: &str, key: &str| {
        Outgoing::post(FORM, &format!("{SALE}&amount=seven&api_key={key}")).header("x-sign", sign)
    };
    source.send(&bad(OF_SALE, "someone-elses")).await;
    let (store, clock) = (Arc::clone(&source.store), source.clock.clone());
    let signing = SignedSource::on(store, clock, OVER_BODY, RIGHT);
    assert_eq!(code_again(&signing).await, "cannot_verify_again");
    let plain = SignedSource::new("kind = \"none\"\n", "");
    plain.send(&Outgoing::post(FORM, &format!("{SALE}&amount=seven")).header("x-sign", OF_SALE)).await;
    let (store, clock) = (Arc::clone(&plain.store), plain.clock.clone());
    assert_eq!(code_again(&SignedSource::on(store, clock, OVER_BODY, RIGHT)).await, "wrong_signature");
}

#[tokio::test]
async fn what_is_verified_when_it_is_reprocessed_stays_verified() {
    for verify in ["kind = \"token\"\nheader = \"x-token\"\n", OVER_BODY] {
        let source = SignedSource::new(verify, WRONG);
        let sale = Outgoing::post(FORM, "cid=c1&amount=seven&tid=t1").header("x-token", "s3cret");
        // printf %s 'cid=c1&amount=seven&tid=t1' | openssl dgst -sha256 -hmac s3cret
        let sign = "df0bd020f0df256bec3e564ecaad83405a7bd7355f92fab346840a3bf91a499f";
        assert_eq!(source.send(&sale.header("x-sign", sign)).await.verdict().1, "wrong_signature");
        assert_eq!(code_again(&source).await, "wrong_signature", "{verify}");
        let seen = source.with(RIGHT).again(source.newest().await.seq).await.unwrap();
        assert_eq!(code(&seen), "not_a_number", "{verify}");
        let later = source.with("secret = \"yet another\"\n").again(seen.postback).await.unwrap();
        assert_eq!(code(&later), "not_a_number", "{verify}");
    }
}

#[tokio::test]
async fn the_time_window_counts_from_the_arrival_also_where_it_was_missed() {
    let timed = "kind = \"hmac-timestamped\"\nhash = \"sha256\"\nheader = \"x-sign\"\ntimestamp = \"t\"\nsignature = \"v1\"\n";
    let source = SignedSource::new(timed, RIGHT);
    source.clock.set(noon().plus_millis(301_000));
    let sale = Outgoing::post(FORM, SALE)
        .header("x-sign", "t=1764331200,v1=d687f8eaa0543ee49dbee0f532a52323206e28465023bc6f03f1876acd16e481");
    assert_eq!(source.send(&sale).await.verdict(), ("quarantined", "outside_time_window"));
    source.clock.set(noon());
    assert_eq!(code_again(&source).await, "outside_time_window");
}

#[tokio::test]
async fn the_digest_of_a_presented_token_is_another_ones_in_another_store() {
    let token = "kind = \"token\"\nheader = \"x-token\"\n";
    let source = SignedSource::new(token, RIGHT);
    let proof = |source: SignedSource| async move {
        source.send(&Outgoing::get(SALE).header("x-token", "s3cret")).await;
        source.newest().await.raw.unwrap().proof.unwrap().presented.unwrap().digest.unwrap()
    };
    let other = SignedSource::new(token, RIGHT);
    assert_ne!(proof(source).await, proof(other).await);
}

#[tokio::test]
async fn a_store_that_is_opened_again_knows_what_was_presented() {
    let token = "kind = \"token\"\nheader = \"x-token\"\n";
    let folder = tempfile::tempdir().unwrap();
    let open = || Arc::new(Embedded::open_sled(&folder.path().join("data"), Arc::default()).unwrap());
    let clock = Clock::fixed(noon());
    let before = SignedSource::on(open(), clock.clone(), token, WRONG);
    before.send(&Outgoing::get(SALE).header("x-token", "s3cret")).await;
    before.store.close().await.unwrap();
    drop(before);
    let after = SignedSource::on(open(), clock, token, RIGHT);
    assert_eq!(code_again(&after).await, "");
}

#[tokio::test]
async fn a_source_that_verifies_nothing_keeps_no_proof() {
    let source = SignedSource::new("kind = \"none\"\n", "");
    source.send(&Outgoing::get(SALE)).await;
    assert_eq!(source.newest().await.raw.unwrap().proof, None);
}

#[tokio::test]
async fn what_was_verified_when_it_was_received_stays_so_whatever_the_secret_is_now() {
    let token = "kind = \"token\"\nheader = \"x-token\"\n";
    let source = SignedSource::new(token, RIGHT);
    let broken = Outgoing::get("cid=c1&amount=seven&tid=t1").header("x-token", "s3cret");
    assert_eq!(source.send(&broken).await.verdict(), ("quarantined", "not_a_number"));
    assert_eq!(code_again(&source.with(WRONG)).await, "not_a_number");
    let off = SignedSource::new(token, "verify = \"off\"\n");
    assert_eq!(off.send(&broken).await.verdict(), ("quarantined", "not_a_number"));
    assert_eq!(code_again(&off.with(WRONG)).await, "wrong_signature", "it was not looked at");
    assert_eq!(code_again(&off.with(RIGHT)).await, "not_a_number");
}

#[tokio::test]
async fn a_secret_that_was_looked_for_elsewhere_counts_by_todays_secrets() {
    let (in_param, in_other) =
        ("kind = \"token\"\nparameter = \"sign\"\n", "kind = \"token\"\nparameter = \"other\"\n");
    let (old, new) = ("secret = \"the-old-secret\"\n", "secret = \"the-new-secret\"\n");
    for query in ["other=the-old-secret", "other=***&x=the-old-secret", "other=***"] {
        let source = SignedSource::new(in_param, old);
        source.send(&Outgoing::get(&format!("{SALE}&{query}"))).await;
        let corrected = |secret: &str| {
            SignedSource::on(Arc::clone(&source.store), source.clock.clone(), in_other, secret)
        };
        let expected = if query == "other=***" { "cannot_verify_again" } else { "wrong_signature" };
        assert_eq!(code_again(&corrected(new)).await, expected, "{query}");
    }
    let source = SignedSource::new(in_param, old);
    source.send(&Outgoing::get(&format!("{SALE}&other=the-old-secret"))).await;
    let corrected = SignedSource::on(Arc::clone(&source.store), source.clock.clone(), in_other, old);
    assert_eq!(code_again(&corrected).await, "");
}
