//! Leaving default values out of stored states.

/// Whether a field need not be stored, because a missing field is read as its default.
pub(super) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
