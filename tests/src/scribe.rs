//! A log that is written by hand: events that no command would append come out of it, too.

use std::collections::HashMap;

use domain::chat::Usage;
use domain::chat::attachment::{AttachedTo, AttachmentEvent, File};
use domain::chat::conversation::ConversationEvent;
use domain::chat::import::{Imported, Kept, Words};
use domain::chat::message::{MessageEvent, Rating};
use domain::chat::place::{After, Speaker};
use domain::chat::reply::{Ending, Said};
use domain::ids::{AttachmentId, ConversationId, MessageId, UserId};
use domain::values::{Digest, MediaType};
use domain::{Event, Metadata, Timestamp};
use serde::Serialize;
use serde_json::value::to_raw_value;
use serde_json::{Value, json};
use store::{Append, Log, NewEvent};

use crate::Dice;

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
            Event::Attachment(id, event) => put!("attachment", id, event),
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

    /// Posts a message somewhere in the tree.
    pub async fn post_after(
        &mut self,
        owner: UserId,
        conversation: ConversationId,
        after: After,
        text: &str,
    ) -> MessageId {
        self.speak(owner, conversation, after, Speaker::User, text).await
    }

    /// The same in somebody else's words.
    pub async fn speak(
        &mut self,
        owner: UserId,
        conversation: ConversationId,
        after: After,
        speaker: Speaker,
        text: &str,
    ) -> MessageId {
        let id = store::fresh_id::<MessageId>();
        let body = text.to_owned().try_into().expect("a message");
        self.say(Event::Message(id, MessageEvent::MessagePosted { conversation, owner, body, speaker, after })).await;
        id
    }

    /// Whatever else happens.
    pub async fn say(&mut self, event: Event) {
        self.record(&event, &Metadata { request_id: "test".to_owned(), ..Metadata::default() }).await;
    }

    pub async fn attach(&mut self, to: AttachedTo) -> AttachmentId {
        let id = store::fresh_id();
        let name = "a plan.pdf".to_owned().try_into().expect("a name");
        let file = File { name, media_type: MediaType::Pdf, size: 7, digest: Digest::new([15; 32]) };
        self.say(Event::Attachment(id, AttachmentEvent::AttachmentAdded { to, file, kept_as: None })).await;
        id
    }

    pub async fn delete(&mut self, owner: UserId, conversation: ConversationId) {
        self.write("conversation", conversation, "ConversationDeleted", json!({"owner": owner})).await;
    }
}

/// A story of some people, a bit different each time: turns, files, late replies, branches, changes, deletions.
pub async fn tell(scribe: &mut Scribe, owners: &[UserId], turns: usize) {
    let (mut chance, mut open, mut awaited) = (Dice::cast(), Vec::<Room>::new(), Vec::new());
    for turn in 0..turns {
        let dice = chance.below(256);
        let owner = owners[dice % owners.len()];
        if open.is_empty() || dice % 5 == 0 {
            open.push(Room { owner, id: scribe.start(owner).await, said: Vec::new() });
        }
        let at = dice % open.len();
        let room = &mut open[at];
        let message = room.post(scribe, dice, &format!("Message {turn}")).await;
        let reply = scribe.request(room.owner, room.id, message).await;
        room.said.extend([message, reply]);
        room.attach(scribe, dice, message).await;
        if dice % 3 == 0 {
            awaited.push(reply);
        } else {
            scribe.complete(reply, &format!("reply {turn}")).await;
        }
        room.change(scribe, dice / 3).await;
        if dice % 7 == 0 && !awaited.is_empty() {
            scribe.complete(awaited.swap_remove(0), "a late reply").await;
        }
        // In the first half: what is told after that stays.
        if turn < turns / 2 && dice % 11 == 0 {
            let gone = open.swap_remove(at);
            awaited.retain(|reply| !gone.said.contains(reply));
            scribe.delete(gone.owner, gone.id).await;
        }
    }
}

/// A conversation in a story.
struct Room {
    owner: UserId,
    id: ConversationId,
    said: Vec<MessageId>,
}

