//! Signing in by one of the API's tokens, or by a one-time link, and signing out.

use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde_json::json;

use crate::web::access::{Denied, TokenCheck};
use crate::web::access_log::{Reason, TokenArea};
use crate::web::answer::{self, Answer};
use crate::web::auth::{RequiredRight, SecretDigest};
use crate::web::pages::form::PostedForm;
use crate::web::pages::route::own_path;
use crate::web::pages::session::{SESSION_MS, SignedIn, capitalised, sentence};
use crate::web::pages::{BrowserRequest, PageContent, PageExit, Pages, engine, is_cross_site};
use crate::web::per_address::LimitKey;

/// Where a sign-in leads when nothing else was asked for.
const FIRST_PAGE: &str = "/conversions";

impl Pages {
    /// Who sent this request, if they are signed in by a token that is still configured.
    pub(super) fn visitor(&self, request: &BrowserRequest) -> Option<SignedIn> {
        self.signed_in(&request.headers, request.is_https, request.limit_key)
    }

    /// Whether a request with these headers is of someone who is signed in and may change things.
    pub fn lets_change(&self, headers: &HeaderMap, is_https: bool, from: LimitKey) -> bool {
        let visitor = self.signed_in(headers, is_https, from);
        visitor.is_some_and(|visitor| self.allows(&visitor, RequiredRight::Change))
    }

    fn signed_in(&self, headers: &HeaderMap, is_https: bool, from: LimitKey) -> Option<SignedIn> {
        let wanted = cookie_name(is_https);
        let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let pairs = cookies.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
        let here = (from, self.ops.clock.running_ms());
        let mut found =
            pairs.filter(|(name, _)| *name == wanted).filter_map(|(_, id)| self.sessions.visitor(id, here));
        found.find(|visitor| visitor.token.as_ref().is_none_or(|token| self.tokens.holder(token).is_some()))
    }

    /// Whether this person may look, or may change something too, as their token's rights are now. The
    /// one-time link is the operator's own and may do everything.
    ///
    /// # Errors
    /// What they may not do, and the fix.
    pub(super) fn may(&self, visitor: &SignedIn, need: RequiredRight) -> Result<(), PageExit> {
        if self.allows(visitor, need) {
            return Ok(());
        }
        let Some(holder) = visitor.token.as_ref().and_then(|token| self.tokens.holder(token)) else {
            return Err(PageExit::SignIn);
        };
        self.access.log.refused(
            TokenArea::Pages,
            Reason::LacksRight,
            Some(holder.name),
            self.ops.clock.now(),
        );
        let (what, hint) = holder.lacks(need);
        Err(PageExit::Refused(StatusCode::FORBIDDEN, capitalised(&what), sentence(hint)))
    }

    /// The same without a line in the log: for what a page shows.
    pub(super) fn allows(&self, visitor: &SignedIn, need: RequiredRight) -> bool {
        let allows = |token| self.tokens.holder(token).is_some_and(|holder| need.is_met_by(holder.rights));
        visitor.token.as_ref().is_none_or(allows)
    }

    /// `/sign-in`: the form, the form sent, or a one-time link.
    pub(super) fn sign_in(&self, request: &BrowserRequest) -> Answer {
        let query = PostedForm::read(&request.query);
        if request.method == Method::POST {
            return self.try_token(request);
        }
        match query.get("once") {
            "" if self.visitor(request).is_some() => {
                engine::redirect(own_path(query.get("next")).unwrap_or(FIRST_PAGE))
            }
            // A program that only looks whether the link is alive (HEAD) does not use it up.
            once if !once.is_empty() && request.method == Method::GET => {
                self.redeem(request, once, query.get("next"))
            }
            _ => self.sign_in_form(StatusCode::OK, query.get("next"), None),
        }
    }

    /// A one-time link is not guessed, and so it is not counted: a page of another site could open many.
    fn redeem(&self, request: &BrowserRequest, once: &str, next: &str) -> Answer {
        if let Err(stale) = self.sessions.redeem(once, self.ops.clock.running_ms()) {
            self.access.log.refused(TokenArea::Pages, Reason::StaleLink, None, self.ops.clock.now());
            return self.sign_in_form(StatusCode::FORBIDDEN, next, Some(stale.sentence()));
        }
        self.let_in(request, "one-time link", None, next)
    }

