//! `ChangeUser`, `ChangeProfile`, `ChangePassword` → the events of an account.

use domain::ids::{ClaimId, ClaimKind, TokenId, UserId};
use domain::token::notice::{NoticeEvent, SignInFailure};
use domain::user::claim::{Claim, ClaimCommand, ClaimError};
use domain::user::{Account, Profile, User, UserCommand, UserError};
use domain::values::{DisplayName, Email, Password, Username};
use store::{Command, StoreError, Unit};

use super::note::note;
use crate::passwords::{Busy, Passwords, Verified};

/// What somebody with the right to it does to an account.
#[derive(Debug)]
pub(crate) struct ChangeUser {
    pub(crate) user: UserId,
    pub(crate) command: UserCommand,
}

/// How an account stands after a command: which sign-ins it still has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) epoch: u32,
    pub(crate) kept: Option<TokenId>,
    pub(crate) profile: Profile,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum ChangeError {
    #[error("too many passwords are waiting")]
    Busy,
    #[error(transparent)]
    Claim(#[from] ClaimError),
    #[error(transparent)]
    User(#[from] UserError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<Busy> for ChangeError {
    fn from(Busy: Busy) -> Self {
        Self::Busy
    }
}

impl From<&Account> for Standing {
    fn from(account: &Account) -> Self {
        Self { epoch: account.epoch, kept: account.kept, profile: account.profile.clone() }
    }
}

impl Command for ChangeUser {
    const NAME: &'static str = "change_user";
    type Output = Standing;
    type Error = ChangeError;

    async fn run(&self, unit: &mut Unit<'_>) -> Result<Standing, ChangeError> {
        let mut user = unit.load_fresh::<User>(self.user).await?;
        user.decide(self.command.clone())?;
        Ok(user.state().account().ok_or(UserError::NotFound)?.into())
    }
}

/// What somebody wants to be called from now on; `None` leaves it as it is.
#[derive(Debug)]
pub(crate) struct ChangeProfile<'a> {
    pub(crate) user: UserId,
    pub(crate) username: Option<Username>,
    pub(crate) email: Option<Email>,
    pub(crate) name: Option<DisplayName>,
    /// Needed where a name changes with which one signs in.
    pub(crate) proof: Option<Proof<'a>>,
}

/// The password that somebody says is theirs: who has an access token may not know it.
#[derive(Debug)]
pub(crate) struct Proof<'a> {
    pub(crate) passwords: &'a Passwords,
    pub(crate) password: Option<Password>,
    /// Whose it would be, as a keyed digest.
    pub(crate) identifier: String,
}

impl Proof<'_> {
    /// Whether it is theirs; that it is not is noted.
    async fn holds(&self, id: UserId, unit: &mut Unit<'_>) -> Result<bool, ChangeError> {
        let user = unit.load_fresh::<User>(id).await?.state().clone();
        let hash = &user.active().ok_or(UserError::NotFound)?.password_hash;
        let verified = self.passwords.verify(self.password.as_ref(), Some(hash)).await?;
        let holds = matches!(verified, Verified::Yes { .. });
        if !holds {
            let (user, identifier, reason) = (Some(id), self.identifier.clone(), SignInFailure::WrongPassword);
            note(unit, NoticeEvent::SignInFailed { user, identifier, reason });
        }
        Ok(holds)
    }
}

impl Command for ChangeProfile<'_> {
    const NAME: &'static str = "change_profile";
    /// `None` where the password was wrong.
    type Output = Option<Standing>;
    type Error = ChangeError;

    async fn run(&self, unit: &mut Unit<'_>) -> Result<Option<Standing>, ChangeError> {
        if let Some(proof) = &self.proof
            && !proof.holds(self.user, unit).await?
        {
            return Ok(None);
        }
        let user = unit.load_fresh::<User>(self.user).await?.state().clone();
        let old = user.active().ok_or(UserError::NotFound)?.profile.clone();
        let new = Profile {
            username: self.username.clone().or_else(|| old.username.clone()),
            email: self.email.clone().or_else(|| old.email.clone()),
            name: self.name.clone().or_else(|| old.name.clone()),
        };
        let keys = |profile: &Profile| {
            let username = profile.username.as_ref().map(|name| (ClaimKind::Username, name.key()));
            [username, profile.email.as_ref().map(|email| (ClaimKind::Email, email.key()))]
        };
        for (old, new) in keys(&old).into_iter().zip(keys(&new)).filter(|(old, new)| old != new) {
            self.move_claim(old, new, unit).await?;
        }
        let mut user = unit.load::<User>(self.user).await?;
        user.decide(UserCommand::ChangeProfile(new))?;
        Ok(user.state().account().map(Standing::from))
    }
}

type Key = Option<(ClaimKind, String)>;

impl ChangeProfile<'_> {
    async fn move_claim(&self, old: Key, new: Key, unit: &mut Unit<'_>) -> Result<(), ChangeError> {
        if let Some((kind, key)) = new {
            let claim = ClaimCommand::Claim { kind, by: self.user };
            unit.load_fresh::<Claim>(ClaimId::of(kind, &key)).await?.decide(claim)?;
        }
        if let Some((kind, key)) = old {
            let release = ClaimCommand::Release { by: self.user };
            unit.load_fresh::<Claim>(ClaimId::of(kind, &key)).await?.decide(release)?;
        }
        Ok(())
    }
}

/// By its owner, who must know the old one.
#[derive(Debug)]
pub(crate) struct ChangePassword<'a> {
    pub(crate) user: UserId,
    pub(crate) proof: Proof<'a>,
    pub(crate) new: Password,
    /// The sign-in that goes on.
    pub(crate) kept: Option<TokenId>,
}

impl Command for ChangePassword<'_> {
    const NAME: &'static str = "change_password";
    /// `None` where the old password was wrong.
    type Output = Option<Standing>;
    type Error = ChangeError;

    async fn run(&self, unit: &mut Unit<'_>) -> Result<Option<Standing>, ChangeError> {
        if !self.proof.holds(self.user, unit).await? {
            return Ok(None);
        }
        let password_hash = self.proof.passwords.hash(&self.new).await?;
        let mut user = unit.load::<User>(self.user).await?;
        user.decide(UserCommand::ChangePassword { password_hash, kept: self.kept })?;
        Ok(user.state().account().map(Standing::from))
    }
}
