//! A small reader of JSON that shares nothing with the program's: what it finds is compared with what the program found.
//!
//! Numbers stay the text they are, objects keep fields that occur twice, and a text that no string can hold is kept as such.

/// Deepest nesting that is followed.
const MAX_DEPTH: usize = 200;

/// A JSON value as it is written.
#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, as its text.
    Number(String),
    /// A string; none where an escape names half a character.
    Text(Option<String>),
    /// An array.
    List(Vec<Json>),
    /// An object, its fields in their order.
    Object(Vec<(Option<String>, Json)>),
}

/// Why a text gives no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unread {
    /// It is not JSON.
    NotJson,
    /// It is nested more deeply than is followed here; it may be JSON.
    Deep,
}

/// A row or frame that does not hold what the contract says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken;

/// What reading a value by the contract gives.
pub type Read<T> = Result<T, Broken>;

impl Json {
    /// Reads a text that is one value.
    pub fn parse(text: &str) -> Result<Json, Unread> {
        let mut reader = Reader { text, bytes: text.as_bytes(), at: 0, is_deep: false };
        let value = reader.value(0);
        reader.skip_space();
        match value {
            Some(value) if reader.at == text.len() => Ok(value),
            _ if reader.is_deep => Err(Unread::Deep),
            _ => Err(Unread::NotJson),
        }
    }

    /// Returns a field; nothing when it is absent or null, broken when it occurs twice or this is no object.
    pub fn field(&self, name: &str) -> Read<Option<&Json>> {
        let Json::Object(fields) = self else { return Err(Broken) };
        if fields.iter().any(|(key, _)| key.is_none()) {
            return Err(Broken);
        }
        let mut found = fields.iter().filter(|(key, _)| key.as_deref() == Some(name)).map(|(_, value)| value);
        match (found.next(), found.next()) {
            (_, Some(_)) => Err(Broken),
            (None | Some(Json::Null), None) => Ok(None),
            (value, None) => Ok(value),
        }
    }

    /// Returns a field that must be there.
    pub fn required(&self, name: &str) -> Read<&Json> {
        self.field(name)?.ok_or(Broken)
    }

    /// Returns a list.
    pub fn list(&self) -> Read<&[Json]> {
        if let Json::List(values) = self { Ok(values) } else { Err(Broken) }
    }

    /// Returns a string.
    pub fn text(&self) -> Read<&str> {
        if let Json::Text(Some(text)) = self { Ok(text) } else { Err(Broken) }
    }

    /// Returns a truth.
    pub fn bool(&self) -> Read<bool> {
        if let Json::Bool(truth) = self { Ok(*truth) } else { Err(Broken) }
    }

    /// Returns the text of a number.
    pub fn number(&self) -> Read<&str> {
        if let Json::Number(text) = self { Ok(text) } else { Err(Broken) }
    }

    /// Returns a whole number that is written as one.
    pub fn whole(&self) -> Read<i128> {
        let text = self.number()?;
        if text.contains(['.', 'e', 'E']) || text == "-0" {
            return Err(Broken);
        }
        text.parse().map_err(|_| Broken)
    }

    /// Returns a whole number that is not negative, as large as a machine's.
    pub fn unsigned(&self) -> Read<u64> {
        u64::try_from(self.whole()?).map_err(|_| Broken)
    }

    /// Returns a whole number, as large as a machine's.
    pub fn signed(&self) -> Read<i64> {
        i64::try_from(self.whole()?).map_err(|_| Broken)
    }

    /// Returns a count as the program believes it.
    pub fn count(&self) -> Read<i64> {
        let count = self.whole()?;
        if (0..=1_000_000_000_000).contains(&count) { Ok(count as i64) } else { Err(Broken) }
    }

    /// Returns a number with a fraction.
    pub fn fraction(&self) -> Read<f64> {
        self.number()?.parse().ok().filter(|value: &f64| value.is_finite()).ok_or(Broken)
    }

    /// Writes the value without spaces.
    pub fn write(&self, out: &mut String) {
        match self {
            Json::Null => out.push_str("null"),
            Json::Bool(truth) => out.push_str(if *truth { "true" } else { "false" }),
            Json::Number(text) => out.push_str(text),
            Json::Text(text) => quote(text.as_deref(), out),
            Json::List(values) => {
                out.push('[');
                for (index, value) in values.iter().enumerate() {
                    out.push_str(if index > 0 { "," } else { "" });
                    value.write(out);
                }
                out.push(']');
            }
            Json::Object(fields) => {
                out.push('{');
                for (index, (key, value)) in fields.iter().enumerate() {
                    out.push_str(if index > 0 { "," } else { "" });
                    quote(key.as_deref(), out);
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
        }
    }
}

/// Writes a string; half a character where there is none.
fn quote(text: Option<&str>, out: &mut String) {
    out.push('"');
    for character in text.unwrap_or_default().chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            '\0'..='\u{1f}' => out.push_str(&format!("\\u{:04x}", u32::from(character))),
            _ => out.push(character),
        }
    }
    out.push_str(if text.is_none() { "\\ud800\"" } else { "\"" });
}

