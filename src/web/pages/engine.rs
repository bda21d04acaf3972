//! The pages' own template engine: HTML escaping on, strict, compiled once. And how a page leaves. Its helpers are
//! for pages alone; those of destination templates are in `template/destination/helpers`.

use std::sync::LazyLock;

use data_encoding::HEXLOWER;
use handlebars::{
    Context, Handlebars, Helper, HelperResult, Output, RenderContext, RenderError, html_escape,
};
use http::{HeaderValue, StatusCode, header};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tracing::error;

use crate::domain::time::Time;
use crate::web::answer::{self, Answer};
use crate::web::pages::advice;

/// Every template by its name. A page names one of them; the rest are parts.
const TEMPLATES: [(&str, &str); 35] = [
    ("layout", include_str!("../../../templates/pages/layout.hbs")),
    ("icons", include_str!("../../../templates/pages/icons.hbs")),
    ("sign-in", include_str!("../../../templates/pages/sign-in.hbs")),
    ("message", include_str!("../../../templates/pages/message.hbs")),
    ("notices", include_str!("../../../templates/pages/notices.hbs")),
    ("conversions", include_str!("../../../templates/pages/conversions.hbs")),
    ("conversion", include_str!("../../../templates/pages/conversion.hbs")),
    ("quarantine", include_str!("../../../templates/pages/quarantine.hbs")),
    ("deliveries", include_str!("../../../templates/pages/deliveries.hbs")),
    ("clicks", include_str!("../../../templates/pages/clicks.hbs")),
    ("click", include_str!("../../../templates/pages/click.hbs")),
    ("click-facts", include_str!("../../../templates/pages/click-facts.hbs")),
    ("sale-lines", include_str!("../../../templates/pages/sale-lines.hbs")),
    ("partners", include_str!("../../../templates/pages/partners.hbs")),
    ("status-form", include_str!("../../../templates/pages/status-form.hbs")),
    ("offers", include_str!("../../../templates/pages/offers.hbs")),
    ("offer", include_str!("../../../templates/pages/offer.hbs")),
    ("campaigns", include_str!("../../../templates/pages/campaigns.hbs")),
    ("campaign-card", include_str!("../../../templates/pages/campaign-card.hbs")),
    ("generate-link", include_str!("../../../templates/pages/generate-link.hbs")),
    ("tag", include_str!("../../../templates/pages/tag.hbs")),
    ("lists", include_str!("../../../templates/pages/lists.hbs")),
    ("list", include_str!("../../../templates/pages/list.hbs")),
    ("import", include_str!("../../../templates/pages/import.hbs")),
    ("entries-form", include_str!("../../../templates/pages/entries-form.hbs")),
    ("sources", include_str!("../../../templates/pages/sources.hbs")),
    ("preview", include_str!("../../../templates/pages/preview.hbs")),
    ("clock", include_str!("../../../templates/pages/clock.hbs")),
    ("destinations", include_str!("../../../templates/pages/destinations.hbs")),
    ("raw", include_str!("../../../templates/pages/raw.hbs")),
    ("mapping", include_str!("../../../templates/pages/mapping.hbs")),
    ("pairs", include_str!("../../../templates/pages/pairs.hbs")),
    ("exchange", include_str!("../../../templates/pages/exchange.hbs")),
    ("fault", include_str!("../../../templates/pages/fault.hbs")),
    ("older", include_str!("../../../templates/pages/older.hbs")),
];

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
    engine.register_helper("badge", Box::new(badge));
    engine.register_helper("time", Box::new(time));
    engine.register_helper("distance", Box::new(distance));
    engine.register_helper("words", Box::new(words));
    engine.register_helper("money", Box::new(money));
    engine.register_helper("pretty", Box::new(pretty));
    for (name, text) in TEMPLATES {
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
        | "passed" | "added" | "removed" => ("good", "check"),
        "updated" => ("info", "loop"),
        "test" | "shadow" => ("info", "info"),
        "held" | "off" | "paused" | "on hold" => ("wait", "pause"),
        "waiting" | "pending" | "retry" => ("wait", "clock"),
        "unmatched" | "quarantined" | "parked" | "park" | "marked" | "expired" => ("warn", "alert"),
        "dead" | "refused" | "rejected" | "broken" | "blocked" => ("bad", "cross"),
        "duplicate" | "already there" => ("mute", "copies"),
        "skipped" | "scrubbed" | "not there" | "head" | "prefetch" | "preview" => ("mute", "dash"),
        _ => ("mute", "info"),
    }
}

