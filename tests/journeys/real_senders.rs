//! Requests as real HTTP clients send them, to a relay that runs: each is taken, and its record is whole.

use std::io::Write;

use base64::Engine;
use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::platform::Platform;
use crate::support::relay::{Answer, CAMPAIGN, KEY, Relay, Setup, TOKEN, ask, wait_until};
use crate::support::signed_in::cookie;

const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";
const JSON: &str = "Content-Type: application/json\r\n";

/// A relay with a source of each kind, and what it runs on.
struct SendersFixture {
    relay: Relay,
    platform: Platform,
    _folder: tempfile::TempDir,
}

fn fixture() -> SendersFixture {
    let (folder, platform) = (tempfile::tempdir().unwrap(), Platform::accepting());
    let mut setup = Setup::cake_to_meta(folder.path(), platform.address);
    setup.extra.push_str(CAMPAIGN);
    setup.extra.push_str(
        "[[source]]\nid = \"shop\"\ntemplate = \"generic\"\nkey = \"shop-key-0123456789\"\ncurrency = \"USD\"\n",
    );
    SendersFixture { relay: setup.start(), platform, _folder: folder }
}

impl SendersFixture {
    fn send(&self, line: &str, headers: &str, body: &[u8]) -> Answer {
        let length =
            if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
        let mut request =
            format!("{line} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n{headers}{length}\r\n").into_bytes();
        request.extend_from_slice(body);
        ask(self.relay.address, &request).unwrap()
    }

    fn post(&self, source: &str, headers: &str, body: &[u8]) -> Value {
        let key = if source == "shop" { "shop-key-0123456789" } else { KEY };
        let answer = self.send(&format!("POST /{key}/collect/{source}"), headers, body);
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }

    fn newest(&self) -> Value {
        self.relay.api("/api/v1/postbacks?limit=1")["items"][0].clone()
    }

    /// Whether the newest postback has a note with this code.
    fn noted(&self, code: &str) -> bool {
        self.newest()["notes"].as_array().unwrap().iter().any(|note| note["code"] == code)
    }

