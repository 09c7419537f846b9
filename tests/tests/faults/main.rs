//! Faults under load: processes are killed, servers crash and lose what they held, and nothing that was acknowledged is
//! lost or there twice.
//!
//! All of it from outside: the real binary, real servers, HTTP. Each story ends with [`house::House::verify`].
#![expect(clippy::panic, clippy::expect_used, clippy::indexing_slicing, reason = "a test's words are its panics")]

mod accounts;
mod dump;
mod house;
mod nats_gone;
mod nodes_killed;
mod postgres_crashed;
mod rebuilds_killed;
mod replies;
mod starts;
mod stops;
