//! Which records are a person's, and how many persons they are of.
//!
//! One person is: who has one e-mail address, one phone number, one browser (the visitor's cookie) or one click. A record that
//! names another e-mail address than those that are looked for is another person's, whatever else it shares: phones and
//! browsers are shared, mailboxes hardly.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::attribution::{Attribution, candidates};
use crate::domain::click::{Click, CustomerTrait, CustomerTraits};
use crate::domain::conversion::Conversion;
use crate::domain::erasure::identity::{
    IdentityKind, KnownIdentities, hashed, is_placeholder_phone, mailbox, phone_digits,
};
use crate::domain::erasure::subject::SubjectKind;
use crate::domain::ids::{ClickId, ConversionId, VisitorId};

/// What a record names its person by. It is in memory alone.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct PersonMarks {
    /// Addresses, as they were reported.
    pub emails: Vec<String>,
    /// Phone numbers, as they were reported.
    pub phones: Vec<String>,
    /// The browser.
    pub visitor: Option<VisitorId>,
    /// The click itself, that which earned a conversion, and those that it may name.
    pub clicks: Vec<ClickId>,
    /// The conversion.
    pub conversion: Option<ConversionId>,
    /// The number of its order.
    pub transaction: Option<String>,
    /// The number of a postback of which nothing was made, and which is found by an id in its text alone: it may be anyone's.
    pub unsettled: Option<u64>,
}

impl std::fmt::Debug for PersonMarks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PersonMarks({:?})", self.conversion)
    }
}

/// How much of a record is erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErasedPart {
    /// It is another person's, and only texts in it may name this one.
    Texts,
    /// It is the person's.
    Whole,
}

impl PersonMarks {
    /// Those of a click.
    pub fn of_click(click: &Click) -> PersonMarks {
        let visitor = click.context.visitor.clone();
        PersonMarks { visitor, clicks: vec![click.id.clone()], ..PersonMarks::of_traits(&click.customer) }
    }

    /// Those of a conversion.
    pub fn of_conversion(conversion: &Conversion) -> PersonMarks {
        let attribution = &conversion.attribution;
        let visitor = match attribution {
            Attribution::Visitor { visitor, .. } => Some(visitor.clone()),
            _ => None,
        };
        let given = attribution.given().map(candidates).unwrap_or_default();
        let mut clicks: Vec<ClickId> = given.into_iter().map(|(id, _)| id).collect();
        clicks.extend(attribution.click().cloned());
        PersonMarks {
            visitor,
            clicks,
            conversion: Some(conversion.id),
            transaction: conversion.transaction_id.as_deref().map(|id| id.trim().to_owned()),
            ..PersonMarks::of_traits(&conversion.traits)
        }
    }

    fn of_traits(traits: &CustomerTraits) -> PersonMarks {
        let all = |name| traits.get(name).map(str::to_owned).into_iter().collect();
        PersonMarks {
            emails: all(CustomerTrait::Email),
            phones: all(CustomerTrait::Phone),
            ..PersonMarks::default()
        }
    }

    /// How much of the record is erased where those of `known` are.
    pub fn part(&self, known: &KnownIdentities) -> ErasedPart {
        if self.is_named(known) {
            return ErasedPart::Whole;
        }
        let is_another = self.names_mailbox() && knows_emails(known);
        if self.is_shared(known) && !is_another { ErasedPart::Whole } else { ErasedPart::Texts }
    }

    /// Whether the record may be of any of those of `known`, of whom each may know less than all together.
    pub fn may_be_of(&self, known: &KnownIdentities) -> bool {
        self.is_named(known) || self.is_shared(known)
    }

    /// Whether the record names a mailbox, in plain or by a hash.
    pub fn names_mailbox(&self) -> bool {
        self.mailboxes().next().is_some()
    }

    fn is_named(&self, known: &KnownIdentities) -> bool {
        self.conversion.is_some_and(|id| known.knows_conversion(&id))
            || self.emails.iter().any(|text| known.knows_email(text))
    }

    fn is_shared(&self, known: &KnownIdentities) -> bool {
        self.phones.iter().any(|text| known.knows_phone(text))
            || self.visitor.as_ref().is_some_and(|id| known.knows_visitor(id))
            || self.clicks.iter().any(|id| known.knows_click(id))
            || self.transaction.as_ref().is_some_and(|id| known.knows(IdentityKind::Transaction, id))
    }

    /// Adds what its person is named by besides: so that other records of the person are found. A phone number that is a
    /// placeholder names no one. `national`: of a phone number's digits those without the calling code. Says whether any is
    /// new.
    pub fn add_to(&self, known: &mut KnownIdentities, national: impl Fn(&str) -> Option<String>) -> bool {
        let mut is_new = false;
        for text in &self.emails {
            is_new |= known.add_email(text);
        }
        for text in self.phones.iter().filter(|text| !is_placeholder(text)) {
            is_new |= known.add_phone(text, national(text).as_deref());
        }
        if let Some(visitor) = &self.visitor {
            is_new |= known.add(IdentityKind::Visitor, visitor.as_str());
        }
        for click in &self.clicks {
            is_new |= known.add(IdentityKind::Click, click.as_str());
        }
        if let Some(conversion) = self.conversion {
            is_new |= known.add(IdentityKind::Conversion, &conversion.to_string());
        }
        is_new
    }

