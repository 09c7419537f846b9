//! Memory at rest, and the time from the start to the first answer, alone on a fresh folder.

use std::time::{Duration, Instant};

use tests::Colloquy;
use tokio::time::sleep;

use crate::http::{Connection, Request};
use crate::replies::proc::kilobytes;
use crate::report::{Limit, Report, Row, median, millis};

const STARTS: usize = 7;
const REST: Duration = Duration::from_secs(1);

pub async fn measure(report: &mut Report) {
    let (mut megabytes, mut started) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        let builder = Colloquy::builder();
        let begun = Instant::now();
        let mut node = builder.start().await;
        Connection::open(node.address()).await.ask(&Request::get("/live", None)).await;
        started.push(millis(begun.elapsed()));
        sleep(REST).await;
        megabytes.push(kilobytes(node.child().id()) / 1e3);
    }
    report.rounds("memory at rest in MB", &megabytes);
    report.rounds("start to first answer in ms", &started);
    let row = |measure: &str, figures: &[f64], unit, most| Row {
        measure: measure.to_owned(),
        value: median(figures),
        unit,
        of: String::new(),
        bound: None,
        aim: Some(Limit::AtMost(most)),
    };
    report.row(row("memory at rest, SQLite", &megabytes, " MB", 40.0));
    report.row(row("start to first answer, SQLite, fresh folder", &started, " ms", 300.0));
}
