//! Events are contracts: what was ever written stays readable, and nothing changes without a new version.
//!
//! `events/<stream>.<EventName>.v<version>.json` is the payload of one sample, exactly as the log keeps it. Nothing
//! writes these files but a person; see [`HOW_TO`].

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may fail in its helpers too")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use cqrs_es::Aggregate;
use domain::chat::attachment::{AttachedTo, Attachment, AttachmentEvent, File};
use domain::chat::conversation::{Conversation, ConversationEvent, Features};
use domain::chat::import::{Imported, Kept, Words};
use domain::chat::message::{Message, MessageEvent, Rating};
use domain::chat::place::{After, Speaker};
use domain::chat::reply::{Asked, Ending, FinishReason, Interruption, ReplyTo, Said, Usage};
use domain::ids::{ClaimKind, ConversationId, MessageId, UserId};
use domain::token::api_key::{ApiKey, ApiKeyEvent, NewKey};
use domain::token::family::{Generation, Origin, RefuseReason, RevokeReason, Token, TokenEvent};
use domain::token::notice::{LimitKind, Notice, NoticeEvent, SignInFailure};
use domain::user::claim::{Claim, ClaimEvent};
use domain::user::{EndReason, Profile, Registration, User, UserEvent};
use domain::values::{ConversationName, Digest, Embedding, MediaType, PasswordHash, Role, Scope, Vector};
use domain::{Event, Timestamp, UnknownEvent};
use serde_json::Value;
use support::Recorded;

const HOW_TO: &str = "
Logs hold events of every version that was ever released, for good. Where an event of version N has to change:
  1. leave domain/events/<stream>.<EventName>.vN.json as it is, for ever;
  2. name version N+1 in the stream's `events!`;
  3. add domain/events/<stream>.<EventName>.v<N+1>.json by hand, and change the sample in domain/tests/contracts.rs;
  4. write an upcaster, so that the old payload is still read: `#[serde(default)]` for a new field, `#[serde(alias)]`
     for a new name, `#[serde(from)]` with the old shape for everything else.
A new event starts with version 1 and its own file. No event and no file is ever taken away.
";

type Contracts = &'static [(&'static str, &'static str)];

const STREAMS: [(&str, Contracts); 8] = [
    (User::TYPE, UserEvent::CONTRACTS),
    (Claim::TYPE, ClaimEvent::CONTRACTS),
    (Token::TYPE, TokenEvent::CONTRACTS),
    (ApiKey::TYPE, ApiKeyEvent::CONTRACTS),
    (Notice::TYPE, NoticeEvent::CONTRACTS),
    (Conversation::TYPE, ConversationEvent::CONTRACTS),
    (Message::TYPE, MessageEvent::CONTRACTS),
    (Attachment::TYPE, AttachmentEvent::CONTRACTS),
];

const USER: &str = "018bcfe5-6800-7000-8000-000000000001";
const CONVERSATION: &str = "018bcfe5-6800-7000-8000-000000000002";
const MESSAGE: &str = "018bcfe5-6800-7000-8000-000000000003";

/// One event of each kind. Every field says something, and counts are as large as their type takes.
fn samples() -> Vec<Event> {
    let user: UserId = USER.parse().unwrap();
    let conversation = CONVERSATION.parse().unwrap();
    let mut samples = vec![
        Event::Claim(MESSAGE.parse().unwrap(), ClaimEvent::Claimed { kind: ClaimKind::Username, by: user }),
        Event::Claim(MESSAGE.parse().unwrap(), ClaimEvent::Released { by: user }),
    ];
    samples.extend(conversations(user).map(|event| Event::Conversation(conversation, event)));
    samples.extend(users().map(|event| Event::User(user, event)));
    samples.extend(tokens(user).map(|event| Event::Token(MESSAGE.parse().unwrap(), event)));
    samples.extend(api_keys(user).map(|event| Event::ApiKey(MESSAGE.parse().unwrap(), event)));
    samples.extend(notices(user).map(|event| Event::Notice(MESSAGE.parse().unwrap(), event)));
    samples.extend(messages(conversation, user).map(|event| Event::Message(MESSAGE.parse().unwrap(), event)));
    samples.extend(attachments(conversation, user).map(|event| Event::Attachment(MESSAGE.parse().unwrap(), event)));
    samples
}

