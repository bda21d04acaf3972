//! What of a request its signature is over, and that nothing else of it fills a field.

use postbridge::domain::code::{CodedReason, ReasonCode};

use crate::support::signed_source::{Outgoing, SignedSource};

const FORM: &str = "application/x-www-form-urlencoded";
const SECRET: &str = "secret = \"s3cret\"\n";
/// `amount=7.00`, by `printf %s amount=7.00 | openssl dgst -sha256 -hmac s3cret`.
const SIGN: &str = "8b601abc58d2b21f053337674331d120976f2856cadfca5540e918bdf30d956b";
const OVER_BODY: &str = "kind = \"hmac\"\nhash = \"sha256\"\nover = \"body\"\nheader = \"x-sign\"\n";

/// A signed body of an amount, sent to the source's path with this query.
fn captured(query: &str) -> Outgoing {
    let sent = Outgoing::post(FORM, "amount=7.00").header("x-sign", SIGN);
    Outgoing { target: format!("{}?{query}", sent.target), ..sent }
}

/// The newest conversion's click id and its record's notes.
async fn click_and_notes(source: &SignedSource) -> (Option<String>, Vec<&'static str>) {
    let newest = source.newest().await;
    let conversion = newest.verdict.conversion().expect("a conversion");
    let conversion = source.store.conversion(conversion).await.unwrap().unwrap().conversion;
    (
        conversion.attribution.given().map(str::to_owned),
        newest.notes.iter().map(|note| note.code().as_str()).collect(),
    )
}

#[tokio::test]
async fn next_to_a_signed_body_the_query_fills_no_field() {
    for query in ["cid=F1", "tid=T9&cid=F1", "x=1&amp;cid=F1", "a=1?cid=F1", "c%69d=F1"] {
        let source = SignedSource::new(OVER_BODY, SECRET);
        let answer = source.send(&captured(query)).await;
        assert_eq!(answer.verdict(), ("accepted", ""), "{query} {}", answer.json);
        let (click, notes) = click_and_notes(&source).await;
        assert_eq!(click, None, "{query}");
        assert!(notes.contains(&"query_not_signed"), "{query} {notes:?}");
        let note = source.newest().await.notes.iter().map(CodedReason::sentence).collect::<String>();
        assert!(note.contains("cid"), "{note}");
    }
    let source = SignedSource::new(OVER_BODY, SECRET);
    source.send(&captured("utm=1")).await;
    let (_, notes) = click_and_notes(&source).await;
    assert!(!notes.contains(&"query_not_signed"), "no field reads it: {notes:?}");
    let off = SignedSource::new(OVER_BODY, "verify = \"off\"\n");
    off.send(&captured("cid=F1")).await;
    assert_eq!(click_and_notes(&off).await.0.as_deref(), Some("F1"), "nothing is signed there");
    let observing = SignedSource::new(OVER_BODY, &format!("{SECRET}verify = \"observe\"\n"));
    observing.send(&captured("cid=F1")).await;
    assert_eq!(click_and_notes(&observing).await.0, None, "as it would be if it were enforced");
}

#[tokio::test]
async fn what_is_fixed_for_the_account_may_stay_in_the_query() {
    let with = format!("{OVER_BODY}[constant]\nsale_amount = \"sum\"\n");
    let source = SignedSource::new(&with, SECRET);
    let answer = source.send(&captured("sum=9.50&cid=F1")).await;
    assert_eq!(answer.verdict(), ("accepted", ""), "{}", answer.json);
    let newest = source.newest().await;
    let conversion =
        source.store.conversion(newest.verdict.conversion().unwrap()).await.unwrap().unwrap().conversion;
    assert_eq!(conversion.sale_amount.map(|amount| amount.to_string()).as_deref(), Some("9.50 USD"));
    assert_eq!(conversion.attribution.given(), None);
    let twice = source.send(&captured("sum=9.50&sum=1")).await;
    assert_eq!(twice.verdict().1, "", "one of two is left out, as elsewhere: {}", twice.json);
}

