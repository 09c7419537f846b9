//! Who plays in these tests: events of every kind, and rows as text.

use std::collections::BTreeSet;

use domain::ids::{ApiKeyId, NoticeId, TokenId, UserId};
use domain::token::api_key::{ApiKeyEvent, NewKey};
use domain::token::family::{Generation, Origin, RefuseReason, RevokeReason, TokenEvent};
use domain::token::notice::{LimitKind, NoticeEvent, SignInFailure};
use domain::user::{EndReason, Profile, Registration, UserEvent};
use domain::values::{Digest, PasswordHash, Role, Scope};
use domain::{Event, Metadata, Timestamp};
use projections::token_activity::Kind;
use store::{Db, on};
use tests::Dice;
use tests::scribe::Scribe;
use uuid::Uuid;

/// What must never be seen in a row.
pub const HASH: &str = "$argon2id$a-hash";
pub const IDENTIFIER: &str = "a-digest-of-a-name";
pub const DIGEST: u8 = 0xab;

pub fn id<I: From<Uuid>>(number: u128) -> I {
    I::from(Uuid::from_u128(number))
}

pub fn parsed<T: TryFrom<String>>(text: &str) -> T {
    T::try_from(text.to_owned()).ok().expect("a value that is valid")
}

pub fn digest() -> Digest {
    Digest::new([DIGEST; 32])
}

pub fn hash() -> PasswordHash {
    PasswordHash::new(HASH.to_owned())
}

pub fn seconds(seconds: i64) -> Timestamp {
    Timestamp::from_micros(0).plus_seconds(seconds)
}

pub fn from(ip: &str, user_agent: &str) -> Origin {
    Origin { ip: ip.to_owned(), user_agent: user_agent.to_owned() }
}

/// A request of somebody, with all that can be known of it.
pub fn request(number: u32) -> Metadata {
    Metadata {
        request_id: format!("request-{number}"),
        user: Some(id(900)),
        session: Some(id(901)),
        key: Some(id(902)),
        ip: Some(format!("192.0.2.{}", number % 250)),
        user_agent: Some("curl/8".to_owned()),
        node: Some("one".to_owned()),
    }
}

pub fn registered(user: UserId, username: Option<&str>, email: Option<&str>) -> Event {
    let (username, email, name) = (username.map(parsed), email.map(parsed), Some(parsed("Shown Name")));
    Event::User(user, UserEvent::UserRegistered(Registration { username, email, name, password_hash: hash() }))
}

pub fn profile(user: UserId, username: Option<&str>, email: Option<&str>) -> Event {
    let profile = Profile { username: username.map(parsed), email: email.map(parsed), name: Some(parsed("New Name")) };
    Event::User(user, UserEvent::ProfileChanged(profile))
}

pub fn issued(token: TokenId, user: UserId, idle: i64, most: i64) -> Event {
    let refresh = Some(Generation { digest: digest(), idle_until: seconds(idle) });
    let from = from("192.0.2.7", "firefox");
    Event::Token(token, TokenEvent::TokenIssued { user, expires_at: seconds(most), epoch: 0, refresh, from })
}

pub fn rotated(token: TokenId, user: UserId, at: i64, idle: i64) -> Event {
    let refresh = Generation { digest: digest(), idle_until: seconds(idle) };
    Event::Token(token, TokenEvent::TokenRotated { user, number: 1, refresh, at: seconds(at) })
}

pub fn moved(token: TokenId, user: UserId, from: Origin, was: Origin) -> Event {
    Event::Token(token, TokenEvent::TokenAnomalyNoticed { user, from, was })
}

pub fn revoked(token: TokenId, user: UserId, reason: RevokeReason) -> Event {
    Event::Token(token, TokenEvent::TokenRevoked { user, reason })
}

pub fn ended(user: UserId, kept: Option<TokenId>, reason: EndReason) -> Event {
    Event::User(user, UserEvent::SignInsEnded { epoch: 1, kept, reason })
}

pub fn key_created(key: ApiKeyId, user: UserId, name: &str, expires_at: Option<Timestamp>) -> Event {
    let scopes = BTreeSet::from([Scope::ChatRead, Scope::Audit]);
    let new = NewKey { user, name: parsed(name), digest: digest(), scopes, expires_at };
    Event::ApiKey(key, ApiKeyEvent::ApiKeyCreated(new))
}

pub fn key_rotated(key: ApiKeyId, user: UserId) -> Event {
    Event::ApiKey(key, ApiKeyEvent::ApiKeyRotated { user, digest: digest(), old_until: seconds(5) })
}

