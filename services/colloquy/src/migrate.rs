//! `colloquy migrate`: prepares the database, and stops.

use store::Log;

use crate::config::Storage;
use crate::settings::Settings;
use crate::wiring::{self, Failure};

pub async fn migrate(settings: &Settings) -> Result<(), Failure> {
    let db = wiring::open_database(&Storage::of(settings)?).await?;
    let log = Log::open(db);
    wiring::open_read_models(&log).await?;
    tracing::info!("the database is ready");
    Ok(())
}
