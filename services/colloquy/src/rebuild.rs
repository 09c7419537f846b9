//! `colloquy rebuild`: builds a read model anew from the log, and shows how far it is.

use indicatif::{ProgressBar, ProgressStyle};
use projections::{Embeddings, History, Projection, RateLimit, Search, TokenActivity, Usage};
use store::{Log, ReadModel};

use crate::config::Storage;
use crate::settings::Settings;
use crate::wiring::{self, Failure};

const BAR: &str = "{bar:40} {pos}/{len} events, {per_sec}, {eta} left";

pub async fn rebuild(settings: &Settings, read_model: &str) -> Result<(), Failure> {
    let db = wiring::open_database(&Storage::of(settings)?).await?;
    let log = Log::open(db);
    let live = wiring::open_read_models(&log).await?;
    match read_model {
        "embeddings" => run::<Embeddings>(&log, &live.embeddings).await,
        "history" => run::<History>(&log, &live.history).await,
        "rate_limit" => run::<RateLimit>(&log, &live.rate_limit).await,
        "search" => run::<Search>(&log, &live.search).await,
        "token_activity" => run::<TokenActivity>(&log, &live.token_activity).await,
        "usage" => run::<Usage>(&log, &live.usage).await,
        _ => Err("there is no such read model".into()),
    }
}

async fn run<P: Projection>(log: &Log, live: &ReadModel) -> Result<(), Failure> {
    let bar = ProgressBar::no_length().with_style(ProgressStyle::with_template(BAR)?);
    let reached = projector::rebuild::<P>(log, live, |done, end| {
        bar.set_length(u64::try_from(end.get()).unwrap_or(0));
        bar.set_position(u64::try_from(done.get()).unwrap_or(0));
    })
    .await?;
    bar.finish();
    tracing::info!(position = reached.get(), took = ?bar.elapsed(), "{} is rebuilt", live.name());
    Ok(())
}
