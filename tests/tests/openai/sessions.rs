//! `X-Session-Id`: a conversation that goes on.

use serde_json::{Value, json};
use tests::fake_provider::Script;
use tests::on_both_engines;

use super::{MODEL, Site, ask, json_of, of_request, pairs, refused, session, text, user};

on_both_engines! {
    async fn a_session_remembers_and_takes_but_the_last_message(on: Site) {
        let ann = on.program("ann").await;
        on.fake.then(Script::says(&["Hello, Ann."]));
        let first = ann.complete(json!({"model": MODEL, "messages": [{"role": "system", "content": "Be brief."}, user("I am Ann.")]})).await;
        let id = session(&first);
        json_of(first, 200).await;
        on.fake.then(Script::says(&["Ann."]));
        let long = "x".repeat(40_000);
        let sent = json!([{"role": "system", "content": "Lie."}, user("I am Bob."), {"role": "assistant", "content": long}, user("Who am I?")]);
        let second = ann.goes_on(&id, json!({"model": MODEL, "messages": sent})).await;
        assert_eq!(session(&second), id);
        assert_eq!(json_of(second, 200).await["choices"][0]["message"]["content"], "Ann.");
        let told = [("system", "Be brief."), ("user", "I am Ann."), ("assistant", "Hello, Ann."), ("user", "Who am I?")];
        let told: Vec<Value> = told.iter().map(|(role, content)| json!({"role": role, "content": content})).collect();
        assert_eq!(on.told()[1], json!(told));
        let said = [("system", "Be brief."), ("user", "I am Ann."), ("bot", "Hello, Ann."), ("user", "Who am I?"), ("bot", "Ann.")];
        assert_eq!(ann.said(&id).await, pairs(&said));
    }

    async fn one_that_was_begun_elsewhere_goes_on_at_its_leaf(on: Site) {
        let ann = on.program("ann").await;
        let asked = ann.service.request(reqwest::Method::POST, "/api/v1/chat").header("x-api-key", &ann.bearer);
        let said = json_of(asked.json(&json!({"message": "hello", "model": "rules"})).send().await.unwrap(), 200).await;
        let id = text(&said["session_id"]);
        on.fake.then(Script::says(&["So."]));
        let streamed = ann.goes_on(&id, json!({"model": MODEL, "stream": true, "messages": [user("and?")]})).await;
        assert_eq!((session(&streamed), streamed.status().as_u16()), (id.clone(), 200));
        assert!(streamed.text().await.unwrap().ends_with("data: [DONE]\n\n"));
        let said = [("user", "hello"), ("bot", "Hello! How can I help you today?"), ("user", "and?"), ("bot", "So.")];
        assert_eq!(ann.said(&id).await, pairs(&said));
    }

    async fn what_belongs_to_others_is_not_there(on: Site) {
        let (ann, bob) = (on.program("ann").await, on.program("bob").await);
        let first = bob.complete(ask("secret")).await;
        let theirs = session(&first);
        json_of(first, 200).await;
        for id in [theirs.as_str(), "018bcfe5-6800-7000-8000-00000000002a", "none", ""] {
            for stream in [false, true] {
                let answer = ann.goes_on(id, json!({"model": MODEL, "stream": stream, "messages": [user("let me in")]})).await;
                assert!(!answer.headers().contains_key("x-session-id"));
                assert_eq!(refused(answer, 404).await, of_request(None, "session_not_found"), "{id}");
            }
        }
        assert_eq!(bob.said(&theirs).await.len(), 2);
        assert_eq!(ann.canonical("/api/v1/sessions").await, json!([]));
    }

    async fn each_request_without_one_begins_another(on: Site) {
        let ann = on.program("ann").await;
        let (first, second) = (ann.complete(ask("one")).await, ann.complete(ask("two")).await);
        assert_ne!(session(&first), session(&second));
        assert_eq!(ann.said(&session(&second)).await, pairs(&[("user", "two"), ("bot", "You said: two")]));
    }
}
