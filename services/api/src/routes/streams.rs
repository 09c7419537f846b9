//! Replies as server-sent events.

use std::convert::Infallible;

use axum::body::Body as ResponseBody;
use axum::extract::{Extension, Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use domain::ids::MessageId;
use futures::Stream;
use futures::stream::unfold;
use serde::Deserialize;
use store::Position;

use super::frames::{Frame, Frames};
use super::positioned::EVENT_POSITION;
use super::posting::{PostRequest, Posted, Wanted};
use super::{Sockets, replying};
use crate::app::App;
use crate::commands::Answer;
use crate::extract::{Body, Caller, IdempotencyKey, Parameters};
use crate::layers::traced;
use crate::problem::{Problem, ReplyProblem};

/// `POST /api/v1/chat/stream`.
pub(crate) async fn post(
    State(app): State<App>,
    caller: Caller,
    key: IdempotencyKey,
    Extension(sockets): Extension<Sockets>,
    Body(request): Body<PostRequest>,
) -> Result<Response, Problem> {
    let posted = request.post(&app, &caller, key, Wanted::Reply).await?;
    let position = posted.position;
    Ok(events(frames_of(app, caller, posted).await?, position, sockets))
}

/// The frames of the reply to a message that was just posted.
pub(crate) async fn frames_of(app: App, caller: Caller, posted: Posted) -> Result<Frames, Problem> {
    let Posted { turn, position: _, watch } = posted;
    let (reply, watch) = match (turn.answer.clone(), watch) {
        (Answer::Given { text }, _) => (turn.reply_to(caller.user), replying::given(text)),
        (Answer::Awaited, Some(watch)) => (turn.reply_to(caller.user), watch),
        (Answer::Awaited | Answer::Nothing | Answer::Repeated, _) => {
            replying::watch(&app, caller.user, turn.reply).await?
        }
    };
    Ok(Frames::of(app, caller, turn.reply, reply, watch, 0))
}

#[derive(Deserialize)]
pub(super) struct Resumed {
    after: Option<usize>,
}

/// `GET /api/v1/messages/{id}/stream`: the rest, from the frame that the client had last.
pub(super) async fn resume(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    Extension(sockets): Extension<Sockets>,
    Parameters(resumed): Parameters<Resumed>,
) -> Result<Response, Problem> {
    let id: MessageId = id.parse().map_err(|_| ReplyProblem::NoSuchMessage)?;
    let after = match headers.get("last-event-id") {
        Some(last) => last.to_str().ok().and_then(|last| last.parse().ok()).ok_or_else(no_number)?,
        None => resumed.after.unwrap_or(0),
    };
    let (reply, watch) = replying::watch(&app, caller.user, id).await?;
    Ok(events(Frames::of(app, caller, id, reply, watch, after), None, sockets))
}

fn no_number() -> Problem {
    Problem::invalid("Last-Event-ID", "must be an id of this stream")
}

const HEADERS: [(HeaderName, HeaderValue); 3] = [
    (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-cache, no-transform")),
    // Or a proxy keeps the pieces until it has enough of them.
    (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
];

fn events(frames: Frames, position: Option<Position>, sockets: Sockets) -> Response {
    // When the process ends, so does the stream; the client comes back, to another node, for the rest.
    let events = unfold((frames, sockets), |(mut frames, sockets)| async move {
        let frame = sockets.closing().run_until_cancelled(frames.next()).await??;
        Some((Ok::<_, Infallible>(event(&frame)), (frames, sockets)))
    });
    streamed(events, position)
}

/// What goes out piece by piece.
pub(crate) fn streamed(
    pieces: impl Stream<Item = Result<String, Infallible>> + Send + 'static,
    position: Option<Position>,
) -> Response {
    let mut response = (HEADERS, ResponseBody::from_stream(traced(pieces))).into_response();
    if let Some(position) = position {
        response.headers_mut().insert(EVENT_POSITION, HeaderValue::from(position.get()));
    }
    response
}

fn event(frame: &Frame) -> String {
    format!("event: {}\nid: {}\ndata: {}\n\n", frame.name, frame.seq, frame.data)
}
