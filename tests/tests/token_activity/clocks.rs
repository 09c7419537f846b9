//! Questions about times, where the nodes' clocks are a little apart.

use domain::token::family::RevokeReason;
use domain::{Event, Timestamp};
use projections::token_activity::{Activity, Filter, Kind, newest, oldest};
use serde_json::value::to_raw_value;
use store::{Append, Log, NewEvent, Position};
use tests::{Dice, Stage, on_both_engines};

use crate::cast::{id, request, revoked, seconds};
use crate::{all, fits, open};

/// A sign-in that ends, by the clock of whichever node it was.
async fn write(log: &Log, number: u32, at: Timestamp) {
    let token = store::fresh_id();
    let Event::Token(id, event) = revoked(token, id(u128::from(number % 3)), RevokeReason::SignedOut) else {
        unreachable!("it is a token's")
    };
    let event = NewEvent {
        stream_type: "token",
        stream_id: id.to_string(),
        sequence: 1,
        event_type: event.name(),
        event_version: event.version(),
        payload: to_raw_value(&event).unwrap(),
    };
    let metadata = to_raw_value(&request(number)).unwrap();
    log.append(Append { events: vec![event], guards: Vec::new(), metadata, recorded_at: at }).await.unwrap();
}

on_both_engines! {
    async fn clocks_that_are_minutes_apart_hide_no_row(stage: Stage) {
        let (live, _) = open(&stage).await;
        let mut dice = Dice::cast();
        // A row each minute, by one clock or another; first and last those that are the farthest apart.
        for number in 0..180_u32 {
            let behind = match number { 60 | 120 => 0, 61 | 121 => 599, _ => dice.below(600) };
            write(&stage.log, number, seconds(i64::from(number) * 60 + 600 - i64::try_from(behind).unwrap())).await;
        }
        stage.settle(&live).await;
        let everything = all(&live, &Filter::default()).await;
        assert!(everything.is_sorted_by_key(|row| row.position) && !everything.is_sorted_by_key(|row| row.at));
        let kinds = vec![Kind::TokenRevoked, Kind::SignIn];
        for minute in (-20..220).step_by(8) {
            let (at, later) = (Some(seconds(minute * 60)), Some(seconds((minute + 25) * 60)));
            for filter in [
                Filter { since: at, ..Filter::default() },
                Filter { until: at, ..Filter::default() },
                Filter { since: at, until: later, ..Filter::default() },
                Filter { since: at, until: later, kinds: kinds.clone(), ..Filter::default() },
                Filter { since: at, until: later, user: Some(id(1)), ..Filter::default() },
            ] {
                let expected: Vec<_> = everything.iter().filter(|row| fits(&filter, row)).cloned().collect();
                assert_eq!(all(&live, &filter).await, expected, "{filter:?}");
                let mut backwards = newest(live.db(), &filter, None, 1_000).await.unwrap().rows;
                backwards.reverse();
                assert_eq!(backwards, expected, "{filter:?}");
                let (after, upto) = (Position::new(50), Position::new(100));
                let some = oldest(live.db(), &filter, after, upto, 1_000).await.unwrap().rows;
                let within = |row: &&Activity| row.position > after && row.position <= upto;
                assert_eq!(some, expected.iter().filter(within).cloned().collect::<Vec<_>>(), "{filter:?}");
            }
        }
    }
}
