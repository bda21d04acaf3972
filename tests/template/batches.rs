//! A request with several events: what its answer says of each of them, and what `[batch]` may not say.

use std::collections::BTreeMap;
use std::sync::Arc;

use postbridge::domain::delivery::{PlatformResponse, Reply, ReplyVerdict};
use postbridge::domain::exchange::NoAnswer;
use postbridge::template::destination::batch::BatchVerdict;
use postbridge::template::destination::definition::DestinationTemplate;
use postbridge::template::destination::ready::ReadyDestination;

use crate::support::payload_fixture::{ready, time};

fn parse(batch: &str, rules: &str) -> Result<DestinationTemplate, Vec<String>> {
    let toml = format!(
        "label = \"Test\"\n[events]\nPurchase = \"buy\"\n[request]\nurl = \"https://ads.example/\"\n{batch}\n[reply]\n{rules}"
    );
    let files = [
        ("destination.toml", toml.as_str()),
        ("event.json.hbs", "{\"e\": {{json event}}}"),
        ("envelope.json.hbs", "{\"data\": {{events}}}"),
    ];
    let files: BTreeMap<_, _> =
        files.into_iter().map(|(name, text)| (name.to_owned(), text.to_owned())).collect();
    let shown = |problem: &postbridge::template::diagnostic::Problem| {
        format!("{}: {} | {}", problem.at, problem.what, problem.hint)
    };
    DestinationTemplate::parse("test", "test", &files).map_err(|found| found.iter().map(shown).collect())
}

fn of(batch: &str) -> ReadyDestination {
    ready(Arc::new(parse(batch, "").unwrap()), &[])
}

fn answer(status: u16, body: &str) -> Reply {
    Reply::Answer(PlatformResponse {
        status,
        headers: Vec::new(),
        body: body.as_bytes().to_vec(),
        truncated: false,
    })
}

/// A letter for each event: Confirmed, dUplicate, cOunted, unVerified; Dead, Retry, Park; `?` where nothing is said, and
/// `!` behind them where the platform may have taken those.
fn letters(verdict: &BatchVerdict) -> String {
    let letter = |verdict: &ReplyVerdict| match verdict {
        ReplyVerdict::Delivered { confirmation, .. } => match confirmation.as_str() {
            "confirmed" => 'C',
            "duplicate" => 'U',
            "counted" => 'O',
            _ => 'V',
        },
        ReplyVerdict::Dead { .. } => 'D',
        ReplyVerdict::Retry { .. } => 'R',
        ReplyVerdict::Park { .. } => 'P',
        ReplyVerdict::Skipped { .. } => 'S',
    };
    let mut all: String = verdict
        .events
        .iter()
        .map(|event| event.as_ref().map_or('?', |event| letter(&event.verdict)))
        .collect();
    if verdict.may_be_taken {
        all.push('!');
    }
    all
}

fn said(destination: &ReadyDestination, status: u16, body: &str, sent: usize) -> String {
    letters(&destination.classify_batch(&answer(status, body), sent, time("2026-09-21T14:20:00Z")))
}

const SPARSE: &str = "[batch]\nmax = 100\nverdict = \"each\"\naccepted = \"/ok\"\n\
                      rows = { at = \"/partialErrors\", index = \"Index\", reason = [{ at = \"/Message\" }] }";

