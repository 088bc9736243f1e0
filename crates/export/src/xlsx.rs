//! A workbook (ECMA-376, the parts that readers need), written as a stream: sheets
//! first, row by row with text in place, the list of sheets at the end. A sheet holds
//! 1 048 576 rows; the rest continues on the next sheet.

use std::fmt::Write as _;

use nemeses_reports::Zone;

use super::table::{Cell, CellKind, Column, Sheet, TableError};
use super::text::xml;
use super::zip::Zip;

/// Rows of a sheet, the head included (ECMA-376 part 1, 18.3.1.73 as Excel reads it).
const MOST_ROWS: u32 = 1_048_576;
/// Days from 1899-12-30, the zero of serial dates, to 1970-01-01.
const EPOCH_DAYS: f64 = 25_569.0;
const DAY_MS: f64 = 86_400_000.0;

const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n";
const MAIN: &str = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
const RELATIONS: &str = "http://schemas.openxmlformats.org/package/2006/relationships";
const OFFICE: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
const TYPES: &str = "http://schemas.openxmlformats.org/package/2006/content-types";
const OF_SHEETS: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml";

/// A workbook on its way.
pub(super) struct Xlsx {
    zip: Zip,
    columns: &'static [Column],
    title: &'static str,
    zone: Zone,
    /// The names of the sheets that were begun.
    sheets: Vec<String>,
    /// How many sheets the table has that is being written.
    of_table: u32,
    /// Of the sheet that is open, the head included; 0 when none is.
    rows: u32,
}

impl Xlsx {
    pub(super) fn new(columns: &'static [Column], title: &'static str, zone: &Zone) -> Self {
        let zone = zone.clone();
        Self { zip: Zip::default(), columns, title, zone, sheets: Vec::new(), of_table: 0, rows: 0 }
    }

    fn open_sheet(&mut self) -> Result<(), TableError> {
        self.of_table += 1;
        self.sheets.push(match self.of_table {
            1 => self.title.to_owned(),
            number => format!("{} {number}", self.title),
        });
        self.zip.begin(&format!("xl/worksheets/sheet{}.xml", self.sheets.len()))?;
        let frozen = "<sheetViews><sheetView workbookViewId=\"0\"><pane ySplit=\"1\" \
            topLeftCell=\"A2\" activePane=\"bottomLeft\" state=\"frozen\"/></sheetView></sheetViews>";
        let columns = columns(self.columns);
        self.zip.write(&format!(
            "{DECLARATION}<worksheet xmlns=\"{MAIN}\">{frozen}{columns}<sheetData>"
        ))?;
        let head: Vec<Cell> = self.columns.iter().map(|column| Cell::Text(column.name())).collect();
        self.put(&head)
    }

    /// A table has a sheet even if it has no rows.
    fn end_table(&mut self) -> Result<(), TableError> {
        if self.of_table == 0 {
            self.open_sheet()?;
        }
        self.close_sheet()
    }

    fn close_sheet(&mut self) -> Result<(), TableError> {
        self.rows = 0;
        self.zip.write("</sheetData></worksheet>")?;
        self.zip.end()
    }

    fn put(&mut self, cells: &[Cell]) -> Result<(), TableError> {
        self.rows += 1;
        let mut row = format!("<row r=\"{}\">", self.rows);
        for (index, cell) in cells.iter().enumerate() {
            self.put_cell(&mut row, &format!("{}{}", letters(index), self.rows), cell);
        }
        row += "</row>";
        self.zip.write(&row)
    }

    fn put_cell(&self, row: &mut String, at: &str, cell: &Cell) {
        // Writing to a string cannot fail.
        let _ = match cell {
            Cell::Nothing => Ok(()),
            Cell::Text(text) => {
                let text = xml(text);
                write!(row, "<c r=\"{at}\" t=\"inlineStr\"><is><t>{text}</t></is></c>")
            }
            Cell::Time(ms) => {
                write!(row, "<c r=\"{at}\" s=\"1\"><v>{}</v></c>", self.serial(*ms))
            }
            Cell::Day(days) => {
                write!(row, "<c r=\"{at}\" s=\"2\"><v>{}</v></c>", EPOCH_DAYS + f64::from(*days))
            }
            Cell::Whole(number) => write!(row, "<c r=\"{at}\"><v>{number}</v></c>"),
            Cell::Number(number) => write!(row, "<c r=\"{at}\"><v>{number}</v></c>"),
            Cell::Truth(truth) => {
                write!(row, "<c r=\"{at}\" t=\"b\"><v>{}</v></c>", u8::from(*truth))
            }
        };
    }

