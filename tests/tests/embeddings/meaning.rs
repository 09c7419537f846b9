//! What is found by a provider's vectors, and what is said where that fails.

use serde_json::{Value, json};
use tests::fake_provider::{DIMENSION, Script, Step};
use tests::on_both_engines;

use crate::http::{ids, problem, put, refused, search};
use crate::provided::{Embedding, MODEL, ask, keep, room};

on_both_engines! {
    async fn what_means_the_same_is_found(on: Embedding) {
        let (ann, bob) = (on.app.user("ann").await, on.app.user("bob").await);
        let car = ann.say("the car is broken", None).await;
        ann.say("a committee met again", None).await;
        bob.say("an automobile", None).await;
        on.until_embedded(6).await;
        let car = &car["user_message_id"];
        for mode in ["semantic", "hybrid"] {
            let found = search(&ann, &ask("the automobile is broken", mode)).await;
            assert_eq!((&found["results"][0]["message_id"], &found["model"]), (car, &json!(MODEL)), "{mode}: {found}");
            assert_eq!((ids(&found).len(), &found["degraded"]), (2, &Value::Null), "{mode}: bob's is bob's");
        }
        let named = search(&ann, &json!({"query": "vehicle", "mode": "semantic", "model": MODEL})).await;
        assert_eq!(&named["results"][0]["snippet"], "the car is broken");
        let built_in = json!({"query": "the car is broken", "mode": "semantic", "model": "colloquy-hash-256"});
        let found = search(&ann, &built_in).await;
        assert_eq!((&found["results"][0]["message_id"], &found["model"]), (car, &json!("colloquy-hash-256")));
        assert_eq!(search(&ann, &ask("car", "text")).await["model"], Value::Null);
    }

    async fn a_search_that_a_provider_fails_says_so(on: Embedding) {
        let ann = on.app.user("ann").await;
        let room = room(&ann).await;
        for number in 0..5 {
            keep(&ann, &room, &format!("my car, {number}")).await;
        }
        on.until_embedded(5).await;
        on.fake.then_embeds(Script::of(vec![Step::Vectors(3)]));
        assert_eq!(refused(&ann, &ask("one", "semantic")).await, (503, json!("embedding_model_changed")));
        for odd in [Script::fails(400), Script::rate_limited(60)] {
            on.fake.then_embeds(odd);
        }
        assert_eq!(refused(&ann, &ask("two", "semantic")).await, (503, json!("embedding_provider_failed")));

        // Of both ways one is left, and the built-in model for the other.
        let asked = json!({"query": "my car", "mode": "hybrid", "limit": 3});
        let first = search(&ann, &asked).await;
        assert_eq!((&first["model"], &first["degraded"]), (&json!("colloquy-hash-256"), &json!(["embeddings"])));
        let count = on.fake.asked().len();
        let mut next = asked.clone();
        next["after"] = first["next"].clone();
        let second = search(&ann, &next).await;
        assert_eq!((&second["degraded"], &second["next"]), (&json!(["embeddings"]), &Value::Null));
        assert_eq!(on.fake.asked().len(), count, "its pages are of one kind");
        let mut found: Vec<&str> = [ids(&first), ids(&second)].concat();
        found.sort_unstable();
        found.dedup();
        assert_eq!(found.len(), 5);
        assert_eq!(refused(&ann, &ask("three", "semantic")).await.0, 503, "the key cools");
        assert_eq!(ids(&search(&ann, &ask("car", "text")).await).len(), 5);
    }

    async fn pages_are_paid_for_once(on: Embedding) {
        let ann = on.app.user("ann").await;
        let room = room(&ann).await;
        for number in 0..5 {
            keep(&ann, &room, &format!("my car, {number}")).await;
        }
        on.until_embedded(5).await;
        for mode in ["semantic", "hybrid"] {
            let mut asked = json!({"query": "my car", "mode": mode, "limit": 2});
            let mut found = Vec::new();
            for size in [2, 2, 1] {
                let page = search(&ann, &asked).await;
                assert_eq!(ids(&page).len(), size, "{mode}: {page}");
                found.extend(ids(&page).into_iter().map(str::to_owned));
                asked["after"] = page["next"].clone();
            }
            found.sort_unstable();
            found.dedup();
            assert_eq!(found.len(), 5, "{mode}");
        }
        assert_eq!(on.embedded().iter().filter(|text| *text == "my car").count(), 1);
    }

    async fn its_vectors_are_the_services_alone(on: Embedding) {
        let ann = on.app.user("ann").await;
        let id = keep(&ann, &room(&ann).await, "mine").await;
        let vector = vec![0.5; DIMENSION];
        let own = json!({"model": MODEL, "vector": vector});
        assert_eq!(problem(put(&ann, &id, &own).await).await, (422, json!(["model"])));
        on.until_embedded(1).await;
        assert_eq!(put(&ann, &id, &json!({"model": "mine", "vector": [1]})).await.status(), 200);
        let found = search(&ann, &json!({"mode": "semantic", "model": MODEL, "vector": vector})).await;
        assert_eq!(ids(&found), [id.as_str()], "but anybody may look among them");
        for (body, field) in [
            (json!({"mode": "semantic"}), "query"),
            (json!({"mode": "semantic", "query": " "}), "query"),
            (json!({"mode": "semantic", "query": "a", "model": "mine"}), "model"),
        ] {
            assert_eq!(refused(&ann, &body).await, (422, json!([field])), "{body}");
        }
        assert_eq!(ids(&search(&ann, &json!({"mode": "semantic", "query": "👋"})).await), [id.as_str()]);
    }
}