#[tokio::test]
async fn a_digest_of_a_form_is_not_over_the_query_and_one_of_a_query_is() {
    let digest = "kind = \"digest\"\nhash = \"sha256\"\nsorted = true\nparameter = \"sig\"\n";
    // printf %s 7.00s3cret | openssl dgst -sha256
    let of_form = "768c254fa54049b00f009806c5abe7cee789318734ab624ae2dc79dcd6f01485";
    let source = SignedSource::new(digest, SECRET);
    let form = Outgoing::post(FORM, &format!("amount=7.00&sig={of_form}"));
    let sent = Outgoing { target: format!("{}?cid=F1", form.target), ..form };
    assert_eq!(source.send(&sent).await.verdict(), ("accepted", ""));
    let (click, notes) = click_and_notes(&source).await;
    assert_eq!((click, notes.contains(&"query_not_signed")), (None, true));
    // printf %s 7.00c1s3cret | openssl dgst -sha256
    let of_query = "a1df89ab1f8a9d4f12b2b3d326e7d5cfb39d4c93b4e40c14ef57a178c66aa4a4";
    let source = SignedSource::new(digest, SECRET);
    let sent = Outgoing::get(&format!("cid=c1&amount=7.00&sig={of_query}"));
    assert_eq!(source.send(&sent).await.verdict(), ("accepted", ""));
    assert_eq!(click_and_notes(&source).await.0.as_deref(), Some("c1"));
}

#[tokio::test]
async fn next_to_a_signed_url_the_body_fills_no_field() {
    let over_url = "kind = \"hmac\"\nhash = \"sha1\"\nover = \"url\"\nheader = \"x-sign\"\n";
    let source = SignedSource::new(over_url, SECRET);
    let form = Outgoing::post(FORM, "cid=F1").header("x-sign", "3c4d65272f3f959c242ca508f0d3d7c34761139a");
    let sent = Outgoing { target: format!("{}?amount=7.00", form.target), ..form };
    let answer = source.send(&sent).await;
    assert_eq!(answer.verdict(), ("accepted", ""), "{}", answer.json);
    let (click, notes) = click_and_notes(&source).await;
    assert_eq!((click, notes.contains(&"body_not_signed")), (None, true));
}

#[tokio::test]
async fn bytes_that_are_no_utf8_are_signed_as_they_were_sent() {
    let digest = "kind = \"digest\"\nhash = \"sha256\"\nfields = [\"tid\", \"name\"]\nseparator = \"|\"\nparameter = \"sig\"\n";
    // printf 't1|\xc8\xe2\xe0\xed \xc8|s3cret' | openssl dgst -sha256
    let sign = "f6d286070a1f2bdc46e768a91cb374cdd2884f48c0d02f1382f97c7386241e50";
    for name in ["%C8%E2%E0%ED+%C8", "%c8%e2%e0%ed%20%c8"] {
        let source = SignedSource::new(digest, SECRET);
        let get = Outgoing::get(&format!("cid=c1&amount=7.00&tid=t1&name={name}&sig={sign}"));
        assert_eq!(source.send(&get).await.verdict(), ("accepted", ""), "{name}");
        let post = Outgoing::post(FORM, &format!("cid=c1&amount=7.00&tid=t1&name={name}&sig={sign}"));
        assert_eq!(source.send(&post).await.verdict().0, "duplicate", "{name}");
        let other = Outgoing::get(&format!("cid=c2&amount=7.00&tid=t1&name=%C9&sig={sign}"));
        assert_eq!(source.send(&other).await.verdict().1, "wrong_signature");
    }
}

#[tokio::test]
async fn nothing_can_be_added_to_a_signed_url() {
    let over_url = "kind = \"hmac\"\nhash = \"sha1\"\nover = \"url\"\nparameter = \"hash\"\n";
    // Of https://relay.example/path-key-0123456789/collect/signed?cid=c1&amount=7.00&tid=t1, by openssl.
    let hash = "1f1ab6c392e09f9de18ab58c08319a42d800a261";
    let sale = "cid=c1&amount=7.00&tid=t1";
    let send = |query: String| async move {
        let source = SignedSource::new(over_url, SECRET);
        source.send(&Outgoing::get(&query)).await.verdict().1.to_owned()
    };
    assert_eq!(send(format!("{sale}&hash={hash}")).await, "");
    for added in ["?tid=t2", "?cid=F1", "&hash=x?tid=t2", "&hash=x", "&x=1", "?x=1", "&amp;hash=x&tid=t2"] {
        assert_eq!(send(format!("{sale}&hash={hash}{added}")).await, "wrong_signature", "{added}");
    }
}

