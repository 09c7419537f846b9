//! Laws of sign-ins, of keys for programs, and of notices.

use std::collections::BTreeSet;

use domain::token::api_key::{ApiKeyCommand, ApiKeyError, NewKey};
use domain::token::family::{Family, TokenCommand, TokenError, TokenEvent};
use domain::token::notice::AlreadyNoted;
use domain::token::{ApiKey, Notice, Token};
use domain::values::Digest;
use proptest::prelude::*;

use crate::life::{Life, Step};
use crate::{commands, config};

fn family(token: &Token) -> Option<&Family> {
    match token {
        Token::Unknown => None,
        Token::Active(family) | Token::Revoked(family) => Some(family),
    }
}

fn is_revoked(token: &Token) -> bool {
    matches!(token, Token::Revoked(_))
}

/// Every token that the sign-in had until after this step.
fn remember(digests: &mut BTreeSet<Digest>, step: &Step<Token>) {
    for event in step.answer.iter().flatten() {
        match event {
            TokenEvent::TokenIssued { refresh, .. } => digests.extend(refresh.map(|refresh| refresh.digest)),
            TokenEvent::TokenRotated { refresh, .. } => digests.extend([refresh.digest]),
            TokenEvent::TokenAnomalyNoticed { .. }
            | TokenEvent::TokenReuseDetected { .. }
            | TokenEvent::TokenRefused { .. }
            | TokenEvent::TokenRevoked { .. } => {}
        }
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_token_is_issued_once_and_never_for_the_past(commands in commands::token()) {
        for step in &Life::<Token>::of(&commands).steps {
            match (&step.before, &step.command, &step.answer) {
                (Token::Unknown, TokenCommand::Issue { user, epoch, .. }, Ok(events)) => {
                    prop_assert!(matches!(events.as_slice(), [TokenEvent::TokenIssued { .. }]), "{:?}", events);
                    let family = step.after.active().unwrap();
                    prop_assert_eq!((family.user, family.epoch, family.number), (*user, *epoch, 0));
                    prop_assert!(family.expires_at >= step.now);
                }
                (Token::Unknown, _, answer) => prop_assert_eq!(answer, &Err(TokenError::NotFound)),
                (_, TokenCommand::Issue { .. }, answer) => prop_assert_eq!(answer, &Err(TokenError::AlreadyIssued)),
                (_, _, answer) => prop_assert!(answer.is_ok(), "{:?}", step),
            }
        }
    }

    #[test]
    fn whose_a_sign_in_is_and_when_it_ends_never_changes(commands in commands::token()) {
        let of = |family: &Family| (family.user, family.epoch, family.expires_at);
        for step in &Life::<Token>::of(&commands).steps {
            if let Some(before) = family(&step.before) {
                prop_assert_eq!(family(&step.after).map(of), Some(of(before)));
            }
        }
    }

    #[test]
    fn generations_go_up_by_one(commands in commands::token()) {
        for step in &Life::<Token>::of(&commands).steps {
            let numbers = step.answer.iter().flatten().filter_map(|event| {
                if let TokenEvent::TokenRotated { number, .. } = event { Some(*number) } else { None }
            });
            let (numbers, before) = (numbers.collect::<Vec<_>>(), family(&step.before).map_or(0, |it| it.number));
            prop_assert!(numbers.is_empty() || numbers == [before + 1], "{:?}", step);
            let rotations = u32::try_from(numbers.len()).unwrap();
            prop_assert_eq!(family(&step.after).map_or(0, |it| it.number), before + rotations);
        }
    }

    #[test]
    fn a_revoked_token_never_becomes_active_again_and_is_not_rotated(commands in commands::token()) {
        for step in Life::<Token>::of(&commands).steps.iter().filter(|step| is_revoked(&step.before)) {
            prop_assert!(is_revoked(&step.after) && step.after.active().is_none());
            let quiet = |event: &TokenEvent| matches!(event, TokenEvent::TokenRefused { .. });
            prop_assert!(step.answer.iter().flatten().all(quiet), "{:?}", step);
        }
    }

    #[test]
    fn what_never_was_a_token_of_a_sign_in_changes_nothing(commands in commands::token()) {
        let mut digests = BTreeSet::new();
        for step in &Life::<Token>::of(&commands).steps {
            if let TokenCommand::Refresh { presented, .. } = &step.command
                && !digests.contains(&presented.digest)
            {
                prop_assert_eq!(&step.before, &step.after);
            }
            remember(&mut digests, step);
        }
    }

    #[test]
    fn what_ends_a_sign_in_is_its_own_past_or_a_command(commands in commands::token()) {
        let mut digests = BTreeSet::new();
        for step in &Life::<Token>::of(&commands).steps {
            if step.before.active().is_some() && is_revoked(&step.after) {
                match &step.command {
                    TokenCommand::Refresh { presented, .. } => prop_assert!(digests.contains(&presented.digest)),
                    TokenCommand::Issue { .. } => prop_assert!(false, "{:?}", step),
                    TokenCommand::Revoke { .. } => {}
                }
            }
            remember(&mut digests, step);
        }
    }

    #[test]
    fn a_key_is_its_makers_alone_and_once_revoked_it_stays_so(commands in commands::api_key()) {
        let mut had = BTreeSet::new();
        for step in &Life::<ApiKey>::of(&commands).steps {
            let owner = match &step.before {
                ApiKey::Unknown => None,
                ApiKey::Active { key, .. } => Some(key.user),
                ApiKey::Revoked { user } => Some(*user),
            };
            match &step.command {
                ApiKeyCommand::Create(new) => {
                    let is_again = |key: &NewKey| (key.user, key.digest) == (new.user, new.digest);
                    let is_fine = owner.is_none() || step.before.active().is_some_and(is_again);
                    prop_assert_eq!(step.answer.is_ok(), is_fine);
                }
                ApiKeyCommand::Rotate { by, .. } | ApiKeyCommand::Revoke { by } if owner != Some(*by) => {
                    prop_assert_eq!(&step.answer, &Err(ApiKeyError::NotFound));
                }
                ApiKeyCommand::Rotate { digest, .. } => {
                    let is_fine = |key: &NewKey| key.digest == *digest || !had.contains(digest);
                    prop_assert_eq!(step.answer.is_ok(), step.before.active().is_some_and(is_fine));
                }
                ApiKeyCommand::Revoke { .. } => prop_assert!(step.after.active().is_none()),
            }
            had.extend(step.after.active().map(|key| key.digest));
            let revoked = matches!(step.before, ApiKey::Revoked { .. });
            prop_assert!(!revoked || step.before == step.after, "{:?}", step);
        }
    }

    #[test]
    fn a_rotated_secret_is_good_for_its_overlap_and_the_end_of_a_key_stays(commands in commands::api_key()) {
        for step in &Life::<ApiKey>::of(&commands).steps {
            if let (Some(old), ApiKeyCommand::Rotate { digest, overlap_seconds, .. }) =
                (step.before.active(), &step.command)
                && let (Ok(_), Some(new)) = (&step.answer, step.after.active())
            {
                prop_assert_eq!((new.expires_at, &new.scopes), (old.expires_at, &old.scopes));
                let over = step.now.plus_seconds((*overlap_seconds).into());
                let good = |secret, now| step.after.with_secret(secret, now).is_some();
                prop_assert!(old.digest == *digest || !good(old.digest, over), "{:?}", step);
                let in_time = old.expires_at.is_none_or(|end| step.now < end);
                prop_assert_eq!(good(*digest, step.now), in_time);
                prop_assert!(*overlap_seconds == 0 || good(old.digest, step.now) == in_time || over == step.now);
            }
        }
    }

    #[test]
    fn a_notice_is_made_once(commands in commands::notice()) {
        for (number, step) in Life::<Notice>::of(&commands).steps.iter().enumerate() {
            let noted = if number == 0 { Ok(vec![step.command.clone()]) } else { Err(AlreadyNoted) };
            prop_assert_eq!(&step.answer, &noted);
        }
    }
}
