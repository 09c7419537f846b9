//! A file comes in as a form's field, and goes to where it is kept as it comes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Poll, ready};
use std::time::Duration;

use axum::RequestExt;
use axum::body::{Body, BodyDataStream, Bytes};
use axum::extract::multipart::{Field, MultipartError};
use axum::extract::{DefaultBodyLimit, Multipart, Path, Request, State};
use axum::http::StatusCode;
use domain::ids::{AttachmentId, MessageId};
use domain::values::{FileName, Invalid};
use futures::stream::poll_fn;
use futures::{Stream, StreamExt};
use projections::history;
use store::{Position, fresh_id};
use tokio::time::timeout;
use tracing::Instrument;

use super::{ShownAttachment, forget, of_message, take_away};
use crate::app::App;
use crate::commands::{AddAttachment, AttachError};
use crate::extract::Caller;
use crate::files::{Storing, StoringError};
use crate::problem::{FieldError, FileProblem, Problem, ReplyProblem};
use crate::routes::positioned::{Done, MinPosition};
use crate::routes::replies;

/// How many files a message may have.
const MOST: usize = 20;
/// How long a client may send nothing, and how long it may send.
const IDLE: Duration = Duration::from_secs(30);
const LONGEST: Duration = Duration::from_mins(30);
/// How long the history may take to tell whether a file is one too many.
const PATIENCE: Duration = Duration::from_secs(2);

pub(in crate::routes) async fn upload(
    State(app): State<App>,
    caller: Caller,
    least: MinPosition,
    Path(id): Path<String>,
    request: Request,
) -> Result<(StatusCode, Done<ShownAttachment>), Problem> {
    let message = replies::parse(&id)?;
    let (_, others) = of_message(&app, &caller, least, message).await?;
    if others.len() >= MOST {
        return Err(FileProblem::TooMany.into());
    }
    let form = Form::of(request, app.files.limit()).await?;
    // A client that goes takes the request along: what is begun here is tidied up all the same.
    let added = tokio::spawn(add(app, caller, message, form).in_current_span()).await;
    let added = added.unwrap_or(Err(Problem::Internal("receiving a file panicked")))?;
    Ok((StatusCode::CREATED, added))
}

async fn add(app: App, caller: Caller, message: MessageId, mut form: Form) -> Result<Done<ShownAttachment>, Problem> {
    let (id, by) = (fresh_id(), caller.user);
    let mut storing = app.files.store(id)?;
    let received = timeout(LONGEST, form.receive(&mut storing)).await.unwrap_or(Err(Problem::TooSlow));
    let file = match received {
        Ok(name) => storing.finish(name).await?,
        Err(problem) => {
            storing.give_up().await;
            return Err(problem);
        }
    };
    let command = AddAttachment { id, by, message, file };
    let done = match app.executor.execute(&command, caller.metadata.clone()).await {
        Ok(done) => done,
        Err(AttachError::Store(error)) => {
            // It may stand in the log all the same; if not, it is swept.
            return Err(error.into());
        }
        Err(AttachError::Message(_) | AttachError::Conversation(_) | AttachError::Attachment(_)) => {
            forget(&app, id).await;
            return Err(ReplyProblem::NoSuchMessage.into());
        }
    };
    app.own_writes.note(by, done.position);
    if is_one_too_many(&app, message, id, done.position).await? {
        take_away(&app, caller, id).await?;
        return Err(FileProblem::TooMany.into());
    }
    Ok(Done(done.position, ShownAttachment::of(id, message, command.file, done.output)))
}

/// Of several that came at once the log knows the order: each finds those that came before it.
async fn is_one_too_many(
    app: &App,
    message: MessageId,
    id: AttachmentId,
    position: Option<Position>,
) -> Result<bool, Problem> {
    let history = &app.read_models.history;
    if !history.wait_for(position.unwrap_or_default(), PATIENCE).await? {
        return Ok(false);
    }
    let all = history::attachments_of(history.db(), message).await?;
    Ok(all.iter().position(|it| it.id == id).is_some_and(|before| before >= MOST))
}

