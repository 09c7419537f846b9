//! Questions out: somebody's sign-ins and keys.

use domain::Timestamp;
use domain::ids::UserId;
use sqlx::FromRow;
use store::{Db, StoreError, on};
use uuid::Uuid;

use super::{Key, SignIn};

/// Nobody looks through more devices or keys than that at once.
const MOST: i64 = 1_000;

/// Where somebody is signed in now, the newest sign-in first.
pub async fn sign_ins_of(db: &Db, user: UserId, now: Timestamp) -> Result<Vec<SignIn>, StoreError> {
    let sql = "select id, user_id, started_at, last_used_at, expires_at, ip, user_agent from sign_ins \
               where user_id = $1 and ended_at is null and expires_at > $2 order by position desc limit $3";
    let user = Uuid::from(user);
    let rows: Vec<SignInRow> = on!(db, pool => {
        sqlx::query_as(sql).bind(user).bind(now.as_micros()).bind(MOST).fetch_all(pool).await
    })?;
    Ok(rows.into_iter().map(SignIn::from).collect())
}

/// Somebody's keys: first those that are not revoked, then the others; of each the newest first.
pub async fn keys_of(db: &Db, user: UserId) -> Result<Vec<Key>, StoreError> {
    let sql = "select id, user_id, name, scopes, created_at, expires_at, rotated_at, revoked_at from api_keys \
               where user_id = $1 order by revoked_at is not null, position desc limit $2";
    let user = Uuid::from(user);
    let rows: Vec<KeyRow> = on!(db, pool => sqlx::query_as(sql).bind(user).bind(MOST).fetch_all(pool).await)?;
    Ok(rows.into_iter().map(Key::from).collect())
}

#[derive(FromRow)]
struct SignInRow {
    id: Uuid,
    user_id: Uuid,
    started_at: i64,
    last_used_at: i64,
    expires_at: i64,
    ip: Option<String>,
    user_agent: Option<String>,
}

impl From<SignInRow> for SignIn {
    fn from(row: SignInRow) -> Self {
        Self {
            id: row.id.into(),
            user: row.user_id.into(),
            started_at: Timestamp::from_micros(row.started_at),
            last_used_at: Timestamp::from_micros(row.last_used_at),
            expires_at: Timestamp::from_micros(row.expires_at),
            ip: row.ip,
            user_agent: row.user_agent,
        }
    }
}

#[derive(FromRow)]
struct KeyRow {
    id: Uuid,
    user_id: Uuid,
    name: String,
    scopes: String,
    created_at: i64,
    expires_at: Option<i64>,
    rotated_at: Option<i64>,
    revoked_at: Option<i64>,
}

impl From<KeyRow> for Key {
    fn from(row: KeyRow) -> Self {
        Self {
            id: row.id.into(),
            user: row.user_id.into(),
            name: row.name,
            scopes: row.scopes,
            created_at: Timestamp::from_micros(row.created_at),
            expires_at: row.expires_at.map(Timestamp::from_micros),
            rotated_at: row.rotated_at.map(Timestamp::from_micros),
            revoked_at: row.revoked_at.map(Timestamp::from_micros),
        }
    }
}
