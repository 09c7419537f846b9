//! A window of more than a thousand, of which nodes take places in advance: as exact for whoever looks.

use futures::future::join_all;
use reqwest::Method;
use tests::{Stage, TestApp, on_both_engines};

use crate::cast::{header, limited, say, used};

/// Asks that many times, several at once; how many were let in.
async fn ask(app: &TestApp, count: usize) -> usize {
    let asked = join_all((0..count).map(|_| app.request(Method::GET, "/api/v1/models").send())).await;
    asked.into_iter().filter(|answer| answer.as_ref().unwrap().status() != 429).count()
}

on_both_engines! {
    async fn what_is_taken_in_advance_is_shown_to_nobody(stage: Stage) {
        let app = limited(stage, ["5000/minute", "2000/minute", "off"]).await;
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        for turn in 1..=7_u64 {
            let answer = ann.post("hello", None).await;
            let left = format!(r#""service";r={};t=63, "user";r={};t=63"#, 5_000 - turn, 2_000 - turn);
            assert_eq!((header(&answer, "ratelimit"), used(&ann).await), (left, (turn, turn)));
        }
        assert_eq!(say(&bob, 3).await, [200; 3]);
        assert_eq!((used(&ann).await, used(&bob).await), ((10, 7), (10, 3)));
        // What came to nothing is taken back, whoever has it: the node, and a moment later all of them.
        for step in [0, 2] {
            app.clock.advance(step);
            let answer = ann.request(Method::POST, "/api/v1/chat").body(r#"{"message": "hello", "parent_id": "00000000-0000-0000-0000-000000000000"}"#);
            assert_eq!(answer.header("content-type", "application/json").send().await.unwrap().status(), 409);
            assert_eq!((used(&ann).await, used(&bob).await), ((10, 7), (10, 3)));
        }
        app.clock.advance(57);
        assert_eq!((used(&ann).await, say(&ann, 2).await), ((10, 7), vec![200, 200]));
        app.clock.advance(4);
        assert_eq!((used(&ann).await, used(&bob).await), ((2, 2), (2, 0)));
    }

    async fn it_takes_so_many_and_no_more(stage: Stage) {
        let app = limited(stage, ["off", "off", "1500/minute"]).await;
        let mut admitted = 0;
        for _ in 0..16 {
            admitted += ask(&app, 100).await;
        }
        assert_eq!(admitted, 1_500);
        app.clock.advance(59);
        assert_eq!(ask(&app, 5).await, 0);
        app.clock.advance(2);
        assert_eq!(ask(&app, 5).await, 5);
    }

    async fn who_is_refused_by_a_small_window_takes_no_place_of_a_large_one(stage: Stage) {
        let app = limited(stage, ["5000/minute", "3/minute", "off"]).await;
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        assert_eq!(say(&ann, 5).await, [200, 200, 200, 429, 429]);
        let refused = ann.post("once more", None).await;
        assert_eq!(header(&refused, "ratelimit-policy"), r#""service";q=5000;w=60, "user";q=3;w=60"#);
        assert_eq!(header(&refused, "ratelimit"), r#""service";r=4997;t=63, "user";r=0;t=60"#);
        app.clock.advance(2);
        // The node's places are over, and those that are left go back.
        assert_eq!((say(&ann, 2).await, say(&bob, 1).await, used(&bob).await), (vec![429, 429], vec![200], (4, 1)));
    }
}
