//! JSON text as Go's scanner reads it, with the same errors.
//!
//! It is lenient where other parsers are strict: half a surrogate pair and invalid UTF-8 become U+FFFD, a number may have any size, and 10,000
//! levels of nesting are allowed, so there is no recursion here.

use super::quote::quoted;

/// A value, as far as the broker needs it.
#[derive(Debug, PartialEq)]
pub(in crate::broker) enum Value<'a> {
    Null,
    Bool,
    /// As it is written.
    Number(&'a str),
    String(Text<'a>),
    Array,
    /// Its fields in order, with all repetitions.
    Object(Vec<(String, Value<'a>)>),
}

/// A string.
#[derive(Debug, PartialEq)]
pub(in crate::broker) struct Text<'a> {
    pub(in crate::broker) text: String,
    /// The raw text between its quotes, with escapes.
    pub(in crate::broker) raw: &'a [u8],
}

/// Why a text is not JSON.
#[derive(Debug, PartialEq)]
pub(in crate::broker) enum NotJson {
    /// It ends too soon; `blank` if there was nothing.
    End { blank: bool },
    /// An unexpected character, with Go's message.
    Syntax(String),
}

/// How deep Go follows arrays and objects.
const DEEPEST: usize = 10_000;
/// Deeper values are not kept. An envelope's retry policy is the deepest that is used.
const DEEPEST_KEPT: usize = 3;

/// Reads the first value of a text, and gives what follows it.
pub(in crate::broker) fn first(text: &[u8]) -> Result<(Value<'_>, &[u8]), NotJson> {
    let mut scanner = Scanner { text, at: 0 };
    let value = scanner.value()?;
    Ok((value, &text[scanner.at..]))
}

/// Reads a text that must be one value.
pub(in crate::broker) fn whole(text: &[u8]) -> Result<Value<'_>, NotJson> {
    let (value, rest) = first(text).map_err(|error| match error {
        // At the end of the text, Go tries a space too, which is an error within a literal or an escape.
        NotJson::End { .. } => first(&[text, b" "].concat()).err().unwrap_or(error),
        syntax => syntax,
    })?;
    match rest.iter().find(|byte| !is_blank(**byte)) {
        None => Ok(value),
        Some(byte) => Err(unexpected(*byte, "after top-level value")),
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

fn unexpected(byte: u8, place: &str) -> NotJson {
    // Go treats the byte as a character.
    let shown = match char::from(byte) {
        '\'' => r"\'".to_owned(),
        '"' => '"'.to_string(),
        other => quoted(&other.to_string()).trim_matches('"').to_owned(),
    };
    NotJson::Syntax(format!("invalid character '{shown}' {place}"))
}

/// The array or object around the value being parsed.
enum Open<'a> {
    Array,
    Object { fields: Vec<(String, Value<'a>)>, key: String },
}

struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Scanner<'a> {
    fn peek(&self) -> Result<u8, NotJson> {
        let blank = || self.text.iter().all(|byte| is_blank(*byte));
        self.text.get(self.at).copied().ok_or_else(|| NotJson::End { blank: blank() })
    }

    fn next(&mut self) -> Result<u8, NotJson> {
        let byte = self.peek()?;
        self.at += 1;
        Ok(byte)
    }

    /// The next byte that is not blank.
    fn token(&mut self) -> Result<u8, NotJson> {
        loop {
            match self.next()? {
                byte if is_blank(byte) => {}
                byte => return Ok(byte),
            }
        }
    }

    fn value(&mut self) -> Result<Value<'a>, NotJson> {
        let mut open: Vec<Open<'a>> = Vec::new();
        loop {
            let start = self.token()?;
            if matches!(start, b'{' | b'[') && open.len() >= DEEPEST {
                return Err(unexpected(start, "exceeded max depth"));
            }
            let mut value = match start {
                b'[' if !self.closes(b']')? => {
                    open.push(Open::Array);
                    continue;
                }
                b'[' => Value::Array,
                b'{' if !self.closes(b'}')? => {
                    open.push(Open::Object { fields: Vec::new(), key: self.key()? });
                    continue;
                }
                b'{' => Value::Object(Vec::new()),
                start => self.scalar(start)?,
            };
            loop {
                let depth = open.len();
                let Some(around) = open.pop() else { return Ok(value) };
                match self.after(around, value, depth <= DEEPEST_KEPT)? {
                    After::Closed(closed) => value = closed,
                    After::More(around) => {
                        open.push(around);
                        break;
                    }
                }
            }
        }
    }

    /// Whether an array or object that has just begun is empty.
    fn closes(&mut self, end: u8) -> Result<bool, NotJson> {
        let closes = self.token()? == end;
        if !closes {
            self.at -= 1;
        }
        Ok(closes)
    }

    /// The key of a field, and its colon.
    fn key(&mut self) -> Result<String, NotJson> {
        match self.token()? {
            b'"' => {}
            other => return Err(unexpected(other, "looking for beginning of object key string")),
        }
        let key = self.string()?.text;
        match self.token()? {
            b':' => Ok(key),
            other => Err(unexpected(other, "after object key")),
        }
    }

    /// What follows a value in an array or object.
    fn after(&mut self, around: Open<'a>, value: Value<'a>, keep: bool) -> Result<After<'a>, NotJson> {
        let token = self.token()?;
        match (around, token) {
            (Open::Array, b',') => Ok(After::More(Open::Array)),
            (Open::Array, b']') => Ok(After::Closed(Value::Array)),
            (Open::Array, other) => Err(unexpected(other, "after array element")),
            (Open::Object { mut fields, key }, b',' | b'}') => {
                if keep {
                    fields.push((key, value));
                }
                if token == b'}' {
                    return Ok(After::Closed(Value::Object(fields)));
                }
                Ok(After::More(Open::Object { fields, key: self.key()? }))
            }
            (Open::Object { .. }, other) => Err(unexpected(other, "after object key:value pair")),
        }
    }

    fn scalar(&mut self, start: u8) -> Result<Value<'a>, NotJson> {
        match start {
            b'"' => Ok(Value::String(self.string()?)),
            b'-' | b'0'..=b'9' => self.number(start),
            b't' => self.literal("true", Value::Bool),
            b'f' => self.literal("false", Value::Bool),
            b'n' => self.literal("null", Value::Null),
            other => Err(unexpected(other, "looking for beginning of value")),
        }
    }

    fn literal(&mut self, name: &str, value: Value<'a>) -> Result<Value<'a>, NotJson> {
        for expected in name.chars().skip(1) {
            let byte = self.next()?;
            if char::from(byte) != expected {
                return Err(unexpected(byte, &format!("in literal {name} (expecting '{expected}')")));
            }
        }
        Ok(value)
    }

    fn number(&mut self, start: u8) -> Result<Value<'a>, NotJson> {
        let from = self.at - 1;
        let first = if start == b'-' { self.digit("in numeric literal")? } else { start };
        if first != b'0' {
            self.digits();
        }
        if self.text.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digit("after decimal point in numeric literal")?;
            self.digits();
        }
        if let Some(b'e' | b'E') = self.text.get(self.at) {
            self.at += 1;
            if let b'+' | b'-' = self.peek()? {
                self.at += 1;
            }
            self.digit("in exponent of numeric literal")?;
            self.digits();
        }
        Ok(Value::Number(std::str::from_utf8(&self.text[from..self.at]).unwrap_or_default())) // it is ASCII
    }

    fn digit(&mut self, place: &str) -> Result<u8, NotJson> {
        match self.next()? {
            digit @ b'0'..=b'9' => Ok(digit),
            other => Err(unexpected(other, place)),
        }
    }

    fn digits(&mut self) {
        while self.text.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
    }

    /// A string, after its first quote.
    fn string(&mut self) -> Result<Text<'a>, NotJson> {
        let from = self.at;
        loop {
            match self.next()? {
                b'"' => break,
                b'\\' => self.escape()?,
                control @ ..0x20 => return Err(unexpected(control, "in string literal")),
                _ => {}
            }
        }
        let raw = &self.text[from..self.at - 1];
        Ok(Text { text: unquote(raw), raw })
    }

    fn escape(&mut self) -> Result<(), NotJson> {
        match self.next()? {
            b'b' | b'f' | b'n' | b'r' | b't' | b'\\' | b'/' | b'"' => Ok(()),
            b'u' => {
                for _ in 0..4 {
                    match self.next()? {
                        digit if digit.is_ascii_hexdigit() => {}
                        other => return Err(unexpected(other, r"in \u hexadecimal character escape")),
                    }
                }
                Ok(())
            }
            other => Err(unexpected(other, "in string escape code")),
        }
    }
}

