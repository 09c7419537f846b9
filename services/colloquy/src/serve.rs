//! `colloquy serve`: the services of this process, from start to a clean end.

mod keepers;
mod making;

use std::time::Duration;

use api::{
    App, DEV_ADMIN, DEV_PASSWORD, Files, Imports, Metrics, Operator, OwnWrites, Parts, Passwords, Surface,
    UnknownTokens,
};
use nats::Bus;
use projections::{Embeddings, History, Projection, RateLimit, ReadModels, Search, TokenActivity, Usage};
use projector::Worker;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use store::{Clock, Executor, Log, ReadModel};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::{Config, Role};
use crate::settings::Settings;
use crate::wiring::{self, Failure};
use keepers::Keepers;
use making::Replies;

/// How long requests that have begun may take after the call to stop.
const GRACE: Duration = Duration::from_secs(30);
/// How long the writer and the pools may take to end after that.
const DRAIN: Duration = Duration::from_secs(10);
const LISTEN_AGAIN: Duration = Duration::from_secs(1);

pub async fn serve(settings: &Settings) -> Result<(), Failure> {
    let config = Config::of(settings)?;
    let metrics = Metrics::install(config.metrics.clone())?;
    open_as_many_files_as_allowed();
    let db = wiring::open_database(&config.storage).await?;
    let log = Log::open(db);
    let read_models = wiring::open_read_models(&log).await?;
    read_models.check_tables().await?;
    read_models.clean().await?;
    let bus = wiring::open_bus(&config.storage, config.nats.as_deref()).await?;
    let (stop, fatal, tasks) = (CancellationToken::new(), CancellationToken::new(), TaskTracker::new());
    Services { log, bus, read_models, metrics, stop, fatal, tasks }.run(&config).await
}

/// Each client is an open file, and each reply that a provider gives is another.
fn open_as_many_files_as_allowed() {
    let limit = getrlimit(Resource::Nofile);
    let most = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, most) {
        tracing::warn!(%error, files = limit.current, "no more files may be open");
    }
}

