//! `RegisterUser` → `UserRegistered`, and all that befalls an account after that.

pub mod claim;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::decide::{aggregate, events};
use crate::ids::{TokenId, UserId};
use crate::values::{DisplayName, Email, PasswordHash, Role, Username};
use crate::words;

pub use claim::Claim;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UserCommand {
    Register(Registration),
    ChangeProfile(Profile),
    /// Ends all sign-ins but the one from which it is changed.
    ChangePassword {
        password_hash: PasswordHash,
        kept: Option<TokenId>,
    },
    /// The same password, hashed anew because `of` was hashed with older parameters.
    Rehash {
        of: PasswordHash,
        password_hash: PasswordHash,
    },
    Grant(Role),
    Revoke(Role),
    Disable,
    Enable,
    SignOutEverywhere,
}

/// Who somebody is when they register: a user name, an email, or both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    pub username: Option<Username>,
    pub email: Option<Email>,
    pub name: Option<DisplayName>,
    pub password_hash: PasswordHash,
}

/// Under which names somebody is known; all of them, whichever changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    pub username: Option<Username>,
    pub email: Option<Email>,
    pub name: Option<DisplayName>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum UserEvent {
    UserRegistered(Registration),
    ProfileChanged(Profile),
    PasswordChanged {
        password_hash: PasswordHash,
    },
    PasswordRehashed {
        password_hash: PasswordHash,
    },
    RoleGranted {
        role: Role,
    },
    RoleRevoked {
        role: Role,
    },
    UserDisabled {},
    UserEnabled {},
    /// Every sign-in of an earlier epoch is over, but the one that is kept.
    SignInsEnded {
        epoch: u32,
        kept: Option<TokenId>,
        reason: EndReason,
    },
}

events!(UserEvent {
    UserRegistered = "1",
    ProfileChanged = "1",
    PasswordChanged = "1",
    PasswordRehashed = "1",
    RoleGranted = "1",
    RoleRevoked = "1",
    UserDisabled = "1",
    UserEnabled = "1",
    SignInsEnded = "1",
});

