//! Turns text of any encoding of the WHATWG Encoding Standard into UTF-8 as it passes by.
//!
//! The encoding is the one of the byte order mark, else the one that the user names, else UTF-8, else the one that chardetng
//! detects. A detection counts only when no assumption about the country of the text would change a character of it;
//! otherwise the text is refused with the candidates and a sample of each.

use std::fmt;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::str::FromStr;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{SHIFT_JIS, UTF_8, UTF_16BE, UTF_16LE};
use encoding_rs_io::DecodeReaderBytesBuilder;

/// Bytes at the beginning of a text by which its encoding is detected.
const SAMPLE_BYTES: u64 = 1024 * 1024;

/// Characters of the sample that is shown.
const SHOWN: usize = 24;

/// Top-level domains that stand for the assumptions about where a text in an encoding of one byte is from.
const COUNTRIES: [&str; 11] = ["com", "fr", "pl", "tr", "ru", "gr", "il", "sa", "lt", "vn", "th"];

/// How a text is encoded, where it does not say so itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// By its byte order mark, else UTF-8, else detected.
    #[default]
    Auto,
    /// The one that the user names.
    Named(&'static encoding_rs::Encoding),
}

/// A name that is not one of an encoding.
#[derive(Debug, thiserror::Error)]
#[error(
    "'{0}' is not an encoding; use auto or a name such as utf-8, windows-1252, windows-1254, shift_jis, gb18030, big5"
)]
pub struct UnknownEncoding(String);

impl FromStr for Encoding {
    type Err = UnknownEncoding;

    fn from_str(name: &str) -> Result<Encoding, UnknownEncoding> {
        let name = name.trim().to_ascii_lowercase();
        // Names of Windows code pages and of Python that the standard does not list.
        let label = match name.as_str() {
            "auto" => return Ok(Encoding::Auto),
            "cp932" | "932" => "shift_jis",
            "cp936" | "936" => "gbk",
            "cp949" | "949" => "euc-kr",
            "cp950" | "950" => "big5",
            "utf8" | "utf-8-sig" | "utf8-sig" => "utf-8",
            "utf16" => "utf-16",
            "mac-roman" | "mac_roman" => "macintosh",
            other => other,
        };
        let label = label.replace("latin_1", "latin1");
        encoding_rs::Encoding::for_label(label.as_bytes()).map(Encoding::Named).ok_or(UnknownEncoding(name))
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Encoding::Auto => formatter.write_str("auto"),
            Encoding::Named(encoding) => formatter.write_str(&encoding.name().to_ascii_lowercase()),
        }
    }
}

/// A text in UTF-8.
pub struct Decoded<'a> {
    /// The text.
    pub text: Box<dyn Read + 'a>,
    /// Name of the encoding that it had.
    pub name: String,
    /// The first words of it that are not ASCII, where the encoding was detected or named.
    pub sample: Option<String>,
}

/// Decodes a text; an encoding that cannot be decided, or that contradicts the bytes, is an error of kind `InvalidData`.
///
/// UTF-8 is passed on as it is, so bytes that are not UTF-8 beyond the first mebibyte are found by whoever reads them.
pub fn decode<'a>(text: impl Read + 'a, encoding: Encoding) -> io::Result<Decoded<'a>> {
    let mut text = BufReader::new(text);
    let start = text.fill_buf()?;
    if start.starts_with(&[0xff, 0xfe, 0, 0]) || start.starts_with(&[0, 0, 0xfe, 0xff]) {
        return Err(refused("it is UTF-32, which is not read; save it as UTF-8".to_owned()));
    }
    let mark = encoding_rs::Encoding::for_bom(start).map(|(encoding, _)| encoding);
    let mut head = Vec::new();
    (&mut text).take(SAMPLE_BYTES).read_to_end(&mut head)?;
    let is_cut = head.len() as u64 == SAMPLE_BYTES;
    let found = match mark {
        Some(encoding) => encoding,
        None => decide(sample_of(&head, is_cut), encoding)?,
    };
    let is_shown = mark.is_none() && found != UTF_8;
    let sample = if is_shown { shown(&found.decode_without_bom_handling(&head).0) } else { None };
    let text = Cursor::new(head).chain(text);
    let decoded = DecodeReaderBytesBuilder::new()
        .encoding((mark.is_none() && found != UTF_8).then_some(found))
        .strip_bom(true)
        .utf8_passthru(true)
        .build(text);
    let name = if found == SHIFT_JIS { "Shift_JIS" } else { found.name() };
    Ok(Decoded { text: Box::new(decoded), name: name.to_owned(), sample })
}

