//! Where one message ends and the next begins: the wire against what was sent, a strict reader, and hyper.

use crate::support::http1_server::{play, play_bare};
use proptest::collection::vec;
use proptest::prelude::*;
use tokio::runtime::{Builder, Runtime};

/// One request as it is written on the wire, and what must be seen of it.
#[derive(Debug, Clone)]
struct Sent {
    target: Vec<u8>,
    body: Vec<u8>,
    bytes: Vec<u8>,
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn written(target: Vec<u8>, headers: &[String], body: Vec<u8>, framing: Option<Vec<usize>>) -> Sent {
    let mut bytes = [b"POST ", &target[..], b" HTTP/1.1\r\nHost: t\r\n"].concat();
    for (number, value) in headers.iter().enumerate() {
        bytes.extend_from_slice(format!("X-{number}: {value}\r\n").as_bytes());
    }
    match framing {
        None if body.is_empty() => bytes.extend_from_slice(b"\r\n"),
        None => {
            bytes.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
            bytes.extend_from_slice(&body);
        }
        Some(sizes) => {
            bytes.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
            let (mut rest, mut sizes) = (&body[..], sizes.into_iter());
            while !rest.is_empty() {
                let (chunk, after) = rest.split_at(sizes.next().unwrap_or(rest.len()).min(rest.len()));
                bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                bytes.extend_from_slice(chunk);
                bytes.extend_from_slice(b"\r\n");
                rest = after;
            }
            bytes.extend_from_slice(b"0\r\n\r\n");
        }
    }
    Sent { target, body, bytes }
}

/// A request whose query holds any of `query`'s bytes and whose body looks like anything, also HTTP.
fn request(query: BoxedStrategy<Vec<u8>>) -> impl Strategy<Value = Sent> {
    let body = prop_oneof![
        vec(any::<u8>(), 0..200),
        Just(b"GET /hidden HTTP/1.1\r\nHost: t\r\n\r\n".to_vec()),
        Just(b"0\r\n\r\nGET /hidden HTTP/1.1\r\nHost: t\r\n\r\n".to_vec()),
        vec(any::<u8>(), 5000..20_000),
    ];
    let framing = prop::option::of(vec(1usize..5000, 0..5));
    ("/[a-z0-9/._~-]{0,20}", query, vec("[ -~]{0,20}", 0..5), body, framing).prop_map(
        |(path, query, headers, body, framing)| {
            let target = [path.as_bytes(), b"?", &query[..]].concat();
            written(target, &headers, body, framing)
        },
    )
}

fn any_query() -> BoxedStrategy<Vec<u8>> {
    let byte = any::<u8>().prop_filter("no newline fits in a line", |b| !matches!(b, b'\r' | b'\n'));
    vec(byte, 0..60).boxed()
}

/// What hyper takes, but for the `#` that it cuts at.
fn plain_query() -> BoxedStrategy<Vec<u8>> {
    "[a-z0-9=&#%{}?]{0,60}".prop_map(String::into_bytes).boxed()
}

/// The same bytes in pieces of these sizes.
fn pieces(bytes: &[u8], sizes: &[usize]) -> Vec<Vec<u8>> {
    let (mut rest, mut pieces) = (bytes, Vec::new());
    for size in sizes {
        let (piece, after) = rest.split_at((*size).min(rest.len()));
        if !piece.is_empty() {
            pieces.push(piece.to_vec());
        }
        rest = after;
    }
    if !rest.is_empty() {
        pieces.push(rest.to_vec());
    }
    pieces
}

/// A strict reader of a whole connection, written from RFC 9112 without a look at the wire: the request
/// lines and bodies up to the first thing it does not like.
fn strictly_read(mut rest: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut read = Vec::new();
    while let Some((line, body, after, last)) = one_message(rest.strip_prefix(b"\r\n").unwrap_or(rest)) {
        read.push((line, body));
        rest = after;
        if last {
            break;
        }
    }
    read
}

type Message<'a> = (Vec<u8>, Vec<u8>, &'a [u8], bool);

