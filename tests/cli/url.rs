//! `postbridge url`: what is printed where, and how it ends.

use std::fs;

use serde_json::json;

use crate::support::command_line::{CONFIG, err, folder, json_of, out, postbridge};

const HOOK: &str = "name = \"hook\"\ntitle = \"A shop\"\npaste_at = \"Settings → Webhooks\"\ncaveats = [\"Tests are sent too.\"]\n\
    [map]\ntransaction_id = \"id\"\nvalue = \"total\"\nevent = \"type\"\n[default]\ncurrency = \"EUR\"\n";

/// A source of CAKE, one of Affise, and a webhook by a template of one's own.
fn installed() -> tempfile::TempDir {
    let more = "[templates]\npath = \"mine\"\n[[source]]\nid = \"aff\"\ntemplate = \"affise\"\nkey = \"aff-k3y-4711-0815\"\n\
                [[source]]\nid = \"shop\"\ntemplate = \"hook\"\nkey = \"shop-k3y-4711-0815\"\n";
    let folder = folder(&format!("{CONFIG}{more}"));
    fs::create_dir_all(folder.path().join("mine/sources")).unwrap();
    fs::write(folder.path().join("mine/sources/hook.toml"), HOOK).unwrap();
    folder
}

const AFFISE: &str = "https://t.example.com/aff-k3y-4711-0815/collect/aff?click_id={sub1}&transaction_id={transactionid}\
                      &payout={sum}&currency={currency}&status={status}&goal={goal}&offer_id={offerid}";

#[test]
fn a_webhooks_address_is_bare_and_the_rest_is_said_on_standard_error() {
    let folder = installed();
    let printed = postbridge(folder.path(), &["url", "shop"]);
    assert_eq!(out(&printed), "https://t.example.com/shop-k3y-4711-0815/collect/shop\n");
    assert_eq!(err(&printed), "paste it at A shop: Settings → Webhooks\nnote: Tests are sent too.\n");
    assert_eq!(printed.status.code(), Some(0));
}

#[test]
fn a_constant_is_written_into_the_url_and_a_wrong_one_is_bad_usage() {
    let folder = installed();
    let printed = postbridge(folder.path(), &["url", "aff", "--set", "status=2", "--set", "event=Lead"]);
    let wanted = AFFISE.replace("={status}", "=2") + "&event=Lead\n";
    assert_eq!(out(&printed), wanted, "{}", err(&printed));
    let refused = postbridge(folder.path(), &["url", "aff", "--set", "status=approved"]);
    assert_eq!((refused.status.code(), out(&refused).as_str()), (Some(2), ""));
    assert!(err(&refused).contains("it is not a status that this source knows"), "{}", err(&refused));
}

#[test]
fn a_clean_url_ends_with_0_and_one_with_findings_with_1() {
    let folder = installed();
    let clean = postbridge(folder.path(), &["url", "aff", "--lint", AFFISE]);
    assert_eq!(clean.status.code(), Some(0), "{}", out(&clean));
    assert!(out(&clean).ends_with("nothing is wrong with it\n"));
    let pasted = AFFISE.replace("{sub1}", "{Sub1}").replace("https", "http");
    let found = postbridge(folder.path(), &["url", "aff", "--lint", &pasted]);
    assert_eq!((found.status.code(), err(&found).as_str()), (Some(1), ""));
    let said = out(&found);
    assert!(said.starts_with("http://t.example.com/***/collect/aff?click_id={Sub1}&"), "{said}");
    assert!(said.contains("\nplain_http: ") && said.contains("\nunknown_macro: "), "{said}");
    assert!(said.ends_with("2 findings\n") && !said.contains("aff-k3y"), "{said}");
}

#[test]
fn a_further_parameter_that_the_template_lacks_is_refused_with_what_to_do() {
    let folder = installed();
    for (arguments, said) in [
        (["url", "aff", "--with", "order_sim"], "did you mean `order_sum`?"),
        (["url", "aff", "--with", "country"], "name it there: extra = [\"country=the_macro\"]"),
        (["url", "shop", "--with", "country"], "leave --with out"),
    ] {
        let refused = postbridge(folder.path(), &arguments);
        assert_eq!(refused.status.code(), Some(2), "{arguments:?}");
        assert!(err(&refused).contains(said), "{}", err(&refused));
    }
}

