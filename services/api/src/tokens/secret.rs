//! The service's one secret, and what is derived from it: each use has a key of its own.

use aws_lc_rs::aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use aws_lc_rs::{digest, rand};
use domain::values::Digest;

/// The secret of this installation; at least 32 characters.
#[derive(Clone)]
pub struct SecretKey(String);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must have at least {} characters", SecretKey::LEAST)]
pub struct ShortSecret;

impl SecretKey {
    pub const LEAST: usize = 32;

    #[must_use]
    pub const fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// Seals what only this secret together with `with` can open again. `None` only where cryptography itself fails.
    pub(crate) fn seal(&self, purpose: &str, with: &[u8], bound_to: &[u8], plain: &[u8]) -> Option<Vec<u8>> {
        let key = self.sealing_key(purpose, with)?;
        let mut sealed = plain.to_vec();
        let nonce = key.seal_in_place_append_tag(Aad::from(bound_to), &mut sealed).ok()?;
        Some([nonce.as_ref().as_slice(), &sealed].concat())
    }

    /// Opens what [`SecretKey::seal`] has sealed for the same purpose, with and bound to the same.
    pub(crate) fn open(&self, purpose: &str, with: &[u8], bound_to: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, sealed) = sealed.split_at_checked(AES_256_GCM.nonce_len())?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut opened = sealed.to_vec();
        let plain = self.sealing_key(purpose, with)?.open_in_place(nonce, Aad::from(bound_to), &mut opened).ok()?;
        Some(plain.to_vec())
    }

    fn sealing_key(&self, purpose: &str, with: &[u8]) -> Option<RandomizedNonceKey> {
        RandomizedNonceKey::new(&AES_256_GCM, &self.derive(purpose, with)?).ok()
    }

    /// What follows from this secret together with `with`, for one purpose: nobody can guess it who does not have both.
    pub(crate) fn derive(&self, purpose: &str, with: &[u8]) -> Option<[u8; 32]> {
        struct Length;
        impl KeyType for Length {
            fn len(&self) -> usize {
                32
            }
        }
        let mut key = [0; 32];
        let derived = Salt::new(HKDF_SHA256, self.as_bytes()).extract(with);
        derived.expand(&[purpose.as_bytes()], Length).ok()?.fill(&mut key).ok()?;
        Some(key)
    }
}

impl TryFrom<String> for SecretKey {
    type Error = ShortSecret;

    fn try_from(text: String) -> Result<Self, ShortSecret> {
        if text.chars().count() < Self::LEAST { Err(ShortSecret) } else { Ok(Self(text)) }
    }
}

impl std::fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretKey")
    }
}

/// 32 bytes that nobody can guess; `None` where the system gives none.
pub(crate) fn random() -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    rand::fill(&mut bytes).ok().map(|()| bytes)
}

pub(crate) fn sha256(bytes: &[u8]) -> Digest {
    let mut digest = [0; 32];
    digest.iter_mut().zip(digest::digest(&digest::SHA256, bytes).as_ref()).for_each(|(to, from)| *to = *from);
    Digest::new(digest)
}

pub(crate) fn sha256_of(text: &str) -> Digest {
    sha256(text.as_bytes())
}

#[cfg(test)]
#[expect(clippy::indexing_slicing, reason = "a test's words are its panics")]
mod tests {
    use super::*;

    fn secret(text: &str) -> SecretKey {
        SecretKey::try_from(text.repeat(32)).unwrap()
    }

    #[test]
    fn a_short_secret_is_refused() {
        assert_eq!(SecretKey::try_from("x".repeat(31)).unwrap_err(), ShortSecret);
        assert!(SecretKey::try_from("x".repeat(32)).is_ok());
    }

    #[test]
    fn what_is_sealed_opens_with_all_that_it_was_sealed_with() {
        let sealed = secret("a").seal("letters", b"with", b"bound", b"plain").unwrap();
        assert_eq!(secret("a").open("letters", b"with", b"bound", &sealed).unwrap(), b"plain");
        assert_ne!(secret("a").seal("letters", b"with", b"bound", b"plain").unwrap(), sealed);
        assert!(!sealed.windows(5).any(|some| some == b"plain"));
        for (other, purpose, with, bound) in [
            ("b", "letters", "with", "bound"),
            ("a", "parcels", "with", "bound"),
            ("a", "letters", "without", "bound"),
            ("a", "letters", "with", "free"),
        ] {
            assert_eq!(secret(other).open(purpose, with.as_bytes(), bound.as_bytes(), &sealed), None);
        }
        let mut changed = sealed.clone();
        *changed.last_mut().unwrap() ^= 1;
        for bad in [&changed[..], &sealed[..11], b""] {
            assert_eq!(secret("a").open("letters", b"with", b"bound", bad), None);
        }
    }

    #[test]
    fn a_digest_is_sha256() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(String::from(sha256(b"")), empty);
    }
}
