//! By which way Postgres goes to a branch beside which very much is hidden: what is hidden is never looked at.

use domain::Event;
use domain::chat::message::MessageEvent;
use domain::chat::place::{After, Speaker};
use domain::ids::{ConversationId, MessageId, UserId};
use projections::History;
use projections::history::{self, Cursor, HistoryQuery, Scope};
use sqlx::PgConnection;
use store::fresh_id;
use tests::Stage;
use tests::events::{feed, posted, started};
use tests::plans::asked;

const HIDDEN: usize = 4_000;

/// How a statement goes that was asked, the first time and the times after.
async fn plans(connection: &mut PgConnection, name: &str, values: &str) -> Vec<String> {
    let sql = format!("explain (analyze, costs off, timing off) execute {name} ({values})");
    let mut all = Vec::new();
    for _ in 0..8 {
        let lines: Vec<String> = sqlx::query_scalar(&sql).fetch_all(&mut *connection).await.unwrap();
        all.push(lines.join("\n"));
    }
    all
}

fn passes_by(plan: &str) -> bool {
    plan.contains("Index Cond") && !plan.contains("Rows Removed by Filter") && !plan.contains(&format!("rows={HIDDEN}"))
}

#[tokio::test]
async fn what_is_hidden_is_passed_by() {
    let stage = Stage::postgres_nats().await;
    let live = stage.history().await;
    let (owner, room): (UserId, ConversationId) = (fresh_id(), fresh_id());
    let ids: Vec<MessageId> = (0..HIDDEN).map(|_| fresh_id()).collect();
    let first = std::iter::once(started(room, owner, false));
    let events: Vec<Event> = first.chain(ids.iter().map(|id| posted(*id, room, owner, "hidden"))).collect();
    feed::<History>(&live, &events, 1_000).await;
    // Anew from the beginning, twice: the second time little is to be hidden.
    for _ in 0..2 {
        let (body, speaker, after) = ("shown".to_owned().try_into().unwrap(), Speaker::User, After::Nothing);
        let anew = MessageEvent::MessagePosted { conversation: room, owner, body, speaker, after };
        feed::<History>(&live, &[Event::Message(fresh_id(), anew)], 1).await;
    }
    let query = HistoryQuery { owner, scope: Scope::Branch(room), cursor: Cursor::Newest, skip: 0, limit: 20 };
    let page = history::page(live.db(), query).await.unwrap().unwrap();
    assert_eq!(page.messages.len(), 1);
    let all = history::page(live.db(), HistoryQuery { scope: Scope::Conversation(room), ..query }).await.unwrap();
    history::siblings(live.db(), &all.unwrap().messages).await.unwrap();

    let (mut one, branch) = asked(live.db(), "shown = 1 and position < ").await.unwrap();
    for plan in plans(&mut one, &branch, &format!("'{room}', 9000000000000000000, 21, 0")).await {
        assert!(passes_by(&plan), "{plan}");
    }
    drop(one);
    let (mut one, hide) = asked(live.db(), "set shown = 0").await.unwrap();
    for plan in plans(&mut one, &hide, &format!("'{room}', 0")).await {
        assert!(passes_by(&plan), "{plan}");
    }
    drop(one);
    let (mut one, siblings) = asked(live.db(), "parent in (").await.unwrap();
    let count = "select array_length(parameter_types, 1) from pg_prepared_statements where name = $1";
    let count: i32 = sqlx::query_scalar(count).bind(&siblings).fetch_one(&mut *one).await.unwrap();
    let parents = ids.iter().rev().take(usize::try_from(count).unwrap() - 1).map(|id| format!(", '{id}'"));
    for plan in plans(&mut one, &siblings, &format!("'{room}'{}", parents.collect::<String>())).await {
        assert!(!plan.contains("messages_of_conversation"), "{plan}");
    }
}
