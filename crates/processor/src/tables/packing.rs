//! Takes files out of zip and gzip, one by one, within hard bounds: what is packed tighter than any table, or larger than
//! any export, is refused before or while it is unpacked, never after.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::rc::Rc;

use flate2::bufread::MultiGzDecoder;
use zip::ZipArchive;

use crate::reading::Problem;

/// Most bytes that are unpacked of one file.
const UNPACKED_MAX: u64 = 16 * 1024 * 1024 * 1024;

/// Most bytes that one packed byte may become; tables reach a tenth of that, zip bombs ten times as many.
const RATIO_MAX: u64 = 100;

/// Bytes that may be unpacked whatever the ratio: small tables repeat themselves much.
const RATIO_FREE: u64 = 16 * 1024 * 1024;

/// Most bytes of a file that is not read from beginning to end, but here and there: a zip or a Parquet.
const ON_DISK_MAX: u64 = 4 * 1024 * 1024 * 1024;

/// Most files in a zip.
const ENTRIES_MAX: usize = 1_000;

const GZIP: &[u8] = &[0x1f, 0x8b];
const ZIP: &[u8] = b"PK\x03\x04";
const EMPTY_ZIP: &[u8] = b"PK\x05\x06";
const PARQUET: &[u8] = b"PAR1";
const OLD_WORKBOOK: &[u8] = &[0xd0, 0xcf, 0x11, 0xe0];

/// One table of a file.
pub struct Part<'a> {
    /// Name within the zip; empty for a file that is no zip.
    pub name: String,
    /// True when it is the only one.
    pub is_alone: bool,
    /// What it holds.
    pub content: Content<'a>,
}

/// What a part holds.
pub enum Content<'a> {
    /// Text in some encoding.
    Text(Box<dyn Read + 'a>),
    /// A Parquet file.
    Parquet(File),
}

/// Hands every table of a file to `take_up`.
pub fn for_each_part(body: impl Read, mut take_up: impl FnMut(Part<'_>) -> Result<(), Problem>) -> Result<(), Problem> {
    let mut body = BufReader::new(body);
    let start = start_of(&mut body)?;
    if start.starts_with(ZIP) || start.starts_with(EMPTY_ZIP) {
        return for_each_entry(on_disk(body)?, take_up);
    }
    let content = if start.starts_with(GZIP) {
        let packed = Rc::new(Cell::new(0));
        let counted = BufReader::new(Counted { inner: body, count: Rc::clone(&packed) });
        content_of(Bounded::new(MultiGzDecoder::new(counted), packed, Rc::default()))?
    } else {
        content_of(body)?
    };
    take_up(Part { name: String::new(), is_alone: true, content })
}

fn for_each_entry(file: File, mut take_up: impl FnMut(Part<'_>) -> Result<(), Problem>) -> Result<(), Problem> {
    let no_zip = |error: zip::result::ZipError| Problem::at("", format!("the zip cannot be read: {error}"));
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(no_zip)?;
    if archive.len() > ENTRIES_MAX {
        return Err(Problem::at("", format!("the zip holds {} files, at most {ENTRIES_MAX} are read", archive.len())));
    }
    // A bomb that says how large it is goes off before anything is unpacked.
    let mut tables = Vec::new();
    let mut unpacked_sum: u64 = 0;
    for index in 0..archive.len() {
        let entry = archive.by_index_raw(index).map_err(no_zip)?;
        let name = entry.name().map_err(no_zip)?.into_owned();
        if name == "[Content_Types].xml" {
            return Err(Problem::at("", "it is a workbook, which is not read; save the sheet as CSV"));
        }
        if entry.is_dir() {
            continue;
        }
        check_size(entry.size(), entry.compressed_size()).map_err(|text| Problem::at(pointer(&name), text))?;
        unpacked_sum = unpacked_sum.saturating_add(entry.size());
        tables.push((index, name));
    }
    check_size(unpacked_sum, u64::MAX).map_err(|text| Problem::at("", text))?;
    let is_alone = tables.len() == 1;
    let total = Rc::<Cell<u64>>::default();
    for (index, name) in tables {
        let entry = archive.by_index(index).map_err(no_zip)?;
        // What an entry says of its size may be a lie, so it is counted while it is unpacked, too.
        let packed = Rc::new(Cell::new(entry.compressed_size()));
        let content = content_of(Bounded::new(entry, packed, Rc::clone(&total)))?;
        take_up(Part { name, is_alone, content })?;
    }
    Ok(())
}

/// Tells text from Parquet, and refuses what is neither.
fn content_of<'a>(inner: impl Read + 'a) -> Result<Content<'a>, Problem> {
    let mut inner = BufReader::new(inner);
    let start = start_of(&mut inner)?;
    if start.starts_with(PARQUET) {
        return Ok(Content::Parquet(on_disk(inner)?));
    }
    if start.starts_with(OLD_WORKBOOK) {
        return Err(Problem::at("", "it is a workbook, which is not read; save the sheet as CSV"));
    }
    if start.starts_with(ZIP) || start.starts_with(GZIP) {
        return Err(Problem::at("", "it is packed twice; unpack it once"));
    }
    Ok(Content::Text(Box::new(inner)))
}

