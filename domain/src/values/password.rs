//! Secrets: what is typed, and what is kept of it.

use serde::{Deserialize, Serialize};

use super::common::is_common;
use super::{Invalid, bounded};

/// What a new password must be like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PasswordPolicy {
    /// 8 to 128 characters.
    Plain,
    /// [`PasswordPolicy::Plain`], with a letter, a digit and a symbol.
    Mixed,
    /// 15 to 128 characters, and not what everybody tries first.
    Long,
}

impl PasswordPolicy {
    const fn least(self) -> usize {
        match self {
            Self::Plain | Self::Mixed => 8,
            Self::Long => 15,
        }
    }
}

fn is_mixed(text: &str) -> bool {
    let has = |class: fn(char) -> bool| text.chars().any(class);
    has(char::is_alphabetic) && has(char::is_numeric) && has(|c| "!@#$%^&*".contains(c))
}

/// A password in the clear: never stored, never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// The longest that is ever hashed; more is refused, never cut.
    pub const MOST: usize = 128;

    /// A password that somebody chooses.
    pub fn chosen(text: String, policy: PasswordPolicy) -> Result<Self, Invalid> {
        bounded(&text, policy.least(), Self::MOST)?;
        match policy {
            PasswordPolicy::Mixed if !is_mixed(&text) => Err(Invalid::WeakPassword),
            PasswordPolicy::Long if is_common(&text) => Err(Invalid::CommonPassword),
            PasswordPolicy::Plain | PasswordPolicy::Mixed | PasswordPolicy::Long => Ok(Self(text)),
        }
    }

    /// A password that somebody presents; `None` where no account can have it.
    #[must_use]
    pub fn presented(text: String) -> Option<Self> {
        bounded(&text, 1, Self::MOST).ok().map(|()| Self(text))
    }

    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password")
    }
}

/// A password's hash in PHC form.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PasswordHash(String);

impl PasswordHash {
    #[must_use]
    pub const fn new(phc: String) -> Self {
        Self(phc)
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PasswordHash")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(text: &str, policy: PasswordPolicy) -> Result<(), Invalid> {
        Password::chosen(text.to_owned(), policy).map(|_| ())
    }

    fn plain(text: &str) -> Result<(), Invalid> {
        chosen(text, PasswordPolicy::Plain)
    }

    fn mixed(text: &str) -> Result<(), Invalid> {
        chosen(text, PasswordPolicy::Mixed)
    }

    #[test]
    fn a_chosen_password_has_8_to_128_characters() {
        for character in ["x", "é", "한", "👋"] {
            assert_eq!(plain(&character.repeat(7)), Err(Invalid::TooShort(8)));
            assert_eq!(plain(&character.repeat(8)), Ok(()));
            assert_eq!(plain(&character.repeat(128)), Ok(()));
            assert_eq!(plain(&character.repeat(129)), Err(Invalid::TooLong(128)));
        }
        assert_eq!(plain(""), Err(Invalid::Blank));
    }

    #[test]
    fn a_password_is_never_trimmed_or_cut() {
        for text in [" secret ", "        ", "\tsecret\0\n", "Éclair-한국어 "] {
            let kept = Password::chosen(text.to_owned(), PasswordPolicy::Plain).unwrap();
            assert_eq!(kept.as_bytes(), text.as_bytes());
            assert_eq!(Password::presented(text.to_owned()).unwrap().as_bytes(), text.as_bytes());
        }
        let longest = "é".repeat(128);
        assert_eq!(Password::presented(longest.clone()).unwrap().as_bytes(), longest.as_bytes());
    }

    #[test]
    fn the_mixed_policy_wants_a_letter_a_digit_and_a_symbol() {
        for weak in ["abcdefgh", "12345678", "!@#$%^&*", "abcd1234", "abcd!@#$", "1234!@#$", "abcd123-", "abcd123 "] {
            assert_eq!(mixed(weak), Err(Invalid::WeakPassword), "{weak}");
            assert_eq!(plain(weak), Ok(()), "{weak}");
        }
        for symbol in "!@#$%^&*".chars() {
            assert_eq!(mixed(&format!("abcdef1{symbol}")), Ok(()));
        }
        assert_eq!(mixed("비밀번호비밀1!"), Ok(()));
    }

    #[test]
    fn the_mixed_policy_has_the_same_limits() {
        assert_eq!(mixed("abcde1!"), Err(Invalid::TooShort(8)));
        assert_eq!(mixed(&format!("a1!{}", "x".repeat(125))), Ok(()));
        assert_eq!(mixed(&format!("a1!{}", "x".repeat(126))), Err(Invalid::TooLong(128)));
    }

    #[test]
    fn the_long_policy_wants_15_to_128_characters_and_nothing_common() {
        let long = |text: &str| chosen(text, PasswordPolicy::Long);
        let made_up: String = "vellum gravity otter; ".chars().cycle().take(128).collect();
        assert_eq!(long("vellum gravity"), Err(Invalid::TooShort(15)));
        assert_eq!(long("vellum gravity "), Ok(()));
        assert_eq!(long(&made_up), Ok(()));
        assert_eq!(long(&format!("{made_up}.")), Err(Invalid::TooLong(128)));
        assert_eq!(long(""), Err(Invalid::Blank));
        assert_eq!(long("passwordpassword"), Err(Invalid::CommonPassword));
        assert_eq!(plain("passwordpassword"), Ok(()));
        assert_eq!(mixed("password1!password1!"), Ok(()));
    }

    #[test]
    fn a_presented_password_may_be_short_but_never_empty_or_too_long() {
        assert_eq!(Password::presented(String::new()), None);
        assert!(Password::presented(" ".to_owned()).is_some());
        assert!(Password::presented("한".repeat(128)).is_some());
        assert_eq!(Password::presented("x".repeat(129)), None);
    }

    #[test]
    fn debug_never_shows_the_secret() {
        let password = Password::presented("hunter2-secret".to_owned());
        let hash = PasswordHash::new("hunter2-secret".to_owned());
        assert_eq!(format!("{password:?} {hash:?}"), "Some(Password) PasswordHash");
        assert_eq!(format!("{:#?}", (password, hash)).matches("hunter2").count(), 0);
    }

    #[test]
    fn a_hash_is_kept_as_it_is() {
        let hash = PasswordHash::new("$argon2id$v=19$x".to_owned());
        assert_eq!(hash.as_str(), "$argon2id$v=19$x");
        assert_eq!(serde_json::to_string(&hash).unwrap(), "\"$argon2id$v=19$x\"");
        assert_eq!(serde_json::from_str::<PasswordHash>("\"$argon2id$v=19$x\"").unwrap(), hash);
    }
}
