//! Apache Parquet as a stream: row groups of gzipped pages, plain values, the
//! metadata at the end (parquet-format 2.10). Every column is optional.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::table::{Cell, CellKind, Column, Sheet, TableError};
use super::thrift::{Struct, put_varint};

const MAGIC: &[u8; 4] = b"PAR1";
/// Rows of a group: with 25 columns some 5 MB until it is written.
const GROUP_ROWS: usize = 20_000;

/// Physical types.
const BOOLEAN: i32 = 0;
const INT32: i32 = 1;
const INT64: i32 = 2;
const DOUBLE: i32 = 5;
const BYTE_ARRAY: i32 = 6;
/// What they stand for.
const UTF8: i32 = 0;
const DATE: i32 = 6;
const TIMESTAMP_MILLIS: i32 = 9;
/// Encodings.
const PLAIN: i32 = 0;
const RLE: i32 = 3;
const OPTIONAL: i32 = 1;
const GZIP: i32 = 2;
const DATA_PAGE: i32 = 0;

/// A file on its way.
pub(super) struct Parquet {
    columns: &'static [Column],
    group: Vec<Vec<Cell>>,
    rows: i64,
    row_groups: Vec<Struct>,
    ready: Vec<u8>,
    /// Bytes before those that are ready.
    taken: u64,
}

impl Parquet {
    pub(super) fn new(columns: &'static [Column]) -> Self {
        Self {
            columns,
            group: Vec::new(),
            rows: 0,
            row_groups: Vec::new(),
            ready: MAGIC.to_vec(),
            taken: 0,
        }
    }

    fn end_group(&mut self) -> Result<(), TableError> {
        let rows = std::mem::take(&mut self.group);
        if rows.is_empty() {
            return Ok(());
        }
        let mut chunks = Vec::with_capacity(self.columns.len());
        let mut bytes = 0;
        for (index, column) in self.columns.iter().enumerate() {
            let (chunk, size) = self.column(&rows, index, *column)?;
            chunks.push(chunk);
            bytes += size;
        }
        let count = signed(rows.len())?;
        self.rows += count;
        let group = Struct::default().structs(1, chunks).i64(2, bytes).i64(3, count);
        self.row_groups.push(group);
        Ok(())
    }

    /// One page of a column: which rows have a value, and the values.
    fn column(
        &mut self,
        rows: &[Vec<Cell>],
        index: usize,
        column: Column,
    ) -> Result<(Struct, i64), TableError> {
        let cells = rows.iter().map(|row| row.get(index).unwrap_or(&Cell::Nothing));
        let page = page(cells);
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(&page)?;
        let packed = gzip.finish()?;
        let of_data =
            Struct::default().i32(1, small(rows.len())?).i32(2, PLAIN).i32(3, RLE).i32(4, RLE);
        let header = Struct::default()
            .i32(1, DATA_PAGE)
            .i32(2, small(page.len())?)
            .i32(3, small(packed.len())?)
            .of(5, of_data)
            .end();
        let offset = i64::try_from(self.taken + self.ready.len() as u64);
        let offset = offset.map_err(|_| TableError::TooLarge)?;
        let plain = signed(header.len() + page.len())?;
        let stored = signed(header.len() + packed.len())?;
        self.ready.extend(header);
        self.ready.extend(packed);
        let metadata = Struct::default()
            .i32(1, physical(column.kind))
            .i32s(2, &[PLAIN, RLE])
            .texts(3, &[&column.name()])
            .i32(4, GZIP)
            .i64(5, signed(rows.len())?)
            .i64(6, plain)
            .i64(7, stored)
            .i64(9, offset);
        Ok((Struct::default().i64(2, offset).of(3, metadata), plain))
    }

    fn schema(&self) -> Result<Vec<Struct>, TableError> {
        let root = Struct::default().text(4, "schema").i32(5, small(self.columns.len())?);
        let leaf = |column: &Column| {
            let leaf = Struct::default().i32(1, physical(column.kind)).i32(3, OPTIONAL);
            let leaf = leaf.text(4, &column.name());
            match column.kind {
                CellKind::Text => leaf.i32(6, UTF8),
                CellKind::Time => leaf.i32(6, TIMESTAMP_MILLIS),
                CellKind::Day => leaf.i32(6, DATE),
                CellKind::Whole | CellKind::Number | CellKind::Truth => leaf,
            }
        };
        Ok(std::iter::once(root).chain(self.columns.iter().map(leaf)).collect())
    }
}

