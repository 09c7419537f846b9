//! Beside the log: the sealed successors of refresh tokens, while somebody may still ask for them again.

use domain::Timestamp;
use domain::ids::{TokenId, UserId};
use uuid::Uuid;

use crate::{Db, StoreError, on, on_write};

/// The sealed successors of one database. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Successors(Db);

/// What is known of a generation beside its stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Successor {
    pub sealed: Option<Vec<u8>>,
    /// When an access token of this generation was first seen by any node.
    pub seen: Option<Timestamp>,
}

/// Whose sign-in it is, and of which epoch of their account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    pub user: UserId,
    pub epoch: u32,
}

impl Successors {
    #[must_use]
    pub const fn new(db: Db) -> Self {
        Self(db)
    }

    /// Keeps a sealed successor, unless there is one: whoever asks, there is one for each generation.
    pub async fn settle(
        &self,
        family: TokenId,
        generation: u32,
        owner: Owner,
        sealed: &[u8],
        now: Timestamp,
    ) -> Result<Vec<u8>, StoreError> {
        let sql = "insert into refresh_successors (family, generation, sealed, made_at, owner, epoch) \
                   values ($1, $2, $3, $4, $5, $6) \
                   on conflict (family, generation) do update set made_at = excluded.made_at, \
                       sealed = coalesce(refresh_successors.sealed, excluded.sealed) \
                   returning sealed";
        let (family, user, epoch) = (Uuid::from(family), Uuid::from(owner.user), i64::from(owner.epoch));
        let (generation, now) = (i64::from(generation), now.as_micros());
        Ok(on_write!(&self.0, pool => {
            let query = sqlx::query_scalar(sql).bind(family).bind(generation).bind(sealed).bind(now);
            query.bind(user).bind(epoch).fetch_one(pool).await
        })?)
    }

    /// Puts a sealed successor in the place of one that nobody can open; whether it was still that one.
    pub async fn replace(
        &self,
        family: TokenId,
        generation: u32,
        old: &[u8],
        sealed: &[u8],
    ) -> Result<bool, StoreError> {
        let sql = "update refresh_successors set sealed = $4 where family = $1 and generation = $2 and sealed = $3";
        let (family, generation) = (Uuid::from(family), i64::from(generation));
        let replaced = on_write!(&self.0, pool => {
            let query = sqlx::query(sql).bind(family).bind(generation).bind(old).bind(sealed);
            query.execute(pool).await.map(|done| done.rows_affected())
        })?;
        Ok(replaced > 0)
    }

    pub async fn of(&self, family: TokenId, generation: u32) -> Result<Successor, StoreError> {
        let sql = "select sealed, seen_at from refresh_successors where family = $1 and generation = $2";
        let (family, generation) = (Uuid::from(family), i64::from(generation));
        let row: Option<(Option<Vec<u8>>, Option<i64>)> = on!(&self.0, pool => {
            sqlx::query_as(sql).bind(family).bind(generation).fetch_optional(pool).await
        })?;
        Ok(row
            .map(|(sealed, seen_at)| Successor { sealed, seen: seen_at.map(Timestamp::from_micros) })
            .unwrap_or_default())
    }

    /// Notes that an access token of a generation was used: its owner has received the answer.
    pub async fn note_seen(&self, family: TokenId, generation: u32, now: Timestamp) -> Result<(), StoreError> {
        let sql =
            "update refresh_successors set seen_at = $3 where family = $1 and generation = $2 and seen_at is null";
        let (family, generation, now) = (Uuid::from(family), i64::from(generation), now.as_micros());
        on_write!(&self.0, pool => {
            sqlx::query(sql).bind(family).bind(generation).bind(now).execute(pool).await.map(|_| ())
        })?;
        Ok(())
    }

    /// Forgets all successors of a sign-in that has ended.
    pub async fn forget(&self, family: TokenId) -> Result<(), StoreError> {
        let sql = "delete from refresh_successors where family = $1";
        let family = Uuid::from(family);
        on_write!(&self.0, pool => sqlx::query(sql).bind(family).execute(pool).await.map(|_| ()))?;
        Ok(())
    }

    /// Forgets the successors of somebody's sign-ins of earlier epochs, but those of the one that goes on.
    pub async fn forget_older(&self, user: UserId, epoch: u32, kept: Option<TokenId>) -> Result<(), StoreError> {
        let sql = "delete from refresh_successors where owner = $1 and epoch < $2 and family <> $3";
        let (user, kept) = (Uuid::from(user), kept.map(Uuid::from).unwrap_or_default());
        on_write!(&self.0, pool => {
            sqlx::query(sql).bind(user).bind(i64::from(epoch)).bind(kept).execute(pool).await.map(|_| ())
        })?;
        Ok(())
    }

    /// Forgets what nobody may ask for any more: what was made before `lost`, and of what was made before `leeway` the
    /// secrets that were first used before it, too, or replaced by others.
    pub async fn sweep(&self, leeway: Timestamp, lost: Timestamp) -> Result<(), StoreError> {
        let used = "update refresh_successors set sealed = null where made_at < $1 and sealed is not null and \
                    (seen_at < $1 or exists (select 1 from refresh_successors later \
                        where later.family = refresh_successors.family \
                        and later.generation > refresh_successors.generation))";
        let old = "delete from refresh_successors where made_at < $1";
        for (sql, before) in [(used, leeway.as_micros()), (old, lost.as_micros())] {
            on_write!(&self.0, pool => sqlx::query(sql).bind(before).execute(pool).await.map(|_| ()))?;
        }
        Ok(())
    }
}
