//! What an operator does at the machine itself, without signing in: the same commands, on the log.

use std::collections::BTreeSet;

use domain::ids::{ApiKeyId, UserId};
use domain::token::ApiKey;
use domain::token::notice::NoticeEvent;
use domain::user::{Registration, UserCommand, UserError};
use domain::values::{
    DisplayName, Email, Invalid, KeyName, Password, PasswordHash, PasswordPolicy, Role, Scope, Username,
};
use domain::{Metadata, Timestamp};
use store::{Clock, Executor, Log, StoreError, Successors, fresh_id};
use uuid::Uuid;

use crate::commands::{
    self, ChangeError, ChangeUser, CreateKey, KeyChange, Note, RegisterError, RegisterUser, RevokeKey,
};
use crate::passwords::{Passwords, Verified};
use crate::tokens::{KeySecret, SecretKey, SigningError, SigningKeys};

/// Acts on one log.
#[derive(Debug)]
pub struct Operator {
    log: Log,
    executor: Executor,
    passwords: Passwords,
    policy: PasswordPolicy,
    node: String,
}

/// A user as an operator describes them.
#[derive(Debug, Default)]
pub struct NewUser {
    pub username: Option<String>,
    pub email: Option<String>,
    pub name: Option<String>,
    pub roles: Vec<Role>,
}

