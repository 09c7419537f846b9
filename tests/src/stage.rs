//! One engine with everything on it: a database of its own, the log, the bus, and what moves events between them.

use std::time::Duration;

use nats::Bus;
use projections::{Embeddings, History, Projection, RateLimit, ReadModels, SEARCH_PATH, Search, TokenActivity, Usage};
use projector::{State, Worker};
use store::limits::Limits;
use store::read_model::Home;
use store::{Clock, Db, Durability, Lease, Log, PostgresDb, ReadModel, SqliteFile};
use tempfile::TempDir;
use tokio::sync::watch::Receiver;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::process::{Builder, Colloquy};
use crate::servers::{Nats, Postgres};

/// How long a test waits for what must come.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// What a test plays on.
pub struct Stage {
    pub log: Log,
    pub bus: Bus,
    pub home: Home,
    pub postgres: Option<Postgres>,
    pub nats: Option<Nats>,
    url: Option<String>,
    folder: TempDir,
    stop: DropGuard,
}

impl Stage {
    pub async fn sqlite() -> Self {
        let folder = TempDir::new().expect("a folder");
        let db = open_sqlite(&folder);
        let bus = in_process(&folder);
        Self::with(db, bus, folder, None, None, None).await
    }

    pub async fn postgres_nats() -> Self {
        let postgres = Postgres::start().await;
        let url = postgres.database().await;
        Self::at(postgres, url).await
    }

    /// On a database whose owner may not make extensions.
    pub async fn tenant() -> Self {
        let postgres = Postgres::start().await;
        let url = postgres.database_of_a_tenant().await;
        Self::at(postgres, url).await
    }

    async fn at(postgres: Postgres, url: String) -> Self {
        let nats = Nats::start().await;
        let db = open_postgres(&url);
        let bus = Bus::connect(&nats.url(), PATIENCE).await.expect("NATS is up");
        let folder = TempDir::new().expect("a folder");
        Self::with(db, bus, folder, Some(url), Some(postgres), Some(nats)).await
    }

    async fn with(
        db: Db,
        bus: Bus,
        folder: TempDir,
        url: Option<String>,
        postgres: Option<Postgres>,
        nats: Option<Nats>,
    ) -> Self {
        store::migrate(&db).await.expect("an empty database can be migrated");
        let stop = CancellationToken::new().drop_guard();
        let home = Home::beside(db.clone());
        Self { log: Log::open(db), bus, home, postgres, nats, url, folder, stop }
    }

    /// Where SQLite's files are, and what a process alone keeps.
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// The address of Postgres' database.
    pub fn url(&self) -> Option<&str> {
        self.url.as_deref()
    }

    /// The real binary on the same database.
    pub fn binary(&self) -> Builder {
        let binary = Colloquy::builder().data_dir(self.folder());
        match &self.url {
            Some(url) => binary.env("DATABASE_URL", url),
            None => binary,
        }
    }

    /// A log of another process on the same database: its own writer, its own memory.
    pub fn another_log(&self) -> Log {
        Log::open(self.another_db())
    }

    pub fn another_db(&self) -> Db {
        self.url.as_deref().map_or_else(|| open_sqlite(&self.folder), open_postgres)
    }

    /// The limits as other processes have them. One is opened after the other: SQLite refuses whoever comes while the first
    /// gives the file its journal.
    pub async fn limits_of_nodes(&self, nodes: usize, clock: &Clock) -> Vec<Limits> {
        let mut all = Vec::new();
        for _ in 0..nodes {
            all.push(Limits::open(&self.another_db(), clock.clone()).await.expect("the file can be made"));
        }
        all
    }

    /// The bus as another process has it, or, where there is but one, the next.
    pub async fn another_bus(&self) -> Bus {
        match &self.nats {
            Some(nats) => Bus::connect(&nats.url(), PATIENCE).await.expect("NATS is up"),
            None => in_process(&self.folder),
        }
    }

    fn stop(&self) -> &CancellationToken {
        self.stop.token()
    }

    /// Moves events out of the log and over the bus, until the test ends.
    pub fn relay(&self) {
        tokio::spawn(relay::run(self.log.clone(), self.bus.clone(), self.stop().child_token()));
        let (bus, stop) = (self.bus.clone(), self.stop().child_token());
        tokio::spawn(async move { bus.run(stop).await });
    }

