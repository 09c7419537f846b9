//! Settings, checked: what the program runs with.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use api::SecretKey;
use nats::Bus;

use crate::secret;
use crate::settings::{Settings, SettingsError, wrong};

/// Where the log is.
pub enum Database {
    Sqlite { folder: PathBuf },
    Postgres { url: String },
}

/// Which services a process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Roles {
    pub api: bool,
    pub relay: bool,
    pub project: bool,
}

/// What every subcommand needs.
pub struct Storage {
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
    pub access_token_seconds: u32,
}

const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8000);
const START_SECONDS: u64 = 60;
const ACCESS_MINUTES: u32 = 15;

impl Storage {
    pub fn of(settings: &Settings) -> Result<Self, SettingsError> {
        let folder = PathBuf::from(settings.text("COLLOQUY_DATA").unwrap_or("./colloquy-data"));
        let database = match settings.text("DATABASE_URL") {
            None => Database::Sqlite { folder },
            Some(url) if url.starts_with("postgres://") || url.starts_with("postgresql://") => {
                Database::Postgres { url: url.to_owned() }
            }
            Some(_) => return Err(wrong("DATABASE_URL", "must be a postgres:// address; without it SQLite is used")),
        };
        Ok(Self { database, start_timeout: start_timeout(settings)? })
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
        if roles != Roles::ALL && nats.is_none() {
            return Err(wrong("COLLOQUY_ROLES", "can be divided among processes only where NATS_URL is set"));
        }
        if nats.is_some() && matches!(storage.database, Database::Sqlite { .. }) {
            return Err(wrong("NATS_URL", "needs a DATABASE_URL: several nodes can't share SQLite"));
        }
        let secret = secret(settings, &storage, listen)?;
        Ok(Self { listen, nats, roles, secret, access_token_seconds: access_token_seconds(settings)?, storage })
    }
}

impl Roles {
    pub const ALL: Self = Self { api: true, relay: true, project: true };
}

fn roles(settings: &Settings) -> Result<Roles, SettingsError> {
    let Some(names) = settings.text("COLLOQUY_ROLES") else { return Ok(Roles::ALL) };
    let mut roles = Roles { api: false, relay: false, project: false };
    for name in names.split(',').map(str::trim) {
        match name {
            "api" => roles.api = true,
            "relay" => roles.relay = true,
            "project" => roles.project = true,
            _ => return Err(wrong("COLLOQUY_ROLES", "must be a list of: api, relay, project")),
        }
    }
    Ok(roles)
}

fn start_timeout(settings: &Settings) -> Result<Duration, SettingsError> {
    const NAME: &str = "COLLOQUY_START_TIMEOUT";
    let should = "a number of seconds, at most 86400";
    let seconds = settings.parsed(NAME, START_SECONDS, should)?;
    if seconds <= 86_400 { Ok(Duration::from_secs(seconds)) } else { Err(wrong(NAME, format!("must be {should}"))) }
}

fn access_token_seconds(settings: &Settings) -> Result<u32, SettingsError> {
    const NAME: &str = "ACCESS_TOKEN_EXPIRE_MINUTES";
    let should = "a number of minutes, from 1 to 1440";
    let older = settings.parsed("JWT_EXPIRE_MINUTES", ACCESS_MINUTES, should)?;
    let minutes = settings.parsed(NAME, older, should)?;
    if (1..=1_440).contains(&minutes) { Ok(minutes * 60) } else { Err(wrong(NAME, format!("must be {should}"))) }
}

/// Alone on loopback a secret is made and kept; elsewhere it must be given.
fn secret(settings: &Settings, storage: &Storage, listen: SocketAddr) -> Result<SecretKey, SettingsError> {
    const NAME: &str = "SECRET_KEY";
    if let Some(text) = settings.text(NAME) {
        return SecretKey::try_from(text.to_owned()).map_err(|short| wrong(NAME, short.to_string()));
    }
    match &storage.database {
        Database::Sqlite { folder } if listen.ip().is_loopback() => {
            secret::kept_in(folder).map_err(|error| wrong(NAME, format!("is not set, and none could be kept: {error}")))
        }
        Database::Sqlite { .. } | Database::Postgres { .. } => {
            Err(wrong(NAME, format!("must be set, with at least {} characters", SecretKey::LEAST)))
        }
    }
}
