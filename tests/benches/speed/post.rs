//! Commands of the shape that the API's have, for measures that go without HTTP.

use std::error::Error;

use domain::Metadata;
use domain::chat::conversation::{Conversation, ConversationCommand};
use domain::chat::message::{Message, MessageCommand};
use domain::chat::reply::ReplyTo;
use domain::chat::rules;
use domain::ids::{ConversationId, MessageId, UserId};
use domain::values::MessageBody;
use store::{Command, Executor, Position, Unit, fresh_id};

pub type Failure = Box<dyn Error + Send + Sync>;

/// Begins a conversation: one event on a fresh stream.
pub struct Start {
    pub owner: UserId,
    pub conversation: ConversationId,
}

/// A turn: three events on two fresh streams, in a conversation that there is.
pub struct Post {
    pub owner: UserId,
    pub conversation: ConversationId,
}

const WORDS: &str = "What a nice day to measure how long this takes";

impl Start {
    pub fn fresh() -> Self {
        Self { owner: fresh_id(), conversation: fresh_id() }
    }
}

impl Command for Start {
    const NAME: &'static str = "start";
    type Output = ();
    type Error = Failure;

    async fn run(&self, unit: &mut Unit<'_>) -> Result<(), Failure> {
        let start = ConversationCommand::Start { owner: self.owner };
        Ok(unit.begin::<Conversation>(self.conversation).decide(start)?)
    }
}

impl Command for Post {
    const NAME: &'static str = "post_message";
    type Output = ();
    type Error = Failure;

    async fn run(&self, unit: &mut Unit<'_>) -> Result<(), Failure> {
        let Self { owner, conversation } = *self;
        unit.load::<Conversation>(conversation).await?.decide(ConversationCommand::Enter { by: owner })?;
        let (message, reply) = (fresh_id::<MessageId>(), fresh_id());
        let body = MessageBody::within(WORDS, WORDS.len()).map_err(|_| "words that are no message")?;
        let (text, model) = (rules::answer(&body), rules::MODEL.to_owned());
        unit.begin::<Message>(message).decide(MessageCommand::Post { conversation, owner, body })?;
        let to = ReplyTo { conversation, owner, to: message };
        Ok(unit.begin::<Message>(reply).decide(MessageCommand::GiveReply { reply: to, text, model })?)
    }
}

/// Executes a command; the position of its last event.
pub async fn execute(executor: &Executor, command: &impl Command<Error = Failure>) -> Position {
    let metadata = Metadata { request_id: fresh_id::<UserId>().to_string(), ..Metadata::default() };
    let done = executor.execute(command, metadata).await.expect("a command that can't fail");
    done.position.expect("a command that appends")
}