    /// A moment as days of the wall clock: spreadsheets know no time zones.
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of a century are below 2^53")]
    fn serial(&self, ms: i64) -> f64 {
        EPOCH_DAYS + self.zone.wall_clock_ms(ms) as f64 / DAY_MS
    }
}

impl Sheet for Xlsx {
    fn row(&mut self, cells: &[Cell]) -> Result<(), TableError> {
        if self.rows == MOST_ROWS {
            self.close_sheet()?;
        }
        if self.rows == 0 {
            self.open_sheet()?;
        }
        self.put(cells)
    }

    fn table(
        &mut self,
        columns: &'static [Column],
        title: &'static str,
    ) -> Result<bool, TableError> {
        self.end_table()?;
        (self.columns, self.title, self.of_table) = (columns, title, 0);
        Ok(true)
    }

    fn finish(&mut self) -> Result<(), TableError> {
        self.end_table()?;
        let names = std::mem::take(&mut self.sheets);
        let of_each = |part: &dyn Fn(usize, &str) -> String| {
            (1..).zip(&names).map(|(n, name)| part(n, name)).collect::<String>()
        };
        let sheets = of_each(&|n, name| {
            format!("<sheet name=\"{}\" sheetId=\"{n}\" r:id=\"rId{n}\"/>", xml(name))
        });
        let relations = of_each(&|n, _| {
            format!(
                "<Relationship Id=\"rId{n}\" Type=\"{OFFICE}/worksheet\" Target=\"worksheets/sheet{n}.xml\"/>"
            )
        });
        let types = of_each(&|n, _| {
            format!(
                "<Override PartName=\"/xl/worksheets/sheet{n}.xml\" ContentType=\"{OF_SHEETS}.worksheet+xml\"/>"
            )
        });
        let styles_id = names.len() + 1;
        for (name, text) in [
            ("xl/styles.xml", styles()),
            (
                "xl/workbook.xml",
                format!(
                    "<workbook xmlns=\"{MAIN}\" xmlns:r=\"{OFFICE}\"><sheets>{sheets}</sheets></workbook>"
                ),
            ),
            (
                "xl/_rels/workbook.xml.rels",
                format!(
                    "<Relationships xmlns=\"{RELATIONS}\">{relations}<Relationship Id=\"rId{styles_id}\" Type=\"{OFFICE}/styles\" Target=\"styles.xml\"/></Relationships>"
                ),
            ),
            (
                "_rels/.rels",
                format!(
                    "<Relationships xmlns=\"{RELATIONS}\"><Relationship Id=\"rId1\" Type=\"{OFFICE}/officeDocument\" Target=\"xl/workbook.xml\"/></Relationships>"
                ),
            ),
            (
                "[Content_Types].xml",
                format!(
                    "<Types xmlns=\"{TYPES}\"><Default Extension=\"rels\" ContentType=\"application/vnd.openxmlformats-package.relationships+xml\"/><Default Extension=\"xml\" ContentType=\"application/xml\"/><Override PartName=\"/xl/workbook.xml\" ContentType=\"{OF_SHEETS}.sheet.main+xml\"/><Override PartName=\"/xl/styles.xml\" ContentType=\"{OF_SHEETS}.styles+xml\"/>{types}</Types>"
                ),
            ),
        ] {
            self.zip.whole(name, &(DECLARATION.to_owned() + &text))?;
        }
        self.zip.finish()
    }

    fn take(&mut self) -> Vec<u8> {
        self.zip.take()
    }
}