enum After<'a> {
    More(Open<'a>),
    Closed(Value<'a>),
}

/// A string's characters. Its escapes have been checked.
fn unquote(mut raw: &[u8]) -> String {
    let mut text = String::with_capacity(raw.len());
    while let Some(at) = raw.iter().position(|byte| *byte == b'\\') {
        push_lossily(&mut text, &raw[..at]);
        let (char, length) = escaped(&raw[at..]);
        text.push(char);
        raw = &raw[at + length..];
    }
    push_lossily(&mut text, raw);
    text
}

/// The character that an escape stands for, and the escape's length.
fn escaped(raw: &[u8]) -> (char, usize) {
    let char = match raw[1] {
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => return escaped_unit(raw),
        itself => char::from(itself),
    };
    (char, 2)
}

fn escaped_unit(raw: &[u8]) -> (char, usize) {
    let unit = |raw: &[u8]| {
        let digits = raw.strip_prefix(b"\\u")?.get(..4)?;
        u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    };
    let first = unit(raw).unwrap_or_default();
    if (0xd800..0xdc00).contains(&first)
        && let Some(second) = unit(&raw[6..])
        && let Some(Ok(pair)) = char::decode_utf16([first, second]).next()
    {
        return (pair, 12);
    }
    (char::from_u32(first.into()).unwrap_or(char::REPLACEMENT_CHARACTER), 6)
}

/// Every byte that is no UTF-8 becomes one U+FFFD.
fn push_lossily(text: &mut String, bytes: &[u8]) {
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
}
