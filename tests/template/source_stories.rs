//! Golden stories of the source templates: a request next to what it becomes. `BLESS=1` rewrites.

use std::fs;
use std::path::Path;

use postbridge::story::expected::Expectations;
use postbridge::story::source::run_source_stories;
use postbridge::template::catalog::Catalog;

use crate::support::stories::{expectations, folders_of};

#[test]
fn every_story_of_a_source_template_ends_as_written() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/sources");
    let catalog = Catalog::load(None).unwrap();
    let names = catalog.source_names();
    let report = run_source_stories(&catalog, &names, &directory, expectations());
    let problems: Vec<String> = report.problems.iter().map(ToString::to_string).collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    let own = names.iter().filter(|name| catalog.source(name).unwrap().alias_of().is_none()).count();
    assert!(report.passed.len() >= own * 2, "{:?}", report.passed);
}

#[test]
fn a_source_template_needs_an_accepted_and_a_quarantined_story() {
    let empty = tempfile::tempdir().unwrap();
    let catalog = Catalog::load(None).unwrap();
    let report = run_source_stories(&catalog, &["cake"], empty.path(), Expectations::Check);
    assert_eq!(report.problems.len(), 2, "{:?}", report.problems);
}

/// A story of the template `signing`, in this folder under `fixtures/sources`.
fn story(root: &Path, name: &str, files: &[(&str, &str)]) {
    let folder = root.join("fixtures/sources/signing").join(name);
    fs::create_dir_all(&folder).unwrap();
    for (file, text) in files {
        fs::write(folder.join(file), text).unwrap();
    }
}

#[test]
fn a_template_that_signs_needs_a_story_that_is_refused_and_stories_are_verified_by_their_secret() {
    let root = tempfile::tempdir().unwrap();
    let template = "name = \"signing\"\nmacro = \"{{}}\"\npostback = [\"cid\", \"amount\"]\n\
        [map]\nclick_id = \"cid\"\nvalue = \"amount\"\n[event]\nby_value = { positive = \"Purchase\", zero = \"Lead\" }\n\
        [verify]\nkind = \"hmac-timestamped\"\nhash = \"sha256\"\nheader = \"X-Sign\"\ntimestamp = \"t\"\nsignature = \"v1\"\n";
    fs::create_dir(root.path().join("sources")).unwrap();
    fs::write(root.path().join("sources/signing.toml"), template).unwrap();
    let catalog = Catalog::load(Some(root.path())).unwrap();
    let run = |expectations| {
        let folder = root.path().join("fixtures/sources");
        let report = run_source_stories(&catalog, &["signing"], &folder, expectations);
        report.problems.iter().map(ToString::to_string).collect::<String>()
    };
    let source =
        "currency = \"USD\"\nsecret = [\"old\", \"s3cret\"]\nreceived_at = \"2025-11-28T12:04:00Z\"\n";
    // HMAC-SHA256 under `s3cret` of the time, a dot and the body: openssl dgst -sha256 -hmac.
    let signed = "X-Sign: t=1764331200,v1=f0174fa694435f492217a7240f6ab6e456739973471bd2075f2ae29afc54134c\n";
    let body = "cid=c1&amount=7.00";
    story(root.path(), "a-sale", &[("body.form", body), ("headers.txt", signed), ("source.toml", source)]);
    let late = source.replace("12:04", "12:06");
    story(root.path(), "too-late", &[("body.form", body), ("headers.txt", signed), ("source.toml", &late)]);
    run(Expectations::Rewrite);
    let said = run(Expectations::Check);
    assert!(said.contains("no story of `signing` ends quarantined"), "{said}");
    assert!(said.contains("one that is signed wrongly counts as refused and not as quarantined"), "{said}");
    fs::remove_dir_all(root.path().join("fixtures/sources/signing/too-late")).unwrap();
    let unreadable = [("query.txt", "cid=c1&amount=seven"), ("source.toml", "currency = \"USD\"\n")];
    story(root.path(), "not-verified", &unreadable);
    run(Expectations::Rewrite);
    let said = run(Expectations::Check);
    assert!(said.contains("no story of `signing` ends refused"), "{said}");
    assert!(said.contains("headers.txt, `secret` in its source.toml"), "{said}");
    story(root.path(), "too-late", &[("body.form", body), ("headers.txt", signed), ("source.toml", &late)]);
    run(Expectations::Rewrite);
    assert_eq!(run(Expectations::Check), "");
    let unverified = || {
        let folder = root.path().join("fixtures/sources");
        run_source_stories(&catalog, &["signing"], &folder, Expectations::Rewrite).unverified
    };
    assert_eq!(unverified(), Vec::<String>::new(), "what has no signature need not be verified");
    let passed_over = |name: &str, source: &str| {
        story(root.path(), name, &[("body.form", body), ("headers.txt", signed), ("source.toml", source)]);
    };
    passed_over("no-secret", "currency = \"USD\"\n");
    passed_over("switched-off", "currency = \"USD\"\nverify = \"off\"\n");
    assert_eq!(unverified(), ["signing/no-secret"]);
    let expected = |name: &str| {
        let file = root.path().join("fixtures/sources/signing").join(name).join("expected.json");
        fs::read_to_string(file).unwrap()
    };
    assert!(expected("a-sale").contains("accepted"), "{}", expected("a-sale"));
    assert!(expected("not-verified").contains("not_a_number"), "{}", expected("not-verified"));
    assert!(expected("too-late").contains("outside_time_window"), "{}", expected("too-late"));
    assert!(!expected("too-late").contains("s3cret"));
}