/// How wide each column is: what it holds, and its name, can be read.
fn columns(columns: &[Column]) -> String {
    let width = |column: &Column| {
        let of_kind = match column.kind {
            CellKind::Text => 16,
            CellKind::Time => 19,
            CellKind::Day | CellKind::Whole | CellKind::Number | CellKind::Truth => 11,
        };
        of_kind.max(column.name().len()) + 2
    };
    let mut text = "<cols>".to_owned();
    for (n, column) in (1..).zip(columns) {
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "<col min=\"{n}\" max=\"{n}\" width=\"{}\" customWidth=\"1\"/>",
            width(column)
        );
    }
    text + "</cols>"
}

/// Three forms of cells: as they are, moments, and days.
fn styles() -> String {
    format!(
        "<styleSheet xmlns=\"{MAIN}\">\
         <numFmts count=\"2\"><numFmt numFmtId=\"164\" formatCode=\"yyyy\\-mm\\-dd\\ hh:mm:ss\"/><numFmt numFmtId=\"165\" formatCode=\"yyyy\\-mm\\-dd\"/></numFmts>\
         <fonts count=\"1\"><font><sz val=\"11\"/><name val=\"Calibri\"/></font></fonts>\
         <fills count=\"2\"><fill><patternFill patternType=\"none\"/></fill><fill><patternFill patternType=\"gray125\"/></fill></fills>\
         <borders count=\"1\"><border><left/><right/><top/><bottom/><diagonal/></border></borders>\
         <cellStyleXfs count=\"1\"><xf numFmtId=\"0\" fontId=\"0\" fillId=\"0\" borderId=\"0\"/></cellStyleXfs>\
         <cellXfs count=\"3\"><xf numFmtId=\"0\" fontId=\"0\" fillId=\"0\" borderId=\"0\" xfId=\"0\"/>\
         <xf numFmtId=\"164\" fontId=\"0\" fillId=\"0\" borderId=\"0\" xfId=\"0\" applyNumberFormat=\"1\"/>\
         <xf numFmtId=\"165\" fontId=\"0\" fillId=\"0\" borderId=\"0\" xfId=\"0\" applyNumberFormat=\"1\"/></cellXfs>\
         <cellStyles count=\"1\"><cellStyle name=\"Normal\" xfId=\"0\" builtinId=\"0\"/></cellStyles>\
         </styleSheet>"
    )
}

