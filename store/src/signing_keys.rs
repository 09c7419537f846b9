//! Beside the log: the keys that sign access tokens, sealed; this crate can't open them.

use domain::Timestamp;
use uuid::Uuid;

use crate::{Db, StoreError, on, on_write};

/// A key as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct SealedKey {
    pub kid: Uuid,
    pub public: Vec<u8>,
    pub sealed: Vec<u8>,
    pub made_at: i64,
}

/// All keys, the newest first.
pub async fn signing_keys(db: &Db) -> Result<Vec<SealedKey>, StoreError> {
    let sql = "select kid, public, sealed, made_at from signing_keys order by made_at desc, kid desc";
    Ok(on!(db, pool => sqlx::query_as(sql).fetch_all(pool).await)?)
}

pub async fn add_signing_key(db: &Db, key: &SealedKey) -> Result<(), StoreError> {
    let sql = "insert into signing_keys (kid, public, sealed, made_at) values ($1, $2, $3, $4)";
    on_write!(db, pool => {
        sqlx::query(sql).bind(key.kid).bind(&key.public).bind(&key.sealed).bind(key.made_at).execute(pool).await.map(|_| ())
    })?;
    Ok(())
}

/// Drops the keys that had a newer one already before a moment.
pub async fn drop_signing_keys(db: &Db, before: Timestamp) -> Result<(), StoreError> {
    let sql = "delete from signing_keys where exists (select 1 from signing_keys newer \
                   where newer.made_at > signing_keys.made_at and newer.made_at < $1)";
    let before = before.as_micros();
    on_write!(db, pool => sqlx::query(sql).bind(before).execute(pool).await.map(|_| ()))?;
    Ok(())
}
