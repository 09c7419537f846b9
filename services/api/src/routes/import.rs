//! `/api/v1/import`: a document that was exported comes in, while it is still being sent.

mod coming;

use std::io::BufReader;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use domain::ids::ConversationId;
use futures::StreamExt;
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::positioned::Done;
use crate::app::App;
use crate::extract::{Caller, IdempotencyKey, is_json, unfit};
use crate::files::Patience;
use crate::portable::{self, Arriving, Budget, Stopped};
use crate::problem::Problem;
use coming::{Coming, Refused};

/// How many bytes a conversation may have: some are held in memory.
const LARGEST_SESSION: usize = 32 << 20;
/// How many bytes a document may have, and how many are heard out that nobody wants: a client that is cut off reads no answer.
const LARGEST: usize = 1 << 30;
const HEARD_OUT: usize = 64 << 20;

#[derive(Default, Serialize)]
pub(super) struct Imported {
    sessions: usize,
    messages: usize,
    /// In the order of the document.
    session_ids: Vec<ConversationId>,
}

pub(super) async fn import(
    State(app): State<App>,
    caller: Caller,
    key: IdempotencyKey,
    request: Request,
) -> Result<(StatusCode, Done<Imported>), Problem> {
    if !is_json(&request) {
        return Err(Problem::NotJson);
    }
    let _place = app.imports.begin(caller.user).ok_or(Problem::Busy)?;
    let mut coming = Coming::new(&app, &caller, key);
    let (user, key) = (caller.user, coming.key());
    let (bytes, arriving) = mpsc::channel(4);
    let (sessions, parsed) = mpsc::channel(1);
    let parsing = tokio::task::spawn_blocking(move || {
        let budget = Budget::new(LARGEST_SESSION);
        let reader = BufReader::new(Arriving::new(arriving, &budget));
        portable::read(reader, &budget, |session| sessions.blocking_send(session.steps(user, key)).map_err(|_| Stopped))
    });
    let taking = async {
        // Gone when this ends: whoever parses must not wait for what is never taken.
        let mut parsed = parsed;
        while let Some(session) = parsed.recv().await {
            coming.take(session).await?;
        }
        coming.write().await
    };
    let hearing = hear(request.into_body(), bytes, app.files.patience());
    let (taken, heard, parsing) = tokio::join!(taking, hearing, parsing);
    app.own_writes.note(caller.user, coming.position());
    taken.map_err(|refused| coming.problem(refused))?;
    heard?;
    let parsing = parsing.map_err(|_| Problem::Internal("reading a document panicked"))?;
    parsing.map_err(|error| coming.problem(Refused::Problem(unreadable(&error))))?;
    let (position, imported) = coming.end();
    Ok((StatusCode::CREATED, Done(position, imported)))
}

/// Hands a body on as it comes; what nobody takes any more is heard out for a while.
async fn hear(body: Body, bytes: mpsc::Sender<Bytes>, patience: Patience) -> Result<(), Problem> {
    let (mut body, until) = (body.into_data_stream(), Instant::now() + patience.longest);
    let (mut heard, mut unwanted) = (0_usize, 0_usize);
    loop {
        let idle = Instant::now() + patience.idle;
        let next = timeout_at(until.min(idle), body.next()).await.map_err(|_| Problem::SlowBody)?;
        let Some(next) = next else { return Ok(()) };
        let next = next.map_err(|_| Problem::BadBody)?;
        let length = next.len();
        heard = heard.saturating_add(length);
        if heard > LARGEST {
            return Err(Problem::TooLarge);
        }
        let sent = timeout_at(until, bytes.send(next)).await.map_err(|_| Problem::TooSlow)?;
        if sent.is_err() {
            unwanted = unwanted.saturating_add(length);
            if unwanted > HEARD_OUT {
                return Ok(());
            }
        }
    }
}

fn unreadable(error: &serde_json::Error) -> Problem {
    if error.io_error_kind() == Some(std::io::ErrorKind::FileTooLarge) {
        return Problem::TooLarge;
    }
    unfit(error)
}
