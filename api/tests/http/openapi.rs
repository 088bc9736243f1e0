//! What the API says of itself: whole, consistent, and the same as the copy in
//! docs/openapi.json.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use nemeses_api::{Right, declared_routes, openapi_document};
use reqwest::Method;
use serde_json::Value;

use crate::fits::fits;
use crate::harness::{Answer, Api};

fn operation(path: &str, method: &Method) -> &'static Value {
    &openapi_document()["paths"][path][method.as_str().to_ascii_lowercase()]
}

fn reference_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/openapi.json")
}

/// Refreshed by `make reference`.
#[test]
fn the_reference_document_is_what_is_served() {
    let path = reference_path();
    let expected = format!("{:#}\n", openapi_document());
    if std::env::var_os("NEMESES_WRITE_REFERENCE").is_some() {
        std::fs::write(&path, &expected).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    let differing = expected.lines().zip(found.lines()).find(|(expected, found)| expected != found);
    assert!(
        found == expected,
        "docs/openapi.json is out of date; run: make reference\nfirst difference: {differing:?}"
    );
}

/// Nothing of the request in which the document is built gets into it, be it the first one
/// of the process (as here, where each test has its own) or not.
#[tokio::test]
async fn it_is_served_to_everyone() {
    let api = Api::start().await;
    let request = api.served.request(Method::GET, "/openapi.json");
    let request = request.header("x-request-id", "of-the-first-caller");
    let answer = Answer::of(request.send().await.unwrap()).await;
    assert!(!answer.text.contains("of-the-first-caller"));
    let reference = std::fs::read_to_string(reference_path()).unwrap();
    assert_eq!(answer.ok(), serde_json::from_str::<Value>(&reference).unwrap());
}

#[test]
fn every_operation_is_described_whole() {
    let mut ids = BTreeSet::new();
    for route in declared_routes() {
        let (path, described) = (route.path, operation(route.path, &route.method));
        for field in ["operationId", "summary", "tags", "responses", "security"] {
            assert!(!described[field].is_null(), "{path} has no {field}");
        }
        assert!(ids.insert(described["operationId"].to_string()), "{path}: the id is taken");
        let secured = described["security"].as_array().is_some_and(|list| !list.is_empty());
        assert_eq!(secured, route.right != Right::Open, "{path}");
        let responses = described["responses"].as_object().unwrap();
        let good = responses.keys().any(|status| status.starts_with(['1', '2', '3']));
        assert!(good, "{path} has no good answer");
        assert!(responses.contains_key("500") && responses.contains_key("503"), "{path}");
        if !described["requestBody"].is_null() {
            let body = &described["requestBody"]["content"]["application/json"];
            assert!(!body["example"].is_null(), "{path}: no example of the body");
        }
        let in_path = |name: &str| {
            let parameters = described["parameters"].as_array();
            parameters
                .into_iter()
                .flatten()
                .any(|each| each["name"] == name && each["in"] == "path")
        };
        for part in path.split('/').filter_map(|part| part.strip_prefix('{')) {
            assert!(in_path(part.trim_end_matches('}')), "{path}: {part} is not described");
        }
    }
}

/// Whether a document names a path, with any text where the path has a parameter.
fn names(document: &str, path: &str) -> bool {
    let ends = |c: char| c.is_whitespace() || "?\"`|,)'".contains(c);
    let same = |(part, found): (&str, &str)| part == found || part.starts_with('{');
    document.match_indices('/').any(|(at, _)| {
        let found =
            document[at..].split(ends).next().unwrap_or_default().trim_end_matches(['/', '.']);
        found.split('/').count() == path.split('/').count()
            && path.split('/').zip(found.split('/')).all(same)
    })
}

#[test]
fn every_route_is_in_the_guide() {
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/api.md");
    let guide = std::fs::read_to_string(guide).unwrap();
    for route in declared_routes() {
        let path = route.path;
        assert!(
            names(&guide, path),
            "{path} is not in docs/api.md: add a section with a curl example"
        );
    }
}

/// Two types of one name would get numbers, which move when a route is added.
#[test]
fn types_have_names_of_their_own() {
    for name in openapi_document()["components"]["schemas"].as_object().unwrap().keys() {
        assert!(
            !name.ends_with(|c: char| c.is_ascii_digit()),
            "{name}: give the type another name by #[schemars(rename = \"...\")]"
        );
    }
}

/// Every `example` beside a `schema`, wherever it stands.
fn check_examples(place: &str, value: &Value, checked: &mut usize) {
    let document = openapi_document();
    if let (Some(schema), Some(fields)) = (value.get("schema"), value.as_object()) {
        let several = value["examples"].as_object().into_iter().flat_map(|all| all.values());
        let examples = several.map(|each| &each["value"]).chain(fields.get("example"));
        for example in examples {
            let misfit = fits(document, schema, example);
            assert_eq!(misfit, None, "{place}: the example does not fit its schema");
            *checked += 1;
        }
    }
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                check_examples(&format!("{place}/{name}"), value, checked);
            }
        }
        Value::Array(list) => {
            for value in list {
                check_examples(place, value, checked);
            }
        }
        _ => {}
    }
}

#[test]
fn every_good_answer_has_an_example_and_all_examples_fit() {
    let mut checked = 0;
    check_examples("", &openapi_document()["paths"], &mut checked);
    assert!(checked > 50, "{checked} examples");
    for route in declared_routes() {
        for (status, answer) in
            operation(route.path, &route.method)["responses"].as_object().unwrap()
        {
            for (form, content) in answer["content"].as_object().into_iter().flatten() {
                let example = !content["example"].is_null() || !content["examples"].is_null();
                let bytes = content["schema"] == serde_json::json!({});
                assert!(example || bytes, "{} {status} {form} has no example", route.path);
            }
        }
    }
}
