//! Events in: a batch is folded in memory by its keys, then written in one statement.

use std::collections::BTreeMap;

use domain::Timestamp;
use store::bulk::{self, Column};
use store::{StoreError, Tx};
use uuid::Uuid;

use super::{Counted, Subject, counted, minute_of};
use crate::Change;

#[derive(Debug, Default)]
struct Counts {
    admitted: i64,
    refused: i64,
    last_at: Option<Timestamp>,
}

impl Counts {
    fn admit(&mut self, at: Timestamp) {
        self.admitted += 1;
        // Nodes have their own clocks: what is later in the log may be earlier.
        self.last_at = self.last_at.max(Some(at));
    }
}

/// Subject and minute, in the order of the key: the same log always writes the same rows in the same order.
type Fold = BTreeMap<(Uuid, i64), Counts>;

pub(super) async fn apply(tx: &mut Tx, changes: &[Change]) -> Result<(), StoreError> {
    let mut fold = Fold::new();
    for change in changes {
        let Some(what) = counted(&change.event) else { continue };
        match what {
            Counted::Admitted(user) => {
                row(&mut fold, Subject::User(user), change.at).admit(change.at);
                row(&mut fold, Subject::Service, change.at).admit(change.at);
            }
            Counted::Refused(subject, times) => row(&mut fold, subject, change.at).refused += i64::from(times),
        }
    }
    bulk::execute(tx, ADD, &columns(&fold)).await
}

fn row(fold: &mut Fold, subject: Subject, at: Timestamp) -> &mut Counts {
    fold.entry((subject.key(), minute_of(at))).or_default()
}

fn columns(fold: &Fold) -> [Column<'static>; 5] {
    [
        Column::Uuid(fold.keys().map(|(subject, _)| *subject).collect()),
        Column::Int(fold.keys().map(|(_, minute)| *minute).collect()),
        Column::Int(fold.values().map(|it| it.admitted).collect()),
        Column::Int(fold.values().map(|it| it.refused).collect()),
        Column::OptionalInt(fold.values().map(|it| it.last_at.map(Timestamp::as_micros)).collect()),
    ]
}

/// Counts can't leave their range within a minute. Of two moments the later one stays, of a moment and none the moment.
const ADD: &str = "\
    with counted (subject, minute, admitted, refused, last_at) as ({rows}) \
    insert into limit_minutes (subject, minute, admitted, refused, last_at) \
    select subject, minute, admitted, refused, last_at from counted where true \
    on conflict (subject, minute) do update set \
        admitted = limit_minutes.admitted + excluded.admitted, \
        refused = limit_minutes.refused + excluded.refused, \
        last_at = case \
            when limit_minutes.last_at > excluded.last_at then limit_minutes.last_at \
            else coalesce(excluded.last_at, limit_minutes.last_at) \
        end";
