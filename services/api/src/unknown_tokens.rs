//! Refresh tokens that never were: noted once in a while for each address, so that nobody can fill the log with them.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use domain::Timestamp;
use domain::limit::{Rate, Unit, Window};

use crate::client_address::network;

/// Remembers whom a notice was made about. Cheap to clone.
#[derive(Debug, Clone)]
pub struct UnknownTokens {
    addresses: moka::sync::Cache<String, ()>,
    notices: Arc<Mutex<Window>>,
    begun: Instant,
}

const ADDRESSES: u64 = 10_000;
const ONCE_IN: Duration = Duration::from_mins(1);
/// Of a process, from however many addresses: 60 in a minute.
const NOTICES: Rate = Rate { most: NonZeroU32::MIN.saturating_add(59), unit: Unit::Minute };

impl Default for UnknownTokens {
    fn default() -> Self {
        let addresses = moka::sync::Cache::builder().max_capacity(ADDRESSES).time_to_live(ONCE_IN).build();
        Self { addresses, notices: Arc::default(), begun: Instant::now() }
    }
}

impl UnknownTokens {
    /// Whether it is the first of this address for a while, and there were not too many of others. Asked of tokens that are
    /// unknown, and of no others.
    pub(crate) fn is_news(&self, ip: &str) -> bool {
        self.is_news_after(self.begun.elapsed(), ip)
    }

    fn is_news_after(&self, elapsed: Duration, ip: &str) -> bool {
        self.addresses.entry(network(ip)).or_insert(()).is_fresh() && self.has_room(elapsed)
    }

    fn has_room(&self, elapsed: Duration) -> bool {
        let now = Timestamp::from_micros(i64::try_from(elapsed.as_micros()).unwrap_or(i64::MAX));
        self.notices.lock().unwrap_or_else(PoisonError::into_inner).admit(now, NOTICES).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_news_once_and_of_version_6_its_network() {
        let unknown = UnknownTokens::default();
        for (ip, news) in [
            ("10.0.0.1", true),
            ("10.0.0.1", false),
            ("::ffff:10.0.0.1", false),
            ("10.0.0.2", true),
            ("2001:db8:1:2::1", true),
            ("2001:db8:1:2:3:4:5:6", false),
            ("2001:db8:1:3::1", true),
            ("", true),
            ("", false),
        ] {
            assert_eq!(unknown.is_news(ip), news, "{ip}");
        }
    }

    #[test]
    fn from_however_many_addresses_sixty_are_news_in_a_minute() {
        let unknown = UnknownTokens::default();
        let news = |second, network: u8| {
            let from = (0..=u8::MAX).map(|host| format!("10.0.{network}.{host}"));
            from.filter(|ip| unknown.is_news_after(Duration::from_secs(second), ip)).count()
        };
        assert_eq!(news(0, 0), 60);
        assert_eq!(news(59, 1), 0);
        assert_eq!(news(60, 2), 60);
        assert!(!unknown.clone().is_news_after(Duration::from_secs(61), "10.9.9.9"));
    }
}
