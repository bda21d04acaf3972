//! The largest body of an import of suppression lists: for those who may change lists, and for no one else.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::web::access::{self, TokenCheck};
use crate::web::access_log::Area;
use crate::web::auth::Need;
use crate::web::per_address::LimitKey;
use crate::web::{Site, proxy};

/// 100,000 lines of up to 160 bytes.
pub const IMPORT_BYTES: usize = 16 * 1024 * 1024;

/// Whether the token of a request is counted where it is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// The request may be answered because of its size alone: this is where its token is looked at.
    Counted,
    /// Another look at a request that is let in or refused by its token later.
    Uncounted,
}

impl Site {
    /// The largest body of this import in bytes; `None` where it is none, or its sender may not import.
    pub(super) fn import_limit(
        &self,
        path: &str,
        headers: &HeaderMap,
        (peer, look): (IpAddr, Look),
    ) -> Option<usize> {
        let is_of_api = path.starts_with("/api/v1/suppression/");
        if !is_of_api && path != "/suppression" && !path.starts_with("/suppression/") {
            return None;
        }
        let key = LimitKey::of_sender(proxy::sender(peer, headers, &self.trusted_proxies));
        let may_import = if is_of_api {
            let check = TokenCheck {
                key,
                area: Area::Api,
                now: self.operations.clock.reading(),
                is_signed_in: false,
            };
            let holder = match look {
                Look::Counted => self.access.bearer(&self.tokens, headers, check).ok(),
                Look::Uncounted => {
                    access::presented(headers).ok().and_then(|token| self.tokens.holder_of(token))
                }
            };
            holder.is_some_and(|holder| Need::Change.is_met_by(holder.rights))
        } else {
            self.pages.lets_change(headers, self.is_https(peer, headers), key)
        };
        may_import.then_some(IMPORT_BYTES)
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
