//! How explanations write values.

/// A time as `1803.200 s`, without floating point.
pub(super) fn seconds(us: i64) -> String {
    let (sign, us) = (if us < 0 { "-" } else { "" }, us.unsigned_abs());
    let (whole, rest) = (us / 1_000_000, us % 1_000_000);
    if rest % 1_000 == 0 { format!("{sign}{whole}.{:03} s", rest / 1_000) } else { format!("{sign}{whole}.{rest:06} s") }
}
