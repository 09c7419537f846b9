//! `StopReply` → `ReplyStopped`, where nobody makes it; `AskAgain` → `ReplyRequested` or `ReplyGiven` once more.

use domain::chat::conversation::{Conversation, ConversationCommand};
use domain::chat::message::{Message, MessageCommand, MessageError};
use domain::chat::reply::{Ending, ReplyTo, Said, Usage};
use domain::chat::rules;
use domain::ids::{MessageId, UserId};
use store::{Command, StoreError, Unit};
use uuid::Uuid;

use super::branch::{BranchError, IfLeaf};
use super::post_message::Answerer;

/// Ends a reply that nobody answers for, with what was heard of it.
#[derive(Debug)]
pub(crate) struct StopReply {
    pub(crate) reply: MessageId,
    pub(crate) heard: String,
}

impl Command for StopReply {
    const NAME: &'static str = "stop_reply";
    /// Whose reply it is that ends so.
    type Output = Option<String>;
    type Error = StoreError;

    async fn run(&self, unit: &mut Unit<'_>) -> Result<Option<String>, StoreError> {
        let mut stream = unit.load_fresh::<Message>(self.reply).await?;
        let Message::Awaited { asked, .. } = stream.state().clone() else { return Ok(None) };
        let completion_tokens = replies::tokens(&self.heard);
        let usage = Usage { completion_tokens, estimated: !self.heard.is_empty(), ..Usage::default() };
        let said = Said { text: self.heard.clone(), model: asked.model.clone(), usage };
        // It may have ended meanwhile, and that is as good.
        let ended = stream.decide(MessageCommand::EndReply { said, ending: Ending::Stopped });
        Ok(ended.is_ok().then_some(asked.model))
    }
}

/// Asks once more for a reply to the same message, beside the one that there is. Asked twice under one id it is one reply.
#[derive(Debug)]
pub(crate) struct AskAgain {
    pub(crate) by: UserId,
    pub(crate) reply: MessageId,
    /// Of the new one.
    pub(crate) id: MessageId,
    /// `None` asks whoever answered before.
    pub(crate) answerer: Option<Answerer>,
    pub(crate) if_leaf: Option<IfLeaf>,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum AskAgainError {
    #[error("it is no reply, or has not ended")]
    NothingToRepeat,
    #[error("the key was used for another request")]
    KeyReused,
    #[error("what the same request made was deleted")]
    Gone,
    #[error(transparent)]
    Message(#[from] MessageError),
    #[error(transparent)]
    Branch(#[from] BranchError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl AskAgain {
    /// What a reply that broke off is asked for again as: however often, it is one.
    pub(crate) fn retry_of(reply: MessageId) -> MessageId {
        MessageId::from(Uuid::new_v5(&Uuid::from(reply), b"retry"))
    }
}

impl Command for AskAgain {
    const NAME: &'static str = "ask_again";
    /// Whether the answer is there already.
    type Output = bool;
    type Error = AskAgainError;

    async fn run(&self, unit: &mut Unit<'_>) -> Result<bool, AskAgainError> {
        let before = unit.load_fresh::<Message>(self.reply).await?.state().clone();
        let Message::Replied { reply, asked } = before else { return Err(AskAgainError::NothingToRepeat) };
        let ReplyTo { conversation, to, .. } = reply;
        let entered = unit.load::<Conversation>(conversation).await?.decide(ConversationCommand::Enter { by: self.by });
        entered.map_err(BranchError::from)?;
        let mut question = unit.load::<Message>(to).await?;
        question.decide(MessageCommand::Find { by: self.by, conversation })?;
        let question = question.state().clone();
        let mut stream = unit.load_fresh::<Message>(self.id).await?;
        let (is_given, was_asked) = match stream.state().clone() {
            Message::Unknown => (false, None),
            Message::Awaited { asked, .. } => (false, Some(Answerer::Model(asked))),
            Message::Replied { asked, .. } => (true, Some(asked.map_or(Answerer::Rules, Answerer::Model))),
            Message::Posted { .. } => return Err(AskAgainError::KeyReused),
            Message::Deleted => return Err(AskAgainError::Gone),
        };
        if let Some(was_asked) = was_asked {
            let is_same = self.answerer.as_ref().is_none_or(|answerer| *answerer == was_asked);
            return if is_same { Ok(is_given) } else { Err(AskAgainError::KeyReused) };
        }
        let answerer = self.answerer.clone().unwrap_or_else(|| asked.map_or(Answerer::Rules, Answerer::Model));
        let given = match (answerer, question) {
            (Answerer::Model(asked), _) => {
                stream.decide(MessageCommand::RequestReply { reply, asked })?;
                false
            }
            (Answerer::Rules, Message::Posted { body, .. }) => {
                let (text, model) = (rules::answer(&body), rules::MODEL.to_owned());
                stream.decide(MessageCommand::GiveReply { reply, text, model })?;
                true
            }
            (Answerer::Rules | Answerer::Nobody, _) => return Err(AskAgainError::NothingToRepeat),
        };
        if let Some(expected) = &self.if_leaf {
            expected.choose(unit, conversation, self.by, self.id).await?;
        }
        Ok(given)
    }
}