/// A, B, ... Z, AA: tables here have fewer than 26 + 26 * 26 columns.
fn letters(index: usize) -> String {
    const ALPHABET: &[u8; 26] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    let letter = |at: usize| char::from(ALPHABET[at % 26]);
    if index < 26 {
        return letter(index).to_string();
    }
    format!("{}{}", letter(index / 26 - 1), letter(index))
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::super::table::{CellKind, column};
    use super::*;

    const COLUMNS: [Column; 3] =
        [column("id", CellKind::Text), column("at", CellKind::Time), column("m", CellKind::Number)];

    /// The members of an archive, read from its end as readers do.
    fn members(bytes: &[u8]) -> Vec<(String, String)> {
        let u16_at =
            |at: usize| usize::from(u16::from_le_bytes(bytes[at..at + 2].try_into().unwrap()));
        let u32_at = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        let end = bytes.len() - 22;
        assert_eq!(u32_at(end), 0x0605_4B50);
        let mut at = u32_at(end + 16);
        let mut found = Vec::new();
        for _ in 0..u16_at(end + 10) {
            assert_eq!(u32_at(at), 0x0201_4B50);
            let (packed, plain, name) = (u32_at(at + 20), u32_at(at + 24), u16_at(at + 28));
            let name = String::from_utf8(bytes[at + 46..at + 46 + name].to_vec()).unwrap();
            let local = u32_at(at + 42);
            assert_eq!(u32_at(local), 0x0403_4B50);
            let data = local + 30 + u16_at(local + 26);
            let mut text = String::new();
            flate2::read::DeflateDecoder::new(&bytes[data..data + packed])
                .read_to_string(&mut text)
                .unwrap();
            let mut crc = flate2::Crc::new();
            crc.update(text.as_bytes());
            assert_eq!((text.len(), crc.sum() as usize), (plain, u32_at(at + 16)), "{name}");
            at += 46 + name.len();
            found.push((name, text));
        }
        assert_eq!(at, end);
        found
    }

    fn written(rows: &[[Cell; 3]], zone: &Zone) -> Vec<(String, String)> {
        let mut workbook = Xlsx::new(&COLUMNS, "Stops", zone);
        let mut bytes = Vec::new();
        for row in rows {
            workbook.row(row).unwrap();
            bytes.extend(workbook.take());
        }
        workbook.finish().unwrap();
        bytes.extend(workbook.take());
        members(&bytes)
    }

    #[test]
    fn rows_are_in_the_sheet() {
        let row = [Cell::Text("a<b".into()), Cell::Time(43_200_000), Cell::Number(0.5)];
        let zone = Zone::parse("+12:00").unwrap();
        let members = written(&[row, [Cell::Nothing, Cell::Nothing, Cell::Nothing]], &zone);
        let names: Vec<&str> = members.iter().map(|(name, _)| name.as_str()).collect();
        let parts =
            ["xl/styles.xml", "xl/workbook.xml", "xl/_rels/workbook.xml.rels", "_rels/.rels"];
        assert_eq!(names[0], "xl/worksheets/sheet1.xml");
        assert_eq!(names[1..5], parts);
        assert_eq!(names[5..], ["[Content_Types].xml"]);
        let sheet = &members[0].1;
        assert!(
            sheet.contains("<row r=\"1\"><c r=\"A1\" t=\"inlineStr\"><is><t>id</t>"),
            "{sheet}"
        );
        assert!(sheet.contains("<t>a&lt;b</t></is></c><c r=\"B2\" s=\"1\"><v>25570</v></c><c r=\"C2\"><v>0.5</v></c></row>"), "{sheet}");
        assert!(sheet.ends_with("<row r=\"3\"></row></sheetData></worksheet>"), "{sheet}");
    }

    #[test]
    fn the_rest_continues_on_the_next_sheet() {
        let mut workbook = Xlsx::new(&COLUMNS, "Stops", &Zone::utc());
        workbook.row(&[Cell::Whole(1)]).unwrap();
        workbook.rows = MOST_ROWS;
        workbook.row(&[Cell::Whole(2)]).unwrap();
        workbook.finish().unwrap();
        let members = members(&workbook.take());
        assert!(members[1].0 == "xl/worksheets/sheet2.xml" && members[1].1.contains("<v>2</v>"));
        assert!(members[3].1.contains("name=\"Stops 2\""), "{}", members[3].1);
    }

    #[test]
    fn a_second_table_is_a_sheet_of_its_own() {
        const TOTALS: [Column; 1] = [column("day", CellKind::Day)];
        let mut workbook = Xlsx::new(&COLUMNS, "Days", &Zone::utc());
        workbook.row(&[Cell::Text("a".into()), Cell::Time(0), Cell::Nothing]).unwrap();
        assert!(workbook.table(&TOTALS, "Totals").unwrap());
        workbook.row(&[Cell::Day(18_444)]).unwrap();
        workbook.finish().unwrap();
        let members = members(&workbook.take());
        let (days, totals, book) = (&members[0].1, &members[1].1, &members[3].1);
        assert!(!days.contains("<t>day</t>") && days.ends_with("</sheetData></worksheet>"));
        assert!(
            totals.contains("<row r=\"2\"><c r=\"A2\" s=\"2\"><v>44013</v></c></row>"),
            "{totals}"
        );
        assert!(totals.contains("<cols><col min=\"1\" max=\"1\" width=\"13\""), "{totals}");
        assert!(book.contains("name=\"Days\"") && book.contains("name=\"Totals\""), "{book}");
    }

    #[test]
    fn a_table_without_rows_has_its_head() {
        let members = written(&[], &Zone::utc());
        assert!(members[0].1.contains("<t>at</t>"));
        assert_eq!(
            (letters(0), letters(25), letters(26), letters(52)),
            ("A".into(), "Z".into(), "AA".into(), "BA".into())
        );
    }
}
