//! `colloquy key`: keys for programs, and the keys that sign access tokens.

use std::io::{self, Write};

use api::{Operator, OperatorError};
use domain::ids::ApiKeyId;
use domain::values::Scope;

use crate::config;
use crate::operating;
use crate::settings::Settings;
use crate::wiring::Failure;

#[derive(clap::Subcommand)]
pub enum KeyCommand {
    /// Make a key with which a program acts in a user's name. It is shown once.
    Create {
        /// A user name, an email or an id.
        #[arg(long)]
        user: String,
        /// What the key is for.
        #[arg(long)]
        name: String,
        /// What it may do.
        #[arg(long, value_delimiter = ',', default_values = ["chat:read", "chat:write"])]
        scopes: Vec<Scope>,
        #[arg(long)]
        expires_in_days: Option<u32>,
    },
    /// Revoke a key for programs, by its id.
    Revoke {
        // As text: what is no id may be the key itself, and clap would repeat it.
        id: String,
    },
    /// Sign access tokens with a new key (ALGORITHM=EdDSA alone). Nobody is signed out.
    Rotate {
        /// Take nothing any more that an older key has signed: one of them is known to others.
        #[arg(long)]
        distrust_older: bool,
    },
}

pub async fn run(settings: &Settings, command: KeyCommand) -> Result<(), Failure> {
    let (log, operator) = operating::open(settings).await?;
    let done = act(settings, &operator, command).await;
    log.close().await;
    done
}

async fn act(settings: &Settings, operator: &Operator, command: KeyCommand) -> Result<(), Failure> {
    match command {
        KeyCommand::Create { user, name, scopes, expires_in_days } => {
            let scopes = scopes.into_iter().collect();
            let (id, key) = operator.create_key(&user, name, scopes, expires_in_days).await?;
            writeln!(io::stdout(), "id {id}\nkey {key}")?;
        }
        KeyCommand::Revoke { id } => {
            let id: ApiKeyId = id.parse().map_err(|_| OperatorError::NoSuchKey)?;
            operator.revoke_key(id).await?;
        }
        KeyCommand::Rotate { distrust_older } => {
            let secret = config::sealing_secret(settings)?;
            let kid = operator.rotate_signing_key(&secret, distrust_older).await?;
            writeln!(io::stdout(), "kid {kid}")?;
        }
    }
    Ok(())
}
