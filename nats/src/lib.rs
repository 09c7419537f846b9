//! `relay ─▶ bus ─▶ reader`: carries recorded events between processes; the log stays the truth. And beside it, what is
//! no event: which reply is wanted, and the text of a reply while it grows.

mod bus;
mod feed;
mod jetstream;
mod live;
mod subject;
mod work;

pub use bus::{Bus, BusError};
pub use feed::Feed;
pub use live::{Chunk, Hearing, Speaker, Stops};
pub use work::{Claim, KEEP_EVERY, Work};
