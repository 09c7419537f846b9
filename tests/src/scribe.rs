//! A log that is written by hand: events that no command would append come out of it, too.

use std::collections::HashMap;

use domain::Timestamp;
use domain::ids::{ConversationId, MessageId, UserId};
use serde_json::value::to_raw_value;
use serde_json::{Value, json};
use store::{Append, Log, NewEvent};
use uuid::Uuid;

/// A log that is written by hand.
pub struct Scribe {
    log: Log,
    sequences: HashMap<String, i64>,
    now: i64,
}

impl Scribe {
    pub fn new(log: &Log) -> Self {
        Self { log: log.clone(), sequences: HashMap::new(), now: 0 }
    }

    pub async fn write(
        &mut self,
        stream_type: &'static str,
        id: impl ToString,
        event_type: &'static str,
        fields: Value,
    ) {
        let stream_id = id.to_string();
        let sequence = self.sequences.entry(stream_id.clone()).or_default();
        *sequence += 1;
        self.now += 1_000;
        let event = NewEvent {
            stream_type,
            stream_id,
            sequence: *sequence,
            event_type,
            event_version: "1",
            payload: to_raw_value(&json!({event_type: fields})).expect("JSON"),
        };
        let metadata = to_raw_value(&json!({"request_id": "test"})).expect("JSON");
        let recorded_at = Timestamp::from_micros(self.now);
        self.log
            .append(Append { events: vec![event], guards: Vec::new(), metadata, recorded_at })
            .await
            .expect("the log is up");
    }

    pub async fn start(&mut self, owner: UserId) -> ConversationId {
        let id = store::fresh_id::<ConversationId>();
        self.write("conversation", id, "ConversationStarted", json!({"owner": owner})).await;
        id
    }

    pub async fn post(&mut self, owner: UserId, conversation: ConversationId, text: &str) -> MessageId {
        let id = store::fresh_id::<MessageId>();
        let fields = json!({"owner": owner, "conversation": conversation, "body": text});
        self.write("message", id, "MessagePosted", fields).await;
        id
    }

    pub async fn request(&mut self, owner: UserId, conversation: ConversationId, to: MessageId) -> MessageId {
        let id = store::fresh_id::<MessageId>();
        let fields = json!({"owner": owner, "conversation": conversation, "to": to, "model": "m"});
        self.write("message", id, "ReplyRequested", fields).await;
        id
    }

    pub async fn complete(&mut self, reply: MessageId, text: &str) {
        let usage = json!({"prompt_tokens": 1, "completion_tokens": 2});
        self.write("message", reply, "ReplyCompleted", json!({"text": text, "model": "m2", "usage": usage})).await;
    }

    pub async fn delete(&mut self, owner: UserId, conversation: ConversationId) {
        self.write("conversation", conversation, "ConversationDeleted", json!({"owner": owner})).await;
    }
}

/// A story of some people, a bit different each time: turns, late replies, deletions.
pub async fn tell(scribe: &mut Scribe, owners: &[UserId], turns: usize) {
    let (mut open, mut awaited) = (Vec::new(), Vec::new());
    for turn in 0..turns {
        let dice = usize::from(store::fresh_id::<Uuid>().as_bytes()[15]);
        let owner = owners[dice % owners.len()];
        if open.is_empty() || dice % 5 == 0 {
            open.push((owner, scribe.start(owner).await));
        }
        let (owner, conversation) = open[dice % open.len()];
        let message = scribe.post(owner, conversation, &format!("message {turn}")).await;
        let reply = scribe.request(owner, conversation, message).await;
        if dice % 3 == 0 {
            awaited.push(reply);
        } else {
            scribe.complete(reply, &format!("reply {turn}")).await;
        }
        if dice % 7 == 0 && !awaited.is_empty() {
            scribe.complete(awaited.swap_remove(0), "a late reply").await;
        }
        if dice % 11 == 0 {
            let (owner, conversation) = open.swap_remove(dice % open.len());
            scribe.delete(owner, conversation).await;
        }
    }
}
