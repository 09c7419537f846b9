//! `make bench`: what the program does on this machine, each figure as a ratio to something else measured in the same run.
//!
//! `cargo bench --package tests --bench speed -- chat` runs only the measures whose names contain `chat`.
#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "what can't be measured ends the benchmark, and its table is what it is for"
)]

mod accounts;
mod chat;
mod commands;
mod cores;
mod crowd;
mod finding;
mod http;
mod length;
mod limits;
mod load;
mod post;
mod rebuild;
mod replies;
mod report;
mod rest;
mod site;
mod visible;

use std::env::args;
use std::process::ExitCode;

use crate::report::Report;

const MEASURES: [&str; 15] = [
    "commands",
    "chat",
    "visible",
    "rebuild",
    "length",
    "finding",
    "limits",
    "crowd",
    "accounts-sign-ins",
    "accounts-storm",
    "accounts-refreshes",
    "accounts-checks",
    "replies-streams",
    "replies-first-token",
    "rest",
];

#[tokio::main]
async fn main() -> ExitCode {
    // Cargo itself adds `--bench`.
    let filter = args().skip(1).find(|argument| !argument.starts_with("--")).unwrap_or_default();
    let mut report = Report::begin();
    for name in MEASURES {
        if name.contains(&filter) {
            measure(name, &mut report).await;
        }
    }
    println!("{report}");
    if report.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn measure(name: &str, report: &mut Report) {
    match name {
        "commands" => commands::measure(report).await,
        "chat" => chat::measure(report).await,
        "visible" => visible::measure(report).await,
        "rebuild" => rebuild::measure(report).await,
        "length" => length::measure(report).await,
        "finding" => finding::measure(report).await,
        "limits" => limits::measure(report).await,
        "crowd" => crowd::measure(report).await,
        "accounts-sign-ins" => accounts::sign_ins::measure(report).await,
        "accounts-storm" => accounts::storm::measure(report).await,
        "accounts-refreshes" => accounts::refreshes::measure(report).await,
        "accounts-checks" => accounts::checks::measure(report).await,
        "replies-streams" => replies::streams::measure(report).await,
        "replies-first-token" => replies::first_token::measure(report).await,
        _ => rest::measure(report).await,
    }
}
