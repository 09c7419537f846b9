//! What a word is: the same in what is searched, in what is asked and in what is shown of it.
//!
//! Engines have their own ideas of words, and each its own gaps; they are given words that are cut and folded already.

use std::borrow::Cow;
use std::iter::Peekable;
use std::str::CharIndices;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// How much of a word counts, in characters: what is longer is no word that anybody types.
const LONGEST: usize = 64;

/// A word in a text: how it is compared, and from where to where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word<'a> {
    pub(super) key: Cow<'a, str>,
    pub(super) from: usize,
    pub(super) to: usize,
}

/// The words of a text, one by one.
pub(super) struct Words<'a> {
    text: &'a str,
    rest: Peekable<CharIndices<'a>>,
}

pub(super) fn words(text: &str) -> Words<'_> {
    Words { text, rest: text.char_indices().peekable() }
}

impl<'a> Iterator for Words<'a> {
    type Item = Word<'a>;

    fn next(&mut self) -> Option<Word<'a>> {
        loop {
            let (from, first) = self.rest.by_ref().find(|(_, c)| is_letter(*c))?;
            let is_alone = stands_alone(first);
            let goes_on = |c: char| is_silent(c) || (!is_alone && is_letter(c) && !stands_alone(c));
            let mut to = from + first.len_utf8();
            while let Some((at, c)) = self.rest.next_if(|(_, c)| goes_on(*c)) {
                to = at + c.len_utf8();
            }
            let key = folded(self.text.get(from..to).unwrap_or_default());
            if !key.is_empty() {
                return Some(Word { key, from, to });
            }
        }
    }
}

fn is_letter(c: char) -> bool {
    if c.is_ascii() { c.is_ascii_alphanumeric() } else { c.is_alphanumeric() }
}

/// Goes along with the letter before it: an accent, or a joiner that nobody sees.
fn is_silent(c: char) -> bool {
    !c.is_ascii() && (is_combining_mark(c) || matches!(c, '\u{ad}' | '\u{200c}' | '\u{200d}'))
}

/// A letter of a script that puts no space between words: each is a word of its own, and a word of several is a phrase.
const fn stands_alone(c: char) -> bool {
    matches!(
        c,
        '\u{0e00}'..='\u{0eff}' // Thai, Lao
            | '\u{1000}'..='\u{109f}' // Myanmar
            | '\u{1780}'..='\u{17ff}' // Khmer
            | '\u{3005}'..='\u{3007}'
            | '\u{3040}'..='\u{30ff}' // Hiragana, Katakana
            | '\u{31f0}'..='\u{31ff}'
            | '\u{3400}'..='\u{4dbf}' // Han
            | '\u{4e00}'..='\u{9fff}'
            | '\u{f900}'..='\u{faff}'
            | '\u{ff66}'..='\u{ff9f}'
            | '\u{20000}'..='\u{3ffff}'
    )
}

/// In lower case, without accents, each letter in its plainest form.
fn folded(word: &str) -> Cow<'_, str> {
    if word.is_ascii() {
        let word = word.get(..LONGEST).unwrap_or(word);
        let is_folded = !word.bytes().any(|byte| byte.is_ascii_uppercase());
        return if is_folded { word.into() } else { word.to_ascii_lowercase().into() };
    }
    let is_kept = |c: &char| !is_accent(*c) && (c.is_alphanumeric() || is_combining_mark(*c));
    let plain: String = word.nfkd().filter(is_kept).collect();
    let lower = plain.to_lowercase();
    lower.nfkd().filter(is_kept).map(|c| if c == 'ς' { 'σ' } else { c }).nfc().take(LONGEST).collect::<String>().into()
}

/// An accent of the scripts in which letters do without; in others, a mark makes another letter.
const fn is_accent(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}')
}

#[cfg(test)]
mod tests {
    use super::words;

    fn keys(text: &str) -> Vec<String> {
        words(text).map(|word| word.key.into_owned()).collect()
    }

    #[test]
    fn words_are_runs_of_letters_and_digits() {
        assert_eq!(
            keys("Don't foo-bar_baz, v1.5! <b>x</b>"),
            ["don", "t", "foo", "bar", "baz", "v1", "5", "b", "x", "b"]
        );
        assert_eq!(keys(" \t…!?\u{0}👍 "), [""; 0]);
    }

    #[test]
    fn case_accents_and_forms_make_no_other_word() {
        for (one, other) in [
            ("CAFÉ", "cafe\u{301}"),
            ("İstanbul", "istanbul"),
            ("ΛΌΓΟΣ", "λογος"),
            ("Ёлка", "елка"),
            ("ＡＢＣ１", "abc1"),
            ("ﬁne", "fine"),
            ("한글", "\u{1112}\u{1161}\u{11ab}\u{1100}\u{1173}\u{11af}"),
            ("co\u{ad}operate", "cooperate"),
        ] {
            assert_eq!(keys(one), keys(other));
            assert_eq!(keys(one).len(), 1, "{one}");
        }
        assert_ne!(keys("हिन्दी"), keys("हन्द"), "vowels of Hindi are no accents");
        assert_eq!(keys("हिन्दी").len(), 1);
    }

    #[test]
    fn where_no_spaces_are_each_letter_is_a_word() {
        assert_eq!(keys("東京へ行く、GPTで"), ["東", "京", "へ", "行", "く", "gpt", "で"]);
        assert_eq!(keys("서울에서 만나"), ["서울에서", "만나"]);
        assert_eq!(keys("か\u{3099}"), ["が"]);
    }

    #[test]
    fn a_word_knows_where_it_stands_and_counts_for_so_much() {
        let text = format!("¡Olé, {}!", "x".repeat(100));
        let found: Vec<_> = words(&text).collect();
        let [short, long] = found.as_slice() else { panic!("{} words", found.len()) };
        assert_eq!((text.get(short.from..short.to), long.to - long.from), (Some("Olé"), 100));
        assert_eq!(long.key, "x".repeat(64));
    }
}