fn text<'a>(helper: &'a Helper<'_>) -> Option<&'a str> {
    helper.param(0).and_then(|param| param.value().as_str())
}

/// `{{badge state}}`: the word with its shape and tone; of a code like `on_hold` its words.
fn badge(
    helper: &Helper<'_>,
    _: &Handlebars<'_>,
    _: &Context,
    _: &mut RenderContext<'_, '_>,
    out: &mut dyn Output,
) -> HelperResult {
    let word = text(helper).unwrap_or("unknown").replace('_', " ");
    let (tone, shape) = look(&word);
    out.write(&format!(
        "<span class=\"badge {tone}\"><svg class=\"icon\" aria-hidden=\"true\"><use href=\"#i-{shape}\"/></svg>{}</span>",
        html_escape(&word)
    ))?;
    Ok(())
}

/// `{{time at}}`: an RFC 3339 time in UTC for people, to the second, and whole for machines.
fn time(
    helper: &Helper<'_>,
    _: &Handlebars<'_>,
    _: &Context,
    _: &mut RenderContext<'_, '_>,
    out: &mut dyn Output,
) -> HelperResult {
    let Some(stamp) = text(helper) else {
        out.write("—")?;
        return Ok(());
    };
    let plain = stamp.split('.').next().unwrap_or(stamp).trim_end_matches('Z').replace('T', " ");
    let (stamp, plain) = (html_escape(stamp), html_escape(&plain));
    out.write(&format!("<time datetime=\"{stamp}\" title=\"{stamp}\">{plain} <small>UTC</small></time>"))?;
    Ok(())
}

/// `{{distance at}}`: how long ago, or how soon, counted from the time at which the page is made.
fn distance(
    helper: &Helper<'_>,
    _: &Handlebars<'_>,
    page: &Context,
    _: &mut RenderContext<'_, '_>,
    out: &mut dyn Output,
) -> HelperResult {
    let now = page.data().pointer("/layout/now").and_then(Value::as_str).and_then(Time::parse);
    if let (Some(at), Some(now)) = (text(helper).and_then(Time::parse), now) {
        out.write(&advice::distance(at, now))?;
    }
    Ok(())
}

/// `{{money value}}`: an amount with its currency; nothing where there is none.
fn money(
    helper: &Helper<'_>,
    _: &Handlebars<'_>,
    _: &Context,
    _: &mut RenderContext<'_, '_>,
    out: &mut dyn Output,
) -> HelperResult {
    let member = |name: &str| helper.param(0)?.value().get(name)?.as_str();
    if let (Some(amount), Some(currency)) = (member("amount"), member("currency")) {
        out.write(&html_escape(&format!("{amount} {currency}")))?;
    }
    Ok(())
}

/// `{{pretty body}}`: JSON, or a text that is JSON, with its members on lines of their own; any other text as
/// it is.
fn pretty(
    helper: &Helper<'_>,
    _: &Handlebars<'_>,
    _: &Context,
    _: &mut RenderContext<'_, '_>,
    out: &mut dyn Output,
) -> HelperResult {
    let body = helper.param(0).map_or(&Value::Null, |param| param.value());
    let text = body.as_str().unwrap_or_default();
    let is_nested = text.trim_start().starts_with(['{', '[']);
    let parsed = is_nested.then(|| serde_json::from_str::<Value>(text).ok()).flatten();
    let pretty = match (body, &parsed) {
        (Value::String(_), None) => text.to_owned(),
        (Value::String(_), Some(json)) | (json, _) => format!("{json:#}"),
    };
    out.write(&html_escape(&pretty))?;
    Ok(())
}

/// `{{words reason}}`: a sentence, what is between backticks set as code.
fn words(
    helper: &Helper<'_>,
    _: &Handlebars<'_>,
    _: &Context,
    _: &mut RenderContext<'_, '_>,
    out: &mut dyn Output,
) -> HelperResult {
    let mut rest = text(helper).unwrap_or_default();
    while let Some((before, quoted, after)) = quotation(rest) {
        out.write(&format!("{}<code>{}</code>", html_escape(before), html_escape(quoted)))?;
        rest = after;
    }
    out.write(&html_escape(rest))?;
    Ok(())
}

/// The text before the first pair of backticks, between them, and behind.
fn quotation(text: &str) -> Option<(&str, &str, &str)> {
    let (before, behind) = text.split_once('`')?;
    let (quoted, after) = behind.split_once('`')?;
    Some((before, quoted, after))
}
