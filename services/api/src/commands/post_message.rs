//! `PostMessage` → `MessagePosted`, and `ReplyGiven` or `ReplyRequested`: a turn is one append.
//!
//! Where its client says at which message it believes the conversation to be, `BranchChosen` comes with it: two such turns
//! can't both be right.

use domain::Timestamp;
use domain::chat::conversation::{Conversation, ConversationCommand, ConversationError, Features};
use domain::chat::message::{Message, MessageCommand, MessageError};
use domain::chat::place::{After, Speaker};
use domain::chat::reply::{Asked, ReplyTo};
use domain::chat::rules;
use domain::ids::{ConversationId, MessageId, UserId};
use domain::values::MessageBody;
use store::{Command, StoreError, Unit, fresh_id};
use uuid::Uuid;

use super::branch::{BranchError, IfLeaf};

#[derive(Debug)]
pub(crate) struct PostMessage {
    pub(crate) by: UserId,
    /// `None` begins a new conversation.
    pub(crate) conversation: Option<ConversationId>,
    pub(crate) after: After,
    pub(crate) if_leaf: Option<IfLeaf>,
    pub(crate) speaker: Speaker,
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
    /// The message is only kept.
    Nobody,
}

/// The ids of a turn. They are known before it is posted, so that its reply can be watched before it is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TurnIds {
    pub(crate) message: MessageId,
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

    /// For a request that nobody can send again.
    pub(crate) fn fresh() -> Self {
        Self(fresh_id())
    }

    /// The id of another reply beside one.
    pub(crate) fn again(self, reply: MessageId) -> MessageId {
        self.id(&format!("again {reply}"))
    }

    pub(crate) fn id<I: From<Uuid>>(self, of: &str) -> I {
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
    /// Nobody was asked.
    Nothing,
    /// The same request came before; whatever became of it stands in the log.
    Repeated,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum PostError {
    #[error("the key was used for another request")]
    KeyReused,
    #[error("what the same request made was deleted")]
    Gone,
    #[error("there is no such message to follow")]
    NoSuchParent,
    #[error(transparent)]
    Branch(#[from] BranchError),
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
        self.find_parent(unit, conversation).await?;
        let (owner, body) = (self.by, self.body.clone());
        let (speaker, after) = (self.speaker, self.after);
        unit.begin::<Message>(message).decide(MessageCommand::Post { conversation, owner, body, speaker, after })?;
        let answer = self.answer(unit, reply, ReplyTo { conversation, owner, to: message })?;
        if let Some(expected) = &self.if_leaf {
            expected.choose(unit, conversation, owner, message).await?;
        }
        Ok(Turn { conversation, message, reply, at: unit.now(), answer })
    }
}

impl PostMessage {
    /// Whether this very request has been fulfilled already.
    async fn came_before(&self, unit: &mut Unit<'_>) -> Result<bool, PostError> {
        let posted = unit.load_fresh::<Message>(self.ids.message).await?.state().clone();
        let (conversation, body, speaker, after) = match posted {
            Message::Posted { conversation, body, speaker, after, .. } => (conversation, body, speaker, after),
            Message::Unknown => return Ok(false),
            Message::Deleted => return Err(PostError::Gone),
            Message::Awaited { .. } | Message::Replied { .. } => return Err(PostError::KeyReused),
        };
        let answerer = match unit.load_fresh::<Message>(self.ids.reply).await?.state().clone() {
            Message::Awaited { asked, .. } | Message::Replied { asked: Some(asked), .. } => Answerer::Model(asked),
            Message::Replied { asked: None, .. } => Answerer::Rules,
            Message::Unknown => Answerer::Nobody,
            Message::Posted { .. } => return Err(PostError::KeyReused),
            Message::Deleted => return Err(PostError::Gone),
        };
        let wanted = self.conversation.unwrap_or(self.ids.conversation);
        let same = (conversation, &body, speaker, after, &answerer)
            == (wanted, &self.body, self.speaker, self.after, &self.answerer);
        if same { Ok(true) } else { Err(PostError::KeyReused) }
    }

    /// What it is to follow must be there; as it was read, it is still there when the message comes into the log.
    async fn find_parent(&self, unit: &mut Unit<'_>, conversation: ConversationId) -> Result<(), PostError> {
        let After::Message(parent) = self.after else { return Ok(()) };
        let mut stream = unit.load::<Message>(parent).await?;
        let is_where_it_goes_on = self.if_leaf.as_ref().is_some_and(|expected| expected.leaf == parent);
        let found = stream.decide(MessageCommand::Find { by: self.by, conversation });
        found.map_err(|_| if is_where_it_goes_on { BranchError::Stale.into() } else { PostError::NoSuchParent })
    }

    async fn enter(&self, unit: &mut Unit<'_>) -> Result<ConversationId, PostError> {
        let Some(id) = self.conversation else {
            let id = self.ids.conversation;
            unit.begin::<Conversation>(id)
                .decide(ConversationCommand::Start { owner: self.by, features: Features::default() })?;
            return Ok(id);
        };
        unit.load::<Conversation>(id).await?.decide(ConversationCommand::Enter { by: self.by })?;
        Ok(id)
    }

    fn answer(&self, unit: &mut Unit<'_>, id: MessageId, reply: ReplyTo) -> Result<Answer, PostError> {
        match &self.answerer {
            Answerer::Rules => {
                let (text, model) = (rules::answer(&self.body), rules::MODEL.to_owned());
                unit.begin::<Message>(id).decide(MessageCommand::GiveReply { reply, text: text.clone(), model })?;
                Ok(Answer::Given { text })
            }
            Answerer::Model(asked) => {
                let asked = asked.clone();
                unit.begin::<Message>(id).decide(MessageCommand::RequestReply { reply, asked })?;
                Ok(Answer::Awaited)
            }
            Answerer::Nobody => Ok(Answer::Nothing),
        }
    }
}
