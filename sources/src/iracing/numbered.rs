//! Lists whose items have numbers of their own, of which two can be the same: one of them is damaged.

/// Most items that are compared. A session has at most 256 cars.
const ITEMS_MAX: usize = 512;

/// Which items have a number that another item has with more right.
///
/// The simulator lists items in the order of their numbers and leaves some numbers out, so that a number less its index never falls from
/// item to item and never is below 0. Where both numbers keep that order, fewer numbers are left out before the last of them.
pub(super) fn usurped(numbers: &[Option<u32>]) -> Vec<bool> {
    let numbers = &numbers[..numbers.len().min(ITEMS_MAX)];
    let left_out = |n: usize| numbers[n].map(|number| i64::from(number) - n as i64);
    let breaks_order = |n: usize| {
        let other = |k: &usize| numbers[*k].is_some() && numbers[*k] != numbers[n];
        let (before, behind) = ((0..n).rev().find(other), (n + 1..numbers.len()).find(other));
        left_out(n) < Some(0) || before.is_some_and(|k| left_out(k) > left_out(n)) || behind.is_some_and(|k| left_out(n) > left_out(k))
    };
    let claim = |n: usize| (breaks_order(n), left_out(n));
    let same = |n: usize| (0..numbers.len()).filter(move |k| *k != n && numbers[*k].is_some() && numbers[*k] == numbers[n]);
    (0..numbers.len()).map(|n| same(n).any(|k| claim(k) < claim(n))).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::usurped;

    proptest! {
        /// One number of a list without gaps becomes any other that is there.
        #[test]
        fn a_number_that_became_another_is_found(len in 2usize..40, damaged: prop::sample::Index, other: prop::sample::Index) {
            let (damaged, other) = (damaged.index(len), other.index(len));
            let numbers: Vec<Option<u32>> = (0..len).map(|n| Some(if n == damaged { other } else { n } as u32)).collect();
            let expected: Vec<bool> = (0..len).map(|n| n == damaged && other != damaged).collect();
            prop_assert_eq!(usurped(&numbers), expected);
        }
    }

    #[test]
    fn numbers_may_be_left_out() {
        let numbers = |all: &[u32]| all.iter().map(|n| Some(*n)).collect::<Vec<_>>();
        assert_eq!(usurped(&numbers(&[0, 5, 9, 40])), [false; 4]);
        // 7 became 40, or 9 did.
        assert_eq!(usurped(&numbers(&[0, 5, 40, 9, 40])), [false, false, true, false, false]);
        assert_eq!(usurped(&numbers(&[0, 5, 7, 5, 40])), [false, false, false, true, false]);
        assert_eq!(usurped(&[None, Some(1), None]), [false; 3]);
    }
}