/// A read model's name, and how it fares.
type Projecting = (&'static str, tokio::sync::watch::Receiver<projector::State>);

struct Services {
    log: Log,
    bus: Bus,
    read_models: ReadModels,
    metrics: Metrics,
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
        let workers = if config.roles.include(Role::Project) { self.project() } else { Vec::new() };
        self.carry(config);
        // The API stops first; what it has appended is still relayed and projected while it drains.
        let stop_api = self.stop.child_token();
        let surface = if config.roles.include(Role::Api) { Surface::All } else { Surface::Probes };
        let passwords = Passwords::default();
        if config.roles.include(Role::Api) {
            self.mind_dev_admin(config, passwords.clone()).await?;
        }
        let files = self.keep_files(config)?;
        let keepers = self.keep_tokens(config).await?;
        let replies = self.watch_replies(config).await?;
        // What they come to can still be written down when the API stops, and they with it.
        let making = TaskTracker::new();
        if config.roles.include(Role::Reply) {
            let stop = || stop_api.clone();
            making.spawn(self.minded("replier", stop(), self.make_replies(config, &replies, stop())));
            making.spawn(self.minded("embedder", stop(), self.embed_messages(config, &replies, stop())));
        }
        making.close();
        let app = self.app(config, workers, keepers, replies, passwords, files);
        let api = tokio::spawn(api::run(app, surface, listener, stop_api.clone()));
        let asked = AskedToStop::listen()?;
        tracing::info!("listening on http://{address}");
        let reason = self.reason_to_stop(asked).await;
        tracing::info!("stopping");
        stop_api.cancel();
        let ended = async { tokio::join!(api, making.wait()) };
        if tokio::time::timeout(GRACE, ended).await.is_err() {
            tracing::warn!("some requests did not end in time");
        }
        if tokio::time::timeout(DRAIN, self.drain()).await.is_err() {
            tracing::warn!("the database did not let go in time");
        }
        reason
    }

    /// Being asked to, or a service that has ended by itself.
    async fn reason_to_stop(&self, mut asked: AskedToStop) -> Result<(), Failure> {
        tokio::select! {
            () = asked.wait() => Ok(()),
            () = self.fatal.cancelled() => Err("a service has ended by itself".into()),
            () = self.log.ended() => Err("the log's writer has ended by itself".into()),
        }
    }

    async fn drain(&self) {
        self.log.close().await;
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        self.read_models.close().await;
        self.log.db().close().await;
    }

    fn project(&self) -> Vec<Projecting> {
        vec![
            self.project_one::<Embeddings>(&self.read_models.embeddings),
            self.project_one::<History>(&self.read_models.history),
            self.project_one::<RateLimit>(&self.read_models.rate_limit),
            self.project_one::<Search>(&self.read_models.search),
            self.project_one::<TokenActivity>(&self.read_models.token_activity),
            self.project_one::<Usage>(&self.read_models.usage),
        ]
    }

    fn project_one<P: Projection>(&self, model: &ReadModel) -> Projecting {
        let worker = Worker::new(self.log.clone(), self.bus.clone(), model.clone());
        let state = worker.state();
        let stop = self.stop.clone();
        self.spawn(model.name(), async move { worker.run::<P>(stop).await });
        (model.name(), state)
    }

    /// Starts a service; should it end before it is told to, by a panic even, so does the process.
    fn spawn(&self, name: &'static str, service: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(self.minded(name, self.stop.clone(), service));
    }

    fn minded<S: Future<Output = ()>>(
        &self,
        name: &'static str,
        stop: CancellationToken,
        service: S,
    ) -> impl Future<Output = ()> + use<S> {
        let ended = Ended { name, stop, fatal: self.fatal.clone() };
        async move {
            let _ended = ended;
            service.await;
        }
    }

    /// Moves events: out of the log, and over the bus into this process.
    fn carry(&self, config: &Config) {
        let (bus, stop) = (self.bus.clone(), self.stop.clone());
        self.spawn("bus", async move { bus.run(stop).await });
        if config.roles.include(Role::Relay) {
            self.spawn("relay", relay::run(self.log.clone(), self.bus.clone(), self.stop.clone()));
        }
        let (log, stop) = (self.log.clone(), self.stop.clone());
        self.spawn("metrics", self.metrics.clone().run(self.stop.clone()));
        self.spawn("listener", async move {
            stop.run_until_cancelled(listen(log)).await;
        });
    }

    /// The user with the password that everybody knows: made where it may be, refused where it must not be.
    async fn mind_dev_admin(&self, config: &Config, passwords: Passwords) -> Result<(), Failure> {
        let accounts = &config.accounts;
        let operator = Operator::new(self.log.clone(), passwords, accounts.passwords.at_change(), config.node.clone());
        if accounts.dev_admin {
            operator.make_dev_admin().await?;
        }
        match (operator.has_dev_admin().await?, accounts.dev_admin) {
            (true, true) => {
                tracing::warn!("for trying things out: sign in as {DEV_ADMIN} with the password {DEV_PASSWORD}");
                Ok(())
            }
            (true, false) => Err(format!(
                "the user {DEV_ADMIN} still has the password that everybody knows: \
                 run colloquy user reset-password {DEV_ADMIN}, or colloquy user disable {DEV_ADMIN}"
            )
            .into()),
            (false, _) => Ok(()),
        }
    }

    fn app(
        &self,
        config: &Config,
        projections: Vec<Projecting>,
        keepers: Keepers,
        replies: Replies,
        passwords: Passwords,
        files: Files,
    ) -> App {
        let accounts = &config.accounts;
        App::new(Parts {
            executor: Executor::new(self.log.clone(), Clock::System),
            log: self.log.clone(),
            bus: self.bus.clone(),
            read_models: self.read_models.clone(),
            projections,
            access_tokens: keepers.access_tokens,
            refresh_tokens: keepers.refresh_tokens,
            revocations: keepers.revocations,
            api_keys: keepers.api_keys,
            bootstrap_key: accounts.bootstrap_key.clone(),
            passwords,
            password_policy: accounts.passwords,
            throttle: keepers.throttle,
            limits: keepers.limits,
            unknown_tokens: UnknownTokens::default(),
            trusted_proxies: accounts.trusted_proxies.clone(),
            origins: config.origins.clone(),
            node: config.node.clone(),
            own_writes: OwnWrites::default(),
            imports: Imports::default(),
            metrics: self.metrics.clone(),
            providers: replies.providers,
            context: config.context.clone(),
            live: replies.live,
            files,
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

/// The signals that ask to stop. Heard from before the first word that anybody may wait for: before that they just kill.
struct AskedToStop(Signal, Signal);

impl AskedToStop {
    fn listen() -> std::io::Result<Self> {
        Ok(Self(signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?))
    }

    async fn wait(&mut self) {
        tokio::select! {
            _ = self.0.recv() => {}
            _ = self.1.recv() => {}
        }
    }
}
