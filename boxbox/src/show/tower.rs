//! [`Tower`]: the order of a race on a terminal, redrawn ten times a second.
//!
//! The terminal is always restored: when the tower is dropped, and by a hook when anything panics.

use std::time::Duration;

use boxbox_race::timing::{Standing, competitor};
use boxbox_race::view::SessionView;
use boxbox_schemas::frame::Flags;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use ratatui::layout::{Constraint, Flex, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, Gauge, Paragraph, Row, Table, Wrap};
use ratatui::{DefaultTerminal, Frame};

use crate::show::report::{lap_time, seconds};
use crate::show::stderr::Hold;
use crate::show::{columns, stderr};

/// Distinct colours of classes, in order of their ids.
const CLASS_COLOURS: [Color; 6] = [Color::Cyan, Color::Magenta, Color::LightGreen, Color::LightBlue, Color::LightYellow, Color::LightRed];

/// The progress of a race.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    /// Laps of the race.
    pub laps: u32,
    /// Part of the race that is driven, 0 to 1.
    pub done: f64,
    /// Session time, µs.
    pub now_us: i64,
    /// Frames sent per second, now.
    pub frames_per_s: f64,
    /// Frames sent so far.
    pub sent: u64,
    /// Frames that the server has acked.
    pub acked: u64,
}

/// A terminal in raw mode on its alternate screen.
pub struct Tower {
    terminal: DefaultTerminal,
    top: usize,
    /// URL of the page that shows the same in a browser.
    page: String,
    /// Dropped when the terminal is restored: what waited is printed then.
    _hold: Hold,
}

impl Tower {
    /// Take over the terminal. `page`: URL of the page that shows the same in a browser.
    pub fn open(page: String) -> anyhow::Result<Self> {
        // This installs the hook that restores the terminal when anything panics.
        let hold = Hold::begin();
        Ok(Self { terminal: ratatui::try_init()?, top: 0, page, _hold: hold })
    }

    /// Draw the session as it is now.
    pub fn draw(&mut self, view: &SessionView, progress: &Progress) -> anyhow::Result<()> {
        let rows = view.order(None);
        let height = usize::from(self.terminal.size()?.height.saturating_sub(5)).max(1);
        self.top = self.top.min(rows.len().saturating_sub(height));
        let (top, page) = (self.top, &self.page);
        self.terminal.draw(|frame| draw(frame, view, &rows, top, progress, page))?;
        Ok(())
    }

    /// Handle the keys pressed since the last call; `true` if the user wants to leave.
    pub fn asked_to_leave(&mut self) -> anyhow::Result<bool> {
        while event::poll(Duration::ZERO)? {
            let Event::Key(key) = event::read()? else { continue };
            if key.kind == KeyEventKind::Release {
                continue;
            }
            match key.code {
                // In raw mode Ctrl-C is a key like any other.
                KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => return Ok(true),
                KeyCode::Char('q') | KeyCode::Esc => return Ok(true),
                KeyCode::Down => self.top += 1,
                KeyCode::Up => self.top = self.top.saturating_sub(1),
                KeyCode::PageDown => self.top += 10,
                KeyCode::PageUp => self.top = self.top.saturating_sub(10),
                _ => {}
            }
        }
        Ok(false)
    }
}

impl Drop for Tower {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

fn draw(frame: &mut Frame, view: &SessionView, rows: &[Standing], top: usize, progress: &Progress, page: &str) {
    let areas = Layout::vertical([Constraint::Length(1), Constraint::Fill(1), Constraint::Length(1), Constraint::Length(1)]).split(frame.area());
    frame.render_widget(fitting(header(view, rows, progress), areas[0].width), areas[0]);
    let order = Order::of(view, rows, top, areas[1].height);
    match order.table(areas[1].width) {
        Some(table) => frame.render_widget(table, areas[1]),
        None => frame.render_widget(Paragraph::new("make the terminal wider").wrap(Wrap { trim: true }), areas[1]),
    }
    let done = progress.done.clamp(0.0, 1.0);
    let label = if areas[2].width < BAR_LABEL_FROM { String::new() } else { format!("{:.0} %", done * 100.0) };
    let bar = Gauge::default().gauge_style(Style::new().fg(Color::Green).bg(Color::DarkGray)).ratio(done).label(label);
    frame.render_widget(bar, areas[2]);
    frame.render_widget(fitting(footer(rows.len(), top, areas[1], progress, page), areas[3].width).style(Style::new().fg(Color::Gray)), areas[3]);
}

/// A part of a line; the parts with the highest rank are left out first.
struct Part<'a> {
    rank: u8,
    span: Span<'a>,
}

fn part<'a>(rank: u8, text: impl Into<Span<'a>>) -> Part<'a> {
    Part { rank, span: text.into() }
}