/// Returns what is said of a line that is not UTF-8.
pub(super) fn advice(line: &[u8]) -> String {
    match detect(line) {
        Ok(encoding) => format!("; it looks like {0}, so try --encoding {0}", encoding.name().to_ascii_lowercase()),
        Err(candidates) => format!("; name its encoding with --encoding, for example {candidates}"),
    }
}

fn refused(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

/// Cuts a sample behind its last whole line, so that no character is cut in two.
fn sample_of(head: &[u8], is_cut: bool) -> &[u8] {
    match head.iter().rposition(|byte| matches!(byte, b'\n' | b'\r')) {
        Some(end) if is_cut => &head[..=end],
        _ => head,
    }
}

fn decide(sample: &[u8], wanted: Encoding) -> io::Result<&'static encoding_rs::Encoding> {
    let is_utf_8 = str::from_utf8(sample).is_ok();
    let named = match wanted {
        Encoding::Auto if let Some(encoding) = utf_16_by_nul(sample) => return Ok(encoding),
        Encoding::Auto if is_utf_8 => return Ok(UTF_8),
        Encoding::Auto => {
            return detect(sample).map_err(|candidates| {
                refused(format!(
                    "it is not UTF-8, and its encoding is not certain; say --encoding with one of: {candidates}"
                ))
            });
        }
        Encoding::Named(named) => named,
    };
    // A name that contradicts the bytes would give nonsense without any error.
    let contradicting = match (is_utf_8, sample.is_ascii()) {
        (_, true) => None,
        (true, false) if named != UTF_8 && !is_utf_16(named) => Some(UTF_8),
        (true, false) => None,
        (false, false) => detect(sample).ok().filter(|found| !found.is_single_byte() && named.is_single_byte()),
    };
    if let Some(found) = contradicting {
        let read = |encoding: &'static encoding_rs::Encoding| {
            shown(&encoding.decode_without_bom_handling(sample).0).unwrap_or_default()
        };
        let text = format!(
            "it is not {}, which would read '{}', but {}, which reads '{}'; leave --encoding out or correct it",
            named.name(),
            read(named),
            found.name(),
            read(found)
        );
        return Err(refused(text));
    }
    let (_, has_errors) = named.decode_without_bom_handling(sample);
    if has_errors && !is_utf_16(named) {
        let text = format!("it holds bytes that are not {}{}", named.name(), advice(sample));
        return Err(refused(text));
    }
    Ok(named)
}

fn is_utf_16(encoding: &'static encoding_rs::Encoding) -> bool {
    encoding == UTF_16LE || encoding == UTF_16BE
}

/// Recognises UTF-16 without a mark: its ASCII characters, line ends and delimiters among them, have a NUL always on one side.
/// Other text holds hardly any.
fn utf_16_by_nul(sample: &[u8]) -> Option<&'static encoding_rs::Encoding> {
    let on_side = |side: usize| sample.iter().skip(side).step_by(2).filter(|byte| **byte == 0).count();
    let (even, odd) = (on_side(0), on_side(1));
    if (even + odd) * 16 < sample.len() {
        return None;
    }
    match (even, odd) {
        (0, 1..) => Some(UTF_16LE),
        (1.., 0) => Some(UTF_16BE),
        _ => None,
    }
}

/// Detects an encoding. Of those of several bytes hardly any text fits more than one. Of those of one byte every text fits
/// many, so it fails with the candidates where the characters would differ between the countries that the text may be from.
fn detect(sample: &[u8]) -> Result<&'static encoding_rs::Encoding, String> {
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Allow);
    detector.feed(sample, true);
    let likely = detector.guess(None, Utf8Detection::Deny);
    if !likely.is_single_byte() && !likely.decode_without_bom_handling(sample).1 {
        return Ok(likely);
    }
    let mut candidates: Vec<(&'static encoding_rs::Encoding, String)> = Vec::new();
    let assumed = COUNTRIES.iter().map(|country| detector.guess(Some(country.as_bytes()), Utf8Detection::Deny));
    for encoding in std::iter::once(likely).chain(assumed).filter(|encoding| encoding.is_single_byte()) {
        let (text, has_errors) = encoding.decode_without_bom_handling(sample);
        if !has_errors && !candidates.iter().any(|(known, same)| *known == encoding || *same == text) {
            candidates.push((encoding, text.into_owned()));
        }
    }
    if let [(only, _)] = candidates.as_slice() {
        return Ok(only);
    }
    let named = candidates.iter().map(|(encoding, text)| {
        format!("{} ('{}')", encoding.name().to_ascii_lowercase(), shown(text).unwrap_or_default())
    });
    Err(named.collect::<Vec<_>>().join(", "))
}