    /// By what it is joined to other records, where the value that was asked for is of this kind: a phone number that was
    /// asked for joins no one, because it may be shared, and nor does an order's number.
    fn links(&self, asked: SubjectKind) -> BTreeSet<String> {
        let emails = self.emails.iter().filter_map(|text| hashed(text).or_else(|| mailbox(text)));
        let phones = self.phones.iter().filter(|text| asked != SubjectKind::Phone && !is_placeholder(text));
        let phones = phones.filter_map(|text| hashed(text).or_else(|| phone_digits(text)));
        let visitor = self.visitor.iter().map(|id| format!("visitor {}", id.as_str()));
        let clicks = self.clicks.iter().map(|id| format!("click {}", id.as_str()));
        emails
            .map(|text| format!("email {text}"))
            .chain(phones.map(|text| format!("phone {text}")))
            .chain(visitor)
            .chain(clicks)
            .collect()
    }

    fn mailboxes(&self) -> impl Iterator<Item = String> + '_ {
        self.emails.iter().filter_map(|text| hashed(text).or_else(|| mailbox(text)))
    }

    /// Its phone numbers, however they are written: by their last digits.
    fn numbers(&self) -> impl Iterator<Item = String> + '_ {
        let own = self.phones.iter().filter(|text| !is_placeholder(text));
        own.filter_map(|text| {
            let digits = hashed(text).or_else(|| phone_digits(text))?;
            digits.get(digits.len().saturating_sub(7)..).map(str::to_owned)
        })
    }
}

fn is_placeholder(phone: &str) -> bool {
    phone_digits(phone).is_some_and(|digits| is_placeholder_phone(&digits))
}

/// Whether any address is looked for, in plain or by a hash.
fn knows_emails(known: &KnownIdentities) -> bool {
    known.has_kind(IdentityKind::Email) || known.has_kind(IdentityKind::EmailHash)
}

/// How many persons have these records, where they were found by a value of this kind: those that are joined by a link
/// are one, or as many as they name e-mail addresses or phone numbers: a browser may be shared. Those that name no one are
/// one together; but found by an order's number, which may be a constant, or by a phone number that is a placeholder, each
/// conversion of them may be another person's. So may each postback that names no one and has an id in its text alone.
pub fn count_persons<'a>(records: impl IntoIterator<Item = &'a PersonMarks>, asked: SubjectKind) -> u64 {
    let mut groups = JoinedGroups::default();
    let (mut nameless, mut are_strangers) = (BTreeSet::new(), asked_alone(asked));
    let mut unsettled = BTreeSet::new();
    for marks in records {
        if let Some(number) = marks.unsettled {
            unsettled.insert(number);
            continue;
        }
        let links = marks.links(asked);
        if links.is_empty() {
            nameless.insert(marks.conversion.map(|id| id.to_string()));
            are_strangers |= marks.phones.iter().any(|phone| is_placeholder(phone));
        }
        groups.join(
            links,
            PersonNames { mailboxes: marks.mailboxes().collect(), numbers: marks.numbers().collect() },
        );
    }
    let found: u64 = groups.names.values().map(PersonNames::persons).sum();
    let nameless = match are_strangers {
        true => nameless.iter().flatten().count().max(usize::from(!nameless.is_empty())) as u64,
        false => u64::from(!nameless.is_empty() && found == 0),
    };
    found + nameless + unsettled.len() as u64
}

/// Whether a record that names no one else is another person's than those that do.
fn asked_alone(asked: SubjectKind) -> bool {
    matches!(asked, SubjectKind::TransactionId)
}

/// The addresses and phone numbers of records that are joined.
#[derive(Default)]
struct PersonNames {
    mailboxes: BTreeSet<String>,
    numbers: BTreeSet<String>,
}

impl PersonNames {
    /// Of how many persons they are, as far as can be known.
    fn persons(&self) -> u64 {
        self.mailboxes.len().max(self.numbers.len()).max(1) as u64
    }
}

/// Groups of links that records have in common, each with what is named in it.
#[derive(Default)]
struct JoinedGroups {
    group_of: BTreeMap<String, usize>,
    names: BTreeMap<usize, PersonNames>,
    next: usize,
}

