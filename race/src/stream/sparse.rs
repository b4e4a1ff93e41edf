//! What is not worth storing.

/// What is not worth storing: it is what a missing field means.
pub(super) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
