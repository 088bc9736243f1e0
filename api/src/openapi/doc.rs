//! The documentation of one operation, as a route declares it.

use axum::http::{Method, StatusCode};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Value, json};

use super::answer::Answer;
use super::parameter::Param;
use crate::access::Right;
use crate::problem::Kind;

/// Chapters of the document, in the order in which they are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tag {
    /// Accounts and tokens.
    People,
    /// Which devices there are, and who may see them.
    Devices,
    /// Where devices are.
    Locations,
    /// What they did.
    Reports,
    /// What raises alarms, and where.
    Rules,
    /// What rules raised.
    Alarms,
    /// What became of every frame.
    Books,
    /// For orchestrators and programs.
    Service,
}

impl Tag {
    pub(super) const ALL: [Self; 8] = [
        Self::People,
        Self::Devices,
        Self::Locations,
        Self::Reports,
        Self::Rules,
        Self::Alarms,
        Self::Books,
        Self::Service,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::People => "People and tokens",
            Self::Devices => "Devices and groups",
            Self::Locations => "Locations",
            Self::Reports => "Reports",
            Self::Rules => "Rules and geofences",
            Self::Alarms => "Alarms",
            Self::Books => "Books",
            Self::Service => "Service",
        }
    }
}

/// A JSON body.
#[derive(Clone, Debug)]
struct Body {
    required: bool,
    schema: Value,
    example: Value,
    /// Other media types that it may have.
    others: &'static [&'static str],
}

/// The schema of an object that has these fields and no others.
pub(crate) fn object(required: &[(&str, Value)], optional: &[(&str, Value)]) -> Value {
    let names: Vec<_> = required.iter().map(|(name, _)| *name).collect();
    let fields: serde_json::Map<String, Value> = required
        .iter()
        .chain(optional)
        .map(|(name, schema)| ((*name).to_owned(), schema.clone()))
        .collect();
    json!({
        "type": "object",
        "properties": fields,
        "required": names,
        "additionalProperties": false,
    })
}

/// The schema of a type in a body, with all that it refers to.
pub(crate) fn inlined<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    settings.into_generator().into_root_schema_for::<T>().to_value()
}

/// What one operation does, takes and answers. What every route of its kind takes
/// and answers (a token, a fault, a body that is too large) is added by itself.
#[derive(Clone, Debug)]
pub(crate) struct Doc {
    /// Unique; names the function in generated clients.
    pub(super) id: &'static str,
    tag: Tag,
    summary: &'static str,
    about: &'static str,
    pub(super) parameters: Vec<Param>,
    body: Option<Body>,
    answers: Vec<Answer>,
    problems: Vec<Kind>,
    /// Takes no notice of parameters, not even of unknown ones.
    careless: bool,
    /// Answers with a tag, and 304 to who has what bears it.
    conditional: bool,
}

impl Doc {
    /// An operation by its unique name (`getLocation`), its chapter and one line.
    pub(crate) fn new(id: &'static str, tag: Tag, summary: &'static str) -> Self {
        Self {
            id,
            tag,
            summary,
            about: "",
            parameters: Vec::new(),
            body: None,
            answers: Vec::new(),
            problems: Vec::new(),
            careless: false,
            conditional: false,
        }
    }

    /// The same with more than one line of text.
    pub(crate) fn about(mut self, about: &'static str) -> Self {
        self.about = about;
        self
    }

    /// The same with one more parameter.
    pub(crate) fn takes(mut self, parameter: Param) -> Self {
        self.parameters.push(parameter);
        self
    }

    /// The same with more parameters.
    pub(crate) fn takes_all(mut self, parameters: impl IntoIterator<Item = Param>) -> Self {
        self.parameters.extend(parameters);
        self
    }

    /// The same with a JSON body of this schema; see [`object`].
    pub(crate) fn body(mut self, schema: Value, example: Value) -> Self {
        self.body = Some(Body { required: true, schema, example, others: &[] });
        self
    }

    /// The same with a JSON body that may be left out.
    pub(crate) fn maybe_body(mut self, schema: Value, example: Value) -> Self {
        self.body = Some(Body { required: false, schema, example, others: &[] });
        self
    }

