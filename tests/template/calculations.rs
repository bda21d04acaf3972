//! Templates calculate nothing: what is written like a calculation is a problem with a line and a fix.

use postbridge::config::configuration::Config;
use postbridge::template::destination::definition::DestinationTemplate;
use postbridge::template::diagnostic::Problem;
use postbridge::template::source::definition::SourceTemplate;

fn source(map: &str) -> Vec<Problem> {
    let text = format!(
        "name = \"small\"\nmacro = \"{{{{}}}}\"\npostback = [\"cid\", \"a\", \"b\"]\n[map]\nclick_id = \"cid\"\n{map}\n[event]\nby_value = {{ positive = \"Purchase\", zero = \"Lead\" }}\n"
    );
    SourceTemplate::parse("small.toml", &text).err().unwrap_or_default()
}

const TOML: &str = "label = \"Test\"\n[events]\nPurchase = \"buy\"\n[request]\nurl = \"https://ads.example/URL\"\nheaders = { x-total = \"HEADER\" }\n";

fn destination(event: &str, query: &str, header: &str) -> Vec<Problem> {
    let toml = TOML.replace("URL", query).replace("HEADER", header);
    let files = [("destination.toml", toml), ("event.json.hbs", event.to_owned())];
    let files = files.map(|(name, text)| (name.to_owned(), text)).into_iter().collect();
    DestinationTemplate::parse("test", "test", &files).err().unwrap_or_default()
}

fn postback(query: &str, grammar: &str) -> Vec<Problem> {
    let text = format!(
        "[[postback]]\nid = \"all\"\nmacro = \"{grammar}\"\nurl = \"https://aff.example/pb?{query}\"\n"
    );
    Config::parse("postbridge.toml", &text, &|_| None).err().unwrap_or_default()
}

/// One problem, at this place, that says that nothing is calculated.
fn refused(written: &str, found: &[Problem], at: &str) {
    assert_eq!(found.len(), 1, "{written}: {found:#?}");
    assert_eq!(found[0].at, at, "{written}: {found:#?}");
    assert!(!found[0].hint.is_empty() && found[0].to_string().contains("calculat"), "{written}: {found:#?}");
}

#[test]
fn a_number_of_a_source_template_that_joins_no_number_is_a_problem_at_its_line() {
    for joined in [
        "{{a}} - {{b}}",
        "{{a}}-{{b}}",
        "{{a}}+{{b}}",
        "{{a}} * 0.8",
        "{{a}}/{{b}}",
        "({{a}} + {{b}})",
        "100 - {{a}}",
        "{{a}}%",
        "{{a}} USD",
        "{{a}},{{b}}",
        "{{a}} − {{b}}",
    ] {
        for field in ["value", "payout", "revenue", "sale_amount"] {
            let value = if field == "value" { "" } else { "value = \"a\"\n" };
            let at = if field == "value" { "small.toml:6" } else { "small.toml:7" };
            refused(joined, &source(&format!("{value}{field} = \"{joined}\"")), at);
        }
    }
    refused("a list", &source("value = [\"b\",\n  \"{{a}} - {{b}}\"]"), "small.toml:7");
    let epoch = "value = \"a\"\nevent_time = \"{{b}} + 3600\"\n[time]\nformats = [\"unix\"]";
    refused("a moment", &source(epoch), "small.toml:7");
}

#[test]
fn a_calculation_where_a_parameter_is_named_says_so() {
    for name in ["a * 0.8", "a - b", "{{a - b}}", "{{a+b}}", "a/100"] {
        refused(name, &source(&format!("value = \"{name}\"")), "small.toml:6");
        refused(name, &source(&format!("value = \"a\"\nitem_id = \"{name}\"")), "small.toml:7");
    }
}

#[test]
fn what_a_source_template_joins_into_a_number_or_a_text_stays() {
    for joined in ["{{a}}.{{b}}", "-{{a}}", "{{a}}{{b}}", "0.{{a}}", "{{a}}00"] {
        assert_eq!(source(&format!("value = \"{joined}\"")), [], "{joined}");
    }
    let comma = "value = \"{{a}},{{b}}\"\n[number]\nformat = \"comma\"";
    assert_eq!(source(comma), []);
    let texts =
        "value = \"a\"\nitem_id = \"{{a}} - {{b}}\"\nevent_time = \"{{a}} {{b}}\"\nphone = \"+{{b}}\"";
    assert_eq!(source(texts), []);
}

