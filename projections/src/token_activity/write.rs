//! A folded batch as a few statements.

use std::collections::BTreeMap;

use domain::Timestamp;
use domain::ids::ApiKeyId;
use domain::user::Profile;
use domain::values::{DisplayName, Email, Username};
use store::bulk::{self, Column};
use store::{StoreError, Tx};
use uuid::Uuid;

use super::Activity;
use super::describe::scopes;
use super::fold::{Fold, Issued, known};

pub(super) async fn write(tx: &mut Tx, fold: Fold) -> Result<(), StoreError> {
    bulk::execute(tx, ADD, &activity_columns(&fold.activity)).await?;
    bulk::execute(tx, KNOW, &user_columns(&fold)).await?;
    bulk::execute(tx, ISSUE, &issued_columns(&fold.issued)).await?;
    bulk::execute(tx, ROTATE, &rotated_columns(&fold)).await?;
    bulk::execute(tx, MOVE, &moved_columns(&fold)).await?;
    bulk::execute(tx, REVOKE, &revoked_columns(&fold)).await?;
    let scopes: Vec<String> = fold.keys.iter().map(|(_, key, ..)| scopes(key)).collect();
    bulk::execute(tx, CREATE_KEY, &key_columns(&fold, &scopes)).await?;
    bulk::execute(tx, ROTATE_KEY, &moments(&fold.keys_rotated)).await?;
    bulk::execute(tx, REVOKE_KEY, &moments(&fold.keys_revoked)).await
}

fn activity_columns(rows: &[Activity]) -> [Column<'_>; 14] {
    [
        Column::Int(rows.iter().map(|it| it.position.get()).collect()),
        Column::Int(rows.iter().map(|it| it.at.as_micros()).collect()),
        Column::Text(rows.iter().map(|it| it.kind.as_str()).collect()),
        Column::OptionalUuid(rows.iter().map(|it| it.user.map(Uuid::from)).collect()),
        Column::OptionalUuid(rows.iter().map(|it| it.token).collect()),
        Column::OptionalUuid(rows.iter().map(|it| it.actor.map(Uuid::from)).collect()),
        Column::OptionalUuid(rows.iter().map(|it| it.actor_session.map(Uuid::from)).collect()),
        Column::OptionalUuid(rows.iter().map(|it| it.actor_key.map(Uuid::from)).collect()),
        Column::Text(rows.iter().map(|it| it.outcome.as_str()).collect()),
        Column::OptionalText(rows.iter().map(|it| it.reason.as_deref()).collect()),
        Column::OptionalText(rows.iter().map(|it| it.ip.as_deref()).collect()),
        Column::OptionalText(rows.iter().map(|it| it.user_agent.as_deref()).collect()),
        Column::Text(rows.iter().map(|it| it.request_id.as_str()).collect()),
        Column::OptionalText(rows.iter().map(|it| it.node.as_deref()).collect()),
    ]
}

fn user_columns(fold: &Fold) -> [Column<'_>; 4] {
    let text = |of: fn(&Profile) -> Option<&str>| Column::OptionalText(fold.users.values().map(of).collect());
    [
        Column::Uuid(fold.users.keys().copied().map(Uuid::from).collect()),
        text(|who| who.username.as_ref().map(Username::as_str)),
        text(|who| who.email.as_ref().map(Email::as_str)),
        text(|who| who.name.as_ref().map(DisplayName::as_str)),
    ]
}

fn issued_columns(issued: &[Issued]) -> [Column<'_>; 7] {
    [
        Column::Uuid(issued.iter().map(|it| it.id.into()).collect()),
        Column::Uuid(issued.iter().map(|it| it.user.into()).collect()),
        Column::Int(issued.iter().map(|it| it.at.as_micros()).collect()),
        Column::Int(issued.iter().map(|it| it.expires_at.as_micros()).collect()),
        Column::OptionalText(issued.iter().map(|it| it.ip.as_deref()).collect()),
        Column::OptionalText(issued.iter().map(|it| it.user_agent.as_deref()).collect()),
        Column::Int(issued.iter().map(|it| it.position).collect()),
    ]
}

fn rotated_columns(fold: &Fold) -> [Column<'_>; 3] {
    [
        Column::Uuid(fold.rotated.keys().copied().map(Uuid::from).collect()),
        Column::Int(fold.rotated.values().map(|it| it.0.as_micros()).collect()),
        Column::Int(fold.rotated.values().map(|it| it.1.as_micros()).collect()),
    ]
}