fn registration() -> Registration {
    Registration {
        username: Some("Ada".to_owned().try_into().unwrap()),
        email: Some("Ada@Example.org".to_owned().try_into().unwrap()),
        name: Some("Ada Lovelace 👩\u{200d}🚀".to_owned().try_into().unwrap()),
        password_hash: PasswordHash::new("$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaA".to_owned()),
    }
}

fn users() -> [UserEvent; 9] {
    let Registration { username, email, name, password_hash } = registration();
    let kept = Some(MESSAGE.parse().unwrap());
    [
        UserEvent::UserRegistered(registration()),
        UserEvent::ProfileChanged(Profile { username, email, name }),
        UserEvent::PasswordChanged { password_hash: password_hash.clone() },
        UserEvent::PasswordRehashed { password_hash },
        UserEvent::RoleGranted { role: Role::Auditor },
        UserEvent::RoleRevoked { role: Role::Admin },
        UserEvent::UserDisabled {},
        UserEvent::UserEnabled {},
        UserEvent::SignInsEnded { epoch: u32::MAX, kept, reason: EndReason::PasswordChanged },
    ]
}

fn tokens(user: UserId) -> [TokenEvent; 6] {
    let origin = |ip: &str| Origin { ip: ip.to_owned(), user_agent: "curl/8.5 \"x\"".to_owned() };
    let refresh = Generation { digest: digest(), idle_until: Timestamp::from_micros(1_700_000_800_123_456) };
    let (expires_at, from) = (moment(), origin("2001:db8::1"));
    [
        TokenEvent::TokenIssued { user, expires_at, epoch: 7, refresh: Some(refresh), from: from.clone() },
        TokenEvent::TokenRotated { user, number: u32::MAX, refresh, at: moment() },
        TokenEvent::TokenAnomalyNoticed { user, from, was: origin("192.0.2.1") },
        TokenEvent::TokenReuseDetected { user },
        TokenEvent::TokenRefused { user, reason: RefuseReason::Expired },
        TokenEvent::TokenRevoked { user, reason: RevokeReason::Reused },
    ]
}

fn digest() -> Digest {
    Digest::new(std::array::from_fn(|at| u8::try_from(at * 8).unwrap()))
}

fn api_keys(user: UserId) -> [ApiKeyEvent; 3] {
    let name = "nightly job".to_owned().try_into().unwrap();
    let scopes = Scope::ALL.iter().copied().collect();
    [
        ApiKeyEvent::ApiKeyCreated(NewKey { user, name, digest: digest(), scopes, expires_at: Some(moment()) }),
        ApiKeyEvent::ApiKeyRotated { user, digest: digest(), old_until: moment() },
        ApiKeyEvent::ApiKeyRevoked { user },
    ]
}

fn notices(user: UserId) -> [NoticeEvent; 7] {
    let identifier = "6c7f".to_owned();
    [
        NoticeEvent::SignInFailed { user: Some(user), identifier, reason: SignInFailure::WrongPassword },
        NoticeEvent::UnknownTokenPresented { well_formed: true },
        NoticeEvent::AuditRead { by: user, of: Some(user), export: true },
        NoticeEvent::DataExported { by: user, conversation: MESSAGE.parse().ok() },
        NoticeEvent::SigningKeyRotated { kid: MESSAGE.to_owned() },
        NoticeEvent::LimitReached { limit: LimitKind::User, user: Some(user), refused: u32::MAX },
        NoticeEvent::TextsEmbedded { by: user, model: "openai/text-embedding-3-small".to_owned(), usage: usage() },
    ]
}

fn moment() -> Timestamp {
    Timestamp::from_micros(1_700_000_900_123_456)
}

