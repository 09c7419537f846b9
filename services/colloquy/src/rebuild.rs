//! `colloquy rebuild`: builds a read model anew from the log, and shows how far it is.

use indicatif::{ProgressBar, ProgressStyle};
use projections::History;
use store::Log;

use crate::config::Storage;
use crate::settings::Settings;
use crate::wiring::{self, Failure};

const BAR: &str = "{bar:40} {pos}/{len} events, {per_sec}, {eta} left";

pub async fn history(settings: &Settings) -> Result<(), Failure> {
    let db = wiring::open_database(&Storage::of(settings)?).await?;
    let log = Log::open(db);
    let live = wiring::open_history(&log).await?;
    let bar = ProgressBar::no_length().with_style(ProgressStyle::with_template(BAR)?);
    let reached = projector::rebuild::<History>(&log, &live, |done, end| {
        bar.set_length(u64::try_from(end.get()).unwrap_or(0));
        bar.set_position(u64::try_from(done.get()).unwrap_or(0));
    })
    .await?;
    bar.finish();
    tracing::info!(position = reached.get(), took = ?bar.elapsed(), "history is rebuilt");
    Ok(())
}
