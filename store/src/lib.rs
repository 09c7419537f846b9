//! `append` and `read`: the event log and the databases behind it; the only crate that knows which engine runs.

pub mod bulk;
mod clock;
mod db;
pub mod embedders;
mod error;
mod executor;
mod lease;
pub mod limits;
mod link;
pub mod log;
pub mod metrics;
mod migrate;
pub mod read_model;
mod recorded;
mod ring;
mod signing_keys;
mod streams;
mod successors;
pub mod tickets;

pub use clock::{Clock, fresh_id};
pub use db::{Db, Durability, PostgresDb, SqliteFile, Tx};
pub use error::{StoreError, in_full};
pub use executor::{Command, Done, Executor, Stream, Unit};
pub use lease::Lease;
pub use log::{Append, AppendError, Guard, Log, NewEvent};
pub use migrate::migrate;
pub use read_model::ReadModel;
pub use recorded::{Position, Recorded};
pub use ring::Ring;
pub use signing_keys::{SealedKey, add_signing_key, drop_signing_keys, signing_keys};
pub use successors::{Owner, Successor, Successors};
