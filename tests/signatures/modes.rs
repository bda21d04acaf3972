//! What a source does with a signature that is missing or wrong, and with an address that it does not know.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use postbridge::dispatch::prepare::forecast;
use postbridge::domain::code::{CodedReason, ReasonCode};
use postbridge::domain::ids::Seq;
use postbridge::domain::postback::{KeptHeaders, Verdict};
use postbridge::domain::rejection::signature::SignatureProblem;
use postbridge::preview::pasted::PastedRequest;
use postbridge::preview::signature::{SignatureFinding, UnshownSignature};
use postbridge::preview::{PastedPostback, PreviewSetup, preview};

use crate::support::signed_source::{Answered, Outgoing, SignedSource, noon};

const TOKEN: &str = "kind = \"token\"\nheader = \"X-Token\"\n";
const RIGHT: &str = "secret = \"hush-hush-hush\"\n";

fn sale(token: &str) -> Outgoing {
    Outgoing::get("cid=c1&amount=7.00&tid=t1").header("x-token", token)
}

async fn sent(source: &SignedSource, sale: &Outgoing) -> Answered {
    source.send(sale).await
}

#[tokio::test]
async fn a_refused_signature_is_quarantined_and_answered_200() {
    let source = SignedSource::new(TOKEN, RIGHT);
    let right = sent(&source, &sale("hush-hush-hush")).await;
    assert_eq!((right.status, right.verdict()), (200, ("accepted", "")));
    for (token, code) in
        [("hush", "wrong_signature"), ("Hush-hush-hush", "wrong_signature"), ("", "missing_signature")]
    {
        let refused = sent(&source, &sale(token)).await;
        assert_eq!((refused.status, refused.verdict()), (200, ("quarantined", code)), "{token}");
        assert_eq!(refused.json["field"], "x-token");
        let text = refused.json.to_string();
        assert!(!text.contains("hush"), "neither the secret nor what was presented is shown: {text}");
    }
    let bare = sent(
        &source,
        &Outgoing::get("cid=c1&amount=7.00&tid=t1&X-Token=hush-hush-hush&x-token=hush-hush-hush"),
    )
    .await;
    assert_eq!(bare.verdict(), ("quarantined", "missing_signature"), "no parameter is a header");
}

#[tokio::test]
async fn a_template_may_answer_refused_signatures_by_a_status_of_their_own_and_nothing_else() {
    let source = SignedSource::new(&format!("{TOKEN}[reply]\nrefused = 403\n"), RIGHT);
    assert_eq!(sent(&source, &sale("hush-hush-hush")).await.status, 200);
    let refused = sent(&source, &sale("wrong")).await;
    assert_eq!((refused.status, refused.verdict()), (403, ("quarantined", "wrong_signature")));
    let unexpanded = Outgoing::get("cid={aff_sub}&amount=x&tid=t2").header("x-token", "hush-hush-hush");
    let quarantined = sent(&source, &unexpanded).await;
    assert_eq!((quarantined.status, quarantined.verdict().0), (200, "quarantined"));
    let addresses = SignedSource::new(
        &format!("{TOKEN}[reply]\nrefused = 403\n"),
        &format!("{RIGHT}allow_ips = [\"198.51.100.0/24\"]\n"),
    );
    let elsewhere = sent(&addresses, &sale("hush-hush-hush")).await;
    assert_eq!((elsewhere.status, elsewhere.verdict().1), (403, "address_not_allowed"));
}

#[tokio::test]
async fn either_of_two_secrets_is_taken() {
    let source = SignedSource::new(TOKEN, "secret = [\"the-old-secret\", \"the-new-secret\"]\n");
    for (token, verdict) in
        [("the-old-secret", "accepted"), ("the-new-secret", "duplicate"), ("the-other-one", "quarantined")]
    {
        assert_eq!(sent(&source, &sale(token)).await.verdict().0, verdict, "{token}");
    }
}

