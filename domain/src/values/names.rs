//! Names: how somebody signs in, and how they want to be called.

use serde::{Deserialize, Serialize};

use super::{Invalid, bounded, text_value};

/// A single line of text, trimmed, in which every character can be seen.
pub(super) fn line(text: &str, least: usize, most: usize) -> Result<String, Invalid> {
    let text = text.trim();
    bounded(text, least, most)?;
    if text.contains(is_unseen) { Err(Invalid::ControlCharacter) } else { Ok(text.to_owned()) }
}

/// Controls, line separators, what reverses the direction of writing, and what has no width.
fn is_unseen(c: char) -> bool {
    let unseen = matches!(
        c,
        '\u{ad}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}'
    );
    unseen || c.is_control()
}

/// A line that names one account alone: not even the joiners that emoji and Persian need, or two names could look alike.
fn handle(text: &str, least: usize, most: usize) -> Result<String, Invalid> {
    let text = line(text, least, most)?;
    if text.contains(['\u{200c}', '\u{200d}']) { Err(Invalid::ControlCharacter) } else { Ok(text) }
}

/// A user name as its owner types it; [`Username::key`] is what is compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Username(String);

text_value!(Username, parse_username);

fn parse_username(text: &str) -> Result<String, Invalid> {
    let name = handle(text, 1, 50)?;
    if name.contains('@') { Err(Invalid::AtSign) } else { Ok(name) }
}

impl Username {
    /// The same where a name has to have more characters than one.
    pub fn of_least(text: String, least: usize) -> Result<Self, Invalid> {
        let name = Self::try_from(text)?;
        bounded(&name.0, least, usize::MAX).map(|()| name)
    }
}

/// An email address as its owner types it; [`Email::key`] is what is compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Email(String);

text_value!(Email, parse_email);

fn parse_email(text: &str) -> Result<String, Invalid> {
    let email = handle(text, 3, 254)?;
    let valid = email.split_once('@').is_some_and(|(local, host)| is_local(local) && is_host(host));
    if valid { Ok(email) } else { Err(Invalid::NotAnEmail) }
}

/// Atoms between single dots; quoted forms are not taken.
fn is_local(local: &str) -> bool {
    let special = |c: char| c.is_whitespace() || r#"()<>[]:;,\""#.contains(c);
    (1..=64).contains(&local.len()) && local.split('.').all(|atom| !atom.is_empty() && !atom.contains(special))
}

/// A name with a dot in it; not an address in digits.
fn is_host(host: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_alphanumeric() || c == '-')
    };
    let named = |(_, top): (&str, &str)| top.contains(char::is_alphabetic);
    host.rsplit_once('.').is_some_and(named) && host.split('.').all(label)
}

macro_rules! comparable {
    ($($name:ident),+) => {$(
        impl $name {
            /// The spelling that decides whether two are the same.
            #[must_use]
            pub fn key(&self) -> String {
                self.0.to_lowercase()
            }
        }
    )+};
}

comparable!(Username, Email);

/// How somebody wants to be called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DisplayName(String);

text_value!(DisplayName, |text| line(text, 1, 100));

/// What its owner calls a key for programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyName(String);

text_value!(KeyName, |text| line(text, 1, 100));

/// What a conversation is called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ConversationName(String);

text_value!(ConversationName, |text| line(text, 1, ConversationName::MOST));

impl ConversationName {
    pub const MOST: usize = 200;
}

/// What a model is called that turns texts into vectors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EmbeddingModel(String);

