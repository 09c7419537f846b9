//! Postgres crashes and comes back, or its answers are lost: who asks meanwhile is told to come again, and the node recovers
//! by itself.

use reqwest::{Client, StatusCode};
use serde_json::json;
use tests::{Dice, Load, People, Wire};

use crate::house::{House, Node, USERS, eventually};

#[tokio::test]
async fn postgres_is_away_for_a_while() {
    let mut dice = Dice::cast();
    let mut house = House::postgres_nats().await;
    let mut node = house.node().await;
    let mut load = Load::start(&[node.url()], USERS, &mut dice).await;
    for refused in [USERS, 1] {
        load.more(dice.between(100, 200)).await;
        house.postgres().kill().await;
        let before = load.tally().refused;
        load.until("posts are refused", |tally| tally.refused >= before + refused).await;
        let ((ready, _), login) = tokio::join!(node.ready(), login(&node));
        assert_eq!((ready, login), (StatusCode::SERVICE_UNAVAILABLE, StatusCode::SERVICE_UNAVAILABLE));
        house.postgres().restart().await;
        load.more(100).await;
        node.well().await;
    }
    assert_eq!(load.tally().broken, 0, "no connection needs to break");
    assert!(node.process().child().is_running());
    let people = load.stop().await;
    house.verify(&people, &mut node).await;
}

/// What somebody is told who wants to sign in.
async fn login(node: &Node) -> StatusCode {
    let body = json!({"email": "user-0@example.com", "password": "Passw0rd!"});
    let answer = Client::new().post(format!("{}/api/v1/users/login", node.url())).json(&body).send().await;
    let answer = answer.expect("an answer");
    assert!(answer.headers().contains_key("retry-after"), "{answer:?}");
    answer.status()
}

#[tokio::test]
async fn postgres_crashes_and_is_back_at_once() {
    let mut dice = Dice::cast();
    let mut house = House::postgres_nats().await;
    let mut node = house.node().await;
    let mut load = Load::start(&[node.url()], USERS, &mut dice).await;
    for _ in 0..6 {
        load.more(dice.between(1, 100)).await;
        house.postgres().kill().await;
        house.postgres().restart().await;
    }
    load.more(100).await;
    node.well().await;
    assert_eq!(load.tally().broken, 0, "no connection needs to break");
    assert!(node.process().child().is_running());
    let people = load.stop().await;
    house.verify(&people, &mut node).await;
}

/// The read model does not go back in a crash: neither would the position go back to which the node remembers it to be.
#[tokio::test]
async fn what_was_seen_is_seen_again_after_a_crash() {
    let mut dice = Dice::cast();
    let mut house = House::postgres_nats().await;
    let mut node = house.node().await;
    let people = People::register(&[node.url()], 1).await;
    let user = people.0.first().expect("one user");
    for _ in 0..4 {
        eventually("a post", async || user.post(&mut dice).await.ok()).await;
        user.up_to_date(&node.url(), None).await;
        house.postgres().kill().await;
        house.postgres().restart().await;
        let seen = eventually("an answer", async || user.look_back(&mut dice).await.ok()).await;
        assert!(seen.behind || !seen.shown.is_empty());
    }
    house.verify(&people, &mut node).await;
}

/// What was asked of Postgres is done, and the node does not hear of it: it must look before it repeats.
#[tokio::test]
async fn answers_of_postgres_are_lost() {
    let mut dice = Dice::cast();
    let house = House::postgres_nats().await;
    let mut node = house.place();
    let wire = Wire::to(house.postgres_address()).await;
    node.builder = node.builder.clone().env("DATABASE_URL", house.database_at(wire.address()));
    node.start().await;
    let mut load = Load::start(&[node.url()], USERS, &mut dice).await;
    let mut lost = 0;
    for _ in 0..40 {
        load.more(dice.between(5, 40)).await;
        lost += wire.lose_answers(&mut dice);
    }
    assert!(lost >= 40, "only {lost} connections were broken");
    load.more(100).await;
    assert_eq!(load.tally().broken, 0, "no connection to the node needs to break");
    assert!(node.process().logs().contains("the outcome is unknown"), "no append has lost its answer");
    let people = load.stop().await;
    house.verify(&people, &mut node).await;
}
