//! `colloquy key`: keys for programs, and the keys that sign access tokens.

use std::io::{self, Write};

use api::Operator;
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
    /// Revoke a key for programs.
    Revoke { id: ApiKeyId },
    /// Sign access tokens with a new key (ALGORITHM=EdDSA). Nobody is signed out.
    Rotate,
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
        KeyCommand::Revoke { id } => operator.revoke_key(id).await?,
        KeyCommand::Rotate => {
            let kid = operator.rotate_signing_key(&config::secret_of(settings)?).await?;
            writeln!(io::stdout(), "kid {kid}")?;
        }
    }
    Ok(())
}
