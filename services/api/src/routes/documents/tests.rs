//! Whether the document is whole, and true to the router.
#![expect(clippy::indexing_slicing, reason = "a test's words are its panics")]

use std::collections::BTreeSet;

use axum::http::Method;
use domain::values::Scope;

use super::*;
use crate::routes::{Access, routes};

/// Method, path, and the operation.
fn operations(document: &Value) -> impl Iterator<Item = (&str, &str, &Value)> {
    fields(&document["paths"]).flat_map(|(path, all)| fields(all).map(move |(method, it)| (method, path, it)))
}

fn fields(object: &Value) -> impl Iterator<Item = (&str, &Value)> {
    object.as_object().into_iter().flatten().map(|(name, value)| (name.as_str(), value))
}

/// The kinds and names of what is referred to.
fn components(document: &Value) -> impl Iterator<Item = String> {
    let kinds = fields(&document["components"]).filter(|(kind, _)| *kind != "securitySchemes");
    kinds.flat_map(|(kind, all)| fields(all).map(move |(name, _)| format!("#/components/{kind}/{name}")))
}

fn words(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

fn references<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get("$ref").and_then(Value::as_str));
            fields.values().for_each(|value| references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| references(value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn each_part_adds_what_no_other_has() {
    let (mut all, whole) = (Vec::new(), document().unwrap());
    for part in PARTS {
        let part: Value = serde_json::from_str(part).unwrap();
        for (method, path, it) in operations(&part) {
            assert_eq!(whole["paths"][path][method], *it);
            all.push(format!("{method} {path}"));
        }
        for name in components(&part) {
            assert_eq!(whole.pointer(&name[1..]), part.pointer(&name[1..]), "{name}");
            all.push(name);
        }
    }
    assert_eq!(all.len(), all.iter().collect::<BTreeSet<_>>().len(), "{all:#?}");
}

#[test]
fn what_is_referred_to_is_there_and_nothing_else_is() {
    let document = document().unwrap();
    let mut referred = BTreeSet::new();
    references(&document, &mut referred);
    let there: Vec<String> = components(&document).collect();
    assert_eq!(there.iter().map(String::as_str).collect::<BTreeSet<_>>(), referred);
}

#[test]
fn it_has_the_routes_and_no_others() {
    let document = document().unwrap();
    let told: BTreeSet<_> = operations(&document).map(|(method, path, it)| (method, path, needs(it))).collect();
    let router = routes();
    // Where a part may have slashes, a document has no word for it.
    let names = |(method, path, _): &(Method, &str, Access)| (method.as_str().to_lowercase(), path.replace("{*", "{"));
    let names: Vec<_> = router.iter().map(names).collect();
    let real = router.iter().zip(&names).map(|((_, _, access), (method, path))| {
        let needs = match access {
            Access::Public => None,
            Access::User(scope) => Some((Vec::new(), vec![scope.as_str()])),
            Access::Role(role, scope) => Some((vec![role.as_str()], vec![role.as_str(), scope.as_str()])),
        };
        (method.as_str(), path.as_str(), needs)
    });
    assert_eq!(told, real.collect());
}

/// What an access token needs, and what a key; `None` where neither has to come.
fn needs(operation: &Value) -> Option<(Vec<&str>, Vec<&str>)> {
    let ways = operation["security"].as_array().unwrap();
    let way = |name| ways.iter().find_map(|way| way.get(name)).map(words);
    Some((way("bearer").unwrap_or_default(), way("key")?))
}

#[test]
fn each_operation_is_told_whole() {
    let document = document().unwrap();
    let tags: Vec<_> = document["tags"].as_array().unwrap().iter().map(|tag| &tag["name"]).collect();
    let schemes: Vec<_> = fields(&document["components"]["securitySchemes"]).map(|(name, _)| name).collect();
    let mut ids = BTreeSet::new();
    for (method, path, it) in operations(&document) {
        let which = format!("{method} {path}");
        assert!(ids.insert(it["operationId"].as_str().unwrap()), "{which}");
        assert!(it["summary"].as_str().is_some_and(|summary| !summary.is_empty()), "{which}");
        assert!(it["tags"].as_array().unwrap().iter().all(|tag| tags.contains(&tag)), "{which}");
        let mut ways = it["security"].as_array().unwrap().iter().flat_map(fields);
        assert!(ways.all(|(name, _)| schemes.contains(&name)), "{which}");
        if let Some(body) = it["requestBody"]["content"].get("application/json") {
            assert!(!body["example"].is_null(), "{which}");
        }
        assert_eq!(it["requestBody"].is_null(), it["responses"]["408"].is_null(), "{which}: a body may be slow");
        let named = |it: &Value| (it["in"] == "path").then(|| it["name"].as_str().unwrap().to_owned());
        let parameters = it["parameters"].as_array().into_iter().flatten();
        let of_path: BTreeSet<_> = parameters.filter_map(|it| named(found(&document, it))).collect();
        let in_path = path.split(['{', '}']).skip(1).step_by(2).map(str::to_owned);
        assert_eq!(of_path, in_path.collect(), "{which}");
    }
}

fn found<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    let reference = value["$ref"].as_str().and_then(|reference| reference.strip_prefix('#'));
    reference.map_or(value, |reference| document.pointer(reference).unwrap())
}

#[test]
fn the_scopes_are_those_that_there_are() {
    let document = document().unwrap();
    let all: Vec<_> = Scope::ALL.iter().map(|scope| scope.as_str()).collect();
    assert_eq!(words(&document["components"]["schemas"]["Scope"]["enum"]), all);
}

#[test]
fn a_page_loads_what_there_is() {
    for (html, at, files) in [(DOCS, "/docs/", &DOCS_FILES[..]), (REDOC, "/redoc/", &REDOC_FILES[..])] {
        let loaded: Vec<_> = html.split(['"']).filter_map(|text| text.strip_prefix(at)).collect();
        assert_eq!(loaded, files.iter().map(|file| file.name).collect::<Vec<_>>());
    }
}
