//! Access tokens: signed, short-lived proof of who is asking.

use domain::Timestamp;
use domain::ids::{TokenId, UserId};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

const ISSUER: &str = "colloquy";
const AUDIENCE: &str = "colloquy";
const TYPE: &str = "at+jwt";
/// How far two nodes' clocks may be apart.
const LEEWAY_SECONDS: i64 = 10;

/// The key that signs; at least 32 characters.
#[derive(Clone)]
pub struct SecretKey(String);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must have at least {} characters", SecretKey::LEAST)]
pub struct ShortSecret;

impl SecretKey {
    pub const LEAST: usize = 32;
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

/// Issues and checks access tokens.
pub struct AccessTokens {
    signing: EncodingKey,
    checking: DecodingKey,
    validation: Validation,
    lifetime_seconds: u32,
}

impl std::fmt::Debug for AccessTokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccessTokens").field("lifetime_seconds", &self.lifetime_seconds).finish_non_exhaustive()
    }
}

/// Who a token speaks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bearer {
    pub(crate) user: UserId,
    pub(crate) session: TokenId,
}

#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: UserId,
    sid: TokenId,
    jti: Uuid,
    iat: i64,
    nbf: i64,
    exp: i64,
}

impl AccessTokens {
    #[must_use]
    pub fn new(secret: &SecretKey, lifetime_seconds: u32) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[AUDIENCE]);
        // The present is an argument: `check` compares the times.
        validation.validate_exp = false;
        validation.set_required_spec_claims(&["iss", "aud", "sub", "exp", "nbf"]);
        Self {
            signing: EncodingKey::from_secret(secret.0.as_bytes()),
            checking: DecodingKey::from_secret(secret.0.as_bytes()),
            validation,
            lifetime_seconds,
        }
    }

    pub(crate) const fn lifetime_seconds(&self) -> u32 {
        self.lifetime_seconds
    }

    /// A token for a sign-in; `None` only where signing itself fails.
    pub(crate) fn issue(&self, bearer: Bearer, id: Uuid, now: Timestamp) -> Option<String> {
        let iat = now.as_seconds();
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: bearer.user,
            sid: bearer.session,
            jti: id,
            iat,
            nbf: iat,
            exp: iat + i64::from(self.lifetime_seconds),
        };
        let header = Header { typ: Some(TYPE.to_owned()), ..Header::new(Algorithm::HS256) };
        jsonwebtoken::encode(&header, &claims, &self.signing).ok()
    }

    /// Who the token speaks for, if it is ours and its time is now.
    pub(crate) fn check(&self, token: &str, now: Timestamp) -> Option<Bearer> {
        let token = jsonwebtoken::decode::<Claims>(token, &self.checking, &self.validation).ok()?;
        let now = now.as_seconds();
        let in_time = token.claims.nbf <= now + LEEWAY_SECONDS && now < token.claims.exp + LEEWAY_SECONDS;
        let ours = token.header.typ.as_deref() == Some(TYPE) && in_time;
        ours.then_some(Bearer { user: token.claims.sub, session: token.claims.sid })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(secret: &str) -> AccessTokens {
        AccessTokens::new(&SecretKey::try_from(secret.to_owned()).unwrap(), 900)
    }

    fn bearer() -> Bearer {
        Bearer { user: Uuid::from_u128(1).into(), session: Uuid::from_u128(2).into() }
    }

    const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);
    const SECRET: &str = "a secret of at least thirty-two characters";

    #[test]
    fn a_token_is_good_from_its_issue_to_its_end() {
        let tokens = tokens(SECRET);
        let token = tokens.issue(bearer(), Uuid::nil(), NOW).unwrap();
        assert_eq!(tokens.check(&token, NOW), Some(bearer()));
        assert_eq!(tokens.check(&token, NOW.plus_seconds(899)), Some(bearer()));
        assert_eq!(tokens.check(&token, NOW.plus_seconds(900 + LEEWAY_SECONDS)), None);
        assert_eq!(tokens.check(&token, NOW.plus_seconds(-LEEWAY_SECONDS - 1)), None);
    }

    #[test]
    fn only_our_own_tokens_are_good() {
        let token = tokens(SECRET).issue(bearer(), Uuid::nil(), NOW).unwrap();
        assert_eq!(tokens("another secret of thirty-two characters").check(&token, NOW), None);
        assert_eq!(tokens(SECRET).check(&token[..token.len() - 2], NOW), None);
        assert_eq!(tokens(SECRET).check("", NOW), None);
    }

    #[test]
    fn another_algorithm_or_type_is_no_token_of_ours() {
        let tokens = tokens(SECRET);
        let claims = serde_json::json!({
            "iss": ISSUER, "aud": AUDIENCE, "sub": Uuid::from_u128(1), "sid": Uuid::from_u128(2), "jti": Uuid::nil(),
            "iat": 1_700_000_000, "nbf": 1_700_000_000, "exp": 1_700_000_900,
        });
        for (algorithm, kind) in
            [(Algorithm::HS512, Some(TYPE)), (Algorithm::HS256, Some("JWT")), (Algorithm::HS256, None)]
        {
            let header = Header { typ: kind.map(str::to_owned), ..Header::new(algorithm) };
            let token = jsonwebtoken::encode(&header, &claims, &tokens.signing).unwrap();
            assert_eq!(tokens.check(&token, NOW), None, "{algorithm:?} {kind:?}");
        }
    }

    #[test]
    fn a_short_secret_is_refused() {
        assert_eq!(SecretKey::try_from("x".repeat(31)).unwrap_err(), ShortSecret);
        assert!(SecretKey::try_from("x".repeat(32)).is_ok());
    }
}
