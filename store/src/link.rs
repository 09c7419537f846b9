//! A path that may be turned to another file while it is in use: how an SQLite read model is swapped.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Knows since when the path has led to the file to which it leads now.
#[derive(Debug)]
pub struct Link {
    pub(crate) path: PathBuf,
    known: Mutex<Known>,
}

#[derive(Debug)]
struct Known {
    target: Option<PathBuf>,
    /// When it was seen to be turned; `None` where it never was.
    since: Option<Instant>,
}

/// By how much younger than the turn a connection must be: it takes its path before it takes its time.
const DOUBT: Duration = Duration::from_secs(1);

impl Link {
    pub(crate) fn new(path: PathBuf) -> Self {
        let known = Known { target: std::fs::read_link(&path).ok(), since: None };
        Self { path, known: Mutex::new(known) }
    }

    /// Whether a connection of this age was opened on the file of today.
    pub(crate) fn is_current(&self, age: Duration) -> bool {
        self.since().is_none_or(|since| since.elapsed() > age + DOUBT)
    }

    /// When the path was last seen to be turned.
    pub(crate) fn since(&self) -> Option<Instant> {
        let target = std::fs::read_link(&self.path).ok();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.target != target {
            *known = Known { target, since: Some(Instant::now()) };
        }
        known.since
    }
}