fn one_message(bytes: &[u8]) -> Option<Message<'_>> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    // Latin-1 keeps one character for each byte, so the head can be read as text.
    let head: String = bytes[..end].iter().map(|b| char::from(*b)).collect();
    let mut lines = head.split("\r\n");
    let line = lines.next()?;
    let (method, rest) = line.split_once(' ')?;
    let (target, version) = rest.rsplit_once(' ')?;
    let token = |text: &str| {
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c))
    };
    let path = target.split('?').next()?;
    let path_is_plain = path.chars().all(|c| c.is_ascii_graphic() && !"\"#<>`".contains(c));
    let known = token(method) && method != "CONNECT" && ["HTTP/1.0", "HTTP/1.1"].contains(&version);
    if !known || line.contains(['\r', '\n']) || !(target == "*" || target.starts_with('/') && path_is_plain) {
        return None;
    }
    let headers = lines.map(|line| line.split_once(':')).collect::<Option<Vec<_>>>()?;
    let legal = |(name, value): &(&str, &str)| {
        token(name) && value.chars().all(|c| c == '\t' || c >= ' ' && c != '\x7f')
    };
    if !headers.iter().all(legal) {
        return None;
    }
    let all = |wanted: &str| -> Vec<String> {
        let named = headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(wanted));
        named.map(|(_, value)| value.trim_matches([' ', '\t']).to_ascii_lowercase()).collect()
    };
    let hosts = all("host").len();
    if hosts > 1 || (hosts == 0 && version == "HTTP/1.1") {
        return None;
    }
    let after = &bytes[end + 4..];
    let (body, after) = match (&all("content-length")[..], &all("transfer-encoding")[..]) {
        ([], []) => (Vec::new(), after),
        ([length], []) if !length.is_empty() && length.chars().all(|c| c.is_ascii_digit()) => {
            let length = length.parse::<usize>().ok().filter(|length| *length <= 65536)?;
            (after.get(..length)?.to_vec(), &after[length..])
        }
        ([], [coding]) if coding == "chunked" && version == "HTTP/1.1" => dechunked(after)?,
        _ => return None,
    };
    let connection = all("connection").join(",");
    let says = |word: &str| connection.split(',').any(|token| token.trim() == word);
    let last = says("close") || (version == "HTTP/1.0" && !says("keep-alive"));
    let line = line.chars().map(|c| c as u8).collect();
    Some((line, body, after, last))
}

fn dechunked(mut rest: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|two| two == b"\r\n")?;
        let line = std::str::from_utf8(&rest[..end]).ok();
        let line =
            line.map(str::to_owned).unwrap_or_else(|| rest[..end].iter().map(|b| char::from(*b)).collect());
        let (size, extension) = line.split_once(';').unwrap_or((&line, ""));
        let hexadecimal = !size.is_empty() && size.chars().all(|c| c.is_ascii_hexdigit());
        if !hexadecimal || extension.chars().any(|c| c != '\t' && (c < ' ' || c == '\x7f')) {
            return None;
        }
        let size = usize::from_str_radix(size, 16).ok()?;
        rest = &rest[end + 2..];
        if size == 0 {
            break;
        }
        body.extend_from_slice(rest.get(..size)?);
        rest = rest.get(size..)?.strip_prefix(b"\r\n")?;
    }
    loop {
        let end = rest.windows(2).position(|two| two == b"\r\n")?;
        let (line, after) = (&rest[..end], &rest[end + 2..]);
        rest = after;
        if line.is_empty() {
            return Some((body, rest));
        }
        let colon = line.iter().position(|b| *b == b':').filter(|colon| *colon > 0)?;
        let named = line[..colon].iter().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b));
        if !named || line.iter().any(|b| *b != b'\t' && (*b < b' ' || *b == 0x7f)) {
            return None;
        }
    }
}

