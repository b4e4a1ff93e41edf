//! [`Tower`]: the order of a race on a terminal, redrawn ten times a second.
//!
//! The terminal is always restored: when the tower is dropped, and by a hook when anything panics.

use std::time::Duration;

use boxbox_race::timing::{Standing, competitor};
use boxbox_race::view::SessionView;
use boxbox_schemas::frame::Flags;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, Gauge, Row, Table};
use ratatui::{DefaultTerminal, Frame};

use crate::show::report::{lap_time, seconds};

/// Columns from which there is room for sectors, speed, fuel and longer names.
const WIDE: u16 = 130;
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
}

impl Tower {
    /// Take over the terminal. `page`: URL of the page that shows the same in a browser.
    pub fn open(page: String) -> anyhow::Result<Self> {
        // This installs the hook that restores the terminal when anything panics.
        Ok(Self { terminal: ratatui::try_init()?, top: 0, page })
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
    frame.render_widget(header(view, rows, progress), areas[0]);
    frame.render_widget(table(view, rows, top, areas[1]), areas[1]);
    let done = progress.done.clamp(0.0, 1.0);
    let bar = Gauge::default().gauge_style(Style::new().fg(Color::Green).bg(Color::DarkGray)).ratio(done).label(format!("{:.0} %", done * 100.0));
    frame.render_widget(bar, areas[2]);
    frame.render_widget(footer(rows.len(), top, areas[1], progress, page), areas[3]);
}

fn header<'a>(view: &SessionView, rows: &[Standing], progress: &Progress) -> Line<'a> {
    let meta = view.info().and_then(|i| i.meta.as_ref());
    let track = meta.map(|m| format!("{} {:.1} km", m.track_name, m.track_length_m / 1_000.0)).unwrap_or_default();
    let leader = rows.first();
    let lap = (leader.map_or(0, |l| l.laps) + 1).min(progress.laps.max(1));
    let flags = leader.and_then(|l| view.car(l.entry)).map(|c| c.flags).unwrap_or_default();
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let clock = progress.now_us.max(0) / 1_000_000;
    Line::from(vec![
        Span::styled("Ok, Box Box", bold),
        Span::raw(format!("  {track}  lap {lap}/{}  {}:{:02}  ", progress.laps, clock / 60, clock % 60)),
        flag(flags),
    ])
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

fn table<'a>(view: &SessionView, rows: &[Standing], top: usize, area: Rect) -> Table<'a> {
    let wide = area.width >= WIDE;
    let mut classes: Vec<u32> = rows.iter().map(|r| r.class_id).collect();
    classes.sort_unstable();
    classes.dedup();
    let fastest = view.fastest_lap().map(|l| l.time_us);
    // Each name is aligned as its column.
    let mut names = vec!["pos", "class", " car", "driver", "lap", "     gap", "     int", "     last", "     best", "pit"];
    let mut widths: Vec<u16> = vec![3, 5, 4, if wide { 22 } else { 18 }, 3, 8, 8, 9, 9, 3];
    if wide {
        names.extend([" sector 1", " sector 2", " sector 3", "  km/h", "   fuel", "in class"]);
        widths.extend([9, 9, 9, 6, 7, 8]);
    }
    let lines: Vec<Row> = rows.iter().skip(top).map(|row| line(view, row, &classes, fastest, wide)).collect();
    let head = Row::new(names).style(Style::new().fg(Color::Gray).add_modifier(Modifier::UNDERLINED));
    Table::new(lines, widths.into_iter().map(Constraint::Length)).header(head).column_spacing(1)
}

fn line<'a>(view: &SessionView, row: &Standing, classes: &[u32], fastest: Option<i64>, wide: bool) -> Row<'a> {
    let meta = view.info().and_then(|i| i.meta.as_ref());
    let entry = competitor(meta, row.slot);
    let colour = classes.iter().position(|c| *c == row.class_id).map_or(Color::Reset, |i| CLASS_COLOURS[i % CLASS_COLOURS.len()]);
    let text = |f: fn(&boxbox_schemas::meta::MetaEntry) -> &String| entry.map(f).cloned().unwrap_or_default();
    let right = |text: String, width: usize| Cell::from(format!("{text:>width$}"));
    let time = |us: Option<i64>| us.map(lap_time).unwrap_or_default();
    let best_style = if row.best_lap_us.is_some() && row.best_lap_us == fastest { Style::new().fg(Color::Magenta) } else { Style::new() };
    let last_style = if row.last_lap_us.is_some() && row.last_lap_us == row.best_lap_us { Style::new().fg(Color::Green) } else { Style::new() };
    let mut cells = vec![
        right(row.position.to_string(), 3),
        Cell::from(text(|e| &e.class_name)).style(Style::new().fg(colour)),
        right(format!("#{}", text(|e| &e.number)), 4),
        Cell::from(text(|e| &e.driver_name)),
        right(row.laps.to_string(), 3),
        right(if row.position == 1 { String::new() } else { behind(row.laps_down, row.gap_us) }, 8),
        right(if row.position == 1 { String::new() } else { behind(row.interval_laps, row.interval_us) }, 8),
        right(time(row.last_lap_us), 9).style(last_style),
        right(time(row.best_lap_us), 9).style(best_style),
        Cell::from(if row.in_pits == Some(true) { "PIT" } else { "" }).style(Style::new().fg(Color::Yellow)),
    ];
    if wide {
        let last = view.last_lap(row.entry);
        let car = view.car(row.entry);
        let sector = |k: usize| last.and_then(|l| l.sectors_us.get(k)).map(|us| seconds(*us)).unwrap_or_default();
        cells.extend([
            right(sector(0), 9),
            right(sector(1), 9),
            right(sector(2), 9),
            right(car.and_then(|c| c.speed_mps).map(|v| format!("{:.0}", v * 3.6)).unwrap_or_default(), 6),
            right(car.and_then(|c| c.fuel_l).map(|l| format!("{l:.1} l")).unwrap_or_default(), 7),
            right(row.class_position.to_string(), 8),
        ]);
    }
    Row::new(cells)
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

fn footer<'a>(cars: usize, top: usize, area: Rect, progress: &Progress, page: &str) -> Line<'a> {
    let shown = usize::from(area.height.saturating_sub(1));
    let hidden = cars.saturating_sub(top + shown);
    let more = if cars > shown { format!("  ↑↓ {}-{} of {cars}", top + 1, cars - hidden) } else { String::new() };
    let flight = progress.sent.saturating_sub(progress.acked);
    Line::from(format!("{:.0} frames/s  {} acked  {flight} in flight{more}  q leaves  {page}", progress.frames_per_s, progress.acked))
        .style(Style::new().fg(Color::Gray))
}