fn usage() -> Usage {
    let cost_micros = Some(9_007_199_254_740_991);
    Usage { prompt_tokens: u32::MAX, completion_tokens: u32::MAX - 1, estimated: true, cost_micros }
}

fn conversations(owner: UserId) -> [ConversationEvent; 12] {
    let name: ConversationName = "Travel ✈ 여행".to_owned().try_into().unwrap();
    let features = Features { name: Some(name.clone()), favourite: true, archived: true };
    let (created_at, updated_at) = (Timestamp::from_micros(i64::MIN), Timestamp::from_micros(i64::MAX));
    let kept = Kept { title: Some(name.clone()), digest: digest(), created_at, updated_at };
    let model = "openai/gpt-4o-mini".to_owned();
    [
        ConversationEvent::ConversationStarted { owner, features },
        ConversationEvent::ConversationRenamed { owner, name: name.clone() },
        ConversationEvent::ConversationUnnamed { owner },
        ConversationEvent::ConversationTitled { owner, title: name, model: model.clone(), usage: usage() },
        ConversationEvent::TitleWasted { owner, model, usage: usage() },
        ConversationEvent::ConversationFavourited { owner },
        ConversationEvent::ConversationUnfavourited { owner },
        ConversationEvent::ConversationArchived { owner },
        ConversationEvent::ConversationRestored { owner },
        ConversationEvent::BranchChosen { owner, through: MESSAGE.parse().unwrap() },
        ConversationEvent::ConversationImported { owner, kept },
        ConversationEvent::ConversationDeleted { owner },
    ]
}

fn messages(conversation: ConversationId, owner: UserId) -> [MessageEvent; 10] {
    let to: MessageId = MESSAGE.parse().unwrap();
    let body = "  It's \"quoted\" \\ 안녕 👋\n\tnext line ".to_owned().try_into().unwrap();
    let (text, model) = ("You said: '안녕'.\n".to_owned(), "openai/gpt-4o-mini".to_owned());
    let reply = ReplyTo { conversation, owner, to };
    let (max_tokens, temperature) = (200_000.try_into().ok(), 0.7.try_into().ok());
    let said = Said { text: text.clone(), model: model.clone(), usage: usage() };
    let (reason, retry_after_seconds) = (Interruption::RateLimited, Some(u32::MAX));
    let (speaker, after) = (Speaker::System, After::Message(to));
    let vector = Vector::new(&[0.25, -1.5]).unwrap();
    let embedding = Embedding { model: "text-embedding-3-small".to_owned().try_into().unwrap(), vector };
    [
        MessageEvent::MessagePosted { conversation, owner, body, speaker, after },
        MessageEvent::ReplyGiven { conversation, owner, to, text, model: model.clone() },
        MessageEvent::ReplyRequested { reply, asked: Asked { model, max_tokens, temperature } },
        MessageEvent::ReplyCompleted { owner: Some(owner), said: said.clone(), finish: FinishReason::Length },
        MessageEvent::ReplyStopped { owner, said: said.clone() },
        MessageEvent::MessageImported { message: imported(conversation, owner, to, said.clone()) },
        MessageEvent::ReplyInterrupted { owner, said, reason, retry_after_seconds },
        MessageEvent::MessageRated { owner, rating: Rating::Down },
        MessageEvent::MessageEmbedded { owner, embedding, usage: Some(usage()) },
        MessageEvent::MessageDeleted { owner, conversation },
    ]
}

fn imported(conversation: ConversationId, owner: UserId, to: MessageId, said: Said) -> Imported {
    let ending = Some(Ending::Interrupted { reason: Interruption::Truncated, retry_after_seconds: Some(1) });
    let (created_at, updated_at) = (Timestamp::from_micros(i64::MIN), Timestamp::from_micros(i64::MAX));
    let words = Words::Replied { to, said, ending };
    let (after, rating) = (After::Message(to), Some(Rating::Up));
    Imported { conversation, owner, after, words, rating, created_at, updated_at }
}

