//! Given, when, then: an account.

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
