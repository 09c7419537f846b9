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
use domain::chat::attachment::Attachment;
use domain::ids::{AttachmentId, BytesId, MessageId};
use domain::values::{FileName, Invalid};
use futures::stream::poll_fn;
use futures::{Stream, StreamExt};
use projections::history;
use store::{Position, fresh_id};
use tokio::time::timeout;
use tracing::Instrument;

use super::{ShownAttachment, forget, of_message, take_away};
use crate::app::App;
use crate::commands::{AddAttachment, Added, AttachError, RequestKey};
use crate::extract::{Caller, IdempotencyKey};
use crate::files::{Storing, StoringError};
use crate::problem::{FileProblem, Problem, ReplyProblem, SessionProblem};
use crate::routes::positioned::{Done, MinPosition};
use crate::routes::{replies, replying};

/// How many files a message may have.
const MOST: usize = 20;
/// How long the history may take to tell whether a file is one too many.
const PATIENCE: Duration = Duration::from_secs(2);

pub(in crate::routes) async fn upload(
    State(app): State<App>,
    caller: Caller,
    least: MinPosition,
    key: IdempotencyKey,
    Path(id): Path<String>,
    request: Request,
) -> Result<(StatusCode, Done<ShownAttachment>), Problem> {
    let message = replies::parse(&id)?;
    let ids = Ids::of(&caller, key);
    let (_, others) = of_message(&app, &caller, least, message).await?;
    if others.len() >= MOST && others.iter().all(|other| other.id != ids.attachment) {
        return Err(FileProblem::TooMany.into());
    }
    let form = Form::of(request, &app).await?;
    // A client that goes takes the request along: what is begun here is tidied up all the same.
    let added = tokio::spawn(add(app, caller, message, ids, form).in_current_span()).await;
    let added = added.unwrap_or(Err(Problem::Internal("receiving a file panicked")))?;
    Ok((StatusCode::CREATED, added))
}

/// Under which ids a file comes in.
#[derive(Clone, Copy)]
struct Ids {
    attachment: AttachmentId,
    /// Its bytes never take the place of others, whatever else is sent under the same key.
    bytes: BytesId,
    /// They follow from a key: the file may have come before.
    may_exist: bool,
}

impl Ids {
    fn of(caller: &Caller, key: IdempotencyKey) -> Self {
        let fresh: AttachmentId = fresh_id();
        let known = key.0.map(|name| RequestKey::of(caller.user, &name).id("attachment"));
        match known {
            Some(attachment) => Self { attachment, bytes: fresh.into(), may_exist: true },
            None => Self { attachment: fresh, bytes: fresh.into(), may_exist: false },
        }
    }
}

async fn add(
    app: App,
    caller: Caller,
    message: MessageId,
    ids: Ids,
    mut form: Form,
) -> Result<Done<ShownAttachment>, Problem> {
    let mut storing = app.files.store(ids.bytes)?;
    let received = timeout(app.files.patience().longest, form.receive(&mut storing));
    let file = match received.await.unwrap_or(Err(Problem::SlowBody)) {
        Ok(name) => storing.finish(name).await?,
        Err(problem) => {
            storing.give_up().await;
            return Err(problem);
        }
    };
    let Ids { attachment: id, bytes: kept_as, may_exist } = ids;
    let command = AddAttachment { id, by: caller.user, message, file, kept_as, may_exist };
    let done = match app.executor.execute(&command, caller.metadata.clone()).await {
        Ok(done) => done,
        // It may stand in the log all the same; if not, its bytes are swept.
        Err(AttachError::Store(error)) => return Err(error.into()),
        Err(refused) => {
            forget(&app, kept_as).await;
            return Err(problem_of(refused));
        }
    };
    let Added::At(at) = done.output else { return as_it_came(&app, &caller, ids).await };
    app.own_writes.note(caller.user, done.position);
    if is_one_too_many(&app, message, id, done.position).await? {
        take_away(&app, caller, id).await?;
        return Err(FileProblem::TooMany.into());
    }
    Ok(Done(done.position, ShownAttachment::of(id, message, command.file, at)))
}

/// What was answered when it first came. These bytes are not the ones that it came with.
async fn as_it_came(app: &App, caller: &Caller, ids: Ids) -> Result<Done<ShownAttachment>, Problem> {
    let position = app.log.began::<Attachment>(ids.attachment).await?;
    replying::wait_for(app, position).await?;
    let row = history::attachment(app.read_models.history.db(), caller.user, ids.attachment).await?;
    if row.as_ref().is_none_or(|row| row.kept_as != ids.bytes) {
        forget(app, ids.bytes).await;
    }
    Ok(Done(position, row.ok_or(SessionProblem::Gone)?.into()))
}

fn problem_of(refused: AttachError) -> Problem {
    match refused {
        AttachError::KeyReused => ReplyProblem::KeyReused.into(),
        AttachError::Gone => SessionProblem::Gone.into(),
        AttachError::Message(_) | AttachError::Conversation(_) | AttachError::Attachment(_) => {
            ReplyProblem::NoSuchMessage.into()
        }
        AttachError::Store(error) => error.into(),
    }
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
    /// How long nothing may come.
    idle: Duration,
}

/// The field that holds the file.
const FILE: &str = "file";
/// How many bytes may be read in search of a field: what stands between fields is held in memory.
const FURTHEST_AHEAD: usize = 1 << 20;

impl Form {
    async fn of(request: Request, app: &App) -> Result<Self, Problem> {
        let (limit, idle) = (app.files.limit(), app.files.patience().idle);
        let ahead = Arc::new(AtomicUsize::new(0));
        let counted = ahead.clone();
        let mut request = request.map(|body| Body::from_stream(bit_by_bit(body.into_data_stream(), counted)));
        // Who sends too much is heard out for a while: a client that is cut off reads no answer.
        let most = usize::try_from(limit.saturating_mul(2)).unwrap_or(usize::MAX).saturating_add(FURTHEST_AHEAD);
        DefaultBodyLimit::max(most).apply(&mut request);
        let fields = request.extract().await.map_err(|_| FileProblem::NotAForm)?;
        Ok(Self { fields, ahead, idle })
    }

    /// Takes the one file in, whatever else is in the form; what it is called.
    async fn receive(&mut self, storing: &mut Storing) -> Result<FileName, Problem> {
        let (mut name, mut is_too_large) = (None, false);
        while let Some(mut field) = in_time(self.idle, self.fields.next_field()).await? {
            let is_file = field.name() == Some(FILE);
            if is_file && name.replace(file_name(&field)?).is_some() {
                return Err(invalid("must be one file"));
            }
            while let Some(bytes) = in_time(self.idle, field.chunk()).await? {
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

async fn in_time<T>(most: Duration, read: impl Future<Output = Result<T, MultipartError>>) -> Result<T, Problem> {
    let read = timeout(most, read).await.map_err(|_| Problem::SlowBody)?;
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
    Problem::invalid(FILE, message)
}
