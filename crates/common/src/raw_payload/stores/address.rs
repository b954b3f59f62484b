//! The address of an object store, as it is set and as it begins the address of each body in it.

use std::fmt;
use std::str::FromStr;

use url::Url;

/// The kinds of stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A directory.
    Directory,
    /// S3, or what speaks its protocol.
    S3,
    /// Azure Blob Storage.
    Azure,
    /// Google Cloud Storage.
    Google,
}

/// Address of an object store, without secrets and without a slash at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreAddress {
    kind: Kind,
    text: String,
}

/// Why a text is no address of a store. The text is not repeated, because there may be a secret in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// It is no address at all, or of no kind of store that is known.
    #[error("expected postgres, file:///directory, s3://bucket/prefix, az://container/prefix or gs://bucket/prefix")]
    Kind,
    /// It names no directory or no bucket.
    #[error("the directory, bucket or container is missing")]
    Nameless,
    /// It has a part that would not be kept as it is.
    #[error(
        "user, password, port, '?', '@' and '#' have no place in it; what gives access belongs in AWS_*, AZURE_* or GOOGLE_* variables"
    )]
    Extra,
}

impl FromStr for StoreAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<StoreAddress, AddressError> {
        if text.contains(['?', '@', '#']) {
            return Err(AddressError::Extra);
        }
        let url = Url::parse(text).map_err(|_| AddressError::Kind)?;
        let kind = match url.scheme() {
            "file" => Kind::Directory,
            "s3" => Kind::S3,
            "az" => Kind::Azure,
            "gs" => Kind::Google,
            _ => return Err(AddressError::Kind),
        };
        if url.port().is_some() {
            return Err(AddressError::Extra);
        }
        let is_named = match kind {
            Kind::Directory => url.host_str().is_none() && !url.path().trim_matches('/').is_empty(),
            Kind::S3 | Kind::Azure | Kind::Google => url.host_str().is_some_and(|host| !host.is_empty()),
        };
        match is_named {
            true => Ok(StoreAddress { kind, text: url.as_str().trim_end_matches('/').to_owned() }),
            false => Err(AddressError::Nameless),
        }
    }
}

impl StoreAddress {
    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    /// Tells whether it is a directory of this machine.
    pub fn is_directory(&self) -> bool {
        self.kind == Kind::Directory
    }

    /// Tells whether an object lies in this store.
    pub fn holds(&self, location: &str) -> bool {
        location.strip_prefix(&self.text).is_some_and(|key| key.starts_with('/'))
    }

    /// Returns the path within the bucket, or the directory, of an address in this store; percent-encoded.
    pub(super) fn path_of<'a>(&self, location: &'a str) -> &'a str {
        let after_scheme = location.split_once("://").map_or(location, |(_, rest)| rest);
        after_scheme.split_once('/').map_or("", |(_, path)| path)
    }
}

impl fmt::Display for StoreAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Result<StoreAddress, AddressError> {
        text.parse()
    }

    #[test]
    fn an_address_is_one_of_four_kinds_and_ends_without_a_slash() {
        for (text, shown, path) in [
            ("file:///var/lib/bodies/", "file:///var/lib/bodies", "var/lib/bodies/2026-03/x"),
            ("file:///with space", "file:///with%20space", "with%20space/2026-03/x"),
            ("s3://bucket", "s3://bucket", "2026-03/x"),
            ("az://container/a/b", "az://container/a/b", "a/b/2026-03/x"),
            ("gs://bucket/prefix/", "gs://bucket/prefix", "prefix/2026-03/x"),
        ] {
            let address = address(text).unwrap();
            assert_eq!(address.to_string(), shown);
            let location = format!("{address}/2026-03/x");
            assert!(address.holds(&location) && !address.holds(shown), "{text}");
            assert_eq!(address.path_of(&location), path);
        }
        assert!(!address("s3://bucket/a").unwrap().holds("s3://bucket/ab/2026-03/x"));
    }

    #[test]
    fn what_is_no_address_is_refused_without_being_repeated() {
        for (text, error) in [
            ("bodies", AddressError::Kind),
            ("/var/lib/bodies", AddressError::Kind),
            ("https://bucket.s3.amazonaws.com/", AddressError::Kind),
            ("file:///", AddressError::Nameless),
            ("file://machine/directory", AddressError::Nameless),
            ("s3:///prefix", AddressError::Nameless),
            ("s3://key:hunter2@bucket/prefix", AddressError::Extra),
            ("az://container/prefix?sig=hunter2", AddressError::Extra),
            ("s3://bucket:9000/prefix", AddressError::Extra),
        ] {
            assert_eq!(address(text), Err(error), "{text}");
            assert!(!error.to_string().contains("hunter2"));
        }
    }
}
