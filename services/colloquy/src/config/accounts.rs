//! The settings of accounts, tokens and signing in.

use std::net::SocketAddr;

use api::{Algorithm, BootstrapKey, NewPasswords, TrustedProxies};
use domain::token::family::Lifetime;

use super::{Database, Storage};
use crate::settings::{Settings, SettingsError, wrong};

/// How people and programs sign in, and stay signed in.
pub struct Accounts {
    pub algorithm: Algorithm,
    pub access_token_seconds: u32,
    pub lifetime: Lifetime,
    pub leeway_seconds: u32,
    pub passwords: NewPasswords,
    pub bootstrap_key: Option<BootstrapKey>,
    pub trusted_proxies: TrustedProxies,
    pub dev_admin: bool,
}

const ACCESS_MINUTES: u32 = 15;
const IDLE_DAYS: u32 = 7;
const MOST_DAYS: u32 = 30;
const LEEWAY_SECONDS: u32 = 10;
const SHORTEST_API_KEY: usize = 16;
const ALONE: &str = "where the program runs alone on loopback with SQLite";

impl Accounts {
    pub fn of(settings: &Settings, storage: &Storage, listen: SocketAddr, alone: bool) -> Result<Self, SettingsError> {
        // At one's own machine, where things are tried out.
        let is_own = alone && listen.ip().is_loopback() && storage.database == Database::Sqlite;
        Ok(Self {
            algorithm: algorithm(settings)?,
            access_token_seconds: access_token_seconds(settings)?,
            lifetime: lifetime(settings)?,
            leeway_seconds: within(settings, "REFRESH_TOKEN_LEEWAY_SECONDS", LEEWAY_SECONDS, 0, 60)?,
            passwords: passwords(settings)?,
            bootstrap_key: bootstrap_key(settings, is_own)?,
            trusted_proxies: settings.parsed(
                "TRUSTED_PROXIES",
                TrustedProxies::default(),
                "a list of addresses or ranges, like 10.0.0.0/8,192.0.2.1",
            )?,
            dev_admin: dev_admin(settings, is_own)?,
        })
    }
}

pub fn algorithm(settings: &Settings) -> Result<Algorithm, SettingsError> {
    match settings.text("ALGORITHM") {
        None | Some("HS256") => Ok(Algorithm::Hs256),
        Some("EdDSA") => Ok(Algorithm::EdDsa),
        Some(_) => Err(wrong("ALGORITHM", "must be HS256 or EdDSA")),
    }
}

fn access_token_seconds(settings: &Settings) -> Result<u32, SettingsError> {
    let older = within(settings, "JWT_EXPIRE_MINUTES", ACCESS_MINUTES, 1, 1_440)?;
    Ok(within(settings, "ACCESS_TOKEN_EXPIRE_MINUTES", older, 1, 1_440)? * 60)
}

fn lifetime(settings: &Settings) -> Result<Lifetime, SettingsError> {
    const DAY: u32 = 86_400;
    let idle = within(settings, "REFRESH_TOKEN_EXPIRE_DAYS", IDLE_DAYS, 1, 365)?;
    let most = within(settings, "REFRESH_TOKEN_MAX_LIFETIME_DAYS", MOST_DAYS.max(idle), 1, 3_650)?;
    if most < idle {
        return Err(wrong("REFRESH_TOKEN_MAX_LIFETIME_DAYS", "must not be less than REFRESH_TOKEN_EXPIRE_DAYS"));
    }
    Ok(Lifetime { idle_seconds: idle * DAY, most_seconds: most * DAY })
}

fn within(settings: &Settings, name: &'static str, default: u32, least: u32, most: u32) -> Result<u32, SettingsError> {
    let should = format!("a number from {least} to {most}");
    let number = settings.parsed(name, default, &should)?;
    if (least..=most).contains(&number) { Ok(number) } else { Err(wrong(name, format!("must be {should}"))) }
}

pub fn passwords(settings: &Settings) -> Result<NewPasswords, SettingsError> {
    match settings.text("AUTH_PASSWORD_POLICY") {
        None | Some("compat") => Ok(NewPasswords::Compat),
        Some("nist") => Ok(NewPasswords::Nist),
        Some(_) => Err(wrong("AUTH_PASSWORD_POLICY", "must be compat or nist")),
    }
}

/// What stands in every example may be a key at one's own machine, and nowhere else.
fn bootstrap_key(settings: &Settings, is_own: bool) -> Result<Option<BootstrapKey>, SettingsError> {
    const NAME: &str = "API_KEY";
    let Some(key) = settings.text(NAME) else { return Ok(None) };
    if key.len() < SHORTEST_API_KEY && !is_own {
        return Err(wrong(NAME, format!("can have less than {SHORTEST_API_KEY} characters only {ALONE}")));
    }
    Ok(Some(BootstrapKey::new(key)))
}

/// A password that everybody knows is for trying things out at one's own machine.
fn dev_admin(settings: &Settings, is_own: bool) -> Result<bool, SettingsError> {
    const NAME: &str = "COLLOQUY_DEV_ADMIN";
    let wanted = settings.parsed(NAME, is_own, "true or false")?;
    if wanted && !is_own { Err(wrong(NAME, format!("can be true only {ALONE}"))) } else { Ok(wanted) }
}
