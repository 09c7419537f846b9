//! Rows as they come: woken where the log's growth is heard of, by a look now and then where it is not.

use std::time::Duration;

use projections::token_activity::{self, Filter, Page};
use store::log::POLL;
use store::{Log, Position, ReadModel, StoreError, in_full};

use super::STRIDE;
use super::print::Printer;
use crate::wiring::Failure;

/// How long to wait before another try, when the database is away.
const RETRY: Duration = Duration::from_secs(1);

/// Prints what comes after a place in the log, until nobody reads it any more.
pub(super) async fn follow(
    log: &Log,
    model: &ReadModel,
    filter: &Filter,
    mut cursor: Position,
    mut printer: Printer,
) -> Result<(), Failure> {
    let mut grows = log.grows();
    let listening = tokio::spawn(listen(log.clone()));
    printer.begin()?;
    while !printer.is_closed() {
        match next(model, filter, cursor).await {
            Ok((page, upto)) => {
                cursor = upto;
                printer.print(page.rows)?;
                if !page.more {
                    let _ = tokio::time::timeout(POLL, grows.changed()).await;
                    // What has just been appended is on its way.
                    let head = *grows.borrow_and_update();
                    let _ = model.wait_for(head, POLL).await;
                }
            }
            Err(error) if error.is_passing() => {
                tracing::warn!(cause = in_full(&error), "waiting for the database");
                tokio::time::sleep(RETRY).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
    listening.abort();
    Ok(())
}

/// The next rows, and up to where there are no others.
async fn next(model: &ReadModel, filter: &Filter, cursor: Position) -> Result<(Page, Position), StoreError> {
    let reached = model.position().await?;
    if reached <= cursor {
        return Ok((Page { rows: Vec::new(), more: false }, cursor));
    }
    let page = token_activity::oldest(model.db(), filter, cursor, reached, STRIDE).await?;
    let upto = page.rows.last().map(|row| row.position).filter(|_| page.more).unwrap_or(reached);
    Ok((page, upto))
}

async fn listen(log: Log) {
    loop {
        let _ = log.listen().await;
        tokio::time::sleep(RETRY).await;
    }
}
