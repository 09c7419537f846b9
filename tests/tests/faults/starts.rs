//! Starts: many nodes at once on an empty database, and before there is a database or a bus.

use futures::future::join_all;
use sqlx::{Connection, PgConnection};
use tests::{Dice, Load};

use crate::house::{House, Node, USERS};

const NODES: usize = 4;
const LISTENING: &str = "listening on http://";

#[tokio::test]
async fn nodes_start_together_on_an_empty_database() {
    let mut dice = Dice::cast();
    let house = House::postgres_nats().await;
    let mut nodes: Vec<_> = (0..NODES).map(|_| house.place()).collect();
    join_all(nodes.iter_mut().map(Node::start)).await;
    for node in &nodes {
        node.well().await;
    }
    let mut database = PgConnection::connect(house.database()).await.expect("Postgres is up");
    let sql = "select count(*), count(distinct version), bool_and(success) from _sqlx_migrations";
    let (all, distinct, done): (i64, i64, bool) =
        sqlx::query_as(sql).fetch_one(&mut database).await.expect("migrations");
    assert!(all > 0 && all == distinct && done, "{all} migrations were run, {distinct} of them distinct; all: {done}");

    let urls: Vec<_> = nodes.iter().map(Node::url).collect();
    let mut load = Load::start(&urls, USERS, &mut dice).await;
    load.more(300).await;
    let people = load.stop().await;
    for node in &mut nodes {
        house.verify(&people, node).await;
    }
}

#[tokio::test]
async fn a_start_waits_for_postgres_and_nats_and_says_so() {
    let mut house = House::postgres_nats().await;
    let mut node = house.place();
    house.postgres().kill().await;
    house.nats().kill().await;
    let mut start = node.builder.spawn(["serve"]);
    start.until("waiting for the database").await;
    house.postgres().restart().await;
    start.until("waiting for NATS").await;
    house.nats().restart().await;
    start.until(LISTENING).await;
    node.well().await;
    assert!(start.terminate().await.success());

    // And it has begun well: the next start finds what the first has made.
    node.start().await;
    let mut load = Load::start(&[node.url()], 2, &mut Dice::cast()).await;
    load.more(20).await;
    let people = load.stop().await;
    house.verify(&people, &mut node).await;
}