impl JoinedGroups {
    fn join(&mut self, links: BTreeSet<String>, mut names: PersonNames) {
        if links.is_empty() {
            return;
        }
        let known: BTreeSet<usize> =
            links.iter().filter_map(|link| self.group_of.get(link).copied()).collect();
        let group = known.first().copied().unwrap_or(self.next);
        self.next += 1;
        for other in known.iter().filter_map(|other| self.names.remove(other)) {
            names.mailboxes.extend(other.mailboxes);
            names.numbers.extend(other.numbers);
        }
        if known.len() > 1 {
            self.group_of.values_mut().filter(|of| known.contains(of)).for_each(|of| *of = group);
        }
        self.group_of.extend(links.into_iter().map(|link| (link, group)));
        self.names.insert(group, names);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::presented::DigestKey;

    fn marks(emails: &[&str], phones: &[&str], clicks: &[&str], visitor: Option<&str>) -> PersonMarks {
        PersonMarks {
            emails: emails.iter().map(|text| (*text).to_owned()).collect(),
            phones: phones.iter().map(|text| (*text).to_owned()).collect(),
            clicks: clicks.iter().map(|id| ClickId::parse(id).unwrap()).collect(),
            visitor: visitor.map(|id| VisitorId::parse(id).unwrap()),
            ..PersonMarks::default()
        }
    }

    #[test]
    fn a_record_of_another_address_is_another_ones_whatever_it_shares() {
        let mut known = KnownIdentities::new(DigestKey::new([7; 32]), []);
        marks(&["eve@example.com"], &["+12025550143"], &["c1"], Some("visitor-00000001"))
            .add_to(&mut known, |_| None);
        for (other, part) in [
            (marks(&["EVE@example.com"], &[], &[], None), ErasedPart::Whole),
            (marks(&[], &["1 202 555 0143"], &[], None), ErasedPart::Whole),
            (marks(&[], &[], &["c2"], Some("visitor-00000001")), ErasedPart::Whole),
            (
                marks(&["adam@example.com"], &["+12025550143"], &["c1"], Some("visitor-00000001")),
                ErasedPart::Texts,
            ),
            (marks(&[], &[], &["c2"], None), ErasedPart::Texts),
        ] {
            assert!(other.part(&known) == part, "{:?} {:?}", other.emails, other.clicks);
        }
    }

    #[test]
    fn a_phone_number_that_is_a_placeholder_leads_to_no_one() {
        let mut known = KnownIdentities::new(DigestKey::new([7; 32]), []);
        marks(&["eve@example.com"], &["1234567890"], &[], None).add_to(&mut known, |_| None);
        assert!(!known.knows_phone("1234567890"));
        assert!(marks(&[], &["1234567890"], &[], None).part(&known) == ErasedPart::Texts);
    }

    #[test]
    fn persons_are_counted_by_what_joins_them_and_by_their_addresses() {
        let (eve, adam) = (["eve@example.com"], ["adam@example.com"]);
        let count = |records: &[PersonMarks], asked| count_persons(records, asked);
        let one = [
            marks(&eve, &["+12025550143"], &["c1"], None),
            marks(&[], &["+12025550143"], &[], None),
            marks(&[], &[], &["c1"], Some("visitor-00000001")),
            marks(&[], &[], &["c2"], Some("visitor-00000001")),
        ];
        assert_eq!(count(&one, SubjectKind::Email), 1);
        let shared = [marks(&eve, &["+12025550143"], &[], None), marks(&adam, &["+12025550143"], &[], None)];
        assert_eq!(count(&shared, SubjectKind::Phone), 2);
        let constant =
            [marks(&[], &[], &["c1"], None), marks(&[], &[], &["c2"], None), marks(&[], &[], &[], None)];
        assert_eq!(count(&constant, SubjectKind::TransactionId), 3);
        let sold = |id: &str| {
            let conversion = Some(ConversionId::parse(id).unwrap());
            PersonMarks { conversion, ..marks(&[], &[], &[], None) }
        };
        let ids = ["0".repeat(32), "1".repeat(32)];
        let strangers = [sold(&ids[0]), sold(&ids[1]), sold(&ids[1]), marks(&[], &[], &[], None)];
        assert_eq!(count(&strangers, SubjectKind::TransactionId), 2, "an order's number that is a constant");
        assert_eq!(count(&strangers, SubjectKind::Phone), 1);
        let same_click = [marks(&eve, &[], &["c1"], None), marks(&adam, &[], &["c1"], None)];
        assert_eq!(count(&same_click, SubjectKind::ClickId), 2);
        assert_eq!(count(&[marks(&[], &["5550143"], &[], None)], SubjectKind::Phone), 1);
        assert_eq!(count(&[], SubjectKind::Email), 0);
        let typed = |id: &str| PersonMarks { phones: vec!["000 000 0000".to_owned()], ..sold(id) };
        assert_eq!(
            count(&[typed(&ids[0]), typed(&ids[1])], SubjectKind::Phone),
            2,
            "a placeholder joins no one"
        );
        let kiosk = |phone: &str| marks(&[], &[phone], &[], Some("visitor-00000001"));
        assert_eq!(count(&[kiosk("+12025550143"), kiosk("202 555 0143")], SubjectKind::ClickId), 1);
        assert_eq!(count(&[kiosk("+12025550143"), kiosk("+12025550144")], SubjectKind::ClickId), 2);
    }
}
