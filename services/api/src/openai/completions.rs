//! `/v1/chat/completions`: a turn. Where no session is named, what was said before comes along and begins a conversation.

use axum::extract::{Extension, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use domain::ids::MessageId;
use domain::values::MessageBody;
use replies::Choice;
use serde::Serialize;

use super::asked::{CompletionRequest, Told};
use super::stream;
use crate::app::App;
use crate::commands::Room;
use crate::extract::{Body, Caller, IdempotencyKey};
use crate::problem::Problem;
use crate::routes::Sockets;
use crate::routes::chat::answer_to;
use crate::routes::positioned::Done;
use crate::routes::posting::{PostRequest, Posted, Terms, Wanted};
use crate::routes::replying::{Answered, ShownUsage};

/// In which conversation; the answer says it as well.
const SESSION: HeaderName = HeaderName::from_static("x-session-id");
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

pub(crate) async fn create(
    State(app): State<App>,
    caller: Caller,
    key: IdempotencyKey,
    Extension(sockets): Extension<Sockets>,
    headers: HeaderMap,
    Body(request): Body<CompletionRequest>,
) -> Result<Response, Problem> {
    let session = session(&headers)?;
    let (streams, includes_usage) = (request.stream == Some(true), request.includes_usage());
    let (post, model) = asked(&app, request, session)?;
    let posted = post.post(&app, &caller, key, Wanted::Reply).await?;
    let session = posted.turn.conversation.to_string();
    let answer = if streams {
        stream::answer(app, caller, sockets, posted, model, includes_usage).await
    } else {
        whole(&app, &caller, &sockets, posted).await
    };
    // Whoever was let in hears where it is, whatever became of the reply.
    let mut response = answer.unwrap_or_else(failed);
    if let Ok(session) = HeaderValue::try_from(session) {
        response.headers_mut().insert(SESSION, session);
    }
    Ok(response)
}

/// The turn is kept: whoever asks again asks twice, and these clients do so by themselves unless they are told not to.
fn failed(problem: Problem) -> Response {
    let mut response = problem.into_response();
    response.headers_mut().insert(SHOULD_RETRY, HeaderValue::from_static("false"));
    response
}

fn session(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let text = |value: &HeaderValue| value.to_str().map(str::to_owned).map_err(|_| Problem::NoSuchSession);
    headers.get(SESSION).map(text).transpose()
}

/// The post, and by which model it is to be answered.
fn asked(app: &App, request: CompletionRequest, session_id: Option<String>) -> Result<(PostRequest, String), Problem> {
    request.check()?;
    let model = match app.providers.choose_named(request.model()?)? {
        Choice::Rules => domain::chat::rules::MODEL.to_owned(),
        Choice::Model(model) => model,
    };
    let ((most_tokens, max_tokens), temperature) = (request.most_tokens(), request.temperature);
    let Told { earlier, last: message } = request.told(session_id.is_some())?;
    let terms = Terms { field: "messages", most_tokens, longest: MessageBody::MOST, room: Room::New };
    let asked = Some(model.clone());
    let post = PostRequest {
        message,
        terms,
        earlier,
        session_id,
        model: asked,
        max_tokens,
        temperature,
        ..PostRequest::default()
    };
    Ok((post, model))
}

/// Waits for the whole reply.
async fn whole(app: &App, caller: &Caller, sockets: &Sockets, posted: Posted) -> Result<Response, Problem> {
    let position = posted.position;
    let answered = answer_to(app, caller, sockets, posted).await?;
    Ok(Done(position, Completion::from(answered)).into_response())
}

#[derive(Serialize)]
struct Completion {
    id: String,
    object: &'static str,
    created: i64,
    model: String,
    choices: [Said; 1],
    usage: ShownUsage,
}

#[derive(Serialize)]
struct Said {
    index: u32,
    message: Message,
    logprobs: Option<()>,
    finish_reason: &'static str,
}

#[derive(Serialize)]
struct Message {
    role: &'static str,
    content: String,
    refusal: Option<()>,
}

impl From<Answered> for Completion {
    fn from(reply: Answered) -> Self {
        let Answered { message_id, response: content, model, usage, finish_reason, created_at, .. } = reply;
        let message = Message { role: "assistant", content, refusal: None };
        let said = Said { index: 0, message, logprobs: None, finish_reason: finish(&finish_reason) };
        let created = created_at.seconds();
        Self { id: id(message_id), object: "chat.completion", created, model, choices: [said], usage }
    }
}

/// What a reply is called here.
pub(super) fn id(reply: MessageId) -> String {
    format!("chatcmpl-{reply}")
}

/// Why it ended, in the words that there are for that.
pub(super) fn finish(word: &str) -> &'static str {
    match word {
        "length" => "length",
        "content_filter" => "content_filter",
        _ => "stop",
    }
}
