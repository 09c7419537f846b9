//! `RegisterUser` → `UserRegistered`, and all that befalls an account after that.

pub mod claim;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::decide::{aggregate, events};
use crate::ids::{TokenId, UserId};
use crate::values::{DisplayName, Email, PasswordHash, Role, Username, words};

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
mod tests {
    use super::*;
    use crate::testing::{given, id, parsed};

    fn ada() -> Registration {
        Registration {
            username: Some(parsed("Ada")),
            email: Some(parsed("ada@example.org")),
            name: Some(parsed("Ada Lovelace")),
            password_hash: hash("ada"),
        }
    }

    fn hash(of: &str) -> PasswordHash {
        PasswordHash::new(format!("$argon2id${of}"))
    }

    fn profile(username: Option<&str>) -> Profile {
        Profile { username: username.map(parsed), email: None, name: None }
    }

    fn registered() -> UserEvent {
        UserEvent::UserRegistered(ada())
    }

    fn ended(epoch: u32, kept: Option<TokenId>, reason: EndReason) -> UserEvent {
        UserEvent::SignInsEnded { epoch, kept, reason }
    }

    fn disabled() -> Vec<UserEvent> {
        vec![registered(), UserEvent::UserDisabled {}, ended(1, None, EndReason::Disabled)]
    }

    fn after(events: Vec<UserEvent>) -> User {
        events.into_iter().fold(User::default(), |mut user, event| {
            user.evolve(event);
            user
        })
    }

    fn accepted(who: Registration) {
        given::<User>(vec![])
            .when(UserCommand::Register(who.clone()))
            .then_expect_events(vec![UserEvent::UserRegistered(who)]);
    }

    #[test]
    fn who_has_both_a_user_name_and_an_email_is_registered() {
        accepted(ada());
    }

    #[test]
    fn a_user_name_is_enough() {
        accepted(Registration { email: None, name: None, ..ada() });
    }

    #[test]
    fn an_email_is_enough() {
        accepted(Registration { username: None, name: None, ..ada() });
    }

    #[test]
    fn a_display_name_alone_is_not() {
        given::<User>(vec![])
            .when(UserCommand::Register(Registration { username: None, email: None, ..ada() }))
            .then_expect_error(UserError::Nameless);
        given::<User>(vec![registered()])
            .when(UserCommand::ChangeProfile(profile(None)))
            .then_expect_error(UserError::Nameless);
    }

    #[test]
    fn nobody_is_registered_twice() {
        let other = Registration { username: Some(parsed("bob")), ..ada() };
        for again in [ada(), other, Registration { username: None, email: None, ..ada() }] {
            for before in [vec![registered()], disabled()] {
                given::<User>(before)
                    .when(UserCommand::Register(again.clone()))
                    .then_expect_error(UserError::AlreadyRegistered);
            }
        }
    }

    #[test]
    fn only_the_registered_and_enabled_are_active() {
        assert_eq!(User::default().active(), None);
        assert_eq!(after(vec![registered()]).active(), Some(&ada().into()));
        let user = after(disabled());
        assert_eq!((user.active(), user.account().map(|account| account.epoch)), (None, Some(1)));
        assert!(after([disabled(), vec![UserEvent::UserEnabled {}]].concat()).active().is_some());
    }

    #[test]
    fn what_nobody_is_can_not_be_changed() {
        for command in [
            UserCommand::ChangeProfile(profile(Some("ada"))),
            UserCommand::ChangePassword { password_hash: hash("new"), kept: None },
            UserCommand::Grant(Role::Admin),
            UserCommand::Disable,
            UserCommand::SignOutEverywhere,
        ] {
            given::<User>(vec![]).when(command).then_expect_error(UserError::NotFound);
        }
    }