    fn transaction(&self, reported: &Value) -> Value {
        let id = reported["conversion_id"].as_str().unwrap_or_else(|| panic!("{reported}"));
        self.relay.api(&format!("/api/v1/conversions/{id}"))
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn raw_deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn every_form_of_the_request_line_and_of_the_path_reaches_the_source() {
    let fixture = fixture();
    let paths = [
        format!("/{KEY}/collect/cake-test/"),
        format!("//{KEY}/collect/cake-test"),
        format!("/{KEY}//collect///cake-test//"),
        format!("/{KEY}/collect/cake-test%2F"),
        format!("/%2f{KEY}/collect/cake-test"),
        format!("/{KEY}/collect/cake%2Dtest"),
        format!("http://t.example/{KEY}/collect/cake-test"),
        format!("HTTPS://[::1]:8443//{KEY}/collect/cake-test/"),
    ];
    for (number, path) in paths.iter().enumerate() {
        let upgrade = "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\nExpect: nothing-known\r\n";
        let reported = fixture.send(&format!("GET {path}?tid=L{number}&price=7&s5=#x"), upgrade, b"");
        assert_eq!(reported.json()["status"], "accepted", "{path}: {}", reported.text());
        let line = fixture.newest()["raw"]["line"].as_str().unwrap().to_owned();
        assert!(line.contains("***") && !line.contains(KEY), "{line}");
    }
    let other = fixture.send(&format!("GET /{KEY}/collect/cake-test/more?tid=1&price=7"), "", b"");
    assert_eq!(other.status, 404);
    let user =
        fixture.send(&format!("GET http://user:hush@t/{KEY}/collect/cake-test?tid=U&price=7"), "", b"");
    assert_eq!(user.status, 400);
    let line = fixture.newest()["raw"]["line"].as_str().unwrap().to_owned();
    assert!(!line.contains("hush") && !line.contains(KEY), "{line}");
}

#[test]
fn a_compressed_body_is_inflated_masked_and_recorded() {
    let fixture = fixture();
    let json =
        |tid: &str| format!("{{\"tid\":\"{tid}\",\"price\":7.10,\"api_key\":\"hush-hush\"}}").into_bytes();
    let cut = |mut bytes: Vec<u8>| {
        bytes.truncate(bytes.len() - 9);
        bytes
    };
    let two = [gzip(b"{\"tid\":\"G5\","), gzip(b"\"price\":7}")].concat();
    let rows: [(&str, Vec<u8>, &str); 12] = [
        ("gzip", gzip(&json("G1")), "accepted"),
        ("x-gzip", gzip(&json("G2")), "accepted"),
        ("deflate", zlib(&json("G3")), "accepted"),
        ("Deflate", raw_deflate(&json("G4")), "accepted"),
        ("gzip", two, "accepted"),
        ("deflate, gzip", gzip(&zlib(&json("G6"))), "accepted"),
        ("identity", json("G7"), "accepted"),
        ("utf-8", json("G8"), "accepted"),
        ("gzip", cut(gzip(&json("G9"))), "damaged_encoding"),
        ("gzip", json("G10"), "damaged_encoding"),
        ("br", b"\x0b\x02\x80hello\x03".to_vec(), "unsupported_encoding"),
        ("gzip, zstd", gzip(&json("G11")), "unsupported_encoding"),
    ];
    for (encoding, body, wanted) in rows {
        let reported = fixture.post("cake-test", &format!("{JSON}Content-Encoding: {encoding}\r\n"), &body);
        let outcome = reported["reason_code"].as_str().or(reported["status"].as_str());
        assert_eq!(outcome, Some(wanted), "{encoding}: {reported}");
        let record = fixture.newest();
        let (text, received) = (record.to_string(), &record["raw"]["received_body"]);
        assert!(!text.contains("hush-hush"), "{text}");
        if matches!(encoding, "identity" | "utf-8") {
            assert!(received.is_null());
            continue;
        }
        let sha256: String = Sha256::digest(&body).iter().map(|byte| format!("{byte:02x}")).collect();
        let inflated = wanted == "accepted";
        assert_eq!(
            received,
            &json!({"encoding": encoding.to_lowercase(), "bytes": body.len(), "sha256": sha256, "inflated": inflated})
        );
        let kept = record["raw"]["body_base64"].as_str().unwrap();
        let kept = base64::engine::general_purpose::STANDARD.decode(kept).unwrap();
        assert!(!inflated || kept.starts_with(b"{\"tid\""), "{encoding}");
    }
}

#[test]
fn what_a_compressed_body_lacked_is_reprocessed_from_the_inflated_one() {
    let fixture = fixture();
    let form = gzip(b"transaction_id=M1&transaction_id=M2&value=7");
    let reported = fixture.post("shop", &format!("{FORM}Content-Encoding: gzip\r\n"), &form);
    assert_eq!(reported["status"], "quarantined");
    let again = |id: &str| fixture.relay.post(&format!("/api/v1/postbacks/{id}/retry"), "").json();
    let id = fixture.newest()["id"].as_str().unwrap().to_owned();
    let inflated = again(&id);
    assert_eq!(
        (&inflated["reason_code"], &inflated["field"]),
        (&json!("different_values"), &json!("transaction_id")),
        "{inflated}"
    );
    let reported =
        fixture.post("shop", &format!("{FORM}Content-Encoding: compress\r\n"), b"\x1f\x9d\x90rest");
    assert_eq!(reported["reason_code"], "unsupported_encoding");
    let id = fixture.newest()["id"].as_str().unwrap().to_owned();
    assert_eq!(again(&id)["reason_code"], "unsupported_encoding");
}

#[test]
fn a_bomb_is_413_and_its_record_stays_small() {
    let fixture = fixture();
    for bomb in [gzip(&vec![b' '; 30_000_000]), gzip(&gzip(&vec![0; 30_000_000]))] {
        let encoding = if bomb.len() < 1000 { "gzip, gzip" } else { "gzip" };
        let headers = format!("{JSON}Content-Encoding: {encoding}\r\n");
        let reported = fixture.send(&format!("POST /{KEY}/collect/cake-test?tid=B&price=7"), &headers, &bomb);
        assert_eq!(reported.status, 413, "{}", reported.text());
        let record = fixture.newest();
        assert_eq!((&record["status"], &record["raw"]["body"]), (&json!("refused"), &json!("")));
    }
    let other = fixture.send(
        "POST /api/2/update_conversion.json",
        "Content-Encoding: gzip\r\n",
        &gzip(&vec![b' '; 1_000_000]),
    );
    assert_eq!(other.status, 413);
}

#[test]
fn other_routes_read_compressed_and_multipart_bodies_too() {
    let fixture = fixture();
    let bearer = format!("Authorization: Bearer {TOKEN}\r\n");
    let click = br#"{"click_id":"click-of-gzip-1","landing_url":"https://shop.example/?fbclid=x"}"#;
    let reported = fixture.send(
        "POST /api/v1/clicks",
        &format!("{bearer}{JSON}Content-Encoding: gzip\r\n"),
        &gzip(click),
    );
    assert!(reported.status < 300, "{}", reported.text());
    let reported =
        fixture.send("POST /api/v1/clicks", &format!("{bearer}{JSON}Content-Encoding: br\r\n"), b"br");
    assert_eq!((reported.status, &reported.json()["error"]["code"]), (415, &json!("unsupported_encoding")));
    let form = |key: &str| {
        let field = |name: &str, value: &str| {
            format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
        };
        format!(
            "{}{}{}--b--\r\n",
            field("api_key", key),
            field("conversion_id", "999999"),
            field("status", "rejected")
        )
    };
    let multipart = "Content-Type: multipart/form-data; boundary=b\r\n";
    let reported = fixture.send("POST /api/2/update_conversion.json", multipart, form(TOKEN).as_bytes());
    assert!(
        reported.status == 200 && reported.text().contains("no conversion 999999"),
        "{}",
        reported.text()
    );
    let packed = format!("{multipart}Content-Encoding: gzip\r\n");
    let reported =
        fixture.send("POST /api/2/update_conversion.json", &packed, &gzip(form("wrong-key").as_bytes()));
    assert_eq!(reported.status, 401);
    assert!(!fixture.newest().to_string().contains("wrong-key"));
}

#[test]
fn a_multipart_postback_is_read_and_its_key_is_masked() {
    let fixture = fixture();
    let body = "--x\r\nContent-Disposition: form-data; name=\"tid\"\r\n\r\nP1\r\n--x\r\nContent-Disposition: form-data; name=\"price\"\r\n\r\n7\r\n--x\r\nContent-Disposition: form-data; name=\"api_key\"\r\n\r\nhush\r\n--x\r\nContent-Disposition: form-data; name=\"log\"; filename=\"a.txt\"\r\n\r\ntid=9\r\n--x--\r\n";
    let reported =
        fixture.post("cake-test", "Content-Type: multipart/form-data; boundary=x\r\n", body.as_bytes());
    assert_eq!(reported["status"], "accepted", "{reported}");
    assert!(fixture.noted("files_not_read"), "{reported}");
    assert_eq!(fixture.transaction(&reported)["transaction_id"], "P1");
    assert!(!fixture.newest().to_string().contains("hush"));
}

#[test]
fn a_shops_order_of_a_thousand_leaves_is_taken_up_to_256_kib() {
    let fixture = fixture();
    let item =
        json!({"sku": "A", "tax": [{"rate": 0.2, "title": "VAT"}], "deep": {"a": {"b": {"c": [1, 2, 3]}}}});
    let order = |items: usize, id: &str| {
        json!({"line_items": vec![item.clone(); items], "order_id": id, "value": 7, "event": "Purchase"})
            .to_string()
    };
    for (items, id) in [(30, "W1"), (1000, "W2"), (2500, "W3")] {
        let body = order(items, id);
        assert!(body.len() < 256 * 1024);
        let reported = fixture.post("shop", JSON, body.as_bytes());
        assert_eq!(reported["status"], "accepted", "{} bytes: {reported}", body.len());
        let chunked = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
        let request = format!(
            "POST /shop-key-0123456789/collect/shop/ HTTP/1.1\r\nHost: t\r\nConnection: close\r\n{JSON}Transfer-Encoding: chunked\r\n\r\n{chunked}"
        );
        assert_eq!(ask(fixture.relay.address, request.as_bytes()).unwrap().json()["status"], "duplicate");
    }
    let large = order(4000, "W4");
    assert!(large.len() > 256 * 1024);
    let reported = fixture.send("POST /shop-key-0123456789/collect/shop", JSON, large.as_bytes());
    assert_eq!(reported.status, 413, "{}", reported.text());
    let packed = format!("{JSON}Content-Encoding: gzip\r\n");
    assert_eq!(fixture.post("shop", &packed, &gzip(order(2000, "W5").as_bytes()))["status"], "accepted");
    assert_eq!(
        fixture.send("POST /shop-key-0123456789/collect/shop", &packed, &gzip(large.as_bytes())).status,
        413
    );
    let middle = order(1000, "W6");
    for path in ["/wrong-key-0123456789/collect/shop".to_owned(), format!("/{KEY}/collect/cake-test")] {
        assert_eq!(fixture.send(&format!("POST {path}"), JSON, middle.as_bytes()).status, 413, "{path}");
    }
}

#[test]
fn a_declared_charset_is_read_and_damage_is_never_an_id() {
    let fixture = fixture();
    let latin2 = "Content-Type: application/x-www-form-urlencoded; charset=iso-8859-2\r\n";
    let reported = fixture.post("shop", latin2, b"transaction_id=%A3%F3d%BC-1&value=7&first_name=%A3ukasz");
    assert_eq!(fixture.transaction(&reported)["transaction_id"], "Łódź-1");
    let reported = fixture.post("shop", FORM, b"transaction_id=C2&value=7&first_name=%A3ukasz");
    assert_eq!(reported["status"], "accepted", "{reported}");
    assert!(fixture.noted("unreadable_left_out"), "{reported}");
    assert!(!fixture.transaction(&reported).to_string().contains('\u{fffd}'));
    for (query, field) in [
        ("transaction_id=%E9&value=7", "transaction_id"),
        ("click_id=%FF%FE&transaction_id=C3&value=7", "click_id"),
    ] {
        let reported = fixture.post("shop", FORM, query.as_bytes());
        assert_eq!(
            (&reported["reason_code"], &reported["field"]),
            (&json!("unreadable_bytes"), &json!(field))
        );
    }
}

#[test]
fn a_name_that_no_one_reads_never_stops_a_sale() {
    let fixture = fixture();
    let reported = fixture.send(
        &format!("GET /{KEY}/collect/cake-test?tid=R1&price=7&utm_source=a&utm_source=b&%FF=1&%FF=2"),
        "",
        b"",
    );
    let reported = reported.json();
    assert_eq!(reported["status"], "accepted", "{reported}");
    assert!(fixture.noted("left_out"), "{reported}");
    let click = fixture.send("GET /c/8599", "User-Agent: Mozilla/5.0\r\n", b"");
    let location = click
        .head
        .lines()
        .find_map(|line| line.strip_prefix("location: ").or(line.strip_prefix("Location: ")))
        .unwrap()
        .to_owned();
    let cid = location.split("cid=").nth(1).unwrap().split('&').next().unwrap().to_owned();
    let reported = fixture.send(&format!("GET /api/2/conversion.json?api_key={TOKEN}&click_id={cid}&offer_id=565&utm=a&utm=b&x=%FF&adv1=a&adv1=b"), "", b"");
    assert!(reported.text().contains("\"Success\""), "{}", reported.text());
    let hint = fixture.newest()["hint"].as_str().unwrap().to_owned();
    assert!(hint.contains("`utm`") && hint.contains("`adv1`"), "{hint}");
    let reported = fixture.send(
        &format!("GET /api/2/conversion.json?api_key={TOKEN}&click_id={cid}&click_id=x&offer_id=565"),
        "",
        b"",
    );
    assert!(reported.text().contains("different values"), "{}", reported.text());
}

#[test]
fn an_order_of_several_things_is_shown_and_sent_with_each_of_them() {
    let fixture = fixture();
    let (id, hash) =
        ("visitor-0123456789abcdef", "b4c9a289323b21a01c3e940f150eb9b8c542587f1abfd8f0e1cc1ffc5e475514");
    let order = json!({
        "event_name": "sale", "order_id": "A-77", "click_id": id, "value": "25.50", "email": hash, "items": [
            {"sku": "MUG-1", "title": "<b>Mug</b>", "qty": 2, "unit_price": "5.75"},
            {"sku": "TEA-9", "category": "Tea", "quantity": 1, "price": "$7"},
        ],
    });
    let click =
        json!({"click_id": id, "landing_url": "https://shop.example/", "user_agent": "Mozilla/5.0 X"});
    assert_eq!(fixture.relay.post("/api/v1/clicks", &click.to_string()).status, 200);
    let reported = fixture.post("shop", JSON, order.to_string().as_bytes());
    assert_eq!(reported["status"], "accepted", "{reported}");
    assert!(fixture.noted("left_out"), "a price that is not a number");
    let trace = fixture.transaction(&reported);
    assert_eq!(
        trace["items"],
        json!([
            {"id": "MUG-1", "name": "<b>Mug</b>", "category": null, "quantity": "2", "price": "5.75"},
            {"id": "TEA-9", "name": null, "category": "Tea", "quantity": "1", "price": null},
        ])
    );
    assert!(wait_until(std::time::Duration::from_secs(10), || fixture.platform.count() == 1), "it is sent");
    let sent = fixture.platform.received().remove(0).json();
    let custom = &sent["data"][0]["custom_data"];
    assert_eq!((&custom["content_ids"], &custom["num_items"]), (&json!(["MUG-1", "TEA-9"]), &json!(3)));
    assert_eq!(custom["contents"][1], json!({"id": "TEA-9", "quantity": 1, "category": "Tea"}));
    let path = format!("/conversions/{}", reported["conversion_id"].as_str().unwrap());
    let page = fixture.relay.send("GET", &path, &cookie(&fixture.relay, TOKEN), "").text();
    for shown in [
        "<code>MUG-1</code> &lt;b&gt;Mug&lt;/b&gt; × 2 at 5.75 USD",
        "<code>TEA-9</code> <small>Tea</small> × 1",
    ] {
        assert!(page.contains(shown), "{shown} in {page}");
    }
}
