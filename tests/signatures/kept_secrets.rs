//! What is presented as a token or as user and password is kept as a keyed digest, and as text nowhere.

use std::net::IpAddr;

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
