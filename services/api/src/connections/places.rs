//! How many clients may be connected at once, all of them and those of one network.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use metrics::gauge;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::client_address::{TrustedProxies, network};
use crate::metrics::families::CONNECTIONS;

/// The places that there are. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Places(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    free: Arc<Semaphore>,
    /// How many of them one network may have.
    of_one: usize,
    taken: Mutex<HashMap<String, usize>>,
    /// Whoever comes through these may be anybody.
    proxies: TrustedProxies,
}

/// Room for one client more.
pub(super) struct Room(OwnedSemaphorePermit);

/// Where a client is, until its connection is closed.
#[derive(Debug)]
pub(super) struct Place {
    places: Places,
    /// None: one that may have as many as it likes.
    network: Option<String>,
    _room: OwnedSemaphorePermit,
}

/// How many files stay for databases, NATS, providers, and files, at least; of very many it is a quarter.
const RESERVED: usize = 400;
/// How long nobody is let in until that is worth a word.
const LONG: Duration = Duration::from_secs(1);

impl Places {
    /// As many as this process may have files open, but for those that it needs itself.
    pub(crate) fn of_this_process(proxies: TrustedProxies) -> Self {
        let most = beside(files());
        Self::new(most, most.div_ceil(4), proxies)
    }

    pub(super) fn new(most: usize, of_one: usize, proxies: TrustedProxies) -> Self {
        let free = Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS)));
        Self(Arc::new(Parts { free, of_one, taken: Mutex::default(), proxies }))
    }

    /// Waits until there is room; `None` where there never will be.
    pub(super) async fn room(&self) -> Option<Room> {
        let free = || self.0.free.clone().acquire_owned();
        let room = if let Ok(room) = timeout(LONG, free()).await {
            room
        } else {
            tracing::warn!("as many clients are connected as may be: whoever comes waits");
            free().await
        };
        room.ok().map(Room)
    }

    /// Gives it to a client, unless its network has as many as it may have.
    pub(super) fn take(&self, Room(room): Room, client: IpAddr) -> Option<Place> {
        let may_be_anybody = client.to_canonical().is_loopback() || self.0.proxies.trust(client);
        let network = (!may_be_anybody).then(|| network(&client.to_string()));
        if let Some(network) = &network {
            let mut taken = self.taken();
            let there = taken.entry(network.clone()).or_default();
            if *there >= self.0.of_one {
                tracing::debug!(network, "too many connections");
                return None;
            }
            *there += 1;
        }
        gauge!(CONNECTIONS).increment(1.0);
        Some(Place { places: self.clone(), network, _room: room })
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.0.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        gauge!(CONNECTIONS).decrement(1.0);
        let Some(network) = &self.network else { return };
        let mut taken = self.places.taken();
        if let Some(there) = taken.get_mut(network) {
            *there = there.saturating_sub(1);
            if *there == 0 {
                taken.remove(network);
            }
        }
    }
}

/// How many may be open.
#[cfg(target_os = "linux")]
fn files() -> usize {
    use rustix::process::{Resource, getrlimit};
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    usize::try_from(files).unwrap_or(usize::MAX)
}

/// Nobody knows; so many are usual.
#[cfg(not(target_os = "linux"))]
const fn files() -> usize {
    1_024
}

/// What is left of so many files.
fn beside(files: usize) -> usize {
    files - (files / 4).max(RESERVED).min(files / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enough_files_stay_for_the_rest() {
        for (files, most) in [(256, 128), (1_024, 624), (20_000, 15_000), (1 << 20, 786_432)] {
            assert_eq!(beside(files), most);
        }
    }

    async fn comes(places: &Places, client: &str) -> Option<Place> {
        let room = places.room().await.unwrap();
        places.take(room, client.parse().unwrap())
    }

    #[tokio::test]
    async fn no_network_takes_all_places() {
        let places = Places::new(10, 2, "10.0.0.0/8".parse().unwrap());
        let (one, _two) =
            (comes(&places, "192.0.2.1").await.unwrap(), comes(&places, "::ffff:192.0.2.1").await.unwrap());
        assert!(comes(&places, "192.0.2.1").await.is_none());
        let _others = [comes(&places, "192.0.2.2").await.unwrap(), comes(&places, "2001:db8::1").await.unwrap()];
        let _neighbour = comes(&places, "2001:db8::2").await.unwrap();
        assert!(comes(&places, "2001:db8::3").await.is_none(), "of version 6 the network counts");
        drop(one);
        let _again = comes(&places, "192.0.2.1").await.unwrap();
        assert!(comes(&places, "192.0.2.1").await.is_none());
    }

    #[tokio::test]
    async fn a_proxy_and_this_machine_may_take_all() {
        let places = Places::new(10, 1, "10.0.0.0/8".parse().unwrap());
        let mut all = Vec::new();
        for client in ["10.0.0.1", "10.0.0.1", "127.0.0.1", "127.0.0.1", "::1", "::1"] {
            all.push(comes(&places, client).await.unwrap());
        }
        assert_eq!(all.len(), 6);
    }

    #[tokio::test]
    async fn who_leaves_leaves_nothing_behind() {
        let places = Places::new(1, 1, TrustedProxies::default());
        for _ in 0..3 {
            let place = comes(&places, "192.0.2.1").await.unwrap();
            assert_eq!((places.0.free.available_permits(), places.taken().len()), (0, 1));
            drop(place);
        }
        assert_eq!((places.0.free.available_permits(), places.taken().len()), (1, 0));
    }
}
