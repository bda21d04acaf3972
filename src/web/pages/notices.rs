//! What an operator must act on, above the first page: one notice a matter, with its fix.

use serde::Serialize;

use crate::domain::code::CodedReason;
use crate::domain::forwarding::HidingProxy;
use crate::web::pages::Pages;

/// What is so, and the fix.
#[derive(Serialize)]
pub struct Notice {
    text: String,
    hint: String,
}

impl Pages {
    /// Every notice, as the template `notices` shows them.
    pub(super) fn notices(&self) -> Vec<Notice> {
        let proxies = self.hiding_proxies.named(self.ops.clock.now());
        let notice = |(proxy, fix): (HidingProxy, String)| {
            let (address, hint) = (
                proxy.address(),
                "Its visitors' addresses are not known: clicks keep the proxy's, and limits by address are off for them.",
            );
            match proxy {
                HidingProxy::Undeclared(_) => Notice {
                    text: format!("A proxy at `{address}` forwards requests and is not declared"),
                    hint: format!("{hint} Under `[server]` write `{fix}` and reload Postbridge."),
                },
                HidingProxy::Silent(_) => Notice {
                    text: format!(
                        "The declared proxy at `{address}` sends requests without `X-Forwarded-For`"
                    ),
                    hint: format!(
                        "{hint} Have it send the header; nginx does with the line `{fix}`. Nothing is wrong if you asked from its own machine."
                    ),
                },
            }
        };
        let paused = self.ops.clock.doubt().map(|doubt| {
            let hint = "Nothing is deleted and no hold ends. The page Clock (`/clock`) says until when, and what to do.";
            Notice { text: format!("Retention is paused: {}", doubt.sentence()), hint: hint.to_owned() }
        });
        paused.into_iter().chain(proxies.into_iter().map(notice)).collect()
    }
}