#[test]
fn of_each_event_the_answer_says_what_became_of_it_and_the_rest_is_what_it_counts() {
    let destination = of(SPARSE);
    for (status, body, sent, expected) in [
        (200, r#"{"ok":3}"#, 3, "CCC"),
        (200, r#"{"ok":2,"partialErrors":[{"Index":1,"Message":"bad"}]}"#, 3, "CDC"),
        (200, r#"{"ok":2,"partialErrors":[{"Index":"1"}]}"#, 3, "CDC"),
        (200, r#"{"ok":2,"partialErrors":[{"Index":1},{"Index":1}]}"#, 3, "CDC"),
        (200, r#"{"ok":0,"partialErrors":[{"Index":2},{"Index":1},{"Index":0}]}"#, 3, "DDD"),
        // What it counts and what it names do not add up: nothing is known.
        (200, r#"{"ok":2}"#, 3, "???!"),
        (200, r#"{"ok":3,"partialErrors":[{"Index":1}]}"#, 3, "???!"),
        (200, r#"{"ok":2,"partialErrors":[{"Index":3}]}"#, 3, "???!"),
        (200, r#"{"ok":2,"partialErrors":[{"Index":-1}]}"#, 3, "???!"),
        (200, r#"{"ok":2,"partialErrors":[{"Index":"one"}]}"#, 3, "???!"),
        (200, r#"{"ok":0}"#, 3, "???"),
        (200, "{}", 3, "???!"),
        (200, "no JSON", 3, "???!"),
        // A row that names no event is about the request.
        (200, r#"{"ok":3,"partialErrors":[{"Message":"slow"}]}"#, 3, "CCC"),
        // The whole request is refused.
        (400, r#"{"error":"x"}"#, 3, "???"),
        (400, r#"{"partialErrors":[{"Index":1}]}"#, 3, "?D?!"),
        (400, "<html>", 3, "???"),
        (200, "", 3, "???!"),
        (400, r#"{"ok":2,"partialErrors":[{"Index":1}]}"#, 3, "CDC"),
        (400, r#"{"ok":1,"partialErrors":[{"Index":1}]}"#, 3, "???!"),
        (413, r#"{"ok":2,"partialErrors":[{"Index":1}]}"#, 3, "???"),
        (401, r#"{"partialErrors":[{"Index":1}]}"#, 3, "PPP"),
        (429, "", 3, "RRR"),
        (500, r#"{"ok":2,"partialErrors":[{"Index":1}]}"#, 3, "RRR"),
        (302, "", 3, "DDD"),
        // Of a single event something is always said.
        (200, r#"{"ok":1}"#, 1, "C"),
        (200, r#"{"ok":0}"#, 1, "D"),
        (200, r#"{"ok":0,"partialErrors":[{"Index":0}]}"#, 1, "D"),
        (200, r#"{"ok":1,"partialErrors":[{"Index":1}]}"#, 1, "D"),
        // Nothing in the answer is about it: only the status says that it was taken.
        (200, "{}", 1, "V"),
        (200, "<html>", 1, "V"),
        (400, "", 1, "D"),
        (413, "", 1, "D"),
    ] {
        assert_eq!(said(&destination, status, body, sent), expected, "{status} {body} for {sent}");
    }
}

#[test]
fn without_an_answer_all_events_are_tried_again() {
    let reply = Reply::Failed(NoAnswer::Timeout { after_ms: 100 });
    let verdict = of(SPARSE).classify_batch(&reply, 3, time("2026-09-21T14:20:00Z"));
    assert_eq!(letters(&verdict), "RRR");
}

#[test]
fn a_row_is_read_by_its_own_rules_and_says_its_own_reason() {
    let batch = format!(
        "{SPARSE}\n[[batch.row]]\njson = [{{ at = \"/Code\", equals = \"DUPLICATE\" }}]\nthen = \"duplicate\"\n\
         [[batch.row]]\njson = [{{ at = \"/Code\", equals = \"BUSY\" }}]\nthen = \"retry\"\nafter_seconds = 60\n\
         [[batch.row]]\nthen = \"dead\"\nwhy = \"the row is refused\"\n"
    );
    let destination = of(&batch);
    let body = r#"{"ok":2,"partialErrors":[{"Index":0,"Code":"DUPLICATE"},{"Index":1,"Code":"BUSY","Message":"later"},
                  {"Index":2,"Code":"BAD","Message":"no value"}]}"#;
    let verdict = destination.classify_batch(&answer(200, body), 4, time("2026-09-21T14:20:00Z"));
    assert_eq!(letters(&verdict), "URDC");
    let shown = format!("{:?}", verdict.events);
    for part in ["no value", "the row is refused", "later", "after_ms: Some(60000)"] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    assert!(!format!("{:?}", verdict.events[0]).contains("no value"), "each says its own");
}

#[test]
fn a_row_names_its_event_by_a_pattern_by_its_key_or_by_its_place() {
    let each = "[batch]\nmax = 100\nverdict = \"each\"\ncomplete = true\n";
    let of_place = "[[batch.row]]\njson = [{ at = \"/status\", equals = \"processed\" }]\nthen = \"delivered\"\n\
                    warnings = \"/warning\"\n[[batch.row]]\nthen = \"dead\"\n";
    for (rows, body, expected) in [
        (
            "rows = { at = \"/error/details/*/field\", pattern = 'events\\[(\\d+)\\]' }",
            r#"{"error":{"details":[{"field":"events[2].value"},{"field":"events[0].id"}]}}"#,
            "DCD",
        ),
        (
            "rows = { at = \"/error/details/*/field\", pattern = 'row (\\d+)', first = 1 }",
            r#"{"error":{"details":[{"field":"row 3"},{"field":"row 1"}]}}"#,
            "DCD",
        ),
        (
            "rows = { at = \"/message\", pattern = '#(\\d+)' }",
            r##"{"message":"#0 and #2 are refused"}"##,
            "DCD",
        ),
        ("rows = { at = \"/errors\", pattern = '^(\\d+):' }", r#"{"errors":["1: bad"]}"#, "CDC"),
        ("rows = { at = \"/errors/*\" }", r#"{"errors":{"0":"bad","2":"worse"}}"#, "DCD"),
        ("rows = { at = \"/errors/*\" }", r#"{"errors":{"0":"bad"}}"#, "DCC"),
        ("rows = { at = \"/errors/*\", first = 1 }", r#"{"errors":{"1":"bad","3":"worse"}}"#, "DCD"),
        ("rows = { at = \"/errors/*\" }", r#"{"errors":{"7":"bad"}}"#, "???!"),
        // Rows that name no event leave it open, although all that fail are named.
        ("rows = { at = \"/e\", index = \"i\" }", r#"{"e":[{"i":0},{"message":"all failed"}]}"#, "???!"),
        ("rows = { at = \"/e\", index = \"i\" }", "", "???!"),
        ("rows = { at = \"/e\", index = \"i\" }", r#"{"e":[null,{"i":1}]}"#, "CDC"),
        ("rows = { at = \"/errors/*\" }", r#"{"errors":{"0":null,"2":"worse"}}"#, "CCD"),
        ("rows = { at = \"\", index = \"event\" }", r#"{"event":1,"reason":"bad"}"#, "CDC"),
        ("rows = { at = \"/a~1b\", index = \"/at/index\" }", r#"{"a/b":[{"at":{"index":0}}]}"#, "DCC"),
    ] {
        assert_eq!(said(&of(&format!("{each}{rows}")), 200, body, 3), expected, "{rows} {body}");
    }
    let by_place = of(&format!("{each}rows = {{ at = \"/events\" }}\n{of_place}"));
    let processed = r#"{"status":"processed","warning":"old"}"#;
    for (status, events, expected) in [
        (200, format!("[{processed},{{\"status\":\"failed\"}},{processed}]"), "CDC"),
        (422, format!("[{processed},{{\"status\":\"failed\"}},{processed}]"), "CDC"),
        // Which one has no row no one could say.
        (200, format!("[{processed},{{\"status\":\"failed\"}}]"), "???!"),
        (200, format!("[{processed},{processed},{processed},{processed}]"), "???!"),
        (422, "[]".to_owned(), "???"),
        (200, "[null,{\"status\":\"failed\"},null]".to_owned(), "CDC"),
    ] {
        assert_eq!(said(&by_place, status, &format!("{{\"events\":{events}}}"), 3), expected, "{events}");
    }
    let body = format!("{{\"events\":[{processed}]}}");
    let verdict = by_place.classify_batch(&answer(200, &body), 1, time("2026-09-21T14:20:00Z"));
    assert!(format!("{verdict:?}").contains("old"), "its own warning is kept: {verdict:?}");
}

#[test]
fn where_a_request_is_taken_whole_or_not_at_all_its_events_are_known_only_when_it_is_taken() {
    let all = of("[batch]\nmax = 100\nverdict = \"all\"\n");
    for (status, body, sent, expected) in [
        (200, "{}", 3, "CCC"),
        (400, "{}", 3, "???"),
        (413, "", 3, "???"),
        (400, "{}", 1, "D"),
        (401, "", 3, "PPP"),
        (429, "", 3, "RRR"),
        (503, "", 3, "RRR"),
    ] {
        assert_eq!(said(&all, status, body, sent), expected, "{status} for {sent}");
    }
    let named = of("[batch]\nmax = 100\nverdict = \"all\"\nrows = { at = \"/bad\", index = \"i\" }\n");
    assert_eq!(said(&named, 400, r#"{"bad":[{"i":1}]}"#, 3), "?D?", "the others were not taken");
    assert_eq!(said(&named, 400, r#"{"bad":[{"i":5}]}"#, 3), "???");
    let strict = ready(Arc::new(parse("[batch]\nmax = 100\n", "[[reply.rule]]\nstatus = [401, 403, 429, 503]\nthen = \"dead\"\n[[reply.rule]]\nstatus = [413]\nthen = \"retry\"\n[[reply.rule]]\nstatus = [200]\ntext = \"bad\"\nthen = \"dead\"\n").unwrap()), &[]);
    for (status, body, expected) in [
        (401, "", "DDD"),
        (403, "", "DDD"),
        (429, "", "DDD"),
        (503, "", "DDD"),
        (413, "", "???"),
        (200, "bad", "???!"),
    ] {
        assert_eq!(said(&strict, status, body, 3), expected, "{status}");
    }
    assert_eq!(said(&named, 400, r#"{"bad":[{"i":0}]}"#, 1), "D");
    let counted = of("[batch]\nmax = 100\nverdict = \"count\"\n");
    assert_eq!(said(&counted, 200, "", 3), "OOO");
    assert_eq!(said(&counted, 400, "", 3), "???");
}

#[test]
fn an_answer_that_counts_fewer_than_were_sent_is_believed_of_none_of_them() {
    let by_number = of("[batch]\nmax = 100\naccepted = \"/n\"\n");
    let in_text = "[batch]\nmax = 100\naccepted = { at = \"/said\", pattern = '(\\d+) events?' }\n";
    let in_text = of(in_text);
    for (count, sent, expected) in
        [(3, 3, "CCC"), (2, 3, "???!"), (0, 3, "???"), (4, 3, "CCC"), (1, 1, "C"), (0, 1, "D")]
    {
        let number = format!(r#"{{"n": {count}}}"#);
        assert_eq!(said(&by_number, 200, &number, sent), expected, "{count} of {sent}");
        let text = format!(r#"{{"said": "of 9: took {count} events"}}"#);
        assert_eq!(said(&in_text, 200, &text, sent), expected, "{count} of {sent} in a text");
    }
    // Where nothing is counted the rules decide of one event, and of several nothing does.
    for body in ["{}", "no JSON", r#"{"said": 2}"#, r#"{"said": "took events"}"#] {
        assert_eq!(said(&in_text, 200, body, 1), "C", "{body}");
        assert_eq!(said(&in_text, 200, body, 3), "???!", "{body}");
    }
    let again = "[[reply.rule]]\nstatus = [200]\njson = [{ at = \"/n\", equals_sent = true }]\nthen = \"delivered\"\n\
        [[reply.rule]]\nstatus = [200]\nthen = \"retry\"\n";
    let again = ready(Arc::new(parse("[batch]\nmax = 100\naccepted = \"/n\"\n", again).unwrap()), &[]);
    for (body, sent, expected) in [
        ("{\"n\":3}", 3, "CCC"),
        ("{\"n\":2}", 3, "???!"),
        ("{\"n\":0}", 3, "RRR"),
        ("{}", 3, "RRR"),
        ("{\"n\":0}", 1, "R"),
    ] {
        assert_eq!(said(&again, 200, body, sent), expected, "{body} of {sent} where fewer is tried again");
    }
    let refused = "[[reply.rule]]\nstatus = [200]\ntext = \"took 0\"\nthen = \"dead\"\n";
    let batch = "[batch]\nmax = 100\naccepted = { at = \"/said\", pattern = '(\\d+) events?' }\n";
    let refused = ready(Arc::new(parse(batch, refused).unwrap()), &[]);
    assert_eq!(said(&refused, 200, r#"{"said": "took 0 events"}"#, 3), "???", "it took none of them");
    let each = SPARSE.replace("accepted = \"/ok\"", "accepted = { at = \"/ok\", pattern = 'took (\\d+)' }");
    let taken = r#"{"ok":"took 2","partialErrors":[{"Index":1,"Message":"bad"}]}"#;
    assert_eq!(said(&of(&each), 200, taken, 3), "CDC");
}

#[test]
fn a_rule_reads_text_says_when_to_come_again_and_what_to_keep() {
    let rules = "confirmation = \"unverified\"\n\
        [[reply.rule]]\nstatus = [200]\ntext = \"Already Known\"\nthen = \"duplicate\"\n\
        [[reply.rule]]\nstatus = [200]\ntext_not = \"ok\"\nthen = \"dead\"\n\
        [[reply.rule]]\nstatus = [409]\nthen = \"retry\"\nafter_seconds = 21600\n\
        [[reply.rule]]\nstatus = [429]\nthen = \"retry\"\nhold = true\nretry_at = { header = \"X-Reset\", unit = \"s\" }\n\
        [[reply.rule]]\nstatus = [201]\nthen = \"delivered\"\nkeep = { id = \"/id\", gone = \"/gone\" }\n";
    let destination = ready(Arc::new(parse("", rules).unwrap()), &[]);
    assert_eq!(said(&destination, 200, "OK", 1), "V");
    assert_eq!(said(&destination, 200, "event ALREADY known", 1), "U");
    assert_eq!(said(&destination, 200, "ERROR: tag is invalid", 1), "D");
    let now = time("2026-09-21T14:20:00Z");
    let classify = |reply: &Reply| destination.classify_batch(reply, 1, now);
    let ReplyVerdict::Retry { after_ms, hold_ms, .. } = classify(&answer(409, "")).request else { panic!() };
    assert_eq!((after_ms, hold_ms), (Some(21_600_000), None));
    let reset = (now.as_seconds() + 90).to_string();
    let mut limited = answer(429, "");
    if let Reply::Answer(answer) = &mut limited {
        answer.headers.push(("x-reset".to_owned(), reset));
    }
    let ReplyVerdict::Retry { after_ms, hold_ms, .. } = classify(&limited).request else { panic!() };
    assert_eq!((after_ms, hold_ms), (Some(90_000), Some(90_000)));
    let kept = classify(&answer(201, "{\"id\": 17}")).events.remove(0).unwrap().kept;
    assert_eq!(kept, [("id".to_owned(), "17".to_owned())]);
}

#[test]
fn what_a_batch_cannot_be_is_a_mistake_with_its_line() {
    for (batch, part) in [
        ("[batch]\nmax = 0\n", "max"),
        ("[batch]\nmax = 10\nusual = 11\n", "`usual` is above `max`"),
        ("[batch]\nmax = 10\nverdict = \"each\"\n", "needs `rows`"),
        (
            "[batch]\nmax = 10\nverdict = \"each\"\nrows = { at = \"/e\", index = \"i\" }\n",
            "nothing shows that every event is named",
        ),
        ("[batch]\nmax = 10\nrows = { at = \"e\", index = \"i\" }\n", "not a JSON pointer"),
        ("[batch]\nmax = 10\nrows = { at = \"/e\", pattern = '(\\d' }\n", "is no pattern"),
        ("[batch]\nmax = 10\nrows = { at = \"/e\", pattern = '\\d+' }\n", "has not one group"),
        ("[batch]\nmax = 10\nrows = { at = \"/e\", index = \"i\", pattern = '(\\d)' }\n", "take one out"),
        ("[batch]\nmax = 10\n[[batch.row]]\nthen = \"dead\"\n", "rules for rows, and no `rows`"),
        (
            "[batch]\nmax = 10\nrows = { at = \"/e\" }\n[[batch.row]]\nthen = \"park\"\n",
            "cannot park the destination",
        ),
        ("[batch]\nmax_wait_ms = 600000\n", "max_wait_ms"),
        ("[batch]\nmax = 10\nverdict = \"count\"\naccepted = \"/n\"\n", "`accepted` is looked at"),
        ("[batch]\nmax = 10\naccepted = \"n\"\n", "not a JSON pointer"),
        ("[batch]\nmax = 10\naccepted = { pattern = '(\\d+)' }\n", "`at`"),
        ("[batch]\nmax = 10\naccepted = { at = \"/n\", pattern = '\\d+' }\n", "has not one group"),
        ("[batch]\nmax = 10\naccepted = { at = \"/n\", patterns = '(\\d+)' }\n", "did you mean `pattern`?"),
        ("[batch]\nmax = 10\naccepted = 3\n", "accepted"),
        (
            "[batch]\nmax = 10\nrows = { at = \"/e\" }\n[[batch.row]]\nstatus = [422]\nthen = \"dead\"\n",
            "unknown key `status`",
        ),
        ("[rate]\ncounts = \"bytes\"\n", "counts"),
        ("dedup = 3\n", "dedup"),
    ] {
        let problems = parse(batch, "").err().unwrap_or_default();
        assert!(problems.iter().any(|problem| problem.contains(part)), "{batch}: {problems:?}");
        assert!(problems.iter().all(|problem| problem.contains("destination.toml:")), "{problems:?}");
    }
    for (rule, part) in [
        ("then = \"dead\"\nafter_seconds = 5\n", "take `after_seconds` out"),
        ("then = \"dead\"\nretry_at = { header = \"x\" }\n", "take `retry_at` out"),
        ("then = \"retry\"\nkeep = { a = \"/a\" }\n", "take `keep` out"),
        ("then = \"delivered\"\nkeep = { a = \"a\" }\n", "not a JSON pointer"),
    ] {
        let problems = parse("", &format!("[[reply.rule]]\n{rule}")).err().unwrap_or_default();
        assert!(problems.iter().any(|problem| problem.contains(part)), "{rule}: {problems:?}");
    }
    let files = [
        ("destination.toml", "label = \"T\"\n[request]\nurl = \"https://ads.example/\"\n[batch]\nmax = 2\n"),
        ("event.json.hbs", "{\"e\": {{json event}}}"),
    ];
    let files = files.map(|(name, text)| (name.to_owned(), text.to_owned())).into_iter().collect();
    let problems = DestinationTemplate::parse("test", "test", &files).err().unwrap_or_default();
    assert!(problems.iter().any(|problem| problem.what.contains("no envelope.json.hbs")), "{problems:?}");
}