#[tokio::test]
async fn what_is_only_observed_counts_with_a_note_and_what_is_off_counts_without() {
    let observing = SignedSource::new(TOKEN, &format!("{RIGHT}verify = \"observe\"\n"));
    let wrong = sent(&observing, &sale("wrong")).await;
    assert_eq!((wrong.status, wrong.verdict().0), (200, "accepted"));
    let notes = observing.newest().await.notes;
    let codes: Vec<_> = notes.iter().map(|note| (note.code().as_str(), note.why())).collect();
    assert_eq!(codes, [("not_verified", Some("wrong_signature"))]);
    assert!(notes[0].hint().contains("compare `secret`"), "{}", notes[0].hint());
    assert_eq!(sent(&observing, &sale("hush-hush-hush")).await.verdict().0, "duplicate");
    assert!(observing.newest().await.notes.is_empty());

    let off = SignedSource::new(TOKEN, "verify = \"off\"\n");
    assert_eq!(sent(&off, &sale("wrong")).await.verdict().0, "accepted");
    assert!(off.newest().await.notes.is_empty());
}

#[tokio::test]
async fn what_cannot_be_read_and_what_is_ignored_is_observed_too() {
    let digest = "kind = \"digest\"\nhash = \"md5\"\nsorted = true\nparameter = \"sig\"\n";
    let lines = "secret = \"s\"\nverify = \"observe\"\nallow_ips = [\"198.51.100.0/24\"]\n";
    let noted = |source: SignedSource, sent: Outgoing| async move {
        let answer = source.send(&sent).await;
        let newest = source.newest().await;
        let notes = newest.notes.iter().filter_map(|note| note.why()).collect::<Vec<_>>().join(" ");
        let hint = newest.verdict.rejection().map(CodedReason::hint).unwrap_or_default();
        (answer.verdict().0.to_owned(), notes, hint)
    };
    let many: String = (0..2000).map(|number| format!("&p{number}=1")).collect();
    let sent = Outgoing::get(&format!("cid=c1&amount=7&tid=t1&sig=0123456789abcdef0123456789abcdef{many}"));
    let (verdict, notes, _) = noted(SignedSource::new(digest, lines), sent).await;
    assert_eq!((verdict.as_str(), notes.as_str()), ("accepted", "address_not_allowed too_many_parameters"));

    let sent = Outgoing::post("application/json", "{\"cid\":");
    let (verdict, _, hint) = noted(SignedSource::new(digest, lines), sent).await;
    assert_eq!(verdict, "quarantined");
    assert!(hint.contains("allow_ips"), "{hint}");

    let ignoring = format!("{TOKEN}[[event.rules]]\nparam = \"tid\"\nis = \"ping\"\nignore = true\n");
    let lines = format!("{RIGHT}verify = \"observe\"\n");
    let (verdict, notes, _) = noted(SignedSource::new(&ignoring, &lines), Outgoing::get("tid=ping")).await;
    assert_eq!((verdict.as_str(), notes.as_str()), ("ignored", "missing_signature"));
}

#[tokio::test]
async fn the_address_of_a_proxy_that_hides_its_senders_is_no_senders() {
    let allowed = "allow_ips = [\"10.0.0.7\", \"::ffff:198.51.100.0/120\", \"::ffff:192.0.2.1\"]\n";
    let source = SignedSource::new("kind = \"none\"\n", allowed);
    let from = |address: &str, tid: &str| Outgoing {
        peer: Some(address.parse().unwrap()),
        ..Outgoing::get(&format!("cid=c1&amount=7.00&tid={tid}"))
    };
    for address in ["10.0.0.7", "198.51.100.9", "192.0.2.1"] {
        assert_eq!(source.send(&from(address, address)).await.verdict().0, "accepted", "{address}");
    }
    let hidden = Outgoing { is_forwarded: true, ..from("10.0.0.7", "t2") };
    assert_eq!(source.send(&hidden).await.verdict(), ("quarantined", "address_not_allowed"));
    let again = source.again(source.newest().await.seq).await.unwrap();
    assert_eq!(again.verdict.rejection().map(|why| why.code().as_str()), Some("address_not_allowed"));

    // What its header says counts once the proxy is declared.
    for (said, verdict) in [("198.51.100.7", ""), ("203.0.113.9", "address_not_allowed")] {
        let source = SignedSource::new("kind = \"none\"\n", allowed);
        let forwarded = Outgoing { is_forwarded: true, ..from("10.0.0.9", "t3") };
        let chain = format!("192.0.2.1, {said}");
        let refused = source.send(&forwarded.header("x-forwarded-for", &chain)).await;
        assert_eq!(refused.verdict().1, "address_not_allowed");
        let declared = source.behind("10.0.0.9").again(Seq::FIRST).await.unwrap();
        assert_eq!(declared.verdict.rejection().map_or("", |why| why.code().as_str()), verdict, "{said}");
    }
}