pub fn key_revoked(key: ApiKeyId, user: UserId) -> Event {
    Event::ApiKey(key, ApiKeyEvent::ApiKeyRevoked { user })
}

pub fn failed(user: Option<UserId>, reason: SignInFailure) -> Event {
    notice(NoticeEvent::SignInFailed { user, identifier: IDENTIFIER.to_owned(), reason })
}

pub fn notice(event: NoticeEvent) -> Event {
    Event::Notice(store::fresh_id::<NoticeId>(), event)
}

/// An event, and the row that it must be: kind, user, token, reason.
pub type Expected = (Event, Kind, Option<UserId>, Option<Uuid>, Option<&'static str>);

/// One event of every kind, and of every way that a kind can be.
pub fn every_event() -> Vec<Expected> {
    [of_users(), of_tokens(), of_keys(), of_notices()].concat()
}

fn of_users() -> Vec<Expected> {
    let (ann, some) = (id(1), Some(id(1)));
    let user = |event| Event::User(ann, event);
    let (role, audit) = (Role::Admin, Role::Auditor);
    vec![
        (registered(ann, Some("ann"), None), Kind::Registered, some, None, None),
        (profile(ann, Some("ann"), None), Kind::ProfileChanged, some, None, None),
        (user(UserEvent::PasswordChanged { password_hash: hash() }), Kind::PasswordChanged, some, None, None),
        (user(UserEvent::PasswordRehashed { password_hash: hash() }), Kind::PasswordRehashed, some, None, None),
        (user(UserEvent::RoleGranted { role }), Kind::RoleGranted, some, None, Some("admin")),
        (user(UserEvent::RoleRevoked { role: audit }), Kind::RoleRevoked, some, None, Some("auditor")),
        (ended(ann, Some(id(2)), EndReason::PasswordChanged), Kind::SignInsEnded, some, None, Some("password_changed")),
        (ended(ann, None, EndReason::SignedOut), Kind::SignInsEnded, some, None, Some("signed_out_everywhere")),
        (user(UserEvent::UserDisabled {}), Kind::UserDisabled, some, None, None),
        (ended(ann, None, EndReason::Disabled), Kind::SignInsEnded, some, None, Some("disabled")),
        (user(UserEvent::UserEnabled {}), Kind::UserEnabled, some, None, None),
    ]
}

fn of_tokens() -> Vec<Expected> {
    let (ann, some, token) = (id(1), Some(id(1)), id(2));
    let of = Some(Uuid::from_u128(2));
    let (home, away) = (from("192.0.2.7", "firefox"), from("192.0.2.8", "firefox"));
    let curl = from("192.0.2.7", "curl");
    let reused = TokenEvent::TokenReuseDetected { user: ann };
    let refuse = |reason| Event::Token(token, TokenEvent::TokenRefused { user: ann, reason });
    vec![
        (issued(token, ann, 10, 20), Kind::SignIn, some, of, None),
        (rotated(token, ann, 1, 15), Kind::TokenRotated, some, of, None),
        (moved(token, ann, away.clone(), home.clone()), Kind::TokenAnomaly, some, of, Some("address")),
        (moved(token, ann, curl.clone(), home), Kind::TokenAnomaly, some, of, Some("user_agent")),
        (moved(token, ann, away, curl), Kind::TokenAnomaly, some, of, Some("address, user_agent")),
        (Event::Token(token, reused), Kind::TokenReused, some, of, None),
        (revoked(token, ann, RevokeReason::Reused), Kind::TokenRevoked, some, of, Some("reused")),
        (revoked(token, ann, RevokeReason::SignedOut), Kind::TokenRevoked, some, of, Some("signed_out")),
        (revoked(token, ann, RevokeReason::Ended), Kind::TokenRevoked, some, of, Some("ended_by_user")),
        (refuse(RefuseReason::Expired), Kind::TokenRefused, some, of, Some("expired")),
        (refuse(RefuseReason::Revoked), Kind::TokenRefused, some, of, Some("revoked")),
    ]
}

fn of_keys() -> Vec<Expected> {
    let (ann, some, key, of) = (id(1), Some(id(1)), id(3), Some(Uuid::from_u128(3)));
    vec![
        (key_created(key, ann, "job", None), Kind::KeyCreated, some, of, Some("job: chat:read audit")),
        (key_rotated(key, ann), Kind::KeyRotated, some, of, None),
        (key_revoked(key, ann), Kind::KeyRevoked, some, of, None),
    ]
}

fn of_notices() -> Vec<Expected> {
    let some = Some(id(1));
    let unknown = |well_formed| notice(NoticeEvent::UnknownTokenPresented { well_formed });
    let exported = |conversation| notice(NoticeEvent::DataExported { by: id(1), conversation });
    let reached = |limit, user| notice(NoticeEvent::LimitReached { limit, user, refused: 7 });
    let read = |of, export| notice(NoticeEvent::AuditRead { by: id(900), of, export });
    vec![
        (failed(some, SignInFailure::WrongPassword), Kind::SignInFailed, some, None, Some("wrong_password")),
        (failed(some, SignInFailure::Disabled), Kind::SignInFailed, some, None, Some("disabled")),
        (failed(None, SignInFailure::UnknownUser), Kind::SignInFailed, None, None, Some("unknown_user")),
        (unknown(true), Kind::UnknownToken, None, None, Some("well_formed")),
        (unknown(false), Kind::UnknownToken, None, None, Some("malformed")),
        (read(some, false), Kind::AuditRead, some, None, Some("page")),
        (read(None, true), Kind::AuditRead, None, None, Some("export")),
        (reached(LimitKind::User, some), Kind::LimitReached, some, None, Some("user")),
        (reached(LimitKind::SignIn, None), Kind::LimitReached, None, None, Some("sign_in")),
        (exported(None), Kind::DataExported, some, None, Some("everything")),
        (exported(Some(id(7))), Kind::DataExported, some, None, Some("session 00000000-0000-0000-0000-000000000007")),
        (
            notice(NoticeEvent::SigningKeyRotated { kid: "k-2".to_owned() }),
            Kind::SigningKeyRotated,
            None,
            None,
            Some("k-2"),
        ),
    ]
}

/// Some people's sign-ins, keys and mishaps, a bit different each time.
pub async fn tell(scribe: &mut Scribe, people: usize, events: u32) {
    let (mut dice, mut tokens, mut keys) = (Dice::cast(), Vec::<(TokenId, UserId)>::new(), Vec::new());
    for number in 0..events {
        let user: UserId = id(1 + dice.below(people) as u128);
        let (token, its_user) = tokens.get(dice.below(tokens.len())).copied().unwrap_or((id(0), user));
        let (at, key) = (i64::from(number), keys.get(dice.below(keys.len())).copied());
        let event = match dice.below(12) {
            0 => registered(user, None, Some("ann@example.com")),
            1 => profile(user, Some(&format!("name{number}")), None),
            2 if number > 9 => rotated(token, its_user, at, at + 5),
            3 if number > 9 => moved(token, its_user, from("192.0.2.9", &format!("agent {number}")), from("", "")),
            4 if number > 9 => revoked(token, its_user, RevokeReason::SignedOut),
            5 => ended(user, Some(token), EndReason::PasswordChanged),
            6 => {
                keys.push(store::fresh_id());
                key_created(*keys.last().expect("a key"), user, "job", None)
            }
            7 if key.is_some() => key_rotated(key.expect("a key"), user),
            8 if key.is_some() => key_revoked(key.expect("a key"), user),
            9 => failed(Some(user), SignInFailure::WrongPassword),
            _ => {
                tokens.push((store::fresh_id(), user));
                issued(tokens.last().expect("a token").0, user, at + 5, at + 9)
            }
        };
        scribe.record(&event, &request(number)).await;
    }
}

/// That both are the same; else the first rows that differ, and not all.
pub fn same(one: &[String], other: &[String]) {
    let differs = one.iter().zip(other).find(|(one, other)| one != other);
    assert_eq!(differs, None);
    assert_eq!(one.len(), other.len());
}

/// Every row of the read model, in the order of its keys.
pub async fn dump(db: &Db) -> Vec<String> {
    let mut all = Vec::new();
    for (table, columns) in [
        (
            "activity",
            "position, at, kind, user_id, token_id, actor, actor_session, actor_key, outcome, reason, ip, user_agent, \
             request_id, node",
        ),
        (
            "sign_ins",
            "id, user_id, started_at, last_used_at, expires_at, ip, user_agent, ended_at, ended_reason, position",
        ),
        ("api_keys", "id, user_id, name, scopes, created_at, expires_at, rotated_at, revoked_at, position"),
        ("known_users", "id, username, email, name"),
    ] {
        let cell = |column| match db {
            Db::Sqlite(_) => format!("quote({column})"),
            Db::Postgres(_) => format!("coalesce(cast({column} as text), '-')"),
        };
        let row: Vec<_> = columns.split(", ").map(cell).collect();
        let sql = format!("select '{table} ' || {} from {table} order by 1", row.join(" || ' | ' || "));
        let rows: Vec<String> = on!(db, pool => sqlx::query_scalar(&sql).fetch_all(pool).await).expect("the rows");
        all.extend(rows);
    }
    all
}
