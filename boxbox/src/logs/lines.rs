//! The lines of the log: one event is one line, and no text of a player or a client does anything to a terminal or pretends to be a line.

use std::borrow::Cow;
use std::io::{self, Write};

use boxbox_schemas::text::is_hidden;
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::registry::LookupSpan;

use crate::show::stderr::Stderr;

/// Each event as a JSON object: its time, level, target, message and fields side by side.
pub fn json<S, W>(writer: W) -> impl Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'w> MakeWriter<'w> + 'static,
{
    fmt::layer().json().flatten_event(true).with_current_span(false).with_span_list(false).with_writer(writer)
}

/// Writes lines to standard error.
#[derive(Clone, Copy)]
pub struct ToStderr {
    /// The lines have colours, which begin with ESC.
    pub colours: bool,
}

impl<'w> MakeWriter<'w> for ToStderr {
    type Writer = Lines<Stderr>;

    fn make_writer(&'w self) -> Self::Writer {
        Lines { to: Stderr, colours: self.colours }
    }
}

/// Writes events, each of which is one call and ends with a line end.
pub struct Lines<W> {
    to: W,
    colours: bool,
}

impl<W: Write> Write for Lines<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let (line, end) = text.strip_suffix('\n').map_or((&*text, ""), |line| (line, "\n"));
        match shown(line, self.colours) {
            Cow::Borrowed(_) => self.to.write_all(event)?,
            Cow::Owned(line) => self.to.write_all(format!("{line}{end}").as_bytes())?,
        }
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// A line in which characters that do something (control characters, marks of the direction of writing) are written and not done.
fn shown(line: &str, colours: bool) -> Cow<'_, str> {
    // The formatter writes ESC for its colours, and escapes those of messages itself.
    let is_done = |c: char| is_hidden(c) && !(colours && c == '\u{1b}');
    if !line.contains(is_done) {
        return Cow::Borrowed(line);
    }
    let mut out = String::with_capacity(line.len() + 16);
    for c in line.chars() {
        // As JSON writes them, so that a line of JSON stays one: four hexadecimal digits for each unit of UTF-16.
        if is_done(c) {
            c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| out += &format!("\\u{unit:04x}"));
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(text);
            Ok(text.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl<'w> MakeWriter<'w> for Kept {
        type Writer = Lines<Kept>;
        fn make_writer(&'w self) -> Self::Writer {
            Lines { to: self.clone(), colours: false }
        }
    }

    /// Names that try to be more than a name.
    const HOSTILE: [&str; 4] = ["max\n2026-01-01 ERROR forged", "\u{1b}[2J\u{7}", "a\rb\tc", "\u{9b}31m"];

    fn events() {
        for name in HOSTILE {
            tracing::warn!(name, driver = %name, "a client said: {name}");
        }
        tracing::info!(laps = 3, "done");
    }

    #[test]
    fn text_is_one_line_for_each_event_without_control_characters() {
        let kept = Kept::default();
        let layer = fmt::layer().with_ansi(false).with_writer(kept.clone());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), events);
        let text = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.lines().count(), HOSTILE.len() + 1, "{text}");
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
        assert!(text.contains("done laps=3"), "{text}");
    }

    #[test]
    fn json_is_one_object_for_each_event_with_what_was_said() {
        let kept = Kept::default();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(json(kept.clone())), events);
        let text = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
        let objects: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(objects.len(), HOSTILE.len() + 1, "{text}");
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
        for (object, name) in objects.iter().zip(HOSTILE) {
            assert_eq!((object["name"].as_str(), object["level"].as_str()), (Some(name), Some("WARN")));
        }
        assert_eq!((objects[4]["laps"].as_u64(), objects[4]["message"].as_str()), (Some(3), Some("done")));
    }

    #[test]
    fn colours_stay_where_there_are_some() {
        assert_eq!(shown("\u{1b}[31mWARN\u{1b}[0m a\u{7}", true), "\u{1b}[31mWARN\u{1b}[0m a\\u0007");
        assert_eq!(shown("\u{1b}[31m", false), "\\u001b[31m");
        assert_eq!(shown("a\u{202e}b\u{e0001}", false), "a\\u202eb\\udb40\\udc01");
        assert!(matches!(shown("plain, Łódź", false), Cow::Borrowed(_)));
    }
}
