//! Optional fields of positions in answers: in JSON where they are present, in tables as
//! columns that are always there. All of it follows from the table of the fields.

use std::borrow::Cow;
use std::io::Write as _;

use nemeses_export::{Cell, CellKind, Column, column};
use nemeses_protocol::{FieldForm, OptionalField, OptionalFields, ShownValue};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

const FIELDS: usize = OptionalField::ALL.len();

/// The present fields, to be flattened into an object.
#[derive(Debug)]
pub(super) struct Optional(pub(super) OptionalFields);

impl Serialize for Optional {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (field, value) in self.0.iter() {
            let name = field.spec().shown;
            match field.shown(value) {
                ShownValue::Whole(number) => map.serialize_entry(name, &number)?,
                ShownValue::Number(number) => map.serialize_entry(name, &number)?,
                ShownValue::True => map.serialize_entry(name, &true)?,
            }
        }
        map.end()
    }
}

impl JsonSchema for Optional {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "OptionalFields".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let properties: Map<String, Value> = OptionalField::ALL
            .into_iter()
            .map(|field| (field.spec().shown.into(), property(field)))
            .collect();
        json_schema!({"type": "object", "properties": properties})
    }
}

fn property(field: OptionalField) -> Value {
    let spec = field.spec();
    let description = format!("Absent unless the device sends it. {}", spec.about);
    match (field.shown(spec.min), field.shown(spec.max)) {
        (ShownValue::Number(minimum), ShownValue::Number(maximum)) => json!({
            "type": "number", "description": description, "minimum": minimum, "maximum": maximum,
        }),
        (ShownValue::True, _) => json!({"type": "boolean", "description": description}),
        _ => json!({
            "type": "integer", "description": description,
            "minimum": spec.min, "maximum": spec.max,
        }),
    }
}

/// The columns of `first`, and one for each optional field behind them.
pub(super) const fn with_optional<const FIRST: usize, const ALL: usize>(
    first: [Column; FIRST],
) -> [Column; ALL] {
    assert!(ALL == FIRST + FIELDS);
    let mut columns = [first[0]; ALL];
    let mut at = 1;
    while at < ALL {
        columns[at] = if at < FIRST {
            first[at]
        } else {
            let spec = OptionalField::ALL[at - FIRST].spec();
            column(spec.shown, kind(spec.form))
        };
        at += 1;
    }
    columns
}

const fn kind(form: FieldForm) -> CellKind {
    match form {
        FieldForm::Number { decimals: 0 } => CellKind::Whole,
        FieldForm::Number { .. } => CellKind::Number,
        FieldForm::Mark => CellKind::Truth,
    }
}

/// A cell for each of the columns.
pub(super) fn optional_cells(fields: &OptionalFields) -> impl Iterator<Item = Cell> {
    OptionalField::ALL.into_iter().map(|field| {
        fields.get(field).map_or(Cell::Nothing, |value| match field.shown(value) {
            ShownValue::Whole(number) => Cell::Whole(number.into()),
            ShownValue::Number(number) => Cell::Number(number),
            ShownValue::True => Cell::Truth(true),
        })
    })
}

/// Appends them to a row of CSV, with a comma before each.
pub(super) fn push_optional(out: &mut Vec<u8>, fields: &OptionalFields) {
    if fields.is_empty() {
        return out.extend_from_slice(&[b','; FIELDS]);
    }
    for field in OptionalField::ALL {
        out.push(b',');
        let Some(value) = fields.get(field) else { continue };
        // Never fails in memory.
        let _ = match field.shown(value) {
            ShownValue::Whole(number) => write!(out, "{number}"),
            ShownValue::Number(number) => write!(out, "{number}"),
            ShownValue::True => write!(out, "true"),
        };
    }
}