text_value!(EmbeddingModel, |text| line(text, 1, 100));

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::parsed;

    fn username(text: &str) -> Result<Username, Invalid> {
        text.to_owned().try_into()
    }

    fn display_name(text: &str) -> Result<DisplayName, Invalid> {
        text.to_owned().try_into()
    }

    fn email(text: &str) -> Result<Email, Invalid> {
        text.to_owned().try_into()
    }

    #[test]
    fn names_are_limited_in_characters() {
        for character in ["x", "é", "한", "👋"] {
            assert!(username(&character.repeat(50)).is_ok());
            assert_eq!(username(&character.repeat(51)), Err(Invalid::TooLong(50)));
            assert!(display_name(&character.repeat(100)).is_ok());
            assert_eq!(display_name(&character.repeat(101)), Err(Invalid::TooLong(100)));
        }
    }

    #[test]
    fn a_path_may_ask_for_longer_names() {
        assert_eq!(Username::of_least(" éa ".to_owned(), 3), Err(Invalid::TooShort(3)));
        assert_eq!(Username::of_least(" éab ".to_owned(), 3).unwrap().as_str(), "éab");
        assert_eq!(Username::of_least("x".repeat(51), 3), Err(Invalid::TooLong(50)));
    }

    #[test]
    fn names_are_trimmed_before_they_are_measured() {
        let (fifty, hundred) = ("x".repeat(50), "x".repeat(100));
        assert_eq!(parsed::<Username>(&format!(" \t{fifty}\r\n")).as_str(), fifty);
        assert_eq!(parsed::<DisplayName>(&format!("\u{3000}{hundred}\u{a0}")).as_str(), hundred);
        assert_eq!(parsed::<Email>(" Ada@Example.org\n").as_str(), "Ada@Example.org");
        assert_eq!(parsed::<DisplayName>(" Ada  Lovelace ").as_str(), "Ada  Lovelace");
    }

    #[test]
    fn a_blank_name_is_none() {
        for blank in ["", " ", "\t\r\n", "\u{a0}\u{2003}\u{2028}\u{3000}"] {
            assert_eq!(username(blank), Err(Invalid::Blank));
            assert_eq!(display_name(blank), Err(Invalid::Blank));
            assert_eq!(email(blank), Err(Invalid::Blank));
        }
    }

    #[test]
    fn what_cannot_be_seen_is_refused_in_every_name() {
        let controls = ['\0', '\t', '\n', '\r', '\u{1b}', '\u{7f}', '\u{85}', '\u{9f}'];
        let lines_and_directions =
            ['\u{200e}', '\u{200f}', '\u{2028}', '\u{2029}', '\u{202a}', '\u{202e}', '\u{2066}', '\u{2069}'];
        let widthless = ['\u{ad}', '\u{200b}', '\u{2060}', '\u{feff}'];
        for unseen in controls.into_iter().chain(lines_and_directions).chain(widthless) {
            assert_eq!(username(&format!("a{unseen}da")), Err(Invalid::ControlCharacter), "{unseen:?}");
            assert_eq!(display_name(&format!("a{unseen}da")), Err(Invalid::ControlCharacter), "{unseen:?}");
            assert_eq!(email(&format!("a{unseen}da@example.org")), Err(Invalid::ControlCharacter), "{unseen:?}");
        }
    }

    #[test]
    fn joiners_are_for_display_names_alone() {
        for text in ["👩\u{200d}🚀", "می\u{200c}خواهم"] {
            assert_eq!(parsed::<DisplayName>(text).as_str(), text);
            assert_eq!(username(text), Err(Invalid::ControlCharacter));
            assert_eq!(email(&format!("{text}@example.org")), Err(Invalid::ControlCharacter));
        }
    }

    #[test]
    fn a_user_name_is_never_taken_for_an_email() {
        for text in ["@", "ada@", "@ada", "ada@example.org"] {
            assert_eq!(username(text), Err(Invalid::AtSign));
        }
        assert!(display_name("ada@example.org").is_ok());
    }

    #[test]
    fn user_names_may_be_of_any_script() {
        for text in ["ada", "Ada Lovelace", "ada.l-1_x", "에이다", "Аде́ла", "åß", "'; drop table users; --", "<b>"]
        {
            assert_eq!(parsed::<Username>(text).as_str(), text);
        }
    }

    #[test]
    fn keys_ignore_case_but_not_letters() {
        for (one, other) in [("ADA", "ada"), ("Åsa", "åSA"), ("ЁЖ", "ёж"), ("ΑΣ", "ας"), ("SS", "ss")] {
            assert_eq!(parsed::<Username>(one).key(), parsed::<Username>(other).key());
            let email = |name: &str| parsed::<Email>(&format!("{name}@Example.ORG")).key();
            assert_eq!(email(one), email(other));
        }
        assert_eq!(parsed::<Email>("Ada.L+x@Example.ORG").key(), "ada.l+x@example.org");
        for (one, other) in [("ada", "ada1"), ("a.da", "ada"), ("a", "å"), ("ß", "ss")] {
            assert_ne!(parsed::<Username>(one).key(), parsed::<Username>(other).key());
        }
    }

    #[test]
    fn these_are_emails() {
        let long = [format!("{}@example.org", "x".repeat(64)), format!("a@{}.org", "x".repeat(63)), longest_email()];
        let short =
            ["a@b.c", "ada@example.org", "a.b-c_d+tag@sub.example.co.uk", "o'hara@x-y.org", "!#$%&*/=?^`{|}~@a.b"];
        let others = ["用户@例え.jp", "ада@пример.рф", "1@2.com", "a@xn--p1ai.xn--p1ai", "a@b.c1"];
        for text in long.iter().map(String::as_str).chain(short).chain(others) {
            assert_eq!(parsed::<Email>(text).as_str(), text);
        }
    }

    /// 254 characters: 64, an at sign, and a host of 189.
    fn longest_email() -> String {
        let host = ["y".repeat(63), "y".repeat(63), "y".repeat(61)].join(".");
        format!("{}@{host}", "x".repeat(64))
    }

    #[test]
    fn the_parts_of_an_email_have_limits() {
        assert_eq!(longest_email().len(), 254);
        assert_eq!(email(&format!("{}y", longest_email())), Err(Invalid::TooLong(254)));
        assert_eq!(email("@"), Err(Invalid::TooShort(3)));
        for text in [format!("{}@example.org", "x".repeat(65)), format!("a@{}.org", "x".repeat(64))] {
            assert_eq!(email(&text), Err(Invalid::NotAnEmail), "{text}");
        }
    }

    #[test]
    fn these_are_not_emails() {
        let halves =
            ["ada", "ada.example.org", "@example.org", "ada@", "ada@@example.org", "a@b@example.org", "a@b.c@"];
        let hosts = [
            "a@localhost",
            "a@.org",
            "a@org.",
            "a@b..org",
            "a@.b.org",
            "a@b.org.",
            "a@-b.org",
            "a@b-.org",
            "a@b_c.org",
        ];
        let addresses = ["a@127.0.0.1", "a@[127.0.0.1]", "a@[::1]", "a@b.c:25", "a@b.c/d", "a@b.c?d", "a@b.c>"];
        let locals =
            [".a@b.c", "a.@b.c", "a..b@b.c", "a b@b.c", "a\u{a0}b@b.c", "a,b@b.c", "a;b@b.c", "a:b@b.c", r"a\b@b.c"];
        let wrapped =
            ["<a@b.c>", "<a@b.c", "Ada <a@b.c>", "mailto:a@b.c", "\"a\"@b.c", "(x)a@b.c", "[a]@b.c", "a@b.c, d@e.f"];
        for text in [&halves[..], &hosts, &addresses, &locals, &wrapped].concat() {
            assert_eq!(email(text), Err(Invalid::NotAnEmail), "{text}");
        }
    }

    #[test]
    fn no_message_repeats_the_text() {
        let texts = ["zq7@", "zq7\n7qz", "zq7 7qz@b.c"];
        let errors = texts.iter().flat_map(|text| [username(text).err(), email(text).err(), display_name(text).err()]);
        let messages: Vec<_> = errors.flatten().map(|error| error.to_string()).collect();
        assert_eq!(messages.len(), 7);
        assert!(messages.iter().all(|message| !message.contains("zq7")), "{messages:?}");
    }

    #[test]
    fn json_is_read_through_the_parser() {
        assert_eq!(serde_json::from_str::<Username>("\" Ada \"").unwrap(), parsed("Ada"));
        assert_eq!(serde_json::to_string(&parsed::<Username>("Ada")).unwrap(), "\"Ada\"");
        assert!(serde_json::from_str::<Username>("\"a@b\"").is_err());
        assert!(serde_json::from_str::<Email>("\"ada\"").is_err());
        assert!(serde_json::from_str::<DisplayName>("\" \"").is_err());
    }
}
