//! Beside the log: the states of limits. What is admitted is decided in one transaction, so that all nodes decide as one.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use domain::Timestamp;
use tokio::sync::Semaphore;

use crate::{Db, StoreError, Tx, on, on_tx, on_write};

/// The limits of one database. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Limits {
    db: Db,
    decisions: Arc<AtomicU32>,
    turns: Arc<Semaphore>,
}

/// A limit's state as it is kept, and from when on it need not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    pub state: String,
    pub expires_at: Timestamp,
}

/// So many decisions of a process go on at once: those that wait for each other hold no connection that others need.
const AT_ONCE: usize = 2;
/// After so many decisions of a process that may have kept something it forgets what has expired.
const DECISIONS: u32 = 256;
/// So many rows at once, so that nobody waits for it long.
const FORGOTTEN: i64 = 1_000;

impl Limits {
    #[must_use]
    pub fn new(db: Db) -> Self {
        Self { db, decisions: Arc::default(), turns: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// Decides on the states of some limits, in the order of `keys`; one that was never kept is an empty text. What comes
    /// back is kept; nothing changes where it is an error. `keys` are distinct.
    ///
    /// Who is refused on what anybody may read costs no lock and no write; who would be admitted is decided on once more,
    /// while nobody else is.
    pub async fn decide<T, E>(
        &self,
        keys: &[&str],
        now: Timestamp,
        decide: impl Fn(&[String]) -> Result<(T, Vec<Kept>), E> + Send,
    ) -> Result<Result<T, E>, StoreError>
    where
        T: Send,
        E: Send,
    {
        if let Err(refused) = decide(&self.read(keys).await?) {
            return Ok(Err(refused));
        }
        let _turn = self.turns.acquire().await.map_err(|_| StoreError::Closed)?;
        let mut tx = begin(&self.db).await?;
        let states = lock(&mut tx, keys).await?;
        let decided = match decide(&states) {
            Ok((decided, all)) => {
                for (key, kept) in keys.iter().zip(&all) {
                    keep(&mut tx, key, kept).await?;
                }
                tx.commit().await?;
                Ok(decided)
            }
            // And with it the rows that were made to be locked.
            Err(refused) => {
                roll_back(tx).await?;
                Err(refused)
            }
        };
        self.forget_now_and_then(now).await?;
        Ok(decided)
    }

    /// The states as they are now; a moment later they may be others.
    async fn read(&self, keys: &[&str]) -> Result<Vec<String>, StoreError> {
        let places: Vec<String> = (1..=keys.len()).map(|number| format!("${number}")).collect();
        let sql = format!("select key, state from limits where key in ({})", places.join(", "));
        let mut kept: HashMap<String, String> = on!(&self.db, pool => {
            let query = keys.iter().fold(sqlx::query_as(&sql), |query, key| query.bind(*key));
            query.fetch_all(pool).await
        })?
        .into_iter()
        .collect();
        Ok(keys.iter().map(|key| kept.remove(*key).unwrap_or_default()).collect())
    }

    /// A limit starts anew, and an address counts as known for a while.
    pub async fn clear(
        &self,
        key: &str,
        identifier: &str,
        address: Option<&str>,
        until: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = begin(&self.db).await?;
        on_tx!(&mut tx, connection => {
            sqlx::query("delete from limits where key = $1").bind(key).execute(connection).await.map(|_| ())
        })?;
        if let Some(address) = address {
            let sql = "insert into known_addresses (identifier, address, expires_at) values ($1, $2, $3) \
                       on conflict (identifier, address) do update set expires_at = excluded.expires_at";
            let until = until.as_micros();
            on_tx!(&mut tx, connection => {
                sqlx::query(sql).bind(identifier).bind(address).bind(until).execute(connection).await.map(|_| ())
            })?;
        }
        tx.commit().await
    }

    /// Whether somebody has signed in from this address lately.
    pub async fn knows(&self, identifier: &str, address: &str, now: Timestamp) -> Result<bool, StoreError> {
        let sql = "select exists (select 1 from known_addresses \
                                  where identifier = $1 and address = $2 and expires_at > $3)";
        Ok(on!(&self.db, pool => {
            sqlx::query_scalar(sql).bind(identifier).bind(address).bind(now.as_micros()).fetch_one(pool).await
        })?)
    }

    async fn forget_now_and_then(&self, now: Timestamp) -> Result<(), StoreError> {
        let due = self.decisions.fetch_add(1, Ordering::Relaxed) % DECISIONS == DECISIONS - 1;
        if due { self.forget(now).await } else { Ok(()) }
    }

    /// Forgets what has expired.
    pub async fn forget(&self, now: Timestamp) -> Result<(), StoreError> {
        // On Postgres a row that somebody decides on is left alone: nobody waits for this, nor this for anybody.
        let skip = match &self.db {
            Db::Sqlite(_) => "",
            Db::Postgres(_) => "for update skip locked",
        };
        let expired = |key: &str, table: &str| {
            format!(
                "delete from {table} where ({key}) in \
                 (select {key} from {table} where expires_at <= $1 order by expires_at limit $2 {skip})"
            )
        };
        for sql in [expired("key", "limits"), expired("identifier, address", "known_addresses")] {
            on_write!(&self.db, pool => {
                sqlx::query(&sql).bind(now.as_micros()).bind(FORGOTTEN).execute(pool).await.map(|_| ())
            })?;
        }
        Ok(())
    }
}

async fn begin(db: &Db) -> Result<Tx, StoreError> {
    Ok(match db {
        Db::Sqlite(file) => Tx::Sqlite(file.begin().await?),
        Db::Postgres(postgres) => Tx::Postgres(postgres.begin().await?),
    })
}

async fn roll_back(tx: Tx) -> Result<(), StoreError> {
    match tx {
        Tx::Sqlite(tx) => tx.rollback().await?,
        Tx::Postgres(tx) => tx.rollback().await?,
    }
    Ok(())
}

/// Reads states so that nobody else decides on them meanwhile. Everybody locks in the order of the keys, so that no two
/// wait for each other.
async fn lock(tx: &mut Tx, keys: &[&str]) -> Result<Vec<String>, StoreError> {
    let sql = "insert into limits (key, state, expires_at) values ($1, '', 0) \
               on conflict (key) do update set state = limits.state returning state";
    let mut order: Vec<usize> = (0..keys.len()).collect();
    order.sort_by_key(|at| keys.get(*at));
    let mut states = vec![String::new(); keys.len()];
    for at in order {
        if let (Some(key), Some(state)) = (keys.get(at), states.get_mut(at)) {
            *state = on_tx!(tx, connection => sqlx::query_scalar(sql).bind(*key).fetch_one(connection).await)?;
        }
    }
    Ok(states)
}

async fn keep(tx: &mut Tx, key: &str, kept: &Kept) -> Result<(), StoreError> {
    let sql = "update limits set state = $2, expires_at = $3 where key = $1";
    let end = kept.expires_at.as_micros();
    on_tx!(tx, connection => {
        sqlx::query(sql).bind(key).bind(&kept.state).bind(end).execute(connection).await.map(|_| ())
    })?;
    Ok(())
}
