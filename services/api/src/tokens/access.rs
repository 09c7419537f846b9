//! Access tokens: signed, short-lived proof of who is asking.

use std::sync::Arc;

use domain::Timestamp;
use domain::ids::{TokenId, UserId};
use domain::values::Digest;
use jsonwebtoken::{Header, Validation};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::secret::sha256;
use super::signing::SigningKeys;

const ISSUER: &str = "colloquy";
const AUDIENCE: &str = "colloquy";
const TYPE: &str = "at+jwt";
/// How far two nodes' clocks may be apart.
const LEEWAY_SECONDS: i64 = 10;
/// How many checked tokens are remembered.
const CHECKED: u64 = 20_000;
/// Nothing that we sign is longer.
const LONGEST: usize = 2_048;

/// Issues and checks access tokens.
#[derive(Debug)]
pub struct AccessTokens {
    pub(crate) keys: SigningKeys,
    validation: Validation,
    lifetime_seconds: u32,
    /// By the token's digest. That a token is signed never changes; all else is looked at each time, also whether the
    /// key that signed it is still trusted.
    checked: moka::sync::Cache<Digest, Checked>,
}

/// Who a token speaks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Bearer {
    pub(crate) user: UserId,
    pub(crate) session: TokenId,
    /// The generation of the refresh token that it came with.
    pub(crate) generation: u32,
    /// The epoch of the user's account at that time.
    pub(crate) epoch: u32,
}

/// A token that is ours, and whose time is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct GoodToken {
    pub(crate) bearer: Bearer,
    /// From when on it is good no more.
    pub(crate) ends: Timestamp,
}

/// What is wrong with a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoToken {
    /// Signed by a key that this node does not know, or not yet.
    UnknownKey,
    Bad,
}

#[derive(Debug, Clone)]
struct Checked {
    bearer: Bearer,
    kid: Arc<str>,
    not_before: i64,
    expires: i64,
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
    r#gen: u32,
    epoch: u32,
}

impl AccessTokens {
    #[must_use]
    pub fn new(keys: SigningKeys, lifetime_seconds: u32) -> Self {
        let mut validation = Validation::new(keys.algorithm());
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[AUDIENCE]);
        // The present is an argument: `check` compares the times.
        validation.validate_exp = false;
        validation.set_required_spec_claims(&["iss", "aud", "sub", "exp", "nbf"]);
        Self { keys, validation, lifetime_seconds, checked: moka::sync::Cache::new(CHECKED) }
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
            r#gen: bearer.generation,
            epoch: bearer.epoch,
        };
        let header = Header { typ: Some(TYPE.to_owned()), ..Header::new(self.keys.algorithm()) };
        self.keys.sign(header, &claims)
    }

    /// Who the token speaks for, if it is ours and its time is now.
    pub(crate) fn check(&self, token: &str, now: Timestamp) -> Result<GoodToken, NoToken> {
        if token.len() > LONGEST {
            return Err(NoToken::Bad);
        }
        let digest = sha256(token.as_bytes());
        let known = self.checked.get(&digest).filter(|checked| self.keys.checking(&checked.kid).is_some());
        let is_new = known.is_none();
        let checked = match known {
            Some(checked) => checked,
            None => self.verify(token)?,
        };
        let bearer = checked.bearer;
        let ends = Timestamp::from_micros(0).plus_seconds(checked.expires).plus_seconds(LEEWAY_SECONDS);
        if checked.not_before > now.as_seconds() + LEEWAY_SECONDS || now >= ends {
            return Err(NoToken::Bad);
        }
        if is_new {
            self.checked.insert(digest, checked);
        }
        Ok(GoodToken { bearer, ends })
    }

    fn verify(&self, token: &str) -> Result<Checked, NoToken> {
        let header = jsonwebtoken::decode_header(token).map_err(|_| NoToken::Bad)?;
        let kid = header.kid.filter(|_| header.typ.as_deref() == Some(TYPE)).ok_or(NoToken::Bad)?;
        let key = self.keys.checking(&kid).ok_or(NoToken::UnknownKey)?;
        let token = jsonwebtoken::decode::<Claims>(token, &key, &self.validation).map_err(|_| NoToken::Bad)?;
        // Nothing is valid before it was issued, whatever else it says of itself.
        let not_before = token.claims.nbf.max(token.claims.iat);
        let Claims { sub: user, sid: session, exp: expires, r#gen: generation, epoch, .. } = token.claims;
        Ok(Checked { bearer: Bearer { user, session, generation, epoch }, kid: kid.into(), not_before, expires })
    }
}

#[cfg(test)]
#[expect(clippy::indexing_slicing, reason = "a test's words are its panics")]
mod tests {
    use std::path::Path;

    use jsonwebtoken::{Algorithm, EncodingKey};
    use serde_json::{Value, json};
    use store::{Clock, Db, Durability, Executor, Log, SqliteFile};

