//! [`crash_point`]: points at which tests make a process die.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Where to die: `NAME`, or `NAME:N` for the N-th time that the point is reached.
const VARIABLE: &str = "BOXBOX_CRASH_AT";

/// Whether a crash point is set: the only cost for a process that is not under test.
static ARMED: AtomicBool = AtomicBool::new(true);
static PLACE: OnceLock<Option<(String, AtomicU64)>> = OnceLock::new();

/// Abort the process if `BOXBOX_CRASH_AT` names this point. As in a power cut, no buffer is flushed and no destructor runs.
pub fn crash_point(name: &'static str) {
    if ARMED.load(Ordering::Relaxed) && is_due(name) {
        eprintln!("{VARIABLE}: {name}");
        std::process::abort();
    }
}

#[cold]
fn is_due(name: &str) -> bool {
    let place = PLACE.get_or_init(|| parse(&std::env::var(VARIABLE).ok()?));
    let Some((wanted, left)) = place else {
        ARMED.store(false, Ordering::Relaxed);
        return false;
    };
    wanted == name && left.fetch_sub(1, Ordering::Relaxed) == 1
}

fn parse(text: &str) -> Option<(String, AtomicU64)> {
    let (name, pass) = text.split_once(':').unwrap_or((text, "1"));
    let pass = pass.parse().ok().filter(|pass| *pass > 0)?;
    (!name.is_empty()).then(|| (name.to_owned(), AtomicU64::new(pass)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_named_with_the_pass_at_which_to_die() {
        let of = |text: &str| parse(text).map(|(name, pass)| (name, pass.into_inner()));
        assert_eq!(of("insert-half"), Some(("insert-half".into(), 1)));
        assert_eq!(of("insert-half:3"), Some(("insert-half".into(), 3)));
        assert_eq!((of(""), of("insert-half:0"), of("insert-half:x")), (None, None, None));
    }
}
