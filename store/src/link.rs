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
    since: Instant,
}

impl Link {
    pub(crate) fn new(path: PathBuf) -> Self {
        let known = Known { target: std::fs::read_link(&path).ok(), since: Instant::now() };
        Self { path, known: Mutex::new(known) }
    }

    /// Whether a connection of this age was opened on the file of today.
    pub(crate) fn is_current(&self, age: Duration) -> bool {
        self.since().elapsed() > age
    }

    /// When the path was last seen to be turned.
    pub(crate) fn since(&self) -> Instant {
        let target = std::fs::read_link(&self.path).ok();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.target != target {
            *known = Known { target, since: Instant::now() };
        }
        known.since
    }
}
