//! Sizes on the command line: bytes, or a number with a unit.

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
pub fn bytes(text: &str) -> Result<u64, String> {
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
