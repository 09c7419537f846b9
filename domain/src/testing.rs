//! What the unit tests share: a moment, ids, parsed texts, and the first word of given/when/then.

use std::fmt::Debug;

use cqrs_es::test::{AggregateTestExecutor, TestFramework};
use uuid::Uuid;

use crate::{Decide, Timestamp};

/// A moment in November 2023.
pub const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

/// What happened before in a stream; its commands are decided at [`NOW`].
pub fn given<A: Decide>(events: Vec<A::Event>) -> AggregateTestExecutor<A> {
    TestFramework::with(NOW).given(events)
}

/// The same id for the same number.
pub fn id<I: From<Uuid>>(number: u128) -> I {
    Uuid::from_u128(number).into()
}

/// A value that is known to be valid.
pub fn parsed<V: TryFrom<String, Error: Debug>>(text: &str) -> V {
    V::try_from(text.to_owned()).unwrap()
}
