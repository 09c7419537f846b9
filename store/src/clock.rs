//! The world's time and randomness: the one place that knows them, so that all else takes them as arguments.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use domain::Timestamp;
use uuid::Uuid;

/// What time it is.
#[derive(Debug, Clone, Default)]
pub enum Clock {
    #[default]
    System,
    /// Moves only when it is told to.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    #[must_use]
    pub fn manual(now: Timestamp) -> Self {
        Self::Manual(Arc::new(AtomicI64::new(now.as_micros())))
    }

    #[must_use]
    pub fn now(&self) -> Timestamp {
        match self {
            Self::System => system_now(),
            Self::Manual(micros) => Timestamp::from_micros(micros.load(Ordering::SeqCst)),
        }
    }

    /// Moves a manual clock on; the system's goes by itself.
    pub fn advance(&self, seconds: i64) {
        match self {
            Self::System => {}
            Self::Manual(micros) => {
                micros.fetch_add(seconds * 1_000_000, Ordering::SeqCst);
            }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "this is where time comes in")]
fn system_now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// A new id of any kind: ids made later sort later.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is where randomness comes in")]
pub fn fresh_id<I: From<Uuid>>() -> I {
    I::from(Uuid::now_v7())
}
