//! `colloquy serve`: the services of this process, from start to a clean end.

use std::time::Duration;

use api::{AccessTokens, App, OwnWrites, Parts, Passwords, Surface};
use nats::Bus;
use projections::History;
use projector::Worker;
use store::{Clock, Executor, Log, ReadModel};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::Config;
use crate::settings::Settings;
use crate::wiring::{self, Failure};

/// How long requests that have begun may take after the call to stop.
const GRACE: Duration = Duration::from_secs(30);
/// How long the writer and the pools may take to end after that.
const DRAIN: Duration = Duration::from_secs(10);
const LISTEN_AGAIN: Duration = Duration::from_secs(1);

pub async fn serve(settings: &Settings) -> Result<(), Failure> {
    let config = Config::of(settings)?;
    let db = wiring::open_database(&config.storage).await?;
    let log = Log::open(db);
    let history = wiring::open_history(&log).await?;
    history.check_tables().await?;
    history.clean().await?;
    let bus = match &config.nats {
        Some(url) => Bus::connect(url, config.storage.start_timeout).await?,
        None => Bus::in_process(),
    };
    let (stop, fatal, tasks) = (CancellationToken::new(), CancellationToken::new(), TaskTracker::new());
    Services { log, bus, history, stop, fatal, tasks }.run(&config).await
}

struct Services {
    log: Log,
    bus: Bus,
    history: ReadModel,
    stop: CancellationToken,
    fatal: CancellationToken,
    tasks: TaskTracker,
}

/// Says so when a service ends that was not told to.
struct Ended {
    name: &'static str,
    stop: CancellationToken,
    fatal: CancellationToken,
}

impl Drop for Ended {
    fn drop(&mut self) {
        if !self.stop.is_cancelled() {
            tracing::error!(service = self.name, "ended by itself");
            self.fatal.cancel();
        }
    }
}

impl Services {
    async fn run(self, config: &Config) -> Result<(), Failure> {
        let listener = TcpListener::bind(config.listen)
            .await
            .map_err(|error| format!("COLLOQUY_LISTEN: {} can't be listened on: {error}", config.listen))?;
        let address = listener.local_addr()?;
        let worker = config.roles.project.then(|| self.project());
        self.carry(config);
        // The API stops first; what it has appended is still relayed and projected while it drains.
        let stop_api = self.stop.child_token();
        let surface = if config.roles.api { Surface::All } else { Surface::Probes };
        let api = tokio::spawn(api::run(self.app(config, worker), surface, listener, stop_api.clone()));
        tracing::info!("listening on http://{address}");
        let reason = self.reason_to_stop().await;
        tracing::info!("stopping");
        stop_api.cancel();
        if tokio::time::timeout(GRACE, api).await.is_err() {
            tracing::warn!("some requests did not end in time");
        }
        if tokio::time::timeout(DRAIN, self.drain()).await.is_err() {
            tracing::warn!("the database did not let go in time");
        }
        reason
    }

    /// Being asked to, or a service that has ended by itself.
    async fn reason_to_stop(&self) -> Result<(), Failure> {
        tokio::select! {
            asked = asked_to_stop() => Ok(asked?),
            () = self.fatal.cancelled() => Err("a service has ended by itself".into()),
            () = self.log.ended() => Err("the log's writer has ended by itself".into()),
        }
    }

    async fn drain(&self) {
        self.log.close().await;
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        self.history.close().await;
        self.log.db().close().await;
    }

    fn project(&self) -> tokio::sync::watch::Receiver<projector::State> {
        let worker = Worker::new(self.log.clone(), self.bus.clone(), self.history.clone());
        let state = worker.state();
        let stop = self.stop.clone();
        self.spawn("projector", async move { worker.run::<History>(stop).await });
        state
    }

    /// Starts a service; should it end before it is told to, by a panic even, so does the process.
    fn spawn(&self, name: &'static str, service: impl Future<Output = ()> + Send + 'static) {
        let ended = Ended { name, stop: self.stop.clone(), fatal: self.fatal.clone() };
        self.tasks.spawn(async move {
            let _ended = ended;
            service.await;
        });
    }

    /// Moves events: out of the log, and over the bus into this process.
    fn carry(&self, config: &Config) {
        let (bus, stop) = (self.bus.clone(), self.stop.clone());
        self.spawn("bus", async move { bus.run(stop).await });
        if config.roles.relay {
            self.spawn("relay", relay::run(self.log.clone(), self.bus.clone(), self.stop.clone()));
        }
        if config.roles.relay || config.roles.project {
            let (log, stop) = (self.log.clone(), self.stop.clone());
            self.spawn("listener", async move {
                stop.run_until_cancelled(listen(log)).await;
            });
        }
    }

    fn app(&self, config: &Config, worker: Option<tokio::sync::watch::Receiver<projector::State>>) -> App {
        App::new(Parts {
            executor: Executor::new(self.log.clone(), Clock::System),
            log: self.log.clone(),
            bus: self.bus.clone(),
            history: self.history.clone(),
            projections: worker.map(|state| (self.history.name(), state)).into_iter().collect(),
            access_tokens: AccessTokens::new(&config.secret, config.access_token_seconds),
            passwords: Passwords::default(),
            own_writes: OwnWrites::default(),
        })
    }
}

/// Hears of other processes' appends; the poll of every reader covers the times when it does not.
async fn listen(log: Log) {
    loop {
        if let Err(error) = log.listen().await {
            tracing::debug!(%error, "not notified of the log's growth for a while");
        }
        tokio::time::sleep(LISTEN_AGAIN).await;
    }
}

async fn asked_to_stop() -> std::io::Result<()> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
