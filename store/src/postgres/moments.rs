//! Queries for a moment of a session, which PostgreSQL answers with a few index lookups.

/// $3 the moment.
pub(super) const LAPS_AT: &str = concat!(
    entries!(),
    "SELECT l.body FROM entries e CROSS JOIN LATERAL ( \
     SELECT b.number, b.body FROM laps b WHERE b.session = $2 AND b.entry = e.entry AND NOT b.superseded AND b.start_us <= $3 \
     ORDER BY b.start_us DESC, b.number DESC LIMIT 2) l ORDER BY e.entry, l.number"
);

/// $3 ended by, $4 begun before, $5 the lowest number. The column `time_us` is the time that decides.
pub(super) const BEST_LAPS: &str = concat!(
    entries!(),
    "SELECT l.body FROM entries e CROSS JOIN LATERAL ( \
     SELECT b.body FROM laps b WHERE b.session = $2 AND b.entry = e.entry AND NOT b.superseded AND b.reasons = 0 AND b.end_us <= $3 AND b.start_us < $4 AND b.number >= $5 \
     ORDER BY b.time_us, b.end_us, b.number LIMIT 1) l ORDER BY e.entry"
);
