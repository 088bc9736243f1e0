//! What forms that are tables share: named columns of a kind, and cells. A cell is
//! read from the JSON of its row, so that a table says what JSON says.

use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::Value;

/// What a column holds; any cell may be empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CellKind {
    /// Any text.
    Text,
    /// A moment, RFC 3339 in JSON.
    Time,
    /// A day, `2020-07-01` in JSON.
    Day,
    /// A whole number of 64 bits.
    Whole,
    /// A number with a fraction.
    Number,
    /// Yes or no.
    Truth,
}

/// A column.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Where it stands in JSON: a field, or `field.field`.
    pub path: &'static str,
    /// What its cells hold.
    pub kind: CellKind,
}

impl Column {
    /// Its name, without dots.
    pub fn name(&self) -> String {
        self.path.replace('.', "_")
    }
}

/// A column of a table that is a const.
pub const fn column(path: &'static str, kind: CellKind) -> Column {
    Column { path, kind }
}

/// One value.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// The cell is empty.
    Nothing,
    /// Text, not empty.
    Text(String),
    /// Unix milliseconds.
    Time(i64),
    /// Days since 1970-01-01.
    Day(i32),
    /// A whole number.
    Whole(i64),
    /// A number with a fraction.
    Number(f64),
    /// Yes or no.
    Truth(bool),
}

/// The cells of a row.
pub(crate) fn cells(row: &Value, columns: &[Column]) -> Vec<Cell> {
    let cell = |column: &Column| {
        let value = column.path.split('.').try_fold(row, |value, name| value.get(name));
        value.map_or(Cell::Nothing, |value| cell(value, column.kind))
    };
    columns.iter().map(cell).collect()
}

fn cell(value: &Value, kind: CellKind) -> Cell {
    let found = match kind {
        CellKind::Text => {
            let text = value.as_str().filter(|text| !text.is_empty());
            text.map(|text| Cell::Text(text.to_owned()))
        }
        CellKind::Time => {
            let time = value.as_str().and_then(|text| text.parse::<Timestamp>().ok());
            time.map(|time| Cell::Time(time.as_millisecond()))
        }
        CellKind::Day => value.as_str().and_then(days).map(Cell::Day),
        CellKind::Whole => value.as_i64().map(Cell::Whole),
        CellKind::Number => value.as_f64().map(Cell::Number),
        CellKind::Truth => value.as_bool().map(Cell::Truth),
    };
    found.unwrap_or(Cell::Nothing)
}

/// Days since 1970-01-01 of `2020-07-01`.
fn days(text: &str) -> Option<i32> {
    let date: Date = text.parse().ok()?;
    date.since(Date::constant(1970, 1, 1)).ok().map(|since| since.get_days())
}

/// Why a table cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// Offsets of the format have 32 bits.
    #[error("the file is larger than the format allows")]
    TooLarge,
    /// Never happens in memory.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// Writes a table row by row.
pub trait Sheet: Send {
    /// The next row.
    ///
    /// # Errors
    /// When the file would be larger than its format allows.
    fn row(&mut self, cells: &[Cell]) -> Result<(), TableError>;

    /// Begins another table in the same file, where the form can hold several; `false`
    /// where it cannot, and nothing happens.
    ///
    /// # Errors
    /// As [`Self::row`].
    fn table(
        &mut self,
        _columns: &'static [Column],
        _title: &'static str,
    ) -> Result<bool, TableError> {
        Ok(false)
    }

    /// What comes behind the last row.
    ///
    /// # Errors
    /// As [`Self::row`].
    fn finish(&mut self) -> Result<(), TableError>;

    /// The bytes that are ready.
    fn take(&mut self) -> Vec<u8>;
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn cells_are_what_json_says() {
        const COLUMNS: [Column; 8] = [
            column("id", CellKind::Text),
            column("at", CellKind::Time),
            column("from.latitude", CellKind::Number),
            column("to.latitude", CellKind::Number),
            column("metres", CellKind::Whole),
            column("open", CellKind::Truth),
            column("absent", CellKind::Whole),
            column("day", CellKind::Day),
        ];
        let row = json!({
            "id": "0A3F73", "at": "1970-01-01T02:00:01.5+02:00", "from": {"latitude": 1},
            "to": null, "metres": -7, "open": true, "day": "1970-02-01",
        });
        let expected = [
            Cell::Text("0A3F73".into()),
            Cell::Time(1500),
            Cell::Number(1.0),
            Cell::Nothing,
            Cell::Whole(-7),
            Cell::Truth(true),
            Cell::Nothing,
            Cell::Day(31),
        ];
        assert_eq!(cells(&row, &COLUMNS), expected);
        assert_eq!(COLUMNS[2].name(), "from_latitude");
    }
}
