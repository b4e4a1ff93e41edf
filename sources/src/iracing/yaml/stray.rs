//! Which lines of a session text are strays: lines that the simulator did not write as lines of their own.
//!
//! A value may hold a newline (the name of a setup, of a driver); its rest then stands on the next line, at any indent, and may
//! look like a key. Bytes of a file may be damaged. Read as structure, one such line ends the block it stands in and costs all that
//! follows in it. So each line is checked against the blocks that are open, and against the lines behind it, by how the simulator
//! writes: sections at the left edge behind a blank line, the keys of a block at one indent, one step further in than their key,
//! items with two more behind their dash.

use super::line::{columns, pair};

/// Sections of the text.
const SECTIONS: [&str; 8] =
    ["WeekendInfo", "SessionInfo", "QualifyResultsInfo", "CameraInfo", "RadioInfo", "DriverInfo", "SplitTimeInfo", "CarSetup"];
/// Most lines looked at behind a line that might be a stray, for more of the same value.
const LOOK_AHEAD: usize = 16;
/// Most lines looked at for the next item of a list. A driver's entry has about 40.
const NEXT_ITEM: usize = 200;

/// What a line is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fit {
    /// In its place.
    Fits,
    /// Not a line by itself.
    Stray,
    /// The first line of a block whose key is missing; the key was at this indent.
    Orphan(usize),
}

/// What each of `lines` is; `None` if this is no session text of the simulator's, so that nothing can be said.
pub(super) fn fits(lines: &[&str]) -> Option<Vec<Fit>> {
    let lines: Vec<Line<'_>> = lines.iter().map(|line| Line::of(line)).collect();
    let step = step(&lines)?;
    let sections: Vec<usize> = (0..lines.len()).filter(|n| lines[*n].is_section()).collect();
    let behind_blanks = sections.iter().filter(|n| is_behind_blank(&lines, **n)).count();
    let mut check = Check { lines: &lines, step, blanks: 2 * behind_blanks > sections.len(), open: vec![], awaits: None };
    Some((0..lines.len()).map(|n| check.fit(n)).collect())
}

/// How far the keys of most sections are indented.
fn step(lines: &[Line<'_>]) -> Option<usize> {
    let firsts = lines.windows(2).filter(|pair| pair[0].is_section() && pair[1].what != What::Blank).map(|pair| pair[1].indent);
    let indents: Vec<usize> = firsts.filter(|indent| *indent > 0).collect();
    let count = |indent: &usize| indents.iter().filter(|other| *other == indent).count();
    indents.iter().copied().max_by_key(|indent| (count(indent), std::cmp::Reverse(*indent)))
}

/// Whether a blank line, or the text's beginning, stands before line `n`.
fn is_behind_blank(lines: &[Line<'_>], n: usize) -> bool {
    n.checked_sub(1).is_none_or(|before| lines[before].what == What::Blank)
}

struct Line<'a> {
    /// Where its first character stands, a dash or not.
    indent: usize,
    /// Where its key stands.
    key_at: usize,
    /// It begins with a dash.
    item: bool,
    what: What<'a>,
}

#[derive(PartialEq, Clone, Copy)]
enum What<'a> {
    /// Nothing, a comment, or a mark between documents.
    Blank,
    /// No key.
    Text,
    /// A key without a value: a block may follow.
    Key(&'a str),
    /// A key with its value.
    Pair(&'a str),
}

impl<'a> Line<'a> {
    fn of(line: &'a str) -> Self {
        let line = line.trim_end_matches(['\r', ' ', '\t']);
        let rest = line.trim_start_matches([' ', '\t']);
        let indent = columns(&line[..line.len() - rest.len()]);
        if rest.is_empty() || rest.starts_with('#') || rest == "---" || rest == "..." {
            return Self { indent, key_at: indent, item: false, what: What::Blank };
        }
        let item = rest == "-" || rest.starts_with("- ") || rest.starts_with("-\t");
        let inner = if item { rest[1..].trim_start_matches([' ', '\t']) } else { rest };
        let what = match pair(inner) {
            Some((key, "")) => What::Key(key),
            Some((key, _)) => What::Pair(key),
            None => What::Text,
        };
        Self { indent, key_at: indent + columns(&rest[..rest.len() - inner.len()]), item, what }
    }

    fn is_section(&self) -> bool {
        self.indent == 0 && !self.item && matches!(self.what, What::Key(key) if SECTIONS.contains(&key))
    }

    fn key(&self) -> Option<&'a str> {
        match self.what {
            What::Key(key) | What::Pair(key) => Some(key),
            What::Blank | What::Text => None,
        }
    }

    fn is_key(&self) -> bool {
        matches!(self.what, What::Key(_))
    }
}

/// A block under way.
enum Block<'a> {
    /// Keys at this indent.
    Map(usize),
    /// Items whose dashes are at this indent, with the first key of the first.
    List(usize, Option<&'a str>),
}

struct Check<'a, 'l> {
    lines: &'l [Line<'a>],
    step: usize,
    /// Sections stand behind blank lines.
    blanks: bool,
    /// From the outermost in.
    open: Vec<Block<'a>>,
    /// The indent of the key whose block may begin now.
    awaits: Option<usize>,
}

