//! What a user says of a file, in the form in which it is stored as the request of its payload: an address that holds the
//! name and the hash of the file, and whatever the bytes alone do not tell.

use std::fmt;

use chrono::NaiveDate;
use url::Url;

use crate::tables::dates::DateOrder;
use crate::tables::decoding::Encoding;
use crate::tables::numbers::DecimalMark;

const SCHEME: &str = "import";

/// Longest name of a file that is kept, in characters.
const MAX_NAME: usize = 200;

/// A file, and what its user says of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportRequest {
    /// Name of the file, without its directory.
    pub file_name: String,
    /// SHA-256 of the file, hexadecimal.
    pub content_sha256: String,
    /// How it is encoded.
    pub encoding: Encoding,
    /// What its numbers look like.
    pub decimal_mark: DecimalMark,
    /// The order of day and month in its dates.
    pub date_order: DateOrder,
    /// The region that it names and that is to be taken for the market.
    pub region: Option<String>,
    /// First and last day of what it is about, where it does not say so.
    pub days: Option<(NaiveDate, NaiveDate)>,
}

/// Why an address is not that of a file.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// It is no address.
    #[error("'{address}' is no address of an imported file")]
    Address {
        /// The address.
        address: String,
        /// The cause, where there is one.
        #[source]
        source: Option<url::ParseError>,
    },
    /// A part of it is not as it was written here.
    #[error("the address of the imported file has a malformed {name}: '{value}'")]
    Part {
        /// Name of the part.
        name: &'static str,
        /// Its value.
        value: String,
    },
}

impl ImportRequest {
    /// Makes the request of a file about which nothing more is to be said.
    pub fn new(file_name: &str, content_sha256: [u8; 32]) -> ImportRequest {
        ImportRequest {
            file_name: file_name.chars().filter(|character| !character.is_control()).take(MAX_NAME).collect(),
            content_sha256: hex::encode(content_sha256),
            ..ImportRequest::default()
        }
    }

    /// Returns what was said of the file, for the key by which two imports are the same; its name does not matter.
    pub fn said(&self) -> String {
        let mut said = format!("sha256={}", self.content_sha256);
        for (name, value) in self.pairs() {
            said.push_str(&format!("&{name}={value}"));
        }
        said
    }

    /// Reads the address of a stored file.
    pub fn parse(address: &str) -> Result<ImportRequest, RequestError> {
        let no_address = |source| RequestError::Address { address: address.to_owned(), source };
        let url = Url::parse(address).map_err(|error| no_address(Some(error)))?;
        if url.scheme() != SCHEME {
            return Err(no_address(None));
        }
        let mut request = ImportRequest::default();
        for (name, value) in url.query_pairs() {
            let malformed = |name| RequestError::Part { name, value: value.clone().into_owned() };
            match name.as_ref() {
                "name" => request.file_name = value.into_owned(),
                "sha256" => request.content_sha256 = value.into_owned(),
                "encoding" => request.encoding = value.parse().map_err(|_| malformed("encoding"))?,
                "date-order" => request.date_order = value.parse().map_err(|_| malformed("date-order"))?,
                "decimal" => request.decimal_mark = value.parse().map_err(|_| malformed("decimal"))?,
                "region" => request.region = Some(value.into_owned()),
                "days" => {
                    let days = value
                        .split_once("..")
                        .and_then(|(first, last)| Some((first.parse().ok()?, last.parse().ok()?)));
                    request.days = Some(days.ok_or_else(|| malformed("days"))?);
                }
                _ => {}
            }
        }
        Ok(request)
    }

    fn pairs(&self) -> Vec<(&'static str, String)> {
        let mut pairs = Vec::new();
        if self.encoding != Encoding::Auto {
            pairs.push(("encoding", self.encoding.to_string()));
        }
        match self.decimal_mark {
            DecimalMark::Point => pairs.push(("decimal", "point".to_owned())),
            DecimalMark::Comma => pairs.push(("decimal", "comma".to_owned())),
            DecimalMark::Auto | DecimalMark::Undecided => {}
        }
        if self.date_order != DateOrder::Auto {
            pairs.push(("date-order", self.date_order.name().to_owned()));
        }
        pairs.extend(self.region.clone().map(|region| ("region", region)));
        pairs.extend(self.days.map(|(first, last)| ("days", format!("{first}..{last}"))));
        pairs
    }
}

/// Writes the address under which the file is stored.
impl fmt::Display for ImportRequest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query
            .append_pair("name", &self.file_name)
            .append_pair("sha256", &self.content_sha256)
            .extend_pairs(self.pairs());
        write!(formatter, "{SCHEME}:file?{}", query.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_as_it_was_written() {
        let request = ImportRequest {
            encoding: "windows-1254".parse().expect("an encoding"),
            decimal_mark: DecimalMark::Comma,
            date_order: DateOrder::Mdy,
            region: Some("Île-de-France & more".to_owned()),
            days: Some(("2026-02-01".parse().expect("a day"), "2026-02-07".parse().expect("a day"))),
            ..ImportRequest::new("week 6 ?#&=.csv", [7; 32])
        };
        assert_eq!(ImportRequest::parse(&request.to_string()).expect("a request"), request);
        let plain = ImportRequest::new("a.csv", [0; 32]);
        assert_eq!(ImportRequest::parse(&plain.to_string()).expect("a request"), plain);
        assert!(ImportRequest::parse("https://example.com/?name=a").is_err());
        assert!(ImportRequest::parse("import:file?days=today").is_err());
    }
}