impl Room {
    /// A file comes with every fourth message; half of them go again.
    async fn attach(&self, scribe: &mut Scribe, dice: usize, message: MessageId) {
        if dice.is_multiple_of(4) {
            let (owner, conversation) = (self.owner, self.id);
            let file = scribe.attach(AttachedTo { owner, conversation, message }).await;
            if dice.is_multiple_of(8) {
                scribe.say(Event::Attachment(file, AttachmentEvent::AttachmentRemoved { owner, message })).await;
            }
        }
    }

    /// One that was said in it.
    fn any(&self, dice: usize) -> Option<MessageId> {
        self.said.get(dice.checked_rem(self.said.len())?).copied()
    }

    async fn post(&self, scribe: &mut Scribe, dice: usize, text: &str) -> MessageId {
        let after = match (dice % 4, self.any(dice)) {
            (0, Some(message)) => After::Message(message),
            (1, _) if dice % 8 == 1 => After::Nothing,
            _ => After::Latest,
        };
        scribe.post_after(self.owner, self.id, after, text).await
    }

    /// A message and a reply to it, said elsewhere.
    async fn import(&mut self, scribe: &mut Scribe, dice: usize, after: MessageId) {
        let body = format!("Elsewhere {dice}").try_into().expect("a message");
        let asked = Words::Posted { speaker: Speaker::User, body };
        let ending = Some(Ending::Stopped).filter(|_| dice.is_multiple_of(2));
        let said = Said { text: format!("reply {dice}"), model: "m3".to_owned(), usage: Usage::default() };
        let question = self.say_elsewhere(scribe, dice, After::Message(after), asked).await;
        let answer = Words::Replied { to: question, said, ending };
        self.say_elsewhere(scribe, dice, After::Message(question), answer).await;
    }

    async fn say_elsewhere(&mut self, scribe: &mut Scribe, dice: usize, after: After, words: Words) -> MessageId {
        let (id, rating) = (store::fresh_id(), Rating::ALL.get(dice % 5).copied());
        let (conversation, owner) = (self.id, self.owner);
        let (created_at, updated_at) = (moment(dice), moment(dice + 1));
        let message = Imported { conversation, owner, after, words, rating, created_at, updated_at };
        scribe.say(Event::Message(id, MessageEvent::MessageImported { message })).await;
        self.said.push(id);
        id
    }

    /// Something else than a turn.
    async fn change(&mut self, scribe: &mut Scribe, dice: usize) {
        let (owner, conversation, Some(message)) = (self.owner, self.id, self.any(dice)) else { return };
        let name = || format!("Room {dice}").try_into().expect("a name");
        let event = match dice % 11 {
            0 => ConversationEvent::BranchChosen { owner, through: message },
            1 => ConversationEvent::ConversationRenamed { owner, name: name() },
            2 => {
                let (model, usage) = ("m".to_owned(), Usage::default());
                ConversationEvent::ConversationTitled { owner, title: name(), model, usage }
            }
            3 => ConversationEvent::ConversationFavourited { owner },
            4 => ConversationEvent::ConversationArchived { owner },
            7 => ConversationEvent::ConversationUnnamed { owner },
            8 => ConversationEvent::TitleWasted { owner, model: "m".to_owned(), usage: Usage::default() },
            5 => {
                let rating = Rating::ALL[dice % Rating::ALL.len()];
                return scribe.say(Event::Message(message, MessageEvent::MessageRated { owner, rating })).await;
            }
            6 => {
                self.said.retain(|said| *said != message);
                return scribe.say(Event::Message(message, MessageEvent::MessageDeleted { owner, conversation })).await;
            }
            9 => {
                let (digest, created_at, updated_at) = (Digest::new([15; 32]), moment(1), moment(dice));
                let kept = Kept { title: Some(name()), digest, created_at, updated_at };
                ConversationEvent::ConversationImported { owner, kept }
            }
            _ => return self.import(scribe, dice, message).await,
        };
        scribe.say(Event::Conversation(conversation, event)).await;
    }
}

fn moment(dice: usize) -> Timestamp {
    Timestamp::from_micros(i64::try_from(dice).expect("few"))
}
