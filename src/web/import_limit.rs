//! The largest body of an import of suppression lists: for those who may change lists, and for no one else.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::http1::refusal::{HttpRefusal, HttpRefusalKind};
use crate::web::access::{self, Denied, TokenCheck};
use crate::web::access_log::{Reason, TokenArea};
use crate::web::auth::RequiredRight;
use crate::web::per_address::LimitKey;
use crate::web::routes::{self, BodyLimit, Endpoint, PathRows};
use crate::web::{Router, proxy};

/// How an import is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Import {
    Api,
    Pages,
}

impl Import {
    fn of_rows(rows: &PathRows) -> Option<Import> {
        let row = rows.rows.iter().find(|row| row.body == BodyLimit::Import)?;
        Some(if matches!(row.endpoint, Endpoint::Api(_)) { Import::Api } else { Import::Pages })
    }
}

impl Router {
    /// The largest body of an import in bytes, where its head says that it is larger than others may be: it is
    /// let in or refused here, and a wrong token counts.
    ///
    /// # Errors
    /// Its token is wrong, or may not change lists.
    pub(super) fn larger_import(
        &self,
        path: &str,
        headers: &HeaderMap,
        peer: IpAddr,
    ) -> Result<Option<usize>, HttpRefusal> {
        let import = routes::find(path).and_then(|found| Import::of_rows(found.rows));
        let Some(import) = import else { return Ok(None) };
        let key = self.import_key(headers, peer);
        if import == Import::Pages {
            return Ok(self
                .pages
                .lets_change(headers, self.is_https(peer, headers), key)
                .then_some(BodyLimit::IMPORT_BYTES));
        }
        let now = self.api.ops.clock.reading();
        let check = TokenCheck { key, area: TokenArea::Api, now, is_signed_in: false };
        let holder = self.access.bearer(&self.tokens, headers, check).map_err(fault_of)?;
        if !RequiredRight::Change.is_met_by(holder.rights) {
            self.access.log.refused(TokenArea::Api, Reason::LacksRight, Some(holder.name), now.wall);
            return Err(LACKS_RIGHT);
        }
        Ok(Some(BodyLimit::IMPORT_BYTES))
    }

    /// The largest plain body of an import in bytes, of one that was received whole and is let in or refused by
    /// its token later; `None` where it is none, or its sender may not import.
    pub(super) fn import_limit(&self, rows: &PathRows, headers: &HeaderMap, peer: IpAddr) -> Option<usize> {
        let may_import = match Import::of_rows(rows)? {
            Import::Api => {
                let holder = access::presented(headers).ok().and_then(|token| self.tokens.holder_of(token));
                holder.is_some_and(|holder| RequiredRight::Change.is_met_by(holder.rights))
            }
            Import::Pages => {
                let key = self.import_key(headers, peer);
                self.pages.lets_change(headers, self.is_https(peer, headers), key)
            }
        };
        may_import.then_some(BodyLimit::IMPORT_BYTES)
    }

    fn import_key(&self, headers: &HeaderMap, peer: IpAddr) -> LimitKey {
        LimitKey::of_sender(proxy::sender(peer, headers, &self.trusted_proxies))
    }
}

const HINT: &str = "send `Authorization: Bearer …` with a token under [api] that may change lists";
const LACKS_RIGHT: HttpRefusal =
    HttpRefusal::new(HttpRefusalKind::Forbidden, "the token may not change lists", HINT);

fn fault_of(why: Denied) -> HttpRefusal {
    let (message, challenge) = match why {
        Denied::TooMany { seconds } => {
            let message = "too many wrong tokens were presented from this address; none is looked at now";
            let fault = HttpRefusal::new(HttpRefusalKind::TooMany, message, "wait, then send a right one");
            return HttpRefusal { retry_after: u32::try_from(seconds).ok(), ..fault };
        }
        Denied::WrongToken => (
            "the token is not one of those that are configured",
            "Bearer realm=\"postbridge\", error=\"invalid_token\"",
        ),
        Denied::NoToken | Denied::NoBearer => ("a token is needed", "Bearer realm=\"postbridge\""),
    };
    HttpRefusal {
        challenge: Some(challenge),
        ..HttpRefusal::new(HttpRefusalKind::Unauthorized, message, HINT)
    }
}

/// The headers of a raw head that was read already; its request line is left out.
pub(super) fn headers_of(head: &[u8]) -> HeaderMap {
    let lines = head.split(|byte| *byte == b'\n').skip(1);
    let pairs = lines.filter_map(|line| {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let (name, value) = (line.get(..colon)?, line.get(colon + 1..)?.trim_ascii());
        Some((HeaderName::from_bytes(name).ok()?, HeaderValue::from_bytes(value).ok()?))
    });
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(name, value);
    }
    headers
}
