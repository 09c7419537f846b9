//! Laws of accounts and of the claims on their names.

use domain::user::claim::{ClaimCommand, ClaimError};
use domain::user::{Claim, User, UserCommand, UserError, UserEvent};
use proptest::prelude::*;

use crate::life::{Life, Step};
use crate::{Law, commands, config};

fn epoch(user: &User) -> u32 {
    user.account().map_or(0, |account| account.epoch)
}

fn is_disabled(user: &User) -> bool {
    matches!(user, User::Disabled(_))
}

fn registers_as_it_may(step: &Step<User>) -> Law {
    match (&step.before, &step.command, &step.answer) {
        (User::Unknown, UserCommand::Register(who), Ok(events)) => {
            prop_assert_eq!(events, &vec![UserEvent::UserRegistered(who.clone())]);
            prop_assert_eq!(step.after.active(), Some(&who.clone().into()));
        }
        (User::Unknown, UserCommand::Register(_), answer) => prop_assert_eq!(answer, &Err(UserError::Nameless)),
        (User::Unknown, _, answer) => prop_assert_eq!(answer, &Err(UserError::NotFound)),
        (_, UserCommand::Register(_), answer) => prop_assert_eq!(answer, &Err(UserError::AlreadyRegistered)),
        _ => prop_assert!(step.after != User::Unknown),
    }
    Ok(())
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_user_registers_once_and_is_one_from_then_on(commands in commands::user()) {
        for step in &Life::<User>::of(&commands).steps {
            registers_as_it_may(step)?;
        }
    }

    #[test]
    fn an_account_always_has_a_name_to_sign_in_with(commands in commands::user()) {
        for step in &Life::<User>::of(&commands).steps {
            let profile = step.after.account().map(|account| &account.profile);
            prop_assert!(profile.is_none_or(|profile| profile.username.is_some() || profile.email.is_some()));
        }
    }

    #[test]
    fn epochs_only_grow_and_each_event_that_ends_sign_ins_begins_one(commands in commands::user()) {
        for step in &Life::<User>::of(&commands).steps {
            let ends = |event: &&UserEvent| matches!(event, UserEvent::SignInsEnded { .. });
            let ended = step.answer.iter().flatten().filter(ends).count();
            prop_assert_eq!(epoch(&step.after), epoch(&step.before) + u32::try_from(ended).unwrap(), "{:?}", step);
        }
    }

    #[test]
    fn a_new_password_or_a_disabled_user_always_ends_the_sign_ins_before(commands in commands::user(), id: u128) {
        let other = uuid::Uuid::from_u128(id).into();
        for step in &Life::<User>::of(&commands).steps {
            let ends = |event: &UserEvent| {
                matches!(event, UserEvent::PasswordChanged { .. } | UserEvent::UserDisabled {})
            };
            if step.answer.iter().flatten().any(ends) {
                let (before, account) = (epoch(&step.before), step.after.account().unwrap());
                prop_assert_eq!(account.keeps(other, before), account.kept == Some(other));
                prop_assert!(account.keeps(other, before + 1));
            }
        }
    }

    #[test]
    fn who_is_disabled_is_not_active_until_enabled(commands in commands::user()) {
        for step in &Life::<User>::of(&commands).steps {
            prop_assert!(!is_disabled(&step.after) || step.after.active().is_none());
            if is_disabled(&step.before) {
                prop_assert_eq!(is_disabled(&step.after), step.command != UserCommand::Enable, "{:?}", step);
            } else {
                let disabled = step.before != User::Unknown && step.command == UserCommand::Disable;
                prop_assert_eq!(is_disabled(&step.after), disabled, "{:?}", step);
            }
        }
    }

    #[test]
    fn a_claim_has_one_holder_at_a_time_who_alone_can_release_it(commands in commands::claim()) {
        for step in &Life::<Claim>::of(&commands).steps {
            match (step.before.holder(), &step.command) {
                (None, ClaimCommand::Claim { by, .. }) => prop_assert_eq!(step.after.holder(), Some(*by)),
                (Some(holder), ClaimCommand::Claim { by, kind }) => {
                    prop_assert_eq!(step.after.holder(), Some(holder));
                    let taken = Err(ClaimError::Taken(*kind));
                    prop_assert_eq!(&step.answer, &if holder == *by { Ok(Vec::new()) } else { taken });
                }
                (holder, ClaimCommand::Release { by }) => {
                    prop_assert_eq!(step.after.holder(), holder.filter(|holder| holder != by));
                }
            }
        }
    }
}
