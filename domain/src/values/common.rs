//! What everybody tries first: passwords that are common or easily guessed, however long they are.

use std::collections::HashSet;
use std::sync::LazyLock;

static COMMON: LazyLock<HashSet<&str>> =
    LazyLock::new(|| include_str!("common_passwords.txt").lines().filter(|line| !line.is_empty()).collect());

/// Along which fingers and minds run, forwards and backwards, and from the end to the beginning again.
const RUNS: [&str; 7] = [
    "1234567890",
    "0123456789",
    "abcdefghijklmnopqrstuvwxyz",
    "qwertyuiopasdfghjklzxcvbnm",
    "qwertzuiopasdfghjklyxcvbnm",
    "azertyuiopqsdfghjklmwxcvbn",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p",
];

/// Whether a password is one of the common ones, made of one or two common words and padding, a short piece again and
/// again, or a run of keys.
pub(super) fn is_common(text: &str) -> bool {
    let text = text.to_lowercase();
    let core = text.trim_matches(|c: char| !c.is_alphabetic());
    let plain = plain(core);
    is_repeated(&text)
        || [text.as_str(), core].into_iter().any(is_listed_or_run)
        || is_of_words(&text)
        || is_of_words(&plain)
}

/// Letters for the digits and symbols that look like them.
fn plain(text: &str) -> String {
    let letter = |c| match c {
        '0' => 'o',
        '1' | '!' => 'i',
        '3' => 'e',
        '4' | '@' => 'a',
        '5' | '$' => 's',
        '7' => 't',
        other => other,
    };
    text.chars().map(letter).collect()
}

fn is_listed_or_run(text: &str) -> bool {
    let bare: String = text.chars().filter(|c| c.is_alphanumeric()).collect();
    COMMON.contains(text) || COMMON.contains(bare.as_str()) || is_run(&bare)
}

/// A piece of at most four characters, or one that is common itself, again and again; the last time maybe not whole.
fn is_repeated(text: &str) -> bool {
    let chars: Vec<char> = text.chars().collect();
    let repeats = |piece: usize| chars.iter().zip(chars.iter().skip(piece)).all(|(one, next)| one == next);
    (1..=chars.len() / 2).filter(|piece| repeats(*piece)).any(|piece| {
        let piece: String = chars.iter().take(piece).collect();
        piece.chars().count() <= 4 || is_listed_or_run(&piece) || is_of_words(&piece)
    })
}

/// A run of at least four keys.
fn is_run(text: &str) -> bool {
    let within = |keys: &str| {
        let turns = text.len() / keys.len() + 2;
        let (there, back) = (keys.repeat(turns), keys.chars().rev().collect::<String>().repeat(turns));
        there.contains(text) || back.contains(text)
    };
    text.chars().count() >= 4 && RUNS.into_iter().any(within)
}

/// Whether all its letters are one common word or two, however often; what is no letter counts for nothing.
fn is_of_words(text: &str) -> bool {
    let letters: String = text.chars().filter(|c| c.is_alphabetic()).collect();
    let parts: Vec<&str> = text.split(|c: char| !c.is_alphabetic()).filter(|part| !part.is_empty()).collect();
    let same = parts.windows(2).all(|pair| matches!(pair, [one, next] if one == next));
    let one = parts.first().is_some_and(|part| same && is_listed_or_run(part));
    one || !letters.is_empty() && (COMMON.contains(letters.as_str()) || is_of_two(&letters))
}

fn is_of_two(letters: &str) -> bool {
    common_starts(letters).any(|first| {
        let rest = letters.trim_start_matches(first);
        rest.is_empty() || common_starts(rest).any(|second| rest.replace(second, "").replace(first, "").is_empty())
    })
}

/// The common words with which a text begins.
fn common_starts(text: &str) -> impl Iterator<Item = &str> {
    text.char_indices().filter_map(|(at, c)| text.get(..at + c.len_utf8())).filter(|word| COMMON.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_in_small_letters_sorted_and_without_doubles() {
        let lines: Vec<_> = include_str!("common_passwords.txt").lines().collect();
        assert!(lines.is_sorted_by(|one, next| one < next));
        assert!(lines.iter().all(|line| line.to_lowercase() == *line && line.trim() == *line && line.len() >= 3));
    }

    #[test]
    fn what_everybody_tries_is_common() {
        for text in [
            "correcthorsebatterystaple",
            "correct horse battery staple",
            "Correct-Horse-Battery-Staple!",
            "thisismypassword",
            "passwordpassword",
            "PasswordPasswordPass",
            "password1234567",
            "123456789password",
            "!!!!password!!!!",
            "P@ssw0rd1234567",
            "p@$$w0rdp@$$w0rd",
            "pass-word-pass-word",
            "password123password",
            "adminpassword2024",
            "welcome admin 123",
            "qwerty123456789",
            "abcdefgh12345678",
            "Colloquy2024!!!",
            "colloquycolloquy",
            "colloquy-admin-1",
        ] {
            assert!(is_common(text), "{text}");
        }
    }

    #[test]
    fn one_piece_again_and_again_is_common() {
        for text in [
            "aaaaaaaaaaaaaaa",
            "한한한한한한한한한한한한한한한",
            "               ",
            "ababababababababa",
            "123412341234123",
            "xyz!xyz!xyz!xyz!",
        ] {
            assert!(is_common(text), "{text}");
        }
    }

    #[test]
    fn a_run_of_keys_is_common() {
        for text in [
            "123456789012345",
            "012345678901234",
            "543210987654321",
            "abcdefghijklmno",
            "zyxwvutsrqponml",
            "qwertyuiopasdfg",
            "QWERTZUIOPASDFG",
            "azertyuiopqsdfgh",
            "1qaz2wsx3edc4rfv",
            "mnbvcxzlkjhgfdsa",
        ] {
            assert!(is_common(text), "{text}");
        }
    }

    #[test]
    fn what_somebody_made_up_is_not() {
        for text in [
            "vellum gravity otter",
            "correct pelican staple drum",
            "my dog chews the red sofa",
            "t7#kQz!m2Lw9@xVb",
            "839201938475610",
            "Пароль для рыбалки",
            "비밀번호는 아무도 모른다 하하",
            "passwordless vellum gravity",
        ] {
            assert!(!is_common(text), "{text}");
        }
    }
}
