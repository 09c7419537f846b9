//! Query parameters; what is wrong with them is said without repeating them.

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use crate::problem::Problem;

#[derive(Debug)]
pub(crate) struct Parameters<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Parameters<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let unfit = |_| Problem::invalid("query", "a parameter is not of its type");
        Query::from_request_parts(parts, state).await.map(|Query(parameters)| Self(parameters)).map_err(unfit)
    }
}
