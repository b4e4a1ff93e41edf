//! Sizes on the command line: bytes, or a number with a unit.

use std::fmt;
use std::str::FromStr;

/// A number of bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Size(pub u64);

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        bytes(text).map(Self)
    }
}

impl fmt::Display for Size {
    /// In the largest unit of 1,024 in which it is a whole number, as the command line takes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = |unit: &&(&str, u64)| self.0 >= unit.1 && self.0.is_multiple_of(unit.1);
        let (unit, size) = SHOWN.iter().find(whole).unwrap_or(&("", 1));
        write!(f, "{}{unit}", self.0 / size)
    }
}

/// Units that are printed, the largest first.
const SHOWN: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];

/// Units: of a thousand each, and of 1,024 each.
const UNITS: [(&str, u64); 9] = [
    ("", 1),
    ("b", 1),
    ("kb", 1_000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("tb", 1_000_000_000_000),
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
];

/// The bytes that a text says: `67108864`, `100MiB`, `1.5 GB`.
///
/// # Errors
/// If it says none; what is expected, for people.
fn bytes(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let unit = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, name) = (&text[..unit], text[unit..].trim().to_ascii_lowercase());
    let times = UNITS.iter().find(|(unit, _)| *unit == name).map(|(_, times)| *times);
    let whole = number.parse::<u64>().ok().zip(times).and_then(|(number, times)| number.checked_mul(times));
    let parts = || {
        let bytes = number.parse::<f64>().ok().filter(|n| n.is_finite())? * times? as f64;
        (bytes < 9e18).then_some(bytes as u64)
    };
    // Parts of a byte are a slip.
    let parts = if times > Some(1) && number.contains('.') && number.starts_with(|c: char| c.is_ascii_digit()) { parts() } else { None };
    whole.or(parts).ok_or_else(|| "a size is a number of bytes, or a number with a unit: 67108864, 100MiB, 2GB, 1.5GiB".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_shown_as_it_can_be_given() {
        for (bytes, text) in [(20 << 30, "20GiB"), (3 << 29, "1536MiB"), (64 << 10, "64KiB"), (1_000, "1000"), (0, "0")] {
            assert_eq!(Size(bytes).to_string(), text);
            assert_eq!(text.parse(), Ok(Size(bytes)));
        }
    }

    #[test]
    fn sizes_are_bytes_or_have_a_unit() {
        for (text, expected) in [
            ("0", 0),
            ("67108864", 64 << 20),
            ("100MiB", 100 << 20),
            ("2GB", 2_000_000_000),
            ("2 gb", 2_000_000_000),
            ("1.5GiB", 3 << 29),
            ("64kib", 64 << 10),
            ("7B", 7),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(bytes(text), Ok(expected), "{text}");
        }
        for text in
            ["", "MiB", "-1", "1.5", "1.5B", "1..5MB", ".5MB", "1e9", "10 XB", "2GBs", "20000000000GB", "0x10", "1,000", "18446744073709551616"]
        {
            assert!(bytes(text).is_err_and(|why| why.contains("100MiB")), "{text}");
        }
    }
}
