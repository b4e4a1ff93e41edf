//! A tolerant reader of the session text: YAML's block style as iRacing writes it, line by line.
//!
//! A strict YAML reader would be wrong here. The simulator quotes almost nothing: a driver may be called `Team: #1`,
//! `- "Ace" -`, or `@home`. A strict reader would reject the whole text because of such a line, or cut the name at what looks like
//! a comment. So a value is everything after `key: `, and only lines that cannot be parsed are left out; [`stray`] decides which those
//! are where the text is the simulator's.

mod line;
mod stray;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use line::{columns, pair};
use stray::Fit;

/// Deepest nesting; iRacing's is 6. This limits the stack.
const DEPTH_MAX: usize = 32;
/// Most lines read. A full grid with results of every session has about 15,000. This limits memory.
const LINES_MAX: usize = 500_000;

/// A value, a list, or keys with values.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node<'a> {
    Scalar(Cow<'a, str>),
    List(Vec<Node<'a>>),
    Map(Vec<(&'a str, Node<'a>)>),
}

impl<'a> Node<'a> {
    /// What `want` makes of a node at the end of `path`: of the first that it takes, where a key stands several times.
    fn find<'n, T: ?Sized>(&'n self, path: &[&str], want: fn(&'n Node<'a>) -> Option<&'n T>) -> Option<&'n T> {
        match (path, self) {
            ([], node) => want(node),
            ([key, rest @ ..], Node::Map(pairs)) => pairs.iter().filter(|(k, _)| k == key).find_map(|(_, node)| node.find(rest, want)),
            _ => None,
        }
    }

    /// As [`Node::find`] for a path that begins with a section; behind that what is found under other keys or none, as the line of a key may be
    /// damaged, or the first line of its section. No two blocks share a key that is read.
    fn find_in_sections<'n, T: ?Sized>(&'n self, path: &[&str], want: fn(&'n Node<'a>) -> Option<&'n T>) -> Option<&'n T> {
        let named = self.find(path, want);
        match (named, path, self) {
            (None, [_, rest @ .., last], Node::Map(_)) => {
                let blocks = || std::iter::once(self).chain(self.blocks());
                let in_any = blocks()
                    .find_map(|block| if rest.is_empty() { block.find(&[*last], want) } else { block.find(&[rest, &[*last][..]].concat(), want) });
                in_any.or_else(|| blocks().flat_map(Node::blocks).find_map(|block| block.find(&[*last], want)))
            }
            _ => named,
        }
    }

    /// The nodes of all keys.
    fn blocks(&self) -> impl Iterator<Item = &Node<'a>> {
        let pairs = match self {
            Node::Map(pairs) => pairs.as_slice(),
            Node::Scalar(_) | Node::List(_) => &[],
        };
        pairs.iter().map(|(_, node)| node)
    }

    /// The text at the end of `path`: the first that is not empty.
    pub(super) fn text(&self, path: &[&str]) -> Option<&str> {
        self.find_in_sections(path, |node| match node {
            Node::Scalar(text) if !text.is_empty() => Some(&**text),
            _ => None,
        })
    }

    /// The items of the list at the end of `path`.
    fn list(&self, path: &[&str]) -> Option<&[Node<'a>]> {
        self.find_in_sections(path, Node::as_list)
    }

    /// As [`Node::list`]; of a list whose own key is damaged, the first list that has items with the key `of`.
    pub(super) fn items(&self, path: &[&str], of: &str) -> &[Node<'a>] {
        let has = |items: &&[Node<'a>]| items.iter().any(|item| item.find(&[of], Some).is_some());
        let named = self.list(path);
        let any = || self.blocks().chain(self.blocks().flat_map(Node::blocks)).filter_map(Node::as_list).find(has);
        named.filter(has).or_else(any).or(named).unwrap_or_default()
    }

    fn as_list(&self) -> Option<&[Node<'a>]> {
        match self {
            Node::List(items) => Some(items),
            Node::Scalar(_) | Node::Map(_) => None,
        }
    }
}

/// Parse `text`; also returns the number of lines left out (`session.text`).
pub(super) fn parse(text: &str) -> (Node<'_>, usize) {
    let mut tokens = Vec::new();
    let mut skipped = 0;
    let mut lines: Vec<&str> = text.lines().take(LINES_MAX).collect();
    let fits = stray::fits(&lines);
    // The text ends with three dots; in the simulator's, three dots before the last section are the rest of a value.
    let end = match &fits {
        Some(_) => None,
        None => lines.iter().position(|line| line.trim_end() == "..."),
    };
    lines.truncate(end.unwrap_or(lines.len()));
    for (n, line) in lines.into_iter().enumerate() {
        let fit = fits.as_ref().and_then(|fits| fits.get(n)).copied().unwrap_or(Fit::Fits);
        if let Fit::Orphan(indent) = fit {
            tokens.push(Token { indent, what: What::Pair("", "") });
        }
        if fit == Fit::Stray || !tokenise(line, &mut tokens) {
            skipped += 1;
        }
    }
    let mut parser = Parser { tokens, next: 0, skipped };
    let mut pairs = Vec::new();
    // A misplaced line ends a block early; continue after it, so that only this line is lost.
    while parser.next < parser.tokens.len() {
        let before = parser.next;
        match parser.block(0, 0) {
            Node::Map(more) => pairs.extend(more),
            Node::List(_) | Node::Scalar(_) => parser.skipped += 1,
        }
        if parser.next == before {
            parser.next += 1;
            parser.skipped += 1;
        }
    }
    (Node::Map(pairs), parser.skipped)
}

#[derive(Clone, Copy)]
struct Token<'a> {
    indent: usize,
    what: What<'a>,
}

