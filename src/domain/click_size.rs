//! How large a click may be: a bounded number of bytes, its identifiers whole, and what is missing named.
//!
//! Referrer and landing URL are cut first, the URL between two parameters. Identifiers, cookies, the user
//! agent and what is known of the customer are kept whole or left out, the longest first: half an id is
//! none. A value that the landing URL holds takes no room of its own.

use crate::domain::click::{Click, CustomerTrait, Pairs};
use crate::domain::landing_url::{base_length, cut, places, up_to};
use crate::domain::omission::{Omission, OmissionReason};

/// The most bytes of a click's record.
pub const MOST_BYTES: usize = 6 * 1024;
/// Of these, what is left for ids, campaign, device, verdicts, and the names of what is missing; the rest is for
/// texts.
const RESERVED: usize = 1024;

/// How much of a click is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClickSize {
    /// All that was received, within the most that a click may take.
    Full,
    /// Without long values: its address presses.
    Short,
}

/// What a size means.
struct SizeLimits {
    /// The most bytes of all texts.
    texts: usize,
    /// The longest value that is kept, its name included.
    value: usize,
    /// So much of the landing URL without its query, and of the referrer, goes before identifiers.
    landing_url: usize,
    referrer: usize,
    reason: OmissionReason,
}

const FULL: SizeLimits = SizeLimits {
    texts: MOST_BYTES - RESERVED,
    value: 4096 + 256,
    landing_url: 512,
    referrer: 256,
    reason: OmissionReason::ClickTooLarge,
};
const SHORT: SizeLimits = SizeLimits {
    texts: 1024,
    value: 256,
    landing_url: 256,
    referrer: 128,
    reason: OmissionReason::AddressRate,
};

impl ClickSize {
    fn limits(self) -> &'static SizeLimits {
        match self {
            ClickSize::Full => &FULL,
            ClickSize::Short => &SHORT,
        }
    }

    /// The most bytes of texts that a click of this size has.
    pub fn most_texts(self) -> usize {
        self.limits().texts
    }
}

/// The sorts of pairs, as omissions name them.
const PARAMS: &str = "params";
const SUB_IDS: &str = "sub_ids";
const COOKIES: &str = "cookies";

impl Click {
    /// About how many bytes its texts take where they are stored; see [`MOST_BYTES`].
    pub fn text_bytes(&self) -> usize {
        let url = self.landing_url.as_deref().unwrap_or_default();
        self.bytes_next_to_pairs() + self.pair_bytes(if url.len() <= MOST_BYTES { url } else { "" })
    }

    /// The same, counting what the landing URL holds twice: at least as many, and found at less cost.
    pub fn most_text_bytes(&self) -> usize {
        self.bytes_next_to_pairs() + self.pair_bytes("")
    }

    /// Makes it fit a size. What is cut or left out for it is named.
    pub fn fit(&mut self, size: ClickSize) {
        let limits = size.limits();
        while let Some(longest) = self.longest().filter(|one| one.bytes > limits.value) {
            let reason = match size {
                ClickSize::Full => OmissionReason::ClickValueTooLong,
                ClickSize::Short => limits.reason,
            };
            self.leave_out(&longest, reason);
        }
        // So it is with nearly every click.
        if self.most_text_bytes() <= limits.texts {
            return;
        }
        let excess = |click: &Click| click.text_bytes().saturating_sub(limits.texts);
        self.cut_referrer(excess(self), limits);
        if excess(self) > 0 {
            self.cut_landing_url(limits);
        }
        while excess(self) > 0 {
            let Some(longest) = self.longest() else { break };
            self.leave_out(&longest, limits.reason);
        }
    }

    fn bytes_next_to_pairs(&self) -> usize {
        let texts = [&self.landing_url, &self.referrer, &self.user_agent];
        let texts: usize = texts.into_iter().flatten().map(|text| text.len() + 2).sum();
        let customer: usize = self.customer.0.values().map(|value| value.len() + 3).sum();
        let cookies: usize = self.cookies.iter().map(own_bytes).sum();
        texts + customer + cookies
    }