    fn try_token(&self, request: &BrowserRequest) -> Answer {
        let form = PostedForm::posted(&request.headers, &request.body);
        let next = form.get("next");
        if self.tokens.is_empty() {
            return self.no_tokens();
        }
        let refused = |fault| self.sign_in_form(StatusCode::FORBIDDEN, next, Some(fault));
        if is_cross_site(&request.headers) {
            return refused("The form was sent from another site. Sign in here.");
        }
        let token = form.get("token").trim();
        if token.is_empty() {
            return refused("No token was entered.");
        }
        let (now, is_signed_in) = (self.ops.clock.reading(), self.visitor(request).is_some());
        let check = TokenCheck { key: request.limit_key, area: TokenArea::Pages, now, is_signed_in };
        let holder = match self.access.holder(&self.tokens, token, check) {
            Ok(holder) => holder,
            Err(Denied::TooMany { seconds }) => return self.too_many(next, seconds),
            Err(_) => return refused("This is none of the configured tokens."),
        };
        if !RequiredRight::Look.is_met_by(holder.rights) {
            self.access.log.refused(TokenArea::Pages, Reason::LacksRight, Some(holder.name), check.now.wall);
            return refused(
                "This token reaches only the network's API. Sign in with one that has the right `read` or `network`.",
            );
        }
        self.let_in(request, holder.name, Some(SecretDigest::of(token)), next)
    }

    /// Opens a session; one that the same browser presents ends.
    fn let_in(
        &self,
        request: &BrowserRequest,
        name: &str,
        token: Option<SecretDigest>,
        next: &str,
    ) -> Answer {
        let id = match self.sessions.open(name, token, (request.limit_key, self.ops.clock.running_ms())) {
            Ok(id) => id,
            Err(error) => {
                tracing::error!(%error, "the operating system gave no entropy for a session");
                return answer::unavailable();
            }
        };
        if let Some(before) = self.visitor(request) {
            self.sessions.close(&before);
        }
        self.access.log.signed_in(name);
        let mut answer = engine::redirect(own_path(next).unwrap_or(FIRST_PAGE));
        set_cookie(&mut answer, request.is_https, &id, SESSION_MS / 1000);
        answer
    }

    /// Back to the form, the cookie gone.
    pub(super) fn signed_out(&self, request: &BrowserRequest) -> Answer {
        let mut answer = engine::redirect("/sign-in");
        set_cookie(&mut answer, request.is_https, "", 0);
        answer
    }

    /// What is answered where there is no session: a page leads to the form and back, an action is refused.
    pub(super) fn ask_to_sign_in(&self, request: &BrowserRequest) -> Answer {
        if self.tokens.is_empty() {
            return self.no_tokens();
        }
        if request.method == Method::POST {
            return self.message(
                StatusCode::FORBIDDEN,
                "Your session has ended; nothing was done",
                "Sign in, open the page again and press the button there.",
            );
        }
        let mut next = request.path.clone();
        if !request.query.is_empty() {
            next.push('?');
            next.push_str(&String::from_utf8_lossy(&request.query));
        }
        match own_path(&next) {
            Some(next) if next != FIRST_PAGE => {
                let next: String = form_urlencoded::byte_serialize(next.as_bytes()).collect();
                engine::redirect(&format!("/sign-in?next={next}"))
            }
            _ => engine::redirect("/sign-in"),
        }
    }

    fn sign_in_form(&self, status: StatusCode, next: &str, fault: Option<&str>) -> Answer {
        if self.tokens.is_empty() && fault.is_none() {
            return self.no_tokens();
        }
        let next = own_path(next).unwrap_or(FIRST_PAGE);
        let data = json!({"next": next, "fault": fault, "usable": !self.tokens.is_empty()});
        self.page(None, PageContent { status, template: "sign-in", title: "Sign in".to_owned(), data })
    }

    fn too_many(&self, next: &str, seconds: i64) -> Answer {
        let fault =
            format!("Too many wrong tokens from this address. Wait {seconds} seconds, then try again.");
        let mut answer = self.sign_in_form(StatusCode::TOO_MANY_REQUESTS, next, Some(&fault));
        answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        answer
    }

    fn no_tokens(&self) -> Answer {
        let data = json!({
            "what": "No token is configured, so no one can sign in",
            "hint": "Add a token to `postbridge.toml`, set the variable it names to a long random text, and start or reload Postbridge:",
            "code": "[api]\ntokens = [{ name = \"ops\", token = { env = \"POSTBRIDGE_TOKEN\" }, rights = [\"network\"] }]",
        });
        let title = "No token is configured".to_owned();
        self.page(None, PageContent { status: StatusCode::UNAUTHORIZED, template: "message", title, data })
    }
}

/// `__Host-` makes the browser refuse the cookie from anyone but this very host, by https. A browser does not
/// keep such a cookie over http, so it follows the connection.
fn cookie_name(is_https: bool) -> &'static str {
    if is_https { "__Host-postbridge" } else { "postbridge" }
}

fn set_cookie(answer: &mut Answer, is_https: bool, id: &str, seconds: i64) {
    let secure = if is_https { "; Secure" } else { "" };
    let name = cookie_name(is_https);
    let cookie = format!("{name}={id}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}");
    if let Ok(value) = HeaderValue::from_str(&cookie) {
        answer.headers_mut().insert(header::SET_COOKIE, value);
    }
}
