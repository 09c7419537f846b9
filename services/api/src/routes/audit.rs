//! `/api/v1/audit/tokens`: what tokens did: one's own; for auditors, everybody's.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use domain::ids::UserId;
use domain::token::notice::NoticeEvent;
use futures::stream::try_unfold;
use projections::token_activity::{self, Activity, Filter, Page};
use serde::{Deserialize, Serialize};
use store::{Position, ReadModel, StoreError};

use super::download::File;
use super::positioned::MinPosition;
use crate::activity::{ActivityRow, Asked, Csv, Unfit};
use crate::app::App;
use crate::commands::{Note, find_user};
use crate::extract::{Caller, Parameters};
use crate::problem::{FieldError, Problem};

/// All as text, so that a fault can name its parameter.
#[derive(Deserialize)]
pub(super) struct TokensParameters {
    user: Option<String>,
    kind: Option<String>,
    outcome: Option<String>,
    address: Option<String>,
    since: Option<String>,
    until: Option<String>,
    limit: Option<String>,
    before: Option<String>,
    format: Option<String>,
}

#[derive(Serialize)]
struct TokensAnswer {
    items: Vec<ActivityRow>,
    /// Goes into `before`, for the page of older rows; null where there are none.
    next: Option<String>,
}

/// What was asked for, parsed.
struct Wanted {
    user: Option<String>,
    filter: Filter,
    before: Option<Position>,
    limit: Option<u32>,
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Page,
    Export(Form),
}

/// How an export is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Ndjson,
    Csv,
}

const DEFAULT_PAGE: u32 = 50;
const LARGEST_PAGE: u32 = 1_000;

pub(super) async fn tokens(
    State(app): State<App>,
    caller: Caller,
    least: MinPosition,
    headers: HeaderMap,
    Parameters(parameters): Parameters<TokensParameters>,
) -> Result<Response, Problem> {
    let mut wanted = parameters.parse(&headers, &app)?;
    wanted.filter.user = whose(&app, &caller, wanted.user.as_deref()).await?;
    wanted.filter.reader = Reader::of(&caller).user();
    let lag = least.await_in(&app, &app.read_models.token_activity, caller.user).await?;
    let mut response = match wanted.format {
        Format::Page => page(&app, &caller, &wanted).await?.into_response(),
        Format::Export(form) => export(&app, &caller, wanted, form).await?,
    };
    lag.mark(&mut response);
    Ok(response)
}

impl TokensParameters {
    fn parse(self, headers: &HeaderMap, app: &App) -> Result<Wanted, Problem> {
        let Self { user, kind, outcome, address, since, until, limit, before, format } = self;
        let mut errors = Vec::new();
        let mut invalid = |field, message: &str| errors.push(FieldError { field, message: message.to_owned() });
        let limit = limit.map(|text| text.parse().ok().filter(|limit| (1..=LARGEST_PAGE).contains(limit)));
        if limit == Some(None) {
            invalid("limit", "must be from 1 to 1000");
        }
        let before = before.map(|text| text.parse().ok().filter(|before| *before >= 0).map(Position::new));
        if before == Some(None) {
            invalid("before", "must be what an answer gave as next");
        }
        let format = format.as_deref().map_or_else(|| Some(Format::accepted(headers)), Format::named);
        if format.is_none() {
            invalid("format", "must be one of: json, ndjson, csv");
        }
        let asked = Asked { kind, outcome, address, since, until };
        let filter =
            asked.filter(app.clock().now()).map_err(|unfit| errors.extend(unfit.into_iter().map(FieldError::from)));
        match (filter, format, errors.is_empty()) {
            (Ok(filter), Some(format), true) => {
                Ok(Wanted { user, filter, before: before.flatten(), limit: limit.flatten(), format })
            }
            _ => Err(Problem::Invalid(errors)),
        }
    }
}

impl From<Unfit> for FieldError {
    fn from(Unfit { field, message }: Unfit) -> Self {
        Self { field, message }
    }
}

impl Format {
    fn named(name: &str) -> Option<Self> {
        match name {
            "json" => Some(Self::Page),
            "ndjson" => Some(Self::Export(Form::Ndjson)),
            "csv" => Some(Self::Export(Form::Csv)),
            _ => None,
        }
    }

    /// The first that is known among those that the client takes.
    fn accepted(headers: &HeaderMap) -> Self {
        let lines = headers.get_all(header::ACCEPT).iter().filter_map(|line| line.to_str().ok());
        let kinds = lines.flat_map(|line| line.split(',')).filter_map(|kind| kind.split(';').next());
        let known = kinds.filter_map(|kind| match kind.trim() {
            "application/json" => Some(Self::Page),
            "application/x-ndjson" => Some(Self::Export(Form::Ndjson)),
            "text/csv" => Some(Self::Export(Form::Csv)),
            _ => None,
        });
        known.take(1).last().unwrap_or(Self::Page)
    }
}

