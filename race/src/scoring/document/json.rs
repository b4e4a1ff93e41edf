//! A reader of JSON that knows the line and column of every value, and keeps numbers as they are written: 12.5 is an exact fraction.

use std::fmt;

/// Longest document, bytes. The longest preset has 3 kB.
pub const DOCUMENT_MAX: usize = 256 * 1024;
/// Deepest nesting. A ruleset needs 6; a bound keeps the stack of a reader of strange text small.
const DEPTH_MAX: usize = 32;

/// Where something stands in a document.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Position {
    /// Line; 1 is the first.
    pub(super) line: u32,
    /// Column in characters; 1 is the first.
    pub(super) column: u32,
}

/// A value and where it begins.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Node {
    /// Where it begins.
    pub(super) at: Position,
    /// The value.
    pub(super) value: Value,
}

/// A value of JSON.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Value {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number as it is written.
    Number(String),
    /// A text without its quotes and escapes.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// The members in the order in which they are written, with repeated keys.
    Object(Vec<(Position, String, Node)>),
}

impl Value {
    /// What kind of value it is, for messages.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool(_) => "true or false",
            Value::Number(_) => "a number",
            Value::Text(_) => "a text",
            Value::List(_) => "a list",
            Value::Object(_) => "an object",
        }
    }
}

/// The text is not JSON.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Malformed {
    /// Where it stops being JSON.
    pub(super) at: Position,
    /// What is wrong there.
    pub(super) message: String,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.at.line, self.at.column, self.message)
    }
}

/// The value that the whole text is.
pub(super) fn parse(text: &str) -> Result<Node, Malformed> {
    let mut cursor = Cursor { text: text.strip_prefix('\u{feff}').unwrap_or(text), at: Position { line: 1, column: 1 } };
    if text.len() > DOCUMENT_MAX {
        return Err(cursor.wrong(format!("the document has {} bytes; at most {DOCUMENT_MAX} are read", text.len())));
    }
    let node = cursor.node(0)?;
    cursor.spaces();
    match cursor.peek() {
        None => Ok(node),
        Some(c) => Err(cursor.wrong(format!("{c:?} after the end of the document; remove what follows the last bracket"))),
    }
}

struct Cursor<'a> {
    text: &'a str,
    at: Position,
}