struct Reader<'text> {
    text: &'text str,
    bytes: &'text [u8],
    at: usize,
    is_deep: bool,
}

impl Reader<'_> {
    fn value(&mut self, depth: usize) -> Option<Json> {
        self.skip_space();
        if depth > MAX_DEPTH {
            self.is_deep = true;
            return None;
        }
        match *self.bytes.get(self.at)? {
            b'{' => self.object(depth),
            b'[' => self.array(depth),
            b'"' => self.string().map(Json::Text),
            b't' => self.word("true", Json::Bool(true)),
            b'f' => self.word("false", Json::Bool(false)),
            b'n' => self.word("null", Json::Null),
            _ => self.a_number(),
        }
    }

    fn object(&mut self, depth: usize) -> Option<Json> {
        self.at += 1;
        let mut fields = Vec::new();
        if self.take(b'}') {
            return Some(Json::Object(fields));
        }
        loop {
            self.skip_space();
            let key = self.string()?;
            if !self.take(b':') {
                return None;
            }
            fields.push((key, self.value(depth + 1)?));
            if self.take(b'}') {
                return Some(Json::Object(fields));
            }
            if !self.take(b',') {
                return None;
            }
        }
    }

    fn array(&mut self, depth: usize) -> Option<Json> {
        self.at += 1;
        let mut values = Vec::new();
        if self.take(b']') {
            return Some(Json::List(values));
        }
        loop {
            values.push(self.value(depth + 1)?);
            if self.take(b']') {
                return Some(Json::List(values));
            }
            if !self.take(b',') {
                return None;
            }
        }
    }

    /// Reads a string: nothing when it is none, and nothing in it when it holds half a character.
    fn string(&mut self) -> Option<Option<String>> {
        if self.bytes.get(self.at) != Some(&b'"') {
            return None;
        }
        self.at += 1;
        let mut units: Vec<u16> = Vec::new();
        loop {
            let character = self.text.get(self.at..)?.chars().next()?;
            self.at += character.len_utf8();
            match character {
                '"' => return Some(String::from_utf16(&units).ok()),
                '\0'..='\u{1f}' => return None,
                '\\' => units.push(self.escape()?),
                _ => units.extend(character.encode_utf16(&mut [0; 2]).iter()),
            }
        }
    }

    fn escape(&mut self) -> Option<u16> {
        let letter = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(match letter {
            b'"' | b'\\' | b'/' => u16::from(letter),
            b'b' => 8,
            b'f' => 12,
            b'n' => 10,
            b'r' => 13,
            b't' => 9,
            b'u' => {
                let digits = self.bytes.get(self.at..self.at + 4)?;
                self.at += 4;
                if !digits.iter().all(u8::is_ascii_hexdigit) {
                    return None;
                }
                u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?
            }
            _ => return None,
        })
    }

    /// Reads a number by the grammar: no leading zeros, digits on both sides of a point.
    fn a_number(&mut self) -> Option<Json> {
        let start = self.at;
        let _ = self.bytes.get(self.at) == Some(&b'-') && self.step();
        let whole_start = self.at;
        let whole = self.digits()?;
        if whole > 1 && self.bytes[whole_start] == b'0' {
            return None;
        }
        if self.bytes.get(self.at) == Some(&b'.') && self.step() {
            self.digits()?;
        }
        if matches!(self.bytes.get(self.at), Some(b'e' | b'E')) && self.step() {
            let _ = matches!(self.bytes.get(self.at), Some(b'+' | b'-')) && self.step();
            self.digits()?;
        }
        Some(Json::Number(String::from_utf8_lossy(&self.bytes[start..self.at]).into_owned()))
    }

    /// Steps over digits, of which there must be one.
    fn digits(&mut self) -> Option<usize> {
        let count = self.bytes[self.at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        (count > 0).then_some(count)
    }

    fn word(&mut self, word: &str, value: Json) -> Option<Json> {
        let is_there = self.bytes[self.at..].starts_with(word.as_bytes());
        self.at += word.len();
        is_there.then_some(value)
    }

    fn take(&mut self, wanted: u8) -> bool {
        self.skip_space();
        self.bytes.get(self.at) == Some(&wanted) && self.step()
    }

    fn step(&mut self) -> bool {
        self.at += 1;
        true
    }

    fn skip_space(&mut self) {
        while matches!(self.bytes.get(self.at), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }
}
