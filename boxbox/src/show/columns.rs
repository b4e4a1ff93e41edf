//! Which columns of a table, or parts of a line, are shown where not all fit.

use std::io::IsTerminal;

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

/// Makes the column `at`, which holds names, so narrow that all columns up to rank `needed` fit in `width`, if that leaves something of the
/// names.
pub fn narrowed(columns: &mut [(u8, usize)], at: usize, needed: u8, gap: usize, width: usize) {
    let others = columns.iter().enumerate().filter(|(other, (rank, _))| *other != at && *rank <= needed);
    let taken: usize = others.map(|(_, (_, size))| size + gap).sum();
    let left = width.saturating_sub(taken);
    if let Some((_, size)) = columns.get_mut(at).filter(|_| left >= NAME_LEAST) {
        *size = (*size).min(left);
    }
}

/// Characters of a name at least: fewer say nothing.
const NAME_LEAST: usize = 4;

/// A text of `size` characters at most: what does not fit is left out at the end.
pub fn shortened(text: &str, size: usize) -> String {
    if text.chars().count() <= size { text.to_owned() } else { text.chars().take(size.saturating_sub(1)).chain(['…']).take(size).collect() }
}

/// Columns of the terminal on which standard output is; `None`: it is none.
pub fn of_terminal() -> Option<usize> {
    let columns = ratatui::crossterm::terminal::size().ok().filter(|_| std::io::stdout().is_terminal());
    columns.map(|(columns, _)| columns.into()).filter(|columns| *columns > 0)
}

/// Rows as lines. `columns`: rank, least width, and whether the column is aligned to the right. In a terminal of `width` columns those
/// with the highest ranks are left out until the rest fits.
pub fn table<const N: usize>(rows: &[[String; N]], columns: &[(u8, usize, bool); N], gap: usize, width: Option<usize>) -> Vec<String> {
    padded(rows, columns, gap, width).iter().map(|line| line.trim_end().to_owned()).collect()
}

/// As [`table`], all lines of one length, for text that follows.
pub fn padded<const N: usize>(rows: &[[String; N]], columns: &[(u8, usize, bool); N], gap: usize, width: Option<usize>) -> Vec<String> {
    let longest = |at: usize| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0);
    let sizes: Vec<(u8, usize)> = columns.iter().enumerate().map(|(at, (rank, least, _))| (*rank, longest(at).max(*least))).collect();
    let shown = fitting(&sizes, gap, width.unwrap_or(usize::MAX));
    let line = |row: &[String; N]| {
        let cells = row.iter().enumerate().filter(|(at, _)| shown[*at]).map(|(at, text)| {
            let size = sizes[at].1;
            if columns[at].2 { format!("{text:>size$}") } else { format!("{text:<size$}") }
        });
        cells.collect::<Vec<_>>().join(&" ".repeat(gap))
    };
    rows.iter().map(line).collect()
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

    #[test]
    fn names_are_shortened_before_columns_are_left_out() {
        let columns = [(0, 4), (1, 12), (2, 6), (3, 9)];
        for (width, name) in [(80, 12), (26, 12), (25, 11), (20, 6), (18, 4), (17, 12), (0, 12)] {
            let mut narrow = columns;
            narrowed(&mut narrow, 1, 2, 2, width);
            assert_eq!(narrow, [(0, 4), (1, name), (2, 6), (3, 9)], "{width}");
            assert!(width < 18 || fitting(&narrow, 2, width)[..3] == [true; 3], "{width}");
        }
        assert_eq!(["Anna", "Annabella", "Łukaszek"].map(|name| shortened(name, 5)), ["Anna", "Anna…", "Łuka…"]);
    }

    #[test]
    fn a_table_is_aligned_and_leaves_out_whole_columns() {
        let rows = [["1", "Anna", "1:31.001"], ["12", "Bob", "1:32.000"]].map(|row| row.map(str::to_owned));
        let columns = [(0, 3, true), (2, 4, false), (1, 8, true)];
        assert_eq!(table(&rows, &columns, 2, None), ["  1  Anna  1:31.001", " 12  Bob   1:32.000"]);
        assert_eq!(table(&rows, &columns, 2, Some(18)), ["  1  1:31.001", " 12  1:32.000"]);
        assert_eq!(table(&rows, &columns, 2, Some(12)), ["  1", " 12"]);
    }
}
