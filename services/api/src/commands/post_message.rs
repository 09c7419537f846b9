//! `PostMessage` → `MessagePosted`, and `ReplyGiven` or `ReplyRequested`: a turn is one append.
//!
//! Where its client says at which message it believes the conversation to be, `BranchChosen` comes with it: two such turns
//! can't both be right. What a client brings along that was said elsewhere comes before it, in the same append.

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
use super::room::{Room, enter_home};

#[derive(Debug)]
pub(crate) struct PostMessage {
    pub(crate) by: UserId,
    pub(crate) room: Room,
    pub(crate) after: After,
    pub(crate) if_leaf: Option<IfLeaf>,
    /// Oldest first; for a conversation that this begins.
    pub(crate) earlier: Vec<Earlier>,
    pub(crate) speaker: Speaker,
    pub(crate) body: MessageBody,
    pub(crate) answerer: Answerer,
    pub(crate) ids: TurnIds,
}

/// A message that was said elsewhere, and is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Earlier {
    pub(crate) speaker: Speaker,
    pub(crate) body: MessageBody,
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
    /// They follow from it: the turn may have been posted before.
    key: Option<RequestKey>,
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
        Self { message: fresh_id(), reply: fresh_id(), conversation: fresh_id(), key: None }
    }

    /// A request that may be sent again has the same ids each time.
    pub(crate) fn of(key: RequestKey) -> Self {
        let (message, reply) = (key.id("message"), key.id("reply"));
        Self { message, reply, conversation: key.id("conversation"), key: Some(key) }
    }

    /// The message that says whether the same request came before, where it may have.
    pub(crate) fn before(&self) -> Option<MessageId> {
        self.key.map(|_| self.message)
    }

    /// Of what was said before.
    fn earlier(&self, number: usize) -> MessageId {
        self.key.map_or_else(fresh_id, |key| key.id(&format!("earlier {number}")))
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
        let TurnIds { message, reply, key, .. } = self.ids;
        if key.is_some()
            && let Some(conversation) = self.came_before(unit).await?
        {
            return Ok(Turn { conversation, message, reply, at: unit.now(), answer: Answer::Repeated });
        }
        let conversation = self.enter(unit).await?;
        self.find_parent(unit, conversation).await?;
        self.keep_earlier(unit, conversation)?;
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
    /// Where this very request has been fulfilled already, if it has.
    async fn came_before(&self, unit: &mut Unit<'_>) -> Result<Option<ConversationId>, PostError> {
        let posted = unit.load_fresh::<Message>(self.ids.message).await?.state().clone();
        let (conversation, body, speaker, after) = match posted {
            Message::Posted { conversation, body, speaker, after, .. } => (conversation, body, speaker, after),
            Message::Unknown => return Ok(None),
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
        let wanted = match self.room {
            Room::New => self.ids.conversation,
            Room::In(conversation) => conversation,
            // It may have been another then.
            Room::Home => conversation,
        };
        let same = (conversation, &body, speaker, after, &answerer)
            == (wanted, &self.body, self.speaker, self.after, &self.answerer);
        if same && self.earlier_came_before(unit).await? { Ok(Some(conversation)) } else { Err(PostError::KeyReused) }
    }

    /// Whether all that comes before it did so then, and nothing else.
    async fn earlier_came_before(&self, unit: &mut Unit<'_>) -> Result<bool, PostError> {
        for (number, earlier) in self.earlier.iter().enumerate() {
            match unit.load_fresh::<Message>(self.ids.earlier(number)).await?.state() {
                Message::Posted { body, speaker, .. } if (speaker, body) == (&earlier.speaker, &earlier.body) => {}
                Message::Deleted => return Err(PostError::Gone),
                Message::Unknown | Message::Posted { .. } | Message::Awaited { .. } | Message::Replied { .. } => {
                    return Ok(false);
                }
            }
        }
        let one_more = self.ids.earlier(self.earlier.len());
        Ok(*unit.load_fresh::<Message>(one_more).await?.state() == Message::Unknown)
    }

    /// One follows the other, as they come into the log together.
    fn keep_earlier(&self, unit: &mut Unit<'_>, conversation: ConversationId) -> Result<(), PostError> {
        for (number, Earlier { speaker, body }) in self.earlier.iter().enumerate() {
            let (owner, body, speaker, after) = (self.by, body.clone(), *speaker, After::Latest);
            let post = MessageCommand::Post { conversation, owner, body, speaker, after };
            unit.begin::<Message>(self.ids.earlier(number)).decide(post)?;
        }
        Ok(())
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
        match self.room {
            Room::New => {
                let (id, owner) = (self.ids.conversation, self.by);
                let start = ConversationCommand::Start { owner, features: Features::default() };
                unit.begin::<Conversation>(id).decide(start)?;
                Ok(id)
            }
            Room::In(id) => {
                unit.load::<Conversation>(id).await?.decide(ConversationCommand::Enter { by: self.by })?;
                Ok(id)
            }
            Room::Home => enter_home(unit, self.by).await,
        }
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
