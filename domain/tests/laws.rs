//! Laws: what holds whatever is typed, and after whatever commands.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may fail in its helpers too")]

#[path = "laws/accounts.rs"]
mod accounts;
#[path = "laws/commands.rs"]
mod commands;
#[path = "laws/life.rs"]
mod life;
mod support;
#[path = "laws/texts.rs"]
mod texts;
#[path = "laws/tokens.rs"]
mod tokens;

use cqrs_es::DomainEvent;
use domain::chat::attachment::Attachment;
use domain::chat::conversation::{Conversation, ConversationCommand, ConversationError, Naming};
use domain::chat::message::Message;
use domain::ids::{ClaimId, ClaimKind};
use domain::token::{ApiKey, Notice, Token};
use domain::user::{Claim, User};
use domain::values::{DisplayName, Email, FileName, Invalid, KeyName, MessageBody, Password, PasswordPolicy, Username};
use domain::{Event, Timestamp};
use life::{Commands, Life, Living, replay};
use proptest::prelude::*;
use proptest::sample::select;
use support::Recorded;
use uuid::Uuid;

type Law = Result<(), TestCaseError>;

/// A found case becomes a test of its own, so none is kept in a file beside these.
fn config() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::default() }
}

/// The same commands give the same events; the events alone give the same state, as they are and through the log's JSON;
/// and a refused command changes nothing.
fn replay_is_deterministic<A: Living>(commands: &Commands<A>) -> Law {
    let life = Life::<A>::of(commands);
    prop_assert_eq!(&Life::of(commands), &life);
    let events = life.events();
    prop_assert_eq!(&replay::<A>(events.clone()), &life.end);
    let log = serde_json::to_string(&events).unwrap();
    prop_assert_eq!(&replay::<A>(serde_json::from_str(&log).unwrap()), &life.end);
    for step in &life.steps {
        let refused_or_nothing = step.answer.as_ref().map_or(true, Vec::is_empty);
        prop_assert!(!refused_or_nothing || step.before == step.after, "{:?} changed its state", step);
    }
    Ok(())
}

/// A state that is kept between commands is the same when it comes back.
fn state_survives_json<A: Living>(commands: &Commands<A>) -> Law {
    let life = Life::<A>::of(commands);
    let kept = serde_json::to_string(&life.end).unwrap();
    prop_assert_eq!(serde_json::from_str::<A>(&kept).unwrap(), life.end);
    Ok(())
}

fn events_survive_the_log<A: Living<Id: From<Uuid>>>(
    commands: &Commands<A>,
    id: u128,
    wrap: fn(A::Id, A::Event) -> Event,
) -> Law {
    for event in Life::<A>::of(commands).events() {
        let event = wrap(Uuid::from_u128(id).into(), event);
        let Recorded { stream, id, name, payload, .. } = Recorded::of(&event);
        prop_assert_eq!(payload.as_object().unwrap().keys().collect::<Vec<_>>(), [&name]);
        prop_assert_eq!(Event::decode(stream, &id, &payload.to_string()).unwrap(), event);
    }
    Ok(())
}

macro_rules! every_aggregate {
    ($($name:ident: $state:ident),+) => {$(
        mod $name {
            use super::*;

            proptest! {
                #![proptest_config(config())]

                #[test]
                fn replay_is_deterministic(commands in commands::$name()) {
                    super::replay_is_deterministic::<$state>(&commands)?;
                }

                #[test]
                fn state_survives_json(commands in commands::$name()) {
                    super::state_survives_json::<$state>(&commands)?;
                }

                #[test]
                fn events_survive_the_log(commands in commands::$name(), id: u128) {
                    super::events_survive_the_log::<$state>(&commands, id, Event::$state)?;
                }
            }
        }
    )+};
}

every_aggregate!(
    user: User, claim: Claim, token: Token, api_key: ApiKey, notice: Notice, conversation: Conversation, message: Message,
    attachment: Attachment
);