impl<'a, 'l> Check<'a, 'l> {
    fn fit(&mut self, n: usize) -> Fit {
        let line = &self.lines[n];
        match line.what {
            What::Blank => Fit::Fits,
            What::Text if !line.item => Fit::Stray,
            _ if line.item => self.fit_item(n),
            _ if line.indent == 0 => self.fit_section(n),
            _ => self.fit_key(n),
        }
    }

    fn fit_section(&mut self, n: usize) -> Fit {
        let (line, begins) = (&self.lines[n], self.open.is_empty() && self.awaits.is_none());
        let written = begins || if self.blanks { is_behind_blank(self.lines, n) } else { line.is_section() };
        let holds = self.behind(n).next().is_none_or(|next| next.indent == 0 || next.indent == self.step && !next.item);
        if !written || !holds || !line.is_key() {
            return Fit::Stray;
        }
        self.open.clear();
        self.awaits = Some(0);
        Fit::Fits
    }

    fn fit_key(&mut self, n: usize) -> Fit {
        let line = &self.lines[n];
        let innermost = self.innermost();
        let mut fit = Fit::Fits;
        if self.awaits.is_some_and(|key| line.indent == key + self.step) {
            // A value with a block behind it is none: this was an item that lost its dash.
            if !line.is_key() && self.behind(n).find(|next| next.what != What::Text).is_some_and(|next| !next.item && next.indent > line.indent) {
                return Fit::Stray;
            }
            self.open.push(Block::Map(line.indent));
        } else if self.has_map(line.indent) {
            if self.interrupts(n) {
                return Fit::Stray;
            }
            self.close(line.indent, true);
        } else if self.awaits.is_none() && line.indent == innermost + self.step {
            // Of the first section even the first line may be lost.
            fit = if self.open.is_empty() { Fit::Fits } else { Fit::Orphan(innermost) };
            self.open.push(Block::Map(line.indent));
        } else {
            return Fit::Stray;
        }
        self.awaits = line.is_key().then_some(line.indent);
        fit
    }

    fn fit_item(&mut self, n: usize) -> Fit {
        let line = &self.lines[n];
        let mut begins = self.awaits.is_some_and(|key| line.indent == key || line.indent == key + self.step);
        let mut fit = Fit::Fits;
        if !begins && self.list(line.indent).is_none() {
            // A list whose key is lost: more of its item follows.
            let goes_on = self.behind(n).next().is_some_and(|next| !next.item && next.indent == line.key_at);
            if !goes_on || !self.has_map(line.indent) || self.innermost() != line.indent {
                return Fit::Stray;
            }
            (begins, fit) = (true, Fit::Orphan(line.indent));
        }
        let first = if begins { line.key() } else { self.list(line.indent).flatten() };
        self.close(line.indent, begins);
        if begins {
            self.open.push(Block::List(line.indent, first));
        }
        self.open.push(Block::Map(line.key_at));
        self.awaits = line.is_key().then_some(line.key_at);
        fit
    }

