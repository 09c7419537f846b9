//! A log that is written by hand: events that no command would append come out of it, too.

use std::collections::HashMap;

use domain::ids::{ConversationId, MessageId, UserId};
use domain::{Event, Metadata, Timestamp};
use serde::Serialize;
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
        let metadata = Metadata { request_id: "test".to_owned(), ..Metadata::default() };
        self.put(stream_type, id.to_string(), event_type, "1", &json!({event_type: fields}), &metadata).await;
    }

    /// Writes an event of whatever stream, by anybody, from anywhere; when it happened.
    pub async fn record(&mut self, event: &Event, metadata: &Metadata) -> Timestamp {
        macro_rules! put {
            ($stream_type:literal, $id:expr, $event:expr) => {
                self.put($stream_type, $id.to_string(), $event.name(), $event.version(), $event, metadata).await
            };
        }
        match event {
            Event::User(id, event) => put!("user", id, event),
            Event::Claim(id, event) => put!("claim", id, event),
            Event::Token(id, event) => put!("token", id, event),
            Event::ApiKey(id, event) => put!("api_key", id, event),
            Event::Notice(id, event) => put!("notice", id, event),
            Event::Conversation(id, event) => put!("conversation", id, event),
            Event::Message(id, event) => put!("message", id, event),
        }
    }

    async fn put(
        &mut self,
        stream_type: &'static str,
        stream_id: String,
        event_type: &'static str,
        event_version: &'static str,
        payload: &impl Serialize,
        metadata: &Metadata,
    ) -> Timestamp {
        let sequence = self.sequences.entry(stream_id.clone()).or_default();
        *sequence += 1;
        let sequence = *sequence;
        self.now += 1_000;
        let payload = to_raw_value(payload).expect("JSON");
        let event = NewEvent { stream_type, stream_id, sequence, event_type, event_version, payload };
        let metadata = to_raw_value(metadata).expect("JSON");
        let recorded_at = Timestamp::from_micros(self.now);
        let append = Append { events: vec![event], guards: Vec::new(), metadata, recorded_at };
        self.log.append(append).await.expect("the log is up");
        recorded_at
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
