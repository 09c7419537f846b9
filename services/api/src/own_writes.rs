//! Where each user's last command on this node stands in the log, so that their next query sees it.

use std::time::Duration;

use domain::ids::UserId;
use store::Position;

/// Remembers last writes for a while. Cheap to clone.
#[derive(Debug, Clone)]
pub struct OwnWrites(moka::sync::Cache<UserId, Position>);

const USERS: u64 = 10_000;
/// By then every read model that works has caught up.
const KEPT: Duration = Duration::from_secs(30);

impl Default for OwnWrites {
    fn default() -> Self {
        Self(moka::sync::Cache::builder().max_capacity(USERS).time_to_live(KEPT).build())
    }
}

impl OwnWrites {
    /// A command of this user has ended; `None` where nothing had to happen.
    pub(crate) fn note(&self, user: UserId, position: Option<Position>) {
        let Some(position) = position else { return };
        // Two answers may come back in another order than that of the log.
        self.0.entry(user).and_upsert_with(|known| known.map_or(position, |known| known.into_value().max(position)));
    }

    pub(crate) fn of(&self, user: UserId) -> Position {
        self.0.get(&user).unwrap_or_default()
    }
}
