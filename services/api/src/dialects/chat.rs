//! `POST /chat`: two of the services had it. The body says whose client it is.

use axum::extract::{Extension, State};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::Dialect;
use super::{s0, s4};
use crate::app::App;
use crate::extract::{Body, Caller, IdempotencyKey};
use crate::problem::{MISSING, Problem};
use crate::routes::Sockets;

#[derive(Deserialize)]
pub(crate) struct ChatRequest {
    content: Option<String>,
    #[serde(flatten)]
    s4: s4::ChatRequest,
}

pub(crate) async fn chat(
    State(app): State<App>,
    caller: Caller,
    key: IdempotencyKey,
    Extension(sockets): Extension<Sockets>,
    Body(request): Body<ChatRequest>,
) -> Result<Response, Problem> {
    let ChatRequest { content, s4 } = request;
    match (content, &s4.message) {
        (Some(content), None) => s0::chat(&app, &caller, key, &sockets, content).await.map(IntoResponse::into_response),
        (None, Some(_)) => {
            let answer = s4::chat(&app, &caller, key, &sockets, s4).await;
            Ok(answer.map_or_else(|problem| Dialect::S4.refuse(problem), IntoResponse::into_response))
        }
        (Some(_), Some(_)) => Err(Problem::invalid("body", "must have content or message, and not both")),
        (None, None) => Err(Problem::invalid("content", MISSING)),
    }
}
