//! What was kept elsewhere, as it comes in: with the times that it had there.

use serde::{Deserialize, Serialize};

use super::message::Rating;
use super::place::{After, Speaker};
use super::reply::{Asked, Ending, Said};
use super::rules;
use crate::Timestamp;
use crate::ids::{ConversationId, MessageId, UserId};
use crate::values::{ConversationName, Digest, MessageBody};

/// A message with all that is known of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Imported {
    pub conversation: ConversationId,
    pub owner: UserId,
    pub after: After,
    pub words: Words,
    #[serde(default)]
    pub rating: Option<Rating>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// Whose words they were.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Words {
    Posted {
        speaker: Speaker,
        body: MessageBody,
    },
    Replied {
        /// It need not be there any more.
        to: MessageId,
        #[serde(flatten)]
        said: Said,
        /// `None` for an answer that nobody had to wait for.
        ending: Option<Ending>,
    },
}

impl Words {
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Posted { body, .. } => body.as_str(),
            Self::Replied { said, .. } => &said.text,
        }
    }
}

/// What is known of a conversation besides what is said in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// What it is called where its owner has not named it; `None`: by its first words.
    #[serde(default)]
    pub title: Option<ConversationName>,
    /// Of all that came in, so that it can be told from something else.
    pub digest: Digest,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// What the one who said it may be asked once more; the rule bot is not asked.
pub(super) fn asked(model: String) -> Option<Asked> {
    let asked = Asked { model, max_tokens: None, temperature: None };
    Some(asked).filter(|asked| asked.model != rules::MODEL)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::reply::{FinishReason, Interruption};
    use crate::testing::parsed;

    #[test]
    fn words_that_were_posted_are_kept_as_these() {
        let words = Words::Posted { speaker: Speaker::System, body: parsed(" Be brief. ") };
        let kept = "{\"posted\":{\"speaker\":\"system\",\"body\":\" Be brief. \"}}";
        assert_eq!(serde_json::to_string(&words).unwrap(), kept);
        assert_eq!(serde_json::from_str::<Words>(kept).unwrap(), words);
    }

    #[test]
    fn endings_are_kept_as_these() {
        let (reason, retry_after_seconds) = (Interruption::TimedOut, None);
        for (ending, kept) in [
            (Ending::Completed { finish: FinishReason::Length }, "{\"completed\":{\"finish\":\"length\"}}"),
            (Ending::Stopped, "\"stopped\""),
            (
                Ending::Interrupted { reason, retry_after_seconds },
                "{\"interrupted\":{\"reason\":\"timed_out\",\"retry_after_seconds\":null}}",
            ),
        ] {
            assert_eq!(serde_json::to_string(&ending).unwrap(), kept);
            assert_eq!(serde_json::from_str::<Ending>(kept).unwrap(), ending);
        }
    }

    #[test]
    fn the_rule_bot_is_not_asked_again() {
        assert_eq!(asked(rules::MODEL.to_owned()), None);
        assert_eq!(asked("other/model".to_owned()).map(|asked| asked.model).as_deref(), Some("other/model"));
    }
}
