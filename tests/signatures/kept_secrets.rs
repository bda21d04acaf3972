//! What is presented as a token or as user and password is kept as a keyed digest, and as text nowhere.

use std::net::IpAddr;

use postbridge::domain::ids::Seq;
use postbridge::http1::Refusal;
use postbridge::http1::refusal::{HttpRefusal, HttpRefusalKind};

use crate::support::signed_request::template_with;
use crate::support::signed_source::{KEY, Outgoing, SignedSource};

const PRESENTED: &str = "presented-0123456789";
const IN_A_PARAMETER: &str = "kind = \"token\"\nparameter = \"sec_token\"\n";

/// Every way in which a sender may write the parameter.
fn requests() -> Vec<Outgoing> {
    let form = "application/x-www-form-urlencoded";
    let multipart = format!(
        "--X\r\nContent-Disposition: form-data; name=\"sec_token\"\r\n\r\n{PRESENTED}\r\n\
         --X\r\nContent-Disposition: form-data; name=\"cid\"\r\n\r\nc1\r\n--X--\r\n"
    );
    let get = |query: &str| Outgoing::get(&query.replace("<it>", PRESENTED));
    vec![
        get("cid=c1&amount=7&sec_token=<it>"),
        get("sec_token=<it>&cid=c1"),
        get("cid=c1&sec_token=other&sec_token=<it>"),
        get("cid=c1&sec_token=<it>&sec_token=another-0123456789"),
        get("cid=c1&SEC_TOKEN=<it>&Sec-Token=<it>&sectoken=<it>"),
        get("cid=c1&sec%5ftoken=<it>"),
        get("cid=c1&sec%255ftoken=<it>"),
        get("cid=c1&amp;sec_token=<it>"),
        get("cid=c1?sec_token=<it>"),
        get("cid=c1&+sec_token+=<it>"),
        get("cid%3Dc1%26sec_token%3D<it>"),
        Outgoing::post(form, &format!("cid=c1&amount=7&sec_token={PRESENTED}")),
        Outgoing::post("application/json", &format!("{{\"cid\":\"c1\",\"sec_token\":\"{PRESENTED}\"}}")),
        Outgoing::post(
            "application/json",
            &format!("{{\"cid\":\"c1\",\"sec\\u005ftoken\": [\"{PRESENTED}\"]}}"),
        ),
        Outgoing::post(
            "application/json",
            &format!("{{\"a\":{{\"Sec_Token\":\"{PRESENTED}\"}},\"cid\":\"c1\"}}"),
        ),
        Outgoing::post("application/json", &format!("{{\"cid\":\"c1\",\"sec_token\":\"{PRESENTED}")),
        Outgoing::post(form, &format!("{{\"cid\":\"c1\",\"sec_token\":\"{PRESENTED}\"}}")),
        Outgoing::post("multipart/form-data; boundary=X", &multipart),
    ]
}

/// Whatever is kept of the newest requests, as one text.
async fn kept(source: &SignedSource, most: usize) -> String {
    let mut text = String::new();
    for record in source.records().await.into_iter().take(most) {
        let raw = record.raw.clone().unwrap();
        for bytes in [&raw.line, &raw.body, raw.headers.as_bytes()] {
            text.push_str(&format!("{}\n", String::from_utf8_lossy(bytes)));
        }
        text.push_str(&format!("{:?} {:?}\n", record.verdict, record.notes));
        if let Some(id) = record.verdict.conversion() {
            text.push_str(&format!("{:?}\n", source.store.conversion(id).await.unwrap()));
        }
    }
    text
}

#[tokio::test]
async fn a_token_in_a_parameter_is_kept_nowhere_however_it_is_written() {
    for secret in ["another-secret", PRESENTED] {
        for mode in ["enforce", "observe", "off"] {
            let lines = format!("secret = \"{secret}\"\nverify = \"{mode}\"\n");
            let source = SignedSource::new(IN_A_PARAMETER, &lines);
            for request in requests() {
                let answer = source.send(&request).await;
                let all = format!("{}{}", kept(&source, 1).await, answer.json);
                assert!(!all.contains(PRESENTED), "{mode} {request:?}\n{all}");
                assert!(!all.contains("another-0123456789"), "{mode} {request:?}\n{all}");
            }
        }
    }
}

#[tokio::test]
async fn a_token_that_the_postback_url_names_is_no_parameter_of_the_conversion() {
    let template = "kind = \"token\"\nparameter = \"tid\"\n";
    let problems = template_with(template);
    assert!(problems.is_ok(), "no field reads it");
    let named = IN_A_PARAMETER.replace("sec_token", "cid");
    let problems = template_with(&named).unwrap_err();
    assert!(problems[0].what.contains("`click_id` reads the secret, by which [verify] knows the network"));
}