#[test]
fn neither_a_token_nor_a_secret_in_a_pasted_url_is_shown() {
    let template = "name = \"tok\"\nmacro = \"{{}}\"\npostback = [\"cid\", \"amount\"]\n[map]\nclick_id = \"cid\"\n\
        value = \"amount\"\n[event]\nby_value = { positive = \"Purchase\", zero = \"Lead\" }\n\
        [verify]\nkind = \"token\"\nparameter = \"my_token\"\n";
    let more = "[templates]\npath = \"mine\"\n[[source]]\nid = \"tok\"\ntemplate = \"tok\"\nkey = \"tok-k3y-4711-0815\"\n\
                currency = \"USD\"\nsecret = \"s3cret-of-tok\"\n";
    let folder = folder(&format!("{CONFIG}{more}"));
    fs::create_dir_all(folder.path().join("mine/sources")).unwrap();
    fs::write(folder.path().join("mine/sources/tok.toml"), template).unwrap();
    let pasted = "https://t.example.com/tok-k3y-4711-0815/collect/tok?cid={cid}&My-Token=another-t0ken&amount=s3cret-of-tok";
    for json in [&[][..], &["--json"]] {
        let found = postbridge(folder.path(), &[&["url", "tok", "--lint", pasted][..], json].concat());
        let said = out(&found) + &err(&found);
        assert!(said.contains("&My-Token=***&amount=***"), "{said}");
        assert!(!said.contains("another-t0ken") && !said.contains("s3cret-of-tok"), "{said}");
    }
}

#[test]
fn findings_are_one_json_document() {
    let folder = installed();
    let pasted = AFFISE.replace("&status={status}", "");
    let found = postbridge(folder.path(), &["url", "aff", "--lint", &pasted, "--json"]);
    assert_eq!(found.status.code(), Some(1));
    let document = json_of(&found);
    assert_eq!(document["ok"], json!(false));
    assert_eq!(
        document["findings"],
        json!([{
            "reason_code": "missing_status",
            "field": "status",
            "value": null,
            "reason": "it carries no status, so the network reports no rejection",
            "hint": "add `status={status}`",
        }])
    );
    assert!(!document.to_string().contains("aff-k3y"));
    for bad in [&["url", "aff", "--json"][..], &["url", "aff", "--lint", "x", "--set", "status=2"]] {
        assert_eq!(postbridge(folder.path(), bad).status.code(), Some(2), "{bad:?}");
    }
}

#[test]
fn templates_show_what_is_to_be_pasted_where_and_what_is_read() {
    let folder = installed();
    let shown = out(&postbridge(folder.path(), &["templates", "show", "hook"]));
    for line in [
        "hook                 A shop",
        "paste at           Settings → Webhooks",
        "note               Tests are sent too.",
    ] {
        assert!(shown.contains(line), "{line} in {shown}");
    }
    let affise = json_of(&postbridge(folder.path(), &["templates", "show", "affise", "--json"]));
    let affise = affise["sources"][0].clone();
    assert_eq!(affise["statuses"], json!({"1": "approved", "2": "pending", "3": "rejected", "5": "pending"}));
    assert_eq!(affise["fields"]["click_id"], json!(["click_id"]));
    assert_eq!((&affise["link_param"], &affise["dedup"]), (&json!("sub1"), &json!("transaction")));
    let hook = json_of(&postbridge(folder.path(), &["templates", "show", "hook", "--json"]));
    let hook = hook["sources"][0].clone();
    assert_eq!(
        (&hook["title"], &hook["paste_at"], &hook["caveats"], &hook["webhook"]),
        (&json!("A shop"), &json!("Settings → Webhooks"), &json!(["Tests are sent too."]), &json!(true))
    );
}

/// A template of one's own, whose URL has these parameters.
fn parts(name: &str, (params, map, rest): (&str, &str, &str)) -> String {
    format!(
        "name = \"{name}\"\nmacro = \"{{{{}}}}\"\npostback = [\"cid\", \"amount\", {params}]\n[map]\nclick_id = \"cid\"\n\
         value = \"amount\"\n{map}\n[default]\ncurrency = \"EUR\"\nevent = \"Purchase\"\n{rest}"
    )
}

