//! A rebuild under load is killed at any moment: queries are answered all through it, and nothing is left of it.

use tests::{Dice, Load};

use crate::house::{House, USERS};

/// What a rebuild says at its end.
const DONE: &str = "history is rebuilt";
const KILLED: usize = 10;
const FINISHED: usize = 3;

mod sqlite {
    use super::{House, rebuilds_are_killed};

    #[tokio::test]
    async fn rebuilds_are_killed_under_load() {
        rebuilds_are_killed(House::sqlite()).await;
    }
}

mod postgres_nats {
    use super::{House, rebuilds_are_killed};

    #[tokio::test]
    async fn rebuilds_are_killed_under_load() {
        rebuilds_are_killed(House::postgres_nats().await).await;
    }
}

async fn rebuilds_are_killed(house: House) {
    let mut dice = Dice::cast();
    let mut node = house.node().await;
    let mut load = Load::start(&[node.url()], USERS, &mut dice).await;
    load.more(700).await;
    // How long a whole one takes, as posts; so that the kills are spread over all of it.
    let before = load.tally().acknowledged;
    node.builder.spawn(["rebuild", "history"]).until(DONE).await;
    let whole = load.tally().acknowledged - before;

    let mut killed = 0;
    for _ in 0..KILLED {
        let mut rebuild = node.builder.spawn(["rebuild", "history"]);
        load.more(dice.below(whole + 1)).await;
        rebuild.kill().await;
        killed += usize::from(!rebuild.logs().contains(DONE));
    }
    assert!(killed > 0, "each was rebuilt in less time than the first");
    for _ in 0..FINISHED {
        let (before, live) = (load.tally(), house.tables.live());
        node.builder.spawn(["rebuild", "history"]).until(DONE).await;
        assert_eq!(house.tables.beside(&live).await, [""; 0], "killed rebuilds have left something");
        load.until("histories after it", |tally| tally.whole >= before.whole + 4).await;
    }
    let tally = load.tally();
    assert_eq!((tally.refused, tally.broken), (0, 0), "posts have nothing to do with rebuilds");
    let people = load.stop().await;
    house.verify(&people, &mut node).await;
}
