//! JSON Schemas of messages, as pbjson reads and writes them. Answers have every field that has a value of its own
//! even when nobody set it; requests may leave fields out and may have no others.

use std::collections::BTreeMap;

use prost_reflect::prost_types::FileDescriptorProto;
use prost_reflect::{EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Value, json};

/// What a schema is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    Request,
    Answer,
}

/// Schemas by name; each message and enum that is asked for is added with what it is made of.
#[derive(Default)]
pub(super) struct Schemas(BTreeMap<String, Value>);

impl Schemas {
    /// Refers to a message, and adds it.
    pub(super) fn message(&mut self, message: &MessageDescriptor, used: Use) -> Value {
        let name = match used {
            // Requests only ask; what is in both has two forms.
            Use::Request if !message.name().ends_with("Request") => format!("{}Input", name_of(message.full_name())),
            Use::Request | Use::Answer => name_of(message.full_name()),
        };
        if !self.0.contains_key(&name) {
            self.0.insert(name.clone(), Value::Null);
            let comment = comment(message.parent_file_descriptor_proto(), message.path());
            let schema = self.object(message.fields(), comment, used);
            self.0.insert(name.clone(), schema);
        }
        reference(&name)
    }

    /// Refers to a body: the request without the fields that are in the path.
    pub(super) fn body(&mut self, request: &MessageDescriptor, fields: Vec<FieldDescriptor>) -> Value {
        if fields.len() == request.fields().len() {
            return self.message(request, Use::Request);
        }
        let name = format!("{}Body", request.name().trim_end_matches("Request"));
        let schema = self.object(fields, None, Use::Request);
        let before = self.0.insert(name.clone(), schema.clone());
        assert!(before.is_none_or(|before| before == schema), "{name} has two forms");
        reference(&name)
    }

    pub(super) fn add(&mut self, name: &str, schema: Value) {
        let before = self.0.insert(name.to_owned(), schema);
        assert!(before.is_none(), "{name} is defined twice");
    }

    pub(super) fn into_value(self) -> Value {
        self.0.into_iter().collect()
    }

    fn object(
        &mut self,
        fields: impl IntoIterator<Item = FieldDescriptor>,
        comment: Option<String>,
        used: Use,
    ) -> Value {
        let mut properties = Map::new();
        let mut required = Vec::new();
        for field in fields {
            if used == Use::Answer && (field.is_list() || !field.supports_presence()) {
                required.push(json!(field.name()));
            }
            properties.insert(field.name().to_owned(), self.field(&field, used));
        }
        let mut schema = Map::from_iter([("type".into(), json!("object"))]);
        if let Some(comment) = comment {
            schema.insert("description".into(), json!(comment));
        }
        if !properties.is_empty() {
            schema.insert("properties".into(), properties.into());
        }
        if !required.is_empty() {
            schema.insert("required".into(), required.into());
        }
        if used == Use::Request {
            schema.insert("additionalProperties".into(), json!(false));
        }
        schema.into()
    }

    fn field(&mut self, field: &FieldDescriptor, used: Use) -> Value {
        assert!(!field.is_map(), "{}: no message has maps", field.full_name());
        let kind = self.kind(&field.kind(), used);
        let mut schema = if field.is_list() { json!({"type": "array", "items": kind}) } else { kind };
        if let Some(comment) = field_comment(field) {
            schema["description"] = json!(comment);
        }
        schema
    }

    fn kind(&mut self, kind: &Kind, used: Use) -> Value {
        match kind {
            Kind::Uint64 | Kind::Fixed64 if used == Use::Answer => json!({"type": "string", "pattern": "^[0-9]+$"}),
            Kind::Uint64 | Kind::Fixed64 => json!({"anyOf": [
                {"type": "string", "pattern": "^[0-9]{1,19}$"},
                {"type": "integer", "minimum": 0, "maximum": u64::MAX},
            ]}),
            Kind::Message(message) if message.full_name() == "google.protobuf.Timestamp" => date_time(),
            Kind::Message(message) => self.message(message, used),
            Kind::Enum(words) => self.words(words),
            kind => scalar(kind),
        }
    }

    /// Refers to an enum, and adds it.
    fn words(&mut self, words: &EnumDescriptor) -> Value {
        let name = name_of(words.full_name());
        let file = words.parent_file_descriptor_proto();
        let mut description = comment(file, words.path()).unwrap_or_default();
        for value in words.values() {
            if let Some(comment) = comment(file, value.path()) {
                description.push_str(&format!("\n- `{}`: {comment}", value.name()));
            }
        }
        let values: Vec<_> = words.values().map(|value| value.name().to_owned()).collect();
        let mut schema = json!({"type": "string", "enum": values});
        if !description.is_empty() {
            schema["description"] = json!(description.trim_start());
        }
        self.0.insert(name.clone(), schema);
        reference(&name)
    }

    /// The schema of a parameter; in a query all are strings.
    pub(super) fn parameter(&mut self, field: &FieldDescriptor) -> Value {
        let schema = match field.kind() {
            Kind::Uint64 | Kind::Fixed64 => json!({"type": "integer", "minimum": 0, "maximum": u64::MAX}),
            Kind::Message(message) if message.full_name() == "google.protobuf.Timestamp" => date_time(),
            Kind::Message(_) => panic!("{}: a query has no messages", field.full_name()),
            Kind::Enum(words) => self.words(&words),
            kind => scalar(&kind),
        };
        if field.is_list() { json!({"type": "array", "items": schema}) } else { schema }
    }
}

fn scalar(kind: &Kind) -> Value {
    match kind {
        Kind::String => json!({"type": "string"}),
        Kind::Bool => json!({"type": "boolean"}),
        Kind::Double | Kind::Float => json!({"type": "number"}),
        Kind::Uint32 => json!({"type": "integer", "minimum": 0, "maximum": u32::MAX}),
        Kind::Int32 => json!({"type": "integer", "minimum": i32::MIN, "maximum": i32::MAX}),
        other => panic!("{other:?}: no message has such fields; add them here"),
    }
}

fn date_time() -> Value {
    json!({"type": "string", "format": "date-time"})
}

pub(super) fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// `modelhub.v1.Job.Status` → `JobStatus`: some tools want no dots.
fn name_of(full_name: &str) -> String {
    full_name.trim_start_matches("modelhub.v1.").replace('.', "")
}

pub(super) fn field_comment(field: &FieldDescriptor) -> Option<String> {
    comment(field.parent_message().parent_file_descriptor_proto(), field.path())
}

/// What is written above something in the definition.
pub(super) fn comment(file: &FileDescriptorProto, path: &[i32]) -> Option<String> {
    let source = file.source_code_info.as_ref()?;
    let location = source.location.iter().find(|location| location.path == path)?;
    let lines = location.leading_comments.as_deref()?.lines().map(str::trim);
    let mut text = String::new();
    for line in lines {
        // An empty line parts paragraphs; other ends of lines are only the definition's width.
        match line {
            "" => text.push_str("\n\n"),
            _ if text.is_empty() || text.ends_with('\n') => text.push_str(line),
            _ => text.push_str(&format!(" {line}")),
        }
    }
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}