#[test]
fn check_warns_of_a_joined_id_or_status_of_which_the_url_lacks_a_part() {
    let status = "status = \"{{kind}}:{{state}}\"";
    let words = "[status]\n\"a:b\" = \"approved\"\n";
    let id = "transaction_id = \"{{order}}-{{part}}\"";
    let rows = "[dedup]\nadjustment_id = \"{{row}}-{{part}}\"\n";
    let templates = [
        ("half-id", ("\"order\"", id, ""), &["no_status", "no_transaction_id"][..]),
        ("whole-id", ("\"order\", \"part\"", id, ""), &["no_status"]),
        ("either-id", ("\"order\"", "transaction_id = \"{{order}}{{part}}\"", ""), &["no_status"]),
        (
            "half-status",
            ("\"order\", \"kind\"", &format!("transaction_id = \"order\"\n{status}"), words),
            &["no_status"],
        ),
        (
            "whole-status",
            ("\"order\", \"kind\", \"state\"", &format!("transaction_id = \"order\"\n{status}"), words),
            &[],
        ),
        ("half-row", ("\"order\", \"part\"", id, rows), &["no_status", "no_transaction_id"]),
        ("whole-row", ("\"order\", \"part\", \"row\"", id, rows), &["no_status"]),
    ];
    let sources = templates.iter().map(|(name, ..)| {
        format!("[[source]]\nid = \"{name}\"\ntemplate = \"{name}\"\nkey = \"{name}-k3y-4711-0815\"\n")
    });
    let folder = folder(&format!("{CONFIG}[templates]\npath = \"mine\"\n{}", sources.collect::<String>()));
    fs::create_dir_all(folder.path().join("mine/sources")).unwrap();
    for (name, written, _) in &templates {
        let file = folder.path().join(format!("mine/sources/{name}.toml"));
        fs::write(file, parts(name, *written)).unwrap();
    }
    let checked = json_of(&postbridge(folder.path(), &["check", "--json"]));
    for (name, _, wanted) in templates {
        let of_source = format!("the postbacks of `{name}`");
        let warnings = checked["warnings"].as_array().unwrap().iter();
        let own = warnings.filter(|one| one["message"].as_str().unwrap().starts_with(&of_source));
        let mut codes: Vec<&str> = own.map(|one| one["code"].as_str().unwrap()).collect();
        codes.sort_unstable();
        assert_eq!(codes, wanted, "{name}: {checked}");
    }
    assert!(checked.to_string().contains("`half-row` do not say which row"), "{checked}");
}

#[test]
fn check_warns_of_sources_that_say_less_than_they_could_with_a_code() {
    let folder = folder(&format!(
        "{CONFIG}[[source]]\nid = \"vol\"\ntemplate = \"voluum\"\nkey = \"vol-k3y-4711-0815\"\ncurrency = \"USD\"\n\
         [[source]]\nid = \"each\"\ntemplate = \"voluum\"\nkey = \"each-k3y-4711-0815\"\ncurrency = \"USD\"\ndedup = \"each\"\n"
    ));
    let checked = json_of(&postbridge(folder.path(), &["check", "--json"]));
    let coded = |code: &str| -> Vec<String> {
        let all = checked["warnings"].as_array().unwrap().iter();
        all.filter(|one| one["code"] == code).map(|one| one["message"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(coded("no_transaction_id").len(), 1, "{checked}");
    assert!(coded("no_transaction_id")[0].contains("`vol`"), "{checked}");
    assert_eq!(coded("no_status").len(), 2, "{checked}");
    assert!(coded("plain_http").is_empty(), "{checked}");
    // The facts of `voluum` are its own pages'.
    let doubtful = coded("doubtful_fact");
    assert_eq!(doubtful.len(), 1, "{checked}");
    assert!(doubtful[0].starts_with("the template `cake` of `cake-test` is not verified"), "{checked}");
    assert!(doubtful[0].contains("status (doubtful)") && !doubtful[0].contains("items"), "{checked}");
    let plain = json_of(&postbridge(
        {
            fs::write(folder.path().join("postbridge.toml"), CONFIG.replace("https://t.", "http://t."))
                .unwrap();
            folder.path()
        },
        &["check", "--json"],
    ));
    assert!(plain["warnings"].as_array().unwrap().iter().any(|one| one["code"] == "plain_http"), "{plain}");
}
