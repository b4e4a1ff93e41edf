//! Pictures as SVG text: the few shapes that are needed. Every text is escaped, and there are no scripts.

mod compare;
mod map;

pub(crate) use compare::{Chart, Curve};
pub(crate) use map::Map;

use std::fmt::{Display, Write};

/// A picture that is being written.
pub(crate) struct Canvas {
    text: String,
}

/// Where a text is anchored.
#[derive(Clone, Copy)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

impl Canvas {
    /// An empty white picture of this size, px, with a title for screen readers.
    pub(crate) fn new(width: f64, height: f64, title: &str) -> Self {
        let text = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
             font-family=\"Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif\" role=\"img\">\n\
             <title>{}</title>\n<rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>\n",
            Escaped(title)
        );
        Self { text }
    }

    /// The finished picture.
    pub(crate) fn finish(mut self) -> String {
        self.text.push_str("</svg>\n");
        self.text
    }

    /// A straight line; `style`: attributes, which are not escaped.
    pub(crate) fn line(&mut self, from: (f64, f64), to: (f64, f64), style: &str) {
        self.put(format_args!("<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" {style}/>", from.0, from.1, to.0, to.1));
    }

    /// A line through points.
    pub(crate) fn polyline(&mut self, points: impl IntoIterator<Item = (f64, f64)>, style: &str) {
        let mut path = String::new();
        for (x, y) in points {
            // Writing to a string does not fail.
            let _ = write!(path, "{x:.1},{y:.1} ");
        }
        self.put(format_args!("<polyline points=\"{}\" fill=\"none\" stroke-linejoin=\"round\" {style}/>", path.trim_end()));
    }

    /// A filled shape.
    pub(crate) fn polygon(&mut self, points: impl IntoIterator<Item = (f64, f64)>, style: &str) {
        let mut path = String::new();
        for (x, y) in points {
            let _ = write!(path, "{x:.1},{y:.1} ");
        }
        self.put(format_args!("<polygon points=\"{}\" {style}/>", path.trim_end()));
    }

    /// A filled rectangle.
    pub(crate) fn rect(&mut self, at: (f64, f64), size: (f64, f64), style: &str) {
        self.put(format_args!("<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" {style}/>", at.0, at.1, size.0, size.1));
    }

    /// A text with any content; `size` in px.
    pub(crate) fn text(&mut self, at: (f64, f64), anchor: Anchor, size: f64, style: &str, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        self.put(format_args!(
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\" font-size=\"{size}\" {style}>{}</text>",
            at.0,
            at.1,
            Escaped(text)
        ));
    }

    /// A text that runs upwards.
    pub(crate) fn upwards(&mut self, at: (f64, f64), size: f64, style: &str, text: &str) {
        let turn = format!("transform=\"rotate(-90 {:.1} {:.1})\" {style}", at.0, at.1);
        self.text(at, Anchor::Middle, size, &turn, text);
    }

    fn put(&mut self, shape: std::fmt::Arguments<'_>) {
        let _ = writeln!(self.text, "{shape}");
    }
}

/// Escapes a text for XML; control characters, which XML cannot contain, are left out.
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => {}
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// A step of 1, 2 or 5 times a power of ten, so that `span` has at most `most` steps.
pub(crate) fn nice_step(span: f64, most: f64) -> f64 {
    let raw = (span / most).max(1e-9);
    let power = 10f64.powf(raw.log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|m| m * power).find(|step| *step >= raw * (1.0 - 1e-9)).unwrap_or(10.0 * power)
}

/// Multiples of `step` from `low` to `high`.
pub(crate) fn ticks(low: f64, high: f64, step: f64) -> impl Iterator<Item = f64> {
    let (first, last) = ((low / step - 1e-9).ceil() as i64, (high / step + 1e-9).floor() as i64);
    (first..=last).map(move |k| k as f64 * step)
}

/// A lap time in the usual form; a lap may have none.
pub(crate) fn lap_time_or_none(us: Option<i64>) -> String {
    us.map_or_else(|| "no time".into(), lap_time)
}

/// A lap time in the usual form: `1:32.556`.
fn lap_time(us: i64) -> String {
    let ms = (us + 500).div_euclid(1_000);
    format!("{}:{:02}.{:03}", ms / 60_000, ms / 1_000 % 60, ms % 1_000)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_text_becomes_markup(text in "\\PC{0,40}|[<>&\"'\\x00-\\x1f]{0,10}") {
            let mut canvas = Canvas::new(10.0, 10.0, &text);
            canvas.text((1.0, 1.0), Anchor::Start, 9.0, "", &text);
            let svg = canvas.finish();
            prop_assert_eq!(svg.matches('<').count(), "<svg><title></title><rect/><text></text></svg>".matches('<').count());
            prop_assert!(svg.chars().all(|c| c == '\n' || !c.is_control()));
        }

        #[test]
        fn steps_are_nice_and_few(span in 1e-3f64..1e6, most in 2.0f64..20.0) {
            let step = nice_step(span, most);
            prop_assert!(span / step <= most * 1.001 && span / step > most / 2.6, "{} {}", step, span / step);
            prop_assert!(ticks(0.0, span, step).count() as f64 <= most + 1.01);
        }
    }

    #[test]
    fn lap_times_are_rounded_once() {
        assert_eq!(
            (lap_time(92_556_400).as_str(), lap_time(59_999_500).as_str(), lap_time(605_001_000).as_str()),
            ("1:32.556", "1:00.000", "10:05.001")
        );
    }
}
