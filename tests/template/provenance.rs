//! Where the facts of templates are from, and which templates are verified by it.

use std::collections::BTreeMap;

use postbridge::template::catalog::Catalog;
use postbridge::template::destination::definition::DestinationTemplate;
use postbridge::template::provenance::FactKind;

const TOML: &str = "label = \"Mine\"\n[events]\nPurchase = \"buy\"\n[request]\nurl = \"https://a.example/?id={{event_id}}\"\nmethod = \"GET\"\n";
const NEEDED: [&str; 6] = ["url", "auth", "event_shape", "time", "value", "hash"];

fn fact(about: &str, level: &str) -> String {
    format!(
        "[[provenance]]\nabout = \"{about}\"\nfact = \"f\"\nfrom = \"a page\"\nseen = \"2026-11-20\"\nlevel = \"{level}\"\n"
    )
}

fn parse(toml: &str) -> Result<DestinationTemplate, Vec<String>> {
    let files = BTreeMap::from([("destination.toml".to_owned(), toml.to_owned())]);
    let parsed = DestinationTemplate::parse("mine", "mine", &files);
    parsed.map_err(|problems| problems.iter().map(ToString::to_string).collect())
}

/// Whether it is verified, and what is in doubt.
fn doubts(facts: &[(&str, &str)]) -> (bool, Vec<String>) {
    let facts: String = facts.iter().map(|(about, level)| fact(about, level)).collect();
    let template = parse(&format!("{TOML}{facts}")).unwrap();
    let doubts = template.doubts().into_iter();
    (template.is_verified(), doubts.map(|doubt| format!("{} {}", doubt.about, doubt.reason())).collect())
}

#[test]
fn a_template_is_verified_where_every_needed_fact_has_a_source_that_can_be_relied_on() {
    let all = |level: &'static str| NEEDED.map(|about| (about, level));
    for level in ["vendor", "vendor_via", "code"] {
        assert_eq!(doubts(&all(level)), (true, Vec::new()), "{level}");
    }
    for level in ["third_party", "doubtful"] {
        let (verified, doubts) = doubts(&[all("vendor").as_slice(), &[("time", level)]].concat());
        assert_eq!((verified, doubts), (false, vec![format!("time {level}")]), "one in doubt is enough");
    }
}

#[test]
fn a_needed_fact_without_any_source_is_in_doubt() {
    for lacking in NEEDED {
        let facts: Vec<_> = NEEDED.into_iter().filter(|about| *about != lacking).collect();
        let facts: Vec<_> = facts.into_iter().map(|about| (about, "vendor")).collect();
        assert_eq!(doubts(&facts), (false, vec![format!("{lacking} no_source")]));
    }
}

#[test]
fn a_doubt_about_what_is_not_needed_is_shown_and_leaves_a_template_verified() {
    let facts = [NEEDED.map(|about| (about, "vendor")).as_slice(), &[("age", "doubtful")]].concat();
    assert_eq!(doubts(&facts), (true, vec!["age doubtful".to_owned()]));
    assert_eq!(FactKind::NAMES.iter().filter(|(_, kind)| kind.is_needed()).count(), NEEDED.len());
}

#[test]
fn a_fact_without_a_kind_a_day_or_a_level_of_the_list_is_refused_with_its_line() {
    let wrong = |from: &str, to: &str| {
        let toml = format!("{TOML}{}", fact("url", "vendor").replace(from, to));
        parse(&toml).err().map(|problems| problems.join("\n")).unwrap_or_default()
    };
    for (from, to, part) in [
        ("\"url\"", "\"adress\"", "destination.toml:8: `about` in [[provenance]]: `adress` is none of"),
        (
            "\"vendor\"",
            "\"sure\"",
            "destination.toml:12: `level` in [[provenance]]: `sure` is none of vendor",
        ),
        (
            "2026-11-20",
            "2026-11-31",
            "destination.toml:11: `seen` in [[provenance]]: `2026-11-31` is not a day or",
        ),
        ("2026-11-20", "lately", "`lately` is not a day or a month"),
        ("from =", "source =", "hint: write `from`"),
        ("fact =", "what =", "hint: write `fact`"),
        ("seen =", "date =", "hint: write `seen`"),
    ] {
        assert!(wrong(from, to).contains(part), "{part} is not in {}", wrong(from, to));
    }
    assert_eq!(wrong("2026-11-20", "2026-11"), "", "a month is enough");
}

#[test]
fn meta_and_the_webhook_are_verified() {
    let catalog = Catalog::load(None).unwrap();
    for name in ["meta", "webhook"] {
        let template = catalog.destination(name).unwrap();
        assert!(template.is_verified(), "{name}: {:?}", template.doubts());
    }
}