#[test]
fn a_story_behind_others_is_what_it_is_to_them() {
    let root = tempfile::tempdir().unwrap();
    let template = "name = \"signing\"\nmacro = \"{{}}\"\npostback = [\"cid\", \"amount\", \"tid\", \"st\"]\n\
        [map]\nclick_id = \"cid\"\nvalue = \"amount\"\ntransaction_id = \"tid\"\nstatus = \"st\"\n\
        [status]\nyes = \"approved\"\nno = \"rejected\"\n\
        [default]\ncurrency = \"USD\"\n[event]\nby_value = { positive = \"Purchase\", zero = \"Lead\" }\n";
    fs::create_dir(root.path().join("sources")).unwrap();
    fs::write(root.path().join("sources/signing.toml"), template).unwrap();
    let catalog = Catalog::load(Some(root.path())).unwrap();
    let query = |rest: &str| format!("cid=c1&amount=7.00&tid={rest}");
    let after = |names: &str| format!("after = [{names}]\n");
    for (name, rest, before) in [
        ("a-sale", "t1&st=yes", ""),
        ("again", "t1&st=yes", "\"a-sale\""),
        ("taken-back", "t1&st=no", "\"a-sale\""),
        ("taken-back-again", "t1&st=no", "\"a-sale\", \"taken-back\""),
        ("another", "t2&st=yes", "\"a-sale\", \"again\""),
        ("unknown-status", "t1&st=maybe", "\"a-sale\""),
    ] {
        story(root.path(), name, &[("query.txt", &query(rest)), ("source.toml", &after(before))]);
    }
    let run = |expectations| {
        let folder = root.path().join("fixtures/sources");
        let report = run_source_stories(&catalog, &["signing"], &folder, expectations);
        report.problems.iter().map(ToString::to_string).collect::<String>()
    };
    assert_eq!(run(Expectations::Rewrite), "");
    for (name, verdict) in [
        ("a-sale", "accepted"),
        ("again", "duplicate"),
        ("taken-back", "updated"),
        ("taken-back-again", "duplicate"),
        ("another", "accepted"),
        ("unknown-status", "quarantined"),
    ] {
        let file = root.path().join("fixtures/sources/signing").join(name).join("expected.json");
        let expected = fs::read_to_string(file).unwrap();
        assert!(expected.starts_with(&format!("{{\n  \"{verdict}\"")), "{name}: {expected}");
    }
    for (name, before, why) in [
        ("wrong", "\"a-sail\"", "there is no story `a-sail`"),
        ("wrong", "\"wrong\"", "there is no story `wrong`"),
        ("wrong", "\"../signing/a-sale\"", "there is no story `../signing/a-sale`"),
        ("wrong", "\"unknown-status\"", "the story `unknown-status` makes no conversion"),
    ] {
        story(root.path(), name, &[("query.txt", &query("t1&st=yes")), ("source.toml", &after(before))]);
        let problems = run(Expectations::Check);
        assert!(problems.contains(why) && problems.contains("source.toml:1"), "{problems}");
    }
}

#[test]
fn a_file_that_no_story_has_is_a_problem_with_what_was_meant() {
    let root = tempfile::tempdir().unwrap();
    let catalog = Catalog::load(None).unwrap();
    let folder = root.path().join("cake/a-sale");
    fs::create_dir_all(&folder).unwrap();
    for (file, text) in [
        ("query.txt", "s1=yes&s2=c1&tid=t1&price=7"),
        ("header.txt", "a: b"),
        ("zzz.txt", ""),
        (".hidden", ""),
    ] {
        fs::write(folder.join(file), text).unwrap();
    }
    let report = run_source_stories(&catalog, &["cake"], root.path(), Expectations::Rewrite);
    let said: Vec<String> = report.problems.iter().map(ToString::to_string).collect();
    assert!(said[0].contains("no story of a source has a file `header.txt`"), "{said:?}");
    assert!(said[0].contains("did you mean `headers.txt`?"), "{said:?}");
    assert!(
        said[1].contains("`zzz.txt`") && said[1].contains("a story has body.json, body.form"),
        "{said:?}"
    );
    assert!(!folder.join("expected.json").exists() && !said.concat().contains(".hidden"));
}

#[test]
fn every_folder_of_stories_belongs_to_a_template() {
    let catalog = Catalog::load(None).unwrap();
    for name in folders_of("fixtures/sources") {
        assert!(catalog.source(&name).is_some(), "fixtures/sources/{name} has no template");
    }
}
