//! `RegisterUser` → `UserRegistered`: an account.

pub mod claim;

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::decide::{aggregate, events};
use crate::ids::UserId;
use crate::values::{DisplayName, Email, PasswordHash, Username};

pub use claim::Claim;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UserCommand {
    Register(Registration),
}

/// Who somebody is when they register: a user name, an email, or both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    pub username: Option<Username>,
    pub email: Option<Email>,
    pub name: Option<DisplayName>,
    pub password_hash: PasswordHash,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum UserEvent {
    UserRegistered(Registration),
}

events!(UserEvent { UserRegistered = "1" });

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UserError {
    #[error("the user is registered already")]
    AlreadyRegistered,
    #[error("a user needs a user name or an email")]
    Nameless,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum User {
    #[default]
    Unknown,
    Active(Registration),
}

aggregate!(User, "user", UserId, UserCommand, UserEvent, UserError);

impl User {
    fn decide(&self, command: UserCommand, _now: Timestamp) -> Result<Vec<UserEvent>, UserError> {
        match (self, command) {
            (Self::Unknown, UserCommand::Register(who)) if who.username.is_none() && who.email.is_none() => {
                Err(UserError::Nameless)
            }
            (Self::Unknown, UserCommand::Register(who)) => Ok(vec![UserEvent::UserRegistered(who)]),
            (Self::Active(_), UserCommand::Register(_)) => Err(UserError::AlreadyRegistered),
        }
    }

    fn evolve(&mut self, event: UserEvent) {
        match event {
            UserEvent::UserRegistered(who) => *self = Self::Active(who),
        }
    }

    /// The account, if there is one that may sign in.
    #[must_use]
    pub const fn active(&self) -> Option<&Registration> {
        match self {
            Self::Unknown => None,
            Self::Active(who) => Some(who),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{given, parsed};

    fn ada() -> Registration {
        Registration {
            username: Some(parsed("Ada")),
            email: Some(parsed("ada@example.org")),
            name: Some(parsed("Ada Lovelace")),
            password_hash: PasswordHash::new("$argon2id$ada".to_owned()),
        }
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
    }

    #[test]
    fn nobody_is_registered_twice() {
        let other = Registration { username: Some(parsed("bob")), ..ada() };
        for again in [ada(), other, Registration { username: None, email: None, ..ada() }] {
            given::<User>(vec![UserEvent::UserRegistered(ada())])
                .when(UserCommand::Register(again))
                .then_expect_error(UserError::AlreadyRegistered);
        }
    }

    #[test]
    fn only_the_registered_are_active() {
        let mut user = User::default();
        assert_eq!(user.active(), None);
        user.evolve(UserEvent::UserRegistered(ada()));
        assert_eq!(user.active(), Some(&ada()));
    }
}
