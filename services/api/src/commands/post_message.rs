//! `PostMessage` → `MessagePosted`, and `ReplyGiven` or `ReplyRequested`: a turn is one append.

use domain::Timestamp;
use domain::chat::conversation::{Conversation, ConversationCommand, ConversationError};
use domain::chat::message::{Message, MessageCommand, MessageError};
use domain::chat::reply::{Asked, ReplyTo};
use domain::chat::rules;
use domain::ids::{ConversationId, MessageId, UserId};
use domain::values::MessageBody;
use store::{Command, StoreError, Unit, fresh_id};
use uuid::Uuid;

#[derive(Debug)]
pub(crate) struct PostMessage {
    pub(crate) by: UserId,
    /// `None` begins a new conversation.
    pub(crate) conversation: Option<ConversationId>,
    pub(crate) body: MessageBody,
    pub(crate) answerer: Answerer,
    pub(crate) ids: TurnIds,
}

/// Who is to answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answerer {
    /// The rule bot, at once.
    Rules,
    Model(Asked),
}

/// The ids of a turn. They are known before it is posted, so that its reply can be watched before it is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TurnIds {
    message: MessageId,
    pub(crate) reply: MessageId,
    /// Of the conversation, should the turn begin one.
    conversation: ConversationId,
    /// They follow from a key: the turn may have been posted before.
    may_exist: bool,
}

/// A client's name for one request of one user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RequestKey(Uuid);

impl RequestKey {
    pub(crate) fn of(user: UserId, name: &str) -> Self {
        Self(Uuid::new_v5(&Uuid::from(user), name.as_bytes()))
    }

    fn id<I: From<Uuid>>(self, of: &str) -> I {
        I::from(Uuid::new_v5(&self.0, of.as_bytes()))
    }
}

impl TurnIds {
    pub(crate) fn fresh() -> Self {
        Self { message: fresh_id(), reply: fresh_id(), conversation: fresh_id(), may_exist: false }
    }

    /// A request that may be sent again has the same ids each time.
    pub(crate) fn of(key: RequestKey) -> Self {
        let (message, reply) = (key.id("message"), key.id("reply"));
        Self { message, reply, conversation: key.id("conversation"), may_exist: true }
    }
}

/// A message and the reply to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Turn {
    pub(crate) conversation: ConversationId,
    pub(crate) message: MessageId,
    pub(crate) reply: MessageId,
    pub(crate) at: Timestamp,
    pub(crate) answer: Answer,
}

impl Turn {
    pub(crate) const fn reply_to(&self, owner: UserId) -> ReplyTo {
        ReplyTo { conversation: self.conversation, owner, to: self.message }
    }
}

/// How the reply stands when the message is posted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    Given {
        text: String,
    },
    Awaited,
    /// The same request came before; whatever became of it stands in the log.
    Repeated,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum PostError {
    #[error("the key was used for another request")]
    KeyReused,
    #[error(transparent)]
    Conversation(#[from] ConversationError),
    #[error(transparent)]
    Message(#[from] MessageError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Command for PostMessage {
    const NAME: &'static str = "post_message";
    type Output = Turn;
    type Error = PostError;

    async fn run(&self, unit: &mut Unit<'_>) -> Result<Turn, PostError> {
        let TurnIds { message, reply, may_exist, .. } = self.ids;
        if may_exist && self.came_before(unit).await? {
            let conversation = self.conversation.unwrap_or(self.ids.conversation);
            return Ok(Turn { conversation, message, reply, at: unit.now(), answer: Answer::Repeated });
        }
        let conversation = self.enter(unit).await?;
        let (owner, body) = (self.by, self.body.clone());
        unit.begin::<Message>(message).decide(MessageCommand::Post { conversation, owner, body })?;
        let answer = self.answer(unit, reply, ReplyTo { conversation, owner, to: message })?;
        Ok(Turn { conversation, message, reply, at: unit.now(), answer })
    }
}

impl PostMessage {
    /// Whether this very request has been fulfilled already.
    async fn came_before(&self, unit: &mut Unit<'_>) -> Result<bool, PostError> {
        let posted = unit.load_fresh::<Message>(self.ids.message).await?.state().clone();
        let Message::Posted { conversation, body, .. } = posted else { return Ok(false) };
        let asked = match unit.load_fresh::<Message>(self.ids.reply).await?.state().clone() {
            Message::Awaited { asked, .. } => Some(asked),
            Message::Replied { asked, .. } => asked,
            Message::Unknown | Message::Posted { .. } => return Err(PostError::KeyReused),
        };
        let answerer = asked.map_or(Answerer::Rules, Answerer::Model);
        let wanted = self.conversation.unwrap_or(self.ids.conversation);
        let same = (conversation, &body, &answerer) == (wanted, &self.body, &self.answerer);
        if same { Ok(true) } else { Err(PostError::KeyReused) }
    }

    async fn enter(&self, unit: &mut Unit<'_>) -> Result<ConversationId, PostError> {
        let Some(id) = self.conversation else {
            let id = self.ids.conversation;
            unit.begin::<Conversation>(id).decide(ConversationCommand::Start { owner: self.by })?;
            return Ok(id);
        };
        unit.load::<Conversation>(id).await?.decide(ConversationCommand::Enter { by: self.by })?;
        Ok(id)
    }

    fn answer(&self, unit: &mut Unit<'_>, id: MessageId, reply: ReplyTo) -> Result<Answer, PostError> {
        let mut stream = unit.begin::<Message>(id);
        match &self.answerer {
            Answerer::Rules => {
                let (text, model) = (rules::answer(&self.body), rules::MODEL.to_owned());
                stream.decide(MessageCommand::GiveReply { reply, text: text.clone(), model })?;
                Ok(Answer::Given { text })
            }
            Answerer::Model(asked) => {
                stream.decide(MessageCommand::RequestReply { reply, asked: asked.clone() })?;
                Ok(Answer::Awaited)
            }
        }
    }
}
