//! `postbridge link`: one link on standard output, and what belongs to it on standard error.

use tempfile::TempDir;

use crate::support::command_line::{CONFIG, POSTBACK, err, folder, out, postbridge};
use crate::support::relay::CAMPAIGN;

#[test]
fn link_prints_the_tracking_link_alone_and_the_one_by_creative_next_to() {
    let folder = folder(&format!("{CONFIG}{CAMPAIGN}{POSTBACK}"));
    let linked = postbridge(folder.path(), &["link", "8599"]);
    assert_eq!(linked.status.code(), Some(0), "{}", err(&linked));
    assert_eq!(out(&linked), "https://t.example.com/c/8599\n");
    assert!(err(&linked).contains("https://t.example.com/?a=200&c=761"), "{}", err(&linked));
}

/// Two creatives of the campaign's offer; the second has a page of its own.
const CREATIVES: &str = r#"
[tag]
origins = ["https://advertiser.example"]
[[creative]]
id = "761"
offer = "565"
[[creative]]
id = "762"
offer = "565"
name = "Summer"
url = "https://summer.example/lp?cid={click_id}"
[[creative]]
id = "763"
offer = "565"
url = "https://summer.example/{click_id}/lp"
"#;

fn with_creatives() -> TempDir {
    let campaign = CAMPAIGN.replace("creative = \"761\"", "creative = [\"761\", \"762\", \"763\"]");
    folder(&format!("{CONFIG}{campaign}{CREATIVES}"))
}

#[test]
fn link_prints_the_link_to_a_creative_or_the_first_with_the_others_next_to() {
    let folder = with_creatives();
    let first = postbridge(folder.path(), &["link", "8599"]);
    assert_eq!((out(&first).as_str(), first.status.code()), ("https://t.example.com/c/8599\n", Some(0)));
    assert!(
        err(&first).contains("creative 762 (Summer): https://t.example.com/c/8599?c=762"),
        "{}",
        err(&first)
    );
    let named = postbridge(folder.path(), &["link", "8599", "--creative", "762"]);
    assert_eq!(out(&named), "https://t.example.com/c/8599?c=762\n");
    assert!(err(&named).contains("https://t.example.com/?a=200&c=762"), "{}", err(&named));
    assert!(!err(&named).contains("c=763"), "{}", err(&named));
    let none = postbridge(folder.path(), &["link", "8599", "--creative", "672"]);
    assert_eq!((none.status.code(), out(&none).as_str()), (Some(2), ""));
    assert!(err(&none).contains("the campaign `8599` has no creative `672`"), "{}", err(&none));
}

#[test]
fn link_direct_prints_the_landing_page_alone_and_whether_the_tag_works_there() {
    let folder = with_creatives();
    let first = postbridge(folder.path(), &["link", "8599", "--direct"]);
    assert_eq!(out(&first), "https://advertiser.example/lp?a=200&c=761\n");
    assert!(!err(&first).contains("origins"), "{}", err(&first));
    let second = postbridge(folder.path(), &["link", "8599", "--creative", "762", "--direct"]);
    assert_eq!(out(&second), "https://summer.example/lp?a=200&c=762\n");
    assert!(
        err(&second).contains("\"https://summer.example\" is not among [tag] origins"),
        "{}",
        err(&second)
    );
    let third = postbridge(folder.path(), &["link", "8599", "--direct", "--creative", "763"]);
    assert_eq!((third.status.code(), out(&third).as_str()), (Some(2), ""));
    assert!(err(&third).contains("`{click_id}` outside of its query"), "{}", err(&third));
    let bare = self::folder(&format!("{CONFIG}{}", CAMPAIGN.replace("creative = \"761\"\n", "")));
    let bare = postbridge(bare.path(), &["link", "8599", "--direct"]);
    assert_eq!((bare.status.code(), out(&bare).as_str()), (Some(2), ""));
    assert!(err(&bare).contains("the campaign `8599` has no creative"), "{}", err(&bare));
}

#[test]
fn link_of_a_campaign_that_is_none_says_which_was_meant_and_ends_with_2() {
    let folder = folder(&format!("{CONFIG}{CAMPAIGN}{POSTBACK}"));
    let linked = postbridge(folder.path(), &["link", "8589"]);
    assert_eq!(linked.status.code(), Some(2));
    assert_eq!(out(&linked), "");
    assert!(err(&linked).contains("did you mean `8599`?"), "{}", err(&linked));
}