fn moved_columns(fold: &Fold) -> [Column<'_>; 3] {
    [
        Column::Uuid(fold.moved.keys().copied().map(Uuid::from).collect()),
        Column::OptionalText(fold.moved.values().map(|it| known(&it.ip)).collect()),
        Column::OptionalText(fold.moved.values().map(|it| known(&it.user_agent)).collect()),
    ]
}

fn revoked_columns(fold: &Fold) -> [Column<'_>; 3] {
    [
        Column::Uuid(fold.revoked.keys().copied().map(Uuid::from).collect()),
        Column::Int(fold.revoked.values().map(|it| it.0.as_micros()).collect()),
        Column::Text(fold.revoked.values().map(|it| it.1.as_str()).collect()),
    ]
}

fn key_columns<'a>(fold: &'a Fold, scopes: &'a [String]) -> [Column<'a>; 7] {
    let keys = &fold.keys;
    [
        Column::Uuid(keys.iter().map(|it| it.0.into()).collect()),
        Column::Uuid(keys.iter().map(|it| it.1.user.into()).collect()),
        Column::Text(keys.iter().map(|it| it.1.name.as_str()).collect()),
        Column::Text(scopes.iter().map(String::as_str).collect()),
        Column::Int(keys.iter().map(|it| it.2.as_micros()).collect()),
        Column::OptionalInt(keys.iter().map(|it| it.1.expires_at.map(Timestamp::as_micros)).collect()),
        Column::Int(keys.iter().map(|it| it.3).collect()),
    ]
}

fn moments(of: &BTreeMap<ApiKeyId, Timestamp>) -> [Column<'_>; 2] {
    [
        Column::Uuid(of.keys().copied().map(Uuid::from).collect()),
        Column::Int(of.values().map(|at| at.as_micros()).collect()),
    ]
}

const ADD: &str = "\
    with added (position, at, kind, user_id, token_id, actor, actor_session, actor_key, outcome, reason, ip, \
                user_agent, request_id, node) as ({rows}) \
    insert into activity (position, at, kind, user_id, token_id, actor, actor_session, actor_key, outcome, reason, ip, \
                          user_agent, request_id, node) \
    select position, at, kind, user_id, token_id, actor, actor_session, actor_key, outcome, reason, ip, user_agent, \
           request_id, node from added";

const KNOW: &str = "\
    with known (id, username, email, name) as ({rows}) \
    insert into known_users (id, username, email, name) select id, username, email, name from known where true \
    on conflict (id) do update set username = excluded.username, email = excluded.email, name = excluded.name";

const ISSUE: &str = "\
    with issued (id, user_id, at, expires_at, ip, user_agent, position) as ({rows}) \
    insert into sign_ins (id, user_id, started_at, last_used_at, expires_at, ip, user_agent, position) \
    select id, user_id, at, at, expires_at, ip, user_agent, position from issued";

const ROTATE: &str = "\
    with rotated (id, at, expires_at) as ({rows}) \
    update sign_ins set last_used_at = rotated.at, expires_at = rotated.expires_at \
    from rotated where sign_ins.id = rotated.id";

const MOVE: &str = "\
    with moved (id, ip, user_agent) as ({rows}) \
    update sign_ins set ip = moved.ip, user_agent = moved.user_agent from moved where sign_ins.id = moved.id";

const REVOKE: &str = "\
    with revoked (id, at, reason) as ({rows}) \
    update sign_ins set ended_at = revoked.at, ended_reason = revoked.reason \
    from revoked where sign_ins.id = revoked.id and sign_ins.ended_at is null";

const CREATE_KEY: &str = "\
    with created (id, user_id, name, scopes, at, expires_at, position) as ({rows}) \
    insert into api_keys (id, user_id, name, scopes, created_at, expires_at, position) \
    select id, user_id, name, scopes, at, expires_at, position from created";

const ROTATE_KEY: &str = "\
    with rotated (id, at) as ({rows}) \
    update api_keys set rotated_at = rotated.at from rotated where api_keys.id = rotated.id";

const REVOKE_KEY: &str = "\
    with revoked (id, at) as ({rows}) \
    update api_keys set revoked_at = revoked.at \
    from revoked where api_keys.id = revoked.id and api_keys.revoked_at is null";
