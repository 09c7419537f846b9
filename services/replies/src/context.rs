//! `history ─▶ model`: what a model is told of the conversation so far.

use std::collections::VecDeque;

use projections::history::{self, Message, Role};
use store::{Db, StoreError};

use crate::{Speaker, Turn};

/// What comes before every conversation, and how much of it a model is told.
#[derive(Debug, Clone)]
pub struct Context {
    pub system: Option<String>,
    /// In tokens, as estimated.
    pub budget: u32,
}

/// How many messages are read at once.
const PAGE: u32 = 50;
/// What a message costs beside its text.
const ENVELOPE: u32 = 4;

impl Context {
    /// The message that is to be answered, and what it follows, as much of the newest as the budget takes: the
    /// system's word and that message always, and the system's word with which the conversation begins.
    pub(crate) async fn of(&self, db: &Db, last: Message) -> Result<Vec<Turn>, StoreError> {
        let mut chosen = Chosen::within(self);
        let (mut reached, conversation) = (last.id, last.conversation);
        chosen.takes(last);
        loop {
            let page = history::above(db, reached, PAGE).await?;
            let is_last = page.len() < PAGE as usize;
            let Some(oldest) = page.last().map(|message| message.id) else { break };
            if !page.into_iter().all(|message| chosen.takes(message)) {
                if let Some(opening) = history::opening(db, conversation).await? {
                    chosen.begins_with(opening);
                }
                break;
            }
            if is_last {
                break;
            }
            reached = oldest;
        }
        Ok(chosen.turns(self.system.clone()))
    }
}

impl Context {
    /// About how many tokens a model is told that hears of a conversation up to a message.
    pub async fn tokens(&self, db: &Db, last: Message) -> Result<u32, StoreError> {
        Ok(told(&self.of(db, last).await?))
    }
}

/// About how many tokens all this is.
pub(crate) fn told(turns: &[Turn]) -> u32 {
    turns.iter().map(|turn| tokens(&turn.text)).fold(0, u32::saturating_add)
}

struct Chosen {
    turns: VecDeque<Turn>,
    left: u32,
}

impl Chosen {
    fn within(context: &Context) -> Self {
        let system = context.system.as_deref().map_or(0, cost);
        Self { turns: VecDeque::new(), left: context.budget.saturating_sub(system) }
    }

    /// Takes a message that is older than those before; whether there was room.
    fn takes(&mut self, message: Message) -> bool {
        // A reply that broke off before its first word says nothing to anybody.
        if message.content.is_empty() {
            return true;
        }
        let cost = cost(&message.content);
        if cost > self.left && !self.turns.is_empty() {
            return false;
        }
        self.left = self.left.saturating_sub(cost);
        let speaker = match message.role {
            Role::User => Speaker::User,
            Role::Bot | Role::Assistant => Speaker::Assistant,
            Role::System => Speaker::System,
        };
        self.turns.push_front(Turn { speaker, text: message.content });
        true
    }

    /// Puts a message before all others: the oldest of these make room for it.
    fn begins_with(&mut self, opening: Message) {
        let cost = cost(&opening.content);
        while cost > self.left && self.turns.len() > 1 {
            let oldest = self.turns.pop_front();
            self.left = self.left.saturating_add(oldest.map_or(0, |oldest| self::cost(&oldest.text)));
        }
        self.left = self.left.saturating_sub(cost);
        self.turns.push_front(Turn { speaker: Speaker::System, text: opening.content });
    }

    fn turns(mut self, system: Option<String>) -> Vec<Turn> {
        if let Some(text) = system {
            self.turns.push_front(Turn { speaker: Speaker::System, text });
        }
        self.turns.into()
    }
}

fn cost(text: &str) -> u32 {
    tokens(text).saturating_add(ENVELOPE)
}

/// About how many tokens a text is: four letters of English are one, and elsewhere a letter often is.
#[must_use]
pub fn tokens(text: &str) -> u32 {
    let quarters: usize = text.chars().map(|letter| if letter.is_ascii() { 1 } else { 4 }).sum();
    u32::try_from(quarters.div_ceil(4)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use domain::Timestamp;
    use domain::chat::Usage;
    use domain::ids::{ConversationId, MessageId, UserId};
    use projections::history::State;
    use store::Position;
    use uuid::Uuid;

    use super::*;

    fn message(content: &str, role: Role) -> Message {
        Message {
            id: MessageId::from(Uuid::nil()),
            conversation: ConversationId::from(Uuid::nil()),
            owner: UserId::from(Uuid::nil()),
            role,
            content: content.to_owned(),
            model: None,
            parent: None,
            shown: true,
            answers: None,
            state: State::Done,
            reason: None,
            usage: Usage::default(),
            rating: None,
            created_at: Timestamp::default(),
            updated_at: Timestamp::default(),
            position: Position::START,
        }
    }

    /// What is chosen of texts, newest first, under a budget.
    fn chosen(budget: u32, system: Option<&str>, newest_first: &[&str]) -> Vec<String> {
        let context = Context { system: system.map(str::to_owned), budget };
        let mut chosen = Chosen::within(&context);
        let roles = [Role::User, Role::Bot].into_iter().cycle();
        let _ = newest_first.iter().zip(roles).all(|(text, role)| chosen.takes(message(text, role)));
        chosen.turns(context.system).into_iter().map(|turn| turn.text).collect()
    }

    #[test]
    fn the_newest_that_fit_are_told_oldest_first() {
        assert_eq!(
            chosen(18, None, &["newest12", "answer12", "oldest12", "older than that"]),
            ["oldest12", "answer12", "newest12"]
        );
    }

    #[test]
    fn nothing_is_told_out_of_order_though_it_would_fit() {
        assert_eq!(chosen(14, None, &["new", "a text that is too long for what is left", "old"]), ["new"]);
    }

    #[test]
    fn the_systems_word_and_the_last_message_are_always_told() {
        assert_eq!(chosen(1, Some("be kind"), &["a question", "an answer"]), ["be kind", "a question"]);
    }

    #[test]
    fn a_conversations_first_word_of_the_system_is_told_in_place_of_older_messages() {
        let context = Context { system: Some("house".to_owned()), budget: 24 };
        for (opening, told) in [
            ("be kind.", &["house", "be kind.", "answer12", "newest12"][..]),
            ("be kind, and brief", &["house", "be kind, and brief", "newest12"]),
            (&"x".repeat(200), &["house", &"x".repeat(200), "newest12"]),
        ] {
            let mut chosen = Chosen::within(&context);
            assert!(chosen.takes(message("newest12", Role::User)) && chosen.takes(message("answer12", Role::Bot)));
            chosen.begins_with(message(opening, Role::System));
            let turns = chosen.turns(context.system.clone());
            assert_eq!(turns.iter().map(|turn| turn.text.as_str()).collect::<Vec<_>>(), told);
            assert_eq!(turns.iter().take(2).map(|turn| turn.speaker).collect::<Vec<_>>(), [Speaker::System; 2]);
        }
    }

    #[test]
    fn a_reply_without_a_word_is_left_out() {
        assert_eq!(chosen(100, None, &["again?", "", "hello"]), ["hello", "again?"]);
    }

    #[test]
    fn tokens_are_about_four_letters_or_one_that_is_no_ascii() {
        assert_eq!([tokens(""), tokens("abcd"), tokens("abcde"), tokens("안녕")], [0, 1, 2, 2]);
    }
}
