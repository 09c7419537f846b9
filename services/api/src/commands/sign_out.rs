//! `SignOut`, `EndSignIn` → `TokenRevoked`: one sign-in is over. And whose it is, for who wants to end all of theirs.

use domain::ids::{TokenId, UserId};
use domain::token::family::{Origin, RevokeReason, Token, TokenCommand, Verdict};
use store::{Command, Executor, StoreError, Unit};

use super::refresh::{RefreshError, Shown};
use crate::tokens::{RefreshToken, RefreshTokens};

/// By whoever has its refresh token.
#[derive(Debug)]
pub(crate) struct SignOut<'a> {
    pub(crate) tokens: &'a RefreshTokens,
    pub(crate) presented: &'a RefreshToken,
    pub(crate) from: Origin,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SignedOut {
    Yes {
        user: UserId,
    },
    /// The token was good no more; whether the sign-in is over now because of that.
    No {
        ended: bool,
    },
    /// It never was a token.
    Unknown,
}

impl Command for SignOut<'_> {
    const NAME: &'static str = "sign_out";
    type Output = SignedOut;
    type Error = RefreshError;

    async fn run(&self, unit: &mut Unit<'_>) -> Result<SignedOut, RefreshError> {
        let Some(shown) = Shown::look(self.tokens, self.presented, unit).await? else {
            return Ok(SignedOut::Unknown);
        };
        match shown.verdict {
            Verdict::Current | Verdict::Before => {
                unit.is_done_by(shown.family.user, self.presented.family());
                let mut stream = unit.load::<Token>(self.presented.family()).await?;
                stream.decide(TokenCommand::Revoke { reason: RevokeReason::SignedOut })?;
                Ok(SignedOut::Yes { user: shown.family.user })
            }
            Verdict::Reused | Verdict::Expired | Verdict::Revoked | Verdict::Unknown => {
                shown.decide(self.tokens, self.presented, None, self.from.clone(), unit).await?;
                Ok(SignedOut::No { ended: shown.verdict == Verdict::Reused })
            }
        }
    }
}

/// Whose refresh token it is, where it is still good. Nothing follows from asking.
pub(crate) async fn owner_of(
    executor: &Executor,
    tokens: &RefreshTokens,
    presented: &RefreshToken,
) -> Result<Option<UserId>, StoreError> {
    let Some(shown) = Shown::query(tokens, presented, executor).await? else { return Ok(None) };
    Ok(match shown.verdict {
        Verdict::Current | Verdict::Before => Some(shown.family.user),
        Verdict::Reused | Verdict::Expired | Verdict::Revoked | Verdict::Unknown => None,
    })
}

/// By its user, from another device.
#[derive(Debug)]
pub(crate) struct EndSignIn {
    pub(crate) by: UserId,
    pub(crate) id: TokenId,
}

impl Command for EndSignIn {
    const NAME: &'static str = "end_sign_in";
    /// Whether it is one of theirs that had not ended.
    type Output = bool;
    type Error = StoreError;

    async fn run(&self, unit: &mut Unit<'_>) -> Result<bool, StoreError> {
        let mut stream = unit.load_fresh::<Token>(self.id).await?;
        let theirs = stream.state().active().is_some_and(|family| family.user == self.by);
        Ok(theirs && stream.decide(TokenCommand::Revoke { reason: RevokeReason::Ended }).is_ok())
    }
}
