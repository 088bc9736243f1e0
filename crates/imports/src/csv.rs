//! Rows of a CSV, read by a mapping.

use std::io::BufRead;

use csv::{ReaderBuilder, StringRecord, StringRecordsIntoIter};
use jiff::tz::TimeZone;
use nemeses_protocol::{MAX_TEXT_VALUE, Reading, Value, in_order, is_channel_name};

use crate::mapping::{Mapping, Others, Source};
use crate::place::{Place, number};
use crate::time::TimeReader;
use crate::{ImportError, Item, Point, Refused, unit};

/// The lines behind the names of the columns.
pub(crate) struct Rows<R> {
    records: StringRecordsIntoIter<R>,
    columns: Columns,
    ended: bool,
}

/// A column by its place, and the factor to the unit that is wanted.
type Scaled = Option<(usize, f64)>;

/// The mapping, resolved.
struct Columns {
    count: usize,
    unquoted: Option<usize>,
    decimal_comma: bool,
    time: usize,
    times: TimeReader,
    device: Option<usize>,
    place: Option<(usize, usize)>,
    altitude: Scaled,
    speed: Scaled,
    course: Scaled,
    odometer: Scaled,
    engine: Scaled,
    satellites: Scaled,
    hdop: Scaled,
    accuracy: Scaled,
    ignition: Option<usize>,
    gps_fix: Option<usize>,
    channels: Vec<(Box<str>, usize, Option<Box<str>>)>,
}

impl<R: BufRead> Rows<R> {
    pub(crate) fn read(
        mapping: Option<Mapping>,
        zone: TimeZone,
        mut input: R,
    ) -> Result<Self, ImportError> {
        skip_bom(&mut input)?;
        let delimiter = mapping.as_ref().and_then(|mapping| mapping.delimiter).unwrap_or(',');
        let delimiter = u8::try_from(delimiter).map_err(|_| {
            ImportError::Columns(format!("the delimiter '{delimiter}' is no ASCII character"))
        })?;
        // Rows of another length are judged one by one.
        let mut reader = ReaderBuilder::new();
        reader.delimiter(delimiter).has_headers(false).flexible(true);
        let mut records = reader.from_reader(input).into_records();
        let names = match records.next() {
            Some(names) => names.map_err(|error| unreadable(&error))?,
            None => return Err(ImportError::Columns("the file is empty".to_owned())),
        };
        let names: Vec<&str> = names.iter().map(str::trim).collect();
        let mapping = match mapping {
            Some(mapping) => mapping,
            None => Mapping::of_columns(&names).ok_or_else(|| unknown(&names))?,
        };
        let columns = Columns::of(&mapping, zone, &names).map_err(ImportError::Columns)?;
        Ok(Self { records, columns, ended: false })
    }
}

impl<R: BufRead> Iterator for Rows<R> {
    type Item = Result<Item, ImportError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let record = match self.records.next()? {
            Ok(record) => record,
            // A line that is no UTF-8 is one bad line; anything else ends the file.
            Err(error) if matches!(error.kind(), csv::ErrorKind::Utf8 { .. }) => {
                let line = error.position().map_or(0, csv::Position::line);
                let why = "the line is not written in UTF-8".to_owned();
                return Some(Ok(Err(Refused { line, why })));
            }
            Err(error) => {
                self.ended = true;
                return Some(Err(unreadable(&error)));
            }
        };
        let line = record.position().map_or(0, csv::Position::line);
        let point = self.columns.point(&record).map(|point| Point { line, ..point });
        Some(Ok(point.map_err(|why| Refused { line, why })))
    }
}

/// A file that a spreadsheet wrote begins with a byte order mark.
fn skip_bom(input: &mut impl BufRead) -> Result<(), ImportError> {
    let start = input.fill_buf();
    let start =
        start.map_err(|error| ImportError::Unreadable { line: 1, why: error.to_string() })?;
    if start.starts_with(b"\xEF\xBB\xBF") {
        input.consume(3);
    }
    Ok(())
}