#[tokio::test]
async fn a_token_in_a_header_and_user_and_password_are_kept_nowhere() {
    let in_header =
        SignedSource::new("kind = \"token\"\nheader = \"X-Auth\"\n", "secret = \"right-right\"\n");
    in_header.send(&Outgoing::get("cid=c1&amount=7").header("x-auth", PRESENTED)).await;
    let text = kept(&in_header, 1).await;
    assert!(!text.contains(PRESENTED) && text.contains("x-auth: ***"), "{text}");

    let basic = SignedSource::new("kind = \"basic\"\n", "secret = \"user:right\"\n");
    let credentials = data_encoding::BASE64.encode(format!("user:{PRESENTED}").as_bytes());
    let sale = Outgoing::get("cid=c1&amount=7").header("authorization", &format!("Basic {credentials}"));
    assert_eq!(basic.send(&sale).await.verdict(), ("quarantined", "wrong_signature"));
    let text = kept(&basic, 1).await;
    assert!(!text.contains(PRESENTED) && !text.contains(&credentials), "{text}");
}

#[tokio::test]
async fn what_is_presented_is_masked_wherever_else_the_request_has_it() {
    let in_header = "kind = \"token\"\nheader = \"X-Auth\"\n";
    let encoded: String = PRESENTED.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let escaped: String = PRESENTED.chars().map(|c| format!("\\u{:04x}", u32::from(c))).collect();
    let wide: Vec<u8> = format!("{{\"cid\":\"c1\",\"a\":\"{PRESENTED}\"}}")
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let json = "application/json";
    let requests = [
        Outgoing::post(json, &format!("{{\"cid\":\"c1\",\"amount\":7,\"hottok\":\"{PRESENTED}\"}}")),
        Outgoing::post(json, &format!("{{\"cid\":\"c1\",\"amount\":7,\"a\":[\"x {PRESENTED} y\"]}}")),
        Outgoing::post(json, &format!("{{\"cid\":\"c1\",\"amount\":7,\"a\":\"{escaped}\"}}")),
        Outgoing::post("application/json; charset=utf-16le", "").body(wide),
        Outgoing::post("text/plain", &format!("cid=c1&amount=7&a={encoded}")),
        Outgoing::get(&format!("cid=c1&amount=7&other={PRESENTED}&tid={PRESENTED}")),
        Outgoing::get(&format!("cid=c1&amount=7&other={}", encoded.replace('%', "%25"))),
        Outgoing::get("cid=c1&amount=7").header("x-original-uri", &format!("/s?a={PRESENTED}")),
        Outgoing::get("cid=c1&amount=7").header("referer", &format!("https://h/s?a={encoded}")),
    ];
    for secret in ["another-secret", PRESENTED] {
        let of_headers = |request: &&Outgoing| request.headers.iter().any(|(name, _)| name != "content-type");
        // What is none of the source's secrets may be anything, and the sale needs it.
        let is_known = secret == PRESENTED;
        for request in requests.iter().filter(|request| is_known || of_headers(request)) {
            let source = SignedSource::new(in_header, &format!("secret = \"{secret}\"\n"));
            let answer = source.send(&request.clone().header("x-auth", PRESENTED)).await;
            let all = format!("{}{}", kept(&source, 1).await, answer.json);
            let wide = all.replace('\0', "");
            assert!(!all.contains(PRESENTED) && !wide.contains(PRESENTED), "{request:?}\n{all}");
            assert!(!all.contains(&encoded) && !all.contains(&escaped), "{request:?}\n{all}");
            let expected = if secret == PRESENTED { "accepted" } else { "quarantined" };
            let is_wide = request.body.contains(&0);
            assert!(answer.verdict().0 == expected || is_wide, "{request:?} {}", answer.json);
        }
    }
}

