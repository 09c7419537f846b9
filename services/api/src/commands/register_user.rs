//! `RegisterUser` → `Claimed`, `Claimed`, `UserRegistered`: names and account in one append.

use domain::Timestamp;
use domain::ids::{ClaimId, ClaimKind, UserId};
use domain::user::claim::{Claim, ClaimCommand, ClaimError};
use domain::user::{Registration, User, UserCommand, UserError};
use domain::values::Role;
use store::{Command, StoreError, Unit, fresh_id};

#[derive(Debug)]
pub(crate) struct RegisterUser {
    pub(crate) who: Registration,
    pub(crate) roles: Vec<Role>,
}

/// An account that was made.
#[derive(Debug)]
pub(crate) struct Registered {
    pub(crate) user: UserId,
    pub(crate) at: Timestamp,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum RegisterError {
    #[error(transparent)]
    Claim(#[from] ClaimError),
    #[error(transparent)]
    User(#[from] UserError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Command for RegisterUser {
    const NAME: &'static str = "register_user";
    type Output = Registered;
    type Error = RegisterError;

    async fn run(&self, unit: &mut Unit<'_>) -> Result<Registered, RegisterError> {
        let user = fresh_id::<UserId>();
        let username = self.who.username.as_ref().map(|name| (ClaimKind::Username, name.key()));
        let email = self.who.email.as_ref().map(|email| (ClaimKind::Email, email.key()));
        for (kind, key) in username.into_iter().chain(email) {
            let mut claim = unit.load_fresh::<Claim>(ClaimId::of(kind, &key)).await?;
            claim.decide(ClaimCommand::Claim { kind, by: user })?;
        }
        let mut stream = unit.begin::<User>(user);
        stream.decide(UserCommand::Register(self.who.clone()))?;
        for role in &self.roles {
            stream.decide(UserCommand::Grant(*role))?;
        }
        Ok(Registered { user, at: unit.now() })
    }
}
