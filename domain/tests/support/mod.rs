//! An event as the log keeps it.

use std::fmt::Display;

use cqrs_es::{Aggregate, DomainEvent};
use domain::Event;
use domain::chat::{Attachment, Conversation, Message};
use domain::token::{ApiKey, Notice, Token};
use domain::user::{Claim, User};

#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    pub stream: &'static str,
    pub id: String,
    pub name: String,
    pub version: String,
    pub payload: serde_json::Value,
}

impl Recorded {
    /// A new stream gets its line here, and then in the tests that use this.
    pub fn of(event: &Event) -> Self {
        match event {
            Event::User(id, event) => record::<User>(id, event),
            Event::Claim(id, event) => record::<Claim>(id, event),
            Event::Token(id, event) => record::<Token>(id, event),
            Event::ApiKey(id, event) => record::<ApiKey>(id, event),
            Event::Notice(id, event) => record::<Notice>(id, event),
            Event::Conversation(id, event) => record::<Conversation>(id, event),
            Event::Message(id, event) => record::<Message>(id, event),
            Event::Attachment(id, event) => record::<Attachment>(id, event),
        }
    }
}

fn record<A: Aggregate>(id: &impl Display, event: &A::Event) -> Recorded {
    Recorded {
        stream: A::TYPE,
        id: id.to_string(),
        name: event.event_type(),
        version: event.event_version(),
        payload: serde_json::to_value(event).unwrap(),
    }
}