#[tokio::test]
async fn what_a_sender_puts_into_the_wrong_place_is_not_taken_out_of_its_sale() {
    // The macro of the order's number was written where the token belongs.
    let source = SignedSource::new(IN_A_PARAMETER, "secret = \"another-secret\"\nverify = \"observe\"\n");
    for order in ["ORDER-1001", "ORDER-1002"] {
        let query = format!("cid=c-{order}&amount=7&tid={order}&sec_token={order}");
        assert_eq!(source.send(&Outgoing::get(&query)).await.verdict().0, "accepted");
        let conversion = source.newest().await.verdict.conversion().unwrap();
        let conversion = source.store.conversion(conversion).await.unwrap().unwrap().conversion;
        assert_eq!(conversion.transaction_id.as_deref(), Some(order));
    }
    let strict = SignedSource::new(IN_A_PARAMETER, "secret = \"another-secret\"\n");
    let query = "cid=c-77777777&amount=7&tid=T1&sec_token=c-77777777";
    assert_eq!(strict.send(&Outgoing::get(query)).await.verdict().1, "wrong_signature");
    let corrected = strict.with("secret = \"c-77777777\"\n").again(Seq::FIRST).await.unwrap();
    let conversion = strict.store.conversion(corrected.verdict.conversion().unwrap()).await.unwrap().unwrap();
    assert_eq!(conversion.conversion.attribution.given(), Some("c-77777777"));

    let rule = "[[event.rules]]\nparam = \"header:x-topic\"\nis = \"topic-sale\"\nevent = \"Lead\"\n";
    let source = SignedSource::new(
        &format!("{IN_A_PARAMETER}{rule}"),
        "secret = \"another-secret\"\nverify = \"observe\"\n",
    );
    let sent = Outgoing::get("cid=c1&amount=7&sec_token=topic-sale").header("x-topic", "topic-sale");
    source.send(&sent.header("x-other", "topic-sale")).await;
    let text = kept(&source, 1).await;
    assert!(
        text.contains("x-topic: topic-sale") && text.contains("x-other: ***"),
        "a field reads it: {text}"
    );

    // A secret that may as well be an amount or a time is masked by its name alone.
    let plain = SignedSource::new("kind = \"token\"\nheader = \"x-auth\"\n", "secret = \"482913\"\n");
    let body = "{\"cid\":\"c482913\",\"amount\":482913.5,\"tid\":\"482913\"}";
    let sent = Outgoing::post("application/json", body).header("x-auth", "482913");
    assert_eq!(plain.send(&sent).await.verdict(), ("accepted", ""));
    assert_eq!(plain.newest().await.raw.unwrap().body, body.as_bytes());
}

#[tokio::test]
async fn a_token_that_a_proxy_copies_into_a_header_is_masked_there() {
    let lines = "secret = \"another-secret\"\n";
    for header in ["x-original-uri", "referer", "x-rewrite-url", "x-forwarded-uri"] {
        let source = SignedSource::new(IN_A_PARAMETER, lines);
        let url = format!("https://hooks.example/from-the-network?cid=c1&sec_token={PRESENTED}");
        // Also where the request has no token of its own any more.
        for query in [format!("cid=c1&sec_token={PRESENTED}"), "cid=c1".to_owned()] {
            source.send(&Outgoing::get(&query).header(header, &url)).await;
            let text = kept(&source, 1).await;
            assert!(!text.contains(PRESENTED) && text.contains("sec_token=***"), "{header}: {text}");
        }
    }
}

#[tokio::test]
async fn where_the_template_says_that_it_is_repeated_it_is_masked_by_its_name() {
    let repeated = "kind = \"token\"\nheader = \"X-Auth\"\nalso_in = [\"hottok\", \"header:X-Old\"]\n";
    let source = SignedSource::new(repeated, "secret = \"another-secret\"\n");
    let body = format!("{{\"cid\":\"c1\",\"hottok\":\"{PRESENTED}\"}}");
    let sent = Outgoing::post("application/json", &body).header("x-old", PRESENTED);
    assert_eq!(source.send(&sent).await.verdict(), ("quarantined", "missing_signature"));
    let text = kept(&source, 1).await;
    assert!(!text.contains(PRESENTED) && text.contains("\"hottok\":\"***\""), "{text}");
    let wrong = template_with("kind = \"token\"\nheader = \"x-auth\"\nalso_in = [\"cid\"]\n").unwrap_err();
    assert!(wrong[0].what.contains("`click_id` reads the secret"), "{wrong:?}");
    for (also, what) in [("header:", "is not a header's name"), ("a b", "is not a parameter's name")] {
        let text = format!("kind = \"token\"\nheader = \"x-auth\"\nalso_in = [\"{also}\"]\n");
        let wrong = template_with(&text).unwrap_err();
        assert!(wrong[0].what.contains(what), "{wrong:?}");
    }
}

#[tokio::test]
async fn what_is_refused_before_it_is_read_keeps_no_token_either() {
    let lines = "secret = \"another-secret\"\n";
    let token = format!("cid=c1&sec_token={PRESENTED}");
    let source = SignedSource::new(IN_A_PARAMETER, lines).limited();
    for target in [
        format!("/{KEY}/collect/signed?{token}"),
        // The second is one too many.
        format!("/{KEY}/collect/signed?{token}"),
        format!("/wrong-key-0123/collect/signed?{token}"),
        format!("/{KEY}/collect/sined?{token}"),
    ] {
        source.send(&Outgoing { method: "GET", target, ..Outgoing::default() }).await;
    }
    let why = HttpRefusal {
        kind: HttpRefusalKind::Malformed,
        message: "it is not HTTP",
        hint: "send HTTP",
        retry_after: None,
        challenge: None,
    };
    let line = format!("GET /{KEY}/collect/signed?{token} HTP").into_bytes();
    let peer: IpAddr = "203.0.113.9".parse().unwrap();
    source.postbacks().keep_unread(&Refusal { line, why }, peer).await;
    assert_eq!(source.records().await.len(), 5);
    let text = kept(&source, 9).await;
    assert!(!text.contains(PRESENTED), "{text}");
}
