//! What happens in conversations, event by event, and read models that take it in without a log.

use std::sync::Arc;

use domain::chat::Usage;
use domain::chat::conversation::{ConversationEvent, Features};
use domain::chat::import::{Imported, Words};
use domain::chat::message::MessageEvent;
use domain::chat::place::{After, Speaker};
use domain::chat::reply::{Asked, FinishReason, ReplyTo, Said};
use domain::ids::{ConversationId, MessageId, UserId};
use domain::values::MessageBody;
use domain::{Event, Timestamp};
use projections::search::Among;
use projections::{Change, Projection};
use serde_json::value::to_raw_value;
use store::{Db, Position, ReadModel, Recorded, fresh_id, on};

pub fn started(id: ConversationId, owner: UserId, favourite: bool) -> Event {
    let features = Features { favourite, ..Features::default() };
    Event::Conversation(id, ConversationEvent::ConversationStarted { owner, features })
}

pub fn favoured(id: ConversationId, owner: UserId, favourite: bool) -> Event {
    let (yes, no) =
        (ConversationEvent::ConversationFavourited { owner }, ConversationEvent::ConversationUnfavourited { owner });
    Event::Conversation(id, if favourite { yes } else { no })
}

pub fn conversation_deleted(id: ConversationId, owner: UserId) -> Event {
    Event::Conversation(id, ConversationEvent::ConversationDeleted { owner })
}

pub fn posted(id: MessageId, conversation: ConversationId, owner: UserId, text: &str) -> Event {
    said_by(Speaker::User, id, conversation, owner, text)
}

pub fn said_by(speaker: Speaker, id: MessageId, conversation: ConversationId, owner: UserId, text: &str) -> Event {
    let (body, after) = (MessageBody::try_from(text.to_owned()).expect("a message"), After::Latest);
    Event::Message(id, MessageEvent::MessagePosted { conversation, owner, body, speaker, after })
}

pub fn requested(id: MessageId, conversation: ConversationId, owner: UserId) -> Event {
    let reply = ReplyTo { conversation, owner, to: fresh_id() };
    let asked = Asked { model: "m".to_owned(), max_tokens: None, temperature: None };
    Event::Message(id, MessageEvent::ReplyRequested { reply, asked })
}

/// What a model said.
pub fn said(text: &str) -> Said {
    Said { text: text.to_owned(), model: "m".to_owned(), usage: Usage::default() }
}

/// Somebody's words, or a reply, from elsewhere.
pub fn imported(id: MessageId, conversation: ConversationId, owner: UserId, text: &str, is_reply: bool) -> Event {
    let body = || MessageBody::try_from(text.to_owned()).expect("a message");
    let words = if is_reply {
        Words::Replied { to: fresh_id(), said: said(text), ending: None }
    } else {
        Words::Posted { speaker: Speaker::User, body: body() }
    };
    let (created_at, updated_at) = (moment(-7), moment(-3));
    let (after, rating) = (After::Latest, None);
    let message = Imported { conversation, owner, after, words, rating, created_at, updated_at };
    Event::Message(id, MessageEvent::MessageImported { message })
}

/// The first version of it names no owner.
pub fn completed(id: MessageId, owner: Option<UserId>, text: &str) -> Event {
    Event::Message(id, MessageEvent::ReplyCompleted { owner, said: said(text), finish: FinishReason::Stop })
}

pub fn message_deleted(id: MessageId, conversation: ConversationId, owner: UserId) -> Event {
    Event::Message(id, MessageEvent::MessageDeleted { owner, conversation })
}

/// As a log holds it at a position.
fn recorded(event: &Event, number: i64) -> Recorded {
    let (stream_type, stream_id, payload) = match event {
        Event::Conversation(id, event) => ("conversation", id.to_string(), to_raw_value(event)),
        Event::Message(id, event) => ("message", id.to_string(), to_raw_value(event)),
        Event::User(..)
        | Event::Claim(..)
        | Event::Token(..)
        | Event::ApiKey(..)
        | Event::Notice(..)
        | Event::Attachment(..) => panic!("{event:?} is of no conversation"),
    };
    Recorded {
        position: Position::new(number),
        recorded_at: moment(number),
        stream_type: stream_type.to_owned(),
        stream_id,
        sequence: 1,
        event_type: String::new(),
        event_version: String::new(),
        payload: payload.expect("JSON"),
        metadata: to_raw_value(&()).expect("JSON"),
    }
}

/// When the event at a position happened: a second after the one before.
pub fn moment(position: i64) -> Timestamp {
    Timestamp::from_micros(0).plus_seconds(position)
}

/// Has a read model take events in, so many at once, behind what is there.
pub async fn feed<P: Projection>(model: &ReadModel, events: &[Event], at_once: usize) {
    let behind = model.checkpoint().await.expect("the read model is up").get();
    let change = |(number, event)| Change::try_from(&Arc::new(recorded(event, number))).expect("an event");
    let changes: Vec<Change> = (behind + 1..).zip(events).map(change).collect();
    for chunk in changes.chunks(at_once) {
        let mut batch = model.begin().await.expect("the read model is up");
        P::apply(&mut batch.tx, chunk).await.expect("events that can be taken in");
        batch.commit(chunk[chunk.len() - 1].position).await.expect("the read model is up");
    }
}

/// All of somebody's messages.
pub const fn all(owner: UserId) -> Among {
    Among { owner, conversation: None, role: None, since: None, until: None, favourite: None }
}

/// Every row of these tables, in the order of its words.
pub async fn dump(db: &Db, tables: &[&str]) -> Vec<String> {
    let mut all = Vec::new();
    for table in tables {
        let row = match db {
            Db::Postgres(_) => format!("row_to_json({table})::text"),
            Db::Sqlite(file) => {
                let columns = "select 'quote(' || name || ')' from pragma_table_info($1)";
                let columns: Result<Vec<String>, _> =
                    sqlx::query_scalar(columns).bind(*table).fetch_all(&file.read).await;
                columns.expect("a table").join(" || ' | ' || ")
            }
        };
        let sql = format!("select '{table} ' || {row} from {table}");
        let mut rows: Vec<String> =
            on!(db, pool => sqlx::query_scalar(&sql).fetch_all(pool).await).expect("rows that can be read");
        rows.sort_unstable();
        all.extend(rows);
    }
    all
}
