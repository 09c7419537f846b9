//! `query ─▶ response` of the audit log: how it is asked for and how it reads, for the route and the command line alike.

mod asked;
mod csv;
mod row;

pub use asked::{Asked, Unfit};
pub(crate) use csv::Csv;
pub use row::{ActivityRow, to_the_second};
