//! What is given out as proof of who is asking, and what tells whether it still is one.

mod access;
mod api_key;
mod keep;
mod refresh;
mod revocations;
mod secret;
mod signing;

pub use access::AccessTokens;
pub(crate) use access::{Bearer, GoodToken, NoToken};
pub(crate) use api_key::{KeySecret, PresentedKey};
pub use keep::RefreshTokens;
pub(crate) use refresh::RefreshToken;
pub use revocations::{Followers, Revocations};
pub use secret::{SecretKey, ShortSecret};
pub(crate) use secret::{random, sha256 as digest, sha256_of as digest_of};
pub use signing::{Algorithm, SigningError, SigningKeys};
