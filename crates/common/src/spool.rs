//! Bodies too large for memory: files without a name, which are gone as soon as nobody holds them.
//!
//! Such a file has lost its name before the first byte is written, so even a killed process leaves nothing behind.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};

/// A body in a file. Clones share the file.
#[derive(Clone, Debug)]
pub struct Spool {
    file: Arc<File>,
    size_bytes: u64,
    content_sha256: [u8; 32],
}

impl Spool {
    /// Returns the size of the body.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Returns the SHA-256 of the body.
    pub fn content_sha256(&self) -> [u8; 32] {
        self.content_sha256
    }

    /// Tells whether the body starts with these bytes.
    pub fn starts_with(&self, bytes: &[u8]) -> io::Result<bool> {
        let mut start = Vec::new();
        self.reader().take(bytes.len() as u64).read_to_end(&mut start)?;
        Ok(start == bytes)
    }

    /// Reads the body from its beginning; readers do not disturb each other.
    pub fn reader(&self) -> SpoolReader {
        SpoolReader { file: Arc::clone(&self.file), position: 0 }
    }
}

/// One passage through a body.
#[derive(Debug)]
pub struct SpoolReader {
    file: Arc<File>,
    position: u64,
}

impl Read for SpoolReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.file.read_at(buffer, self.position)?;
        self.position += length as u64;
        Ok(length)
    }
}

/// A body that is being written.
#[derive(Debug)]
pub struct SpoolWriter {
    file: File,
    size_bytes: u64,
    hash: Sha256,
}

impl SpoolWriter {
    /// Makes an empty body in a directory, by default the machine's own for temporary files.
    pub fn create(directory: Option<&Path>) -> io::Result<SpoolWriter> {
        let directory = directory.map_or_else(std::env::temp_dir, PathBuf::from);
        let file = tempfile::tempfile_in(&directory)
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", directory.display())))?;
        Ok(SpoolWriter { file, size_bytes: 0, hash: Sha256::new() })
    }

    /// Appends to the body.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.hash.update(bytes);
        self.size_bytes += bytes.len() as u64;
        Ok(())
    }

    /// Ends the body.
    pub fn finish(self) -> Spool {
        Spool { file: Arc::new(self.file), size_bytes: self.size_bytes, content_sha256: self.hash.finalize().into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_read_as_it_was_written_and_its_file_has_no_name() {
        let directory = tempfile::tempdir().unwrap();
        let mut writer = SpoolWriter::create(Some(directory.path())).unwrap();
        writer.write(b"one ").unwrap();
        writer.write(b"body").unwrap();
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
        let spool = writer.finish();
        assert_eq!(spool.size_bytes(), 8);
        assert_eq!(spool.content_sha256(), <[u8; 32]>::from(Sha256::digest(b"one body")));

        let (mut first, mut second) = (spool.reader(), spool.clone().reader());
        let mut start = [0; 4];
        first.read_exact(&mut start).unwrap();
        assert_eq!(&start, b"one ");
        assert_eq!(io::read_to_string(&mut second).unwrap(), "one body");
        assert_eq!(io::read_to_string(&mut first).unwrap(), "body");
    }

    #[test]
    fn a_missing_directory_is_named() {
        let error = SpoolWriter::create(Some(Path::new("/nowhere/at/all"))).unwrap_err();
        assert!(error.to_string().starts_with("/nowhere/at/all: "), "{error}");
    }
}
