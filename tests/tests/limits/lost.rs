//! Windows outlive what they are kept in, and who keeps them.

use reqwest::Method;
use store::on_write;
use tests::{Asker, Service, Stage, TestApp, on_both_engines};

use crate::cast::{limited, message, say, used};

async fn empty(app: &TestApp) {
    on_write!(app.limits.db(), pool => sqlx::query("delete from limits").execute(pool).await.map(|_| ())).unwrap();
}

on_both_engines! {
    async fn windows_that_are_lost_are_made_again_of_what_was_admitted(stage: Stage) {
        let app = limited(stage, ["7/minute", "4/minute", "off"]).await;
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        app.clock.advance(120);
        assert_eq!((say(&ann, 3).await, say(&bob, 2).await), (vec![200; 3], vec![200; 2]));
        app.clock.advance(30);
        empty(&app).await;
        assert_eq!((used(&ann).await, used(&bob).await), ((5, 3), (5, 2)));
        assert_eq!(say(&ann, 3).await, [200, 429, 429]);
        empty(&app).await;
        assert_eq!(say(&bob, 2).await, [200, 429], "the service's are seven");
        app.clock.advance(30);
        assert_eq!(say(&ann, 1).await, [429], "what came in one minute counts as long as the last of it");
        assert_eq!(used(&ann).await, (7, 4));
        app.clock.advance(30);
        assert_eq!(used(&ann).await, (0, 0));
        assert_eq!(say(&ann, 5).await, [200, 200, 200, 200, 429], "nothing is remembered for longer");
    }

    async fn a_process_that_is_killed_takes_no_window_along(stage: Stage) {
        let mut service = Service::start(stage, &[("RATE_LIMIT_USER", "3/hour")]).await;
        let ann = Asker::register(&service.node.url(), "ann").await;
        let say = async |service: &Service| {
            let request = service.request(Method::POST, "/api/v1/chat").bearer_auth(ann.token());
            request.json(&message("hello")).send().await.unwrap().status().as_u16()
        };
        assert_eq!((say(&service).await, say(&service).await), (200, 200));
        for expected in [200, 429] {
            service.node.kill().await;
            service.node = service.binary.start().await;
            assert_eq!(say(&service).await, expected);
        }
    }
}