words! {
    /// Why all of somebody's sign-ins ended.
    EndReason {
        PasswordChanged = "password_changed",
        Disabled = "disabled",
        SignedOut = "signed_out_everywhere",
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UserError {
    #[error("the user is registered already")]
    AlreadyRegistered,
    #[error("a user needs a user name or an email")]
    Nameless,
    #[error("there is no such user")]
    NotFound,
    #[error("the user is disabled")]
    Disabled,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum User {
    #[default]
    Unknown,
    Active(Account),
    Disabled(Account),
}

/// What is known of somebody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    pub profile: Profile,
    pub password_hash: PasswordHash,
    pub roles: BTreeSet<Role>,
    /// How often all sign-ins were ended: who signed in before is signed in no more.
    pub epoch: u32,
    /// The one sign-in of an earlier epoch that goes on.
    pub kept: Option<TokenId>,
}

aggregate!(User, "user", UserId, UserCommand, UserEvent, UserError);

impl User {
    fn decide(&self, command: UserCommand, _now: Timestamp) -> Result<Vec<UserEvent>, UserError> {
        match self {
            Self::Unknown => register(command),
            Self::Active(account) => account.decide_active(command),
            Self::Disabled(account) => account.decide_disabled(command),
        }
    }

    fn evolve(&mut self, event: UserEvent) {
        *self = match (std::mem::take(self), event) {
            (Self::Unknown, UserEvent::UserRegistered(who)) => Self::Active(who.into()),
            (Self::Unknown, _) => Self::Unknown,
            (Self::Active(account) | Self::Disabled(account), UserEvent::UserDisabled {}) => Self::Disabled(account),
            (Self::Active(account) | Self::Disabled(account), UserEvent::UserEnabled {}) => Self::Active(account),
            (Self::Active(account), event) => Self::Active(account.evolved(event)),
            (Self::Disabled(account), event) => Self::Disabled(account.evolved(event)),
        }
    }

    /// The account, if there is one that may sign in.
    #[must_use]
    pub const fn active(&self) -> Option<&Account> {
        match self {
            Self::Unknown | Self::Disabled(_) => None,
            Self::Active(account) => Some(account),
        }
    }

    /// The account, whether it may sign in or not.
    #[must_use]
    pub const fn account(&self) -> Option<&Account> {
        match self {
            Self::Unknown => None,
            Self::Active(account) | Self::Disabled(account) => Some(account),
        }
    }
}

fn register(command: UserCommand) -> Result<Vec<UserEvent>, UserError> {
    match command {
        UserCommand::Register(who) if who.username.is_none() && who.email.is_none() => Err(UserError::Nameless),
        UserCommand::Register(who) => Ok(vec![UserEvent::UserRegistered(who)]),
        UserCommand::ChangeProfile(_)
        | UserCommand::ChangePassword { .. }
        | UserCommand::Rehash { .. }
        | UserCommand::Grant(_)
        | UserCommand::Revoke(_)
        | UserCommand::Disable
        | UserCommand::Enable
        | UserCommand::SignOutEverywhere => Err(UserError::NotFound),
    }
}

impl From<Registration> for Account {
    fn from(who: Registration) -> Self {
        let Registration { username, email, name, password_hash } = who;
        let profile = Profile { username, email, name };
        Self { profile, password_hash, roles: BTreeSet::new(), epoch: 0, kept: None }
    }
}

impl Account {
    /// Whether a sign-in of some epoch is still one.
    #[must_use]
    pub fn keeps(&self, sign_in: TokenId, epoch: u32) -> bool {
        epoch >= self.epoch || self.kept == Some(sign_in)
    }

    fn decide_active(&self, command: UserCommand) -> Result<Vec<UserEvent>, UserError> {
        match command {
            UserCommand::ChangeProfile(profile) => self.change_profile(profile),
            UserCommand::ChangePassword { password_hash, kept } => {
                Ok(vec![UserEvent::PasswordChanged { password_hash }, self.end(kept, EndReason::PasswordChanged)])
            }
            UserCommand::Rehash { of, password_hash } if of == self.password_hash => {
                Ok(vec![UserEvent::PasswordRehashed { password_hash }])
            }
            UserCommand::Rehash { .. } | UserCommand::Enable => Ok(Vec::new()),
            UserCommand::Disable => Ok(vec![UserEvent::UserDisabled {}, self.end(None, EndReason::Disabled)]),
            UserCommand::SignOutEverywhere => Ok(vec![self.end(None, EndReason::SignedOut)]),
            UserCommand::Register(_) | UserCommand::Grant(_) | UserCommand::Revoke(_) => self.decide_always(command),
        }
    }

    /// Who is disabled can be managed, but does nothing.
    fn decide_disabled(&self, command: UserCommand) -> Result<Vec<UserEvent>, UserError> {
        match command {
            UserCommand::Enable => Ok(vec![UserEvent::UserEnabled {}]),
            UserCommand::Disable | UserCommand::SignOutEverywhere => Ok(Vec::new()),
            UserCommand::ChangePassword { kept: None, password_hash } => {
                Ok(vec![UserEvent::PasswordChanged { password_hash }, self.end(None, EndReason::PasswordChanged)])
            }
            UserCommand::ChangeProfile(_) | UserCommand::ChangePassword { .. } | UserCommand::Rehash { .. } => {
                Err(UserError::Disabled)
            }
            UserCommand::Register(_) | UserCommand::Grant(_) | UserCommand::Revoke(_) => self.decide_always(command),
        }
    }

    fn decide_always(&self, command: UserCommand) -> Result<Vec<UserEvent>, UserError> {
        match command {
            UserCommand::Grant(role) if !self.roles.contains(&role) => Ok(vec![UserEvent::RoleGranted { role }]),
            UserCommand::Revoke(role) if self.roles.contains(&role) => Ok(vec![UserEvent::RoleRevoked { role }]),
            UserCommand::Grant(_) | UserCommand::Revoke(_) => Ok(Vec::new()),
            UserCommand::Register(_)
            | UserCommand::ChangeProfile(_)
            | UserCommand::ChangePassword { .. }
            | UserCommand::Rehash { .. }
            | UserCommand::Disable
            | UserCommand::Enable
            | UserCommand::SignOutEverywhere => Err(UserError::AlreadyRegistered),
        }
    }

    fn change_profile(&self, profile: Profile) -> Result<Vec<UserEvent>, UserError> {
        if profile.username.is_none() && profile.email.is_none() {
            return Err(UserError::Nameless);
        }
        Ok(if profile == self.profile { Vec::new() } else { vec![UserEvent::ProfileChanged(profile)] })
    }

    fn end(&self, kept: Option<TokenId>, reason: EndReason) -> UserEvent {
        UserEvent::SignInsEnded { epoch: self.epoch.saturating_add(1), kept, reason }
    }

    fn evolved(mut self, event: UserEvent) -> Self {
        match event {
            UserEvent::ProfileChanged(profile) => self.profile = profile,
            UserEvent::PasswordChanged { password_hash } | UserEvent::PasswordRehashed { password_hash } => {
                self.password_hash = password_hash;
            }
            UserEvent::RoleGranted { role } => {
                self.roles.insert(role);
            }
            UserEvent::RoleRevoked { role } => {
                self.roles.remove(&role);
            }
            UserEvent::SignInsEnded { epoch, kept, reason: _ } => {
                self.epoch = epoch;
                self.kept = kept;
            }
            UserEvent::UserRegistered(_) | UserEvent::UserDisabled {} | UserEvent::UserEnabled {} => {}
        }
        self
    }
}

#[cfg(test)]
mod tests;
