//! Files that are cut off, damaged, packed, or made to do harm.

use std::io::{Cursor, Write};
use std::sync::Arc;

use ::parquet::basic::{Compression as Codec, ConvertedType, Repetition, Type as Physical};
use ::parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int32Type};
use ::parquet::file::properties::WriterProperties;
use ::parquet::file::writer::SerializedFileWriter;
use ::parquet::schema::types::Type;
use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::tests::{TestFile, aside, read, said};
use super::*;

const SERIES: &str = "keyword,date,metric,value,period\n\
    desk lamp,2026-02-01,search_query_volume,1200,week\n\
    table lamp,2026-02-01,search_query_volume,300,week\n";

const READ: [&str; 2] =
    ["1 search_query_volume week 2026-02-01 1200 searches", "2 search_query_volume week 2026-02-01 300 searches"];

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zip(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in entries {
        writer.start_file(*name, SimpleFileOptions::default()).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

#[test]
fn packed_files_are_read_like_others() {
    assert_eq!(said(&read(gzip(SERIES.as_bytes())).unwrap()), READ);
    let imported =
        read(zip(&[("export/series.csv", SERIES.as_bytes()), ("geoMap.csv", b"Region,x\nUtah,5\n")])).unwrap();
    assert_eq!(said(&imported), READ);
    assert_eq!(imported.headers[0].part, "export/series.csv");
    let aside = aside(&imported);
    assert!(aside[0].starts_with("/geoMap.csv: no known header"), "{aside:?}");
}

#[test]
fn a_bomb_is_refused_before_it_goes_off() {
    // Zeros that are packed as tight as can be.
    let mut zeros = ZipWriter::new(Cursor::new(Vec::new()));
    zeros.start_file("a.csv", SimpleFileOptions::default()).unwrap();
    let block = vec![0; 1024 * 1024];
    (0..20).for_each(|_| zeros.write_all(&block).unwrap());
    let small_bomb = zeros.finish().unwrap().into_inner();
    let honest = read(&small_bomb).unwrap_err();
    assert!(honest.to_string().contains("more than 100 times its size"), "{honest}");

    // The same bytes, which say that they are thousands of times as many, and that they are ten.
    let real_size = (20_u32 * 1024 * 1024).to_le_bytes();
    let with_size = |size: u32| {
        let mut bytes = small_bomb.clone();
        for place in 0..bytes.len() - 4 {
            if bytes[place..place + 4] == real_size {
                bytes[place..place + 4].copy_from_slice(&size.to_le_bytes());
            }
        }
        bytes
    };
    let huge = read(with_size(u32::MAX - 1)).unwrap_err();
    assert!(huge.to_string().contains("more than 100 times its size"), "{huge}");
    let lying = read(with_size(10)).unwrap_err();
    assert!(!lying.to_string().is_empty(), "{lying}");
}

#[test]
fn a_bomb_in_gzip_is_refused_while_it_is_unpacked() {
    // Rows that look right until the bound is passed.
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(b"keyword,date,metric,value,note\n").unwrap();
    let row = format!("lamp,2026-02-01,search_query_volume,1,{}\n", "n".repeat(100_000));
    (0..200).for_each(|_| encoder.write_all(row.as_bytes()).unwrap());
    let problem = read(encoder.finish().unwrap()).unwrap_err();
    assert!(problem.to_string().contains("more than 100 times its size"), "{problem}");
}

#[test]
fn what_is_cut_off_is_refused_or_its_last_row_set_aside() {
    let packed = gzip(SERIES.as_bytes());
    let cut = read(&packed[..packed.len() - 9]).unwrap_err();
    assert!(cut.to_string().contains("cannot be read"), "{cut}");
    let zipped = zip(&[("series.csv", SERIES.as_bytes())]);
    assert!(read(&zipped[..zipped.len() - 30]).unwrap_err().to_string().contains("the zip cannot be read"));
    let rows_cut = read(&SERIES[..SERIES.len() - 10]).unwrap();
    assert_eq!(said(&rows_cut), READ[..1]);
    assert_eq!(aside(&rows_cut), ["/line/3: 3 cells where the header has 5"]);
    assert!(read("keyword,date,metric,value\n").unwrap_err().text.contains("a header and no rows"));
    assert!(read("").is_err());
}

#[test]
fn formulas_are_set_aside_and_never_keywords() {
    let text = format!(
        "{SERIES}=cmd|' /C calc'!A0,2026-02-01,search_query_volume,5,week\n\
         'desk lamp,2026-02-01,search_query_volume,5,week\n\
         desk lamp,2026-02-08,search_query_volume,=1+1,week\n"
    );
    let imported = read(text).unwrap();
    assert_eq!(said(&imported), READ);
    assert_eq!(aside(&imported).len(), 3);
    assert!(imported.keywords.untracked.is_empty());
    assert!(read("Week,=cmd: (United States)\n2026-02-01,5\n").unwrap_err().text.contains("formula"));
}

#[test]
fn encodings_are_detected_and_refused_where_they_are_not_certain() {
    let latin: Vec<u8> = [SERIES.as_bytes(), b"k\xfcchenlampe,2026-02-01,search_query_volume,5,week\n"].concat();
    let imported = read(&latin).unwrap();
    assert_eq!(imported.keywords.untracked.keys().collect::<Vec<_>>(), ["küchenlampe"]);
    assert_eq!(imported.headers[0].sample.as_deref(), Some("küchenlampe"));

    let turkish: Vec<u8> = [SERIES.as_bytes(), b"i\xfekur,2026-02-01,search_query_volume,5,week\n"].concat();
    let problem = read(&turkish).unwrap_err();
    assert!(problem.text.contains("windows-1254 ('işkur')"), "{problem}");
    let named = TestFile {
        request: ImportRequest { encoding: "windows-1254".parse().unwrap(), ..ImportRequest::default() },
        ..TestFile::default()
    };
    assert_eq!(named.read(&turkish).unwrap().keywords.untracked.keys().collect::<Vec<_>>(), ["işkur"]);

    let japanese = encoding_rs::SHIFT_JIS.encode("スマホケース,2026-02-01,search_query_volume,5,week\n").0.into_owned();
    let japanese = [SERIES.as_bytes(), &japanese].concat();
    assert_eq!(read(&japanese).unwrap().keywords.untracked.keys().collect::<Vec<_>>(), ["スマホケース"]);
    assert!(named.read(&japanese).unwrap_err().text.contains("Shift_JIS"));

    // Half of a pair of UTF-16 is no character.
    let mut broken: Vec<u8> = vec![0xff, 0xfe];
    broken.extend(SERIES.encode_utf16().flat_map(u16::to_le_bytes));
    broken.extend("lam".encode_utf16().flat_map(u16::to_le_bytes));
    broken.extend([0x00, 0xd8]);
    broken.extend(",2026-02-01,search_query_volume,5,week\n".encode_utf16().flat_map(u16::to_le_bytes));
    let imported = read(&broken).unwrap();
    assert_eq!(said(&imported), READ);
    assert!(aside(&imported)[0].contains("cannot be decoded"), "{:?}", aside(&imported));
}

#[test]
fn ragged_rows_nuls_and_open_quotation_marks_cost_themselves_only() {
    let text = format!(
        "{SERIES}desk lamp,2026-02-08\n\
         desk lamp,2026-02-08,search_query_volume,5,week,more\n\
         desk\0 lamp,2026-02-08,search_query_volume,5,week\n\
         desk lamp,2026-02-15,search_query_volume,7,week,,,\n\n"
    );
    let imported = read(text).unwrap();
    assert_eq!(aside(&imported).len(), 3, "{:?}", aside(&imported));
    assert_eq!(said(&imported)[2], "1 search_query_volume week 2026-02-15 7 searches");

    let open = format!("{SERIES}\"desk lamp,2026-02-08,search_query_volume,5,week\n{}", "x\n".repeat(1_000_000));
    assert!(read(open).unwrap_err().to_string().contains("is a quotation mark left open?"));
    let endless = format!("{SERIES}{}", "x".repeat(3_000_000));
    assert!(read(endless).unwrap_err().to_string().contains("longer than"));
}

#[test]
fn a_file_of_which_every_row_is_broken_is_refused() {
    let problem = read("keyword,date,metric,value\nlamp,1/2/2026,search_query_volume,5\n").unwrap_err();
    assert!(problem.text.contains("1 of 1 rows cannot be read"), "{problem}");
}

#[test]
fn what_is_no_table_is_said_to_be_none() {
    let workbook = zip(&[("[Content_Types].xml", b"<x/>"), ("xl/workbook.xml", b"<x/>")]);
    assert!(read(workbook).unwrap_err().text.contains("save the sheet as CSV"));
    assert!(read([0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1]).unwrap_err().text.contains("save the sheet as CSV"));
    assert!(read(gzip(&gzip(SERIES.as_bytes()))).unwrap_err().text.contains("packed twice"));
}

/// Writes a Parquet file of a series: keyword, date, metric, value.
fn parquet(codec: Codec) -> Vec<u8> {
    let text = |name: &str| {
        let column = Type::primitive_type_builder(name, Physical::BYTE_ARRAY).with_converted_type(ConvertedType::UTF8);
        Arc::new(column.with_repetition(Repetition::REQUIRED).build().unwrap())
    };
    let date = Type::primitive_type_builder("date", Physical::INT32).with_converted_type(ConvertedType::DATE);
    let date = Arc::new(date.with_repetition(Repetition::REQUIRED).build().unwrap());
    let value = Type::primitive_type_builder("value", Physical::DOUBLE).with_repetition(Repetition::OPTIONAL);
    let fields = vec![text("keyword"), date, text("metric"), Arc::new(value.build().unwrap()), text("period")];
    let schema = Arc::new(Type::group_type_builder("schema").with_fields(fields).build().unwrap());
    let properties = Arc::new(WriterProperties::builder().set_compression(codec).build());
    let mut bytes = Vec::new();
    let mut writer = SerializedFileWriter::new(&mut bytes, schema, properties).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let texts = |all: [&str; 3]| all.map(|one| ByteArray::from(one.as_bytes().to_vec()));
    let mut index = 0;
    while let Some(mut column) = group.next_column().unwrap() {
        match index {
            1 => column.typed::<Int32Type>().write_batch(&[20_485, 20_485, 20_492], None, None).unwrap(),
            3 => column.typed::<DoubleType>().write_batch(&[1200.0, 300.0], Some(&[1, 1, 0]), None).unwrap(),
            _ => {
                let all = match index {
                    0 => texts(["desk lamp", "table lamp", "desk lamp"]),
                    2 => texts(["search_query_volume"; 3]),
                    _ => texts(["week"; 3]),
                };
                column.typed::<ByteArrayType>().write_batch(&all, None, None).unwrap()
            }
        };
        column.close().unwrap();
        index += 1;
    }
    group.close().unwrap();
    writer.close().unwrap();
    bytes
}

#[test]
fn parquet_says_what_the_same_rows_say_in_csv() {
    for codec in [Codec::UNCOMPRESSED, Codec::SNAPPY, Codec::ZSTD(Default::default())] {
        // How numbers are spelt elsewhere does not matter here.
        let request =
            ImportRequest { decimal_mark: crate::tables::numbers::DecimalMark::Comma, ..ImportRequest::default() };
        let imported = TestFile { request, ..TestFile::default() }.read(&parquet(codec)).unwrap();
        assert_eq!((imported.kind, imported.headers[0].form.as_str()), (Kind::Series, "Parquet"));
        assert_eq!(said(&imported)[..2], READ);
        assert_eq!(said(&imported)[2], "1 search_query_volume week 2026-02-08 unavailable: the cell is empty searches");
    }
    assert!(read(b"PAR1").unwrap_err().text.contains("the Parquet file cannot be read"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_damaged_file_does_harm(kind in 0_usize..4, place in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>()) {
        let mut bytes = match kind {
            0 => SERIES.as_bytes().to_vec(),
            1 => gzip(SERIES.as_bytes()),
            2 => zip(&[("series.csv", SERIES.as_bytes())]),
            _ => parquet(Codec::SNAPPY),
        };
        let place = place.index(bytes.len());
        bytes[place] ^= byte;
        if let Ok(imported) = read(&bytes) {
            prop_assert!(imported.reading.observations.len() <= 3);
        }
        bytes.truncate(cut.index(bytes.len()));
        let _ = read(&bytes);
    }

    #[test]
    fn no_text_does_harm(text in "\\PC{0,300}", kind in 0_usize..5) {
        let file = TestFile { kind: Some(Kind::ALL[kind]), ..TestFile::default() };
        let _ = file.read(text.as_bytes());
    }
}