#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    #[error("the {0} {1}")]
    Invalid(&'static str, Invalid),
    #[error("the {0} is taken")]
    Taken(&'static str),
    #[error("there is no such user")]
    NoSuchUser,
    #[error("there is no such key")]
    NoSuchKey,
    #[error("a user needs a user name or an email")]
    Nameless,
    #[error("the system gives no random bytes")]
    NoRandomness,
    #[error("the password could not be hashed")]
    Hashing,
    #[error(transparent)]
    Signing(#[from] SigningError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Operator {
    #[must_use]
    pub fn new(log: Log, passwords: Passwords, policy: PasswordPolicy, node: String) -> Self {
        let executor = Executor::new(log.clone(), Clock::System);
        Self { log, executor, passwords, policy, node }
    }

    pub async fn create_user(&self, who: NewUser, password: String) -> Result<UserId, OperatorError> {
        let username = parsed("user name", who.username.map(Username::try_from))?;
        let email = parsed("email", who.email.map(Email::try_from))?;
        let name = parsed("name", who.name.map(DisplayName::try_from))?;
        let password_hash = self.hash(password, self.policy).await?;
        self.register(Registration { username, email, name, password_hash }, who.roles).await
    }

    async fn register(&self, who: Registration, roles: Vec<Role>) -> Result<UserId, OperatorError> {
        Ok(self.executor.execute(&RegisterUser { who, roles }, self.metadata()).await?.output.user)
    }

    /// A user by whatever they are known: id, user name or email.
    pub async fn find(&self, named: &str) -> Result<UserId, OperatorError> {
        commands::find_user(&self.executor, named).await?.ok_or(OperatorError::NoSuchUser)
    }

    pub async fn grant(&self, named: &str, role: Role) -> Result<(), OperatorError> {
        self.change(self.find(named).await?, UserCommand::Grant(role)).await
    }

    pub async fn revoke(&self, named: &str, role: Role) -> Result<(), OperatorError> {
        self.change(self.find(named).await?, UserCommand::Revoke(role)).await
    }

    pub async fn disable(&self, named: &str) -> Result<(), OperatorError> {
        self.change(self.find(named).await?, UserCommand::Disable).await
    }

    pub async fn enable(&self, named: &str) -> Result<(), OperatorError> {
        self.change(self.find(named).await?, UserCommand::Enable).await
    }

    /// Sets a password, and ends all sign-ins.
    pub async fn reset_password(&self, named: &str, password: String) -> Result<(), OperatorError> {
        let user = self.find(named).await?;
        let password_hash = self.hash(password, self.policy).await?;
        self.change(user, UserCommand::ChangePassword { password_hash, kept: None }).await
    }

    /// The key's id, and the key itself, which nobody can ask for again.
    pub async fn create_key(
        &self,
        named: &str,
        name: String,
        scopes: BTreeSet<Scope>,
        days: Option<u32>,
    ) -> Result<(ApiKeyId, String), OperatorError> {
        let user = self.find(named).await?;
        let name = KeyName::try_from(name).map_err(|invalid| OperatorError::Invalid("name", invalid))?;
        let (id, secret) = (fresh_id(), KeySecret::fresh().ok_or(OperatorError::NoRandomness)?);
        let lifetime_seconds = days.map(|days| i64::from(days) * 86_400);
        let command = CreateKey {
            id,
            user,
            name,
            digest: secret.digest(),
            scopes,
            lifetime_seconds,
            at_most: None,
            may_exist: false,
        };
        self.executor.execute(&command, self.metadata()).await?;
        Ok((id, secret.of(id)))
    }

    pub async fn revoke_key(&self, id: ApiKeyId) -> Result<(), OperatorError> {
        let key = self.executor.look::<ApiKey>(id).await?;
        let by = key.active().ok_or(OperatorError::NoSuchKey)?.user;
        self.executor.execute(&RevokeKey { id, by }, self.metadata()).await?;
        Ok(())
    }

    /// Access tokens are signed with a new key from now on. What older ones signed stays good, unless they are not to be
    /// trusted any more.
    pub async fn rotate_signing_key(&self, secret: &SecretKey, distrust: bool) -> Result<Uuid, OperatorError> {
        let kid = SigningKeys::rotate(self.log.db(), secret, self.executor.clock().now()).await?;
        if distrust {
            store::drop_signing_keys(self.log.db(), Timestamp::from_micros(i64::MAX)).await?;
        }
        let note = Note(NoticeEvent::SigningKeyRotated { kid: kid.to_string() });
        self.executor.execute(&note, self.metadata()).await?;
        Ok(kid)
    }

    /// Makes sure that there is somebody to try the service with; whether they were made now.
    pub async fn make_dev_admin(&self) -> Result<bool, OperatorError> {
        if commands::find_user(&self.executor, DEV_ADMIN).await?.is_some() {
            return Ok(false);
        }
        let username = parsed("user name", Some(Username::try_from(DEV_ADMIN.to_owned())))?;
        let password_hash = self.hash(DEV_PASSWORD.to_owned(), PasswordPolicy::Plain).await?;
        let who = Registration { username, email: None, name: None, password_hash };
        match self.register(who, vec![Role::Admin]).await {
            Err(OperatorError::Taken(_)) => Ok(false),
            made => made.map(|_| true),
        }
    }

    /// Whether an administrator has the password that everybody knows. Whoever else calls themselves so may have it.
    pub async fn has_dev_admin(&self) -> Result<bool, OperatorError> {
        let Some(user) = commands::find_user(&self.executor, DEV_ADMIN).await? else { return Ok(false) };
        let user = self.executor.look::<domain::user::User>(user).await?;
        let Some(account) = user.active().filter(|account| account.roles.contains(&Role::Admin)) else {
            return Ok(false);
        };
        let password = Password::presented(DEV_PASSWORD.to_owned());
        let verified = self.passwords.verify(password.as_ref(), Some(&account.password_hash)).await;
        Ok(matches!(verified, Ok(Verified::Yes { .. })))
    }

    async fn change(&self, user: UserId, command: UserCommand) -> Result<(), OperatorError> {
        let left = self.executor.execute(&ChangeUser { user, command }, self.metadata()).await?.output;
        Ok(Successors::new(self.log.db().clone()).forget_older(user, left.epoch, left.kept).await?)
    }

    async fn hash(&self, password: String, policy: PasswordPolicy) -> Result<PasswordHash, OperatorError> {
        let invalid = |invalid| OperatorError::Invalid("password", invalid);
        let password = Password::chosen(password, policy).map_err(invalid)?;
        self.passwords.hash(&password).await.map_err(|_| OperatorError::Hashing)
    }

    fn metadata(&self) -> Metadata {
        let (request_id, node) = (fresh_id::<Uuid>().to_string(), Some(self.node.clone()));
        Metadata { request_id, node, user_agent: Some("colloquy (command line)".to_owned()), ..Metadata::default() }
    }
}

/// Said aloud at each start.
pub const DEV_ADMIN: &str = "admin";
pub const DEV_PASSWORD: &str = "admin123";

fn parsed<T>(what: &'static str, value: Option<Result<T, Invalid>>) -> Result<Option<T>, OperatorError> {
    value.transpose().map_err(|invalid| OperatorError::Invalid(what, invalid))
}

impl From<RegisterError> for OperatorError {
    fn from(error: RegisterError) -> Self {
        use domain::ids::ClaimKind;
        use domain::user::claim::ClaimError;
        match error {
            RegisterError::Claim(ClaimError::Taken(ClaimKind::Username)) => Self::Taken("user name"),
            RegisterError::Claim(ClaimError::Taken(ClaimKind::Email)) => Self::Taken("email"),
            RegisterError::User(_) => Self::Nameless,
            RegisterError::Store(error) => Self::Store(error),
        }
    }
}

impl From<ChangeError> for OperatorError {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::Store(error) => Self::Store(error),
            ChangeError::Busy => Self::Hashing,
            ChangeError::User(UserError::AlreadyRegistered | UserError::Nameless) | ChangeError::Claim(_) => {
                Self::Nameless
            }
            ChangeError::User(UserError::NotFound | UserError::Disabled) => Self::NoSuchUser,
        }
    }
}

impl From<KeyChange> for OperatorError {
    fn from(error: KeyChange) -> Self {
        match error {
            KeyChange::Key(_) | KeyChange::Mightier => Self::NoSuchKey,
            KeyChange::Store(error) => Self::Store(error),
        }
    }
}
