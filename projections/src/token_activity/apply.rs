//! Events in: a batch is folded in memory, then written in a few statements.

use domain::ids::{TokenId, UserId};
use domain::user::UserEvent;
use domain::{Event, Metadata, Timestamp};
use store::{StoreError, Tx, on_tx};
use uuid::Uuid;

use super::Activity;
use super::describe::{Description, describe};
use super::fold::Fold;
use super::write::write;
use crate::Change;

pub(super) async fn apply(tx: &mut Tx, changes: &[Change]) -> Result<(), StoreError> {
    let mut fold = Fold::default();
    for change in changes {
        let Some(what) = describe(&change.event) else { continue };
        let metadata = change.metadata()?;
        if let Event::User(user, UserEvent::SignInsEnded { kept, reason, epoch: _ }) = &change.event {
            // It ends what began before it, and nothing that began after it.
            write(tx, std::mem::take(&mut fold)).await?;
            end_sign_ins(tx, *user, *kept, reason.as_str(), change.at).await?;
        }
        fold.take(change, &metadata);
        fold.activity.push(activity(change, what, metadata));
    }
    write(tx, fold).await
}

fn activity(change: &Change, what: Description, metadata: Metadata) -> Activity {
    Activity {
        position: change.position,
        at: change.at,
        kind: what.kind,
        user: what.user,
        username: None,
        token: what.token,
        actor: metadata.user,
        actor_session: metadata.session,
        actor_key: metadata.key,
        outcome: what.kind.outcome(),
        reason: what.reason,
        ip: metadata.ip,
        user_agent: metadata.user_agent,
        request_id: metadata.request_id,
        node: metadata.node,
    }
}

async fn end_sign_ins(
    tx: &mut Tx,
    user: UserId,
    kept: Option<TokenId>,
    reason: &str,
    at: Timestamp,
) -> Result<(), StoreError> {
    let (user, kept) = (Uuid::from(user), kept.map_or(Uuid::nil(), Uuid::from));
    let sql = "update sign_ins set ended_at = $1, ended_reason = $2 \
               where user_id = $3 and ended_at is null and id <> $4";
    on_tx!(tx, connection => {
        let query = sqlx::query(sql).bind(at.as_micros()).bind(reason).bind(user).bind(kept);
        query.execute(connection).await.map(|_| ())
    })?;
    Ok(())
}
