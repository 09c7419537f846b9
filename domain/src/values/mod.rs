//! Parsed values: what exists here is valid, and was checked once, before a command was made of it.
//!
//! Events keep these values and are read through the same parsers: a parser may become milder, never stricter for what
//! the log may hold already.

mod access;
mod asked;
mod common;
mod digest;
mod embedding;
mod file_name;
mod media_type;
mod message;
mod names;
mod password;

pub use access::{Role, Scope};
pub use asked::{MaxTokens, Temperature};
pub use digest::Digest;
pub use embedding::{Embedding, Vector};
pub use file_name::FileName;
pub use media_type::MediaType;
pub use message::MessageBody;
pub use names::{ConversationName, DisplayName, Email, EmbeddingModel, KeyName, Username};
pub use password::{Password, PasswordHash, PasswordPolicy};

/// Why a text is not the value that it should be; the message is for the client and never repeats the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    #[error("must not be blank")]
    Blank,
    #[error("must have at least {0} characters")]
    TooShort(usize),
    #[error("must have at most {0} characters")]
    TooLong(usize),
    #[error("must not contain control characters")]
    ControlCharacter,
    #[error("must not contain the character NUL")]
    Nul,
    #[error("must be a name without a path")]
    Path,
    #[error("must be an email address")]
    NotAnEmail,
    #[error("must not contain '@'")]
    AtSign,
    #[error("must contain a letter, a digit and one of !@#$%^&*")]
    WeakPassword,
    #[error("must not be a common or easily guessed password")]
    CommonPassword,
    #[error("must be a number from {0} to {1}")]
    OutOfRange(u32, u32),
    #[error("is not one of those that there are")]
    NotOneOf,
    #[error("must have from {0} to {1} numbers")]
    Dimension(u32, u32),
    #[error("must be finite numbers, not all of them 0")]
    NoDirection,
}

fn bounded(text: &str, least: usize, most: usize) -> Result<(), Invalid> {
    match text.chars().count() {
        0 if least > 0 => Err(Invalid::Blank),
        n if n < least => Err(Invalid::TooShort(least)),
        n if n > most => Err(Invalid::TooLong(most)),
        _ => Ok(()),
    }
}

macro_rules! text_value {
    ($name:ident, $parse:expr) => {
        impl TryFrom<String> for $name {
            type Error = $crate::values::Invalid;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                #[allow(clippy::redundant_closure_call, reason = "the parser may be a function or a closure")]
                ($parse)(&text).map(Self)
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.0
            }
        }

        impl $name {
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
    };
}

use text_value;

#[cfg(test)]
mod tests {
    use super::{Invalid, bounded};

    #[test]
    fn bounds_are_inclusive_and_count_characters() {
        assert_eq!(bounded("", 1, 3), Err(Invalid::Blank));
        assert_eq!(bounded("", 0, 3), Ok(()));
        assert_eq!(bounded("é", 2, 3), Err(Invalid::TooShort(2)));
        assert_eq!(bounded("é한", 2, 3), Ok(()));
        assert_eq!(bounded("é한👋", 2, 3), Ok(()));
        assert_eq!(bounded("é한👋!", 2, 3), Err(Invalid::TooLong(3)));
    }
}
