//! What an operator must act on, above the first page: one notice a matter, with its fix.

use serde_json::{Value, json};

use crate::web::api::clock::reason;
use crate::web::pages::Pages;
use crate::web::proxy;

impl Pages {
    /// Every notice, as the template `notices` shows them.
    pub(super) fn notices(&self) -> Value {
        let proxies = self.undeclared_proxies.named(self.clock.now());
        let notice = |proxy| {
            json!({
                "text": format!("A proxy at `{proxy}` forwards requests and is not declared"),
                "hint": format!(
                    "Its visitors' addresses are not known: clicks keep the proxy's, and limits by address are off \
                     for them. Under `[server]` write `{}` and reload Postbridge.",
                    proxy::fix(proxy)
                ),
            })
        };
        let paused = self.clock.doubt().map(|doubt| {
            json!({
                "text": format!("Retention is paused: {}", reason(&doubt)),
                "hint": "Nothing is deleted and no hold ends. The page Clock (`/clock`) says until when, and what to do.",
            })
        });
        paused.into_iter().chain(proxies.into_iter().map(notice)).collect()
    }
}