fn unreadable(error: &csv::Error) -> ImportError {
    let line = error.position().map_or(1, csv::Position::line);
    ImportError::Unreadable { line, why: error.to_string() }
}

fn unknown(names: &[&str]) -> ImportError {
    ImportError::Columns(format!(
        "the columns are neither Traccar's nor ours: {}; say what they are with --mapping",
        names.join(", ")
    ))
}

impl Columns {
    fn of(mapping: &Mapping, zone: TimeZone, names: &[&str]) -> Result<Self, String> {
        let at = |name: &str| {
            names.iter().position(|known| *known == name).ok_or_else(|| {
                format!("there is no column '{name}'; there are {}", names.join(", "))
            })
        };
        let maybe = |name: &Option<String>| name.as_deref().map(at).transpose();
        let plain = |name: &Option<String>| maybe(name).map(|column| column.map(|at| (at, 1.0)));
        let scaled = |source: &Option<Source>, factor: fn(&str) -> Option<f64>, usual: &str| {
            let Some(source) = source else { return Ok::<Scaled, String>(None) };
            let unit = source.unit().unwrap_or(usual);
            let factor = factor(unit).ok_or_else(|| format!("'{unit}' is no unit here"))?;
            Ok(Some((at(source.column())?, factor)))
        };
        let time = at(&mapping.time)?;
        let (latitude, longitude) = (maybe(&mapping.latitude)?, maybe(&mapping.longitude)?);
        let zone = mapping.zone()?.unwrap_or(zone);
        let mut columns = Self {
            count: names.len(),
            unquoted: mapping.unquoted.and_then(|name| at(name).ok()),
            decimal_comma: mapping.decimal_comma,
            time,
            times: TimeReader { format: mapping.time_format.clone(), zone },
            device: maybe(&mapping.device)?,
            place: latitude.zip(longitude),
            altitude: scaled(&mapping.altitude, unit::metres, "m")?,
            speed: scaled(&mapping.speed, unit::kilometres_an_hour, "km/h")?,
            course: plain(&mapping.course)?,
            odometer: scaled(&mapping.odometer, unit::metres, "m")?,
            engine: scaled(&mapping.engine_hours, unit::minutes, "h")?,
            satellites: plain(&mapping.satellites)?,
            hdop: plain(&mapping.hdop)?,
            accuracy: scaled(&mapping.accuracy, unit::metres, "m")?,
            ignition: maybe(&mapping.ignition)?,
            gps_fix: maybe(&mapping.gps_fix)?,
            channels: Vec::new(),
        };
        for (name, source) in &mapping.channels {
            let unit = source.unit().map(Into::into);
            columns.channels.push((name.as_str().into(), at(source.column())?, unit));
        }
        if mapping.other_columns == Others::Channels {
            columns.add_others(mapping, names);
        }
        Ok(columns)
    }

    /// Channels of the columns that have no part yet.
    fn add_others(&mut self, mapping: &Mapping, names: &[&str]) {
        let (latitude, longitude) = self.place.unzip();
        let plain = [self.device, self.ignition, self.gps_fix, latitude, longitude];
        let scaled = [
            self.altitude,
            self.speed,
            self.course,
            self.odometer,
            self.engine,
            self.satellites,
            self.hdop,
            self.accuracy,
        ];
        let mut used = vec![self.time];
        used.extend(plain.into_iter().flatten());
        used.extend(scaled.into_iter().flatten().map(|(at, _)| at));
        used.extend(self.channels.iter().map(|(_, at, _)| *at));
        for (at, name) in names.iter().enumerate() {
            if !used.contains(&at) && !mapping.passed_over.contains(name) && is_channel_name(name) {
                self.channels.push(((*name).into(), at, None));
            }
        }
    }

