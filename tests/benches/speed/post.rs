//! Commands of the shape that the API's have, for measures that go without HTTP.

use std::error::Error;

use domain::Metadata;
use domain::chat::conversation::{Conversation, ConversationCommand, Features};
use domain::chat::message::{Message, MessageCommand};
use domain::chat::place::{After, Speaker};
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
    pub body: MessageBody,
}

/// A message like many.
pub const WORDS: &str = "What a nice day to measure how long this takes";

impl Start {
    pub fn fresh() -> Self {
        Self::of(fresh_id())
    }

    pub fn of(owner: UserId) -> Self {
        Self { owner, conversation: fresh_id() }
    }

    /// The next turn of what this began.
    pub fn post(&self, text: &str) -> Post {
        let body = MessageBody::try_from(text.to_owned()).expect("words that are a message");
        Post { owner: self.owner, conversation: self.conversation, body }
    }
}

impl Command for Start {
    const NAME: &'static str = "start";
    type Output = ();
    type Error = Failure;

    async fn run(&self, unit: &mut Unit<'_>) -> Result<(), Failure> {
        let start = ConversationCommand::Start { owner: self.owner, features: Features::default() };
        Ok(unit.begin::<Conversation>(self.conversation).decide(start)?)
    }
}

impl Command for Post {
    const NAME: &'static str = "post_message";
    type Output = ();
    type Error = Failure;

    async fn run(&self, unit: &mut Unit<'_>) -> Result<(), Failure> {
        let Self { owner, conversation, .. } = *self;
        unit.load::<Conversation>(conversation).await?.decide(ConversationCommand::Enter { by: owner })?;
        let (message, reply) = (fresh_id::<MessageId>(), fresh_id());
        let (text, model) = (rules::answer(&self.body), rules::MODEL.to_owned());
        let (body, speaker, after) = (self.body.clone(), Speaker::User, After::Latest);
        unit.begin::<Message>(message).decide(MessageCommand::Post { conversation, owner, body, speaker, after })?;
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
