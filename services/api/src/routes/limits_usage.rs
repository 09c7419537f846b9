//! `/api/v1/usage/limits`: how many answers one asked for, and how many were refused by a limit, by the minute; for
//! administrators, anybody's, and the service's.

use axum::extract::State;
use domain::Timestamp;
use projections::rate_limit::{self, Minute, Subject, minute_of};
use serde::{Deserialize, Serialize};

use super::positioned::{MinPosition, Seen};
use super::usage::{note, whose};
use crate::app::App;
use crate::caller::Caller;
use crate::extract::Parameters;
use crate::problem::{FieldError, Problem};
use crate::time::{Time, moment};

const USUAL_SECONDS: i64 = 60 * 60;
const MOST_SECONDS: i64 = 7 * 24 * 60 * 60;
/// All that the longest time can touch: it may begin and end within a minute.
const MOST_MINUTES: u32 = 7 * 24 * 60 + 1;

/// All as text, so that a fault can name its parameter.
#[derive(Default, Deserialize)]
pub(super) struct LimitsParameters {
    since: Option<String>,
    until: Option<String>,
    user: Option<String>,
    scope: Option<String>,
}

#[derive(Serialize)]
pub(super) struct LimitsAnswer {
    since: Time,
    until: Time,
    items: Vec<Item>,
    total: Counts,
}

#[derive(Serialize)]
struct Item {
    minute: Time,
    #[serde(flatten)]
    counts: Counts,
}

#[derive(Debug, Clone, Copy, Default, Serialize)]
struct Counts {
    admitted: i64,
    refused: i64,
}

/// What was asked for, parsed.
#[derive(Debug, PartialEq, Eq)]
struct Wanted {
    among: Among,
    of: Of,
}

/// From a moment on, up to another one. A minute that is touched counts as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Among {
    since: Timestamp,
    until: Timestamp,
    /// Since 1970, inclusive.
    last: i64,
}

#[derive(Debug, PartialEq, Eq)]
enum Of {
    Service,
    /// As they are named; `None` is who asks.
    User(Option<String>),
}

pub(super) async fn show(
    State(app): State<App>,
    caller: Caller,
    least: MinPosition,
    Parameters(parameters): Parameters<LimitsParameters>,
) -> Result<Seen<LimitsAnswer>, Problem> {
    let Wanted { among, of } = parameters.parse(app.clock().now())?;
    let subject = of.subject(&app, &caller).await?;
    let model = &app.read_models.rate_limit;
    let lag = least.await_in(&app, model, caller.user).await?;
    let first = minute_of(among.since);
    let minutes = rate_limit::minutes(model.db(), subject, first, among.last, MOST_MINUTES).await?;
    if let Subject::User(user) = subject {
        note(&app, &caller, user).await?;
    }
    Ok(Seen(lag, LimitsAnswer::of(among, &minutes)))
}

impl LimitsParameters {
    fn parse(self, now: Timestamp) -> Result<Wanted, Problem> {
        let Self { since, until, user, scope } = self;
        let mut errors = Vec::new();
        let mut invalid = |field, message: &str| errors.push(FieldError { field, message: message.to_owned() });
        let [since, until] = [("since", since), ("until", until)].map(|(field, text)| {
            let parsed = text.map(|text| moment(&text, now));
            if parsed == Some(None) {
                invalid(field, "must be a moment like 2026-01-31T12:00:00Z, 24h or 7d");
            }
            parsed.flatten()
        });
        let of = match (scope.as_deref(), user) {
            (None, user) => Of::User(user),
            (Some("service"), None) => Of::Service,
            (Some("service"), Some(_)) => {
                invalid("scope", "can't be asked for together with user");
                Of::Service
            }
            (Some(_), _) => {
                invalid("scope", "must be: service");
                Of::Service
            }
        };
        if errors.is_empty() {
            Ok(Wanted { among: Among::of(since, until, now)?, of })
        } else {
            Err(Problem::Invalid(errors))
        }
    }
}

impl Among {
    fn of(since: Option<Timestamp>, until: Option<Timestamp>, now: Timestamp) -> Result<Self, Problem> {
        // What happens at this very moment is in, as long as nothing else is said.
        let last = until.map_or(now, |until| Timestamp::from_micros(until.as_micros().saturating_sub(1)));
        let until = until.unwrap_or(now);
        let since = since.unwrap_or(until.plus_seconds(-USUAL_SECONDS));
        if since > until {
            return Err(Problem::invalid("since", "must not be after until"));
        }
        if since < until.plus_seconds(-MOST_SECONDS) {
            return Err(Problem::invalid("since", "must be at most 7 days before until"));
        }
        Ok(Self { since, until, last: minute_of(last) })
    }
}

