//! Steps through JSON of any length value by value, holding one value at a time.
//!
//! It finds where a value ends; whether the value is good JSON is for whoever takes it up to say.

use std::io::Read;

use crate::reading::Problem;

/// Largest value that is held: a row, a key or a field of the document. The rows of the contract have less than 1 KiB.
pub(super) const MAX_VALUE_BYTES: usize = 1024 * 1024;

const BUFFER_BYTES: usize = 256 * 1024;

/// A place in a JSON text that is read only forwards.
pub(super) struct Scanner<Source> {
    source: Source,
    buffer: Vec<u8>,
    position: usize,
    end: usize,
}

impl<Source: Read> Scanner<Source> {
    /// Begins at the beginning of a text, after the byte order mark that some servers put there.
    pub(super) fn new(source: Source) -> Result<Scanner<Source>, Problem> {
        const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
        let mut scanner = Scanner { source, buffer: vec![0; BUFFER_BYTES], position: 0, end: 0 };
        while scanner.end < BYTE_ORDER_MARK.len() && scanner.fill()? {}
        if scanner.buffer[..scanner.end].starts_with(BYTE_ORDER_MARK) {
            scanner.position = BYTE_ORDER_MARK.len();
        }
        Ok(scanner)
    }

    /// Returns the next byte that is not white space, without stepping over it; nothing at the end of the text.
    pub(super) fn peek(&mut self) -> Result<Option<u8>, Problem> {
        loop {
            let rest = &self.buffer[self.position..self.end];
            match rest.iter().position(|byte| !matches!(byte, b' ' | b'\t' | b'\r' | b'\n')) {
                Some(length) => {
                    self.position += length;
                    return Ok(Some(self.buffer[self.position]));
                }
                None => self.position = self.end,
            }
            if !self.fill()? {
                return Ok(None);
            }
        }
    }

    /// Steps over white space and one byte, which must be the expected one.
    pub(super) fn expect(&mut self, expected: u8) -> Result<(), Problem> {
        if self.take(expected)? {
            return Ok(());
        }
        Err(match self.peek()? {
            None => broken_off(),
            Some(_) => Problem::at("", format!("expected `{}`", char::from(expected))),
        })
    }

    /// Steps over white space, and over one byte if it is this one.
    pub(super) fn take(&mut self, wanted: u8) -> Result<bool, Problem> {
        let is_there = self.peek()? == Some(wanted);
        self.position += usize::from(is_there);
        Ok(is_there)
    }

    /// Steps over the next value and returns its text.
    pub(super) fn value(&mut self) -> Result<&[u8], Problem> {
        self.peek()?;
        let mut shape = Shape::default();
        let mut length = 0;
        loop {
            let rest = &self.buffer[self.position + length..self.end];
            let end = shape.end_in(rest);
            length += end.unwrap_or(rest.len());
            if length > MAX_VALUE_BYTES {
                return Err(Problem::at("", format!("a value is longer than {MAX_VALUE_BYTES} bytes")));
            }
            if end.is_some() {
                break;
            }
            if !self.fill()? {
                shape.end_of_text()?;
                break;
            }
        }
        let start = self.position;
        self.position += length;
        Ok(&self.buffer[start..self.position])
    }

    /// Steps over the next value, however long it is, without holding it.
    pub(super) fn skip(&mut self) -> Result<(), Problem> {
        self.peek()?;
        let mut shape = Shape::default();
        loop {
            if let Some(length) = shape.end_in(&self.buffer[self.position..self.end]) {
                self.position += length;
                return Ok(());
            }
            self.position = self.end;
            if !self.fill()? {
                return shape.end_of_text();
            }
        }
    }

    /// Reads on behind what is not stepped over yet; false at the end of the text.
    fn fill(&mut self) -> Result<bool, Problem> {
        self.buffer.copy_within(self.position..self.end, 0);
        self.end -= self.position;
        self.position = 0;
        if self.end == self.buffer.len() {
            self.buffer.resize(2 * self.end, 0);
        }
        loop {
            match self.source.read(&mut self.buffer[self.end..]) {
                Ok(length) => {
                    self.end += length;
                    return Ok(length > 0);
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Problem::at("", error.to_string())),
            }
        }
    }
}

