//! `/openapi.json`, and the same as pages: `/docs` by Swagger UI, `/redoc` by Redoc. Nothing of them comes from elsewhere.

use std::sync::LazyLock;

use axum::body::Bytes;
use axum::extract::Path;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::problem::Problem;

/// What all resources share, and then a file for each.
const PARTS: [&str; 14] = [
    include_str!("../../openapi/base.json"),
    include_str!("../../openapi/admin.json"),
    include_str!("../../openapi/attachments.json"),
    include_str!("../../openapi/audit.json"),
    include_str!("../../openapi/chat.json"),
    include_str!("../../openapi/dialects.json"),
    include_str!("../../openapi/keys.json"),
    include_str!("../../openapi/messages.json"),
    include_str!("../../openapi/openai.json"),
    include_str!("../../openapi/search.json"),
    include_str!("../../openapi/service.json"),
    include_str!("../../openapi/sessions.json"),
    include_str!("../../openapi/usage.json"),
    include_str!("../../openapi/users.json"),
];

static DOCUMENT: LazyLock<serde_json::Result<Bytes>> = LazyLock::new(|| Ok(document()?.to_string().into()));

fn document() -> serde_json::Result<Value> {
    let mut whole = json!({"info": {"version": env!("CARGO_PKG_VERSION")}});
    for part in PARTS {
        add(&mut whole, serde_json::from_str(part)?);
    }
    Ok(whole)
}

/// What two parts have both is an object, or the same.
fn add(whole: &mut Value, part: Value) {
    let (Value::Object(whole), Value::Object(part)) = (whole, part) else { return };
    for (name, value) in part {
        match whole.get_mut(&name) {
            Some(there) => add(there, value),
            None => drop(whole.insert(name, value)),
        }
    }
}

pub(super) async fn openapi() -> Result<Response, Problem> {
    let document = DOCUMENT.as_ref().map_err(|_| Problem::Internal("the OpenAPI document is no JSON"))?;
    Ok(([(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, ASKED_AGAIN)], document.clone()).into_response())
}

const ASKED_AGAIN: &str = "no-cache";
/// Of what has its version in its name.
const FOR_GOOD: &str = "public, max-age=31536000, immutable";

/// Both put styles into the page as they go; Redoc also puts an image of another host there, which is not loaded, and
/// searches in a worker that it makes of a text.
const DOCS_MAY: &str = "default-src 'none'; connect-src 'self'; img-src 'self' data:; script-src 'self'; \
                        style-src 'self' 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const REDOC_MAY: &str = "default-src 'none'; connect-src 'self'; img-src 'self' data:; script-src 'self'; \
                         style-src 'self' 'unsafe-inline'; worker-src blob:; base-uri 'none'; form-action 'none'; \
                         frame-ancestors 'none'";
const DOCS: &str = include_str!("../../assets/docs.html");
const REDOC: &str = include_str!("../../assets/redoc.html");

pub(super) async fn docs() -> Response {
    page(DOCS, DOCS_MAY)
}

pub(super) async fn redoc() -> Response {
    page(REDOC, REDOC_MAY)
}

fn page(html: &'static str, policy: &'static str) -> Response {
    let kind = (CONTENT_TYPE, "text/html; charset=utf-8");
    ([kind, (CACHE_CONTROL, ASKED_AGAIN), (CONTENT_SECURITY_POLICY, policy)], html).into_response()
}

/// What a page loads.
struct File {
    /// With its version.
    name: &'static str,
    content_type: &'static str,
    bytes: &'static [u8],
}

const SCRIPT: &str = "text/javascript; charset=utf-8";

static DOCS_FILES: [File; 3] = [
    File {
        name: "swagger-ui-5.35.0.css",
        content_type: "text/css; charset=utf-8",
        bytes: include_bytes!("../../assets/swagger-ui/swagger-ui.css"),
    },
    File {
        name: "swagger-ui-5.35.0.js",
        content_type: SCRIPT,
        bytes: include_bytes!("../../assets/swagger-ui/swagger-ui-bundle.js"),
    },
    File { name: "colloquy-1.js", content_type: SCRIPT, bytes: include_bytes!("../../assets/docs.js") },
];

static REDOC_FILES: [File; 1] = [File {
    name: "redoc-2.5.4.js",
    content_type: SCRIPT,
    bytes: include_bytes!("../../assets/redoc/redoc.standalone.js"),
}];

pub(super) async fn docs_file(Path(name): Path<String>) -> Result<Response, Problem> {
    file(&DOCS_FILES, &name)
}

pub(super) async fn redoc_file(Path(name): Path<String>) -> Result<Response, Problem> {
    file(&REDOC_FILES, &name)
}

fn file(files: &'static [File], name: &str) -> Result<Response, Problem> {
    let file = files.iter().find(|file| file.name == name).ok_or(Problem::NoSuchRoute)?;
    let headers = [(CONTENT_TYPE, file.content_type), (CACHE_CONTROL, FOR_GOOD)];
    Ok((headers, Bytes::from_static(file.bytes)).into_response())
}

#[cfg(test)]
mod tests;
