//! Refresh tokens as clients hold them: `crt_`, then the sign-in, 32 random bytes and a checksum.
//!
//! The sign-in's id finds the stream without an index; the checksum tells a typing error without asking the database.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::ids::TokenId;
use domain::values::Digest;
use uuid::Uuid;

use super::secret::{random, sha256};

const PREFIX: &str = "crt_";
const FAMILY: usize = 16;
const BODY: usize = FAMILY + 32;
const CHECKSUM: usize = 4;

/// A refresh token in the clear: never stored, never shown but to its owner.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct RefreshToken([u8; BODY]);

impl RefreshToken {
    /// A new one of a sign-in; `None` where the system gives no random bytes.
    pub(crate) fn fresh(family: TokenId) -> Option<Self> {
        let secret = random()?;
        let bytes = Uuid::from(family).into_bytes().into_iter().chain(secret);
        Some(Self::from_bytes(bytes))
    }

    fn from_bytes(bytes: impl Iterator<Item = u8>) -> Self {
        let mut body = [0; BODY];
        body.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
        Self(body)
    }

    /// What was sent, if it is well-formed.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text.trim().strip_prefix(PREFIX)?).ok()?;
        let token = Self::from_bytes(bytes.iter().copied());
        (bytes.len() == BODY + CHECKSUM && bytes.ends_with(&token.checksum())).then_some(token)
    }

    pub(crate) fn text(&self) -> String {
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode([&self.0[..], &self.checksum()].concat()))
    }

    fn checksum(&self) -> [u8; CHECKSUM] {
        let [a, b, c, d, ..] = *self.digest().as_bytes();
        [a, b, c, d]
    }

    pub(crate) fn family(&self) -> TokenId {
        let mut id = [0; FAMILY];
        id.iter_mut().zip(self.0).for_each(|(to, from)| *to = from);
        Uuid::from_bytes(id).into()
    }

    /// All that is kept of it.
    pub(crate) fn digest(&self) -> Digest {
        sha256(&self.0)
    }

    pub(super) const fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

impl std::fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RefreshToken")
    }
}

#[cfg(test)]
#[expect(clippy::indexing_slicing, reason = "a test's words are its panics")]
mod tests {
    use super::*;

    fn family() -> TokenId {
        Uuid::from_u128(0x018b_cfe5_6800_7000_8000_0000_0000_002a).into()
    }

    #[test]
    fn a_token_reads_what_it_writes_and_knows_its_sign_in() {
        let token = RefreshToken::fresh(family()).unwrap();
        let text = token.text();
        assert!(text.starts_with("crt_") && text.len() == 4 + 70);
        assert!(text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-'));
        assert!(RefreshToken::parse(&format!(" {text}\n")) == Some(token.clone()));
        assert_eq!(token.family(), family());
        assert_ne!(RefreshToken::fresh(family()).unwrap().text(), text);
    }

    #[test]
    fn a_token_that_was_mistyped_is_none() {
        let text = RefreshToken::fresh(family()).unwrap().text();
        for at in 0..text.len() {
            let mut typed = text.clone().into_bytes();
            typed[at] = if typed[at] == b'A' { b'B' } else { b'A' };
            assert!(RefreshToken::parse(&String::from_utf8(typed).unwrap()).is_none(), "at {at}");
        }
        for wrong in ["", "crt_", "crt_AAAA", &text[4..], &text[..73], &format!("{text}A"), &format!("crt_{text}")] {
            assert!(RefreshToken::parse(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn debug_never_shows_it() {
        assert_eq!(format!("{:?}", RefreshToken::fresh(family()).unwrap()), "RefreshToken");
    }
}
