//! Refresh tokens that never were: noted once in a while for each address, so that nobody can fill the log with them.

use std::time::Duration;

/// Remembers whom a notice was made about. Cheap to clone.
#[derive(Debug, Clone)]
pub struct UnknownTokens(moka::sync::Cache<String, ()>);

const ADDRESSES: u64 = 10_000;
const ONCE_IN: Duration = Duration::from_mins(1);

impl Default for UnknownTokens {
    fn default() -> Self {
        Self(moka::sync::Cache::builder().max_capacity(ADDRESSES).time_to_live(ONCE_IN).build())
    }
}

impl UnknownTokens {
    pub(crate) fn is_news(&self, ip: Option<&str>) -> bool {
        self.0.entry(ip.unwrap_or_default().to_owned()).or_insert(()).is_fresh()
    }
}
