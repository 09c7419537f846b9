//! `PUT …/embedding` and `POST /api/v1/search`, by meaning and by both, as clients use them.

use reqwest::{Method, Response};
use serde_json::{Value, json};
use tests::{Persona, TestApp, on_both_engines};

const SEARCH: &str = "/api/v1/search";

pub async fn search(who: &Persona<'_>, body: &Value) -> Value {
    let answer = who.request(Method::POST, SEARCH).json(body).send().await.unwrap();
    let (status, text) = (answer.status(), answer.text().await.unwrap());
    assert_eq!(status, 200, "{body}: {text}");
    serde_json::from_str(&text).unwrap()
}

pub async fn refused(who: &Persona<'_>, body: &Value) -> (u16, Value) {
    problem(who.request(Method::POST, SEARCH).json(body).send().await.unwrap()).await
}

pub async fn problem(answer: Response) -> (u16, Value) {
    let (status, problem): (u16, Value) = (answer.status().as_u16(), answer.json().await.unwrap());
    let fields: Vec<&Value> = problem["errors"].as_array().into_iter().flatten().map(|it| &it["field"]).collect();
    (status, if fields.is_empty() { problem["code"].clone() } else { json!(fields) })
}

pub fn ids(found: &Value) -> Vec<&str> {
    found["results"].as_array().unwrap().iter().map(|it| it["message_id"].as_str().unwrap()).collect()
}

pub async fn put(who: &Persona<'_>, id: &str, body: &Value) -> Response {
    let path = format!("/api/v1/messages/{id}/embedding");
    who.request(Method::PUT, &path).json(body).send().await.unwrap()
}

/// Says something, and gives the message's id and its session's.
async fn say(who: &Persona<'_>, text: &str) -> (String, String) {
    let said = who.say(text, None).await;
    let text = |field: &str| said[field].as_str().unwrap().to_owned();
    (text("user_message_id"), text("session_id"))
}

