//! The pages' own template engine: HTML escaping on, strict, compiled once. And how a page leaves. Its helpers are
//! for pages alone; those of destination templates are in `template/destination/helpers`.

use std::sync::LazyLock;

use data_encoding::HEXLOWER;
use handlebars::{
    Context, Handlebars, Helper, HelperDef, HelperResult, Output, RenderContext, RenderError, html_escape,
};
use http::{HeaderValue, StatusCode, header};
use include_dir::{Dir, include_dir};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tracing::error;

use crate::domain::time::Time;
use crate::web::answer::{self, Answer};
use crate::web::pages::advice;

/// Every template, by its file's name. A page names one of them; the rest are parts.
static TEMPLATES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/templates/pages");

const STYLE: &str = include_str!("../../../templates/pages/pages.css");

/// The stylesheet's path. It names the content, so that a browser may keep it permanently.
pub static STYLE_PATH: LazyLock<String> = LazyLock::new(|| {
    let digest = HEXLOWER.encode(&Sha256::digest(STYLE.as_bytes()));
    format!("/pages-{digest:.16}.css")
});

static ENGINE: LazyLock<Result<Handlebars<'static>, String>> = LazyLock::new(compile);

fn compile() -> Result<Handlebars<'static>, String> {
    let mut engine = Handlebars::new();
    engine.set_strict_mode(true);
    engine.register_escape_fn(html_escape);
    engine.register_helper("badge", Box::new(HtmlHelper(badge)));
    engine.register_helper("time", Box::new(HtmlHelper(time)));
    engine.register_helper("distance", Box::new(HtmlHelper(distance)));
    engine.register_helper("words", Box::new(HtmlHelper(words)));
    engine.register_helper("sentence", Box::new(HtmlHelper(sentence)));
    engine.register_helper("money", Box::new(HtmlHelper(money)));
    engine.register_helper("pretty", Box::new(HtmlHelper(pretty)));
    let files = TEMPLATES.files().filter_map(|file| Some((file.path().to_str()?, file.contents_utf8()?)));
    for (file, text) in files {
        let Some(name) = file.strip_suffix(".hbs") else { continue };
        engine.register_template_string(name, text).map_err(|error| format!("{name}: {error}"))?;
    }
    Ok(engine)
}

/// A page: the named template over `data`.
pub fn page(status: StatusCode, template: &str, data: &Value) -> Answer {
    let rendered = match &*ENGINE {
        Ok(engine) => engine.render(template, data).map_err(|error: RenderError| error.to_string()),
        Err(error) => Err(error.clone()),
    };
    match rendered {
        Ok(html) => guarded(answer::body(status, "text/html; charset=utf-8", html)),
        Err(error) => {
            // The error names template and line; the data stays out of the log.
            error!(template, %error, "a page could not be made");
            guarded(answer::text(StatusCode::INTERNAL_SERVER_ERROR, "this page could not be made\n"))
        }
    }
}

/// The stylesheet, permanently.
pub fn style() -> Answer {
    let mut style = guarded(answer::body(StatusCode::OK, "text/css; charset=utf-8", STYLE));
    let forever = HeaderValue::from_static("public, max-age=31536000, immutable");
    style.headers_mut().insert(header::CACHE_CONTROL, forever);
    style
}

/// Leads on to another page of ours, by GET.
pub fn redirect(path: &str) -> Answer {
    let mut answer = guarded(answer::text(StatusCode::SEE_OTHER, ""));
    let to = HeaderValue::from_str(path).unwrap_or(HeaderValue::from_static("/conversions"));
    answer.headers_mut().insert(header::LOCATION, to);
    answer
}

const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; \
                      frame-ancestors 'none'; base-uri 'none'";

/// What every answer of the pages carries: nothing runs, nothing frames it, nothing keeps it.
fn guarded(mut answer: Answer) -> Answer {
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    answer
}