#[tokio::test]
async fn what_is_not_whole_of_a_chain_of_addresses_says_no_address() {
    let allowed = "allow_ips = [\"198.51.100.0/24\"]\n";
    let forwarded = || Outgoing {
        peer: Some("10.0.0.9".parse().unwrap()),
        is_forwarded: true,
        ..Outgoing::get("cid=c1&amount=7.00&tid=t3")
    };
    let filler = "x".repeat(3990);
    for headers in [
        vec![("x-forwarded-for", "198.51.100.7, ;api_key=x, 203.0.113.66")],
        vec![
            ("x-forwarded-for", "198.51.100.7"),
            ("a-filler", &filler),
            ("x-forwarded-for", "203.0.113.66, 203.0.113.66"),
        ],
        vec![("x-forwarded-for", "198.51.100.7, unknown")],
    ] {
        let source = SignedSource::new("kind = \"none\"\n", allowed);
        let sent = headers.iter().fold(forwarded(), |sent, (name, value)| sent.header(name, value));
        assert_eq!(source.send(&sent).await.verdict().1, "address_not_allowed");
        let declared = source.behind("10.0.0.9").again(Seq::FIRST).await.unwrap();
        let code = declared.verdict.rejection().map(|why| why.code().as_str());
        assert_eq!(code, Some("address_not_allowed"), "{headers:?}");
    }
}

#[tokio::test]
async fn an_address_that_was_taken_is_no_signature() {
    let allowed = "allow_ips = [\"198.51.100.0/24\"]\n";
    let source = SignedSource::new("kind = \"none\"\n", allowed);
    let peer = Some("198.51.100.7".parse().unwrap());
    source.send(&Outgoing { peer, ..Outgoing::get("cid=c1&amount=seven&tid=t1") }).await;
    let signing =
        SignedSource::on(source.store.clone(), source.clock.clone(), TOKEN, &format!("{RIGHT}{allowed}"));
    let again = signing.again(Seq::FIRST).await.unwrap();
    assert_eq!(again.verdict.rejection().map(|why| why.code().as_str()), Some("missing_signature"));
}

#[tokio::test]
async fn addresses_are_under_the_same_switch() {
    let from = |address: &str| Outgoing {
        peer: Some(address.parse().unwrap()),
        ..Outgoing::get("cid=c1&amount=7.00&tid=t1")
    };
    let rows = [
        ("", "198.51.100.7", ("accepted", "")),
        ("", "192.0.2.1", ("accepted", "")),
        ("", "203.0.113.9", ("quarantined", "address_not_allowed")),
        ("", "2001:db8::1", ("quarantined", "address_not_allowed")),
        ("verify = \"off\"\n", "203.0.113.9", ("accepted", "")),
        ("verify = \"observe\"\n", "203.0.113.9", ("accepted", "")),
    ];
    for (mode, address, verdict) in rows {
        let allowed = format!("allow_ips = [\"198.51.100.0/24\", \"192.0.2.1\"]\n{mode}");
        let source = SignedSource::new("kind = \"none\"\n", &allowed);
        assert_eq!(sent(&source, &from(address)).await.verdict(), verdict, "{mode}{address}");
        let noted = source.newest().await.notes.iter().any(|note| note.why() == Some("address_not_allowed"));
        assert_eq!(noted, mode.contains("observe"), "{mode}{address}");
    }
    let source = SignedSource::new("kind = \"none\"\n", "allow_ips = [\"198.51.100.0/24\"]\n");
    sent(&source, &from("192.0.2.1")).await;
    let corrected = source.with("allow_ips = [\"192.0.2.0/24\"]\n");
    let receipt = corrected.again(Seq::FIRST).await.unwrap();
    assert!(matches!(receipt.verdict, Verdict::Accepted { .. }), "{receipt:?}");
}

