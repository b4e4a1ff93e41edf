//! Versions as crates and tools print them: up to four numbers with dots, anything after them ignored.

use std::fmt;

/// A version, for comparing only: `0.8.18`, `17.0.15+6`, `2.1.3+zstd.1.5.7`. Missing numbers count as 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version([u32; 4]);

impl Version {
    /// A version of three numbers.
    pub const fn new(major: u32, minor: u32, patch: u32) -> Self {
        Self([major, minor, patch, 0])
    }

    /// Reads the version that `text` begins with; `None` if it begins with no number.
    pub fn parse(text: &str) -> Option<Self> {
        let numbers = text.split(|c: char| !c.is_ascii_digit() && c != '.').next()?;
        let mut version = [0; 4];
        for (place, number) in version.iter_mut().zip(numbers.split('.').take_while(|n| !n.is_empty())) {
            *place = number.parse().ok()?;
        }
        numbers.starts_with(|c: char| c.is_ascii_digit()).then_some(Self(version))
    }

    /// Finds the first version inside `text`, such as a tool's `--version` line; a lone number counts.
    pub fn find(text: &str) -> Option<Self> {
        let word = |part: &&str| part.starts_with(|c: char| c.is_ascii_digit());
        text.split(|c: char| c.is_whitespace() || matches!(c, '"' | '(' | ')' | ',')).find(word).and_then(Self::parse)
    }

    /// The first number.
    pub fn major(self) -> u32 {
        self.0[0]
    }

    /// The numbers up to and including the first that is not 0: cargo treats versions that agree in these as compatible.
    pub fn line(self) -> (u32, u32) {
        let [major, minor, patch, _] = self.0;
        match (major, minor) {
            (0, 0) => (0, patch << 16),
            (0, minor) => (0, minor),
            (major, _) => (major, 0),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch, build] = self.0;
        write!(f, "{major}.{minor}.{patch}")?;
        if build > 0 { write!(f, ".{build}") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_order_as_numbers() {
        let v = |text| Version::parse(text).unwrap();
        assert!(v("0.11.9") < v("0.11.18"));
        assert!(v("0.103.9") < v("0.103.14"));
        assert!(v("1.0.0") > v("0.99.99"));
        assert_eq!(v("2.1.3+zstd.1.5.7"), Version::new(2, 1, 3));
        assert_eq!(v("1.11"), v("1.11.0"));
        assert_eq!(Version::parse("beta"), None);
        assert_eq!(Version::parse(".5"), None);
    }

    #[test]
    fn found_in_what_tools_print() {
        let find = |text| Version::find(text).unwrap();
        assert_eq!(find("rustc 1.95.0 (f2d3ce0bd 2026-03-21)"), Version::new(1, 95, 0));
        assert_eq!(find("openjdk version \"17.0.15\" 2025-04-15"), Version::new(17, 0, 15));
        assert_eq!(find("openjdk version \"25\" 2025-09-16").major(), 25);
        assert_eq!(find("java version \"1.8.0_402\"").major(), 1);
        assert_eq!(find("gcc (Debian 12.2.0-14) 12.2.0"), Version::new(12, 2, 0));
        assert_eq!(find("GNU Make 4.3"), Version::new(4, 3, 0));
        assert_eq!(Version::find("no number here"), None);
    }

    #[test]
    fn lines_are_cargos() {
        let line = |text| Version::parse(text).unwrap().line();
        assert_eq!(line("0.11.6"), line("0.11.99"));
        assert_ne!(line("0.11.6"), line("0.12.1"));
        assert_eq!(line("1.2.3"), line("1.9.0"));
        assert_ne!(line("0.0.1"), line("0.0.2"));
    }
}