impl Cursor<'_> {
    fn wrong(&self, message: impl Into<String>) -> Malformed {
        Malformed { at: self.at, message: message.into() }
    }

    fn peek(&self) -> Option<char> {
        self.text.chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.text = &self.text[c.len_utf8()..];
        self.at = match c {
            '\n' => Position { line: self.at.line + 1, column: 1 },
            _ => Position { column: self.at.column + 1, ..self.at },
        };
        Some(c)
    }

    fn spaces(&mut self) {
        while self.peek().is_some_and(|c| matches!(c, ' ' | '\t' | '\r' | '\n')) {
            self.next();
        }
    }

    fn node(&mut self, depth: usize) -> Result<Node, Malformed> {
        self.spaces();
        let at = self.at;
        if depth > DEPTH_MAX {
            return Err(self.wrong(format!("more than {DEPTH_MAX} brackets within each other")));
        }
        let value = match self.peek() {
            None => return Err(self.wrong("the document ends here, but a value is missing")),
            Some('{') => self.object(depth)?,
            Some('[') => self.list(depth)?,
            Some('"') => Value::Text(self.string()?),
            Some(c) if c == '-' || c.is_ascii_digit() => Value::Number(self.number()?),
            Some(c) if c.is_ascii_alphabetic() => self.word()?,
            Some(c) => return Err(self.wrong(format!("{c:?} begins no value; a value is \"text\", a number, true, false, null, [ … ] or {{ … }}"))),
        };
        Ok(Node { at, value })
    }

    fn object(&mut self, depth: usize) -> Result<Value, Malformed> {
        let mut members = vec![];
        self.next();
        self.spaces();
        if self.peek() == Some('}') {
            self.next();
            return Ok(Value::Object(members));
        }
        loop {
            self.spaces();
            let at = self.at;
            if self.peek() != Some('"') {
                return Err(self.wrong("here stands the name of a field, in quotes: \"name\": value (and no comma before a closing bracket)"));
            }
            let key = self.string()?;
            self.spaces();
            if self.peek() != Some(':') {
                return Err(self.wrong(format!("a colon is missing after \"{key}\"")));
            }
            self.next();
            members.push((at, key, self.node(depth + 1)?));
            if self.ends('}')? {
                return Ok(Value::Object(members));
            }
        }
    }

    fn list(&mut self, depth: usize) -> Result<Value, Malformed> {
        let mut items = vec![];
        self.next();
        self.spaces();
        if self.peek() == Some(']') {
            self.next();
            return Ok(Value::List(items));
        }
        loop {
            items.push(self.node(depth + 1)?);
            if self.ends(']')? {
                return Ok(Value::List(items));
            }
        }
    }

    /// After a member or item: a comma, or the end.
    fn ends(&mut self, end: char) -> Result<bool, Malformed> {
        self.spaces();
        match self.peek() {
            Some(',') => {
                self.next();
                Ok(false)
            }
            Some(c) if c == end => {
                self.next();
                Ok(true)
            }
            _ => Err(self.wrong(format!("a comma or {end:?} is missing before this"))),
        }
    }

    fn number(&mut self) -> Result<String, Malformed> {
        let at = self.at;
        let len = self.text.find(|c: char| !(c.is_ascii_digit() || matches!(c, '-' | '+' | '.' | 'e' | 'E'))).unwrap_or(self.text.len());
        let text = self.text[..len].to_owned();
        // As JSON has it: no leading zeros, digits on both sides of the point.
        let unsigned = text.strip_prefix('-').unwrap_or(&text);
        let (mantissa, exponent) = unsigned.split_once(['e', 'E']).map_or((unsigned, None), |(mantissa, exponent)| (mantissa, Some(exponent)));
        let (whole, part) = mantissa.split_once('.').map_or((mantissa, None), |(whole, part)| (whole, Some(part)));
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let sound = digits(whole)
            && (whole == "0" || !whole.starts_with('0'))
            && part.is_none_or(digits)
            && exponent.is_none_or(|exponent| digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent)));
        if !sound {
            return Err(Malformed { at, message: format!("{text:?} is no number") });
        }
        (0..len).for_each(|_| _ = self.next());
        Ok(text)
    }

    fn word(&mut self) -> Result<Value, Malformed> {
        let at = self.at;
        let len = self.text.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(self.text.len());
        let value = match &self.text[..len] {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            "null" => Value::Null,
            word => {
                let word: String = word.chars().take(40).collect();
                return Err(Malformed { at, message: format!("{word} is no value; write texts in quotes: \"{word}\"") });
            }
        };
        (0..len).for_each(|_| _ = self.next());
        Ok(value)
    }

    fn string(&mut self) -> Result<String, Malformed> {
        let begin = self.at;
        let endless = || Malformed { at: begin, message: "this text has no closing quote on its line".into() };
        let mut out = String::new();
        self.next();
        loop {
            let at = self.at;
            match self.next().ok_or_else(endless)? {
                '"' => return Ok(out),
                '\n' => return Err(endless()),
                '\\' => out.push(self.escape(at)?),
                c if c < ' ' => return Err(Malformed { at, message: format!("the control character {c:?} in a text; write \\u{:04x}", c as u32) }),
                c => out.push(c),
            }
        }
    }

    fn escape(&mut self, at: Position) -> Result<char, Malformed> {
        let wrong = |message: &str| Malformed { at, message: message.into() };
        Ok(match self.next() {
            Some(c @ ('"' | '\\' | '/')) => c,
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('u') => {
                let high = self.hex(at)?;
                let code = if (0xd800..0xdc00).contains(&high) {
                    let paired = self.next() == Some('\\') && self.next() == Some('u');
                    let low = if paired { self.hex(at)? } else { 0 };
                    if !(0xdc00..0xe000).contains(&low) {
                        return Err(wrong("half of a pair of \\u escapes; the other half is missing"));
                    }
                    0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00)
                } else {
                    high
                };
                char::from_u32(code).ok_or_else(|| wrong("this \\u escape is no character"))?
            }
            _ => return Err(wrong("unknown escape; write \\\\ for a backslash")),
        })
    }

    fn hex(&mut self, at: Position) -> Result<u32, Malformed> {
        let mut code = 0;
        for _ in 0..4 {
            let digit = self.next().and_then(|c| c.to_digit(16));
            code = code * 16 + digit.ok_or_else(|| Malformed { at, message: "\\u needs four hexadecimal digits".into() })?;
        }
        Ok(code)
    }
}
