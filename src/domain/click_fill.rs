//! What a click that is recorded already takes from another report of it: what it lacks, while there is room.

use crate::domain::address;
use crate::domain::click::{Click, ClickContext, CustomerTrait, CustomerTraits, Pairs, find};
use crate::domain::click_size::ClickSize;
use crate::domain::landing_url::{cut, up_to};
use crate::domain::omission::{Omission, OmissionReason};

impl Click {
    /// Takes from `other` only what this click lacks; what a click already has is never changed, except
    /// that of answers about consent the later one counts. What there is no room for is named.
    /// Says whether anything was taken.
    pub fn fill(&mut self, other: &Click) -> bool {
        if self.context.omitted.erased_at().is_some() {
            // What was erased is not filled in again; what the visitor answers counts all the same.
            let had = self.context.consent;
            self.context.consent = had.latest(other.context.consent);
            return self.context.consent != had;
        }
        let had = self.context.omitted.clone();
        for missing in other.context.omitted.named() {
            if !self.has(&missing.field) {
                self.context.omitted.add(missing.clone());
            }
        }
        let mut room = GrowthBudget::of(self);
        let mut changed = room.text(&mut self.landing_url, &other.landing_url, ("landing_url", cut));
        changed |= room.text(&mut self.referrer, &other.referrer, ("referrer", up_to));
        if !self.ip.is_some_and(address::is_visitors) && other.ip.is_some_and(address::is_visitors) {
            // A proxy's or a server's own address gives way to one that can be the visitor's.
            self.ip = None;
        }
        changed |= fill_one(&mut self.ip, &other.ip);
        changed |= room.text(&mut self.user_agent, &other.user_agent, ("user_agent", |_, _| ""));
        changed |= room.pairs(&mut self.params, &other.params, "params");
        changed |= room.pairs(&mut self.cookies, &other.cookies, "cookies");
        changed |= room.pairs(&mut self.sub_ids, &other.sub_ids, "sub_ids");
        changed |= room.traits(&mut self.customer, &other.customer);
        changed |= fill_context(&mut self.context, &other.context);
        for missing in room.missing {
            self.context.omitted.add(missing);
        }
        changed | (self.context.omitted != had)
    }

    /// Whether it has what an omission calls so.
    fn has(&self, field: &str) -> bool {
        match field.split_once('.') {
            Some(("params", name)) => find(&self.params, name).is_some(),
            Some(("sub_ids", name)) => find(&self.sub_ids, name).is_some(),
            Some(("cookies", name)) => find(&self.cookies, name).is_some(),
            Some(("customer", name)) => {
                CustomerTrait::parse(name).is_some_and(|name| self.customer.get(name).is_some())
            }
            _ => match field {
                "landing_url" => self.landing_url.is_some(),
                "referrer" => self.referrer.is_some(),
                "user_agent" => self.user_agent.is_some(),
                _ => false,
            },
        }
    }
}

/// The most pairs of each sort up to which a click is filled: its id is no secret, and anyone who knows it
/// could make it grow.
const MOST_PAIRS: usize = 64;

/// The bytes that a click may still grow by, and what there was no room for.
struct GrowthBudget {
    bytes: usize,
    missing: Vec<Omission>,
}

impl GrowthBudget {
    fn of(click: &Click) -> GrowthBudget {
        let most = ClickSize::Full.most_texts();
        GrowthBudget { bytes: most.saturating_sub(click.text_bytes()), missing: Vec::new() }
    }

    /// Whether there is room for so many bytes more; if so, they are taken.
    fn takes(&mut self, bytes: usize) -> bool {
        // With what is around each text where it is stored.
        let left = self.bytes.checked_sub(bytes + 4);
        self.bytes = left.unwrap_or(self.bytes);
        left.is_some()
    }

    fn miss(&mut self, field: &str, bytes: (usize, usize)) {
        self.missing.push(Omission::new(field, OmissionReason::ClickTooLarge, bytes));
    }

    /// A text of which a beginning is kept where the whole has no room.
    fn text(
        &mut self,
        mine: &mut Option<String>,
        other: &Option<String>,
        (field, cut): (&str, fn(&str, usize) -> &str),
    ) -> bool {
        let (None, Some(text)) = (&mine, other) else { return false };
        let fits = text.len() + 4 <= self.bytes;
        let kept = if fits { text } else { cut(text, self.bytes.saturating_sub(4)) };
        if kept.len() < text.len() {
            self.miss(field, (text.len(), kept.len()));
        }
        if kept.is_empty() || !self.takes(kept.len()) {
            return false;
        }
        *mine = Some(kept.to_owned());
        true
    }

    fn pairs(&mut self, mine: &mut Pairs, other: &Pairs, sort: &str) -> bool {
        let before = mine.len();
        for (name, value) in other {
            if mine.iter().any(|(known, _)| known == name) {
                continue;
            }
            if mine.len() >= MOST_PAIRS {
                let field = format!("{sort}.{name}");
                self.missing.push(Omission::new(&field, OmissionReason::TooManyNames, (value.len(), 0)));
                continue;
            }
            match self.takes(name.len() + value.len()) {
                true => mine.push((name.clone(), value.clone())),
                false => self.miss(&format!("{sort}.{name}"), (value.len(), 0)),
            }
        }
        mine.len() != before
    }

    fn traits(&mut self, mine: &mut CustomerTraits, other: &CustomerTraits) -> bool {
        let before = mine.0.len();
        for (name, value) in &other.0 {
            if mine.get(*name).is_some() {
                continue;
            }
            match self.takes(value.len()) {
                true => drop(mine.0.insert(*name, value.clone())),
                false => self.miss(&format!("customer.{}", name.name()), (value.len(), 0)),
            }
        }
        mine.0.len() != before
    }
}

fn fill_context(mine: &mut ClickContext, other: &ClickContext) -> bool {
    let mut changed = fill_one(&mut mine.campaign_ref, &other.campaign_ref);
    changed |= fill_one(&mut mine.visitor, &other.visitor);
    changed |= fill_one(&mut mine.agent, &other.agent);
    changed |= fill_one(&mut mine.country, &other.country);
    let consent = mine.consent.latest(other.consent);
    changed |= consent != mine.consent;
    mine.consent = consent;
    changed
}

fn fill_one<T: Clone>(mine: &mut Option<T>, other: &Option<T>) -> bool {
    if mine.is_none() && other.is_some() {
        mine.clone_from(other);
        return true;
    }
    false
}
