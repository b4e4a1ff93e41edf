//! What people write in a cell or after an option: times, distances, yes and no.

use boxbox_race::scoring::{Distance, Points};

const SECOND_US: i64 = 1_000_000;
/// Longest time that makes sense: a hundred hours.
const TIME_MAX_US: i64 = 360_000 * SECOND_US;

/// `1:32:14.123`, `32:14.123` or `92.5` as µs.
pub fn time_us(text: &str) -> Option<i64> {
    let mut parts = text.split(':').rev();
    let seconds = parts.next()?;
    // Decimal commas are common where the columns are separated by semicolons.
    let (whole, decimals) = seconds.split_once(['.', ',']).unwrap_or((seconds, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || whole.is_empty() || !digits(decimals) || decimals.len() > 6 {
        return None;
    }
    let mut us = whole.parse::<i64>().ok()?.checked_mul(SECOND_US)? + format!("{decimals:0<6}").parse::<i64>().ok()?;
    // The units come first: zip takes of its first side what the second has nothing for.
    for (unit, part) in [60, 3_600].into_iter().zip(parts.by_ref()) {
        if part.is_empty() || !digits(part) {
            return None;
        }
        us = part.parse::<i64>().ok()?.checked_mul(unit * SECOND_US)?.checked_add(us)?;
    }
    (parts.next().is_none() && us <= TIME_MAX_US).then_some(us)
}

/// Seconds of a time penalty, such as `5` or `2.5`, as µs above 0.
pub fn seconds_us(text: &str) -> Result<i64, String> {
    let us = if text.contains(':') { None } else { time_us(text) };
    us.filter(|us| *us > 0).ok_or_else(|| format!("{text:?}: write seconds above 0, such as 5 or 2.5"))
}

/// Yes or no; nothing is no.
pub fn yes(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "" | "no" | "n" | "false" | "0" | "-" => Some(false),
        "yes" | "y" | "true" | "1" | "x" => Some(true),
        _ => None,
    }
}

/// `EVENT=PART`, or `EVENT=PART,LAPS` with the laps under green.
pub fn distance(text: &str) -> Result<(String, Distance), String> {
    let wrong = || format!("{text:?}: write EVENT=PART, such as Spa=1/44, or EVENT=PART,LAPS with the laps under green");
    let (event, value) = text.rsplit_once('=').ok_or_else(wrong)?;
    let (part, green) = value.split_once(',').map_or((value, None), |(part, green)| (part, Some(green)));
    let part: Points = part.trim().parse().map_err(|_| wrong())?;
    if part.is_negative() || part > Points::from(1) {
        return Err(format!("{text:?}: the part of the distance is from 0 to 1"));
    }
    let green_laps = green.map(|green| green.trim().parse().map_err(|_| wrong())).transpose()?;
    Ok((event.to_owned(), Distance { part, green_laps }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_to_the_microsecond() {
        for (text, us) in [("92.5", 92_500_000), ("1:32.000001", 92_000_001), ("1:32:14.123", 5_534_123_000), ("0:05,5", 5_500_000)] {
            assert_eq!(time_us(text), Some(us), "{text}");
        }
        for text in ["", ":", "1:", "1:2:3:4", "-5", "1.2.3", "a", "1:-2", "9999999999", "1.1234567", "99999999999999999999:1"] {
            assert_eq!(time_us(text), None, "{text}");
        }
    }

    #[test]
    fn penalties_are_seconds_above_0() {
        for (text, us) in [("5", 5_000_000), ("2.5", 2_500_000), ("0.001", 1_000)] {
            assert_eq!(seconds_us(text), Ok(us), "{text}");
        }
        for text in ["0", "0.0", "-5", "1:00", "5s", "", "NaN"] {
            assert!(seconds_us(text).is_err(), "{text}");
        }
    }

    #[test]
    fn distances_are_parts() {
        let (event, distance) = super::distance("Spa=1/44,1").unwrap();
        assert_eq!((event.as_str(), distance), ("Spa", Distance { part: Points::new(1, 44), green_laps: Some(1) }));
        for text in ["Spa", "Spa=", "Spa=2", "Spa=-1", "Spa=1/2,x"] {
            assert!(super::distance(text).is_err(), "{text}");
        }
    }
}
