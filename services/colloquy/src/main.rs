//! `colloquy`: one program, all roles.

mod audit;
mod config;
mod folder;
mod key;
mod logging;
mod migrate;
mod operating;
mod rebuild;
mod secret;
mod serve;
mod settings;
mod user;
mod wiring;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::settings::Settings;

/// A chat backend whose memory is an event log.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    flags: settings::Flags,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the API, relay, project (the default).
    Serve,
    /// Prepare the database, and stop.
    Migrate,
    /// Build a read model anew from the log, while the live one goes on answering.
    Rebuild {
        /// Which one.
        #[arg(value_parser = clap::builder::PossibleValuesParser::new(projections::ReadModels::NAMES))]
        read_model: String,
    },
    /// Manage accounts.
    #[command(subcommand)]
    User(user::UserCommand),
    /// Manage keys.
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// Look up what tokens did.
    Audit {
        #[command(subcommand)]
        what: audit::AuditCommand,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let settings = Settings::read(arguments.flags);
    let heard = logging::begin(settings.as_ref().ok());
    let outcome = match heard.and(settings) {
        Err(error) => Err(error.into()),
        Ok(settings) => match arguments.command.unwrap_or(Command::Serve) {
            Command::Serve => serve::serve(&settings).await,
            Command::Migrate => migrate::migrate(&settings).await,
            Command::Audit { what } => audit::audit(&settings, what).await,
            Command::User(command) => user::run(&settings, command).await,
            Command::Key(command) => key::run(&settings, command).await,
            Command::Rebuild { read_model } => rebuild::rebuild(&settings, &read_model).await,
        },
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            tracing::error!("{}", store::in_full(&*failure));
            ExitCode::FAILURE
        }
    }
}