    pub async fn embeddings(&self) -> ReadModel {
        ReadModel::open(&self.home, Embeddings::SPEC).await.expect("the read model can be made")
    }

    pub async fn history(&self) -> ReadModel {
        ReadModel::open(&self.home, History::SPEC).await.expect("the read model can be made")
    }

    pub async fn rate_limit(&self) -> ReadModel {
        ReadModel::open(&self.home, RateLimit::SPEC).await.expect("the read model can be made")
    }

    pub async fn search(&self) -> ReadModel {
        ReadModel::open(&self.home, Search::SPEC).await.expect("the read model can be made")
    }

    pub async fn token_activity(&self) -> ReadModel {
        ReadModel::open(&self.home, TokenActivity::SPEC).await.expect("the read model can be made")
    }

    pub async fn usage(&self) -> ReadModel {
        ReadModel::open(&self.home, Usage::SPEC).await.expect("the read model can be made")
    }

    pub async fn read_models(&self) -> ReadModels {
        ReadModels::open(&self.home).await.expect("the read models can be made")
    }

    /// Keeps the history up to date, until the test ends.
    pub fn project(&self, history: &ReadModel) -> Receiver<State> {
        self.project_as::<History>(history)
    }

    /// Keeps a read model up to date, until the test ends.
    pub fn project_as<P: Projection>(&self, model: &ReadModel) -> Receiver<State> {
        let worker = Worker::new(self.log.clone(), self.bus.clone(), model.clone());
        let (state, stop) = (worker.state(), self.stop().child_token());
        tokio::spawn(async move { worker.run::<P>(stop).await });
        state
    }

    /// Keeps all read models up to date, until the test ends.
    pub fn project_all(&self, models: &ReadModels) -> Vec<(&'static str, Receiver<State>)> {
        let states = [
            self.project_as::<Embeddings>(&models.embeddings),
            self.project_as::<History>(&models.history),
            self.project_as::<RateLimit>(&models.rate_limit),
            self.project_as::<Search>(&models.search),
            self.project_as::<TokenActivity>(&models.token_activity),
            self.project_as::<Usage>(&models.usage),
        ];
        ReadModels::NAMES.iter().copied().zip(states).collect()
    }

    /// Waits until the read model has the whole log.
    pub async fn settle(&self, model: &ReadModel) {
        let head = self.log.head().await.expect("the log is up");
        let came = model.wait_for(head, PATIENCE).await.expect("the read model is up");
        assert!(came, "{} never came to {head}", model.name());
    }

    pub async fn lease(&self, name: &str) -> Option<Lease> {
        Lease::try_take(self.log.db(), name).await.expect("the database is up")
    }
}

fn in_process(folder: &TempDir) -> Bus {
    Bus::in_process(&folder.path().join("replies")).expect("a folder")
}

fn open_sqlite(folder: &TempDir) -> Db {
    Db::Sqlite(SqliteFile::open(&folder.path().join("log.db"), Durability::Full).expect("a path"))
}

fn open_postgres(url: &str) -> Db {
    Db::Postgres(PostgresDb::open(url, SEARCH_PATH).expect("an address"))
}

/// What a story is told with, made on a stage.
pub trait Play {
    fn on(stage: Stage) -> impl Future<Output = Self>;
}

impl Play for Stage {
    async fn on(stage: Stage) -> Self {
        stage
    }
}

/// Runs each story on both engines, as `sqlite::name` and `postgres_nats::name`.
#[macro_export]
macro_rules! on_both_engines {
    ($(async fn $name:ident($stage:ident: $type:ty) $body:block)+) => {
        $(async fn $name($stage: $type) $body)+

        mod sqlite {
            use super::*;

            $(#[tokio::test]
            async fn $name() {
                super::$name(<$type as $crate::stage::Play>::on($crate::stage::Stage::sqlite().await).await).await;
            })+
        }

        mod postgres_nats {
            use super::*;

            $(#[tokio::test]
            async fn $name() {
                super::$name(<$type as $crate::stage::Play>::on($crate::stage::Stage::postgres_nats().await).await).await;
            })+
        }
    };
}