    /// Line `n` would end a block that goes on right behind it.
    fn interrupts(&self, n: usize) -> bool {
        let line = &self.lines[n];
        if line.indent >= self.innermost() {
            return false;
        }
        for next in self.lines[n + 1..].iter().take(LOOK_AHEAD) {
            match next.what {
                What::Blank => return false,
                What::Text if !next.item => {}
                _ if next.item => return next.indent >= line.indent && self.holds_item(line, next),
                _ if next.indent < line.indent => return false,
                _ if next.indent > line.indent && line.is_key() => {
                    return self.has_map(next.indent) && next.indent != line.indent + self.step && self.list_goes_on(n);
                }
                _ if next.indent > line.indent => return self.has_map(next.indent) || self.awaits_line(next),
                // More of the same value, perhaps.
                What::Pair(_) if !line.is_key() => {}
                _ => return false,
            }
        }
        false
    }

    /// The item `next` behind `line` belongs to what is open before `line`.
    fn holds_item(&self, line: &Line<'a>, next: &Line<'a>) -> bool {
        let may_begin_list = line.is_key() && (next.indent == line.indent || next.indent == line.indent + self.step);
        match self.list(next.indent) {
            // Behind a key it may be another list: then its items begin with another key.
            Some(first) => !may_begin_list || first == next.key(),
            // The key of a list stands where its items do, and not farther out.
            None => !may_begin_list && (self.awaits_line(next) || next.indent > line.indent && self.has_map(next.indent)),
        }
    }

    /// Line `next` can stand in the block whose key has come and whose first line has not: as its first line, or as the second of an item.
    fn awaits_line(&self, next: &Line<'_>) -> bool {
        self.awaits.is_some_and(|key| {
            let (dash, inner) = (next.indent == key || next.indent == key + self.step, next.indent == key + 2 || next.indent == key + self.step + 2);
            if next.item { dash } else { next.indent == key + self.step || inner }
        })
    }

    /// No list of another kind begins behind line `n`, whose first item has lost its dash.
    fn list_goes_on(&self, n: usize) -> bool {
        let behind = self.lines[n + 1..].iter().take(NEXT_ITEM).take_while(|next| next.what != What::Blank);
        let item =
            behind.filter(|next| next.item && next.indent <= self.lines[n].indent + self.step).find_map(|next| Some((self.list(next.indent)?, next)));
        item.is_none_or(|(first, next)| first == next.key())
    }

    /// The lines behind line `n` that say anything.
    fn behind(&self, n: usize) -> impl Iterator<Item = &'l Line<'a>> + use<'a, 'l> {
        self.lines[n + 1..].iter().filter(|next| next.what != What::Blank)
    }

    fn innermost(&self) -> usize {
        self.open.last().map_or(0, |(Block::Map(at) | Block::List(at, _))| *at)
    }

    fn has_map(&self, indent: usize) -> bool {
        self.open.iter().any(|block| matches!(block, Block::Map(at) if *at == indent))
    }

    /// The list under way whose dashes are at `indent`: the first key of its first item.
    fn list(&self, indent: usize) -> Option<Option<&'a str>> {
        self.open.iter().find_map(|block| match block {
            Block::List(at, first) if *at == indent => Some(*first),
            _ => None,
        })
    }

    /// End the blocks that a line at `indent` ends; `key`: a list whose dashes are there, too.
    fn close(&mut self, indent: usize, key: bool) {
        self.open.retain(|block| match block {
            Block::Map(at) => *at <= indent,
            Block::List(at, _) => *at < indent || *at == indent && !key,
        });
    }
}
