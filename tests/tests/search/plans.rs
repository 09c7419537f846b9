//! By which way Postgres goes: the statements that it was really asked, as it plans them.

use domain::Event;
use domain::ids::{ConversationId, UserId};
use sqlx::PgConnection;
use store::{ReadModel, fresh_id};
use tests::Stage;
use tests::plans::asked;

use crate::cast::{all, feed, page, posted, sought, started};

const MESSAGES: usize = 6_000;
const WALKED: &str = ") walked where words";
const BY_WORDS: &str = "found as materialized";

/// Two people, each with as many messages, all of which say the same.
async fn fill(model: &ReadModel) -> UserId {
    let people: [(UserId, ConversationId); 2] = std::array::from_fn(|_| (fresh_id(), fresh_id()));
    let text = |number: usize| {
        let rare = if number.is_multiple_of(1_000) { "rare" } else { "" };
        format!("common w{} w{} {rare}", number % 100, number % 7)
    };
    let rooms = people.iter().map(|(owner, room)| started(*room, *owner));
    let posts =
        (0..MESSAGES).flat_map(|number| people.map(|(owner, room)| posted(fresh_id(), room, owner, &text(number))));
    feed(model, &rooms.chain(posts).collect::<Vec<Event>>(), 2_000).await;
    people[0].0
}

async fn plan(connection: &mut PgConnection, name: &str, owner: UserId, word: &str) -> String {
    let sql = format!(
        "explain (analyze, costs off, timing off) execute {name} (0, 9000000000000000000, '{owner}', null, null, null, \
         null, null, $w${word}$w$, 2000, 4001, 1000)"
    );
    let lines: Vec<String> = sqlx::query_scalar(&sql).fetch_all(connection).await.unwrap();
    lines.join("\n")
}

/// A word as the index has it.
async fn indexed(connection: &mut PgConnection, owner: UserId, word: &str) -> String {
    let sql = format!(
        "select it from (select unnest(tsvector_to_array(words)) as it from search_messages where owner = '{owner}') _ \
         where it like '%·{word}' limit 1"
    );
    let found: String = sqlx::query_scalar(&sql).fetch_one(connection).await.unwrap();
    format!("'{found}'")
}

#[tokio::test]
async fn a_common_word_is_found_among_the_newest_and_a_rare_one_by_the_index() {
    let stage = Stage::postgres_nats().await;
    let live = stage.search().await;
    let owner = fill(&live).await;
    assert_eq!(page(&live, &sought(&all(owner), "common"), None, 10).await.hits.len(), 10);
    assert!(asked(live.db(), BY_WORDS).await.is_none(), "a common word needs no index of words");
    let (mut one, walked) = asked(live.db(), WALKED).await.unwrap();
    let word = indexed(&mut one, owner, "common").await;
    // The plan of the first time, and the one that is kept.
    for _ in 0..8 {
        let plan = plan(&mut one, &walked, owner, &word).await;
        assert!(plan.contains("Index Scan Backward using search_messages_of_owner"), "{plan}");
        assert!(
            plan.contains("(actual rows=1000 loops=1)") && !plan.contains("rows=2000"),
            "it looks no further: {plan}"
        );
        assert!(!plan.contains("Seq Scan") && !plan.contains("Sort"), "{plan}");
    }
    drop(one);
    assert_eq!(page(&live, &sought(&all(owner), "rare"), None, 10).await.hits.len(), 6);
    let (mut one, by_words) = asked(live.db(), BY_WORDS).await.unwrap();
    let word = indexed(&mut one, owner, "rare").await;
    for _ in 0..8 {
        let plan = plan(&mut one, &by_words, owner, &word).await;
        assert!(
            plan.contains("Bitmap Index Scan on search_messages_with (actual rows=6 loops=1)"),
            "the owner's alone: {plan}"
        );
        assert!(plan.contains("using search_messages_pkey") && !plan.contains("Seq Scan"), "{plan}");
    }
}
