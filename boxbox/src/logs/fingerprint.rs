//! [`Repeats`]: how often the same error may be reported. The same is what comes from the same line of the program.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// The same error is reported once in this time.
const ONCE_IN: Duration = Duration::from_secs(60);
/// Reports of all errors in that time.
const ALL_IN: u32 = 30;
/// Errors that are remembered; the program has fewer lines that log one.
const KNOWN_MAX: usize = 1_024;

/// What was reported, and what was left out.
#[derive(Debug)]
pub struct Repeats {
    known: HashMap<String, Known>,
    began: Instant,
    reported: u32,
}

#[derive(Debug)]
struct Known {
    at: Instant,
    left_out: u64,
}

impl Repeats {
    pub fn new(now: Instant) -> Self {
        Self { known: HashMap::new(), began: now, reported: 0 }
    }

    /// The error from this place happens now. `Some`: report it, and how often it was left out before; `None`: it was reported a while ago.
    pub fn happens(&mut self, place: &str, now: Instant) -> Option<u64> {
        if now.saturating_duration_since(self.began) >= ONCE_IN {
            (self.began, self.reported) = (now, 0);
        }
        let known = self.known.get_mut(place);
        let soon = known.as_ref().is_some_and(|known| now.saturating_duration_since(known.at) < ONCE_IN);
        let full = self.reported >= ALL_IN || (known.is_none() && self.known.len() >= KNOWN_MAX);
        if soon || full {
            if let Some(known) = self.known.get_mut(place) {
                known.left_out += 1;
            }
            return None;
        }
        self.reported += 1;
        let before = self.known.insert(place.to_owned(), Known { at: now, left_out: 0 });
        Some(before.map_or(0, |known| known.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_error_is_reported_once_in_a_while_with_how_often_it_came() {
        let began = Instant::now();
        let mut repeats = Repeats::new(began);
        assert_eq!(repeats.happens("a.rs:1", began), Some(0));
        assert!((0..10).all(|_| repeats.happens("a.rs:1", began).is_none()));
        assert_eq!(repeats.happens("a.rs:2", began), Some(0), "another line is another error");
        assert_eq!(repeats.happens("a.rs:1", began + ONCE_IN), Some(10));
    }

    #[test]
    fn many_errors_at_once_are_some_reports() {
        let began = Instant::now();
        let mut repeats = Repeats::new(began);
        let reported = (0..10_000).filter(|n| repeats.happens(&format!("a.rs:{n}"), began).is_some()).count();
        assert_eq!(reported, ALL_IN as usize);
        assert!(repeats.happens("b.rs:1", began + ONCE_IN).is_some());
        assert!(repeats.known.len() <= KNOWN_MAX);
    }
}
