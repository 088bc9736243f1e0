//! A good answer: its status, its forms with their schemas, and an example of each.

use axum::http::StatusCode;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use nemeses_export::{Csv, Form};

/// Writes the schema of a body and registers what it refers to.
type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// One media type of an answer.
#[derive(Clone, Debug)]
struct Body {
    media_type: &'static str,
    schema: SchemaOf,
    example: Option<Value>,
}

/// A header of an answer.
type Header = (&'static str, &'static str);

/// One good answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(super) status: StatusCode,
    about: &'static str,
    forms: Vec<Body>,
    headers: Vec<Header>,
}

impl Answer {
    /// An answer without a body, until a form is added.
    pub(crate) fn empty(status: StatusCode, about: &'static str) -> Self {
        Self { status, about, forms: Vec::new(), headers: Vec::new() }
    }

    /// 200 with a JSON body of this type.
    pub(crate) fn json<T: JsonSchema>(about: &'static str, example: Value) -> Self {
        Self::empty(StatusCode::OK, about).form(
            "application/json",
            T::json_schema_ref,
            Some(example),
        )
    }

    /// The same with another status.
    pub(crate) fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// The same in one more JSON form, such as GeoJSON.
    pub(crate) fn or_json<T: JsonSchema>(self, media_type: &'static str, example: Value) -> Self {
        self.form(media_type, T::json_schema_ref, Some(example))
    }

    /// The same in one more form that is text.
    pub(crate) fn or_text(self, media_type: &'static str, example: &'static str) -> Self {
        let text = |_: &mut SchemaGenerator| schemars::json_schema!({"type": "string"});
        self.form(media_type, text, Some(example.into()))
    }

    /// The same in the other forms of reports; an example of how CSV begins.
    pub(crate) fn or_files(self, csv: &'static str) -> Self {
        self.or_text(Form::Ndjson.content_type(), "{\"device_id\":\"0A3F73\"}\n")
            .or_text(Form::Csv(Csv::Plain).content_type(), csv)
            .or_text(Form::Gpx.content_type(), "<gpx version=\"1.1\"></gpx>\n")
            .or_text(Form::Kml.content_type(), "<kml></kml>\n")
            .or_text(Form::Xlsx.content_type(), "PK")
            .or_text(Form::Parquet.content_type(), "PAR1")
    }

    /// The same with a header.
    pub(crate) fn header(mut self, name: &'static str, about: &'static str) -> Self {
        self.headers.push((name, about));
        self
    }

    fn form(mut self, media_type: &'static str, schema: SchemaOf, example: Option<Value>) -> Self {
        self.forms.push(Body { media_type, schema, example });
        self
    }

    /// As the document has it.
    pub(super) fn written(&self, schemas: &mut SchemaGenerator) -> Value {
        let mut written = json!({"description": self.about});
        let mut content = Map::new();
        for form in &self.forms {
            let mut of_form = json!({"schema": (form.schema)(schemas)});
            if let Some(example) = &form.example {
                of_form["example"] = example.clone();
            }
            content.insert(form.media_type.to_owned(), of_form);
        }
        if !content.is_empty() {
            written["content"] = content.into();
        }
        for (name, about) in &self.headers {
            written["headers"][*name] = json!({"description": about, "schema": {"type": "string"}});
        }
        written
    }
}

/// The schema of a type, by reference where it has a name.
trait SchemaRef: JsonSchema {
    fn json_schema_ref(schemas: &mut SchemaGenerator) -> Schema {
        schemas.subschema_for::<Self>()
    }
}

impl<T: JsonSchema + ?Sized> SchemaRef for T {}