/// How a state looks: its tone, and the shape that says the same without color.
fn look(word: &str) -> (&'static str, &'static str) {
    match word {
        "accepted" | "delivered" | "approved" | "matched" | "live" | "sending" | "taken" | "active"
        | "passed" | "added" | "removed" | "done" => ("good", "check"),
        "updated" => ("info", "loop"),
        "test" | "shadow" => ("info", "info"),
        "held" | "off" | "paused" | "on hold" => ("wait", "pause"),
        "waiting" | "confirming" | "pending" | "retry" | "working" | "sent" => ("wait", "clock"),
        "unmatched" | "quarantined" | "parked" | "park" | "marked" | "expired" | "incomplete" => {
            ("warn", "alert")
        }
        "dead" | "refused" | "rejected" | "broken" | "blocked" => ("bad", "cross"),
        "duplicate" | "already there" => ("mute", "copies"),
        "skipped" | "ignored" | "scrubbed" | "not there" | "head" | "prefetch" | "preview" => {
            ("mute", "dash")
        }
        _ => ("mute", "info"),
    }
}

/// A helper that writes the HTML that a function makes of its one parameter and the page's data.
struct HtmlHelper(fn(&Value, &Value) -> String);

impl HelperDef for HtmlHelper {
    fn call<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        page: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
        out: &mut dyn Output,
    ) -> HelperResult {
        let param = helper.param(0).map_or(&Value::Null, |param| param.value());
        out.write(&(self.0)(param, page.data()))?;
        Ok(())
    }
}

/// `{{badge state}}`: the word with its shape and tone; of a code like `on_hold` its words.
fn badge(state: &Value, _: &Value) -> String {
    let word = state.as_str().unwrap_or("unknown").replace('_', " ");
    let (tone, shape) = look(&word);
    let word = html_escape(&word);
    format!(
        "<span class=\"badge {tone}\"><svg class=\"icon\" aria-hidden=\"true\"><use href=\"#i-{shape}\"/></svg>{word}</span>"
    )
}

/// `{{time at}}`: an RFC 3339 time in UTC for people, to the second, and whole for machines.
fn time(at: &Value, _: &Value) -> String {
    let Some(stamp) = at.as_str() else { return "—".to_owned() };
    let plain = stamp.split('.').next().unwrap_or(stamp).trim_end_matches('Z').replace('T', " ");
    let (stamp, plain) = (html_escape(stamp), html_escape(&plain));
    format!("<time datetime=\"{stamp}\" title=\"{stamp}\">{plain} <small>UTC</small></time>")
}

/// `{{distance at}}`: how long ago, or how soon, counted from the time at which the page is made.
fn distance(at: &Value, page: &Value) -> String {
    let time = |value: &Value| value.as_str().and_then(Time::parse);
    let now = page.pointer("/layout/now").and_then(time);
    time(at).zip(now).map(|(at, now)| advice::distance(at, now)).unwrap_or_default()
}

/// `{{money value}}`: an amount with its currency; nothing where there is none.
fn money(value: &Value, _: &Value) -> String {
    let member = |name: &str| value.get(name)?.as_str();
    let whole = member("amount").zip(member("currency"));
    whole.map(|(amount, currency)| html_escape(&format!("{amount} {currency}"))).unwrap_or_default()
}

/// `{{pretty body}}`: JSON, or a text that is JSON, with its members on lines of their own; any other text as
/// it is.
fn pretty(body: &Value, _: &Value) -> String {
    let text = body.as_str().unwrap_or_default();
    let is_nested = text.trim_start().starts_with(['{', '[']);
    let parsed = is_nested.then(|| serde_json::from_str::<Value>(text).ok()).flatten();
    html_escape(&match (body, &parsed) {
        (Value::String(_), None) => text.to_owned(),
        (Value::String(_), Some(json)) | (json, _) => format!("{json:#}"),
    })
}

/// `{{words reason}}`: a sentence, what is between backticks set as code.
fn words(reason: &Value, _: &Value) -> String {
    let mut rest = reason.as_str().unwrap_or_default();
    let mut html = String::new();
    while let Some((before, quoted, after)) = quotation(rest) {
        html += &format!("{}<code>{}</code>", html_escape(before), html_escape(quoted));
        rest = after;
    }
    html + &html_escape(rest)
}

/// `{{sentence hint}}`: the same of a hint, as a sentence of its own.
fn sentence(hint: &Value, page: &Value) -> String {
    words(&advice::sentence(hint.as_str().unwrap_or_default()).into(), page)
}

/// The text before the first pair of backticks, between them, and behind.
fn quotation(text: &str) -> Option<(&str, &str, &str)> {
    let (before, behind) = text.split_once('`')?;
    let (quoted, after) = behind.split_once('`')?;
    Some((before, quoted, after))
}