#[tokio::test]
async fn signed_fields_are_those_of_the_body_or_those_of_the_query_and_never_some_of_each() {
    let digest = "kind = \"digest\"\nhash = \"sha256\"\nfields = [\"tid\"]\nparameter = \"sig\"\n";
    // printf %s T1s3cret | openssl dgst -sha256
    let sig = "bc288e54b5b57ddf6e901c42fbed67469d9a62c24b8b4cef771ca0baa68d660f";
    let source = SignedSource::new(digest, SECRET);
    let honest = Outgoing::get(&format!("cid=c1&amount=7&tid=T1&sig={sig}"));
    assert_eq!(source.send(&honest).await.verdict(), ("accepted", ""));
    for click in ["fa", "fb"] {
        let body = Outgoing::post(FORM, &format!("amount=500&cid={click}"));
        let spliced = Outgoing { target: format!("{}?tid=T1&sig={sig}", body.target), ..body };
        assert_eq!(source.send(&spliced).await.verdict(), ("quarantined", "wrong_signature"));
    }
    // What is masked or left out of the content type does not make another body of it than the one that was verified.
    let get = format!("cid=c1&amount=7&tid=T1&sig={sig}");
    let forged = "cid=FORGED&amount=500.00&tid=NEW1&z=\n--X--";
    for hidden in ["api_key=1; boundary=X".to_owned(), format!("boundary=X; p={}", "a".repeat(4096))] {
        let source = SignedSource::new(digest, SECRET);
        let post = Outgoing::post(&format!("multipart/form-data; {hidden}"), forged);
        let sent = Outgoing { target: format!("{}?{get}", post.target), ..post };
        source.send(&sent).await;
        let conversion = source.newest().await.verdict.conversion();
        assert_eq!(conversion, None, "{hidden}");
    }
    // A body without any parameter is none.
    for (kind, body) in [
        ("application/json", "{}"),
        ("application/json", "null"),
        ("application/json", "[]"),
        (FORM, "&"),
        ("text/plain", " \n"),
    ] {
        let source = SignedSource::new(digest, SECRET);
        let post = Outgoing::post(kind, body);
        let sent = Outgoing { target: format!("{}?cid=c1&amount=7&tid=T1&sig={sig}", post.target), ..post };
        let answer = source.send(&sent).await;
        assert_eq!(answer.verdict(), ("accepted", ""), "{kind} {body} {}", answer.json);
    }
}

#[tokio::test]
async fn a_multipart_form_is_signed_by_its_own_bytes() {
    let digest = "kind = \"digest\"\nhash = \"sha256\"\nfields = [\"name\"]\nparameter = \"sig\"\n";
    // printf 'a+b%%41\xffs3cret' | openssl dgst -sha256
    let sig = "5b80e893ab672b8a93124170172f9b9e5e8eb68906a243705d84271feed542cb";
    let source = SignedSource::new(digest, SECRET);
    let part = |name: &str, value: &[u8]| {
        let head = format!("--X\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n");
        [head.as_bytes(), value, b"\r\n"].concat()
    };
    let body = [
        part("cid", b"c1"),
        part("amount", b"7"),
        part("tid", b"t1"),
        part("name", b"a+b%41\xff"),
        part("sig", sig.as_bytes()),
        b"--X--\r\n".to_vec(),
    ];
    let sent = Outgoing::post("multipart/form-data; boundary=X", "").body(body.concat());
    let answer = source.send(&sent).await;
    assert_eq!(answer.verdict(), ("accepted", ""), "{}", answer.json);
}
