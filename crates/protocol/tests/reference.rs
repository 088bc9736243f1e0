//! The table of optional fields as documents have it. The parts between two marks are
//! written by `make reference`.
#![allow(missing_docs, reason = "a test program")]

use std::fs;
use std::path::Path;

use nemeses_protocol::{FieldForm, FieldSpec, OptionalField};

fn message() -> String {
    let field = |field: OptionalField| {
        let FieldSpec { name, min, since, about, .. } = field.spec();
        let kind = if *min < 0 { "sint32" } else { "uint32" };
        let (unit, values) = (stored(field.spec()), values(field.spec()));
        let number = field.number();
        format!(
            "  // {about}\n  // {unit}{values}; version {since}.\n  optional {kind} {name} = {number};\n"
        )
    };
    OptionalField::ALL.into_iter().map(field).collect()
}

/// In what the integer counts.
fn stored(spec: &FieldSpec) -> String {
    match spec.form {
        FieldForm::Mark | FieldForm::Number { decimals: 0 } => String::new(),
        FieldForm::Number { decimals } => format!("In 1/{}; ", 10_u32.pow(decimals.into())),
    }
}

fn values(spec: &FieldSpec) -> String {
    let FieldSpec { min, max, .. } = spec;
    if min == max { format!("always {min}") } else { format!("{min} to {max}") }
}

fn table() -> String {
    let row = |field: OptionalField| {
        let spec = field.spec();
        let (shown, name, about) = (spec.shown, spec.name, spec.about);
        let (unit, values) = (stored(spec), values(spec));
        let (unit, number) = (unit.trim_end_matches("; ").to_lowercase(), field.number());
        let unit = if unit.is_empty() { String::new() } else { format!(" {unit}") };
        format!("| {number} | `{name}` | {values}{unit} | `{shown}` | {about} |\n")
    };
    let rows: String = OptionalField::ALL.into_iter().map(row).collect();
    format!(
        "| number | `/DB` | values | API and files | what it says |\n|---|---|---|---|---|\n{rows}"
    )
}

/// Compares what is between two marks of a file, or writes it.
fn check(file: &str, begin: &str, end: &str, expected: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(file);
    let text = fs::read_to_string(&path).expect("the document");
    let (before, rest) = text.split_once(begin).expect("the first mark");
    let (found, after) = rest.split_once(end).expect("the second mark");
    if std::env::var_os("NEMESES_WRITE_REFERENCE").is_some() {
        fs::write(&path, [before, begin, expected, end, after].concat()).expect("written");
        return;
    }
    assert_eq!(found, expected, "{file} is out of date; run: make reference");
}

#[test]
fn reference_of_the_db_message() {
    check("db-message.proto", "message OptionalFields {\n", "}\n", &message());
}

#[test]
fn reference_of_the_protocol() {
    check("protocol.md", "<!-- optional fields -->\n", "<!-- end -->\n", &table());
}