/// Words that make mutated bytes hit the framing instead of only breaking it.
fn mutation() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        vec(any::<u8>(), 0..3),
        prop::sample::select(vec![
            "\r\n",
            "\n",
            "\r",
            "\r\n\r\n",
            " ",
            "\t",
            ":",
            "0\r\n\r\n",
            "Content-Length: 3\r\n",
            "Transfer-Encoding: chunked\r\n",
            "transfer-encoding:chunked\r\n",
            "Content-Length: 0\r\n",
            "GET / HTTP/1.1\r\nHost: t\r\n\r\n",
            "HTTP/1.0",
            ";a=b",
            "Upgrade: a\r\n",
            "Expect: 100-continue\r\n",
            "Connection: close\r\n",
            "Connection: Upgrade, HTTP2-Settings\r\n",
            "Expect: anything\r\n",
            "?",
            "#",
            "\0",
            "\u{e9}",
            "A: b\r\n c\r\n",
        ])
        .prop_map(|word| word.as_bytes().to_vec()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_sent_is_what_is_seen_in_order(
        sent in vec(request(any_query()), 1..5),
        sizes in vec(1usize..3000, 0..12),
    ) {
        let bytes: Vec<u8> = sent.iter().flat_map(|one| one.bytes.clone()).collect();
        let played = runtime().block_on(play(pieces(&bytes, &sizes)));
        prop_assert_eq!(&played.refusals, &[]);
        prop_assert_eq!(played.seen.len(), sent.len());
        for (seen, sent) in played.seen.iter().zip(&sent) {
            prop_assert_eq!(&seen.target, &sent.target);
            prop_assert_eq!(&seen.body, &sent.body);
            prop_assert_eq!(&seen.handed, &seen.uri);
        }
    }

    #[test]
    fn the_wire_and_hyper_alone_see_the_same_boundaries(
        sent in vec(request(plain_query()), 1..5),
        sizes in vec(1usize..3000, 0..12),
    ) {
        let bytes: Vec<u8> = sent.iter().flat_map(|one| one.bytes.clone()).collect();
        let (played, bare) = runtime().block_on(async {
            (play(pieces(&bytes, &sizes)).await, play_bare(pieces(&bytes, &sizes)).await)
        });
        prop_assert_eq!(played.seen.len(), bare.len());
        for (seen, (uri, body)) in played.seen.iter().zip(&bare) {
            let target = String::from_utf8_lossy(&seen.target).into_owned();
            prop_assert_eq!(target.split('#').next().unwrap(), uri);
            prop_assert_eq!(&seen.body, body);
        }
    }

    #[test]
    fn of_broken_bytes_nothing_is_seen_that_a_strict_reader_and_hyper_do_not_see(
        sent in vec(request(plain_query()), 1..4),
        breaks in vec((any::<prop::sample::Index>(), 0usize..4, mutation()), 1..4),
        sizes in vec(1usize..200, 0..12),
    ) {
        let mut bytes: Vec<u8> = sent.iter().flat_map(|one| one.bytes.clone()).collect();
        for (place, removed, put) in breaks {
            let at = place.index(bytes.len().min(400));
            let end = (at + removed).min(bytes.len());
            bytes.splice(at..end, put);
        }
        let (played, bare) = runtime().block_on(async {
            (play(pieces(&bytes, &sizes)).await, play_bare(pieces(&bytes, &sizes)).await)
        });
        let strict = strictly_read(&bytes);
        prop_assert!(played.seen.len() <= strict.len(), "{:?}", String::from_utf8_lossy(&bytes));
        for (seen, (line, body)) in played.seen.iter().zip(&strict) {
            prop_assert_eq!(&seen.line, line);
            prop_assert_eq!(&seen.body, body);
        }
        // hyper stops at a byte that the wire repairs; up to there both see the same.
        for (seen, (uri, body)) in played.seen.iter().zip(&bare) {
            let target = String::from_utf8_lossy(&seen.target).into_owned();
            prop_assert_eq!(target.split('#').next().unwrap(), uri);
            prop_assert_eq!(&seen.body, body);
        }
    }
}