    use super::*;
    use crate::tokens::{self, SecretKey};

    const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);
    const SECRET: &str = "a secret of at least thirty-two characters";

    fn secret(text: &str) -> SecretKey {
        SecretKey::try_from(text.to_owned()).unwrap()
    }

    async fn db(folder: &Path) -> Db {
        let db = Db::Sqlite(SqliteFile::open(&folder.join("log.db"), Durability::Full).unwrap());
        store::migrate(&db).await.unwrap();
        db
    }

    async fn tokens(folder: &Path, algorithm: tokens::Algorithm) -> AccessTokens {
        let keys = SigningKeys::open(db(folder).await, secret(SECRET), algorithm, NOW).await.unwrap();
        AccessTokens::new(keys, 900)
    }

    fn bearer() -> Bearer {
        Bearer { user: Uuid::from_u128(1).into(), session: Uuid::from_u128(2).into(), generation: 3, epoch: 4 }
    }

    fn whose(tokens: &AccessTokens, token: &str, now: Timestamp) -> Result<Bearer, NoToken> {
        tokens.check(token, now).map(|good| good.bearer)
    }

    fn claims() -> Value {
        json!({
            "iss": ISSUER, "aud": AUDIENCE, "sub": Uuid::from_u128(1), "sid": Uuid::from_u128(2), "jti": Uuid::nil(),
            "iat": 1_700_000_000, "nbf": 1_700_000_000, "exp": 1_700_000_900, "gen": 3, "epoch": 4,
        })
    }

    fn with(name: &str, value: Value) -> Value {
        let mut claims = claims();
        claims[name] = value;
        claims
    }

    #[tokio::test]
    async fn a_token_is_good_from_its_issue_to_its_end() {
        let folder = tempfile::tempdir().unwrap();
        for algorithm in [tokens::Algorithm::Hs256, tokens::Algorithm::EdDsa] {
            let tokens = tokens(folder.path(), algorithm).await;
            let token = tokens.issue(bearer(), Uuid::nil(), NOW).unwrap();
            // Twice each: what is remembered of a token must not outlive its time.
            for _ in 0..2 {
                assert_eq!(whose(&tokens, &token, NOW), Ok(bearer()));
                assert_eq!(whose(&tokens, &token, NOW.plus_seconds(899)), Ok(bearer()));
                assert_eq!(whose(&tokens, &token, NOW.plus_seconds(900 + LEEWAY_SECONDS)), Err(NoToken::Bad));
                assert_eq!(whose(&tokens, &token, NOW.plus_seconds(-LEEWAY_SECONDS - 1)), Err(NoToken::Bad));
            }
        }
    }

    /// Every way in which a token can be another than ours.
    #[tokio::test]
    async fn only_our_own_tokens_are_good() {
        let folder = tempfile::tempdir().unwrap();
        let tokens = tokens(folder.path(), tokens::Algorithm::Hs256).await;
        let good = tokens.issue(bearer(), Uuid::nil(), NOW).unwrap();
        let header = jsonwebtoken::decode_header(&good).unwrap();
        let (kid, key) = (header.kid.clone(), EncodingKey::from_secret(SECRET.as_bytes()));
        let make = |algorithm, typ: Option<&str>, kid: Option<String>, claims: &Value, key: &EncodingKey| {
            let header = Header { typ: typ.map(str::to_owned), kid, ..Header::new(algorithm) };
            jsonwebtoken::encode(&header, claims, key).unwrap()
        };
        let ours = |claims: Value| make(Algorithm::HS256, Some(TYPE), kid.clone(), &claims, &key);
        assert_eq!(whose(&tokens, &ours(claims()), NOW), Ok(bearer()), "the forger knows how");
        let other = EncodingKey::from_secret(b"another secret of thirty-two characters");
        let unsigned = {
            let part = |value: Value| {
                use base64::Engine;
                base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(value.to_string())
            };
            format!("{}.{}.", part(json!({"alg": "none", "typ": TYPE, "kid": kid})), part(claims()))
        };
        let bad = [
            ("tampered with", format!("{}x{}", &good[..good.len() - 5], &good[good.len() - 4..])),
            ("cut", good[..good.len() - 2].to_owned()),
            ("empty", String::new()),
            ("huge", "x".repeat(100_000)),
            ("unsigned", unsigned),
            ("of another secret", make(Algorithm::HS256, Some(TYPE), kid.clone(), &claims(), &other)),
            ("of another algorithm", make(Algorithm::HS512, Some(TYPE), kid.clone(), &claims(), &key)),
            ("of another type", make(Algorithm::HS256, Some("JWT"), kid.clone(), &claims(), &key)),
            ("of no type", make(Algorithm::HS256, None, kid.clone(), &claims(), &key)),
            ("of no key", make(Algorithm::HS256, Some(TYPE), None, &claims(), &key)),
            ("for another audience", ours(with("aud", json!("elsewhere")))),
            ("from another issuer", ours(with("iss", json!("elsewhere")))),
            ("expired", ours(with("exp", json!(1_699_999_980)))),
            ("not yet valid", ours(with("nbf", json!(1_700_000_100)))),
            ("issued in the future", ours(with("iat", json!(1_700_000_100)))),
            ("for nobody", ours(with("sub", json!(null)))),
            ("of no sign-in", ours(with("sid", json!("x")))),
            ("without an end", ours(with("exp", json!(null)))),
        ];
        for (what, token) in bad {
            assert_eq!(whose(&tokens, &token, NOW), Err(NoToken::Bad), "{what}");
        }
        let of_unknown = make(Algorithm::HS256, Some(TYPE), Some("other".to_owned()), &claims(), &key);
        assert_eq!(whose(&tokens, &of_unknown, NOW), Err(NoToken::UnknownKey));
    }

    /// The public key is public: it must not pass as a secret.
    #[tokio::test]
    async fn a_public_key_signs_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let tokens = tokens(folder.path(), tokens::Algorithm::EdDsa).await;
        let good = tokens.issue(bearer(), Uuid::nil(), NOW).unwrap();
        let header = jsonwebtoken::decode_header(&good).unwrap();
        let public = store::signing_keys(&db(folder.path()).await).await.unwrap().remove(0).public;
        for (algorithm, key) in [(Algorithm::HS256, public.as_slice()), (Algorithm::HS256, SECRET.as_bytes())] {
            let forged = Header { typ: header.typ.clone(), kid: header.kid.clone(), ..Header::new(algorithm) };
            let forged = jsonwebtoken::encode(&forged, &claims(), &EncodingKey::from_secret(key)).unwrap();
            assert_eq!(whose(&tokens, &forged, NOW), Err(NoToken::Bad));
        }
    }

    #[tokio::test]
    async fn keys_rotate_and_what_they_signed_stays_good() {
        let folder = tempfile::tempdir().unwrap();
        let one = tokens(folder.path(), tokens::Algorithm::EdDsa).await;
        let other = tokens(folder.path(), tokens::Algorithm::EdDsa).await;
        let old = one.issue(bearer(), Uuid::nil(), NOW).unwrap();
        assert_eq!(whose(&other, &old, NOW), Ok(bearer()), "all nodes have the same keys");

        let later = NOW.plus_seconds(10);
        let kid = SigningKeys::rotate(&db(folder.path()).await, &secret(SECRET), later).await.unwrap();
        one.keys.reload(later).await;
        let new = one.issue(bearer(), Uuid::nil(), later).unwrap();
        assert_eq!(jsonwebtoken::decode_header(&new).unwrap().kid, Some(kid.to_string()));
        assert_eq!(whose(&other, &new, later), Err(NoToken::UnknownKey));
        other.keys.reload(later).await;
        assert_eq!((whose(&other, &new, later), whose(&other, &old, later)), (Ok(bearer()), Ok(bearer())));
        assert_eq!(one.keys.jwks()["keys"].as_array().unwrap().len(), 2);
        assert!(!one.keys.jwks().to_string().contains("\"d\""), "a private key is shown");
    }

    #[tokio::test]
    async fn a_key_is_replaced_by_itself_and_checks_no_more_when_nothing_of_it_can_be_good() {
        let folder = tempfile::tempdir().unwrap();
        let tokens = tokens(folder.path(), tokens::Algorithm::EdDsa).await;
        let log = Log::open(db(folder.path()).await);
        let executor = Executor::new(log.clone(), Clock::manual(NOW));
        let mut day = 0;
        for (until, keys) in [(29, 1), (30, 2), (31, 2), (33, 1), (60, 2), (63, 1)] {
            executor.clock().advance((until - day) * 86_400);
            day = until;
            tokens.keys.look(&executor).await.unwrap();
            assert_eq!(tokens.keys.jwks()["keys"].as_array().unwrap().len(), keys, "after {day} days");
        }
        let noted = log.read(store::Position::START, 10).await.unwrap();
        assert_eq!(noted.iter().map(|event| event.event_type.as_str()).collect::<Vec<_>>(), ["SigningKeyRotated"; 2]);
    }

    #[tokio::test]
    async fn keys_of_another_secret_are_not_used() {
        let folder = tempfile::tempdir().unwrap();
        tokens(folder.path(), tokens::Algorithm::EdDsa).await;
        let other = secret("another secret of at least thirty-two characters");
        let opened = SigningKeys::open(db(folder.path()).await, other, tokens::Algorithm::EdDsa, NOW).await;
        assert!(matches!(opened, Err(tokens::SigningError::OtherSecret)));
    }
}