impl Sheet for Parquet {
    fn row(&mut self, cells: &[Cell]) -> Result<(), TableError> {
        self.group.push(cells.to_vec());
        if self.group.len() == GROUP_ROWS { self.end_group() } else { Ok(()) }
    }

    fn finish(&mut self) -> Result<(), TableError> {
        self.end_group()?;
        let metadata = Struct::default()
            .i32(1, 1)
            .structs(2, self.schema()?)
            .i64(3, self.rows)
            .structs(4, std::mem::take(&mut self.row_groups))
            .text(6, "nemeses")
            .end();
        let length = u32::try_from(metadata.len()).map_err(|_| TableError::TooLarge)?;
        self.ready.extend(metadata);
        self.ready.extend(length.to_le_bytes());
        self.ready.extend(MAGIC);
        Ok(())
    }

    fn take(&mut self) -> Vec<u8> {
        self.taken += self.ready.len() as u64;
        std::mem::take(&mut self.ready)
    }
}

const fn physical(kind: CellKind) -> i32 {
    match kind {
        CellKind::Text => BYTE_ARRAY,
        CellKind::Time | CellKind::Whole => INT64,
        CellKind::Day => INT32,
        CellKind::Number => DOUBLE,
        CellKind::Truth => BOOLEAN,
    }
}

/// Definition levels (runs of equal bits, behind their length), then the values.
fn page<'a>(cells: impl Iterator<Item = &'a Cell>) -> Vec<u8> {
    let (mut values, mut truths) = (Vec::new(), Vec::new());
    let mut runs: Vec<(bool, u64)> = Vec::new();
    for cell in cells {
        let there = *cell != Cell::Nothing;
        match runs.last_mut() {
            Some((same, length)) if *same == there => *length += 1,
            _ => runs.push((there, 1)),
        }
        match cell {
            Cell::Nothing => {}
            Cell::Text(text) => {
                values.extend(u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes());
                values.extend(text.bytes());
            }
            Cell::Time(number) | Cell::Whole(number) => values.extend(number.to_le_bytes()),
            Cell::Day(number) => values.extend(number.to_le_bytes()),
            Cell::Number(number) => values.extend(number.to_le_bytes()),
            Cell::Truth(truth) => truths.push(*truth),
        }
    }
    for eight in truths.chunks(8) {
        values.push(eight.iter().rev().fold(0, |bits, truth| bits << 1 | u8::from(*truth)));
    }
    let mut levels = Vec::new();
    for (there, length) in runs {
        put_varint(&mut levels, length << 1);
        levels.push(u8::from(there));
    }
    let mut page = u32::try_from(levels.len()).unwrap_or(u32::MAX).to_le_bytes().to_vec();
    page.extend(levels);
    page.extend(values);
    page
}

/// As the metadata has sizes.
fn small(number: usize) -> Result<i32, TableError> {
    i32::try_from(number).map_err(|_| TableError::TooLarge)
}

fn signed(number: usize) -> Result<i64, TableError> {
    i64::try_from(number).map_err(|_| TableError::TooLarge)
}

#[cfg(test)]
mod tests {
    use super::super::table::column;
    use super::*;

    #[test]
    fn a_page_is_levels_and_values() {
        let cells = [Cell::Truth(true), Cell::Nothing, Cell::Nothing, Cell::Truth(true)];
        assert_eq!(page(cells.iter()), [6, 0, 0, 0, 2, 1, 4, 0, 2, 1, 0b11]);
        let text = [Cell::Text("ab".into())];
        assert_eq!(page(text.iter()), [2, 0, 0, 0, 2, 1, 2, 0, 0, 0, b'a', b'b']);
    }

    #[test]
    fn a_file_begins_and_ends_as_it_must_and_counts_its_groups() {
        const COLUMNS: [Column; 2] = [column("id", CellKind::Text), column("at", CellKind::Time)];
        let mut file = Parquet::new(&COLUMNS);
        let mut bytes = Vec::new();
        for n in 0..=GROUP_ROWS {
            file.row(&[Cell::Text(n.to_string()), Cell::Nothing]).unwrap();
            assert!(file.group.len() < GROUP_ROWS);
            bytes.extend(file.take());
        }
        file.finish().unwrap();
        bytes.extend(file.take());
        assert_eq!((&bytes[..4], &bytes[bytes.len() - 4..]), (&MAGIC[..], &MAGIC[..]));
        let length = bytes.len() - 8;
        let footer = u32::from_le_bytes(bytes[length..length + 4].try_into().unwrap()) as usize;
        assert!(footer < 1000 && bytes[length - footer..].starts_with(&[0x15, 2, 0x19, 0x3C]));
    }
}
