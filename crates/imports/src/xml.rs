//! A walk over an XML file, with what GPX and KML have in common: elements with texts,
//! known by their local names, whatever their namespaces are called.

use std::collections::VecDeque;
use std::io::BufRead;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use crate::{ImportError, Item};

/// Bytes of a text that are looked at: no number or time is longer. A name that is longer
/// is cut.
const MAX_TEXT: usize = 1024;
/// Elements within each other; a file of a device has ten.
const MAX_DEPTH: usize = 100;

/// What is made of the elements of a kind of file.
pub(crate) trait Elements {
    /// An element begins at a line. `path` ends with its name.
    fn begin(&mut self, path: &[String], attributes: &Attributes, line: u64);
    /// It ends, with the text that was directly in it.
    fn end(&mut self, path: &[String], text: &str, out: &mut VecDeque<Item>);
}

/// Attributes of an element.
#[derive(Debug, Default)]
pub(crate) struct Attributes(Vec<(String, String)>);

impl Attributes {
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn of(element: &BytesStart<'_>) -> Result<Self, String> {
        let mut all = Vec::new();
        for attribute in element.attributes() {
            let attribute = attribute.map_err(|error| error.to_string())?;
            let value = attribute.normalized_value(quick_xml::XmlVersion::Explicit1_0);
            let value = value.map_err(|error| error.to_string())?;
            let name = attribute.key.local_name().as_ref().to_owned();
            all.push((name, value.into_owned()));
        }
        Ok(Self(all))
    }
}

/// The last names of a path.
pub(crate) fn ends_with(path: &[String], names: &[&str]) -> bool {
    path.len() >= names.len() && path[path.len() - names.len()..].iter().eq(names.iter())
}

/// Walks over a file and hands its elements on.
pub(crate) struct Walk<R, E> {
    reader: Reader<CountLines<R>>,
    elements: E,
    path: Vec<String>,
    /// Of the elements that are open.
    texts: Vec<String>,
    ready: VecDeque<Item>,
    seen_any: bool,
    ended: bool,
}

impl<R: BufRead, E: Elements> Walk<R, E> {
    pub(crate) fn new(elements: E, input: R) -> Self {
        let reader = Reader::from_reader(CountLines { inner: input, lines: 1 });
        let (path, texts, ready) = (Vec::new(), Vec::new(), VecDeque::new());
        Self { reader, elements, path, texts, ready, seen_any: false, ended: false }
    }

    fn line(&self) -> u64 {
        self.reader.get_ref().lines
    }

    /// Reads on by one event; `false` at the end of the file.
    fn step(&mut self, buffer: &mut Vec<u8>) -> Result<bool, String> {
        buffer.clear();
        let event = self.reader.read_event_into(buffer).map_err(|error| error.to_string())?;
        match event {
            Event::Start(element) => {
                let (name, attributes) = named(&element)?;
                self.begin(name, &attributes)?;
            }
            Event::Empty(element) => {
                let (name, attributes) = named(&element)?;
                self.begin(name, &attributes)?;
                self.end();
            }
            Event::End(_) => self.end(),
            Event::Text(text) => self.text(&text.xml10_content()),
            Event::CData(text) => self.text(&text.xml10_content()),
            Event::GeneralRef(reference) => {
                let known = reference.resolve_char_ref().map_err(|error| error.to_string())?;
                let name = reference.xml10_content();
                let known = known.or_else(|| predefined(&name));
                let unknown = || format!("the entity '{name}' is not known");
                self.text(&known.ok_or_else(unknown)?.to_string());
            }
            Event::Eof if !self.path.is_empty() => {
                return Err(format!("the file ends within <{}>", self.path.join("><")));
            }
            Event::Eof if !self.seen_any => return Err("the file has no element".to_owned()),
            Event::Eof => return Ok(false),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
        }
        Ok(true)
    }

    fn begin(&mut self, name: String, attributes: &Attributes) -> Result<(), String> {
        if self.path.len() == MAX_DEPTH {
            return Err(format!("more than {MAX_DEPTH} elements are within each other"));
        }
        self.seen_any = true;
        self.path.push(name);
        self.texts.push(String::new());
        let line = self.line();
        self.elements.begin(&self.path, attributes, line);
        Ok(())
    }

    fn end(&mut self) {
        let text = self.texts.pop().unwrap_or_default();
        self.elements.end(&self.path, text.trim(), &mut self.ready);
        self.path.pop();
    }

    fn text(&mut self, more: &str) {
        let Some(text) = self.texts.last_mut() else { return };
        let room = MAX_TEXT.saturating_sub(text.len());
        text.push_str(&more[..more.floor_char_boundary(room)]);
    }
}

fn named(element: &BytesStart<'_>) -> Result<(String, Attributes), String> {
    Ok((element.local_name().as_ref().to_owned(), Attributes::of(element)?))
}

/// The five that XML has of its own.
fn predefined(name: &str) -> Option<char> {
    Some(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        _ => return None,
    })
}

impl<R: BufRead, E: Elements> Iterator for Walk<R, E> {
    type Item = Result<Item, ImportError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut buffer = Vec::new();
        loop {
            if let Some(item) = self.ready.pop_front() {
                return Some(Ok(item));
            }
            if self.ended {
                return None;
            }
            match self.step(&mut buffer) {
                Ok(more) => self.ended = !more,
                Err(why) => {
                    self.ended = true;
                    return Some(Err(ImportError::Unreadable { line: self.line(), why }));
                }
            }
        }
    }
}

/// Counts the lines that were read.
struct CountLines<R> {
    inner: R,
    lines: u64,
}

impl<R: BufRead> std::io::Read for CountLines<R> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let available = self.inner.fill_buf()?;
        let count = available.len().min(out.len());
        out[..count].copy_from_slice(&available[..count]);
        self.consume(count);
        Ok(count)
    }
}

impl<R: BufRead> BufRead for CountLines<R> {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        self.inner.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        // What is consumed was filled before, so nothing is read here.
        if let Ok(filled) = self.inner.fill_buf() {
            let ends = filled[..count.min(filled.len())].iter().filter(|byte| **byte == b'\n');
            self.lines += ends.count() as u64;
        }
        self.inner.consume(count);
    }
}
