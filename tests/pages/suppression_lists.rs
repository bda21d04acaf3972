//! The pages of suppression lists: entries, uploads, and removing a list.

use http::StatusCode;

use crate::support::network_pages_fixture::LIST;
use crate::support::pages_fixture::PagesFixture;

/// The path of the list that [`PagesFixture::trading`] has.
const LIST_PATH: &str = "/suppression/fraud%20%2F%202026";

#[tokio::test]
async fn a_list_shows_its_entries_and_never_what_is_hashed() {
    let fixture = PagesFixture::trading().await;
    fixture.get("/suppression").await.shows(LIST).shows(&format!("href=\"{LIST_PATH}\""));
    let page = fixture.get(LIST_PATH).await;
    page.shows("e-mail (hashed)").shows("ORD-&lt;1&gt;").shows("ops").hides("eve@example.net");
}

#[tokio::test]
async fn entries_are_added_from_a_field_and_a_file_with_a_verdict_for_every_line() {
    let fixture = PagesFixture::trading().await;
    let fields = [("list", "new"), ("kind", ""), ("entries", "jo@example.com\r\nnonsense\r\n")];
    let reported =
        fixture.upload("/suppression", &fields, ("more.csv", b"email,ip\njo@example.com,10.0.0.1\n")).await;
    assert_eq!(reported.status, StatusCode::OK);
    reported
        .shows("<dt>added</dt><dd>2</dd>")
        .shows("<dt>already there</dt><dd>1</dd>")
        .shows("<dt>refused</dt><dd>1</dd>");
    reported.shows("choose the kind").shows("<code>10.0.0.1</code>");
    fixture
        .get("/suppression/new")
        .await
        .shows("2 entries")
        .shows("<code>10.0.0.1</code>")
        .shows("one-time link");
    let plain = [("kind", "order_id"), ("entries", "A-1")];
    fixture.post("/suppression/new/add", &plain).await.shows("<dt>added</dt><dd>1</dd>");
    fixture.post("/suppression/new/take-off", &plain).await.shows("<dt>removed</dt><dd>1</dd>");
    fixture.post("/suppression/new/take-off", &plain).await.shows("<dt>not there</dt><dd>1</dd>");
}

#[tokio::test]
async fn a_file_keeps_its_kind_whatever_its_name_holds() {
    let fixture = PagesFixture::trading().await;
    for name in ["fraud; spring.csv", "a=b; name=x.csv", "%22q%22 filename=.csv"] {
        let reported =
            fixture.upload("/suppression", &[("list", name)], (name, b"id,ip\n7,10.0.0.1\n")).await;
        reported.shows("<dt>added</dt><dd>1</dd>").shows("<dt>refused</dt><dd>0</dd>");
    }
}

#[tokio::test]
async fn an_import_that_cannot_be_read_changes_nothing_and_says_what_to_do() {
    let fixture = PagesFixture::trading().await;
    for (list, kind, file, wanted) in [
        ("new", "", b"PK\x03\x04\0".as_slice(), "save the table as CSV in UTF-8"),
        ("new", "ip", b"email\njo@example.com", "names no column <code>ip</code>"),
        ("new", "", b"", "There is no entry in it"),
        (" ", "", b"jo@example.com", "A name has 1 to 64 visible characters"),
        ("..", "", b"jo@example.com", "The list has no usable name"),
        ("new", "shoe", b"jo@example.com", "This kind of entry is not known"),
    ] {
        let reported =
            fixture.upload("/suppression", &[("list", list), ("kind", kind)], ("a.csv", file)).await;
        assert_eq!(reported.status, StatusCode::BAD_REQUEST);
        reported.shows(wanted);
    }
    fixture.get("/suppression").await.hides("/suppression/new");
}

#[tokio::test]
async fn a_list_is_removed_only_when_that_is_meant() {
    let fixture = PagesFixture::trading().await;
    let remove = format!("{LIST_PATH}/remove");
    let unsure = fixture.post(&remove, &[]).await;
    assert_eq!(unsure.status, StatusCode::BAD_REQUEST);
    unsure.shows("was not removed");
    fixture.get(LIST_PATH).await.shows("2 entries");
    let sure = fixture.post(&remove, &[("sure", "yes")]).await;
    assert_eq!(sure.header("location"), "/suppression");
    fixture
        .get("/suppression")
        .await
        .shows("is removed, with its 2 entries")
        .shows("There is no suppression list");
}

#[tokio::test]
async fn a_cut_or_foreign_upload_does_nothing() {
    let fixture = PagesFixture::trading().await;
    for body in ["", "--x", "--x\r\nContent-Disposition: form-data; name=\"list\"\r\n\r\nnew", "no boundary"]
    {
        let reported = fixture.post_raw("/suppression", "multipart/form-data; boundary=x", body).await;
        assert_eq!(reported.status, StatusCode::FORBIDDEN, "{body}");
        reported.shows("nothing was done");
    }
}