/// Returns the first words that are not ASCII.
fn shown(text: &str) -> Option<String> {
    let words = text.split([',', ';', '\t', '\n', '\r', '"']).filter(|word| !word.is_ascii());
    words.map(|word| word.trim().chars().take(SHOWN).collect()).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(bytes: &[u8], encoding: &str) -> Result<(String, String), String> {
        let mut decoded = decode(bytes, encoding.parse().unwrap()).map_err(|error| error.to_string())?;
        let mut text = String::new();
        decoded.text.read_to_string(&mut text).map_err(|error| error.to_string())?;
        Ok((text, decoded.name))
    }

    fn encoded(text: &str, encoding: &str) -> Vec<u8> {
        encoding_rs::Encoding::for_label(encoding.as_bytes()).unwrap().encode(text).0.into_owned()
    }

    #[test]
    fn marks_names_and_nul_bytes_decide_the_encoding() {
        let little: Vec<u8> = "Größe\t1\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = "Größe\t1\n".encode_utf16().flat_map(u16::to_be_bytes).collect();
        for (bytes, encoding, name) in [
            ([b"\xef\xbb\xbf", "Größe\t1\n".as_bytes()].concat(), "auto", "UTF-8"),
            ("Größe\t1\n".as_bytes().to_vec(), "auto", "UTF-8"),
            ([b"\xff\xfe", little.as_slice()].concat(), "auto", "UTF-16LE"),
            ([b"\xfe\xff", big.as_slice()].concat(), "windows-1252", "UTF-16BE"),
            (little.clone(), "auto", "UTF-16LE"),
            (b"Gr\xf6\xdfe\t1\n".to_vec(), "windows-1252", "windows-1252"),
        ] {
            assert_eq!(decoded(&bytes, encoding), Ok(("Größe\t1\n".to_owned(), name.to_owned())), "{name}");
        }
        let japanese: Vec<u8> = "机,1\n椅子,2\n".encode_utf16().flat_map(u16::to_be_bytes).collect();
        assert_eq!(decoded(&japanese, "auto").unwrap().1, "UTF-16BE");
    }

    #[test]
    fn encodings_of_several_bytes_are_detected() {
        for (text, encoding) in [
            ("keyword,value\nデスクライト,1200\n学習机 ライト 子供,30\n", "shift_jis"),
            ("keyword,value\nデスクライト,1200\n学習机 ライト 子供,30\n", "euc-jp"),
            ("keyword,value\n台灯 学习专用 护眼,1200\n书桌 小户型,30\n", "gbk"),
        ] {
            assert_eq!(decoded(&encoded(text, encoding), "auto").unwrap().0, text, "{encoding}");
        }
    }

    #[test]
    fn an_encoding_that_is_not_certain_is_refused_with_its_candidates() {
        let error = decoded(b"keyword,value\ni\xfekur,1\n", "auto").unwrap_err();
        assert!(error.contains("windows-1254 ('işkur')") && error.contains("--encoding"), "{error}");
        assert_eq!(decoded(b"i\xfekur", "cp1254").unwrap().0, "işkur");
    }

    #[test]
    fn a_name_that_contradicts_the_bytes_is_refused() {
        let japanese = encoded("keyword,value\nデスクライト,1200\n学習机 ライト 子供,30\n", "shift_jis");
        let error = decoded(&japanese, "windows-1252").unwrap_err();
        assert!(error.contains("Shift_JIS") && error.contains("デスクライト"), "{error}");
        assert_eq!(decoded(&japanese, "cp932").unwrap().1, "Shift_JIS");
        assert!(decoded("Größe".as_bytes(), "windows-1252").unwrap_err().contains("UTF-8"));
        assert!("klingon".parse::<Encoding>().is_err());
        for name in ["latin1", "iso-8859-2", "koi8-r", "utf-16le", "Shift-JIS", "big5"] {
            let encoding: Encoding = name.parse().unwrap();
            assert_eq!(encoding.to_string().parse::<Encoding>().unwrap(), encoding);
        }
    }
}
