//! API keys as programs hold them: `cak_<public id>_<secret>`.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::ids::ApiKeyId;
use domain::values::Digest;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::secret::{SecretKey, random, sha256};

const PREFIX: &str = "cak_";

/// The secret half of a new key: shown once, never stored.
pub(crate) struct KeySecret(String);

impl KeySecret {
    /// `None` where the system gives no random bytes.
    pub(crate) fn fresh() -> Option<Self> {
        random().map(Self::of_bytes)
    }

    /// The same each time for a request that may be sent again, and another one for any other. `None` only where cryptography
    /// itself fails.
    pub(crate) fn of_request(secret: &SecretKey, request: &str) -> Option<Self> {
        secret.derive("the secret of a key that was asked for", request.as_bytes()).map(Self::of_bytes)
    }

    fn of_bytes(bytes: [u8; 32]) -> Self {
        Self(URL_SAFE_NO_PAD.encode(bytes))
    }

    pub(crate) fn digest(&self) -> Digest {
        sha256(self.0.as_bytes())
    }

    /// The whole key, for its owner.
    pub(crate) fn of(&self, id: ApiKeyId) -> String {
        format!("{PREFIX}{}_{}", Uuid::from(id).simple(), self.0)
    }
}

/// A key that somebody shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PresentedKey {
    pub(crate) id: ApiKeyId,
    pub(crate) digest: Digest,
}

impl PresentedKey {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (id, secret) = text.trim().strip_prefix(PREFIX)?.split_once('_')?;
        let id: Uuid = id.parse().ok()?;
        Some(Self { id: id.into(), digest: sha256(secret.as_bytes()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_reads_what_it_writes() {
        let (id, secret) = (Uuid::from_u128(42).into(), KeySecret::fresh().unwrap());
        let text = secret.of(id);
        assert!(text.starts_with("cak_0000000000000000000000000000002a_") && text.len() == 4 + 32 + 1 + 43);
        let read = PresentedKey::parse(&text).unwrap();
        assert!(read.id == id && read.digest == secret.digest());
        assert!(PresentedKey::parse(&format!("{text}x")).unwrap().digest != secret.digest());
        for wrong in
            ["", "cak_", "cak_x_y", "crt_0000000000000000000000000000002a_x", "cak_0000000000000000000000000000002a"]
        {
            assert!(PresentedKey::parse(wrong).is_none(), "{wrong}");
        }
    }
}
