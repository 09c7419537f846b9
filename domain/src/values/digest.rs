//! What is kept of a secret that a machine made, or of a file's bytes: their SHA-256.

use serde::{Deserialize, Serialize};

/// A SHA-256, in JSON as 64 hexadecimal digits. It is reckoned elsewhere: here is no cryptography.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest([u8; 32]);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a digest has 64 hexadecimal digits")]
pub struct NotADigest;

impl Digest {
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().map_or('0', char::from);
        digest.0.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
    }
}

impl TryFrom<String> for Digest {
    type Error = NotADigest;

    fn try_from(text: String) -> Result<Self, NotADigest> {
        let nibble = |digit: char| digit.to_digit(16).filter(|_| !digit.is_uppercase());
        let nibbles: Vec<u8> = text.chars().filter_map(nibble).filter_map(|nibble| u8::try_from(nibble).ok()).collect();
        let bytes: Vec<u8> =
            nibbles.chunks_exact(2).map(|pair| pair.iter().fold(0, |byte, half| byte << 4 | half)).collect();
        if text.len() == 64 { bytes.try_into().map(Self).map_err(|_| NotADigest) } else { Err(NotADigest) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_reads_what_it_writes() {
        let digest = Digest::new(std::array::from_fn(|at| u8::try_from(at * 8).unwrap()));
        let text = String::from(digest);
        assert!(text.starts_with("0008101820") && text.len() == 64);
        assert_eq!(Digest::try_from(text), Ok(digest));
    }

    #[test]
    fn whatever_else_is_none() {
        for text in [String::new(), "0".repeat(63), "0".repeat(65), "g".repeat(64), "A".repeat(64), "é".repeat(32)] {
            assert_eq!(Digest::try_from(text), Err(NotADigest));
        }
    }
}