on_both_engines! {
    async fn what_is_like_it_is_found_without_its_words(app: TestApp) {
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        let (coffee, room) = say(&ann, "Brewing espressos: nine bars & <30 seconds").await;
        say(&ann, "The committee postponed its budget").await;
        say(&bob, "espresso").await;
        let ask = |mode: &str| json!({"query": "brew espresso", "mode": mode, "role": "user"});
        assert_eq!(ids(&search(&ann, &ask("text")).await), [""; 0], "no word of it is there as it is");
        for mode in ["semantic", "hybrid"] {
            let found = search(&ann, &ask(mode)).await;
            let best = &found["results"][0];
            assert_eq!((&best["message_id"], &best["session_id"]), (&json!(coffee), &json!(room)), "{mode}");
            assert_eq!(best["snippet"], "Brewing espressos: nine bars &amp; &lt;30 seconds");
            assert_eq!(found["next"], Value::Null);
        }
        let found = search(&ann, &ask("semantic")).await;
        let score = |nth: usize| found["results"][nth]["score"].as_f64().unwrap();
        assert!(score(0) > 0.2 && score(0) < 1.0 && score(1) < 0.1, "{found}");
        assert_eq!(ids(&found).len(), 2, "bob's is bob's");
        let same = search(&ann, &json!({"query": "BREWING espressos nine bars 30 seconds", "mode": "semantic"})).await;
        assert!((same["results"][0]["score"].as_f64().unwrap() - 1.0).abs() < 1e-6, "{same}");
        let within = search(&ann, &json!({"query": "budget", "mode": "semantic", "session_id": room})).await;
        assert!(ids(&within).contains(&coffee.as_str()) && ids(&within).len() == 2, "that session's two alone: {within}");
    }

    async fn by_both_what_is_found_twice_comes_first(app: TestApp) {
        let ann = app.user("ann").await;
        let (word, _) = say(&ann, "tax").await;
        let (both, _) = say(&ann, "my tax return of last year").await;
        let (near, _) = say(&ann, "tax returns, taxes returned: returning").await;
        let found = search(&ann, &json!({"query": "tax return", "mode": "hybrid", "role": "user"})).await;
        assert_eq!(ids(&found)[0], both);
        assert!(ids(&found).contains(&near.as_str()) && ids(&found).contains(&word.as_str()));
        let top = found["results"][0]["score"].as_f64().unwrap();
        assert!((top - 2.0 / 61.0).abs() < 1e-9, "the first by text and by likeness: {found}");
        assert_eq!(found["results"][0]["snippet"], "my <mark>tax</mark> <mark>return</mark> of last year");
    }

    async fn pages_follow_each_other_and_no_cursor_is_made_up(app: TestApp) {
        let ann = app.user("ann").await;
        for number in 0..9 {
            say(&ann, &format!("note {number}")).await;
        }
        for mode in ["semantic", "hybrid"] {
            let body = json!({"query": "note", "mode": mode, "limit": 4, "role": "user"});
            let (mut seen, mut after) = (Vec::new(), Value::Null);
            for size in [4, 4, 1] {
                let mut body = body.clone();
                body["after"] = after;
                let found = search(&ann, &body).await;
                assert_eq!(ids(&found).len(), size, "{mode}: {found}");
                seen.extend(ids(&found).into_iter().map(str::to_owned));
                after = found["next"].clone();
            }
            assert_eq!(after, Value::Null);
            seen.sort_unstable();
            seen.dedup();
            assert_eq!(seen.len(), 9, "{mode}");
            let first = search(&ann, &body).await["next"].clone();
            let other = json!({"query": "other", "mode": mode, "limit": 4, "after": first});
            for bad in [other, json!({"query": "note", "mode": mode, "limit": 4, "role": "user", "after": "made up"})] {
                assert_eq!(refused(&ann, &bad).await, (422, json!(["after"])), "{bad}");
            }
        }
    }

    async fn ones_own_vectors_are_searched_by_ones_own(app: TestApp) {
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        let (north, _) = say(&ann, "north").await;
        let (east, _) = say(&ann, "east").await;
        for (id, vector) in [(&north, [0.0, 2.5]), (&east, [1.0, 0.1])] {
            let answer = put(&ann, id, &json!({"model": " mine ", "vector": vector})).await;
            assert_eq!(answer.status(), 200);
            assert!(answer.headers().contains_key("x-event-position"));
            let answer: Value = answer.json().await.unwrap();
            assert_eq!(answer, json!({"message_id": id, "model": "mine", "dimension": 2}));
        }
        let ask = |vector: Value| json!({"mode": "semantic", "model": "mine", "vector": vector});
        let found = search(&ann, &ask(json!([0.1, 1]))).await;
        assert_eq!(ids(&found), [&north, &east]);
        assert_eq!(found["results"][0]["snippet"], "north");
        assert_eq!(ids(&search(&ann, &ask(json!([3, 0]))).await), [&east, &north]);
        let hybrid = json!({"query": "north", "mode": "hybrid", "model": "mine", "vector": [0.1, 1], "role": "user"});
        assert_eq!(ids(&search(&ann, &hybrid).await), [&north, &east]);
        assert_eq!(ids(&search(&bob, &ask(json!([3, 0]))).await), [""; 0]);
        assert_eq!(ids(&search(&ann, &json!({"mode": "semantic", "model": "nobody's", "vector": [1]})).await), [""; 0]);
        // The latest counts.
        assert_eq!(put(&ann, &north, &json!({"model": "mine", "vector": [-1, 0]})).await.status(), 200);
        assert_eq!(ids(&search(&ann, &ask(json!([0.1, 1]))).await), [&east, &north]);
    }

    async fn a_model_keeps_its_dimension(app: TestApp) {
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        let ((one, _), (of_bob, _)) = (say(&ann, "one").await, say(&bob, "one").await);
        let mismatch = (422, json!("embedding_mismatch"));
        assert_eq!(put(&ann, &one, &json!({"model": "mine", "vector": [1, 2]})).await.status(), 200);
        assert_eq!(problem(put(&ann, &one, &json!({"model": "mine", "vector": [1]})).await).await, mismatch);
        assert_eq!(refused(&ann, &json!({"mode": "semantic", "model": "mine", "vector": [1, 2, 3]})).await, mismatch);
        let built_in = json!({"mode": "semantic", "model": "colloquy-hash-256", "vector": [1, 2, 3]});
        assert_eq!(refused(&ann, &built_in).await, mismatch);
        assert_eq!(put(&ann, &one, &json!({"model": "other", "vector": [1]})).await.status(), 200);
        assert_eq!(put(&bob, &of_bob, &json!({"model": "mine", "vector": [1]})).await.status(), 200, "bob has his own");
    }

    async fn what_is_no_vector_of_a_message_is_refused(app: TestApp) {
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        let (id, room) = say(&ann, "here").await;
        let good = json!({"model": "mine", "vector": [1, 2]});
        for (body, fields) in [
            (json!({"model": "mine", "vector": []}), json!(["vector"])),
            (json!({"model": "mine", "vector": [0, 0.0, -0.0]}), json!(["vector"])),
            (json!({"model": "mine", "vector": [1e39, 1]}), json!(["vector"])),
            (json!({"model": "mine", "vector": vec![0.5; 2_001]}), json!(["vector"])),
            (json!({"model": " ", "vector": [0]}), json!(["model", "vector"])),
            (json!({"model": "x".repeat(101), "vector": [1]}), json!(["model"])),
            (json!({"model": "colloquy-hash-256", "vector": [1]}), json!(["model"])),
            (json!({"model": "mine", "vector": ["1"]}), json!(["body"])),
            (json!({"model": "mine", "vector": [null]}), json!(["body"])),
            (json!({"vector": [1]}), json!(["body"])),
        ] {
            assert_eq!(problem(put(&ann, &id, &body).await).await, (422, fields), "{body}");
        }
        let unknown = (404, json!("message_not_found"));
        assert_eq!(problem(put(&bob, &id, &good).await).await, unknown, "it is ann's");
        for nobody in ["018bcfe5-6800-7000-8000-00000000002a", "1"] {
            assert_eq!(problem(put(&ann, nobody, &good).await).await, unknown);
        }
        assert_eq!(put(&ann, &id, &json!({"model": "long", "vector": vec![0.5; 2_000]})).await.status(), 200);
        let path = format!("/api/v1/sessions/{room}");
        assert_eq!(ann.request(Method::DELETE, &path).send().await.unwrap().status(), 200);
        assert_eq!(problem(put(&ann, &id, &good).await).await, unknown, "it is deleted");
    }

    async fn what_can_not_be_asked_for_is_named(app: TestApp) {
        let ann = app.user("ann").await;
        for (body, fields) in [
            (json!({"mode": "semantic"}), json!(["query"])),
            (json!({"mode": "semantic", "query": "?!"}), json!(["query"])),
            (json!({"mode": "hybrid", "model": "mine", "vector": [1]}), json!(["query"])),
            (json!({"mode": "text"}), json!(["query"])),
            (json!({"query": "a", "vector": [1], "model": "mine"}), json!(["vector"])),
            (json!({"mode": "semantic", "vector": [1]}), json!(["model"])),
            (json!({"mode": "semantic", "query": "a", "model": "mine"}), json!(["model"])),
            (json!({"mode": "semantic", "vector": [0], "model": "mine"}), json!(["vector"])),
            (json!({"mode": "semantic", "vector": [1], "model": "\n"}), json!(["model"])),
            (json!({"mode": "semantic", "query": "a\u{0}b"}), json!(["query"])),
            (json!({"mode": "psychic", "query": "a"}), json!(["mode"])),
        ] {
            assert_eq!(refused(&ann, &body).await, (422, fields), "{body}");
        }
    }
}
