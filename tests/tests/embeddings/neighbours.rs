//! A provider's vectors on Postgres, among so many that their graph of neighbours is walked.

use domain::Event;
use domain::ids::{ConversationId, MessageId, UserId};
use projections::embeddings::{Near, Nearest, nearest, unit};
use projections::search::Among;
use store::{Db, PostgresDb, ReadModel, fresh_id};
use tests::{Dice, Stage};

use crate::cast::{all, embedded, feed, posted, started};

const MODEL: &str = "mine/embed";
const NUMBERS: usize = 96;
const TOPICS: usize = 40;
const MANY: usize = 4_000;
const ASKED: u8 = 20;

/// What models give: vectors that stand together by topic.
struct Topics(Dice, Vec<Vec<f32>>);

impl Topics {
    fn new(mut dice: Dice) -> Self {
        let topics = (0..TOPICS).map(|_| noise(&mut dice)).collect();
        Self(dice, topics)
    }

    fn vector(&mut self) -> Vec<f32> {
        let topic = self.0.below(TOPICS);
        let noise = noise(&mut self.0);
        unit(&self.1[topic].iter().zip(noise).map(|(topic, noise)| topic + noise * 0.7).collect::<Vec<_>>()).unwrap()
    }
}

fn noise(dice: &mut Dice) -> Vec<f32> {
    let number = |dice: &mut Dice| f32::from(u16::try_from(dice.between(1, 2_001)).unwrap()) / 1_000.0 - 1.0;
    (0..NUMBERS).map(|_| number(dice)).collect()
}

/// As many messages of somebody, each with a vector.
async fn fill(model: &ReadModel, topics: &mut Topics, count: usize) -> (UserId, Vec<(MessageId, Vec<f32>)>) {
    let (owner, room) = (fresh_id::<UserId>(), fresh_id::<ConversationId>());
    let all: Vec<(MessageId, Vec<f32>)> = (0..count).map(|_| (fresh_id(), topics.vector())).collect();
    let said = all
        .iter()
        .flat_map(|(message, vector)| [posted(*message, room, owner, "?"), embedded(*message, owner, MODEL, vector)]);
    let events: Vec<Event> = [started(room, owner, false)].into_iter().chain(said).collect();
    feed(model, &events, 2_000).await;
    (owner, all)
}

async fn found(model: &ReadModel, among: &Among, vector: &[f32], limit: u32) -> Vec<Near> {
    nearest(model.db(), &Nearest { among, model: MODEL, vector, limit }).await.unwrap()
}

/// Which share of the nearest there really are among those that were found.
fn recall(found: &[Near], of: &[(MessageId, Vec<f32>)], to: &[f32]) -> f64 {
    let near = |vector: &[f32]| -> f32 { vector.iter().zip(to).map(|(one, other)| one * other).sum() };
    let mut exact: Vec<(f32, MessageId)> = of.iter().map(|(message, vector)| (near(vector), *message)).collect();
    exact.sort_by(|one, other| other.0.total_cmp(&one.0));
    let there = exact.iter().take(found.len()).filter(|(_, message)| found.iter().any(|it| it.message == *message));
    f64::from(u32::try_from(there.count()).unwrap()) / f64::from(u32::try_from(found.len()).unwrap())
}

/// Says something on every connection that the pool may have.
async fn on_all(postgres: &PostgresDb, sql: &str) {
    let mut all = Vec::new();
    for _ in 0..postgres.pool.options().get_max_connections() {
        let mut connection = postgres.pool.acquire().await.unwrap();
        sqlx::query(sql).execute(&mut *connection).await.unwrap();
        all.push(connection);
    }
}

/// Has Postgres walk wherever it can, as it does by itself where somebody has very many.
async fn prefer_the_graph(postgres: &PostgresDb) {
    on_all(postgres, "set enable_sort = off").await;
}

async fn walks(postgres: &PostgresDb) -> i64 {
    // Each tells what it counted now and then, else.
    on_all(postgres, "select pg_stat_force_next_flush()").await;
    let sql = "select pg_stat_get_numscans('vector_neighbours'::regclass)";
    sqlx::query_scalar(sql).fetch_one(&postgres.pool).await.unwrap()
}

#[tokio::test]
async fn neighbours_lead_to_the_nearest_of_whoever_asks() {
    let stage = Stage::postgres_nats().await;
    let live = stage.embeddings().await;
    let Db::Postgres(postgres) = live.db() else { panic!("there are no neighbours elsewhere") };
    let mut topics = Topics::new(Dice::cast());
    let (ann, anns) = fill(&live, &mut topics, MANY).await;
    let (bob, bobs) = fill(&live, &mut topics, MANY / 20).await;
    let (carol, _) = fill(&live, &mut topics, 1).await;
    prefer_the_graph(postgres).await;
    let (mut of_ann, mut of_bob) = (0.0, 0.0);
    for _ in 0..ASKED {
        let to = topics.vector();
        let (near_ann, near_bob) = (found(&live, &all(ann), &to, 10).await, found(&live, &all(bob), &to, 10).await);
        assert!(near_ann.is_sorted_by(|one, other| one.distance <= other.distance));
        assert_eq!((near_ann.len(), near_bob.len()), (10, 10));
        (of_ann, of_bob) = (of_ann + recall(&near_ann, &anns, &to), of_bob + recall(&near_bob, &bobs, &to));
        assert_eq!(found(&live, &all(carol), &to, 10).await.len(), 1, "all that there is");
    }
    let asked = f64::from(ASKED);
    assert!(of_ann / asked >= 0.95 && of_bob / asked >= 0.95, "{} {}", of_ann / asked, of_bob / asked);
    assert!(walks(postgres).await >= i64::from(ASKED), "the graph was not asked");
}
