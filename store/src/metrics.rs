//! `append ─▶ what is counted of it`: how large batches are, how long they take, and what was refused.

use std::time::Duration;

use metrics::{counter, describe_counter, describe_histogram, histogram};

/// Named to whoever shows it, who knows its bounds.
pub const BATCH_SIZE: &str = "colloquy_append_batch_size";
pub const BATCH_SECONDS: &str = "colloquy_append_batch_seconds";
const CONFLICTS: &str = "colloquy_append_conflicts_total";
const FAILURES: &str = "colloquy_append_failures_total";

/// Says what each of them is; from then on they are shown, whether anything was appended or not.
pub fn describe() {
    describe_histogram!(BATCH_SIZE, "Appends that this process committed as one.");
    describe_histogram!(BATCH_SECONDS, "How long a batch of appends took to be committed, or to fail.");
    describe_counter!(
        CONFLICTS,
        "Appends that were refused, as a stream had grown since it was read; commands then run again."
    );
    describe_counter!(FAILURES, "Appends that the database did not take.");
    drop((histogram!(BATCH_SIZE), histogram!(BATCH_SECONDS), counter!(CONFLICTS), counter!(FAILURES)));
}

pub(crate) fn committed(appends: usize, conflicts: usize, took: Duration) {
    batch(appends, took);
    counter!(CONFLICTS).increment(conflicts.try_into().unwrap_or(u64::MAX));
}

pub(crate) fn failed(appends: usize, took: Duration) {
    batch(appends, took);
    counter!(FAILURES).increment(appends.try_into().unwrap_or(u64::MAX));
}

fn batch(appends: usize, took: Duration) {
    histogram!(BATCH_SIZE).record(u32::try_from(appends).unwrap_or(u32::MAX));
    histogram!(BATCH_SECONDS).record(took);
}
