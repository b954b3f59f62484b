//! Turns text of any known encoding into UTF-8 as it passes by. What an encoding is, is told by its byte order mark, by
//! the user, or by what cannot be anything else; it is never guessed.

use std::io::{self, BufRead, BufReader, Read};

use encoding_rs::{UTF_16BE, UTF_16LE, WINDOWS_1252};
use encoding_rs_io::DecodeReaderBytesBuilder;

use super::request::Encoding;

/// Bytes at which UTF-16 without a mark is recognised.
const SAMPLE_BYTES: usize = 64;

/// Returns the text and the name of its encoding. What is not UTF-8 although nothing else was told stays as it is, and is
/// found by whoever reads it.
pub(super) fn decode<'a>(text: impl Read + 'a, told: Encoding) -> io::Result<(Box<dyn Read + 'a>, &'static str)> {
    let mut text = BufReader::new(text);
    let start = text.fill_buf()?;
    let (name, encoding) = match (start, told) {
        ([0xff, 0xfe, ..], _) => ("UTF-16LE", None),
        ([0xfe, 0xff, ..], _) => ("UTF-16BE", None),
        ([0xef, 0xbb, 0xbf, ..], _) => ("UTF-8", None),
        (_, Encoding::Windows1252) => ("windows-1252", Some(WINDOWS_1252)),
        (start, Encoding::Told) if has_nul_at(start, 1) => ("UTF-16LE", Some(UTF_16LE)),
        (start, Encoding::Told) if has_nul_at(start, 0) => ("UTF-16BE", Some(UTF_16BE)),
        (_, Encoding::Told) => ("UTF-8", None),
    };
    let decoded = DecodeReaderBytesBuilder::new().encoding(encoding).strip_bom(true).utf8_passthru(true).build(text);
    Ok((Box::new(decoded), name))
}

/// Tells whether every other byte, from one on, is NUL and no other is: Latin text in UTF-16 and nothing else.
fn has_nul_at(start: &[u8], first: usize) -> bool {
    let sample = &start[..start.len().min(SAMPLE_BYTES)];
    sample.len() >= 8 && sample.iter().enumerate().all(|(place, byte)| (*byte == 0) == (place % 2 == first))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(bytes: &[u8], told: Encoding) -> (Vec<u8>, &'static str) {
        let (mut text, name) = decode(bytes, told).unwrap();
        let mut decoded = Vec::new();
        text.read_to_end(&mut decoded).unwrap();
        (decoded, name)
    }

    #[test]
    fn marks_and_words_tell_the_encoding() {
        let little: Vec<u8> = "Größe\t1".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = "Größe\t1".encode_utf16().flat_map(u16::to_be_bytes).collect();
        for (bytes, told, name) in [
            ([b"\xef\xbb\xbf", "Größe\t1".as_bytes()].concat(), Encoding::Told, "UTF-8"),
            ("Größe\t1".as_bytes().to_vec(), Encoding::Told, "UTF-8"),
            ([b"\xff\xfe", little.as_slice()].concat(), Encoding::Told, "UTF-16LE"),
            ([b"\xfe\xff", big.as_slice()].concat(), Encoding::Windows1252, "UTF-16BE"),
            (b"Gr\xf6\xdfe\t1".to_vec(), Encoding::Windows1252, "windows-1252"),
        ] {
            assert_eq!(decoded(&bytes, told), ("Größe\t1".as_bytes().to_vec(), name));
        }
        let unmarked: Vec<u8> = "Keyword\t1".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(decoded(&unmarked, Encoding::Told), (b"Keyword\t1".to_vec(), "UTF-16LE"));
    }

    #[test]
    fn nothing_is_guessed() {
        assert_eq!(decoded(b"Gr\xf6\xdfe", Encoding::Told), (b"Gr\xf6\xdfe".to_vec(), "UTF-8"));
    }
}
