//! Words as an engine's index has them. Each begins with a mark of its owner, so that an index is read as if it were the
//! owner's alone; beside them stand a message's tags.

use std::fmt::Write;

use domain::ids::{ConversationId, UserId};
use store::{Db, Tx};
use uuid::Uuid;

use super::Sought;
use super::terms::Term;
use super::words::words;
use crate::history::Role;

/// Of a very long message the beginning is indexed: Postgres counts no further than 16,383 words, and takes no more than a
/// megabyte of them.
const MOST_WORDS: usize = 16_000;
const MOST_BYTES: usize = 256 << 10;

/// Which index it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Index {
    /// Words with spaces between them, and expressions of FTS5.
    Fts5,
    /// Texts of the types `tsvector` and `tsquery`.
    Gin,
}

impl Index {
    pub(super) const fn of(db: &Db) -> Self {
        match db {
            Db::Sqlite(_) => Self::Fts5,
            Db::Postgres(_) => Self::Gin,
        }
    }

    pub(super) const fn in_tx(tx: &Tx) -> Self {
        match tx {
            Tx::Sqlite(_) => Self::Fts5,
            Tx::Postgres(_) => Self::Gin,
        }
    }

    /// The words of a message; empty where there are none.
    pub(super) fn words(self, owner: UserId, text: &str) -> String {
        let (mark, mut all) = (mark(owner), String::new());
        for (place, word) in words(text).take(MOST_WORDS).take_while(|word| word.from <= MOST_BYTES).enumerate() {
            // Nothing is done for a write into a text that fails: none does.
            let _ = match self {
                Self::Fts5 => write!(all, "{mark}{} ", word.key),
                Self::Gin => write!(all, "'{mark}{}':{} ", word.key, place + 1),
            };
        }
        all
    }

    pub(super) fn tags(self, conversation: ConversationId, role: Role) -> String {
        let tags = [conversation_tag(conversation), role_tag(role)];
        match self {
            Self::Fts5 => tags.join(" "),
            Self::Gin => tags.map(|tag| format!("'{tag}'")).join(" "),
        }
    }

    /// What finds exactly what is sought, but for its owner, its time and whether it is a favourite; among some
    /// conversations alone, where there are any.
    pub(super) fn expression(self, sought: &Sought, conversations: &[ConversationId]) -> String {
        let Sought { terms, among } = sought;
        let (mark, wrap) = (mark(among.owner), |tag: String| self.quoted(&tag));
        let places: Vec<_> =
            among.conversation.iter().chain(conversations).map(|id| wrap(conversation_tag(*id))).collect();
        let place = (!places.is_empty()).then(|| format!("({})", places.join(self.or())));
        let tags: Vec<_> = place.into_iter().chain(among.role.map(|role| wrap(role_tag(role)))).collect();
        let wanted = self.all(&mark, &terms.wanted);
        let unwanted: Vec<_> = terms.unwanted.iter().map(|term| self.term(&mark, term)).collect();
        let unwanted = Some(unwanted.join(self.or())).filter(|unwanted| !unwanted.is_empty());
        match self {
            Self::Fts5 => {
                let unwanted = unwanted.map(|unwanted| format!(" NOT ({unwanted})")).unwrap_or_default();
                let words = format!("words : (({wanted}){unwanted})");
                let tags = tags.iter().map(|tag| format!("tags : {tag}"));
                std::iter::once(words).chain(tags).collect::<Vec<_>>().join(" AND ")
            }
            Self::Gin => {
                let unwanted = unwanted.map(|unwanted| format!("!({unwanted})"));
                std::iter::once(wanted).chain(unwanted).chain(tags).collect::<Vec<_>>().join(" & ")
            }
        }
    }

    fn quoted(self, word: &str) -> String {
        match self {
            Self::Fts5 => format!("\"{word}\""),
            Self::Gin => format!("'{word}'"),
        }
    }

    const fn or(self) -> &'static str {
        match self {
            Self::Fts5 => " OR ",
            Self::Gin => " | ",
        }
    }

    fn all(self, mark: &str, terms: &[Term]) -> String {
        let terms: Vec<_> = terms.iter().map(|term| self.term(mark, term)).collect();
        match self {
            Self::Fts5 => terms.join(" AND "),
            Self::Gin => terms.join(" & "),
        }
    }

    fn term(self, mark: &str, term: &Term) -> String {
        let keys = term.keys.iter().map(|key| format!("{mark}{key}"));
        match self {
            Self::Fts5 => {
                format!("\"{}\"{}", keys.collect::<Vec<_>>().join(" "), if term.is_prefix { " *" } else { "" })
            }
            Self::Gin => {
                let keys: Vec<_> = keys.map(|key| self.quoted(&key)).collect();
                format!("({}{})", keys.join(" <-> "), if term.is_prefix { ":*" } else { "" })
            }
        }
    }
}

/// Six letters of an owner's id and a sign that is in no word. Two owners may share a mark: a row knows whose it is.
fn mark(owner: UserId) -> String {
    const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let id = Uuid::from(owner).as_u128();
    let letters = (0..6).filter_map(|at| LETTERS.get(usize::try_from((id >> (5 * at)) & 31).ok()?));
    letters.map(|letter| char::from(*letter)).chain(['·']).collect()
}

fn conversation_tag(id: ConversationId) -> String {
    format!("§{}", Uuid::from(id).simple())
}

fn role_tag(role: Role) -> String {
    format!("§{role}")
}