fn names<A: Living>(life: &Life<A>) -> Vec<String> {
    life.events().iter().map(DomainEvent::event_type).collect()
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_conversation_is_started_first_and_deleted_last(commands in commands::conversation()) {
        let names = names(&Life::<Conversation>::of(&commands));
        let (first, last) = (names.first(), names.last());
        for name in &names {
            prop_assert_eq!(name == "ConversationStarted", Some(name) == first, "{:?}", names);
            prop_assert!(name != "ConversationDeleted" || Some(name) == last, "{:?}", names);
        }
    }

    #[test]
    fn a_conversation_is_what_its_changes_made_of_it(commands in commands::conversation()) {
        for step in Life::<Conversation>::of(&commands).steps {
            let ConversationCommand::Change { wanted, .. } = step.command else { continue };
            if let (Ok(_), Conversation::Open { features, .. }) = (step.answer, step.after) {
                let is_called = match wanted.name {
                    Naming::Kept => true,
                    Naming::To(name) => features.name == Some(name),
                    Naming::TakenBack => features.name.is_none(),
                };
                prop_assert!(is_called);
                prop_assert!(wanted.favourite.is_none_or(|it| it == features.favourite));
                prop_assert!(wanted.archived.is_none_or(|it| it == features.archived));
            }
        }
    }

    /// Whoever changes it only where it is as they saw it, is refused for what somebody made of it, and for nothing else.
    #[test]
    fn a_conversation_has_another_version_where_its_features_are_others(commands in commands::conversation()) {
        for step in Life::<Conversation>::of(&commands).steps {
            let (Conversation::Open { features: had, version: from, .. }, Conversation::Open { features, version, .. }) =
                (&step.before, &step.after) else { continue };
            prop_assert_eq!(version != from, features != had, "{:?}", step);
            prop_assert!(version >= from);
        }
    }

    #[test]
    fn a_deleted_conversation_accepts_nothing(commands in commands::conversation()) {
        for step in Life::<Conversation>::of(&commands).steps {
            if step.before == Conversation::Deleted {
                prop_assert!(step.answer.is_err(), "{:?}", step);
                prop_assert_eq!(step.after, Conversation::Deleted);
            }
        }
    }

    #[test]
    fn only_its_owner_has_a_say_in_a_conversation(commands in commands::conversation()) {
        for step in Life::<Conversation>::of(&commands).steps {
            let by = match step.command {
                ConversationCommand::Enter { by }
                | ConversationCommand::Change { by, .. }
                | ConversationCommand::ChooseBranch { by, .. }
                | ConversationCommand::Import { by, .. }
                | ConversationCommand::Delete { by } => by,
                ConversationCommand::Start { .. } | ConversationCommand::Title { .. } => continue,
            };
            let may = matches!(step.before, Conversation::Open { owner, .. } if owner == by);
            let refused = step.answer == Err(ConversationError::NotFound);
            prop_assert_eq!(refused, !may, "{:?}", step);
        }
    }

    #[test]
    fn a_message_is_posted_or_imported_or_it_is_a_reply_that_ends_at_most_once(commands in commands::message()) {
        let mut names = names(&Life::<Message>::of(&commands));
        // Marks come at any time, and nothing comes after the end.
        names.retain(|name| !["MessageRated", "MessageEmbedded"].contains(&name.as_str()));
        if names.last().is_some_and(|name| name == "MessageDeleted") {
            names.pop();
            prop_assert!(!names.is_empty());
        }
        let lives: [&[&str]; 8] = [
            &[],
            &["MessagePosted"],
            &["MessageImported"],
            &["ReplyGiven"],
            &["ReplyRequested"],
            &["ReplyRequested", "ReplyCompleted"],
            &["ReplyRequested", "ReplyStopped"],
            &["ReplyRequested", "ReplyInterrupted"],
        ];
        prop_assert!(lives.iter().any(|life| names == *life), "{names:?}");
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_file_is_added_once_and_then_perhaps_removed(commands in commands::attachment()) {
        let names = names(&Life::<Attachment>::of(&commands));
        let lives: [&[&str]; 3] = [&[], &["AttachmentAdded"], &["AttachmentAdded", "AttachmentRemoved"]];
        prop_assert!(lives.iter().any(|life| names == *life), "{names:?}");
    }
}

/// What is kept can be read again, and is then the same.
fn parsing_twice_is_parsing_once<V>(text: &str, as_str: fn(&V) -> &str) -> Law
where
    V: TryFrom<String, Error = Invalid> + Into<String> + Clone + PartialEq + std::fmt::Debug,
{
    if let Ok(value) = V::try_from(text.to_owned()) {
        let kept = as_str(&value).to_owned();
        prop_assert_eq!(V::try_from(kept.clone()), Ok(value.clone()));
        prop_assert_eq!(value.into(), kept);
    }
    Ok(())
}

/// What every name promises, however it was typed.
fn is_one_clean_line(kept: &str, most: usize) -> bool {
    kept.trim() == kept && (1..=most).contains(&kept.chars().count()) && !kept.contains(char::is_control)
}

const POLICIES: &[PasswordPolicy] = &[PasswordPolicy::Plain, PasswordPolicy::Mixed, PasswordPolicy::Long];

fn username(text: String) -> String {
    Username::try_from(text).unwrap().key()
}

fn email(text: String) -> String {
    Email::try_from(text).unwrap().key()
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn parsing_is_idempotent(text in texts::typed()) {
        parsing_twice_is_parsing_once(&text, Username::as_str)?;
        parsing_twice_is_parsing_once(&text, Email::as_str)?;
        parsing_twice_is_parsing_once(&text, DisplayName::as_str)?;
        parsing_twice_is_parsing_once(&text, KeyName::as_str)?;
        parsing_twice_is_parsing_once(&text, MessageBody::as_str)?;
        parsing_twice_is_parsing_once(&text, FileName::as_str)?;
    }

    #[test]
    fn what_is_parsed_is_clean(text in texts::typed()) {
        let clean = |kept: Result<&str, &Invalid>, most| kept.map_or(true, |kept| is_one_clean_line(kept, most));
        let username = Username::try_from(text.clone());
        prop_assert!(clean(username.as_ref().map(Username::as_str), 50));
        let email = Email::try_from(text.clone());
        prop_assert!(clean(email.as_ref().map(Email::as_str), 254));
        let name = DisplayName::try_from(text.clone());
        prop_assert!(clean(name.as_ref().map(DisplayName::as_str), 100));
        let file = FileName::try_from(text.clone());
        prop_assert!(clean(file.as_ref().map(FileName::as_str), 255));
        prop_assert!(username.is_err() || email.is_err(), "a user name that is an email");
    }

    #[test]
    fn space_around_a_name_changes_nothing(name in texts::username(), before in r"\s{0,3}", after in r"\s{0,3}") {
        prop_assert_eq!(Username::try_from(format!("{before}{}{after}", name.as_str())), Ok(name));
    }

    #[test]
    fn a_key_is_its_own_key(name in texts::username(), mail in texts::email()) {
        prop_assert_eq!(email(mail.key()), mail.key());
        // A few letters are longer when small: their key may be no user name, but it stays the same.
        prop_assert_eq!(name.key().to_lowercase(), name.key());
    }

    #[test]
    fn keys_ignore_the_case_of_ascii_whatever_stands_beside_it(name in texts::username(), mail in texts::email()) {
        for (name_key, mail_key) in [
            (username(name.as_str().to_ascii_uppercase()), email(mail.as_str().to_ascii_uppercase())),
            (username(name.as_str().to_ascii_lowercase()), email(mail.as_str().to_ascii_lowercase())),
        ] {
            prop_assert_eq!(name_key, name.key());
            prop_assert_eq!(mail_key, mail.key());
        }
    }

    #[test]
    fn two_spellings_of_a_name_meet_in_one_claim(name in "[a-zà-öα-ρа-я][a-zà-öα-ρа-я0-9._ -]{0,48}[a-zà-öα-ρа-я]") {
        let claim = |text: String| ClaimId::of(ClaimKind::Username, &username(text));
        prop_assert_eq!(claim(name.to_uppercase()), claim(name.clone()));
        prop_assert_ne!(claim(name.clone()), ClaimId::of(ClaimKind::Email, &username(name)));
    }

    #[test]
    fn a_message_is_kept_as_it_was_typed(text in texts::typed()) {
        if let Ok(body) = MessageBody::try_from(text.clone()) {
            prop_assert_eq!(body.as_str(), text);
        } else {
            prop_assert!(text.trim().is_empty() || text.contains('\0'));
        }
    }

    #[test]
    fn what_may_be_chosen_may_be_presented(text in "(?s).{0,140}", policy in select(POLICIES)) {
        let chosen = Password::chosen(text.clone(), policy).ok();
        prop_assert!(chosen.is_none() || chosen == Password::presented(text.clone()));
        prop_assert!(chosen.is_none_or(|password| password.as_bytes() == text.as_bytes()));
    }

    #[test]
    fn adding_seconds_never_goes_back(micros: i64, seconds in 0..=i64::from(u32::MAX)) {
        let now = Timestamp::from_micros(micros);
        prop_assert!(now.plus_seconds(seconds) >= now);
    }
}
