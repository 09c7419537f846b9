//! `colloquy audit`: what tokens did, read at the machine itself, whether a server runs or not.

mod follow;
mod print;
mod unseen;

use api::activity::Asked;
use clap::{Args, Subcommand};
use projections::ReadModels;
use projections::token_activity::{self, Filter};
use std::time::Duration;
use store::{Clock, Executor, Log, Position, ReadModel};

use self::print::Printer;
use crate::config::Storage;
use crate::settings::Settings;
use crate::wiring::{self, Failure};

#[derive(Subcommand)]
pub enum AuditCommand {
    /// Print what tokens did, the newest first.
    Tokens {
        #[command(flatten)]
        which: Which,
        /// How many rows at most.
        #[arg(long, default_value_t = 50)]
        limit: u64,
    },
    /// Print what tokens do, as it happens, until interrupted; with --since, what they did before, too.
    Follow {
        #[command(flatten)]
        which: Which,
    },
}

/// Which rows, and how they are shown.
#[derive(Args)]
pub struct Which {
    /// About whom: a user name, an email or an id.
    #[arg(long)]
    user: Option<String>,
    /// From when on: 2026-01-31T12:00:00Z, or how long ago: 24h, 7d.
    #[arg(long)]
    since: Option<String>,
    /// Before when.
    #[arg(long)]
    until: Option<String>,
    /// What happened: some of the kinds, with commas between them.
    #[arg(long)]
    kind: Option<String>,
    /// How it ended: ok, refused or suspicious.
    #[arg(long)]
    outcome: Option<String>,
    /// From which address.
    #[arg(long)]
    address: Option<String>,
    /// One JSON object in each line, as the API gives them.
    #[arg(long)]
    json: bool,
}

/// How long the read model may take to come up to the log.
const PATIENCE: Duration = Duration::from_secs(2);
/// How many rows are read at once.
const STRIDE: u32 = 1_000;

pub async fn audit(settings: &Settings, command: AuditCommand) -> Result<(), Failure> {
    let db = wiring::open_database(&Storage::of(settings)?).await?;
    let log = Log::open(db);
    let ReadModels { token_activity: model, .. } = wiring::open_read_models(&log).await?;
    model.check_tables().await?;
    match command {
        AuditCommand::Tokens { which, limit } => {
            let filter = which.filter(&log).await?;
            await_log(&log, &model).await?;
            tokens(&model, &filter, limit, Printer::new(which.json)).await
        }
        AuditCommand::Follow { which } => {
            let filter = which.filter(&log).await?;
            let from = if filter.since.is_some() { Position::START } else { model.position().await? };
            follow::follow(&log, &model, &filter, from, Printer::new(which.json)).await
        }
    }
}

impl Which {
    async fn filter(&self, log: &Log) -> Result<Filter, Failure> {
        let asked = Asked {
            kind: self.kind.clone(),
            outcome: self.outcome.clone(),
            address: self.address.clone(),
            since: self.since.clone(),
            until: self.until.clone(),
        };
        let clock = Clock::System;
        let filter = asked.filter(clock.now()).map_err(|unfit| {
            unfit.iter().map(|it| format!("--{} {}", it.field, it.message)).collect::<Vec<_>>().join("; ")
        })?;
        let Some(named) = &self.user else { return Ok(filter) };
        let user = api::find_user(&Executor::new(log.clone(), clock), named).await?;
        Ok(Filter { user: Some(user.ok_or("--user is nobody's id, user name or email")?), ..filter })
    }
}

/// Without a server nobody builds the read model: then it says what it lacks.
async fn await_log(log: &Log, model: &ReadModel) -> Result<(), Failure> {
    let head = log.head().await?;
    if !model.wait_for(head, PATIENCE).await? {
        let lag = head.get() - model.position().await?.get();
        tracing::warn!(lag, "the newest events are not in the audit log yet; a server brings them in");
    }
    Ok(())
}

async fn tokens(model: &ReadModel, filter: &Filter, limit: u64, mut printer: Printer) -> Result<(), Failure> {
    let (mut before, mut left) = (None, limit);
    printer.begin()?;
    while left > 0 && !printer.is_closed() {
        let stride = u32::try_from(left).unwrap_or(STRIDE).min(STRIDE);
        let page = token_activity::newest(model.db(), filter, before, stride).await?;
        before = page.rows.last().map(|row| row.position);
        left -= u64::from(stride);
        printer.print(page.rows)?;
        if !page.more {
            return Ok(());
        }
    }
    if !printer.is_closed() {
        tracing::info!("there are older rows; --limit gives more of them");
    }
    Ok(())
}
