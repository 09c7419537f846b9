//! `SignIn` → `TokenIssued`: whoever knows the password of the account that holds the name.

use domain::Timestamp;
use domain::ids::{ClaimId, TokenId, UserId};
use domain::token::family::{Token, TokenCommand, TokenError};
use domain::user::{Claim, User};
use domain::values::{Password, PasswordHash};
use store::{Command, StoreError, Unit, fresh_id};
use uuid::Uuid;

use crate::passwords::{Busy, Passwords};

#[derive(Debug)]
pub(crate) struct SignIn<'a> {
    pub(crate) passwords: &'a Passwords,
    /// `None` where no account can have such a name; it takes as long as any other.
    pub(crate) claim: Option<ClaimId>,
    pub(crate) password: Option<Password>,
    pub(crate) lifetime_seconds: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SignedIn {
    pub(crate) user: UserId,
    pub(crate) session: TokenId,
    pub(crate) at: Timestamp,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum SignInError {
    #[error("the name or the password is wrong")]
    WrongCredentials,
    #[error("too many passwords are waiting")]
    Busy,
    #[error(transparent)]
    Token(#[from] TokenError),
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
    type Output = SignedIn;
    type Error = SignInError;

    async fn run(&self, unit: &mut Unit<'_>) -> Result<SignedIn, SignInError> {
        let account = self.account(unit).await?;
        let hash = account.as_ref().map(|(_, hash)| hash);
        let matches = self.passwords.verify(self.password.as_ref(), hash).await?;
        let Some((user, _)) = account.filter(|_| matches) else { return Err(SignInError::WrongCredentials) };
        let session = fresh_id();
        let issue = TokenCommand::Issue { user, lifetime_seconds: self.lifetime_seconds };
        unit.begin::<Token>(session).decide(issue)?;
        Ok(SignedIn { user, session, at: unit.now() })
    }
}

impl SignIn<'_> {
    /// Two streams, read from the database: a refusal costs the same whoever is refused.
    async fn account(&self, unit: &mut Unit<'_>) -> Result<Option<(UserId, PasswordHash)>, StoreError> {
        let claim = self.claim.unwrap_or_else(|| ClaimId::from(Uuid::nil()));
        let holder = unit.load_fresh::<Claim>(claim).await?.state().holder();
        let user = holder.unwrap_or_else(|| UserId::from(Uuid::nil()));
        let account = unit.load_fresh::<User>(user).await?;
        Ok(account.state().active().map(|who| (user, who.password_hash.clone())))
    }
}