    #[test]
    fn a_changed_password_ends_every_sign_in_but_the_one_it_came_from() {
        given::<User>(vec![registered()])
            .when(UserCommand::ChangePassword { password_hash: hash("new"), kept: Some(id(7)) })
            .then_expect_events(vec![
                UserEvent::PasswordChanged { password_hash: hash("new") },
                ended(1, Some(id(7)), EndReason::PasswordChanged),
            ]);
        let user = after(vec![registered(), ended(1, Some(id(7)), EndReason::PasswordChanged)]);
        let account = user.active().unwrap();
        assert!(account.keeps(id(7), 0) && account.keeps(id(8), 1) && !account.keeps(id(8), 0));
    }

    #[test]
    fn the_kept_sign_in_ends_with_the_next_change_from_another() {
        let changes = [Some(id(7)), Some(id(8))].into_iter().zip(1..);
        let changes = changes.map(|(kept, epoch)| ended(epoch, kept, EndReason::PasswordChanged));
        let user = after([registered()].into_iter().chain(changes).collect());
        let account = user.active().unwrap();
        assert!(!account.keeps(id(7), 0) && account.keeps(id(8), 1));
    }

    #[test]
    fn a_rehash_counts_for_the_password_that_it_was_made_of() {
        let rehash = |of: &str| UserCommand::Rehash { of: hash(of), password_hash: hash("ada, again") };
        given::<User>(vec![registered()])
            .when(rehash("ada"))
            .then_expect_events(vec![UserEvent::PasswordRehashed { password_hash: hash("ada, again") }]);
        given::<User>(vec![registered(), UserEvent::PasswordChanged { password_hash: hash("new") }])
            .when(rehash("ada"))
            .then_expect_events(vec![]);
    }

    #[test]
    fn a_role_is_granted_and_revoked_once() {
        let granted = UserEvent::RoleGranted { role: Role::Admin };
        let both = vec![registered(), granted.clone()];
        given::<User>(vec![registered()]).when(UserCommand::Grant(Role::Admin)).then_expect_events(vec![granted]);
        given::<User>(both.clone()).when(UserCommand::Grant(Role::Admin)).then_expect_events(vec![]);
        given::<User>(both.clone()).when(UserCommand::Revoke(Role::Auditor)).then_expect_events(vec![]);
        let revoked = UserEvent::RoleRevoked { role: Role::Admin };
        given::<User>(both.clone()).when(UserCommand::Revoke(Role::Admin)).then_expect_events(vec![revoked.clone()]);
        assert_eq!(after(both.clone()).active().unwrap().roles, BTreeSet::from([Role::Admin]));
        assert!(after([both, vec![revoked]].concat()).active().unwrap().roles.is_empty());
    }

    #[test]
    fn who_is_disabled_is_signed_out_and_does_nothing_but_can_be_managed() {
        given::<User>(vec![registered()]).when(UserCommand::Disable).then_expect_events(disabled().split_off(1));
        given::<User>(disabled()).when(UserCommand::Disable).then_expect_events(vec![]);
        given::<User>(disabled())
            .when(UserCommand::ChangeProfile(profile(Some("ada"))))
            .then_expect_error(UserError::Disabled);
        given::<User>(disabled())
            .when(UserCommand::ChangePassword { password_hash: hash("new"), kept: Some(id(7)) })
            .then_expect_error(UserError::Disabled);
        given::<User>(disabled())
            .when(UserCommand::Grant(Role::Auditor))
            .then_expect_events(vec![UserEvent::RoleGranted { role: Role::Auditor }]);
        given::<User>(disabled()).when(UserCommand::Enable).then_expect_events(vec![UserEvent::UserEnabled {}]);
        given::<User>(vec![registered()]).when(UserCommand::Enable).then_expect_events(vec![]);
    }

    #[test]
    fn a_profile_that_is_the_same_is_no_change() {
        let same = Profile { username: ada().username, email: ada().email, name: ada().name };
        given::<User>(vec![registered()]).when(UserCommand::ChangeProfile(same)).then_expect_events(vec![]);
        let other = profile(Some("Countess"));
        given::<User>(vec![registered()])
            .when(UserCommand::ChangeProfile(other.clone()))
            .then_expect_events(vec![UserEvent::ProfileChanged(other)]);
    }
}