/// Whose rows it is about; `None` for everybody's. Who is no auditor learns nothing of whom there is.
async fn whose(app: &App, caller: &Caller, user: Option<&str>) -> Result<Option<UserId>, Problem> {
    let Some(user) = user else { return Ok((!caller.is_auditor()).then_some(caller.user)) };
    match find_user(&app.executor, user).await? {
        Some(user) if user == caller.user || caller.is_auditor() => Ok(Some(user)),
        None if caller.is_auditor() => Err(Problem::NoSuchUser),
        Some(_) | None => Err(Problem::Forbidden),
    }
}

/// Notes that somebody read what is not their own, before they are told.
async fn note(app: &App, caller: &Caller, of: Option<UserId>, export: bool) -> Result<(), Problem> {
    if of == Some(caller.user) {
        return Ok(());
    }
    let note = Note(NoticeEvent::AuditRead { by: caller.user, of, export });
    let done = app.executor.execute(&note, caller.metadata.clone()).await?;
    app.own_writes.note(caller.user, done.position);
    Ok(())
}

async fn page(app: &App, caller: &Caller, wanted: &Wanted) -> Result<Json<TokensAnswer>, Problem> {
    let db = app.read_models.token_activity.db();
    let limit = wanted.limit.unwrap_or(DEFAULT_PAGE);
    let Page { rows, more } = token_activity::newest(db, &wanted.filter, wanted.before, limit).await?;
    note(app, caller, wanted.filter.user, false).await?;
    let next = rows.last().map(|row| row.position.to_string()).filter(|_| more);
    Ok(Json(TokensAnswer { items: rows.into_iter().map(|row| Reader::of(caller).row(row)).collect(), next }))
}

async fn export(app: &App, caller: &Caller, wanted: Wanted, form: Form) -> Result<Response, Problem> {
    let model = app.read_models.token_activity.clone();
    // What comes after this is not waited for: an export has an end.
    let head = model.position().await?;
    let upto = wanted.before.map_or(head, |before| head.min(Position::new(before.get().saturating_sub(1))));
    let left = wanted.limit;
    let walk =
        Walk { model, filter: wanted.filter, form, reader: Reader::of(caller), after: Position::START, upto, left };
    note(app, caller, walk.filter.user, true).await?;
    let pages = try_unfold(Some(walk), |walk| async move {
        let Some(walk) = walk else { return Ok(None) };
        walk.next().await.map(Some)
    });
    Ok(form.file().of(pages).await?)
}

/// For whom rows are written.
#[derive(Debug, Clone, Copy)]
enum Reader {
    Auditor,
    User(UserId),
}

impl Reader {
    fn of(caller: &Caller) -> Self {
        if caller.is_auditor() { Self::Auditor } else { Self::User(caller.user) }
    }

    /// Who may not learn from where others acted.
    const fn user(self) -> Option<UserId> {
        match self {
            Self::Auditor => None,
            Self::User(user) => Some(user),
        }
    }

    fn row(self, row: Activity) -> ActivityRow {
        match self {
            Self::Auditor => row.into(),
            Self::User(user) => ActivityRow::for_user(row, user),
        }
    }
}

/// An export, page after page, oldest first.
struct Walk {
    model: ReadModel,
    filter: Filter,
    form: Form,
    reader: Reader,
    after: Position,
    upto: Position,
    /// How many rows may still come, where that was said.
    left: Option<u32>,
}

/// How many rows of an export are in memory at once.
const STRIDE: u32 = 1_000;

impl Walk {
    /// The next lines, and what comes after them.
    async fn next(mut self) -> Result<(String, Option<Self>), StoreError> {
        let limit = self.left.unwrap_or(STRIDE).min(STRIDE);
        let page = token_activity::oldest(self.model.db(), &self.filter, self.after, self.upto, limit).await?;
        let is_first = self.after == Position::START;
        self.after = page.rows.last().map_or(self.after, |row| row.position);
        self.left = self.left.map(|left| left.saturating_sub(limit));
        let lines = self.form.lines(page.rows.into_iter().map(|row| self.reader.row(row)), is_first);
        let lines = lines.map_err(|_| StoreError::Corrupt("an audit row can't be written".into()))?;
        Ok((lines, Some(self).filter(|walk| page.more && walk.left != Some(0))))
    }
}

impl Form {
    const fn file(self) -> File {
        let (content_type, disposition) = match self {
            Self::Ndjson => ("application/x-ndjson", "attachment; filename=\"token-activity.ndjson\""),
            Self::Csv => ("text/csv; charset=utf-8; header=present", "attachment; filename=\"token-activity.csv\""),
        };
        File { content_type, disposition }
    }

    fn lines(self, mut rows: impl Iterator<Item = ActivityRow>, is_first: bool) -> serde_json::Result<String> {
        match self {
            Self::Ndjson => rows.try_fold(String::new(), |lines, row| Ok(lines + &serde_json::to_string(&row)? + "\n")),
            Self::Csv => {
                let mut csv = if is_first { Csv::header() } else { Csv::default() };
                rows.for_each(|row| csv.row(row));
                Ok(csv.into_text())
            }
        }
    }
}
