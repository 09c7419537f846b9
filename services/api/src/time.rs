//! A moment as clients read it: RFC 3339, in UTC, with its zone.

use domain::Timestamp;
use serde::{Serialize, Serializer};

#[derive(Debug, Clone, Copy)]
pub(crate) struct Time(pub(crate) Timestamp);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let time = jiff::Timestamp::from_microsecond(self.0.as_micros()).map_err(serde::ser::Error::custom)?;
        serializer.collect_str(&time)
    }
}
