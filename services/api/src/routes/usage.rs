//! `/api/v1/usage`: what one's replies cost, by day and model; for administrators, anybody's.

use axum::extract::State;
use domain::Timestamp;
use domain::ids::UserId;
use domain::token::notice::NoticeEvent;
use jiff::Span;
use jiff::civil::Date;
use projections::usage::{self, Days, ModelDay};
use serde::ser::Error;
use serde::{Deserialize, Serialize, Serializer};

use super::positioned::{MinPosition, Seen};
use crate::app::App;
use crate::caller::Caller;
use crate::commands::{Note, find_user};
use crate::extract::Parameters;
use crate::limits::{Asker, BudgetShown};
use crate::money::Dollars;
use crate::problem::{FieldError, Problem};

const SECONDS_OF_DAY: i64 = 86_400;
const USUAL_DAYS: i64 = 30;
const MOST_DAYS: i64 = 366;
/// More than a day at the usual limits can have, each reply by a model of its own.
const MOST_ROWS: u32 = 20_000;

/// All as text, so that a fault can name its parameter.
#[derive(Deserialize)]
pub(super) struct UsageParameters {
    user: Option<String>,
    since: Option<String>,
    until: Option<String>,
}

#[derive(Serialize)]
pub(super) struct UsageAnswer {
    since: Day,
    until: Day,
    items: Vec<Item>,
    total: Sums,
    budgets: Vec<BudgetShown>,
}

#[derive(Serialize)]
struct Item {
    day: Day,
    model: String,
    #[serde(flatten)]
    sums: Sums,
}

#[derive(Serialize)]
struct Sums {
    replies: i64,
    completed: i64,
    stopped: i64,
    interrupted: i64,
    prompt_tokens: i64,
    completion_tokens: i64,
    total_tokens: i64,
    estimated_replies: i64,
    cost_usd: Option<Dollars>,
}

pub(super) async fn show(
    State(app): State<App>,
    caller: Caller,
    least: MinPosition,
    Parameters(parameters): Parameters<UsageParameters>,
) -> Result<Seen<UsageAnswer>, Problem> {
    let among = parameters.days(app.clock().now())?;
    let user = whose(&app, &caller, parameters.user.as_deref()).await?;
    let model = &app.read_models.usage;
    let lag = least.await_in(&app, model, caller.user).await?;
    let rows = usage::days(model.db(), user, among, MOST_ROWS + 1).await?;
    if u32::try_from(rows.len()).is_ok_and(|rows| rows > MOST_ROWS) {
        return Err(Problem::invalid("since", "there is too much for one answer: ask for fewer days"));
    }
    // A key's are shown to who shows it.
    let key = caller.metadata.key.filter(|_| user == caller.user);
    let budgets = app.limits.balances(Asker { user, key }).await?;
    note(&app, &caller, user).await?;
    Ok(Seen(lag, UsageAnswer::of(among, rows, budgets)))
}

impl UsageParameters {
    fn days(&self, now: Timestamp) -> Result<Days, Problem> {
        let day = |field, text: &Option<String>| {
            let parsed = text.as_deref().map(|text| Day::parse(text).ok_or_else(|| no_day(field)));
            parsed.transpose().map(|day| day.map(|Day(day)| day))
        };
        let today = now.as_seconds().div_euclid(SECONDS_OF_DAY);
        let (since, until) = match (day("since", &self.since), day("until", &self.until)) {
            (Ok(since), Ok(until)) => (since, until.unwrap_or(today)),
            (since, until) => return Err(Problem::Invalid(since.err().into_iter().chain(until.err()).collect())),
        };
        let since = since.unwrap_or(until - (USUAL_DAYS - 1));
        if since > until {
            return Err(Problem::invalid("since", "must not be after until"));
        }
        if until - since >= MOST_DAYS {
            return Err(Problem::invalid("since", "must be at most 365 days before until"));
        }
        Ok(Days { first: since, last: until })
    }
}

fn no_day(field: &'static str) -> FieldError {
    FieldError { field, message: "must be a day like 2026-01-31".to_owned() }
}

/// Who is no administrator learns nothing of whom there is.
pub(super) async fn whose(app: &App, caller: &Caller, user: Option<&str>) -> Result<UserId, Problem> {
    let Some(user) = user else { return Ok(caller.user) };
    match find_user(&app.executor, user).await? {
        Some(user) if user == caller.user => Ok(user),
        found if caller.administers(app).await? => found.ok_or(Problem::NoSuchUser),
        Some(_) | None => Err(Problem::Forbidden),
    }
}

