//! `relay ─▶ bus ─▶ reader`: carries recorded events between processes; the log stays the truth.

mod bus;
mod feed;
mod jetstream;
mod subject;

pub use bus::{Bus, BusError};
pub use feed::Feed;
