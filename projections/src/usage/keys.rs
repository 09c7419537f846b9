//! Events in, once more: what was spent with which key. Who asks for a reply says with which one; its end does not. Whatever is
//! asked for goes by an id of its own.

use std::collections::BTreeMap;

use domain::Event;
use domain::chat::message::MessageEvent;
use domain::ids::ApiKeyId;
use domain::limit::day_of;
use domain::token::notice::NoticeEvent;
use store::bulk::{self, Column};
use store::{StoreError, Tx};
use uuid::Uuid;

use super::{Sums, spent_on_reply};
use crate::Change;

/// The most that a reply is taken to cost, in millionths of a dollar: so no sum of a batch leaves its range.
const DEAREST: i64 = 1_000_000_000_000;

/// In the order of their keys.
#[derive(Default)]
struct Fold {
    asked: BTreeMap<Uuid, ApiKeyId>,
    ended: BTreeMap<Uuid, (i64, Sums)>,
    /// Of which nothing more is heard.
    over: Vec<Uuid>,
}

/// Beside what is spent: that a reply is asked for, or deleted while it is awaited.
pub(super) const fn concerns(event: &Event) -> bool {
    matches!(event, Event::Message(_, MessageEvent::ReplyRequested { .. } | MessageEvent::MessageDeleted { .. }))
}

pub(super) async fn apply(tx: &mut Tx, changes: &[Change]) -> Result<(), StoreError> {
    let mut fold = Fold::default();
    for change in changes {
        fold.add(change)?;
    }
    bulk::execute(tx, ASK, &fold.asked()).await?;
    bulk::execute(tx, ADD, &fold.ended()).await?;
    bulk::execute(tx, FORGET, &[Column::Uuid(fold.over)]).await
}

impl Fold {
    fn add(&mut self, change: &Change) -> Result<(), StoreError> {
        match &change.event {
            Event::Message(id, event) => self.message(change, (*id).into(), event),
            // It is asked for and over at once.
            Event::Notice(id, NoticeEvent::TextsEmbedded { usage, .. }) => {
                let id = (*id).into();
                self.asked.extend(change.metadata()?.key.map(|key| (id, key)));
                self.ended.insert(id, (day_of(change.at), Sums::of_tokens(*usage)));
                self.over.push(id);
                Ok(())
            }
            Event::Notice(..)
            | Event::Conversation(..)
            | Event::User(..)
            | Event::Claim(..)
            | Event::Token(..)
            | Event::ApiKey(..)
            | Event::Attachment(..) => Ok(()),
        }
    }

    fn message(&mut self, change: &Change, id: Uuid, event: &MessageEvent) -> Result<(), StoreError> {
        match event {
            MessageEvent::ReplyRequested { .. } => self.asked.extend(change.metadata()?.key.map(|key| (id, key))),
            MessageEvent::ReplyCompleted { .. }
            | MessageEvent::ReplyStopped { .. }
            | MessageEvent::ReplyInterrupted { .. } => {
                let sums = spent_on_reply(event).map(|(.., sums)| (id, (day_of(change.at), sums)));
                self.ended.extend(sums);
                self.over.push(id);
            }
            MessageEvent::MessageDeleted { .. } => self.over.push(id),
            MessageEvent::MessagePosted { .. }
            | MessageEvent::ReplyGiven { .. }
            | MessageEvent::MessageImported { .. }
            | MessageEvent::MessageRated { .. }
            | MessageEvent::MessageEmbedded { .. } => {}
        }
        Ok(())
    }

    fn asked(&self) -> [Column<'_>; 2] {
        [
            Column::Uuid(self.asked.keys().copied().collect()),
            Column::Uuid(self.asked.values().copied().map(Uuid::from).collect()),
        ]
    }

    fn ended(&self) -> [Column<'_>; 5] {
        let sum = |of: fn(&Sums) -> i64| Column::Int(self.ended.values().map(|(_, sums)| of(sums)).collect());
        [
            Column::Uuid(self.ended.keys().copied().collect()),
            Column::Int(self.ended.values().map(|(day, _)| *day).collect()),
            sum(|it| it.prompt_tokens),
            sum(|it| it.completion_tokens),
            sum(|it| it.cost_micros.unwrap_or(0).min(DEAREST)),
        ]
    }
}

const ASK: &str = "\
    with asked (reply, api_key) as ({rows}) \
    insert into usage_asked (reply, api_key) select reply, api_key from asked where true \
    on conflict (reply) do nothing";

const ADD: &str = "\
    with ended (reply, day, prompt_tokens, completion_tokens, cost_micros) as ({rows}) \
    insert into usage_key_days (api_key, day, prompt_tokens, completion_tokens, cost_micros) \
    select usage_asked.api_key, ended.day, cast(sum(ended.prompt_tokens) as bigint), \
           cast(sum(ended.completion_tokens) as bigint), cast(sum(ended.cost_micros) as bigint) \
    from ended join usage_asked on usage_asked.reply = ended.reply where true \
    group by usage_asked.api_key, ended.day \
    on conflict (api_key, day) do update set \
        prompt_tokens = usage_key_days.prompt_tokens + excluded.prompt_tokens, \
        completion_tokens = usage_key_days.completion_tokens + excluded.completion_tokens, \
        cost_micros = usage_key_days.cost_micros + excluded.cost_micros";

const FORGET: &str = "\
    with over (reply) as ({rows}) delete from usage_asked where reply in (select reply from over)";
