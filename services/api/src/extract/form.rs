//! A form, as browsers and OAuth's clients send it; what is wrong with it is said without repeating it.

use axum::extract::{FromRequest, Request};
use axum::http::header;
use serde::de::DeserializeOwned;

use super::body::{Body, is_json, read};
use crate::problem::Problem;

#[derive(Debug)]
pub(crate) struct Form<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Form<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if !is_form(&request) {
            return Err(unfit("must be application/x-www-form-urlencoded"));
        }
        let (parts, body) = request.into_parts();
        let whole = read(Request::from_parts(parts.clone(), body), state).await?;
        let form = axum::Form::from_request(Request::from_parts(parts, whole.into()), state).await;
        form.map(|axum::Form(form)| Self(form)).map_err(|_| unfit("a field is there twice, or is of another type"))
    }
}

fn is_form(request: &Request) -> bool {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

fn unfit(message: &str) -> Problem {
    Problem::invalid("body", message)
}

/// Either of the two.
#[derive(Debug)]
pub(crate) struct FormOrJson<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for FormOrJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if is_json(&request) {
            return Body::from_request(request, state).await.map(|Body(json)| Self(json));
        }
        Form::from_request(request, state).await.map(|Form(form)| Self(form))
    }
}
