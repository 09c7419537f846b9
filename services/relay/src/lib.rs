//! `log ─▶ bus`: carries every event of the log to the bus, in order, once.
//!
//! The bus itself knows how far it has come, so a relay has nothing to remember and may die anywhere.

use std::time::Duration;

use nats::{Bus, BusError};
use store::log::POLL;
use store::{Lease, Log, in_full};
use tokio_util::sync::CancellationToken;

const LEASE: &str = "relay";
/// How many events are read and published at once.
const BATCH: usize = 500;
const RETRY: Duration = Duration::from_millis(250);

/// Relays until told to stop: as the leader, or standing by until the leader is gone.
pub async fn run(log: Log, bus: Bus, shutdown: CancellationToken) {
    let work = async {
        loop {
            if let Err(error) = take_turn(&log, &bus).await {
                report(&error);
            }
            tokio::time::sleep(RETRY).await;
        }
    };
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = work => {}
    }
}

/// The other relay's step ahead is news for nobody; all else is.
fn report(error: &BusError) {
    match error {
        BusError::Apart => tracing::debug!("the bus has moved without this relay"),
        BusError::TooOld(_) | BusError::Nats(_) | BusError::Log(_) | BusError::Json(_) => {
            tracing::warn!(cause = in_full(error), "the relay begins again");
        }
    }
}

/// Leads until something breaks, or returns at once if somebody else leads.
async fn take_turn(log: &Log, bus: &Bus) -> Result<(), BusError> {
    let mut lease = if bus.is_shared() {
        let Some(lease) = Lease::try_take(log.db(), LEASE).await? else { return Ok(()) };
        tracing::info!("this node relays");
        Some(lease)
    } else {
        None
    };
    let mut grows = log.grows();
    let mut cursor = bus.resume(log).await?;
    loop {
        grows.mark_unchanged();
        let events = log.read(cursor, BATCH).await?;
        if let Some(last) = events.last() {
            bus.publish(&events).await?;
            cursor = last.position;
            continue;
        }
        if tokio::time::timeout(POLL, grows.changed()).await.is_err() && !still_leads(&mut lease).await {
            tracing::warn!("this node relays no more: its lease is lost");
            return Ok(());
        }
    }
}

async fn still_leads(lease: &mut Option<Lease>) -> bool {
    match lease {
        Some(lease) => lease.holds().await,
        None => true,
    }
}
