//! The law of the sliding window, over several nodes whose clock is one: against a list of all that was ever admitted.

use domain::Timestamp;
use domain::limit::{Rate, Window};
use futures::future::join_all;
use store::Clock;
use store::StoreError;
use store::limits::{Limits, States};
use tests::{Dice, Stage, on_both_engines};

const MOST: usize = 10;
const NODES: usize = 3;
const BEGINNING: Timestamp = Timestamp::from_micros(1_767_225_600_000_000);

/// When it was admitted.
fn admit(states: &mut States<'_>) -> Result<Timestamp, Timestamp> {
    let (rate, now): (Rate, _) = (format!("{MOST}/minute").parse().unwrap(), states.now());
    let mut window: Window = states.get(0);
    window.admit(now, rate)?;
    let end = window.expires_at(rate);
    states.keep(0, window, end);
    Ok(now)
}

on_both_engines! {
    async fn never_more_in_any_minute_and_never_a_refusal_while_there_were_fewer(stage: Stage) {
        let clock = Clock::manual(BEGINNING);
        let nodes = stage.limits_of_nodes(NODES, &clock).await;
        let (mut dice, mut admitted) = (Dice::cast(), Vec::<Timestamp>::new());
        for _ in 0..120 {
            clock.advance(i64::try_from(dice.below(25)).unwrap());
            let now = clock.now();
            let asked = dice.below(2 * MOST);
            let before = admitted.iter().filter(|at| at.plus_seconds(60) > now).count();
            let decisions = (0..asked).map(|number| nodes[number % NODES].decide(vec!["ann".to_owned()], admit));
            let came: Vec<_> = join_all(decisions).await.into_iter().map(Result::unwrap).collect();
            admitted.extend(came.iter().flatten());
            let expected = asked.min(MOST - before);
            assert_eq!(came.iter().filter(|it| it.is_ok()).count(), expected, "{before} were there of {asked}");
            if let Some(until) = came.iter().find_map(|it| it.err()) {
                let first_to_go = admitted[admitted.len() - MOST].plus_seconds(60);
                assert_eq!(until, first_to_go);
            }
        }
        assert!(admitted.len() > 100, "hardly anything came");
    }

    async fn a_rule_that_panics_is_nobody_elses_fault(stage: Stage) {
        let limits = Limits::open(stage.log.db(), Clock::manual(BEGINNING)).await.unwrap();
        let panics = |_: &mut States<'_>| -> () { unreachable!("whatever it is") };
        let (one, other) = tokio::join!(limits.decide(vec!["ann".to_owned()], panics), limits.decide(vec!["ann".to_owned()], admit));
        assert!(matches!(one, Err(StoreError::Closed)));
        assert_eq!(other.unwrap(), Ok(BEGINNING));
        assert_eq!(limits.decide(vec!["ann".to_owned()], admit).await.unwrap(), Ok(BEGINNING));
    }
}
