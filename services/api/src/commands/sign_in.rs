//! `SignIn` → `TokenIssued`, for who knows the password of the account that holds the name; else `SignInFailed`.

use domain::Timestamp;
use domain::ids::{ClaimId, TokenId, UserId};
use domain::token::family::{Origin, Token, TokenCommand, TokenError};
use domain::token::notice::{NoticeEvent, SignInFailure};
use domain::user::{Claim, User, UserCommand, UserError};
use domain::values::Password;
use store::{Command, StoreError, Unit, fresh_id};
use uuid::Uuid;

use super::note::note;
use crate::passwords::{Busy, Passwords, Verified};
use crate::tokens::{RefreshToken, RefreshTokens};

#[derive(Debug)]
pub(crate) struct SignIn<'a> {
    pub(crate) passwords: &'a Passwords,
    pub(crate) refresh_tokens: &'a RefreshTokens,
    /// `None` where no account can have such a name; it takes as long as any other.
    pub(crate) claim: Option<ClaimId>,
    /// What was typed as the name, as a keyed digest.
    pub(crate) identifier: String,
    pub(crate) password: Option<Password>,
    pub(crate) from: Origin,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SignedIn {
    pub(crate) user: UserId,
    pub(crate) session: TokenId,
    pub(crate) epoch: u32,
    pub(crate) refresh_token: RefreshToken,
    pub(crate) at: Timestamp,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum SignInError {
    #[error("too many passwords are waiting")]
    Busy,
    #[error("the system gives no random bytes")]
    NoRandomness,
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error(transparent)]
    User(#[from] UserError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<Busy> for SignInError {
    fn from(Busy: Busy) -> Self {
        Self::Busy
    }
}

impl Command for SignIn<'_> {
    const NAME: &'static str = "sign_in";
    type Output = Result<SignedIn, SignInFailure>;
    type Error = SignInError;

    async fn run(&self, unit: &mut Unit<'_>) -> Result<Self::Output, SignInError> {
        let (user, account) = self.account(unit).await?;
        let hash = account.account().map(|account| &account.password_hash);
        let verified = self.passwords.verify(self.password.as_ref(), hash).await?;
        match (account.active(), verified) {
            (Some(account), Verified::Yes { outdated }) => {
                if outdated {
                    self.rehash(unit, user).await?;
                }
                self.issue(unit, user, account.epoch).map(Ok)
            }
            (_, verified) => {
                let reason = why_not(&account, verified);
                let user = account.account().map(|_| user);
                note(unit, NoticeEvent::SignInFailed { user, identifier: self.identifier.clone(), reason });
                Ok(Err(reason))
            }
        }
    }
}

const fn why_not(user: &User, verified: Verified) -> SignInFailure {
    match (user, verified) {
        (User::Unknown, _) => SignInFailure::UnknownUser,
        (User::Disabled(_), Verified::Yes { .. }) => SignInFailure::Disabled,
        (User::Active(_) | User::Disabled(_), _) => SignInFailure::WrongPassword,
    }
}

impl SignIn<'_> {
    /// Two streams, read from the database: a refusal costs the same whoever is refused.
    async fn account(&self, unit: &mut Unit<'_>) -> Result<(UserId, User), StoreError> {
        let claim = self.claim.unwrap_or_else(|| ClaimId::from(Uuid::nil()));
        let holder = unit.load_fresh::<Claim>(claim).await?.state().holder();
        let user = holder.unwrap_or_else(|| UserId::from(Uuid::nil()));
        let account = unit.load_fresh::<User>(user).await?.state().clone();
        Ok((user, account))
    }

    fn issue(&self, unit: &mut Unit<'_>, user: UserId, epoch: u32) -> Result<SignedIn, SignInError> {
        let session = fresh_id();
        let refresh_token = RefreshToken::fresh(session).ok_or(SignInError::NoRandomness)?;
        let (digest, lifetime, from) = (refresh_token.digest(), self.refresh_tokens.lifetime, self.from.clone());
        unit.is_done_by(user, session);
        unit.begin::<Token>(session).decide(TokenCommand::Issue { user, epoch, digest, lifetime, from })?;
        Ok(SignedIn { user, session, epoch, refresh_token, at: unit.now() })
    }

    /// The password is known only now: its hash gets today's parameters.
    async fn rehash(&self, unit: &mut Unit<'_>, user: UserId) -> Result<(), SignInError> {
        let Some(password) = &self.password else { return Ok(()) };
        let password_hash = self.passwords.hash(password).await?;
        let mut stream = unit.load::<User>(user).await?;
        let Some(of) = stream.state().active().map(|account| account.password_hash.clone()) else { return Ok(()) };
        stream.decide(UserCommand::Rehash { of, password_hash })?;
        Ok(())
    }
}
