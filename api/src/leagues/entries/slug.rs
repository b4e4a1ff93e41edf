//! [`slug`]: a name as it can stand in an address.

/// Longest slug.
pub(super) const SLUG_MAX: usize = 40;

/// A name as a slug: `Red Racing` is `red-racing`.
pub(super) fn slug(name: &str) -> String {
    let plain: String = name.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let parts: Vec<&str> = plain.split('-').filter(|part| !part.is_empty()).collect();
    let mut slug = parts.join("-");
    slug.truncate(SLUG_MAX);
    slug
}
