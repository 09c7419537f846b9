//! What happens around every request: its id, its span and log line, the security headers, a panic's answer.

use std::any::Any;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::Stream;
use futures::stream::poll_fn;
use tracing::{Instrument, Span};

use crate::app::App;
use crate::extract::Context;
use crate::hearing::Hearing;
use crate::limits;
use crate::metrics::Answering;
use crate::problem::Problem;
use crate::request_id::{self, HEADER, RequestId};

/// Gives the request an id, a span and one line in the log.
pub(crate) async fn trace(mut request: Request, next: Next) -> Response {
    let RequestId(id) = RequestId::of(&request);
    let (method, path) = (request.method().clone(), beginning(request.uri().path()).to_owned());
    // An error's, so that no filter takes the id from the lines that it lets through.
    let span = tracing::error_span!("request", request_id = id, %method, path);
    let answering = Answering::begin(&request);
    request.extensions_mut().insert(RequestId(id.clone()));
    let answer = async {
        let response = next.run(request).await;
        answering.end(response.status());
        response
    };
    let mut response = request_id::known(id.clone(), answer.instrument(span)).await;
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(HEADER, id);
    }
    response
}

/// A path may be as long as a head; each line would have it.
fn beginning(path: &str) -> &str {
    path.get(..path.floor_char_boundary(LONGEST_PATH)).unwrap_or(path)
}

const LONGEST_PATH: usize = 512;

/// A body's pieces; whatever is said in the log while one is made has the id of the request that is being answered now.
pub(crate) fn traced<S: Stream>(pieces: S) -> impl Stream<Item = S::Item> {
    let (span, mut pieces) = (Span::current(), Box::pin(pieces));
    poll_fn(move |context| span.in_scope(|| pieces.as_mut().poll_next(context)))
}

/// When a request is counted for its address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Count {
    First,
    /// With its turn: one decision is as dear as another. Afterwards, where it came to none.
    WithItsTurn,
    Never,
}

/// What the layer that counts has to know.
#[derive(Clone)]
pub(crate) struct Counting {
    pub(crate) app: App,
    pub(crate) counts: Arc<HashMap<&'static str, Count>>,
}

/// Lets an address in as often as it may come.
pub(crate) async fn count(State(Counting { app, counts }): State<Counting>, request: Request, next: Next) -> Response {
    let count = counts.get(request.uri().path()).copied().unwrap_or(Count::First);
    if count == Count::Never {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let from = Context::of(&parts, &app).anonymous();
    match &from.ip {
        Some(ip) if count == Count::WithItsTurn => limits::owe(ip.clone()),
        Some(_) | None => {
            if let Err(problem) = app.admit_request(&from).await {
                return problem.into_response();
            }
        }
    }
    let response = next.run(Request::from_parts(parts, body)).await;
    match limits::owed() {
        Some(_) => app.admit_request(&from).await.map_or_else(Problem::into_response, |()| response),
        None => response,
    }
}

const SECURITY: [(HeaderName, HeaderValue); 5] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (
        HeaderName::from_static("permissions-policy"),
        HeaderValue::from_static("camera=(), geolocation=(), microphone=()"),
    ),
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'")),
];

/// The headers that every answer has.
pub(crate) async fn secure(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    for (name, value) in SECURITY {
        response.headers_mut().entry(name).or_insert(value);
    }
    response
}

/// A path means the same with a slash at its end.
pub(crate) async fn trim_slash(mut request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let trimmed = path.strip_suffix('/').filter(|trimmed| !trimmed.is_empty() && !trimmed.ends_with('/'));
    if let Some(trimmed) = trimmed {
        let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
        // The scheme and the host of an absolute address play no part in it.
        if let Ok(uri) = format!("{trimmed}{query}").parse() {
            *request.uri_mut() = uri;
        }
    }
    next.run(request).await
}

/// How long a request may take, the client's sending of its body included.
const LONGEST: Duration = Duration::from_secs(30);

/// Ends a request that takes too long; what it has handed to the log's writer is written all the same.
pub(crate) async fn limit_time(request: Request, next: Next) -> Response {
    within(LONGEST, request, next).await
}

async fn within(longest: Duration, mut request: Request, next: Next) -> Response {
    let hearing = Hearing::default();
    request.extensions_mut().insert(hearing.clone());
    let answer = tokio::time::timeout(longest, next.run(request)).await;
    answer.unwrap_or_else(|_| hearing.late().into_response())
}

/// A panic is a fault of ours, and ends one request alone.
pub(crate) fn panicked(_cause: Box<dyn Any + Send + 'static>) -> Response {
    Problem::Internal("a handler panicked").into_response()
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::middleware::from_fn;
    use axum::routing::{get, post};
    use serde_json::Value;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::extract::Body;

    /// A client of routes that have to answer within a moment.
    async fn client(routes: Router, sends: &str) -> TcpStream {
        let brief = from_fn(|request, next| within(Duration::from_millis(200), request, next));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, routes.layer(brief)).await });
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(sends.as_bytes()).await.unwrap();
        client
    }

    #[test]
    fn of_a_long_path_its_beginning_is_told() {
        let long = format!("/{}", "x".repeat(10_000));
        assert_eq!((beginning("/live"), beginning(&long).len()), ("/live", 512));
        let odd = format!("/{}", "\u{fc}".repeat(512));
        assert_eq!(beginning(&odd).len(), 511);
    }

    #[tokio::test]
    async fn what_takes_too_long_is_ended() {
        let endless = Router::new().route("/", get(std::future::pending::<()>));
        let mut client = client(endless, "GET / HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n").await;
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("retry-after: 2"), "{answer}");
        assert!(answer.contains("too_slow"), "{answer}");
    }

    #[tokio::test]
    async fn a_body_that_trickles_is_answered_and_cut_off() {
        let hears = Router::new().route("/", post(async |Body(_): Body<Value>| "heard"));
        let head = "POST / HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\ncontent-length: 100000\r\n\r\n";
        let (mut reads, mut writes) = client(hears, head).await.into_split();
        let trickles = async {
            let mut pace = tokio::time::interval(Duration::from_millis(20));
            while writes.write_all(b" ").await.is_ok() {
                pace.tick().await;
            }
            std::future::pending::<()>().await;
        };
        let mut answer = Vec::new();
        // Whoever is cut off with something unread may be told so by a reset.
        tokio::select! {
            _ = reads.read_to_end(&mut answer) => {}
            () = trickles => {}
        }
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("request_timeout"), "{answer}");
        assert!(!answer.contains("retry-after"), "{answer}");
    }
}
