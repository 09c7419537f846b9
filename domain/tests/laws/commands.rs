//! Random commands, of few people and many texts, so that they meet often.

use domain::Timestamp;
use domain::chat::conversation::{Conversation, ConversationCommand};
use domain::chat::message::{Message, MessageCommand, Usage};
use domain::ids::ClaimKind;
use domain::token::family::{Token, TokenCommand};
use domain::user::claim::{Claim, ClaimCommand};
use domain::user::{Registration, User, UserCommand};
use domain::values::PasswordHash;
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use uuid::Uuid;

use crate::life::{Commands, Living};
use crate::texts::{body, display_name, email, username};

fn few<I: From<Uuid> + std::fmt::Debug>() -> impl Strategy<Value = I> + Clone {
    (1..=3u128).prop_map(|number| Uuid::from_u128(number).into())
}

fn some<A: Living>(command: impl Strategy<Value = A::Command>) -> impl Strategy<Value = Commands<A>> {
    vec((command, any::<i64>().prop_map(Timestamp::from_micros)), 0..12)
}

pub fn user() -> impl Strategy<Value = Commands<User>> {
    let hash = any::<String>().prop_map(PasswordHash::new);
    let who = (of(username()), of(email()), of(display_name()), hash);
    some::<User>(who.prop_map(|(username, email, name, password_hash)| {
        UserCommand::Register(Registration { username, email, name, password_hash })
    }))
}

pub fn claim() -> impl Strategy<Value = Commands<Claim>> {
    let kind = prop_oneof![Just(ClaimKind::Username), Just(ClaimKind::Email)];
    some::<Claim>((kind, few()).prop_map(|(kind, by)| ClaimCommand::Claim { kind, by }))
}

pub fn token() -> impl Strategy<Value = Commands<Token>> {
    let issue = (few(), any::<u32>());
    some::<Token>(issue.prop_map(|(user, lifetime_seconds)| TokenCommand::Issue { user, lifetime_seconds }))
}

pub fn conversation() -> impl Strategy<Value = Commands<Conversation>> {
    some::<Conversation>(prop_oneof![
        few().prop_map(|owner| ConversationCommand::Start { owner }),
        few().prop_map(|by| ConversationCommand::Enter { by }),
        few().prop_map(|by| ConversationCommand::Delete { by }),
    ])
}

pub fn message() -> impl Strategy<Value = Commands<Message>> {
    let post = (few(), few(), body()).prop_map(|(conversation, owner, body)| MessageCommand::Post {
        conversation,
        owner,
        body,
    });
    let request = (few(), few(), few(), any::<String>())
        .prop_map(|(conversation, owner, to, model)| MessageCommand::RequestReply { conversation, owner, to, model });
    let usage =
        any::<(u32, u32)>().prop_map(|(prompt_tokens, completion_tokens)| Usage { prompt_tokens, completion_tokens });
    let complete = ("(?s).{0,40}", any::<String>(), usage)
        .prop_map(|(text, model, usage)| MessageCommand::CompleteReply { text, model, usage });
    some::<Message>(prop_oneof![post, request, complete])
}
