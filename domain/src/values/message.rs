//! What people say.

use serde::{Deserialize, Serialize};

use super::{Invalid, bounded, text_value};

/// A message as it was typed; what is limited is its length without the space around it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MessageBody(String);

text_value!(MessageBody, |text: &str| parse_message(text, MessageBody::MOST));

impl MessageBody {
    /// No dialect takes more than this.
    pub const MOST: usize = 32_000;
    /// How much space around it a new message may have.
    pub const PADDING: usize = 1_024;

    /// A message under a dialect's own, smaller limit.
    pub fn within(text: &str, most: usize) -> Result<Self, Invalid> {
        let most = most.min(Self::MOST);
        bounded(text, 0, most + Self::PADDING).map_err(|_| Invalid::TooLong(most))?;
        parse_message(text, most).map(Self)
    }
}

fn parse_message(text: &str, most: usize) -> Result<String, Invalid> {
    bounded(text.trim(), 1, most)?;
    if text.contains('\0') { Err(Invalid::Nul) } else { Ok(text.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::{Invalid, MessageBody};
    use crate::testing::parsed;

    fn refused(text: impl Into<String>) -> Invalid {
        MessageBody::try_from(text.into()).unwrap_err()
    }

    #[test]
    fn a_message_stays_as_it_was_typed() {
        for text in
            ["x", "  two  spaces ", "\n```rust\r\n\tfn main() {}\n```\n", "안녕 👩‍👩‍👧 \u{202e}", "\u{1b}[0m", "\u{7f}"]
        {
            assert_eq!(parsed::<MessageBody>(text).as_str(), text);
        }
    }

    #[test]
    fn the_space_around_a_new_message_is_limited_too() {
        let padded = |spaces: usize| MessageBody::within(&format!("{}x", " ".repeat(spaces)), 10);
        assert!(padded(10 + MessageBody::PADDING - 1).is_ok());
        assert_eq!(padded(10 + MessageBody::PADDING), Err(Invalid::TooLong(10)));
    }

    #[test]
    fn a_message_of_nothing_but_space_is_blank() {
        for text in ["", " ", "\n\t\r\n", "\u{a0}\u{2003}\u{3000}"] {
            assert_eq!(refused(text), Invalid::Blank);
        }
    }

    #[test]
    fn nul_is_refused_wherever_it_stands() {
        for text in ["\0", "\0hello", "hel\0lo", "hello\0", "hello \0 "] {
            assert_eq!(refused(text), Invalid::Nul);
        }
    }

    #[test]
    fn its_length_is_counted_in_characters_without_the_space_around_it() {
        assert_eq!(MessageBody::MOST, 32_000);
        for character in ["x", "한", "👋"] {
            let longest = character.repeat(32_000);
            assert_eq!(parsed::<MessageBody>(&longest).as_str(), longest);
            assert_eq!(parsed::<MessageBody>(&format!(" {longest}\n")).as_str(), format!(" {longest}\n"));
            assert_eq!(refused(longest + character), Invalid::TooLong(32_000));
        }
    }

    #[test]
    fn a_dialect_may_ask_for_less_but_not_for_more() {
        let (five, longest) = ("한".repeat(5), "x".repeat(32_000));
        assert_eq!(MessageBody::within(&five, 5), Ok(parsed(&five)));
        assert_eq!(MessageBody::within(&five, 4), Err(Invalid::TooLong(4)));
        assert_eq!(MessageBody::within(&longest, usize::MAX), Ok(parsed(&longest)));
        assert_eq!(MessageBody::within(&(longest + "x"), usize::MAX), Err(Invalid::TooLong(32_000)));
        assert_eq!(MessageBody::within(" ", 5), Err(Invalid::Blank));
        assert_eq!(MessageBody::within("a\0", 5), Err(Invalid::Nul));
    }

    #[test]
    fn json_is_read_through_the_parser() {
        assert_eq!(serde_json::from_str::<MessageBody>("\" hi \"").unwrap(), parsed(" hi "));
        for json in ["\" \"", r#""a\u0000""#, "1", "null"] {
            assert!(serde_json::from_str::<MessageBody>(json).is_err());
        }
    }
}
