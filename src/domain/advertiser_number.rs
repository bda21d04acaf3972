//! The number by which advertisers know a conversion. Ours counts every postback of every network, so it says
//! how much is received; theirs is ours put in another order by a key of the store, and says nothing.

use sha2::{Digest, Sha256};

use crate::domain::conversion::Conversion;
use crate::domain::ids::Seq;
use crate::domain::reporter;

/// The key and, with it, the order. The same key gives the same numbers, so it has to be kept.
#[derive(Clone, PartialEq, Eq)]
pub struct AdvertiserNumbers {
    key: [u8; 32],
}

/// Numbers are below 2^53, so that JSON keeps them whole; they are mixed as two halves of 27 bits.
const HALF_BITS: u32 = 27;
const HALF: u64 = (1 << HALF_BITS) - 1;
const ROUNDS: u8 = 8;

impl AdvertiserNumbers {
    /// By a key that a store has made by chance and keeps.
    pub fn new(key: [u8; 32]) -> AdvertiserNumbers {
        AdvertiserNumbers { key }
    }

    /// What advertisers are given.
    pub fn number(&self, seq: Seq) -> u64 {
        self.walk(seq.get(), |number| self.mixed(number))
    }

    /// What the advertiser of the conversion's offer gets as its number; `None` where no advertiser is notified of it.
    pub fn of(&self, conversion: &Conversion) -> Option<u64> {
        let is_report = conversion.campaign_ref.is_some() && reporter::earns(&conversion.source);
        is_report.then(|| self.number(conversion.seq))
    }

    /// Which conversion an advertiser means.
    pub fn seq(&self, number: u64) -> Option<Seq> {
        let number = Seq::new(number)?;
        Seq::new(self.walk(number.get(), |number| self.unmixed(number)))
    }

    /// Steps through the larger set that is mixed until a number is reached that may be one: so each has
    /// exactly one other.
    fn walk(&self, from: u64, step: impl Fn(u64) -> u64) -> u64 {
        let mut number = step(from);
        while Seq::new(number).is_none() {
            number = step(number);
        }
        number
    }

    /// A Feistel network: a permutation whatever the round function is.
    fn mixed(&self, number: u64) -> u64 {
        let (mut left, mut right) = (number >> HALF_BITS, number & HALF);
        for round in 0..ROUNDS {
            (left, right) = (right, left ^ self.round(round, right));
        }
        (left << HALF_BITS) | right
    }

    fn unmixed(&self, number: u64) -> u64 {
        let (mut left, mut right) = (number >> HALF_BITS, number & HALF);
        for round in (0..ROUNDS).rev() {
            (left, right) = (right ^ self.round(round, left), left);
        }
        (left << HALF_BITS) | right
    }

    fn round(&self, round: u8, half: u64) -> u64 {
        let mut hash = Sha256::new();
        hash.update(self.key);
        hash.update([round]);
        hash.update(half.to_be_bytes());
        let [a, b, c, d, e, f, g, h, ..] = <[u8; 32]>::from(hash.finalize());
        u64::from_be_bytes([a, b, c, d, e, f, g, h]) & HALF
    }
}

/// Not the key: anyone who has it knows how much is received.
impl std::fmt::Debug for AdvertiserNumbers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AdvertiserNumbers(***)")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::AdvertiserNumbers;
    use crate::domain::ids::Seq;

    #[test]
    fn each_number_is_of_one_conversion_and_shows_not_how_many_there_are() {
        let numbers = AdvertiserNumbers::new([7; 32]);
        let theirs: Vec<u64> = (1..=500).map(|n| numbers.number(Seq::new(n).unwrap())).collect();
        assert_eq!(theirs.iter().collect::<BTreeSet<_>>().len(), 500);
        for (ours, theirs) in (1..).zip(&theirs) {
            assert_eq!(numbers.seq(*theirs), Seq::new(ours));
        }
        // In a sequence each follows the one before; here about half do, and none at the same distance.
        let rising = theirs.windows(2).filter(|pair| pair[0] < pair[1]).count();
        assert!((150..350).contains(&rising), "{rising}");
        let steps: BTreeSet<u64> = theirs.windows(2).map(|pair| pair[1].wrapping_sub(pair[0])).collect();
        assert_eq!(steps.len(), 499);
        let last = Seq::new(Seq::MAX).unwrap();
        assert_eq!(numbers.seq(numbers.number(last)), Some(last));
        assert_eq!((numbers.seq(0), numbers.seq(Seq::MAX + 1)), (None, None));
    }

    #[test]
    fn another_key_gives_other_numbers() {
        let number = |key| AdvertiserNumbers::new([key; 32]).number(Seq::new(1).unwrap());
        assert_ne!(number(1), number(2));
    }
}
