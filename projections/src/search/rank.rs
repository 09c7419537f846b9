//! How well a message fits: by how often it says what is sought, and in how many words.
//!
//! The engines have ranks of their own. That of FTS5 moves with every message that comes or goes, whosever it is, so that pages
//! would miss some and repeat others; this one is the message's own, and the same on both.

use super::Terms;
use super::words::{Word, words};

/// How much of a message counts, in characters: a thousand of them are ranked at once.
pub(super) const HEAD: i64 = 2_000;

/// As of BM25: how soon more of the same counts less, and how much it matters that a message is longer than others are.
const SATURATION: f64 = 1.2;
const BY_LENGTH: f64 = 0.75;
const USUAL_LENGTH: f64 = 100.0;

/// From 0 to 1; `head` is the beginning of a message in which all terms are found, if further down maybe.
pub(super) fn score(terms: &Terms, head: &str) -> f64 {
    let all: Vec<Word<'_>> = words(head).collect();
    let damping = SATURATION * (1.0 - BY_LENGTH + BY_LENGTH * number(all.len()) / USUAL_LENGTH);
    let rows = || (0..all.len()).filter_map(|from| all.get(from..));
    let counts = terms.wanted.iter().map(|term| number(rows().filter(|row| term.begins(row)).count().max(1)));
    counts.map(|count| count / (count + damping)).sum::<f64>() / number(terms.wanted.len())
}

fn number(count: usize) -> f64 {
    u32::try_from(count).unwrap_or(u32::MAX).into()
}

#[cfg(test)]
mod tests {
    use super::super::Terms;
    use super::score;

    fn of(text: &str, query: &str) -> f64 {
        score(&Terms::parse(query).unwrap(), text)
    }

    #[test]
    fn more_of_it_in_fewer_words_is_better() {
        let long = "and so on ".repeat(50);
        for query in ["sea", "se*", "\"the sea\""] {
            let (twice, once) = (of("the sea, the sea", query), of("the sea", query));
            assert!(twice > once && once > of(&format!("the sea {long}"), query), "{query}");
            assert!(of(&long, query) > 0.0, "it stands further down");
            assert!(twice < 1.0);
        }
        assert!(of("a b b", "a b") > of("a b c", "a b"));
    }
}