fn attachments(conversation: ConversationId, owner: UserId) -> [AttachmentEvent; 2] {
    let message = MESSAGE.parse().unwrap();
    let (name, media_type) = ("여행 ✈ \"plan\".pdf".to_owned().try_into().unwrap(), MediaType::Pdf);
    let file = File { name, media_type, size: u64::MAX, digest: digest() };
    let kept_as = CONVERSATION.parse().ok();
    [
        AttachmentEvent::AttachmentAdded { to: AttachedTo { owner, conversation, message }, file, kept_as },
        AttachmentEvent::AttachmentRemoved { owner, message },
    ]
}

fn file_name(stream: &str, event: &str, version: &str) -> String {
    format!("{stream}.{event}.v{version}.json")
}

/// Every golden file, by its name.
fn golden() -> BTreeMap<String, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("events");
    let files = folder.read_dir().unwrap().map(|file| file.unwrap());
    files.map(|file| (file.file_name().into_string().unwrap(), std::fs::read_to_string(file.path()).unwrap())).collect()
}

/// A sample with its golden payload.
fn samples_and_golden() -> Vec<(Event, Recorded, String)> {
    let files = golden();
    let with_golden = |event: Event| {
        let recorded = Recorded::of(&event);
        let name = file_name(recorded.stream, &recorded.name, &recorded.version);
        let payload = files.get(&name).unwrap_or_else(|| missing(&name, &recorded.payload));
        (event, recorded, payload.clone())
    };
    samples().into_iter().map(with_golden).collect()
}

fn missing(name: &str, payload: &Value) -> ! {
    panic!("domain/events/{name} is missing; the payload is now\n{payload:#}\n{HOW_TO}")
}

#[test]
fn every_event_has_one_sample() {
    let listed = STREAMS.iter().flat_map(|(stream, contracts)| {
        contracts.iter().map(|(name, version)| ((*stream).to_owned(), (*name).to_owned(), (*version).to_owned()))
    });
    let sampled = samples().iter().map(Recorded::of).map(|it| (it.stream.to_owned(), it.name, it.version)).collect();
    let (mut listed, mut sampled): (Vec<_>, Vec<_>) = (listed.collect(), sampled);
    listed.sort();
    sampled.sort();
    assert_eq!(sampled, listed, "samples (left) are not exactly what CONTRACTS name (right)\n{HOW_TO}");
}

#[test]
fn every_version_of_every_event_has_its_file_and_no_file_is_without_an_event() {
    let mut wanted = BTreeSet::new();
    for (stream, contracts) in STREAMS {
        for (name, newest) in contracts {
            let newest: u32 = newest.parse().unwrap();
            wanted.extend((1..=newest).map(|version| file_name(stream, name, &version.to_string())));
        }
    }
    let found: BTreeSet<_> = golden().into_keys().collect();
    let missing: Vec<_> = wanted.difference(&found).collect();
    let strange: Vec<_> = found.difference(&wanted).collect();
    assert!(missing.is_empty(), "domain/events lacks {missing:?}\n{HOW_TO}");
    assert!(strange.is_empty(), "domain/events has files of no known event and version: {strange:?}\n{HOW_TO}");
}

#[test]
fn every_sample_is_written_as_its_golden_payload() {
    for (_, recorded, payload) in samples_and_golden() {
        let Recorded { stream, name, version, payload: written, .. } = recorded;
        let golden: Value = serde_json::from_str(&payload).unwrap();
        assert_eq!(
            written, golden,
            "the {stream} event {name} changed, but not its version {version}; it is now\n{written:#}\n{HOW_TO}"
        );
    }
}

#[test]
fn every_golden_payload_is_read_as_its_sample() {
    for (event, recorded, payload) in samples_and_golden() {
        let read = Event::decode(recorded.stream, &recorded.id, &payload);
        let read = read.unwrap_or_else(|error| unreadable(&recorded.name, &error));
        assert_eq!(read, event, "{HOW_TO}");
    }
}

