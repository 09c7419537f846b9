//! Which messages are there, and have no vector of a model.

use std::collections::HashSet;

use domain::ids::MessageId;
use store::{Db, StoreError, on};
use uuid::Uuid;

use super::MODEL;

/// How many messages are asked for in one statement.
const AT_ONCE: usize = 64;

/// Those of some messages that are there and have no vector of a model.
pub async fn lacking(db: &Db, model: &str, among: &[MessageId]) -> Result<HashSet<MessageId>, StoreError> {
    let mut all = HashSet::with_capacity(among.len());
    for some in among.chunks(AT_ONCE) {
        let holes: Vec<String> = (3..some.len() + 3).map(|number| format!("${number}")).collect();
        // The built-in model's rows are there for all messages.
        let sql = format!(
            "select message from vectors where model = $1 and message in ({}) and not exists \
             (select 1 from vectors given where given.message = vectors.message and given.model = $2)",
            holes.join(", ")
        );
        let found: Vec<Uuid> = on!(db, pool => {
            let query = sqlx::query_scalar(&sql).bind(MODEL).bind(model);
            some.iter().map(|id| Uuid::from(*id)).fold(query, sqlx::query::QueryScalar::bind).fetch_all(pool).await
        })?;
        all.extend(found.into_iter().map(MessageId::from));
    }
    Ok(all)
}
