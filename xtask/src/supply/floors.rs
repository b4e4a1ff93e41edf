//! Versions below which a crate has a known vulnerability that matters here, each with its reason. A lock file that goes below one, by
//! a careless `cargo update --precise` or a new dependency on an old version, fails the check.
//!
//! RustSec's database is the wider net (`cargo audit`, where a network allows); this table also has what is newer than, or
//! not in, that database. Numbers without a name are RUSTSEC ids.

use super::lock::Package;
use boxbox_testkit::version::Version;

/// A crate's lowest good version, in each compatible line that got the repair, rising.
struct Floor {
    name: &'static str,
    lowest: &'static [Version],
    why: &'static str,
}

const fn floor(name: &'static str, lowest: &'static [Version], why: &'static str) -> Floor {
    Floor { name, lowest, why }
}

const FLOORS: &[Floor] = &[
    floor("aws-lc-sys", &[Version::new(0, 39, 0)], "2026-0044 to -0048"),
    floor("bytes", &[Version::new(1, 11, 1)], "2026-0007: overflow in reserve, undefined behaviour in release builds"),
    floor("crossbeam-channel", &[Version::new(0, 5, 15)], "2025-0024: double free"),
    floor("crossbeam-epoch", &[Version::new(0, 9, 20)], "2026-0204"),
    floor("h2", &[Version::new(0, 4, 16)], "2026-0258: flood of empty DATA frames; 2024-0332, 2024-0003"),
    floor("lz4_flex", &[Version::new(0, 11, 6), Version::new(0, 12, 1)], "2026-0041: leaks uninitialised memory"),
    floor(
        "quinn-proto",
        &[Version::new(0, 11, 18)],
        "remote panics 2024-0373 and 2026-0037; memory exhaustion on ordered reads 2026-0185; three more in GHSA-qfwj-vfxf-92j2, GHSA-hmxj-32vh-65vr, \
         GHSA-2hv7-gw8g-gpq5; .17 breaks large streams when the reader lags",
    ),
    floor("ring", &[Version::new(0, 17, 12)], "2025-0009: AES panics with overflow checks on"),
    floor(
        "rkyv",
        &[Version::new(0, 8, 17)],
        "holes through the checked API: 2026-0233 use after free, 2026-0234 hash tables, 2026-0235 Rc; also 2026-0001, 2026-0122",
    ),
    floor("rustls", &[Version::new(0, 23, 45)], "2026-0285: handshake messages across encryption levels; 2024-0336, 2024-0399"),
    floor("rustls-webpki", &[Version::new(0, 103, 14)], "2026-0049, -0098, -0099, -0104: name constraints, CRL matching, a panic on a CRL"),
    floor("sqlx", &[Version::new(0, 8, 1)], "2024-0363: protocol confusion through oversized values"),
    floor("tokio", &[Version::new(1, 44, 2)], "2025-0023: unsound broadcast channel"),
    floor("tracing-subscriber", &[Version::new(0, 3, 20)], "2025-0055: terminal escapes from user input, such as driver names, reach the log"),
];

/// The packages below their floor.
pub(super) fn below(packages: &[Package]) -> Vec<String> {
    let rules = packages.iter().filter_map(|package| Some((package, FLOORS.iter().find(|floor| floor.name == package.name)?)));
    rules
        .filter(|(package, floor)| !package.number().is_some_and(|version| floor.admits(version)))
        .map(|(package, floor)| floor.verdict(package))
        .collect()
}

impl Floor {
    /// True for a version of a repaired line at or above its floor, or of a line newer than all of them.
    fn admits(&self, version: Version) -> bool {
        let own_line = self.lowest.iter().find(|lowest| lowest.line() == version.line());
        own_line.or(self.lowest.last()).is_some_and(|lowest| version >= *lowest)
    }

    fn verdict(&self, package: &Package) -> String {
        let lowest = self.lowest.iter().map(Version::to_string).collect::<Vec<_>>().join(" or ");
        format!("{} {} is below {lowest}: {}", package.name, package.version, self.why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdicts(name: &str, version: &str) -> usize {
        below(&[Package { name: name.into(), version: version.into(), source: None }]).len()
    }

    #[test]
    fn floors_compare_as_versions_not_as_text() {
        assert_eq!(verdicts("quinn-proto", "0.11.9"), 1);
        assert_eq!(verdicts("quinn-proto", "0.11.17"), 1);
        assert_eq!(verdicts("quinn-proto", "0.11.18"), 0);
        assert_eq!(verdicts("quinn-proto", "0.12.0"), 0);
        assert_eq!(verdicts("quinn-proto", "0.10.6"), 1);
        assert_eq!(verdicts("some-other-crate", "0.0.1"), 0);
        assert_eq!(verdicts("rkyv", "garbled"), 1, "what cannot be read is not waved through");
    }

    #[test]
    fn each_repaired_line_has_its_own_floor() {
        assert_eq!(verdicts("lz4_flex", "0.11.5"), 1);
        assert_eq!(verdicts("lz4_flex", "0.11.6"), 0);
        assert_eq!(verdicts("lz4_flex", "0.12.0"), 1);
        assert_eq!(verdicts("lz4_flex", "0.12.1"), 0);
        assert_eq!(verdicts("lz4_flex", "0.14.0"), 0);
        assert_eq!(verdicts("lz4_flex", "0.10.9"), 1);
    }

    #[test]
    fn the_table_is_in_order_and_gives_reasons() {
        assert!(FLOORS.is_sorted_by(|a, b| a.name < b.name));
        assert!(FLOORS.iter().all(|floor| !floor.why.is_empty() && !floor.lowest.is_empty() && floor.lowest.is_sorted()));
    }
}
