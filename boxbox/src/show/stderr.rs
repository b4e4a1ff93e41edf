//! Standard error: logs and notes for people. While the tower is drawn on the same terminal they wait, and follow when it is gone.

use std::collections::VecDeque;
use std::io::{self, IsTerminal, Write};

use parking_lot::Mutex;

/// Most pieces of text that wait, a line each. The oldest are left out, and counted.
const WAITING_MAX: usize = 500;

/// What waits while the terminal is taken; `None`: it is not.
static WAITING: Mutex<Option<Waiting>> = Mutex::new(None);

#[derive(Default)]
struct Waiting {
    lines: VecDeque<Vec<u8>>,
    left_out: usize,
}

/// A writer to standard error for logs and notes. Each write is one line or more. It never fails, because the failure could not be shown.
pub struct Stderr;

impl Write for Stderr {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        match &mut *WAITING.lock() {
            // A terminal that was closed takes no text; a service that drains because of that must not fail by it.
            None => drop(io::stderr().lock().write_all(text)),
            Some(waiting) => {
                if waiting.lines.len() == WAITING_MAX {
                    waiting.lines.pop_front();
                    waiting.left_out += 1;
                }
                waiting.lines.push_back(text.to_vec());
            }
        }
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let _ = io::stderr().lock().flush();
        Ok(())
    }
}

/// Tell a person something that is no result.
pub fn note(text: &str) {
    let _ = Stderr.write(format!("{text}\n").as_bytes());
}

/// Whether logs may have colours: only on a terminal, and not where NO_COLOR is set (no-color.org).
pub fn has_colours() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) && !is_dumb()
}

/// Whether the terminal can only print line after line.
pub fn is_dumb() -> bool {
    std::env::var_os("TERM").is_some_and(|term| term == "dumb")
}

/// How many lines wait.
pub fn waiting() -> usize {
    WAITING.lock().as_ref().map_or(0, |waiting| waiting.lines.len() + waiting.left_out)
}

/// While it lives, what is written to standard error waits, if that is a terminal.
pub struct Hold(());

impl Hold {
    /// From now on.
    pub fn begin() -> Self {
        Self::begin_if(io::stderr().is_terminal())
    }

    fn begin_if(terminal: bool) -> Self {
        if terminal {
            *WAITING.lock() = Some(Waiting::default());
        }
        Self(())
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let Some(Waiting { lines, left_out }) = WAITING.lock().take() else { return };
        if left_out > 0 {
            note(&format!("boxbox: {left_out} earlier lines of the log were left out"));
        }
        for line in lines {
            let _ = Stderr.write_all(&line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_while_the_terminal_is_taken_waits() {
        let hold = Hold::begin_if(true);
        (0..3).for_each(|n| note(&format!("line {n}")));
        assert_eq!(waiting(), 3);
        (0..WAITING_MAX).for_each(|n| note(&format!("line {n}")));
        assert_eq!(waiting(), 3 + WAITING_MAX, "what is left out is counted");
        assert_eq!(WAITING.lock().as_ref().unwrap().lines.len(), WAITING_MAX, "and memory is bounded");
        drop(hold);
        assert_eq!(waiting(), 0);
        // A file is no terminal: what goes there disturbs no tower.
        let _hold = Hold::begin_if(false);
        note("to standard error");
        assert_eq!(waiting(), 0);
    }
}
