//! Nodes are killed: the only one, again and again; and of two the one that leads.

use sqlx::{Connection, PgConnection};
use tests::{Dice, Load};

use crate::house::{House, Node, USERS, projections};

/// What a node says when its relay begins to lead.
const RELAYS: &str = "this node relays";

mod sqlite {
    use super::{House, killed_again_and_again};

    #[tokio::test]
    async fn a_node_is_killed_again_and_again() {
        killed_again_and_again(House::sqlite()).await;
    }
}

mod postgres_nats {
    use super::{House, killed_again_and_again};

    #[tokio::test]
    async fn a_node_is_killed_again_and_again() {
        killed_again_and_again(House::postgres_nats().await).await;
    }
}

async fn killed_again_and_again(house: House) {
    let mut dice = Dice::cast();
    let mut node = house.node().await;
    let mut load = Load::start(&[node.url()], USERS, &mut dice).await;
    for _ in 0..10 {
        load.more(dice.between(1, 150)).await;
        node.kill().await;
        node.start().await;
    }
    load.more(100).await;
    assert!(load.tally().broken > 0, "no kill has broken a request");
    assert!(load.tally().whole > 0, "nobody has looked back");
    let people = load.stop().await;
    house.verify(&people, &mut node).await;
}

#[tokio::test]
async fn of_two_nodes_the_leader_is_killed() {
    let mut dice = Dice::cast();
    let house = House::postgres_nats().await;
    let mut nodes = [house.node().await, house.place()];
    nodes[0].process().child().until(RELAYS).await;
    nodes[1].start().await;
    let urls: Vec<_> = nodes.iter().map(Node::url).collect();
    let mut load = Load::start(&urls, USERS, &mut dice).await;
    for round in 0..4 {
        let [leader, other] = leader_first(&mut nodes, round);
        load.more(dice.between(50, 150)).await;
        leader.kill().await;
        other.process().child().until(RELAYS).await;
        load.more(dice.between(50, 150)).await;
        let head = other.ready().await.1["head"].as_u64().expect("the log's head");
        other.until_ready_is("the other node projects", |_, body| has(body, head)).await;
        leader.start().await;
    }
    for node in &mut nodes {
        node.kill().await;
    }
    for node in &mut nodes {
        node.start().await;
    }
    load.more(100).await;
    let people = load.stop().await;
    for node in &mut nodes {
        house.verify(&people, node).await;
    }
}

fn leader_first(nodes: &mut [Node; 2], round: usize) -> [&mut Node; 2] {
    let [one, two] = nodes;
    if round.is_multiple_of(2) { [one, two] } else { [two, one] }
}

/// Whether the read models are as far as the log was once.
fn has(ready: &serde_json::Value, head: u64) -> bool {
    projections(ready).iter().all(|it| it["position"].as_u64().is_some_and(|position| position >= head))
}

/// The leader lives, and believes that it leads, while the other has its lease already.
#[tokio::test]
async fn of_two_nodes_the_leader_loses_its_connections() {
    let mut dice = Dice::cast();
    let house = House::postgres_nats().await;
    let mut nodes = [house.node().await, house.node().await];
    let urls: Vec<_> = nodes.iter().map(Node::url).collect();
    let mut load = Load::start(&urls, USERS, &mut dice).await;
    let mut database = PgConnection::connect(house.database()).await.expect("Postgres is up");
    let mut cut = 0_i64;
    for _ in 0..10 {
        load.more(dice.between(30, 100)).await;
        let sql = "select count(pg_terminate_backend(pid)) from (select distinct pid from pg_locks \
                   where locktype = 'advisory' and granted and pid <> pg_backend_pid()) holders";
        cut += sqlx::query_scalar::<_, i64>(sql).fetch_one(&mut database).await.expect("an answer");
    }
    assert!(cut >= 10, "only {cut} connections were cut");
    load.more(100).await;
    let people = load.stop().await;
    for node in &mut nodes {
        house.verify(&people, node).await;
    }
}
