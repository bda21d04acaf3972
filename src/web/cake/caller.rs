//! Who calls: the key, and which offers it reaches. Keys are compared in constant time, never logged.

use crate::domain::conversion::Conversion;
use crate::domain::ids::{AdvertiserId, OfferId};
use crate::domain::offer::Offer;
use crate::domain::rejection::Rejection;
use crate::domain::rejection::access::{AccessProblem, KeyPlace};
use crate::domain::reporter;
use crate::domain::rights::Rights;
use crate::domain::ruleset::Ruleset;
use crate::domain::status_move::Actor;
use crate::template::source::params::{Params, usable};
use crate::web::auth::Tokens;
use crate::web::request::ReceivedRequest;

const KEY: &str = "api_key";

/// Someone with a valid key.
#[derive(Debug, Clone)]
pub(super) struct KeyHolder {
    /// The name of the token.
    pub(super) name: String,
    rights: Rights,
}

/// Why it is not known who calls.
pub(super) enum UnknownCaller {
    /// There is no usable key.
    NoKey(Rejection),
    WrongKey(Rejection),
}

impl<T: Into<Rejection>> From<T> for UnknownCaller {
    fn from(problem: T) -> UnknownCaller {
        UnknownCaller::NoKey(problem.into())
    }
}

/// Whose key the call has. Where its parameters cannot be read, the key alone still says who it
/// is, so that what is wrong is reported to them and kept.
///
/// # Errors
/// No key, two keys, or a wrong one; a body that cannot be read.
pub(super) fn identify(
    tokens: &Tokens,
    place: KeyPlace,
    call: &ReceivedRequest<'_>,
    params: Result<&Params, &Rejection>,
) -> Result<KeyHolder, UnknownCaller> {
    if tokens.is_empty() {
        return Err(AccessProblem::NoKeyConfigured.into());
    }
    let key = match params {
        Ok(params) => usable(params, KEY)?.map(|param| param.value.clone()),
        Err(rejection) => {
            let key = match place {
                KeyPlace::Body => member_key(&call.body),
                KeyPlace::Query => only_key(call.head.query()),
            };
            Some(key.ok_or_else(|| UnknownCaller::NoKey(rejection.clone()))?)
        }
    };
    let key = key.filter(|key| !key.trim().is_empty());
    let key = key.ok_or(AccessProblem::MissingKey { place })?;
    let wrong = || UnknownCaller::WrongKey(AccessProblem::BadKey { place }.into());
    let holder = tokens.holder_of(key.trim()).ok_or_else(wrong)?;
    Ok(KeyHolder { name: holder.name.to_owned(), rights: holder.rights.clone() })
}

/// The query's key, if there is just one.
fn only_key(query: &[u8]) -> Option<String> {
    let mut keys = form_urlencoded::parse(query).filter(|(name, _)| name == KEY);
    let first = keys.next().map(|(_, value)| value.into_owned())?;
    keys.all(|(_, other)| other == first).then_some(first)
}

/// The key in a JSON body of which something else is wrong.
fn member_key(body: &[u8]) -> Option<String> {
    let body: serde_json::Value = serde_json::from_slice(body).ok()?;
    body.get(KEY)?.as_str().map(str::to_owned)
}

impl KeyHolder {
    /// Whether this caller may report conversions of this offer, and change them.
    pub(super) fn may_write(&self, offer: &Offer) -> bool {
        self.rights.may_change_all() || self.owns(offer)
    }

    /// Whether there is any offer whose conversions this caller may report or change.
    pub(super) fn may_write_some(&self) -> bool {
        self.rights.may_change_all() || self.rights.advertisers().next().is_some()
    }

    pub(super) fn reads_all(&self) -> bool {
        self.rights.may_read_all()
    }

    /// Whether this caller may look at the offer.
    pub(super) fn sees(&self, offer: &Offer) -> bool {
        self.reads_all() || self.owns(offer)
    }

    pub(super) fn changes_all(&self) -> bool {
        self.rights.may_change_all()
    }

    /// The offer with this id, if it is there for this caller to report on.
    pub(super) fn offer<'a>(&self, rules: &'a Ruleset, id: &OfferId) -> Option<&'a Offer> {
        rules.offer(id).map(|offer| offer.as_ref()).filter(|offer| self.may_write(offer))
    }

    /// Whether this conversion is there for this caller to change: one of an offer, as the history
    /// lists them.
    pub(super) fn may_change(&self, rules: &Ruleset, conversion: &Conversion) -> bool {
        let Some(placed) = conversion.campaign_ref.as_ref() else { return false };
        reporter::earns(&conversion.source)
            && (self.rights.may_change_all() || self.offer(rules, &placed.offer).is_some())
    }

    /// The offers of an advertiser that this caller may look at; of every advertiser without one.
    /// `None`: all there are, also those that are configured no more.
    pub(super) fn visible(&self, rules: &Ruleset, advertiser: Option<&AdvertiserId>) -> Option<Vec<OfferId>> {
        if self.reads_all() && advertiser.is_none() {
            return None;
        }
        let is_visible = |offer: &&Offer| {
            self.sees(offer) && advertiser.is_none_or(|wanted| offer.advertiser.as_ref() == Some(wanted))
        };
        let offers = rules.offers.values().map(|offer| offer.as_ref());
        Some(offers.filter(is_visible).map(|offer| offer.id.clone()).collect())
    }

    pub(super) fn actor(&self) -> Actor {
        let name = self.name.clone();
        if self.rights.may_change_all() { Actor::Network(name) } else { Actor::Advertiser(name) }
    }

    fn owns(&self, offer: &Offer) -> bool {
        let owner = offer.advertiser.as_ref();
        self.rights.advertisers().any(|advertiser| Some(advertiser) == owner)
    }

    /// What a key that only looks gets as its answer where it wants to change something.
    pub(super) fn may_only_look(&self) -> AccessProblem {
        AccessProblem::ReadOnlyKey { name: self.name.clone() }
    }
}