/// Returns the first bytes, which stay to be read.
fn start_of(body: &mut impl BufRead) -> Result<Vec<u8>, Problem> {
    let buffered = body.fill_buf().map_err(unreadable)?;
    Ok(buffered[..buffered.len().min(8)].to_vec())
}

/// Copies what is to be read here and there into a file without a name.
fn on_disk(mut body: impl Read) -> Result<File, Problem> {
    let mut file = tempfile::tempfile().map_err(|error| Problem::at("", format!("no temporary file: {error}")))?;
    let size = io::copy(&mut (&mut body).take(ON_DISK_MAX + 1), &mut file).map_err(unreadable)?;
    if size > ON_DISK_MAX {
        return Err(Problem::at("", format!("it is larger than {ON_DISK_MAX} bytes; split it")));
    }
    file.flush().and_then(|()| file.seek(SeekFrom::Start(0))).map_err(unreadable)?;
    Ok(file)
}

/// Says that bytes could not be read, in the words of whoever read them.
pub fn unreadable(error: io::Error) -> Problem {
    Problem::at("", format!("it cannot be read to its end: {error}"))
}

/// Writes the name of a part as a JSON pointer.
pub fn pointer(name: &str) -> String {
    match name {
        "" => String::new(),
        name => format!("/{}", crate::rows::cut(&name.replace('~', "~0").replace('/', "~1"), 200)),
    }
}

fn check_size(unpacked: u64, packed: u64) -> Result<(), String> {
    if unpacked > UNPACKED_MAX {
        return Err(format!("it unpacks to more than {UNPACKED_MAX} bytes; split it"));
    }
    if unpacked > RATIO_FREE && unpacked / RATIO_MAX > packed {
        return Err(format!("it unpacks to more than {RATIO_MAX} times its size, which no table does"));
    }
    Ok(())
}

/// Counts what passes by.
struct Counted<Inner> {
    inner: Inner,
    count: Rc<Cell<u64>>,
}

impl<Inner: Read> Read for Counted<Inner> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.count.set(self.count.get() + length as u64);
        Ok(length)
    }
}

/// Fails as soon as more was unpacked than the packed bytes can honestly hold, or than all of a file may be.
struct Bounded<Inner> {
    inner: Inner,
    packed: Rc<Cell<u64>>,
    unpacked: u64,
    total: Rc<Cell<u64>>,
}

impl<Inner: Read> Bounded<Inner> {
    fn new(inner: Inner, packed: Rc<Cell<u64>>, total: Rc<Cell<u64>>) -> Bounded<Inner> {
        Bounded { inner, packed, unpacked: 0, total }
    }
}

impl<Inner: Read> Read for Bounded<Inner> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.unpacked += length as u64;
        self.total.set(self.total.get() + length as u64);
        check_size(self.unpacked, self.packed.get()).map_err(io::Error::other)?;
        check_size(self.total.get(), u64::MAX).map_err(io::Error::other)?;
        Ok(length)
    }
}
