//! Settings, checked: what the program runs with.

mod accounts;
mod database;
mod files;
mod limits;
mod metrics;
mod providers;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use api::{Algorithm, MetricsLogin, Origins, SecretKey};
use domain::words;
use nats::Bus;
use replies::{Context, ProvidersConfig, Titles};
use serde::{Deserialize, Serialize};

pub use accounts::{Accounts, passwords};
pub use database::Database;
use files::FilesConfig;
use limits::LimitsConfig;

use crate::secret;
use crate::settings::{Settings, SettingsError, wrong};

words! {
    /// A service that a process may run.
    Role {
        Api = "api",
        Relay = "relay",
        Project = "project",
        Reply = "reply",
    }
}

/// Which services a process runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roles(BTreeSet<Role>);

/// What every subcommand needs.
pub struct Storage {
    /// `COLLOQUY_DATA`.
    pub folder: PathBuf,
    pub database: Database,
    pub start_timeout: Duration,
}

/// What `serve` needs besides.
pub struct Config {
    pub storage: Storage,
    pub listen: SocketAddr,
    pub nats: Option<String>,
    pub roles: Roles,
    pub secret: SecretKey,
    pub accounts: Accounts,
    pub providers: ProvidersConfig,
    pub context: Context,
    pub titles: Titles,
    pub files: FilesConfig,
    pub limits: LimitsConfig,
    pub origins: Origins,
    /// None: `/metrics` is for whoever asks from this machine.
    pub metrics: Option<MetricsLogin>,
    /// How this process calls itself in the log.
    pub node: String,
}

const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8000);
const START_SECONDS: u64 = 60;

impl Storage {
    pub fn of(settings: &Settings) -> Result<Self, SettingsError> {
        let folder = PathBuf::from(settings.text("COLLOQUY_DATA").unwrap_or("./colloquy-data"));
        Ok(Self { folder, database: database::of(settings)?, start_timeout: start_timeout(settings)? })
    }
}

impl Config {
    pub fn of(settings: &Settings) -> Result<Self, SettingsError> {
        let storage = Storage::of(settings)?;
        let listen = settings.parsed("COLLOQUY_LISTEN", LISTEN, "an address like 127.0.0.1:8000")?;
        let nats = settings.text("NATS_URL").map(str::to_owned);
        if nats.as_deref().is_some_and(|url| !Bus::is_address(url)) {
            return Err(wrong("NATS_URL", "must be an address like nats://127.0.0.1:4222"));
        }
        let roles = roles(settings)?;
        if roles != Roles::all() && nats.is_none() {
            return Err(wrong("COLLOQUY_ROLES", "can be divided among processes only where NATS_URL is set"));
        }
        if nats.is_some() && matches!(storage.database, Database::Sqlite) {
            return Err(wrong("NATS_URL", "needs a DATABASE_URL of Postgres: several nodes can't share SQLite"));
        }
        let secret = secret(settings, &storage, listen)?;
        let accounts = Accounts::of(settings, &storage, listen, nats.is_none())?;
        let (providers, context) = (providers::of(settings)?, providers::context(settings)?);
        let (titles, files) = (providers::titles(settings)?, files::of(settings, &storage, nats.is_none())?);
        let (limits, metrics, node) = (limits::of(settings)?, metrics::login(settings)?, node(settings));
        let origins = origins(settings)?;
        Ok(Self {
            storage,
            listen,
            nats,
            roles,
            secret,
            accounts,
            providers,
            context,
            titles,
            files,
            limits,
            origins,
            metrics,
            node,
        })
    }
}

impl Roles {
    pub fn include(&self, role: Role) -> bool {
        self.0.contains(&role)
    }

    fn all() -> Self {
        Self(Role::ALL.iter().copied().collect())
    }
}

fn origins(settings: &Settings) -> Result<Origins, SettingsError> {
    const CREDENTIALS: &str = "ALLOW_CREDENTIALS";
    let should = "* or a list of origins, like https://app.example,http://127.0.0.1:3000";
    let origins = settings.parsed("ALLOWED_ORIGINS", Origins::default(), should)?;
    if !settings.parsed(CREDENTIALS, false, "true or false")? {
        return Ok(origins);
    }
    origins.with_credentials().ok_or_else(|| wrong(CREDENTIALS, "can't be true where ALLOWED_ORIGINS is *"))
}

fn roles(settings: &Settings) -> Result<Roles, SettingsError> {
    let Some(names) = settings.text("COLLOQUY_ROLES") else { return Ok(Roles::all()) };
    let roles: Result<BTreeSet<Role>, _> = names.split(',').map(|name| name.trim().parse()).collect();
    roles.map(Roles).map_err(|_| wrong("COLLOQUY_ROLES", "must be a list of: api, relay, project, reply"))
}

fn start_timeout(settings: &Settings) -> Result<Duration, SettingsError> {
    const NAME: &str = "COLLOQUY_START_TIMEOUT";
    let should = "a number of seconds, at most 86400";
    let seconds = settings.parsed(NAME, START_SECONDS, should)?;
    if seconds <= 86_400 { Ok(Duration::from_secs(seconds)) } else { Err(wrong(NAME, format!("must be {should}"))) }
}

/// `COLLOQUY_NODE`, or the host's name.
pub fn node(settings: &Settings) -> String {
    let host = || std::fs::read_to_string("/proc/sys/kernel/hostname").ok().map(|name| name.trim().to_owned());
    settings.text("COLLOQUY_NODE").map(str::to_owned).or_else(host).unwrap_or_else(|| "colloquy".to_owned())
}

/// The secret that a running service seals its signing keys with, for a subcommand beside it.
pub fn sealing_secret(settings: &Settings) -> Result<SecretKey, SettingsError> {
    if accounts::algorithm(settings)? == Algorithm::Hs256 {
        return Err(wrong("ALGORITHM", "must be EdDSA to rotate keys: the key of HS256 is SECRET_KEY itself"));
    }
    let listen = settings.parsed("COLLOQUY_LISTEN", LISTEN, "an address like 127.0.0.1:8000")?;
    secret(settings, &Storage::of(settings)?, listen)
}

/// Alone on loopback a secret is made and kept; elsewhere it must be given.
fn secret(settings: &Settings, storage: &Storage, listen: SocketAddr) -> Result<SecretKey, SettingsError> {
    const NAME: &str = "SECRET_KEY";
    if let Some(text) = settings.text(NAME) {
        return SecretKey::try_from(text.to_owned()).map_err(|short| wrong(NAME, short.to_string()));
    }
    match &storage.database {
        Database::Sqlite if listen.ip().is_loopback() => secret::kept_in(&storage.folder)
            .map_err(|error| wrong(NAME, format!("is not set, and none could be kept: {error}"))),
        Database::Sqlite | Database::Postgres { .. } => {
            Err(wrong(NAME, format!("must be set, with at least {} characters", SecretKey::LEAST)))
        }
    }
}
