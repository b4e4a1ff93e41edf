//! Which columns of a table, or parts of a line, are shown where not all fit.

/// Which of `columns` (rank and width) are shown in `width` with `gap` between two: those with the highest rank are left out until the
/// rest fits. A column is shown whole or not at all.
pub fn fitting(columns: &[(u8, usize)], gap: usize, width: usize) -> Vec<bool> {
    let mut by_rank: Vec<usize> = (0..columns.len()).collect();
    by_rank.sort_by_key(|at| columns[*at].0);
    let (mut shown, mut used) = (vec![false; columns.len()], 0);
    for at in by_rank {
        let needed = columns[at].1 + if used == 0 { 0 } else { gap };
        // What is less important is not shown in place of something more important.
        if used + needed > width {
            break;
        }
        used += needed;
        shown[at] = true;
    }
    shown
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_shown_fits_and_is_the_most_important(columns in proptest::collection::vec((0u8..20, 1usize..20), 0..20), gap in 0usize..3, width in 0usize..200) {
            let shown = fitting(&columns, gap, width);
            let widths: Vec<usize> = columns.iter().zip(&shown).filter(|(_, shown)| **shown).map(|(c, _)| c.1).collect();
            prop_assert!(widths.iter().sum::<usize>() + gap * widths.len().saturating_sub(1) <= width);
            let worst = columns.iter().zip(&shown).filter(|(_, shown)| **shown).map(|(c, _)| c.0).max();
            let best = columns.iter().zip(&shown).filter(|(_, shown)| !**shown).map(|(c, _)| c.0).min();
            prop_assert!(worst.zip(best).is_none_or(|(worst, best)| worst <= best));
        }
    }
}
