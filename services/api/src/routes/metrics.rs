//! `GET /metrics`: what this process counts, and how the log, the read models and the bus stand, for Prometheus.

use std::net::SocketAddr;
use std::time::Duration;

use axum::extract::{ConnectInfo, State};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use domain::Timestamp;
use futures::future::join_all;
use projector::State as Projecting;
use store::{Position, ReadModel, StoreError};
use tokio::time::{Instant, timeout_at};

use crate::app::App;
use crate::metrics::process::{self, Process};
use crate::metrics::{Page, families};
use crate::origins::is_foreign;
use crate::problem::Problem;

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
const BASIC: HeaderValue = HeaderValue::from_static("Basic realm=\"metrics\", charset=\"UTF-8\"");
/// What a proxy adds, one or the other.
const FORWARDED: [HeaderName; 4] = [
    HeaderName::from_static("forwarded"),
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-real-ip"),
    HeaderName::from_static("via"),
];
/// How long a database, or NATS, is waited for; what has not answered by then is left out.
const PATIENCE: Duration = Duration::from_secs(1);

pub(super) async fn show(State(app): State<App>, parts: Parts) -> Response {
    let may_read = match &app.metrics.login {
        Some(login) => login.is_shown_in(&parts.headers),
        None => is_from_here(&app, &parts),
    };
    if !may_read {
        let mut refusal = Problem::NotAuthenticated.into_response();
        refusal.headers_mut().insert(header::WWW_AUTHENTICATE, BASIC);
        return refusal;
    }
    let (standing, process) = tokio::join!(Standing::of(&app), process::read());
    let mut page = Page::default();
    standing.write(&mut page);
    write_node(&app, &mut page);
    write_process(&app, &process, &mut page);
    ([(header::CONTENT_TYPE, TEXT)], page.then(&app.metrics.counted())).into_response()
}

/// Whether it was sent on this machine, and by no page of another site that a browser here shows. What came through a proxy
/// was not, unless one that is trusted says so.
fn is_from_here(app: &App, parts: &Parts) -> bool {
    if parts.headers.contains_key(header::ORIGIN) && is_foreign(&parts.headers) {
        return false;
    }
    let Some(ConnectInfo(peer)) = parts.extensions.get::<ConnectInfo<SocketAddr>>() else { return false };
    let forwarded_for = parts.headers.get_all("x-forwarded-for").iter().map(HeaderValue::as_bytes);
    if let Some(client) = app.trusted_proxies.told(peer.ip(), forwarded_for) {
        return client.is_loopback();
    }
    let came_through = FORWARDED.iter().any(|name| parts.headers.contains_key(name));
    !came_through && peer.ip().to_canonical().is_loopback()
}

/// How the log stands, and what follows it. What does not answer in time is not known.
struct Standing {
    head: Option<Position>,
    is_open: bool,
    relayed: Option<Position>,
    projections: Vec<Projection>,
}

struct Projection {
    name: &'static str,
    /// Up to where it has the log.
    reached: Option<Position>,
    /// How long the first event after that has waited, if there is one.
    waits: Option<Duration>,
    /// Where this process projects.
    state: Option<Projecting>,
}

impl Standing {
    async fn of(app: &App) -> Self {
        let deadline = Instant::now() + PATIENCE;
        let relayed = async { timeout_at(deadline, app.bus.reached()).await.ok().flatten() };
        let projections = join_all(app.read_models.all().map(|model| Projection::of(app, model, deadline)));
        let (head, relayed, projections) = tokio::join!(by(deadline, app.log.head()), relayed, projections);
        Self { head, is_open: !app.log.has_ended(), relayed, projections }
    }

    fn write(&self, page: &mut Page) {
        page.one(&families::LOG_UP, Some(u8::from(self.is_open && self.head.is_some())));
        page.one(&families::LOG_HEAD, self.head);
        page.one(&families::RELAY_POSITION, self.relayed);
        page.one(&families::RELAY_LAG, self.relayed.and_then(|at| self.behind(at)));
        let each = |of: fn(&Self, &Projection) -> Option<String>| -> Vec<_> {
            self.projections.iter().map(|it| (it.name, of(self, it))).collect()
        };
        let position = each(|_, it| Some(it.reached?.to_string()));
        let lag_events = each(|all, it| Some(all.behind(it.reached?)?.to_string()));
        let lag_seconds = each(|_, it| Some(it.waits?.as_secs_f64().to_string()));
        let stuck = each(|_, it| Some(u8::from(matches!(it.state.as_ref()?, Projecting::Stuck { .. })).to_string()));
        page.each(&families::PROJECTION_POSITION, "projection", &position);
        page.each(&families::PROJECTION_LAG_EVENTS, "projection", &lag_events);
        page.each(&families::PROJECTION_LAG_SECONDS, "projection", &lag_seconds);
        page.each(&families::PROJECTION_STUCK, "projection", &stuck);
    }

    fn behind(&self, position: Position) -> Option<i64> {
        Some((self.head?.get() - position.get()).max(0))
    }
}

impl Projection {
    async fn of(app: &App, model: &ReadModel, deadline: Instant) -> Self {
        let (name, reached) = (model.name(), by(deadline, model.position()).await);
        let next = match reached {
            Some(position) => by(deadline, app.log.read(position, 1)).await,
            None => None,
        };
        let now = app.clock().now();
        let waits = next.map(|next| next.first().map_or(Duration::ZERO, |event| since(event.recorded_at, now)));
        let state = app.projections.iter().find(|(of, _)| *of == name).map(|(_, state)| state.borrow().clone());
        Self { name, reached, waits, state }
    }
}

fn since(then: Timestamp, now: Timestamp) -> Duration {
    Duration::from_micros(now.as_micros().saturating_sub(then.as_micros()).try_into().unwrap_or(0))
}

fn write_node(app: &App, page: &mut Page) {
    let (open, idle) = app.log.db().connections();
    let busy = (open as usize).saturating_sub(idle);
    page.one(&families::BUS_UP, Some(u8::from(app.bus.is_connected())));
    page.one(&families::LIMITS_LOCAL, Some(u8::from(app.limits.are_local())));
    page.one(&families::PASSWORDS_WAITING, Some(app.passwords.waiting()));
    page.each(&families::SQL_CONNECTIONS, "state", &[("busy", Some(busy)), ("idle", Some(idle))]);
}

fn write_process(app: &App, process: &Process, page: &mut Page) {
    page.one(&families::CPU, process.cpu_seconds);
    page.one(&families::MEMORY, process.resident_bytes);
    page.one(&families::FILES, process.open_files);
    page.one(&families::THREADS, process.threads);
    page.one(&families::STARTED, Some(app.metrics.started.as_seconds()));
}

async fn by<T>(deadline: Instant, answer: impl Future<Output = Result<T, StoreError>>) -> Option<T> {
    timeout_at(deadline, answer).await.ok()?.ok()
}
