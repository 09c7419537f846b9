//! Random commands, of few people and many texts, so that they meet often.

use domain::Timestamp;
use domain::chat::attachment::{AttachedTo, Attachment, AttachmentCommand, File};
use domain::chat::conversation::{Changes, Conversation, ConversationCommand, Features, Naming};
use domain::chat::import::{Imported, Kept, Words};
use domain::chat::message::{Message, MessageCommand, Rating};
use domain::chat::place::{After, Speaker};
use domain::chat::reply::{Asked, Ending, FinishReason, Interruption, ReplyTo, Said, Usage};
use domain::ids::ClaimKind;
use domain::token::api_key::{ApiKey, ApiKeyCommand, NewKey};
use domain::token::family::{Lifetime, Origin, Presented, RevokeReason, Token, TokenCommand};
use domain::token::notice::{LimitKind, Notice, NoticeEvent, SignInFailure};
use domain::user::claim::{Claim, ClaimCommand};
use domain::user::{Profile, Registration, User, UserCommand};
use domain::values::{Digest, Embedding, MediaType, PasswordHash, Role, Scope, Vector};
use proptest::collection::{btree_set, vec};
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;
use uuid::Uuid;

use crate::life::{Commands, Living};
use crate::texts::{body, conversation_name, display_name, email, embedding_model, file_name, key_name, username};

fn few<I: From<Uuid> + std::fmt::Debug>() -> impl Strategy<Value = I> + Clone {
    (1..=3u128).prop_map(|number| Uuid::from_u128(number).into())
}

fn some<A: Living>(command: impl Strategy<Value = A::Command>) -> impl Strategy<Value = Commands<A>> {
    vec((command, any::<i64>().prop_map(Timestamp::from_micros)), 0..12)
}

/// Commands whose times only go on, by steps of up to 12 days.
fn in_order<A: Living>(command: impl Strategy<Value = A::Command>) -> impl Strategy<Value = Commands<A>> {
    let step = prop_oneof![0..60i64, 0..1_000_000i64];
    vec((command, step), 0..12).prop_map(|commands| {
        let mut now = Timestamp::from_micros(0);
        let later = |(command, step)| {
            now = now.plus_seconds(step);
            (command, now)
        };
        commands.into_iter().map(later).collect()
    })
}

/// Few, so that a rehash meets the password that it was made of.
fn hash() -> impl Strategy<Value = PasswordHash> {
    "[ab]".prop_map(PasswordHash::new)
}

fn role() -> impl Strategy<Value = Role> {
    select(Role::ALL)
}

fn registration() -> impl Strategy<Value = Registration> {
    (of(username()), of(email()), of(display_name()), hash())
        .prop_map(|(username, email, name, password_hash)| Registration { username, email, name, password_hash })
}

fn profile() -> impl Strategy<Value = Profile> {
    (of(username()), of(email()), of(display_name())).prop_map(|(username, email, name)| Profile {
        username,
        email,
        name,
    })
}

pub fn user() -> impl Strategy<Value = Commands<User>> {
    let password =
        (hash(), of(few())).prop_map(|(password_hash, kept)| UserCommand::ChangePassword { password_hash, kept });
    some::<User>(prop_oneof![
        3 => registration().prop_map(UserCommand::Register),
        2 => profile().prop_map(UserCommand::ChangeProfile),
        2 => password,
        1 => (hash(), hash()).prop_map(|(of, password_hash)| UserCommand::Rehash { of, password_hash }),
        1 => role().prop_map(UserCommand::Grant),
        1 => role().prop_map(UserCommand::Revoke),
        1 => Just(UserCommand::Disable),
        1 => Just(UserCommand::Enable),
        1 => Just(UserCommand::SignOutEverywhere),
    ])
}

pub fn claim() -> impl Strategy<Value = Commands<Claim>> {
    let kind = prop_oneof![Just(ClaimKind::Username), Just(ClaimKind::Email)];
    some::<Claim>(prop_oneof![
        (kind, few()).prop_map(|(kind, by)| ClaimCommand::Claim { kind, by }),
        few().prop_map(|by| ClaimCommand::Release { by }),
    ])
}

/// Few, so that a token is often presented that was there before.
fn digest() -> impl Strategy<Value = Digest> {
    (0..4u8).prop_map(|number| Digest::new([number; 32]))
}

fn origin() -> impl Strategy<Value = Origin> {
    ("[ab]", "[ab]").prop_map(|(ip, user_agent)| Origin { ip, user_agent })
}