    /// Of parameters and sub ids, where the landing URL holds some of their values.
    fn pair_bytes(&self, url: &str) -> usize {
        let pairs = || self.params.iter().chain(&self.sub_ids);
        if url.is_empty() {
            return pairs().map(own_bytes).sum();
        }
        let held = places(url, pairs().map(|(_, value)| value.as_str()));
        let bytes = |(pair, place): (&(String, String), &Option<_>)| match place {
            Some(_) => pair.0.len() + 6,
            None => own_bytes(pair),
        };
        pairs().zip(&held).map(bytes).sum()
    }

    fn cut_referrer(&mut self, excess: usize, limits: &SizeLimits) {
        let Some(referrer) = self.referrer.as_mut().filter(|_| excess > 0) else { return };
        let sent = referrer.len();
        let kept = up_to(referrer, sent.saturating_sub(excess).max(limits.referrer)).len();
        if kept < sent {
            *referrer = beginning(referrer, kept);
            self.omit("referrer", limits.reason, (sent, kept));
        }
    }

    /// What is cut off may have held values, so all of them are counted as if they had room of their own.
    fn cut_landing_url(&mut self, limits: &SizeLimits) {
        let Some(url) = &self.landing_url else { return };
        let sent = url.len();
        let other_bytes = self.bytes_next_to_pairs() + self.pair_bytes("") - sent;
        let most = limits.texts.saturating_sub(other_bytes).max(base_length(url).min(limits.landing_url));
        let kept = cut(url, most).len();
        if kept < sent {
            self.landing_url = (kept > 0).then(|| beginning(url, kept));
            self.omit("landing_url", limits.reason, (sent, kept));
        }
    }

    /// The longest of what is kept whole or not at all.
    fn longest(&self) -> Option<ClickText> {
        let sorts = [(PARAMS, &self.params), (SUB_IDS, &self.sub_ids), (COOKIES, &self.cookies)];
        let pairs = sorts.into_iter().flat_map(|(sort, pairs)| {
            let part = move |(at, pair): (usize, &(String, String))| ClickText {
                whose: ClickPart::Pair(sort, at),
                bytes: pair.0.len() + pair.1.len(),
            };
            pairs.iter().enumerate().map(part)
        });
        let customer = self.customer.0.iter();
        let customer =
            customer.map(|(name, value)| ClickText { whose: ClickPart::Trait(*name), bytes: value.len() });
        let agent =
            self.user_agent.iter().map(|text| ClickText { whose: ClickPart::UserAgent, bytes: text.len() });
        pairs.chain(customer).chain(agent).max_by_key(|part| part.bytes)
    }

    fn leave_out(&mut self, part: &ClickText, reason: OmissionReason) {
        let (field, sent) = match part.whose {
            ClickPart::UserAgent => {
                ("user_agent".to_owned(), self.user_agent.take().map_or(0, |text| text.len()))
            }
            ClickPart::Trait(name) => {
                let value = self.customer.0.remove(&name);
                (format!("customer.{}", name.name()), value.map_or(0, |value| value.len()))
            }
            ClickPart::Pair(sort, at) => {
                let pairs = self.pairs_of(sort);
                if at >= pairs.len() {
                    return;
                }
                let (name, value) = pairs.remove(at);
                (format!("{sort}.{name}"), value.len())
            }
        };
        self.omit(&field, reason, (sent, 0));
    }

    fn pairs_of(&mut self, sort: &str) -> &mut Pairs {
        match sort {
            PARAMS => &mut self.params,
            SUB_IDS => &mut self.sub_ids,
            _ => &mut self.cookies,
        }
    }

    /// Names what is missing.
    fn omit(&mut self, field: &str, reason: OmissionReason, (sent, kept): (usize, usize)) {
        self.context.omitted.add(Omission::new(field, reason, (sent, kept)));
    }
}

/// A copy: a text that is only made shorter holds on to all its memory.
fn beginning(text: &str, length: usize) -> String {
    text.get(..length).unwrap_or(text).to_owned()
}

/// One text that is kept whole or not at all.
struct ClickText {
    whose: ClickPart,
    bytes: usize,
}

enum ClickPart {
    UserAgent,
    Trait(CustomerTrait),
    /// The sort, and the place in it.
    Pair(&'static str, usize),
}

/// A pair that the landing URL does not hold.
fn own_bytes((name, value): &(String, String)) -> usize {
    name.len() + value.len() + 4
}
