//! Events as readers of the whole log meet them: of any stream, with who did it and from where.

use std::str::FromStr;

use cqrs_es::Aggregate;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::chat::attachment::{Attachment, AttachmentEvent};
use crate::chat::conversation::{Conversation, ConversationEvent};
use crate::chat::message::{Message, MessageEvent};
use crate::ids::{ApiKeyId, AttachmentId, ClaimId, ConversationId, MessageId, NoticeId, TokenId, UserId};
use crate::token::api_key::{ApiKey, ApiKeyEvent};
use crate::token::family::{Token, TokenEvent};
use crate::token::notice::{Notice, NoticeEvent};
use crate::user::claim::{Claim, ClaimEvent};
use crate::user::{User, UserEvent};

/// Any event, with the stream that it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    User(UserId, UserEvent),
    Claim(ClaimId, ClaimEvent),
    Token(TokenId, TokenEvent),
    ApiKey(ApiKeyId, ApiKeyEvent),
    Notice(NoticeId, NoticeEvent),
    Conversation(ConversationId, ConversationEvent),
    Message(MessageId, MessageEvent),
    Attachment(AttachmentId, AttachmentEvent),
}

/// An event that this build can't read.
#[derive(Debug, thiserror::Error)]
pub enum UnknownEvent {
    #[error("no stream is of the type {0:?}")]
    Stream(String),
    #[error("the stream's id is not valid")]
    Id(#[from] uuid::Error),
    #[error("the payload is not an event of its stream")]
    Payload(#[from] serde_json::Error),
}

impl Event {
    /// Reads an event as the log keeps it.
    pub fn decode(stream_type: &str, stream_id: &str, payload: &str) -> Result<Self, UnknownEvent> {
        match stream_type {
            User::TYPE => read(stream_id, payload, Self::User),
            Claim::TYPE => read(stream_id, payload, Self::Claim),
            Token::TYPE => read(stream_id, payload, Self::Token),
            ApiKey::TYPE => read(stream_id, payload, Self::ApiKey),
            Notice::TYPE => read(stream_id, payload, Self::Notice),
            Conversation::TYPE => read(stream_id, payload, Self::Conversation),
            Message::TYPE => read(stream_id, payload, Self::Message),
            Attachment::TYPE => read(stream_id, payload, Self::Attachment),
            unknown => Err(UnknownEvent::Stream(unknown.to_owned())),
        }
    }
}

fn read<I, E>(id: &str, payload: &str, wrap: fn(I, E) -> Event) -> Result<Event, UnknownEvent>
where
    I: FromStr<Err = uuid::Error>,
    E: DeserializeOwned,
{
    Ok(wrap(id.parse()?, serde_json::from_str(payload)?))
}

/// Who caused an event, and by which request; a flat map of texts, as `cqrs-es` wants it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    pub request_id: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub user: Option<UserId>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub session: Option<TokenId>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub key: Option<ApiKeyId>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ip: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub user_agent: Option<String>,
    /// Which process took the request.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub node: Option<String>,
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::chat::conversation::Features;
    use crate::testing::id;

    const STREAM: &str = "018bcfe5-6800-7000-8000-00000000002a";
    const STARTED: &str = r#"{"ConversationStarted":{"owner":"00000000-0000-0000-0000-000000000001"}}"#;

    #[test]
    fn an_event_is_read_with_its_stream() {
        let event = Event::decode("conversation", STREAM, STARTED).unwrap();
        let started = ConversationEvent::ConversationStarted { owner: id(1), features: Features::default() };
        assert_eq!(event, Event::Conversation(STREAM.parse().unwrap(), started));
    }

    #[test]
    fn another_streams_event_is_not_read() {
        for stream_type in ["user", "claim", "token", "message"] {
            assert!(matches!(Event::decode(stream_type, STREAM, STARTED), Err(UnknownEvent::Payload(_))));
        }
    }

    #[test]
    fn an_unknown_stream_is_named_in_the_error() {
        for unknown in ["", "Conversation", "invoice"] {
            let error = Event::decode(unknown, STREAM, STARTED).unwrap_err();
            assert_eq!(error.to_string(), format!("no stream is of the type {unknown:?}"));
        }
    }

    #[test]
    fn a_bad_id_or_payload_is_an_error() {
        assert!(matches!(Event::decode("conversation", "1", STARTED), Err(UnknownEvent::Id(_))));
        for payload in ["", "null", "{}", "\"ConversationStarted\"", r#"{"ConversationStarted":{}}"#, r#"{"Lost":{}}"#]
        {
            assert!(matches!(Event::decode("conversation", STREAM, payload), Err(UnknownEvent::Payload(_))));
        }
    }

    /// `cqrs-es` keeps metadata as a map of texts.
    #[test]
    fn metadata_is_a_flat_map_of_texts_and_back() {
        let full = Metadata {
            request_id: "r-1".to_owned(),
            user: Some(id(1)),
            session: Some(id(2)),
            key: Some(id(3)),
            ip: Some("127.0.0.1".to_owned()),
            user_agent: Some("curl/8".to_owned()),
            node: Some("one".to_owned()),
        };
        for (metadata, entries) in [(full, 7), (Metadata::default(), 1)] {
            let json = serde_json::to_string(&metadata).unwrap();
            assert_eq!(serde_json::from_str::<HashMap<String, String>>(&json).unwrap().len(), entries);
            assert_eq!(serde_json::from_str::<Metadata>(&json).unwrap(), metadata);
        }
    }
}