/// A form whose fields are read one after the other.
struct Form {
    fields: Multipart,
    /// How many bytes have come that are in no field yet.
    ahead: Arc<AtomicUsize>,
}

/// The field that holds the file.
const FILE: &str = "file";
/// How many bytes may be read in search of a field: what stands between fields is held in memory.
const FURTHEST_AHEAD: usize = 1 << 20;

impl Form {
    async fn of(request: Request, limit: u64) -> Result<Self, Problem> {
        let ahead = Arc::new(AtomicUsize::new(0));
        let counted = ahead.clone();
        let mut request = request.map(|body| Body::from_stream(bit_by_bit(body.into_data_stream(), counted)));
        // Who sends too much is heard out for a while: a client that is cut off reads no answer.
        let most = usize::try_from(limit.saturating_mul(2)).unwrap_or(usize::MAX).saturating_add(FURTHEST_AHEAD);
        DefaultBodyLimit::max(most).apply(&mut request);
        let fields = request.extract().await.map_err(|_| FileProblem::NotAForm)?;
        Ok(Self { fields, ahead })
    }

    /// Takes the one file in, whatever else is in the form; what it is called.
    async fn receive(&mut self, storing: &mut Storing) -> Result<FileName, Problem> {
        let (mut name, mut is_too_large) = (None, false);
        while let Some(mut field) = in_time(self.fields.next_field()).await? {
            let is_file = field.name() == Some(FILE);
            if is_file && name.replace(file_name(&field)?).is_some() {
                return Err(invalid("must be one file"));
            }
            while let Some(bytes) = in_time(field.chunk()).await? {
                self.ahead.fetch_sub(bytes.len(), Ordering::Relaxed);
                if is_file && !is_too_large {
                    is_too_large = is_refused(storing.put(bytes).await)?;
                }
            }
        }
        match name {
            _ if is_too_large => Err(Problem::TooLarge),
            None => Err(invalid("is missing")),
            Some(_) if storing.is_empty() => Err(invalid("must not be empty")),
            Some(name) => Ok(name),
        }
    }
}

/// Whoever reads a form takes all that there is before they give any of it on: after each bit there is nothing for a moment.
fn bit_by_bit(mut body: BodyDataStream, ahead: Arc<AtomicUsize>) -> impl Stream<Item = std::io::Result<Bytes>> {
    let mut is_enough = false;
    poll_fn(move |context| {
        is_enough = !is_enough;
        if !is_enough {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let next = ready!(body.poll_next_unpin(context)).map(|bytes| bytes.map_err(std::io::Error::other));
        let length = next.as_ref().and_then(|bytes| bytes.as_ref().ok()).map_or(0, Bytes::len);
        if ahead.fetch_add(length, Ordering::Relaxed) > FURTHEST_AHEAD {
            return Poll::Ready(Some(Err(std::io::Error::other("no field comes"))));
        }
        Poll::Ready(next)
    })
}

/// Whether there was too much; other errors are the end.
fn is_refused(put: Result<(), StoringError>) -> Result<bool, Problem> {
    match put {
        Ok(()) => Ok(false),
        Err(StoringError::TooLarge) => Ok(true),
        Err(error @ (StoringError::Busy | StoringError::Files(_))) => Err(error.into()),
    }
}

async fn in_time<T>(read: impl Future<Output = Result<T, MultipartError>>) -> Result<T, Problem> {
    let read = timeout(IDLE, read).await.map_err(|_| Problem::TooSlow)?;
    read.map_err(
        |error| {
            if error.status() == StatusCode::PAYLOAD_TOO_LARGE { Problem::TooLarge } else { Problem::BadBody }
        },
    )
}

fn file_name(field: &Field<'_>) -> Result<FileName, Problem> {
    let name = field.file_name().ok_or(Invalid::Blank).and_then(|name| name.to_owned().try_into());
    name.map_err(|error: Invalid| invalid(&format!("its name {error}")))
}

fn invalid(message: &str) -> Problem {
    Problem::Invalid(vec![FieldError { field: FILE, message: message.to_owned() }])
}