impl Of {
    async fn subject(&self, app: &App, caller: &Caller) -> Result<Subject, Problem> {
        match self {
            Self::User(user) => whose(app, caller, user.as_deref()).await.map(Subject::User),
            Self::Service if caller.administers(app).await? => Ok(Subject::Service),
            Self::Service => Err(Problem::Forbidden),
        }
    }
}

impl LimitsAnswer {
    fn of(among: Among, minutes: &[Minute]) -> Self {
        let total = minutes.iter().fold(Counts::default(), |total, minute| Counts {
            admitted: total.admitted.saturating_add(minute.admitted),
            refused: total.refused.saturating_add(minute.refused),
        });
        let items = minutes.iter().map(Item::from).collect();
        Self { since: Time(among.since), until: Time(among.until), items, total }
    }
}

impl From<&Minute> for Item {
    fn from(row: &Minute) -> Self {
        let minute = Timestamp::from_micros(0).plus_seconds(row.minute.saturating_mul(60));
        Self { minute: Time(minute), counts: Counts { admitted: row.admitted, refused: row.refused } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // 2026-01-01T00:00:00Z
    const NOW: Timestamp = Timestamp::from_micros(1_767_225_600_000_000);

    fn asked(since: Option<&str>, until: Option<&str>) -> LimitsParameters {
        let text = |text: Option<&str>| text.map(str::to_owned);
        LimitsParameters { since: text(since), until: text(until), ..LimitsParameters::default() }
    }

    fn faults(parameters: LimitsParameters) -> Vec<&'static str> {
        match parameters.parse(NOW) {
            Err(Problem::Invalid(errors)) => errors.into_iter().map(|error| error.field).collect(),
            Ok(_) | Err(_) => Vec::new(),
        }
    }

    #[test]
    fn what_is_not_said_is_the_last_hour_with_the_minute_that_goes_on() {
        let minute = minute_of(NOW);
        for (since, until, from, to, last) in [
            (None, None, -3_600, 0, minute),
            (Some("90s"), None, -90, 0, minute),
            (Some("0s"), None, 0, 0, minute),
            (Some("7d"), None, -604_800, 0, minute),
            // An end is not in, and a part of a minute is the minute.
            (None, Some("2026-01-01T00:00:00Z"), -3_600, 0, minute - 1),
            (None, Some("2026-01-01T00:00:01Z"), -3_599, 1, minute),
            (Some("2026-01-01T01:00:00+01:00"), Some("2026-01-01T00:02:00Z"), 0, 120, minute + 1),
            (Some("2w"), Some("1w"), -1_209_600, -604_800, minute - 10_081),
        ] {
            let among = Among { since: NOW.plus_seconds(from), until: NOW.plus_seconds(to), last };
            let wanted = asked(since, until).parse(NOW);
            assert_eq!(wanted.ok(), Some(Wanted { among, of: Of::User(None) }), "{since:?} {until:?}");
        }
    }

    #[test]
    fn what_is_no_moment_or_too_long_is_refused() {
        for bad in ["", "today", "2026-01-01", "2026-02-30T00:00:00Z", "-1h"] {
            assert_eq!(faults(asked(Some(bad), None)), ["since"], "{bad:?}");
            assert_eq!(faults(asked(None, Some(bad))), ["until"], "{bad:?}");
            assert_eq!(faults(asked(Some(bad), Some(bad))), ["since", "until"], "{bad:?}");
        }
        for (since, until) in
            [("604801s", None), ("1h", Some("2h")), ("8d", Some("12h")), ("2026-01-01T00:00:01Z", None)]
        {
            assert_eq!(faults(asked(Some(since), until)), ["since"], "{since}");
        }
        let far = asked(Some("-009999-01-02T01:59:59Z"), Some("9999-12-30T22:00:00Z"));
        assert_eq!(faults(far), ["since"]);
    }

    #[test]
    fn the_service_is_nobody_else() {
        let of = |scope: Option<&str>, user: Option<&str>| LimitsParameters {
            scope: scope.map(str::to_owned),
            user: user.map(str::to_owned),
            ..LimitsParameters::default()
        };
        assert_eq!(of(Some("service"), None).parse(NOW).ok().map(|wanted| wanted.of), Some(Of::Service));
        let ann = Of::User(Some("ann".to_owned()));
        assert_eq!(of(None, Some("ann")).parse(NOW).ok().map(|wanted| wanted.of), Some(ann));
        for (scope, user) in [("service", Some("ann")), ("", None), ("user", None), ("Service", Some("ann"))] {
            assert_eq!(faults(of(Some(scope), user)), ["scope"], "{scope:?} {user:?}");
        }
    }
}