fn lifetime() -> impl Strategy<Value = Lifetime> {
    any::<(u32, u32)>().prop_map(|(idle_seconds, most_seconds)| Lifetime { idle_seconds, most_seconds })
}

fn presented() -> impl Strategy<Value = Presented> {
    (digest(), of(any::<i64>().prop_map(Timestamp::from_micros)), prop::bool::weighted(0.9), any::<u32>()).prop_map(
        |(digest, current_seen, allowed, leeway_seconds)| Presented { digest, current_seen, allowed, leeway_seconds },
    )
}

/// Mostly in the order of time, so that some of what is presented is still good.
pub fn token() -> impl Strategy<Value = Commands<Token>> {
    let issue = (few(), any::<u32>(), digest(), lifetime(), origin())
        .prop_map(|(user, epoch, digest, lifetime, from)| TokenCommand::Issue { user, epoch, digest, lifetime, from });
    let refresh = (presented(), digest(), lifetime(), origin()).prop_map(|(presented, successor, lifetime, from)| {
        TokenCommand::Refresh { presented, successor, lifetime, from }
    });
    let revoke = select(RevokeReason::ALL).prop_map(|reason| TokenCommand::Revoke { reason });
    let command = prop_oneof![2 => issue, 8 => refresh, 1 => revoke];
    prop_oneof![some::<Token>(command.clone()), in_order::<Token>(command)]
}

pub fn api_key() -> impl Strategy<Value = Commands<ApiKey>> {
    let scopes = btree_set(select(Scope::ALL), 0..3);
    let end = of(any::<i64>().prop_map(Timestamp::from_micros));
    let create = (few(), key_name(), digest(), scopes, end).prop_map(|(user, name, digest, scopes, expires_at)| {
        ApiKeyCommand::Create(NewKey { user, name, digest, scopes, expires_at })
    });
    let rotate = (few(), digest(), any::<u32>()).prop_map(|(by, digest, overlap_seconds)| ApiKeyCommand::Rotate {
        by,
        digest,
        overlap_seconds,
    });
    let revoke = few().prop_map(|by| ApiKeyCommand::Revoke { by });
    some::<ApiKey>(prop_oneof![2 => create, 3 => rotate, 1 => revoke])
}

pub fn notice() -> impl Strategy<Value = Commands<Notice>> {
    let failed = (of(few()), any::<String>(), select(SignInFailure::ALL))
        .prop_map(|(user, identifier, reason)| NoticeEvent::SignInFailed { user, identifier, reason });
    let read = (few(), of(few()), any::<bool>()).prop_map(|(by, of, export)| NoticeEvent::AuditRead { by, of, export });
    let limited = (select(LimitKind::ALL), of(few()), any::<u32>())
        .prop_map(|(limit, user, refused)| NoticeEvent::LimitReached { limit, user, refused });
    let embedded = (few(), any::<String>(), any::<u32>()).prop_map(|(by, model, prompt_tokens)| {
        NoticeEvent::TextsEmbedded { by, model, usage: Usage { prompt_tokens, ..Usage::default() } }
    });
    some::<Notice>(prop_oneof![
        failed,
        read,
        limited,
        embedded,
        (few(), of(few())).prop_map(|(by, conversation)| NoticeEvent::DataExported { by, conversation }),
        any::<bool>().prop_map(|well_formed| NoticeEvent::UnknownTokenPresented { well_formed }),
        any::<String>().prop_map(|kid| NoticeEvent::SigningKeyRotated { kid }),
    ])
}

fn moment() -> impl Strategy<Value = Timestamp> {
    any::<i64>().prop_map(Timestamp::from_micros)
}

fn features() -> impl Strategy<Value = Features> {
    (of(conversation_name()), any::<bool>(), any::<bool>()).prop_map(|(name, favourite, archived)| Features {
        name,
        favourite,
        archived,
    })
}

fn naming() -> impl Strategy<Value = Naming> {
    prop_oneof![conversation_name().prop_map(Naming::To), Just(Naming::TakenBack), Just(Naming::Kept)]
}

pub fn conversation() -> impl Strategy<Value = Commands<Conversation>> {
    some::<Conversation>(prop_oneof![
        (few(), features()).prop_map(|(owner, features)| ConversationCommand::Start { owner, features }),
        few().prop_map(|by| ConversationCommand::Enter { by }),
        (few(), naming(), of(any::<bool>()), of(any::<bool>())).prop_map(|(by, name, favourite, archived)| {
            ConversationCommand::Change { by, wanted: Changes { name, favourite, archived } }
        }),
        of(conversation_name()).prop_map(|title| {
            let (model, usage) = ("m".to_owned(), Usage::default());
            ConversationCommand::Title { title, model, usage }
        }),
        (few(), few()).prop_map(|(by, through)| ConversationCommand::ChooseBranch { by, through }),
        (few(), of(conversation_name()), digest(), moment(), moment()).prop_map(
            |(by, title, digest, created_at, updated_at)| {
                ConversationCommand::Import { by, kept: Kept { title, digest, created_at, updated_at } }
            }
        ),
        few().prop_map(|by| ConversationCommand::Delete { by }),
    ])
}