#[test]
fn every_version_that_was_ever_written_can_be_read() {
    for (name, payload) in golden() {
        let stream = name.split('.').next().unwrap();
        Event::decode(stream, MESSAGE, &payload).unwrap_or_else(|error| unreadable(&name, &error));
    }
}

fn unreadable(name: &str, error: &UnknownEvent) -> ! {
    panic!("{name} can't be read any more: {error:?}\n{HOW_TO}")
}

/// A field that is empty in its sample could be dropped or renamed unseen.
#[test]
fn samples_leave_nothing_out() {
    for event in samples() {
        assert!(!format!("{event:?}").contains("None"), "a sample must fill every field: {event:?}");
    }
}

/// Takes each field out of each golden payload in turn: none may be read from nowhere.
#[test]
fn every_field_of_a_golden_payload_is_read() {
    for (event, recorded, payload) in samples_and_golden() {
        let golden: Value = serde_json::from_str(&payload).unwrap();
        let fields = fields("", &golden);
        for (parent, field) in fields {
            let mut without = golden.clone();
            without.pointer_mut(&parent).and_then(Value::as_object_mut).unwrap().remove(&field).unwrap();
            let read = Event::decode(recorded.stream, &recorded.id, &without.to_string());
            assert!(!read.is_ok_and(|it| it == event), "{}: nobody reads {parent}/{field}", recorded.name);
        }
    }
}

/// Empties each field of each golden payload in turn: where a field may be null, it is written as null.
#[test]
fn what_may_be_absent_is_written_as_null() {
    let mut absent = Vec::new();
    for (_, recorded, payload) in samples_and_golden() {
        let golden: Value = serde_json::from_str(&payload).unwrap();
        for (parent, field) in fields("", &golden) {
            let mut emptied = golden.clone();
            *emptied.pointer_mut(&format!("{parent}/{field}")).unwrap() = Value::Null;
            if let Ok(event) = Event::decode(recorded.stream, &recorded.id, &emptied.to_string()) {
                assert_eq!(Recorded::of(&event).payload, emptied, "{HOW_TO}");
                absent.push(format!("{parent}/{field}"));
            }
        }
    }
    absent.sort();
    let may_be_absent = [
        "/ApiKeyCreated/expires_at",
        "/AttachmentAdded/kept_as",
        "/AuditRead/of",
        "/ConversationImported/title",
        "/ConversationStarted/name",
        "/ConversationTitled/usage/cost_micros",
        "/DataExported/conversation",
        "/LimitReached/user",
        "/MessageEmbedded/usage",
        "/MessageEmbedded/usage/cost_micros",
        "/MessageImported/rating",
        "/MessageImported/words/replied/ending",
        "/MessageImported/words/replied/ending/interrupted/retry_after_seconds",
        "/MessageImported/words/replied/usage/cost_micros",
        "/ProfileChanged/email",
        "/ProfileChanged/name",
        "/ProfileChanged/username",
        "/ReplyCompleted/owner",
        "/ReplyCompleted/usage/cost_micros",
        "/ReplyInterrupted/retry_after_seconds",
        "/ReplyInterrupted/usage/cost_micros",
        "/ReplyRequested/max_tokens",
        "/ReplyRequested/temperature",
        "/ReplyStopped/usage/cost_micros",
        "/SignInFailed/user",
        "/SignInsEnded/kept",
        "/TextsEmbedded/usage/cost_micros",
        "/TitleWasted/usage/cost_micros",
        "/TokenIssued/refresh",
        "/UserRegistered/email",
        "/UserRegistered/name",
        "/UserRegistered/username",
    ];
    assert_eq!(absent, may_be_absent, "other fields than before may be absent (left)\n{HOW_TO}");
}

/// Every field at any depth: the JSON pointer to its object, and its name.
fn fields(at: &str, value: &Value) -> Vec<(String, String)> {
    let inner = value.as_object().into_iter().flatten().flat_map(|(name, value)| {
        let mut below = fields(&format!("{at}/{name}"), value);
        below.push((at.to_owned(), name.clone()));
        below
    });
    inner.collect()
}