const AES: &str = "kind = \"aes-256-cbc\"\npayload = \"notification\"\niv = \"iv\"\n";
/// `{"cid":"c1","amount":7,"tid":"t1"}` under the key of `SOMEKEY`: `openssl enc -aes-256-cbc`.
const BODY: &str = "{\"notification\": \"fkGZLl8CZHXx5MFXa8RrAPFCsTue0KoGTJHW7l2ObQXRgb8xWT5qKQ6c4+TqCnca\", \"iv\": \"AAECAwQFBgcICQoLDA0ODw==\"}";

#[tokio::test]
async fn what_is_decrypted_is_the_body_that_is_mapped() {
    let source = SignedSource::new(AES, "secret = \"SOMEKEY\"\n");
    let taken = source.send(&Outgoing::post("application/json", BODY)).await;
    assert_eq!(taken.verdict(), ("accepted", ""), "{}", taken.json);
    let trace = source.newest().await;
    assert_eq!(trace.raw.unwrap().body, BODY.as_bytes(), "it is kept as it was received");
    let plain = source.send(&Outgoing::post("application/json", "{\"cid\":\"c1\",\"amount\":7}")).await;
    assert_eq!(plain.verdict(), ("quarantined", "missing_signature"));
    let other = source.with("secret = \"ANOTHER\"\n");
    let sealed = other.send(&Outgoing::post("application/json", BODY)).await;
    assert_eq!(sealed.verdict(), ("quarantined", "cannot_decrypt"));
}

#[tokio::test]
async fn what_is_encrypted_is_read_whatever_the_source_does_with_signatures() {
    for mode in ["observe", "off"] {
        let source = SignedSource::new(AES, &format!("secret = \"SOMEKEY\"\nverify = \"{mode}\"\n"));
        let taken = source.send(&Outgoing::post("application/json", BODY)).await;
        assert_eq!(taken.verdict(), ("accepted", ""), "{mode}: {}", taken.json);
        let plain = source.send(&Outgoing::post("application/json", "{\"cid\":\"c2\",\"amount\":7}")).await;
        assert_eq!(plain.verdict(), ("accepted", ""), "{mode}: {}", plain.json);
        assert_eq!(
            source.newest().await.notes.iter().any(|note| note.why() == Some("missing_signature")),
            mode == "observe"
        );
    }
}

#[tokio::test]
async fn a_body_is_signed_before_it_is_compressed() {
    let verify = "kind = \"hmac\"\nhash = \"sha256\"\nover = \"body\"\nheader = \"x-signature\"\n";
    let source = SignedSource::new(verify, "secret = \"s\"\n");
    // printf %s 'cid=c1&amount=7' | openssl dgst -sha256 -hmac s
    let signature = "9c25ac1d1ad58d25f67e481d9aaeed5a52a628221f0a59e3281759417153a3bc";
    let plain = Outgoing::post("application/x-www-form-urlencoded", "cid=c1&amount=7");
    let plain = plain.header("x-signature", signature);
    assert_eq!(source.send(&plain).await.verdict(), ("accepted", ""));
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(&plain.body).unwrap();
    let body = packed.finish().unwrap();
    let zipped = Outgoing { body, ..plain.clone() }.header("content-encoding", "gzip");
    assert_eq!(source.send(&zipped).await.verdict().0, "duplicate");
    let broken = plain.header("content-encoding", "gzip");
    assert_eq!(source.send(&broken).await.verdict(), ("quarantined", "damaged_encoding"));
}

