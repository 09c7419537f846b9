//! `what happens ─▶ counted ─▶ GET /metrics`: what this process counts, and the page that Prometheus reads.
//!
//! Most is counted where it happens. What can be read at any time, such as how far a read model has come, is read when the
//! page is asked for: `families` has their names.

mod answering;
pub(crate) mod families;
mod login;
mod page;
pub(crate) mod process;

use std::sync::OnceLock;
use std::time::Duration;

use domain::Timestamp;
use domain::token::notice::LimitKind;
use metrics::counter;
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use store::Clock;
use tokio_util::sync::CancellationToken;

pub(crate) use answering::Answering;
use families::{BOUNDS, LIMITS};
pub use login::MetricsLogin;
pub(crate) use page::Page;

/// What was counted in this process, and who may read it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Metrics {
    counted: PrometheusHandle,
    /// None: whoever asks from this machine.
    pub(crate) login: Option<MetricsLogin>,
    pub(crate) started: Timestamp,
}

/// There is one in a process, however many nodes a test has in it.
static COUNTED: OnceLock<(PrometheusHandle, Timestamp)> = OnceLock::new();
/// How often what was measured is put into its buckets: until then each time is kept by itself.
const UPKEEP: Duration = Duration::from_secs(5);

impl Metrics {
    /// From now on this process counts, if it has not before.
    pub fn install(login: Option<MetricsLogin>) -> Result<Self, BuildError> {
        let recorder = recorder()?;
        let (counted, started) = COUNTED.get_or_init(|| begin(recorder)).clone();
        Ok(Self { counted, login, started })
    }

    /// Keeps what was measured small, until told to stop.
    pub async fn run(self, stop: CancellationToken) {
        let upkeep = async {
            loop {
                tokio::time::sleep(UPKEEP).await;
                self.counted.run_upkeep();
            }
        };
        stop.run_until_cancelled(upkeep).await;
    }

    /// What was counted, as text.
    pub(crate) fn counted(&self) -> String {
        self.counted.render()
    }
}

fn recorder() -> Result<PrometheusRecorder, BuildError> {
    let with = |builder: PrometheusBuilder, (family, bounds): (&str, &[f64])| {
        builder.set_buckets_for_metric(Matcher::Full(family.to_owned()), bounds)
    };
    Ok(BOUNDS.into_iter().try_fold(PrometheusBuilder::new(), with)?.build_recorder())
}

fn begin(recorder: PrometheusRecorder) -> (PrometheusHandle, Timestamp) {
    let handle = recorder.handle();
    if metrics::set_global_recorder(recorder).is_err() {
        tracing::error!("something else counts in this process: /metrics shows a part");
    }
    store::metrics::describe();
    replies::metrics::describe();
    families::describe();
    (handle, Clock::System.now())
}

/// A limit has let something in, or has not.
pub(crate) fn limited(kind: LimitKind, is_admitted: bool) {
    let outcome = if is_admitted { "admitted" } else { "refused" };
    counter!(LIMITS, "limit" => kind.as_str(), "outcome" => outcome).increment(1);
}
