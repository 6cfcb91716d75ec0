//! The HTTP rules (google.api.http) of the admin API's definition: which method and path mean which call, and which
//! fields of its request are in the path.

use prost_reflect::{DescriptorPool, DynamicMessage, FieldDescriptor, MessageDescriptor, MethodDescriptor, Value};

use crate::pb::DESCRIPTORS;

/// One way to make a call over HTTP.
pub(crate) struct Rule {
    /// The call's name, `GetModel`.
    pub(crate) call: MethodDescriptor,
    /// Unique: the call's name, with a number where the call has several rules.
    pub(crate) id: String,
    /// In lower case, as OpenAPI has it.
    pub(crate) method: &'static str,
    /// `/v1/models/{model}/files`.
    pub(crate) path: String,
    /// Fields of the request that are in the path; `true`: slashes may be in it.
    pub(crate) variables: Vec<(String, bool)>,
    /// The other fields are the body; else they are the query.
    pub(crate) body: bool,
}

impl Rule {
    pub(crate) fn request(&self) -> MessageDescriptor {
        self.call.input()
    }

    /// The request's fields that are not in the path.
    pub(crate) fn other_fields(&self) -> impl Iterator<Item = FieldDescriptor> {
        let variables = &self.variables;
        let fields: Vec<_> = self.request().fields().collect();
        fields.into_iter().filter(|field| variables.iter().all(|(name, _)| name != field.name()))
    }
}

/// All rules of HubService, in the order of the definition.
pub(crate) fn rules() -> Vec<Rule> {
    let pool = DescriptorPool::decode(DESCRIPTORS).expect("build.rs writes them");
    let service = pool.get_service_by_name("modelhub.v1.HubService").expect("it is defined");
    let extension = pool.get_extension_by_name("google.api.http").expect("it is imported");
    let mut rules = Vec::new();
    for call in service.methods() {
        let options = call.options();
        let annotation = options.get_extension(&extension);
        let first = annotation.as_message().expect("an HttpRule").clone();
        let more = match first.get_field_by_name("additional_bindings").as_deref() {
            Some(Value::List(more)) => more.iter().filter_map(Value::as_message).cloned().collect(),
            _ => Vec::new(),
        };
        for (index, http) in std::iter::once(first).chain(more).enumerate() {
            rules.push(rule(&call, index, &http));
        }
    }
    rules
}

fn rule(call: &MethodDescriptor, index: usize, http: &DynamicMessage) -> Rule {
    let text = |field: &str| {
        let value = http.get_field_by_name(field)?;
        value.as_str().filter(|text| !text.is_empty()).map(String::from)
    };
    let (method, template) = ["get", "post", "patch", "put", "delete"]
        .into_iter()
        .find_map(|method| Some((method, text(method)?)))
        .expect("every call has a rule");
    let (path, variables) = parse(&template);
    let id = if index == 0 { call.name().to_owned() } else { format!("{}_{}", call.name(), index + 1) };
    Rule { call: call.clone(), id, method, path, variables, body: text("body").is_some() }
}

/// `/v1/models/{model=**}/files` → `/v1/models/{model}/files` and its variables.
fn parse(template: &str) -> (String, Vec<(String, bool)>) {
    let mut path = String::new();
    let mut variables = Vec::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let (variable, after) = after.split_once('}').expect("a closed variable");
        let (name, slashes) = match variable.split_once('=') {
            Some((name, pattern)) => (name, pattern == "**"),
            None => (variable, false),
        };
        path.push_str(&format!("{before}{{{name}}}"));
        variables.push((name.to_owned(), slashes));
        rest = after;
    }
    path.push_str(rest);
    (path, variables)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_of_paths_are_found() {
        assert_eq!(
            parse("/v1/models/{model=**}/files/{id}"),
            ("/v1/models/{model}/files/{id}".into(), vec![("model".into(), true), ("id".into(), false)])
        );
    }

    #[test]
    fn every_rule_has_an_id_and_a_route_of_its_own() {
        let rules = rules();
        let mut ids: Vec<_> = rules.iter().map(|rule| rule.id.as_str()).collect();
        let mut routes: Vec<_> = rules.iter().map(|rule| (rule.method, rule.path.as_str())).collect();
        ids.sort_unstable();
        ids.dedup();
        routes.sort_unstable();
        routes.dedup();
        assert_eq!((ids.len(), routes.len()), (rules.len(), rules.len()));
    }
}
