//! An exact sum of amounts in one currency: nothing is rounded and nothing overflows, whatever was reported.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// The sum has more digits than an amount can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the sum has more than 28 digits: an amount in it cannot be right")]
pub struct SumTooLong;

/// A sum from which amounts can be taken again. It is kept by the number of digits behind the mark, because amounts
/// with 28 digits before it and with 28 behind it have no sum that is an amount.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MoneySum(Vec<SumPart>);

/// The sum of amounts with so many digits behind the mark, in units of the last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct SumPart {
    scale: u32,
    units: i128,
}

impl MoneySum {
    /// The sum of one amount.
    pub fn of(amount: Decimal) -> MoneySum {
        let mut sum = MoneySum::default();
        sum.add_amount(amount);
        sum
    }

    /// Adds one amount.
    pub fn add_amount(&mut self, amount: Decimal) {
        self.add_part(SumPart { scale: amount.scale(), units: amount.mantissa() });
    }

    /// Adds another sum.
    pub fn add(&mut self, other: &MoneySum) {
        other.0.iter().for_each(|part| self.add_part(*part));
    }

    /// The sum of the same amounts with the other sign.
    #[must_use]
    pub fn negated(&self) -> MoneySum {
        let mut sum = MoneySum::default();
        for part in &self.0 {
            // No part is the one number that has no negative: see `add_part`.
            sum.add_part(SumPart { units: part.units.saturating_neg(), ..*part });
        }
        sum
    }

    /// Whether it is kept as nothing: what was added was taken again.
    pub fn is_nothing(&self) -> bool {
        self.0.is_empty()
    }

    /// The sum as an amount.
    ///
    /// ```
    /// use postbridge::domain::money_sum::MoneySum;
    ///
    /// let mut sum = MoneySum::of("7.00".parse().unwrap());
    /// sum.add(&MoneySum::of("0.5".parse().unwrap()));
    /// assert_eq!(sum.amount().unwrap().to_string(), "7.50");
    /// ```
    ///
    /// # Errors
    /// Where no amount has so many digits.
    pub fn amount(&self) -> Result<Decimal, SumTooLong> {
        let scale = self.0.iter().map(|part| part.scale).max().unwrap_or(0);
        let mut units: i128 = 0;
        for part in &self.0 {
            let power = 10_i128.checked_pow(scale - part.scale).ok_or(SumTooLong)?;
            let scaled = part.units.checked_mul(power).ok_or(SumTooLong)?;
            units = units.checked_add(scaled).ok_or(SumTooLong)?;
        }
        Decimal::try_from_i128_with_scale(units, scale).map_err(|_| SumTooLong)
    }

    fn add_part(&mut self, part: SumPart) {
        let fits = |known: &SumPart| {
            let sum = known.units.checked_add(part.units).filter(|sum| *sum != i128::MIN);
            sum.filter(|_| known.scale == part.scale)
        };
        let found = self.0.iter().enumerate().find_map(|(at, known)| Some((at, fits(known)?)));
        match found {
            Some((at, 0)) => drop(self.0.remove(at)),
            Some((at, units)) => self.0.get_mut(at).into_iter().for_each(|known| known.units = units),
            // What the parts of its scale have no room for is a further part.
            None if part.units != 0 => {
                let at = self.0.partition_point(|known| known.scale <= part.scale);
                self.0.insert(at, part);
            }
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(amounts: &[&str]) -> MoneySum {
        let mut sum = MoneySum::default();
        amounts.iter().for_each(|amount| sum.add(&MoneySum::of(amount.parse().unwrap())));
        sum
    }

    #[test]
    fn amounts_of_any_scale_add_up_exactly() {
        assert_eq!(sum(&["0.1", "0.20", "-0.003", "7"]).amount().unwrap().to_string(), "7.297");
        assert_eq!(sum(&[]).amount().unwrap(), Decimal::ZERO);
        assert_eq!(sum(&["5.00", "-5.00"]), MoneySum::default());
    }

    #[test]
    fn what_was_added_can_be_taken_again_also_where_the_sum_is_no_amount() {
        let great = "9999999999999999999999999999";
        let small = "0.0000000000000000000000000001";
        let mut all = sum(&[great, small, "7.25"]);
        assert_eq!(all.amount(), Err(SumTooLong), "56 digits are no amount, and are not rounded to one");
        all.add(&sum(&[great]).negated());
        assert_eq!(all.amount().unwrap().to_string(), "7.2500000000000000000000000001");
        all.add(&sum(&[small]).negated());
        assert_eq!(all, sum(&["7.25"]));
        let many = vec![great; 100];
        let mut all = sum(&many);
        assert_eq!(all.amount(), Err(SumTooLong));
        all.add(&sum(&many[1..]).negated());
        assert_eq!(all.amount().unwrap().to_string(), great);
    }

    #[test]
    fn more_than_a_number_holds_is_kept_in_further_parts() {
        let most = MoneySum(vec![SumPart { scale: 2, units: i128::MAX }]);
        let mut all = most.clone();
        all.add(&most);
        assert_eq!(all.amount(), Err(SumTooLong));
        all.add(&most.negated());
        all.add(&most.negated());
        assert!(all.is_nothing());
    }
}