fn broken_off() -> Problem {
    Problem::at("", "EOF while parsing")
}

/// What is known of a value from its beginning.
#[derive(Default)]
struct Shape {
    is_begun: bool,
    is_scalar: bool,
    is_in_string: bool,
    is_escaped: bool,
    depth: u64,
}

impl Shape {
    /// Looks at the next bytes of the value and returns where in them it ends, if it does.
    fn end_in(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        while at < bytes.len() {
            if self.is_in_string {
                at += self.within_string(&bytes[at..]);
                if !self.is_in_string && self.depth == 0 {
                    return Some(at);
                }
                continue;
            }
            match bytes[at] {
                b'"' if !self.is_scalar => self.is_in_string = true,
                b'{' | b'[' if !self.is_scalar => self.depth += 1,
                b'}' | b']' if self.depth > 1 => self.depth -= 1,
                b'}' | b']' if self.depth == 1 => return Some(at + 1),
                b'}' | b']' | b',' | b':' | b' ' | b'\t' | b'\r' | b'\n' if self.depth == 0 => return Some(at),
                _ if !self.is_begun => self.is_scalar = true,
                _ => {}
            }
            self.is_begun = true;
            at += 1;
        }
        None
    }

    /// Returns how many of the bytes belong to the string.
    fn within_string(&mut self, bytes: &[u8]) -> usize {
        for (index, byte) in bytes.iter().enumerate() {
            match byte {
                _ if self.is_escaped => self.is_escaped = false,
                b'\\' => self.is_escaped = true,
                b'"' => {
                    self.is_in_string = false;
                    return index + 1;
                }
                _ => {}
            }
        }
        bytes.len()
    }

    /// A number or a word may end with the text; everything else says itself where it ends.
    fn end_of_text(&self) -> Result<(), Problem> {
        if self.is_scalar { Ok(()) } else { Err(broken_off()) }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    /// Hands a text over in pieces of a few bytes.
    struct Dripping<'text>(&'text [u8], usize);

    impl Read for Dripping<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let length = self.1.min(buffer.len());
            self.0.take(length as u64).read(buffer).inspect(|length| self.0 = &self.0[*length..])
        }
    }

    #[test]
    fn values_end_where_json_ends_them_however_they_arrive() {
        let text = br#" {"a": "}\"]", "b": [{}, "\\"]} [1, [2]]"text" 12.5e3 , true"#;
        for piece in [1, 2, 3, 7, 1000] {
            let mut scanner = Scanner::new(Dripping(text, piece)).unwrap();
            let mut next = || String::from_utf8(scanner.value().unwrap().to_vec()).unwrap();
            assert_eq!(next(), r#"{"a": "}\"]", "b": [{}, "\\"]}"#);
            assert_eq!(next(), "[1, [2]]");
            assert_eq!(next(), r#""text""#);
            assert_eq!(next(), "12.5e3");
            scanner.expect(b',').unwrap();
            assert_eq!(scanner.value().unwrap(), b"true");
            assert_eq!(scanner.peek().unwrap(), None);
            assert!(scanner.value().is_err());
        }
    }

    #[test]
    fn a_value_that_is_too_long_is_not_held_but_can_be_skipped() {
        let text = || {
            let long = io::repeat(b'x').take(3 * MAX_VALUE_BYTES as u64);
            io::Cursor::new("\u{feff}\"").chain(long).chain(io::Cursor::new("\" 7"))
        };
        let error = Scanner::new(text()).unwrap().value().unwrap_err();
        assert_eq!(error.text, "a value is longer than 1048576 bytes");
        let mut scanner = Scanner::new(text()).unwrap();
        scanner.skip().unwrap();
        assert_eq!(scanner.buffer.len(), BUFFER_BYTES);
        assert_eq!(scanner.value().unwrap(), b"7");

        let depth = io::repeat(b'[').take(64 * 1024 * 1024);
        assert_eq!(Scanner::new(depth).unwrap().skip().unwrap_err().text, "EOF while parsing");
    }
}
