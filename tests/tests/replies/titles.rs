//! Titles: a model names a conversation when there is a reply, and nobody waits for it.

use reqwest::Method;
use serde_json::{Value, json};
use tests::app::Options;
use tests::fake_provider::{Asked, Script, Step};
use tests::stage::{PATIENCE, Play, Stage};
use tests::{FakeProvider, Persona, TestApp, on_both_engines};
use tokio::time::{interval, timeout};

use super::asking::{get, json_of, post};
use crate::asking::gated;

/// A service in which models name conversations.
struct Naming {
    app: TestApp,
    fake: FakeProvider,
}

impl Play for Naming {
    async fn on(stage: Stage) -> Self {
        let fake = FakeProvider::start().await;
        let options = Options { titles: replies::Titles::Provider, ..Options::asking(&fake) };
        Self { app: TestApp::start(stage, options).await, fake }
    }
}

async fn named(who: &Persona<'_>, session: &Value, name: &str) {
    let path = format!("/api/v1/sessions/{}", session.as_str().unwrap());
    let mut tick = interval(std::time::Duration::from_millis(10));
    let comes = async {
        while get(who, &path).await["session_name"] != json!(name) {
            tick.tick().await;
        }
    };
    timeout(PATIENCE, comes).await.unwrap();
}

/// Waits until so many answers of the model are counted, each of which took the same.
async fn spent(app: &TestApp, who: &Persona<'_>, answers: u64) {
    let mut tick = interval(std::time::Duration::from_millis(10));
    let mut counted = 0;
    let comes = async {
        while counted < 11 * answers {
            tick.tick().await;
            app.stage.settle(&app.read_models.usage).await;
            counted = get(who, "/api/v1/usage").await["total"]["prompt_tokens"].as_u64().unwrap();
        }
        assert_eq!(counted, 11 * answers);
    };
    timeout(PATIENCE, comes).await.unwrap();
}

fn says(text: &str) -> Script {
    Script::of(vec![Step::Text(text.to_owned()), Step::Usage { prompt: 11, completion: 7 }, Step::Finish("stop")])
}

on_both_engines! {
    async fn a_model_names_a_conversation_that_nobody_has_named(on: Naming) {
        let ann = on.app.user("ann").await;
        on.fake.then(says("Take the train."));
        on.fake.then(gated(&["\"Seoul ", "by train\"\n"], &[]));
        let answer = json_of(post(&ann, "/api/v1/chat", json!({"message": "How do I get to Seoul?"})).await, 200).await;
        assert_eq!(answer["response"], "Take the train.");
        // It was answered, and the title is still being thought of.
        on.fake.until_asked(2).await;
        named(&ann, &answer["session_id"], "How do I get to Seoul?").await;
        on.fake.release();
        named(&ann, &answer["session_id"], "Seoul by train").await;
        let told = on.fake.asked()[1].messages.to_string();
        assert!(told.contains("How do I get to Seoul?") && told.contains("Take the train."), "{told}");
        on.app.settle().await;
        let usage = get(&ann, "/api/v1/usage").await;
        assert_eq!((&usage["total"]["replies"], &usage["total"]["prompt_tokens"]), (&json!(1), &json!(22)), "{usage}");
        // Named, it is not named again: of what is asked next, only another conversation's is about a name.
        let next = json!({"message": "and back?", "session_id": answer["session_id"]});
        json_of(post(&ann, "/api/v1/chat", next).await, 200).await;
        json_of(post(&ann, "/api/v1/chat", json!({"message": "another"})).await, 200).await;
        on.fake.until_asked(5).await;
        let about_names = |asked: &Asked| asked.messages.to_string().contains("Name this conversation");
        assert_eq!(on.fake.asked().iter().filter(|asked| about_names(asked)).count(), 2);
    }

    async fn a_title_that_fails_leaves_the_first_words(on: Naming) {
        let ann = on.app.user("ann").await;
        on.fake.then(says("Yes."));
        on.fake.then(says("   "));
        let answer = json_of(post(&ann, "/api/v1/chat", json!({"message": "Really?"})).await, 200).await;
        on.fake.until_asked(2).await;
        named(&ann, &answer["session_id"], "Really?").await;
        // It has none yet, so that the next reply gets it one.
        on.fake.then(says("Indeed."));
        on.fake.then(says("Doubts"));
        let next = json!({"message": "Sure?", "session_id": answer["session_id"]});
        json_of(post(&ann, "/api/v1/chat", next).await, 200).await;
        named(&ann, &answer["session_id"], "Doubts").await;
        // What came to nothing was paid for, too.
        spent(&on.app, &ann, 4).await;
    }

    async fn of_two_titles_at_once_one_is_taken_and_both_are_counted(on: Naming) {
        let ann = on.app.user("ann").await;
        on.fake.then(says("Take the train."));
        on.fake.then(gated(&["Seoul by train"], &[]));
        let answer = json_of(post(&ann, "/api/v1/chat", json!({"message": "How do I get to Seoul?"})).await, 200).await;
        on.fake.until_asked(2).await;
        // It has no name yet when the next reply has ended.
        on.fake.then(says("The same way."));
        on.fake.then(gated(&["Seoul by train"], &[]));
        let next = json!({"message": "and back?", "session_id": answer["session_id"]});
        json_of(post(&ann, "/api/v1/chat", next).await, 200).await;
        on.fake.until_asked(4).await;
        on.fake.release();
        named(&ann, &answer["session_id"], "Seoul by train").await;
        spent(&on.app, &ann, 4).await;
    }

    async fn a_title_that_comes_by_itself_puts_nobody_out_of_date_and_waits_behind_a_name(on: Naming) {
        let ann = on.app.user("ann").await;
        on.fake.then(says("Take the train."));
        on.fake.then(gated(&["Seoul by train"], &[]));
        let answer = json_of(post(&ann, "/api/v1/chat", json!({"message": "How do I get to Seoul?"})).await, 200).await;
        on.fake.until_asked(2).await;
        let path = format!("/api/v1/sessions/{}", answer["session_id"].as_str().unwrap());
        let seen = ann.request(Method::GET, &path).send().await.unwrap().headers()["etag"].clone();
        on.fake.release();
        named(&ann, &answer["session_id"], "Seoul by train").await;
        let change = async |name: Value| {
            let request = ann.request(Method::PATCH, &path).header("if-match", &seen);
            request.json(&json!({"session_name": name})).send().await.unwrap()
        };
        assert_eq!(json_of(change(json!("Mine")).await, 200).await["session_name"], "Mine");
        assert_eq!(change(json!("Mine too")).await.status(), 412, "this was somebody's doing");
        let back = ann.request(Method::PATCH, &path).json(&json!({"session_name": null})).send().await.unwrap();
        assert_eq!(json_of(back, 200).await["session_name"], "Seoul by train");
    }

    async fn a_name_that_comes_before_the_title_stays_and_the_title_is_counted(on: Naming) {
        let ann = on.app.user("ann").await;
        on.fake.then(says("Take the train."));
        on.fake.then(gated(&["Seoul by train"], &[]));
        let answer = json_of(post(&ann, "/api/v1/chat", json!({"message": "How do I get to Seoul?"})).await, 200).await;
        on.fake.until_asked(2).await;
        let path = format!("/api/v1/sessions/{}", answer["session_id"].as_str().unwrap());
        let change = ann.request(Method::PATCH, &path).json(&json!({"session_name": "Mine"})).send().await.unwrap();
        json_of(change, 200).await;
        on.fake.release();
        spent(&on.app, &ann, 2).await;
        assert_eq!(get(&ann, &path).await["session_name"], "Mine");
    }
}
