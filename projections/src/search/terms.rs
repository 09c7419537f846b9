//! What somebody types to find something, and what it means.

use super::words::{Word, words};

/// How much may be asked for at once.
const MOST_CHARACTERS: usize = 1_000;
const MOST_WORDS: usize = 64;
/// A shorter beginning is the beginning of too much.
const SHORTEST_PREFIX: usize = 2;

/// A query as it was understood; there is at least one term that has to be found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    pub(super) wanted: Vec<Term>,
    pub(super) unwanted: Vec<Term>,
}

/// Words in a row. The last one may be the beginning of a word only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Term {
    pub(super) keys: Vec<String>,
    pub(super) is_prefix: bool,
}

/// Why a query can't be asked; the message is for the client and never repeats the query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnfitQuery {
    #[error("must have at most {MOST_CHARACTERS} characters")]
    TooLong,
    #[error("must have at most {MOST_WORDS} words")]
    TooManyWords,
    #[error("must not contain the character NUL")]
    Nul,
    #[error("must have a word that is to be found")]
    NoWord,
}

impl Terms {
    /// Words are all to be found, `"words in quotes"` in a row; `beginning*` finds what begins so, and `-word` leaves out
    /// what has it. Whatever else there is only parts words.
    pub fn parse(text: &str) -> Result<Self, UnfitQuery> {
        if text.chars().count() > MOST_CHARACTERS {
            return Err(UnfitQuery::TooLong);
        }
        if text.contains('\0') {
            return Err(UnfitQuery::Nul);
        }
        let (mut wanted, mut unwanted, mut rest) = (Vec::new(), Vec::new(), text.trim_start());
        while !rest.is_empty() {
            let (is_unwanted, term, left) = first_term(rest);
            let terms = if is_unwanted { &mut unwanted } else { &mut wanted };
            terms.extend(Some(term).filter(|term| !term.keys.is_empty()));
            rest = left.trim_start();
        }
        if wanted.is_empty() {
            return Err(UnfitQuery::NoWord);
        }
        if wanted.iter().chain(&unwanted).map(|term| term.keys.len()).sum::<usize>() > MOST_WORDS {
            return Err(UnfitQuery::TooManyWords);
        }
        Ok(Self { wanted, unwanted })
    }
}

/// The first term of a text, whether it is to be left out, and what comes after it.
fn first_term(text: &str) -> (bool, Term, &str) {
    let (is_unwanted, text) = match text.strip_prefix('-') {
        Some(rest) if !rest.starts_with(char::is_whitespace) => (true, rest),
        _ => (false, text),
    };
    let (inner, rest) = match text.strip_prefix('"') {
        Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
        None => text.split_at(text.find(|c: char| c.is_whitespace() || c == '"').unwrap_or(text.len())),
    };
    let after_star = rest.strip_prefix('*').filter(|_| text.starts_with('"'));
    let is_starred = after_star.is_some() || inner.ends_with('*');
    (is_unwanted, Term::of(inner, is_starred), after_star.unwrap_or(rest))
}

impl Term {
    fn of(text: &str, is_starred: bool) -> Self {
        let keys: Vec<String> = words(text).map(|word| word.key.into_owned()).collect();
        let is_prefix = is_starred && keys.last().is_some_and(|key| key.chars().count() >= SHORTEST_PREFIX);
        Self { keys, is_prefix }
    }

    /// Whether the words that stand here are it.
    pub(super) fn begins(&self, found: &[Word<'_>]) -> bool {
        let last = self.keys.len().saturating_sub(1);
        let fits = |(index, (key, word)): (usize, (&String, &Word<'_>))| {
            if self.is_prefix && index == last { word.key.starts_with(key.as_str()) } else { word.key == *key }
        };
        found.len() > last && self.keys.iter().zip(found).enumerate().all(fits)
    }
}

#[cfg(test)]
mod tests {
    use super::{Term, Terms, UnfitQuery};

    fn term(words: &str, is_prefix: bool) -> Term {
        Term { keys: words.split(' ').map(str::to_owned).collect(), is_prefix }
    }

    fn parsed(text: &str) -> (Vec<Term>, Vec<Term>) {
        let Terms { wanted, unwanted } = Terms::parse(text).unwrap();
        (wanted, unwanted)
    }

    #[test]
    fn words_phrases_beginnings_and_what_is_left_out() {
        assert_eq!(parsed("Foo bar"), (vec![term("foo", false), term("bar", false)], vec![]));
        assert_eq!(parsed("\"foo bar\"baz"), (vec![term("foo bar", false), term("baz", false)], vec![]));
        assert_eq!(parsed("a -foo -\"x y\""), (vec![term("a", false)], vec![term("foo", false), term("x y", false)]));
        assert_eq!(parsed("foo* \"x ba\"*"), (vec![term("foo", true), term("x ba", true)], vec![]));
        assert_eq!(parsed("foo-bar 東京"), (vec![term("foo bar", false), term("東 京", false)], vec![]));
    }

    #[test]
    fn whatever_else_is_plain_text() {
        for text in
            ["a", " a ", "a*", "\"a", "a\"", "--- a - \"\" -\"\"", "(a", "a)", "*a", "a:", "&a|", "^a", "'a'", "\\a"]
        {
            assert_eq!(parsed(text), (vec![term("a", false)], vec![]), "{text}");
        }
        assert_eq!(parsed("a OR b NOT NEAR(c)").0.len(), 5);
    }

    #[test]
    fn what_finds_nothing_is_refused() {
        for text in ["", "  ", "-a", "!?", "\"", "*", "- -", "👍"] {
            assert_eq!(Terms::parse(text), Err(UnfitQuery::NoWord), "{text}");
        }
        assert_eq!(Terms::parse("a\0b"), Err(UnfitQuery::Nul));
        assert_eq!(Terms::parse(&"x".repeat(1_001)), Err(UnfitQuery::TooLong));
        assert!(Terms::parse(&"한".repeat(1_000)).is_ok());
        assert_eq!(Terms::parse(&"x ".repeat(65)), Err(UnfitQuery::TooManyWords));
        assert!(Terms::parse(&"x ".repeat(64)).is_ok());
    }
}
