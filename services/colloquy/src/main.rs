//! `colloquy`: one program, all roles.

mod config;
mod folder;
mod migrate;
mod rebuild;
mod secret;
mod serve;
mod settings;
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
        #[arg(value_parser = ["history"])]
        read_model: String,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    wiring::log_to_stderr();
    let outcome = match Settings::read(arguments.flags) {
        Err(error) => Err(error.into()),
        Ok(settings) => match arguments.command.unwrap_or(Command::Serve) {
            Command::Serve => serve::serve(&settings).await,
            Command::Migrate => migrate::migrate(&settings).await,
            Command::Rebuild { read_model: _ } => rebuild::history(&settings).await,
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
