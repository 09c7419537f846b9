//! Deletes the bytes whose attachment is gone: with its message, its conversation, or a process that died.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, SystemTime};

use domain::Timestamp;
use projections::history;
use store::{Clock, Lease, Log, ReadModel, StoreError, in_full};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::{Files, FilesError};

/// How long bytes stay that nobody knows: longer than from a file's last byte to its event.
const AGE_SECONDS: i64 = 3_600;
const EVERY: Duration = Duration::from_mins(10);
/// How long the history may take to show all that was added.
const PATIENCE: Duration = Duration::from_secs(10);
const LEASE: &str = "files";
/// How many files are looked up at once.
const SOME: usize = 1_000;

#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    #[error(transparent)]
    Files(#[from] FilesError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Files {
    /// Sweeps at once, and every now and then, until told to stop.
    pub async fn run(self, log: Log, history: ReadModel, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let work = async {
            loop {
                ticks.tick().await;
                let before = Clock::System.now().plus_seconds(-AGE_SECONDS);
                match self.sweep(&log, &history, before).await {
                    Ok(0) => {}
                    Ok(deleted) => tracing::info!(deleted, "deleted files of what is gone"),
                    Err(error) => tracing::warn!(cause = in_full(&error), "files of what is gone stay for a while"),
                }
            }
        };
        stop.run_until_cancelled(work).await;
    }

    /// Deletes what was whole before a moment and belongs to nothing; how many files that were. One process at a time does.
    pub async fn sweep(&self, log: &Log, history: &ReadModel, before: Timestamp) -> Result<usize, SweepError> {
        let Some(lease) = Lease::try_take(log.db(), LEASE).await? else { return Ok(0) };
        let swept = self.sweep_alone(log, history, before).await;
        lease.release().await;
        swept
    }

    async fn sweep_alone(&self, log: &Log, history: &ReadModel, before: Timestamp) -> Result<usize, SweepError> {
        self.drop_pieces(before).await?;
        let mut stored = self.stored_before(before).await?;
        stored.sort_unstable();
        // Whatever was added of these stands in the log by now. A history that lags would not know of it.
        if stored.is_empty() || !history.wait_for(log.head().await?, PATIENCE).await? {
            return Ok(0);
        }
        let mut deleted = 0;
        for some in stored.chunks(SOME) {
            let (Some(first), Some(last)) = (some.first(), some.last()) else { continue };
            let known = history::kept_between(history.db(), *first, *last).await?;
            let known: BTreeSet<_> = known.into_iter().collect();
            for gone in some.iter().filter(|id| !known.contains(id)) {
                self.delete(*gone).await?;
                deleted += 1;
            }
        }
        Ok(deleted)
    }

    /// What a process that died has left of files that it received. A bucket has a rule of its own for these.
    async fn drop_pieces(&self, before: Timestamp) -> Result<(), FilesError> {
        let Some(folder) = self.kept.folder.clone() else { return Ok(()) };
        let dropped = tokio::task::spawn_blocking(move || drop_pieces(&folder, before)).await;
        Ok(dropped.unwrap_or_else(|error| Err(std::io::Error::other(error)))?)
    }
}

/// A piece lies beside its file, named with `#` and a number, until it is whole.
fn drop_pieces(folder: &Path, before: Timestamp) -> std::io::Result<()> {
    let before = SystemTime::UNIX_EPOCH + Duration::from_micros(u64::try_from(before.as_micros()).unwrap_or(0));
    for entry in folder.read_dir()? {
        let entry = entry?;
        let is_piece = entry.file_name().to_str().and_then(|name| name.split_once('#')).is_some();
        // It may have become whole meanwhile.
        if is_piece && entry.metadata().and_then(|it| it.modified()).is_ok_and(|modified| modified < before) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
    Ok(())
}