pub fn message() -> impl Strategy<Value = Commands<Message>> {
    let after = prop_oneof![Just(After::Latest), Just(After::Nothing), few().prop_map(After::Message)];
    let post = (few(), few(), body(), select(Speaker::ALL), after.clone()).prop_map(
        |(conversation, owner, body, speaker, after)| MessageCommand::Post {
            conversation,
            owner,
            body,
            speaker,
            after,
        },
    );
    let reply = || (few(), few(), few()).prop_map(|(conversation, owner, to)| ReplyTo { conversation, owner, to });
    let give = (reply(), "(?s).{0,40}", any::<String>()).prop_map(|(reply, text, model)| MessageCommand::GiveReply {
        reply,
        text,
        model,
    });
    let asked = (any::<String>(), 0..400_000_u32, 0.0..2.5_f64).prop_map(|(model, max_tokens, temperature)| Asked {
        model,
        max_tokens: max_tokens.try_into().ok(),
        temperature: temperature.try_into().ok(),
    });
    let request = (reply(), asked).prop_map(|(reply, asked)| MessageCommand::RequestReply { reply, asked });
    let said = ("(?s).{0,40}", any::<String>(), usage()).prop_map(|(text, model, usage)| Said { text, model, usage });
    let interrupted = (select(Interruption::ALL), any::<Option<u32>>())
        .prop_map(|(reason, retry_after_seconds)| Ending::Interrupted { reason, retry_after_seconds });
    let completed = select(FinishReason::ALL).prop_map(|finish| Ending::Completed { finish });
    let ending = prop_oneof![completed, Just(Ending::Stopped), interrupted];
    let replied =
        (few(), said.clone(), of(ending.clone())).prop_map(|(to, said, ending)| Words::Replied { to, said, ending });
    let posted = (select(Speaker::ALL), body()).prop_map(|(speaker, body)| Words::Posted { speaker, body });
    let import = (few(), few(), after, prop_oneof![posted, replied], of(select(Rating::ALL)), moment(), moment())
        .prop_map(|(conversation, owner, after, words, rating, created_at, updated_at)| {
            MessageCommand::Import(Imported { conversation, owner, after, words, rating, created_at, updated_at })
        });
    let end = (said, ending).prop_map(|(said, ending)| MessageCommand::EndReply { said, ending });
    some::<Message>(prop_oneof![post, give, request, end, import, marks()])
}

fn usage() -> impl Strategy<Value = Usage> + Clone {
    any::<(u32, u32, bool, Option<u64>)>().prop_map(|(prompt_tokens, completion_tokens, estimated, cost_micros)| {
        Usage { prompt_tokens, completion_tokens, estimated, cost_micros }
    })
}

/// What its owner does with a message that is there.
fn marks() -> impl Strategy<Value = MessageCommand> {
    let vector = vec(any::<f32>(), 1..4).prop_filter_map("no vector", |numbers| Vector::new(&numbers).ok());
    prop_oneof![
        (few(), few()).prop_map(|(by, conversation)| MessageCommand::Find { by, conversation }),
        (few(), select(Rating::ALL)).prop_map(|(by, rating)| MessageCommand::Rate { by, rating }),
        (few(), embedding_model(), vector, of(usage())).prop_map(|(by, model, vector, usage)| MessageCommand::Embed {
            by,
            embedding: Embedding { model, vector },
            usage,
        }),
        few().prop_map(|by| MessageCommand::Delete { by }),
    ]
}

pub fn attachment() -> impl Strategy<Value = Commands<Attachment>> {
    let file = (file_name(), select(MediaType::ALL), any::<u64>(), digest())
        .prop_map(|(name, media_type, size, digest)| File { name, media_type, size, digest });
    let to =
        (few(), few(), few()).prop_map(|(owner, conversation, message)| AttachedTo { owner, conversation, message });
    some::<Attachment>(prop_oneof![
        (to, file, few()).prop_map(|(to, file, kept_as)| AttachmentCommand::Add { to, file, kept_as }),
        few().prop_map(|by| AttachmentCommand::Remove { by }),
    ])
}