#[test]
fn a_calculation_in_a_json_template_is_a_problem_at_its_line() {
    let event = |value: &str| format!("{{\n\"e\": {{{{json event}}}},\n\"v\": {value}\n}}");
    for value in [
        "{{number value}} - {{number payout}}",
        "{{number value}}*0.8",
        "100 - {{number value}}",
        "- {{number value}}",
        "{{number value}}%",
        "{{number value - payout}}",
        "{{number (value * 0.8)}}",
        "{{number value*0.8}}",
        "{{number value-payout}}",
        "{{number (join value payout separator=\" - \")}}",
        "{{number (join value \"0.8\" separator=\"*\")}}",
        "{{number (default (join value \"-\" payout) revenue)}}",
        "{{number (join value payout)}}",
        "{{json (join value payout separator=\" - \")}}",
        "{{text (join revenue \"*\" \"0.8\")}}",
    ] {
        refused(value, &destination(&event(value), "", ""), "test/event.json.hbs:3");
    }
    let next_line = "{\n\"v\": {{number value}}\n  - {{number payout}}\n}";
    refused(next_line, &destination(next_line, "", ""), "test/event.json.hbs:3");
}

#[test]
fn a_calculation_in_a_url_or_a_header_of_a_destination_is_a_problem() {
    for text in
        ["{{value}} - {{payout}}", "{{value}}*0.8", "100-{{revenue}}", "{{text value}}/{{text payout}}"]
    {
        refused(
            text,
            &destination("{\"e\": {{json event}}}", &format!("p?v={text}"), ""),
            "test/destination.toml:5",
        );
        refused(text, &destination("{\"e\": {{json event}}}", "", text), "test/destination.toml:6");
    }
    refused(
        "encoded",
        &destination("{\"e\": {{json event}}}", "p?a=1&v={{value}}%2D{{payout}}&b=2", ""),
        "test/destination.toml:5",
    );
}

#[test]
fn what_only_looks_like_a_calculation_in_a_destination_template_stays() {
    let event = "{\"a\": {{json (join event currency separator=\" - \")}}, \"b\": {{number (join \"-\" value)}}, \"c\": [{{number value}}, {{number payout}}], \"d\": \"a - b\", \"g\": {{json (join value currency separator=\" \")}}, \"h\": {{json (join transaction_id value separator=\"-\")}}, \"e\": {{number (param \"x\")}}, \"f\": -1, \"g\": {{number (default value payout)}}}";
    for (query, header) in [
        ("{{value}}/{{payout}}?id={{transaction_id}}-{{value}}", "{{unix now}}-{{event_id}}"),
        ("p?v={{value}}&c={{currency}}-{{value}}", "{{value}} {{currency}}"),
        ("p?range=2026-11&v={{value}}|{{payout}}", "-{{value}}"),
    ] {
        assert_eq!(destination(event, query, header), [], "{query} {header}");
    }
}

#[test]
fn a_calculation_in_an_outgoing_postback_is_a_problem_at_its_line() {
    for (query, grammar) in [
        ("p=#payout#-#revenue#", "#{}#"),
        ("c=#s2#&p=#price#*0.8", "#{}#"),
        ("p={payout}+{amount}", "{{}}"),
        ("p=100-{payout}&c={s2}", "{{}}"),
        ("p={revenue}%20-%20{payout}", "{{}}"),
        ("p=({amount}-{payout})/2", "{{}}"),
        ("p={amount}+-+{payout}", "{{}}"),
    ] {
        refused(query, &postback(query, grammar), "postbridge.toml:4");
    }
    for query in [
        "p={payout}",
        "x={payout}-{tid}",
        "x={tid}-{payout}",
        "x={payout}{currency}",
        "x={s1}-{s2}",
        "d={offer_id}-1",
    ] {
        assert_eq!(postback(query, "{{}}"), [], "{query}");
    }
}

#[test]
fn a_secret_url_that_calculates_is_not_shown() {
    let text = "[[postback]]\nid = \"all\"\nmacro = \"{}\"\nurl = { env = \"URL\" }\n";
    let env = |name: &str| (name == "URL").then(|| "https://aff.example/secret?p={payout}*2".to_owned());
    let found = Config::parse("postbridge.toml", text, &env).err().unwrap();
    refused("URL", &found, "postbridge.toml:4");
    assert!(!found[0].to_string().contains("secret"), "{found:?}");
}
