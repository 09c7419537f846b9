//! Events in: a batch is folded in memory by its keys, then written in one statement.

use std::collections::BTreeMap;

use domain::ids::UserId;
use domain::limit::day_of;
use store::bulk::{self, Column};
use store::{StoreError, Tx};
use uuid::Uuid;

use super::{Sums, keys, spent};
use crate::Change;

/// How much of a model's name is kept, in characters: an index takes no long ones, and a provider may say anything.
const LONGEST_MODEL: usize = 200;

/// Owner, day and model, in the order of the key: the same log always writes the same rows in the same order.
type Fold<'a> = BTreeMap<(UserId, i64, &'a str), Sums>;

pub(super) async fn apply(tx: &mut Tx, changes: &[Change]) -> Result<(), StoreError> {
    let mut fold = Fold::new();
    for change in changes {
        let Some((owner, model, sums)) = spent(&change.event) else { continue };
        fold.entry((owner, day_of(change.at), kept(model))).or_default().add(sums);
    }
    bulk::execute(tx, ADD, &columns(&fold)).await?;
    keys::apply(tx, changes).await
}

/// What the table keeps of a name; Postgres has no place for a null character.
fn kept(model: &str) -> &str {
    let model = model.split('\0').next().unwrap_or_default();
    model.char_indices().nth(LONGEST_MODEL).and_then(|(end, _)| model.get(..end)).unwrap_or(model)
}

fn columns<'a>(fold: &Fold<'a>) -> [Column<'a>; 11] {
    let sum = |of: fn(&Sums) -> i64| Column::Int(fold.values().map(of).collect());
    [
        Column::Uuid(fold.keys().map(|(owner, ..)| Uuid::from(*owner)).collect()),
        Column::Int(fold.keys().map(|(_, day, _)| *day).collect()),
        Column::Text(fold.keys().map(|(.., model)| *model).collect()),
        sum(|it| it.replies),
        sum(|it| it.completed),
        sum(|it| it.stopped),
        sum(|it| it.interrupted),
        sum(|it| it.prompt_tokens),
        sum(|it| it.completion_tokens),
        sum(|it| it.estimated),
        Column::OptionalInt(fold.values().map(|it| it.cost_micros).collect()),
    ]
}

/// Counts and tokens can't leave their range within a day; a cost may be anything, and stops at the end of it.
const ADD: &str = "\
    with spent (owner, day, model, replies, completed, stopped, interrupted, prompt_tokens, completion_tokens, \
                estimated, cost_micros) as ({rows}) \
    insert into usage_days (owner, day, model, replies, completed, stopped, interrupted, prompt_tokens, \
                            completion_tokens, estimated, cost_micros) \
    select owner, day, model, replies, completed, stopped, interrupted, prompt_tokens, completion_tokens, estimated, \
           cost_micros from spent where true \
    on conflict (owner, day, model) do update set \
        replies = usage_days.replies + excluded.replies, \
        completed = usage_days.completed + excluded.completed, \
        stopped = usage_days.stopped + excluded.stopped, \
        interrupted = usage_days.interrupted + excluded.interrupted, \
        prompt_tokens = usage_days.prompt_tokens + excluded.prompt_tokens, \
        completion_tokens = usage_days.completion_tokens + excluded.completion_tokens, \
        estimated = usage_days.estimated + excluded.estimated, \
        cost_micros = case \
            when usage_days.cost_micros > 9223372036854775807 - excluded.cost_micros then 9223372036854775807 \
            else coalesce(usage_days.cost_micros + excluded.cost_micros, usage_days.cost_micros, excluded.cost_micros) \
        end";