#[derive(Clone, Copy)]
enum What<'a> {
    /// `- `; what follows on the line are further tokens.
    Item,
    Pair(&'a str, &'a str),
    /// Text without a key; a list's plain value.
    Text(&'a str),
}

/// Split a line into tokens; false if it cannot be parsed.
fn tokenise<'a>(line: &'a str, tokens: &mut Vec<Token<'a>>) -> bool {
    let line = line.trim_end_matches(['\r', ' ', '\t']);
    let mut rest = line.trim_start_matches([' ', '\t']);
    if rest.is_empty() || rest.starts_with('#') || rest == "---" || rest == "..." {
        return true;
    }
    let mut dashes = 0;
    loop {
        let indent = columns(&line[..line.len() - rest.len()]);
        if let Some((key, value)) = pair(rest) {
            tokens.push(Token { indent, what: What::Pair(key, value) });
            return true;
        }
        if rest == "-" || rest.starts_with("- ") || rest.starts_with("-\t") {
            dashes += 1;
            if dashes > DEPTH_MAX {
                return false;
            }
            tokens.push(Token { indent, what: What::Item });
            rest = rest[1..].trim_start_matches([' ', '\t']);
            if rest.is_empty() {
                return true;
            }
            continue;
        }
        tokens.push(Token { indent, what: What::Text(rest) });
        // Text that is not a list's value is misplaced; the parser counts it.
        return true;
    }
}

struct Parser<'a> {
    tokens: Vec<Token<'a>>,
    next: usize,
    skipped: usize,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<Token<'a>> {
        self.tokens.get(self.next).copied()
    }

    /// The block whose lines are indented by at least `least`.
    fn block(&mut self, least: usize, depth: usize) -> Node<'a> {
        let Some(first) = self.peek().filter(|t| t.indent >= least) else {
            return Node::Scalar(Cow::Borrowed(""));
        };
        if depth > DEPTH_MAX {
            while self.peek().is_some_and(|t| t.indent >= least) {
                self.next += 1;
                self.skipped += 1;
            }
            return Node::Scalar(Cow::Borrowed(""));
        }
        match first.what {
            What::Item => self.list(first.indent, depth),
            What::Pair(..) => self.map(first.indent, depth),
            What::Text(text) => {
                self.next += 1;
                Node::Scalar(unquote(text))
            }
        }
    }

    fn list(&mut self, indent: usize, depth: usize) -> Node<'a> {
        let mut items = Vec::new();
        while let Some(token) = self.peek() {
            match token.what {
                What::Item if token.indent == indent => {
                    self.next += 1;
                    items.push(self.block(indent + 1, depth + 1));
                }
                _ if token.indent > indent => {
                    self.next += 1;
                    self.skipped += 1;
                }
                _ => break,
            }
        }
        Node::List(items)
    }

    fn map(&mut self, indent: usize, depth: usize) -> Node<'a> {
        let mut pairs = Vec::new();
        while let Some(token) = self.peek() {
            match token.what {
                What::Pair(key, value) if token.indent == indent => {
                    self.next += 1;
                    pairs.push((key, if value.is_empty() { self.child(indent, depth) } else { Node::Scalar(unquote(value)) }));
                }
                _ if token.indent > indent => {
                    self.next += 1;
                    self.skipped += 1;
                }
                _ => break,
            }
        }
        Node::Map(pairs)
    }

    /// The content of a key without a value: lines that are indented further, or a list that is not.
    fn child(&mut self, indent: usize, depth: usize) -> Node<'a> {
        match self.peek() {
            Some(Token { indent: at, what: What::Item }) if at == indent => self.list(indent, depth + 1),
            _ => self.block(indent + 1, depth + 1),
        }
    }
}

/// A value without its quotes, if they are quotes and not part of a name.
fn unquote(value: &str) -> Cow<'_, str> {
    match value {
        "~" | "null" | "[]" | "{}" => return Cow::Borrowed(""),
        _ => {}
    }
    let inner = |quote: char| value.strip_prefix(quote)?.strip_suffix(quote);
    if let Some(text) = inner('"') {
        return unescape(text).unwrap_or(Cow::Borrowed(value));
    }
    if let Some(text) = inner('\'') {
        let doubled = text.replace("''", "");
        return if doubled.contains('\'') { Cow::Borrowed(value) } else { Cow::Owned(text.replace("''", "'")) };
    }
    Cow::Borrowed(value)
}

/// The text between double quotes; `None` if a bare quote shows that the quotes are part of a name. Escapes other than
/// YAML's common ones stay as they are: file paths come with single backslashes.
fn unescape(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains(['"', '\\']) {
        return Some(Cow::Borrowed(text));
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match c {
            '"' => return None,
            '\\' => {
                let digits = match rest.clone().next() {
                    Some('x') => 2,
                    Some('u') => 4,
                    Some(c @ ('"' | '\\' | '/')) => {
                        out.push(c);
                        rest.next();
                        continue;
                    }
                    // A backslash at the end escapes the closing quote: then it was not a closing quote.
                    None => return None,
                    Some(_) => 0,
                };
                let code = rest.as_str().get(1..=digits).filter(|_| digits > 0).and_then(|hex| u32::from_str_radix(hex, 16).ok());
                match code.and_then(char::from_u32) {
                    Some(c) => {
                        out.push(c);
                        rest = rest.as_str()[1 + digits..].chars();
                    }
                    None => out.push('\\'),
                }
            }
            c => out.push(c),
        }
    }
    Some(Cow::Owned(out))
}