#[test]
fn a_preview_says_what_would_be_refused_and_goes_on() {
    let notes = |verify: &str, source: &str, pasted: &str, body: &str| {
        let network = SignedSource::new(verify, source).network();
        let setup = PreviewSetup { network: &network, destinations: &[], forecast };
        let request = PastedRequest { pasted, body: body.as_bytes(), ..PastedRequest::default() };
        let found = preview(setup, PastedPostback::read(&network, &request, noon()), &[], noon());
        assert!(found.conversion.is_ok(), "{pasted}");
        found.notes.iter().filter_map(|note| note.why()).collect::<Vec<_>>().join(" ")
    };
    let token = "kind = \"token\"\nparameter = \"token\"\n";
    let query = |token: &str| format!("cid=c1&amount=7.00&tid=t1{token}");
    assert_eq!(notes(token, RIGHT, &query(""), ""), "missing_signature");
    assert_eq!(notes(token, RIGHT, &query("&token=wrong"), ""), "wrong_signature");
    assert_eq!(notes(token, RIGHT, &query("&token=hush-hush-hush"), ""), "");
    let line = format!("GET /***/collect/signed?{} HTTP/1.1", query("&token=***"));
    assert_eq!(notes(token, RIGHT, &line, ""), "", "as the raw log has it");
    assert_eq!(notes(token, "verify = \"off\"\n", &query("&token=wrong"), ""), "");
    assert_eq!(notes(TOKEN, RIGHT, &query(""), ""), "", "no headers are pasted");
    let url = "kind = \"hmac\"\nhash = \"sha1\"\nover = \"url\"\nparameter = \"hash\"\n";
    let signed = "https://relay.example/k/collect/signed?cid=c1&amount=7.00&tid=t1&hash=87daa8703e602605772706ae5636e10484f19711";
    assert_eq!(notes(url, "secret = \"s\"\n", signed, ""), "");
    assert_eq!(notes(AES, "secret = \"SOMEKEY\"\n", "", BODY), "", "it is decrypted");
}

#[test]
fn a_preview_looks_at_a_signature_where_all_that_it_is_over_was_given() {
    let find = |verify: &str, source: &str, pasted: &str, header: Option<(&str, &str)>| {
        let network = SignedSource::new(verify, source).network();
        let setup = PreviewSetup { network: &network, destinations: &[], forecast };
        let mut headers = KeptHeaders::default();
        header.iter().for_each(|(name, value)| headers.push(name, value.as_bytes()));
        let request = PastedRequest { pasted, headers: header.map(|_| &headers), ..PastedRequest::default() };
        let found = preview(setup, PastedPostback::read(&network, &request, noon()), &[], noon());
        found.signature.map(|signature| signature.finding)
    };
    let query = "cid=c1&amount=7.00&tid=t1";
    let token = |value| find(TOKEN, RIGHT, query, Some(("x-token", value)));
    assert_eq!(token("hush-hush-hush"), Some(SignatureFinding::Taken));
    assert!(matches!(
        token("wrong"),
        Some(SignatureFinding::Refused(SignatureProblem::WrongSignature { .. }))
    ));
    assert_eq!(
        token("***"),
        Some(SignatureFinding::NotShown(UnshownSignature::Text)),
        "as the raw log has it"
    );
    assert_eq!(find(TOKEN, RIGHT, query, None), Some(SignatureFinding::NotShown(UnshownSignature::Header)));
    let other = find(TOKEN, RIGHT, &format!("{query}&x-token=hush-hush-hush"), Some(("x-other", "1")));
    assert!(matches!(other, Some(SignatureFinding::Refused(SignatureProblem::MissingSignature { .. }))));
    let address = format!("{RIGHT}allow_ips = [\"198.51.100.0/24\"]\n");
    let taken = find(TOKEN, &address, query, Some(("x-token", "hush-hush-hush")));
    assert_eq!(taken, Some(SignatureFinding::Taken), "no one knows from where it would be sent");
    let url = "kind = \"hmac\"\nhash = \"sha1\"\nover = \"url\"\nparameter = \"hash\"\n";
    let hash = "hash=87daa8703e602605772706ae5636e10484f19711";
    let signed = format!("https://relay.example/k/collect/signed?{query}&{hash}");
    assert_eq!(find(url, "secret = \"s\"\n", &signed, None), Some(SignatureFinding::Taken));
    let bare = find(url, "secret = \"s\"\n", &format!("{query}&{hash}"), None);
    assert_eq!(bare, Some(SignatureFinding::NotShown(UnshownSignature::WholeUrl)), "the path is signed too");
    assert_eq!(find(TOKEN, "verify = \"off\"\n", query, Some(("x-token", "wrong"))), None);
}