    fn point(&self, record: &StringRecord) -> Result<Point, String> {
        let joined = self.joined(record);
        let record = joined.as_ref().unwrap_or(record);
        if record.len() != self.count {
            return Err(format!(
                "it has {} cells, the first line has {}",
                record.len(),
                self.count
            ));
        }
        let cell = |at: usize| record.get(at).map(str::trim).filter(|text| !text.is_empty());
        let time = cell(self.time).ok_or("it has no time")?;
        let at_ms = self.times.read(time)?;
        let whereabouts = self.place(&cell)?.map(|place| place.whereabouts()).transpose()?;
        let reading = |(name, at, unit): &(Box<str>, usize, Option<Box<str>>)| {
            let value = self.value(cell(*at)?);
            let reading = |value| Reading { channel: name.clone(), unit: unit.clone(), value };
            Some(value.map(reading).map_err(|why| format!("{name}: {why}")))
        };
        let readings: Result<Vec<_>, _> = self.channels.iter().filter_map(reading).collect();
        let readings = in_order(readings?);
        if whereabouts.is_none() && readings.is_empty() {
            return Err("it has neither a place nor a value".to_owned());
        }
        let device = self.device.and_then(cell).map(str::to_owned);
        Ok(Point { line: 0, device, at_ms, whereabouts, readings })
    }

    /// Commas of a column without quotes made cells of their own: they are one again.
    fn joined(&self, record: &StringRecord) -> Option<StringRecord> {
        let at = self.unquoted?;
        let extra = record.len().checked_sub(self.count).filter(|extra| *extra > 0)?;
        let mut cells: Vec<String> = record.iter().map(str::to_owned).collect();
        let whole = cells[at..=at + extra].join(",");
        cells.splice(at..=at + extra, [whole]);
        Some(cells.into_iter().collect())
    }

    fn place<'a>(&self, cell: &impl Fn(usize) -> Option<&'a str>) -> Result<Option<Place>, String> {
        let Some((latitude, longitude)) = self.place else { return Ok(None) };
        let measured = |column: Scaled| match column.and_then(|(at, by)| Some((cell(at)?, by))) {
            Some((text, by)) => self.number(text).map(|number| Some(number * by)),
            None => Ok(None),
        };
        let flag = |at: Option<usize>| at.and_then(cell).map(flag).transpose();
        let (Some(latitude), Some(longitude)) = (cell(latitude), cell(longitude)) else {
            // A row of values alone, perhaps.
            return if self.channels.is_empty() {
                Err("it has no latitude or no longitude".to_owned())
            } else {
                Ok(None)
            };
        };
        Ok(Some(Place {
            latitude: self.number(latitude)?,
            longitude: self.number(longitude)?,
            altitude_m: measured(self.altitude)?,
            speed_kmh: measured(self.speed)?,
            course_deg: measured(self.course)?,
            odometer_m: measured(self.odometer)?,
            engine_min: measured(self.engine)?,
            satellites: measured(self.satellites)?,
            hdop: measured(self.hdop)?,
            accuracy_m: measured(self.accuracy)?,
            ignition: flag(self.ignition)?,
            gps_fix: flag(self.gps_fix)?,
        }))
    }

    fn number(&self, text: &str) -> Result<f64, String> {
        if self.decimal_comma {
            // The message has the cell as it stands in the file.
            return number(&text.replace(',', ".")).map_err(|_| format!("'{text}' is no number"));
        }
        number(text)
    }

    fn value(&self, text: &str) -> Result<Value, String> {
        if let Ok(flag) = text.parse() {
            return Ok(Value::Flag(flag));
        }
        if let Ok(whole) = text.parse() {
            return Ok(Value::Integer(whole));
        }
        match self.number(text) {
            Ok(number) => Ok(Value::Number(number)),
            Err(_) if text.len() > MAX_TEXT_VALUE => {
                Err(format!("a text has {} bytes, more than {MAX_TEXT_VALUE}", text.len()))
            }
            Err(_) => Ok(Value::Text(text.into())),
        }
    }
}

fn flag(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err(format!("'{text}' is neither true nor false")),
    }
}