/// The parts that fit in `width` columns, two spaces between them: a part that does not fit is left out as a whole.
fn fitting(parts: Vec<Part<'_>>, width: u16) -> Line<'_> {
    let parts: Vec<Part> = parts.into_iter().filter(|part| part.span.width() > 0).collect();
    let sizes: Vec<(u8, usize)> = parts.iter().map(|part| (part.rank, part.span.width())).collect();
    let shown = columns::fitting(&sizes, 2, width.into());
    let mut spans = vec![];
    for (part, _) in parts.into_iter().zip(shown).filter(|(_, shown)| *shown) {
        if !spans.is_empty() {
            spans.push(Span::raw("  "));
        }
        spans.push(part.span);
    }
    Line::from(spans)
}

fn header<'a>(view: &SessionView, rows: &[Standing], progress: &Progress) -> Vec<Part<'a>> {
    let meta = view.info().and_then(|i| i.meta.as_ref());
    let track = meta.map(|m| format!("{} {:.1} km", m.track_name, m.track_length_m / 1_000.0)).unwrap_or_default();
    let leader = rows.first();
    let lap = (leader.map_or(0, |l| l.laps) + 1).min(progress.laps.max(1));
    let flags = leader.and_then(|l| view.car(l.entry)).map(|c| c.flags).unwrap_or_default();
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let clock = progress.now_us.max(0) / 1_000_000;
    vec![
        part(3, Span::styled("Ok, Box Box", bold)),
        part(4, track),
        part(0, format!("lap {lap}/{}", progress.laps)),
        part(2, format!("{}:{:02}", clock / 60, clock % 60)),
        part(1, flag(flags)),
    ]
}

fn flag<'a>(flags: Flags) -> Span<'a> {
    // Several flags may be set: the most important one is shown.
    let shown = [
        (Flags::RED, "RED", Color::Red),
        (Flags::CHECKERED, "CHEQUERED", Color::White),
        (Flags::YELLOW, "YELLOW", Color::Yellow),
        (Flags::WHITE, "LAST LAP", Color::White),
        (Flags::START_GO, "GO", Color::Green),
        (Flags::GREEN, "GREEN", Color::Green),
        (Flags::START_SET, "SET", Color::Red),
        (Flags::START_READY, "READY", Color::Red),
    ];
    let (name, colour) = shown.into_iter().find(|(bit, ..)| flags.has(*bit)).map_or(("", Color::Reset), |(_, name, colour)| (name, colour));
    Span::styled(name, Style::new().fg(colour).add_modifier(Modifier::BOLD))
}

/// A column of the order. All of its cells are shown whole, or none; names alone may be cut.
struct Column {
    name: &'static str,
    /// Columns with the highest rank are left out first.
    rank: u8,
    /// Fewest characters, so that the table does not jump.
    least: usize,
    /// Most characters: longer names are cut.
    most: usize,
    right: bool,
}

impl Column {
    const fn number(name: &'static str, rank: u8, least: usize) -> Self {
        Self { name, rank, least, most: usize::MAX, right: true }
    }
    const fn text(name: &'static str, rank: u8, least: usize, most: usize) -> Self {
        Self { name, rank, least, most, right: false }
    }
}

/// From left to right.
const COLUMNS: [Column; 16] = [
    Column::number("pos", 0, 3),
    Column::text("class", 7, 5, 12),
    Column::number("car", 1, 4),
    Column::text("driver", 2, 18, 18),
    Column::number("lap", 6, 3),
    Column::number("gap", 3, 8),
    Column::number("int", 8, 8),
    Column::number("last", 4, 9),
    Column::number("best", 5, 9),
    Column::text("pit", 9, 3, 3),
    Column::number("sector 1", 11, 9),
    Column::number("sector 2", 12, 9),
    Column::number("sector 3", 13, 9),
    Column::number("km/h", 14, 6),
    Column::number("fuel", 15, 7),
    Column::number("in class", 10, 8),
];
/// Columns of a terminal from which the bar has a label.
const BAR_LABEL_FROM: u16 = 8;

/// The order as texts, for the rows on the screen.
struct Order {
    lines: Vec<[(String, Style); COLUMNS.len()]>,
}

impl Order {
    fn of(view: &SessionView, rows: &[Standing], top: usize, height: u16) -> Self {
        let mut classes: Vec<u32> = rows.iter().map(|r| r.class_id).collect();
        classes.sort_unstable();
        classes.dedup();
        let fastest = view.fastest_lap().map(|l| l.time_us);
        let shown = rows.iter().skip(top).take(usize::from(height.saturating_sub(1)));
        Self { lines: shown.map(|row| line(view, row, &classes, fastest)).collect() }
    }

    /// The table in `width` columns of the terminal; `None`: not even the position fits.
    fn table<'a>(&self, width: u16) -> Option<Table<'a>> {
        let widths: Vec<usize> = COLUMNS
            .iter()
            .enumerate()
            .map(|(at, column)| {
                let longest = self.lines.iter().map(|line| Span::raw(line[at].0.as_str()).width()).max().unwrap_or(0);
                longest.max(column.least).max(column.name.len()).min(column.most.max(column.name.len()))
            })
            .collect();
        let sizes: Vec<(u8, usize)> = COLUMNS.iter().map(|c| c.rank).zip(widths.iter().copied()).collect();
        let fits = columns::fitting(&sizes, 1, width.into());
        let shown: Vec<usize> = (0..COLUMNS.len()).filter(|at| fits[*at]).collect();
        let cell = |at: usize, text: &str| {
            let wide = widths[at];
            let text = if Span::raw(text).width() > wide { cut(text, wide) } else { text.to_owned() };
            if COLUMNS[at].right { format!("{text:>wide$}") } else { text }
        };
        let head = Row::new(shown.iter().map(|at| cell(*at, COLUMNS[*at].name)).collect::<Vec<_>>());
        let head = head.style(Style::new().fg(Color::Gray).add_modifier(Modifier::UNDERLINED));
        let rows = self.lines.iter().map(|line| Row::new(shown.iter().map(|at| Cell::from(cell(*at, &line[*at].0)).style(line[*at].1))));
        let constraints = shown.iter().map(|at| Constraint::Length(u16::try_from(widths[*at]).unwrap_or(u16::MAX)));
        (!shown.is_empty()).then(|| Table::new(rows.collect::<Vec<_>>(), constraints).header(head).column_spacing(1).flex(Flex::Legacy))
    }
}

/// The first characters of a name, with a sign that there are more.
fn cut(name: &str, wide: usize) -> String {
    let mut short = String::new();
    for letter in name.chars() {
        if Span::raw(format!("{short}{letter}…")).width() > wide {
            break;
        }
        short.push(letter);
    }
    short + "…"
}

fn line(view: &SessionView, row: &Standing, classes: &[u32], fastest: Option<i64>) -> [(String, Style); COLUMNS.len()] {
    let meta = view.info().and_then(|i| i.meta.as_ref());
    let entry = competitor(meta, row.slot);
    let colour = classes.iter().position(|c| *c == row.class_id).map_or(Color::Reset, |i| CLASS_COLOURS[i % CLASS_COLOURS.len()]);
    let text = |f: fn(&boxbox_schemas::meta::MetaEntry) -> &String| entry.map(f).cloned().unwrap_or_default();
    let plain = |text: String| (text, Style::new());
    let time = |us: Option<i64>| us.map(lap_time).unwrap_or_default();
    let gap = |laps, us| if row.position == 1 { String::new() } else { behind(laps, us) };
    let best_style = if row.best_lap_us.is_some() && row.best_lap_us == fastest { Style::new().fg(Color::Magenta) } else { Style::new() };
    let last_style = if row.last_lap_us.is_some() && row.last_lap_us == row.best_lap_us { Style::new().fg(Color::Green) } else { Style::new() };
    let (last, car) = (view.last_lap(row.entry), view.car(row.entry));
    let sector = |k: usize| plain(last.and_then(|l| l.sectors_us.get(k)).map(|us| seconds(*us)).unwrap_or_default());
    [
        plain(row.position.to_string()),
        (text(|e| &e.class_name), Style::new().fg(colour)),
        plain(format!("#{}", text(|e| &e.number))),
        plain(text(|e| &e.driver_name)),
        plain(row.laps.to_string()),
        plain(gap(row.laps_down, row.gap_us)),
        plain(gap(row.interval_laps, row.interval_us)),
        (time(row.last_lap_us), last_style),
        (time(row.best_lap_us), best_style),
        (if row.in_pits == Some(true) { "PIT" } else { "" }.to_owned(), Style::new().fg(Color::Yellow)),
        sector(0),
        sector(1),
        sector(2),
        plain(car.and_then(|c| c.speed_mps).map(|v| format!("{:.0}", v * 3.6)).unwrap_or_default()),
        plain(car.and_then(|c| c.fuel_l).map(|l| format!("{l:.1} l")).unwrap_or_default()),
        plain(row.class_position.to_string()),
    ]
}

/// A gap as racers write it.
pub fn behind(laps: u32, us: Option<i64>) -> String {
    match (laps, us) {
        (0, Some(us)) => format!("+{}", seconds(us)),
        (0, None) => String::new(),
        (1, _) => "+1 lap".into(),
        (n, _) => format!("+{n} laps"),
    }
}

fn footer<'a>(cars: usize, top: usize, area: Rect, progress: &Progress, page: &str) -> Vec<Part<'a>> {
    let shown = usize::from(area.height.saturating_sub(1));
    let hidden = cars.saturating_sub(top + shown);
    let more = if cars > shown { format!("↑↓ {}-{} of {cars}", top + 1, cars - hidden) } else { String::new() };
    let flight = progress.sent.saturating_sub(progress.acked);
    let notes = match stderr::waiting() {
        0 => String::new(),
        1 => "1 log line follows".to_owned(),
        n => format!("{n} log lines follow"),
    };
    vec![
        part(4, format!("{:.0} frames/s", progress.frames_per_s)),
        part(5, format!("{} acked", progress.acked)),
        part(6, format!("{flight} in flight")),
        part(1, more),
        part(2, Span::styled(notes, Style::new().fg(Color::Yellow))),
        part(0, "q leaves"),
        part(3, page.to_owned()),
    ]
}

#[cfg(test)]
mod tests;