    /// The same with a body that is JSON as in the example or has one of other forms.
    pub(crate) fn body_forms(mut self, others: &'static [&'static str], example: Value) -> Self {
        let schema = json!({"type": ["object", "array"]});
        self.body = Some(Body { required: true, schema, example, others });
        self
    }

    /// The same with one more good answer.
    pub(crate) fn answers(mut self, answer: Answer) -> Self {
        self.answers.push(answer);
        self
    }

    /// The same with problems of its own.
    pub(crate) fn problems(mut self, kinds: &[Kind]) -> Self {
        self.problems.extend(kinds);
        self
    }

    /// The same, without looking at parameters at all.
    pub(crate) fn careless(mut self) -> Self {
        self.careless = true;
        self
    }

    /// The same for an answer that a client may keep and ask for again: the route
    /// answers with a tag (`ETag`), and 304 to whoever has what bears it.
    pub(crate) fn conditional(mut self) -> Self {
        self.conditional = true;
        let about = "The `ETag` of the answer that the client has.";
        let schema = json!({"type": "string", "maxLength": 1024});
        self.takes(Param::header("If-None-Match", schema, about))
    }

    pub(crate) const fn is_conditional(&self) -> bool {
        self.conditional
    }

    /// Every way in which this can fail, by status.
    fn all_problems(&self, right: Right) -> Vec<Kind> {
        let mut kinds = self.problems.clone();
        kinds.extend([Kind::Internal, Kind::Slow]);
        if !self.careless {
            kinds.push(Kind::InvalidParameter);
        }
        if self.body.is_some() {
            kinds.extend([
                Kind::MalformedBody,
                Kind::InvalidField,
                Kind::UnsupportedMediaType,
                Kind::BodyTooLarge,
                Kind::BodyTooSlow,
            ]);
        }
        if right != Right::Open {
            kinds.extend([
                Kind::Unauthorized,
                Kind::Forbidden,
                Kind::WrongUser,
                Kind::HistoryUnavailable,
            ]);
        }
        kinds.sort_by_key(|kind| (kind.status().as_u16(), kind.code()));
        kinds.dedup();
        kinds
    }

    /// As the document has it.
    pub(super) fn written(
        &self,
        method: &Method,
        right: Right,
        schemas: &mut SchemaGenerator,
    ) -> Value {
        let mut responses = serde_json::Map::new();
        for answer in &self.answers {
            responses.insert(answer.status.as_str().to_owned(), answer.written(schemas));
        }
        if self.conditional {
            let header = json!({
                "description": "For `If-None-Match`.", "schema": {"type": "string"},
            });
            responses["200"]["headers"]["ETag"] = header.clone();
            responses.insert(
                StatusCode::NOT_MODIFIED.as_str().to_owned(),
                json!({
                    "description": "The client has this answer.", "headers": {"ETag": header},
                }),
            );
        }
        for of_status in self.all_problems(right).chunk_by(|one, two| one.status() == two.status())
        {
            let status = of_status[0].status().as_str().to_owned();
            responses.insert(status, problem_answer(of_status));
        }
        responses.insert("431".to_owned(), json!({"description": HEAD_TOO_LARGE}));
        let mut written = json!({
            "operationId": self.id,
            "tags": [self.tag.name()],
            "summary": self.summary,
            "responses": responses,
            "security": security(right),
        });
        if !self.about.is_empty() {
            written["description"] = self.about.into();
        }
        let mut parameters: Vec<Value> = self.parameters.iter().map(Param::written).collect();
        if right != Right::Open {
            parameters.push(json!({"$ref": "#/components/parameters/UserId"}));
        }
        if !parameters.is_empty() {
            written["parameters"] = parameters.into();
        }
        if let Some(body) = &self.body {
            debug_assert!(*method != Method::GET, "{} takes a body", self.id);
            written["requestBody"] = json!({
                "required": body.required,
                "content": {"application/json": {
                    "schema": body.schema,
                    "example": body.example,
                }},
            });
            for other in body.others {
                written["requestBody"]["content"][other] = json!({"schema": {}});
            }
        }
        written
    }
}

/// Given before any route is looked up.
const HEAD_TOO_LARGE: &str =
    "The request line and the headers are too long together. The answer has no body.";

/// Empty where nothing is asked for.
fn security(right: Right) -> Value {
    if right == Right::Open { json!([]) } else { json!([{"bearer": []}]) }
}

/// One status with the problems that have it.
fn problem_answer(kinds: &[Kind]) -> Value {
    let about: Vec<String> =
        kinds.iter().map(|kind| format!("`{}`: {}.", kind.code(), kind.title())).collect();
    let examples: serde_json::Map<String, Value> = kinds
        .iter()
        .map(|kind| (kind.code().to_owned(), json!({"value": kind.example()})))
        .collect();
    let mut written = json!({
        "description": about.join(" "),
        "content": {"application/problem+json": {
            "schema": {"$ref": "#/components/schemas/Problem"},
            "examples": examples,
        }},
    });
    let header = |about: &str| json!({"description": about, "schema": {"type": "string"}});
    match kinds[0].status().as_u16() {
        401 => {
            written["headers"]["WWW-Authenticate"] = header("`Bearer`, where a token is wanted.");
        }
        429 | 503 => {
            written["headers"]["Retry-After"] = header("Seconds after which to try again.");
        }
        _ => {}
    }
    written
}
