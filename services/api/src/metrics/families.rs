//! The names of what is shown, and what each of them is.

use metrics::{describe_counter, describe_gauge, describe_histogram};

/// Something that is read when the page is asked for.
pub(crate) struct Family {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) help: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Gauge,
    Counter,
}

impl Kind {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Gauge => "gauge",
            Self::Counter => "counter",
        }
    }
}

const fn gauge(name: &'static str, help: &'static str) -> Family {
    Family { name, kind: Kind::Gauge, help }
}

pub(super) const REQUESTS: &str = "colloquy_http_requests_total";
pub(super) const REQUEST_SECONDS: &str = "colloquy_http_request_seconds";
pub(crate) const CONNECTIONS: &str = "colloquy_http_connections";
pub(super) const LIMITS: &str = "colloquy_limit_decisions_total";

/// What is counted here; the log's writer and whoever makes replies have their own.
pub(super) fn describe() {
    describe_counter!(
        REQUESTS,
        "Requests by method, route and status; 499 where the client went before it was answered. A socket is one request."
    );
    describe_histogram!(
        REQUEST_SECONDS,
        "How long requests took, until the head of the answer: a stream's body comes later."
    );
    describe_gauge!(CONNECTIONS, "Connections of clients that are open, sockets included.");
    describe_counter!(
        LIMITS,
        "What each limit admitted and refused; what came to nothing afterwards, and was given back, was admitted."
    );
}

/// Between which numbers it is told apart what was measured, in seconds or in appends.
pub(super) const BOUNDS: [(&str, &[f64]); 4] = [
    // A read of one row, up to a reply that somebody waits for.
    (
        REQUEST_SECONDS,
        &[
            0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0,
            900.0,
        ],
    ),
    // A write that nobody waits for the disk for, up to a database that hardly answers.
    (
        store::metrics::BATCH_SECONDS,
        &[0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0],
    ),
    (store::metrics::BATCH_SIZE, &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0]),
    // A model nearby, up to all that may be tried in its place.
    (replies::metrics::FIRST_TOKEN, &[0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0, 120.0]),
];

pub(crate) const LOG_UP: Family = gauge("colloquy_log_up", "1 where the log answers and can be appended to, else 0.");
pub(crate) const LOG_HEAD: Family = gauge("colloquy_log_head_position", "The position of the log's last event.");
pub(crate) const PROJECTION_POSITION: Family =
    gauge("colloquy_projection_position", "Up to which position a read model has the log.");
pub(crate) const PROJECTION_LAG_EVENTS: Family =
    gauge("colloquy_projection_lag_events", "How many events a read model has yet to take in.");
pub(crate) const PROJECTION_LAG_SECONDS: Family = gauge(
    "colloquy_projection_lag_seconds",
    "How long ago the first event was recorded that a read model has yet to take in; 0 where there is none.",
);
pub(crate) const PROJECTION_STUCK: Family = gauge(
    "colloquy_projection_stuck",
    "1 where this process stands at an event that it can't apply, else 0; of processes that project.",
);
pub(crate) const BUS_UP: Family = gauge("colloquy_bus_up", "1 where events can travel between processes, else 0.");
pub(crate) const RELAY_POSITION: Family = gauge("colloquy_relay_position", "Up to which position the bus has the log.");
pub(crate) const RELAY_LAG: Family =
    gauge("colloquy_relay_lag_events", "How many events the relay has yet to carry to the bus.");
pub(crate) const LIMITS_LOCAL: Family = gauge(
    "colloquy_limits_local",
    "1 where this process decides on limits by itself, as what all share can't be reached, else 0.",
);
pub(crate) const PASSWORDS_WAITING: Family =
    gauge("colloquy_passwords_waiting", "Passwords that wait to be hashed in this process.");
pub(crate) const SQL_CONNECTIONS: Family =
    gauge("colloquy_sql_connections", "Connections to the log's database that are open, by whether one uses them.");

pub(crate) const CPU: Family = Family {
    name: "process_cpu_seconds_total",
    kind: Kind::Counter,
    help: "The processor time that this process took.",
};
pub(crate) const MEMORY: Family = gauge("process_resident_memory_bytes", "How much memory this process has.");
pub(crate) const FILES: Family = gauge("process_open_fds", "Files and connections that are open.");
pub(crate) const THREADS: Family = gauge("process_threads", "How many threads this process has.");
pub(crate) const STARTED: Family =
    gauge("process_start_time_seconds", "When this process began, in seconds since 1970.");