/// Notes that somebody read what is not their own, before they are told.
pub(super) async fn note(app: &App, caller: &Caller, of: UserId) -> Result<(), Problem> {
    if of == caller.user {
        return Ok(());
    }
    let note = Note(NoticeEvent::AuditRead { by: caller.user, of: Some(of), export: false });
    let done = app.executor.execute(&note, caller.metadata.clone()).await?;
    app.own_writes.note(caller.user, done.position);
    Ok(())
}

impl UsageAnswer {
    fn of(among: Days, rows: Vec<ModelDay>, budgets: Vec<BudgetShown>) -> Self {
        let mut total = usage::Sums::default();
        for row in &rows {
            total.add(row.sums);
        }
        let items = rows.into_iter().map(Item::from).collect();
        Self { since: Day(among.first), until: Day(among.last), items, total: total.into(), budgets }
    }
}

impl From<ModelDay> for Item {
    fn from(row: ModelDay) -> Self {
        Self { day: Day(row.day), model: row.model, sums: row.sums.into() }
    }
}

impl From<usage::Sums> for Sums {
    fn from(sums: usage::Sums) -> Self {
        Self {
            replies: sums.replies,
            completed: sums.completed,
            stopped: sums.stopped,
            interrupted: sums.interrupted,
            prompt_tokens: sums.prompt_tokens,
            completion_tokens: sums.completion_tokens,
            total_tokens: sums.prompt_tokens.saturating_add(sums.completion_tokens),
            estimated_replies: sums.estimated,
            cost_usd: sums.cost_micros.map(Dollars),
        }
    }
}

const FIRST_DAY: Date = Date::constant(1970, 1, 1);

/// A day of the calendar in UTC, as how many days it is since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Day(i64);

impl Day {
    fn parse(text: &str) -> Option<Self> {
        let date: Date = text.parse().ok()?;
        // jiff takes other ways of writing a day as well.
        let since = FIRST_DAY.until(date).ok().filter(|_| date.to_string() == text)?;
        Some(Self(since.get_days().into()))
    }
}

impl Serialize for Day {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let date = Span::new().try_days(self.0).and_then(|days| FIRST_DAY.checked_add(days));
        serializer.collect_str(&date.map_err(Error::custom)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // 2026-01-01T00:00:00Z
    const NOW: Timestamp = Timestamp::from_micros(1_767_225_600_000_000);

    fn asked(since: Option<&str>, until: Option<&str>) -> Result<(String, String), Vec<&'static str>> {
        let text = |text: Option<&str>| text.map(str::to_owned);
        let parameters = UsageParameters { user: None, since: text(since), until: text(until) };
        let shown = |day| serde_json::to_string(&Day(day)).unwrap_or_default().replace('"', "");
        match parameters.days(NOW) {
            Ok(Days { first, last }) => Ok((shown(first), shown(last))),
            Err(Problem::Invalid(errors)) => Err(errors.into_iter().map(|error| error.field).collect()),
            Err(_) => Err(Vec::new()),
        }
    }

    #[test]
    fn what_is_not_said_is_the_last_thirty_days() {
        for (since, until, expected) in [
            (None, None, ("2025-12-03", "2026-01-01")),
            (None, Some("2024-03-01"), ("2024-02-01", "2024-03-01")),
            (Some("2025-12-31"), None, ("2025-12-31", "2026-01-01")),
            (Some("2026-01-01"), Some("2026-01-01"), ("2026-01-01", "2026-01-01")),
            (Some("1969-12-31"), Some("1970-01-01"), ("1969-12-31", "1970-01-01")),
            (Some("2024-01-01"), Some("2024-12-31"), ("2024-01-01", "2024-12-31")),
            (Some("0000-01-01"), Some("0000-01-01"), ("0000-01-01", "0000-01-01")),
            (Some("9999-12-31"), Some("9999-12-31"), ("9999-12-31", "9999-12-31")),
        ] {
            assert_eq!(asked(since, until), Ok((expected.0.to_owned(), expected.1.to_owned())));
        }
    }

    #[test]
    fn what_is_no_day_or_too_long_is_refused() {
        for bad in ["", "today", "2026-02-30", "2026-1-1", "20260101", "2026-01-01T00:00:00Z", " 2026-01-01", "24h"] {
            assert_eq!(asked(Some(bad), None), Err(vec!["since"]), "{bad:?}");
            assert_eq!(asked(None, Some(bad)), Err(vec!["until"]), "{bad:?}");
            assert_eq!(asked(Some(bad), Some(bad)), Err(vec!["since", "until"]), "{bad:?}");
        }
        for (since, until) in [("2026-01-02", None), ("2025-01-02", Some("2025-01-01")), ("2024-12-31", None)] {
            assert_eq!(asked(Some(since), until), Err(vec!["since"]), "{since}");
        }
    }
}
