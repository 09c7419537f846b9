//! `reply ─▶ title`: a model names a conversation by what was said first. Nobody waits for it: until it comes, and should it never
//! come, the conversation is called by its first words.

use std::time::Duration;

use domain::Metadata;
use domain::chat::conversation::{Conversation, ConversationCommand, ConversationError};
use domain::chat::message::Message;
use domain::chat::reply::{Ending, ReplyTo, Usage};
use domain::chat::title;
use domain::ids::{ConversationId, MessageId};
use domain::values::ConversationName;
use domain::words;
use projections::history;
use serde::{Deserialize, Serialize};
use store::{Command, Position, StoreError, Unit, fresh_id, in_full};
use uuid::Uuid;

use crate::context::tokens;
use crate::{Ask, Ended, Failure, Piece, Replier, Speaker, TokensUsed, Turn, Watch};

words! {
    /// Who names conversations (`COLLOQUY_TITLES`).
    #[derive(Default)]
    Titles {
        /// Their own first words.
        #[default]
        Words = "words",
        /// The model that answers.
        Provider = "provider",
    }
}

#[derive(Debug, thiserror::Error)]
enum TitleError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Conversation(#[from] ConversationError),
    #[error("no model gave one: {0}")]
    Model(String),
}

/// How long it takes at most until a reply that was made is seen to have ended.
const PATIENCE: Duration = Duration::from_secs(30);
/// How many messages a conversation has at most that is named still: whose first titles failed is left in peace.
const YOUNG: u64 = 6;
/// How much of each message is shown to the model, in characters.
const SHOWN: usize = 2_000;
const LONGEST_TITLE: u32 = 64;
const REQUEST: &str =
    "Name this conversation in at most six words, in the language it is held in. Answer with the name alone.";

impl Replier {
    /// Has a conversation named after a reply that is about to end, unless it has a name.
    pub(crate) fn name_after(&self, reply: MessageId, watch: Watch) {
        if self.titles == Titles::Words {
            return;
        }
        let replier = self.clone();
        tokio::spawn(async move {
            if let Err(error) = replier.name_once_ended(reply, watch).await {
                tracing::debug!(%reply, cause = in_full(&error), "a conversation is called by its first words");
            }
        });
    }

    async fn name_once_ended(&self, reply: MessageId, mut watch: Watch) -> Result<(), TitleError> {
        // One that had ended before it was claimed has no end to wait for.
        let Ok(ended) = tokio::time::timeout(PATIENCE, watch.end()).await else { return Ok(()) };
        if !self.wrote(&ended).await? {
            return Ok(());
        }
        let stream = self.executor.look::<Message>(reply).await?;
        match (ended.ending, stream) {
            (Ending::Completed { .. }, Message::Replied { reply, asked: Some(asked) }) => {
                self.name(reply, asked.model, ended.said.text.clone()).await
            }
            (Ending::Completed { .. } | Ending::Stopped | Ending::Interrupted { .. }, _) => Ok(()),
        }
    }

    /// Two processes may have made a reply, and both see its end: the log says whose it was.
    async fn wrote(&self, ended: &Ended) -> Result<bool, TitleError> {
        let Some(position) = ended.position else { return Ok(false) };
        let events = self.log.read(Position::new(position.get() - 1), 1).await?;
        let metadata = events.first().and_then(|event| event.metadata().ok());
        Ok(metadata.and_then(|metadata| metadata.node).as_ref() == Some(&self.node))
    }

    async fn name(&self, reply: ReplyTo, model: String, text: String) -> Result<(), TitleError> {
        let ReplyTo { conversation, owner, to } = reply;
        let is_named = match self.executor.look::<Conversation>(conversation).await? {
            Conversation::Open { features, is_titled, .. } => features.name.is_some() || is_titled,
            Conversation::Unknown | Conversation::Deleted => true,
        };
        let row = history::conversation(self.history.db(), owner, conversation).await?;
        if is_named || row.is_none_or(|row| row.messages > YOUNG) {
            return Ok(());
        }
        let Some(question) = history::message(self.history.db(), owner, to).await? else { return Ok(()) };
        let said = |speaker, text: &str| Turn { speaker, text: text.chars().take(SHOWN).collect() };
        let turns =
            vec![said(Speaker::User, &question.content), said(Speaker::Assistant, &text), said(Speaker::User, REQUEST)];
        let command = self.titled(conversation, model, turns).await?;
        let metadata = Metadata {
            request_id: fresh_id::<Uuid>().to_string(),
            user: Some(owner),
            node: Some(self.node.clone()),
            ..Metadata::default()
        };
        self.executor.execute(&command, metadata).await?;
        Ok(())
    }

    async fn titled(
        &self,
        id: ConversationId,
        model: String,
        turns: Vec<Turn>,
    ) -> Result<NameConversation, TitleError> {
        let failed = |failure: Failure| TitleError::Model(failure.detail);
        let prompt = turns.iter().map(|turn| tokens(&turn.text)).fold(0, u32::saturating_add);
        let ask = Ask { model, turns, max_tokens: Some(LONGEST_TITLE), temperature: None };
        let mut answer = self.providers.ask(ask).await.map_err(failed)?;
        let mut text = String::new();
        let used = loop {
            match answer.next().await.map_err(failed)? {
                Piece::Text(piece) => text.push_str(&piece),
                Piece::Done { usage, .. } => break usage,
            }
        };
        let estimate = TokensUsed { prompt, completion: tokens(&text) };
        let TokensUsed { prompt: prompt_tokens, completion: completion_tokens } = used.unwrap_or(estimate);
        let cost_micros = self.providers.cost(&answer.model, prompt_tokens, completion_tokens);
        let usage = Usage { prompt_tokens, completion_tokens, estimated: used.is_none(), cost_micros };
        Ok(NameConversation { id, title: clean(&text), model: answer.model.clone(), usage })
    }
}

/// Models like to set a name off.
fn clean(text: &str) -> Option<ConversationName> {
    let around = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '“' | '”' | '«' | '»' | '`' | '*' | '#' | '.');
    let line = text.lines().map(|line| line.trim_matches(around)).find(|line| !line.is_empty())?;
    ConversationName::try_from(title::of(line)?).ok()
}

/// `NameConversation` → `ConversationTitled`, or `TitleWasted`: it was paid for.
struct NameConversation {
    id: ConversationId,
    /// `None` where the model said nothing that is a name.
    title: Option<ConversationName>,
    model: String,
    usage: Usage,
}

impl Command for NameConversation {
    const NAME: &'static str = "name_conversation";
    type Output = ();
    type Error = TitleError;

    async fn run(&self, unit: &mut Unit<'_>) -> Result<(), TitleError> {
        let (title, model, usage) = (self.title.clone(), self.model.clone(), self.usage);
        let mut stream = unit.load::<Conversation>(self.id).await?;
        Ok(stream.decide(ConversationCommand::Title { title, model, usage })?)
    }
}

#[cfg(test)]
mod tests {
    use super::clean;

    #[test]
    fn a_name_is_one_line_without_what_sets_it_off() {
        for text in
            ["Trip to Seoul", "\"Trip to Seoul.\"\n", "\n\n**Trip to Seoul**\nHere is why: …", "# “Trip to Seoul”"]
        {
            assert_eq!(clean(text).unwrap().as_str(), "Trip to Seoul", "{text}");
        }
        assert_eq!(clean("서울 여행").unwrap().as_str(), "서울 여행");
        assert!(clean(&"word ".repeat(100)).unwrap().as_str().ends_with('…'));
        for text in ["", " \n", "\"\"", "***"] {
            assert_eq!(clean(text), None);
        }
    }
}
