//! What was said leaves in a document, and comes in again as it was.

mod broken;
mod documents;

use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use tests::app::Options;
use tests::{Dice, Persona, Stage, TestApp, on_both_engines};

use super::foreign::attach;
use super::{ask, each, get, json_of, send, session};
use documents::{document, id, moment, nameless, posted, random, replied, session_of};

const EXPORT: &str = "/api/v1/export";
const IMPORT: &str = "/api/v1/import";

async fn text_of(who: &Persona<'_>, path: &str) -> (HeaderMap, String) {
    let answer = who.request(Method::GET, path).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    (answer.headers().clone(), answer.text().await.unwrap())
}

async fn import(who: &Persona<'_>, document: &Value, key: Option<&str>) -> Response {
    let request = who.request(Method::POST, IMPORT).json(document);
    key.into_iter().fold(request, |request, key| request.header("idempotency-key", key)).send().await.unwrap()
}

async fn taken(who: &Persona<'_>, document: &Value) -> Value {
    json_of(import(who, document, None).await, 201).await
}

on_both_engines! {
    // Elsewhere, too: on an instance of its own, which is alone.
    async fn what_went_out_comes_in_as_it_was(app: TestApp) {
        let ann = app.user("ann").await;
        let elsewhere = TestApp::start(Stage::sqlite().await, Options::default()).await;
        let bob = elsewhere.user("bob").await;
        let first = ann.say("hello", None).await;
        ann.say("how are you", Some(&first["session_id"])).await;
        app.clock.advance(60);
        let edit = format!("/api/v1/messages/{}/edit", first["user_message_id"].as_str().unwrap());
        ask(&ann, Method::POST, &edit, json!({"message": "hi"}), 201).await;
        let branch = format!("/api/v1/sessions/{}/branch", first["session_id"].as_str().unwrap());
        ask(&ann, Method::PUT, &branch, json!({"message_id": first["message_id"]}), 200).await;
        let rating = format!("/api/v1/messages/{}/rating", first["message_id"].as_str().unwrap());
        ask(&ann, Method::PUT, &rating, json!({"rating": "up"}), 200).await;
        let kept = session(&ann, "Kept ✈").await;
        for (role, content) in [("system", "Be brief."), ("user", "?"), ("assistant", "!")] {
            let body = json!({"role": role, "content": content});
            ask(&ann, Method::POST, &format!("/api/v1/sessions/{kept}/messages"), body, 201).await;
        }
        let answered = ann.say("bye", None).await;
        let question = format!("/api/v1/messages/{}", answered["user_message_id"].as_str().unwrap());
        ask(&ann, Method::DELETE, &question, Value::Null, 200).await;
        session(&ann, "Nothing was said").await;
        let (headers, out) = text_of(&ann, EXPORT).await;
        assert_eq!(headers[CONTENT_TYPE], "application/json");
        let out: Value = serde_json::from_str(&out).unwrap();
        let nothing = document(&[]);
        assert_eq!(taken(&bob, &nothing).await, json!({"sessions": 0, "messages": 0, "session_ids": []}));
        elsewhere.clock.advance(600);
        let answer = taken(&bob, &out).await;
        assert_eq!((&answer["sessions"], &answer["messages"]), (&json!(4), &json!(10)), "{answer}");
        let (_, came) = text_of(&bob, EXPORT).await;
        let came: Value = serde_json::from_str(&came).unwrap();
        assert_eq!(nameless(&came), nameless(&out));
        assert_eq!(came["sessions"].as_array().unwrap().iter().map(|it| it["session_id"].clone()).collect::<Vec<_>>(),
            *answer["session_ids"].as_array().unwrap());
        // The same branch is shown, and it goes on from there.
        let theirs = answer["session_ids"].as_array().unwrap().iter().zip(out["sessions"].as_array().unwrap());
        for (theirs, hers) in theirs {
            let shown = async |who: &Persona<'_>, id: &Value| {
                let list = get(who, &format!("/api/v1/sessions/{}/messages", id.as_str().unwrap())).await;
                list.as_array().unwrap().iter().map(|it| it["content"].clone()).collect::<Vec<_>>()
            };
            assert_eq!(shown(&bob, theirs).await, shown(&ann, &hers["session_id"]).await);
            bob.say("hello", Some(theirs)).await;
        }
    }

    async fn one_conversation_goes_out_by_itself(app: TestApp) {
        let ann = app.user("ann").await;
        let (said, _) = (ann.say("hello", None).await, ann.say("bye", None).await);
        let path = format!("/api/v1/sessions/{}/export", said["session_id"].as_str().unwrap());
        let (_, out) = text_of(&ann, &path).await;
        let out: Value = serde_json::from_str(&out).unwrap();
        let sessions = out["sessions"].as_array().unwrap();
        assert_eq!(sessions.len(), 1);
        assert_eq!(sessions[0]["session_id"], said["session_id"]);
        assert_eq!(sessions[0]["messages"][1]["user_message_id"], said["user_message_id"]);
        attach(&ann, said["message_id"].as_str().unwrap()).await;
        let (_, out) = text_of(&ann, &path).await;
        let out: Value = serde_json::from_str(&out).unwrap();
        let file = json!([{"name": "a", "media_type": "text/plain", "size": 6}]);
        assert_eq!(out["sessions"][0]["messages"][1]["attachments"], file);
        let (_, read) = text_of(&ann, &format!("{path}?format=markdown")).await;
        assert!(read.ends_with("\n*Attached: a, 6 bytes*\n"), "{read}");
        for format in ["xml", ""] {
            let answer = ann.request(Method::GET, &format!("{path}?format={format}")).send().await.unwrap();
            assert_eq!(answer.status(), 422, "{format}");
        }
        // Both are in the log of what tokens did.
        text_of(&ann, EXPORT).await;
        let rows = get(&ann, "/api/v1/audit/tokens?kind=data_exported").await;
        let reasons: Vec<_> = rows["items"].as_array().unwrap().iter().map(|row| row["reason"].clone()).collect();
        let one = json!(format!("session {}", said["session_id"].as_str().unwrap()));
        assert_eq!(reasons, [json!("everything"), one.clone(), one.clone(), one]);
    }

    async fn whatever_comes_in_goes_out_the_same(app: TestApp) {
        let mut dice = Dice::cast();
        for round in 0..6 {
            let who = app.user(&format!("user{round}")).await;
            let came = random(&mut dice, 12);
            taken(&who, &came).await;
            let (_, out) = text_of(&who, EXPORT).await;
            let out: Value = serde_json::from_str(&out).unwrap();
            assert_eq!(nameless(&out), nameless(&came));
        }
    }

    // One that is larger than what is written at once, and so many that they are more than one page.
    async fn much_comes_in_whole(app: TestApp) {
        let ann = app.user("ann").await;
        let long: Vec<_> = (1..1_500).map(|number| posted(number, (number > 1).then(|| number - 1), "x")).collect();
        let large = posted(1, None, &"한".repeat(30_000));
        let mut sessions = vec![session_of(0, json!(long))];
        sessions.extend((1..300).map(|number| session_of(number, json!([posted(number * 10_000, None, "y")]))));
        sessions.extend((300..340).map(|number| session_of(number, json!([large]))));
        let came = document(&sessions);
        let answer = taken(&ann, &came).await;
        assert_eq!((&answer["sessions"], &answer["messages"]), (&json!(340), &json!(1_838)));
        app.settle().await;
        let (_, out) = text_of(&ann, EXPORT).await;
        assert!(out.len() > 3_600_000);
        let out: Value = serde_json::from_str(&out).unwrap();
        let contents = |document: &Value| {
            let messages = document["sessions"].as_array().unwrap().iter().map(|it| it["messages"].as_array().unwrap());
            messages.map(|it| it.iter().map(|it| it["content"].clone()).collect::<Vec<_>>()).collect::<Vec<_>>()
        };
        assert!(contents(&out) == contents(&came), "another text came out");
        assert_eq!(ann.history("?limit=1").await["total"], 1_838);
    }

    async fn what_is_sent_again_comes_in_once(app: TestApp) {
        let ann = app.user("ann").await;
        let good = |number| session_of(number, json!([posted(number + 100, None, "q"), replied(number + 200, number + 100, "a")]));
        let mut bad = good(3);
        bad["messages"][1]["content"] = json!("nul \u{0}");
        let broken = json_of(import(&ann, &document(&[good(1), good(2), bad, good(4)]), Some("k")).await, 422).await;
        let message = broken["errors"][0]["message"].as_str().unwrap();
        assert_eq!(message, "in session 3, message 2: content must not contain the character NUL; 2 came in before it");
        assert_eq!(ann.history("").await["total"], 4);
        let whole = document(&[good(1), good(2), good(3), good(4)]);
        let first = json_of(import(&ann, &whole, Some("k")).await, 201).await;
        assert_eq!(ann.history("").await["total"], 8);
        let again = json_of(import(&ann, &whole, Some("k")).await, 201).await;
        assert_eq!(again, first);
        assert_eq!(ann.history("").await["total"], 8, "nothing came twice");
        let other = json_of(import(&ann, &whole, Some("another")).await, 201).await;
        assert_ne!(other["session_ids"], first["session_ids"]);
        assert_eq!(ann.history("").await["total"], 16);
        let path = format!("/api/v1/sessions/{}", first["session_ids"][1].as_str().unwrap());
        ask(&ann, Method::DELETE, &path, Value::Null, 200).await;
        let mut longer = good(1);
        longer["messages"].as_array_mut().unwrap().push(posted(300, Some(101), "one more"));
        for (document, why) in [(&whole, "in session 2: it came in under this key, and was deleted since; 1 came in before it"),
            (&document(&[longer]), "in session 1: another one came in under this key; 0 came in before it")] {
            let refused = json_of(import(&ann, document, Some("k")).await, 422).await;
            assert_eq!(refused["errors"][0]["message"], why);
        }
        assert_eq!(ann.history("").await["total"], 14);
    }

    async fn what_can_not_be_taken_is_refused(app: TestApp) {
        let ann = app.user("ann").await;
        let with = |change: fn(&mut Value)| {
            let mut session = session_of(1, json!([posted(11, None, "q"), replied(12, 11, "a")]));
            change(&mut session);
            document(&[session])
        };
        let refused = [
            json!({}), json!([]), json!({"format": "colloquy", "version": 1}),
            json!({"format": "other", "version": 1, "sessions": []}),
            json!({"format": "colloquy", "version": 2, "sessions": []}),
            json!({"format": "colloquy", "version": 1, "sessions": {}}),
            document(&[session_of(1, json!([])), session_of(1, json!([]))]),
            with(|it| it["session_id"] = json!("none")),
            with(|it| it["session_name"] = json!("")),
            with(|it| it["created_at"] = json!("yesterday")),
            with(|it| it["messages"] = json!(null)),
            with(|it| it["messages"][1]["parent_id"] = json!(id(99))),
            with(|it| it["messages"][0]["parent_id"] = json!(id(12))),
            with(|it| it["messages"][1]["message_id"] = json!(id(11))),
            with(|it| it["messages"][0]["role"] = json!("wizard")),
            with(|it| it["messages"][0]["content"] = json!(" \n")),
            with(|it| it["messages"][0]["content"] = json!("x".repeat(32_001))),
            with(|it| it["messages"][0]["content"] = json!(format!("x{}", " ".repeat(40_000)))),
            with(|it| it["messages"][1]["content"] = json!("x".repeat((1 << 20) + 1))),
            with(|it| it["messages"][1]["model"] = json!("m".repeat(201))),
            with(|it| it["messages"][1]["model"] = json!(null)),
            with(|it| it["messages"][1]["user_message_id"] = json!(null)),
            with(|it| it["messages"][1]["reason"] = json!("tired")),
            with(|it| it["messages"][1]["status"] = json!("interrupted")),
            with(|it| it["messages"][1]["rating"] = json!("five stars")),
        ];
        for document in refused {
            let answer = json_of(import(&ann, &document, None).await, 422).await;
            let said = answer.to_string();
            assert!(!["wizard", "tired", "five", "yesterday"].iter().any(|word| said.contains(word)), "{said}");
        }
        for (body, kind, status) in [("{", "application/json", 400), ("{} x", "application/json", 422),
            ("{\"format\":\"colloquy\",\"version\":1,\"sessions\":[]} x", "application/json", 400),
            ("{\"format\":\"colloquy\",\"version\":1,\"sessions\":[", "application/json", 400),
            ("", "application/json", 400), ("{}", "text/plain", 415)] {
            let request = ann.request(Method::POST, IMPORT).header(CONTENT_TYPE, kind).body(body);
            assert_eq!(request.send().await.unwrap().status(), status, "{body}");
        }
        assert_eq!(ann.history("").await["total"], 0);
        let stored = get(&ann, "/api/v1/sessions").await;
        assert_eq!(each(&stored, "session_name"), ["Session 1"], "the first of the two");
    }

    // Times are those of the document, also where they are searched by.
    async fn what_came_in_is_found_and_goes_on(app: TestApp) {
        let ann = app.user("ann").await;
        let came = document(&[session_of(1, json!([posted(11, None, "a peculiar zebra"), replied(12, 11, "striped")]))]);
        let id = taken(&ann, &came).await["session_ids"][0].clone();
        for (mode, found) in [(json!({"mode": "text"}), true), (json!({"mode": "semantic", "limit": 1}), true),
            (json!({"mode": "text", "until": "2018-01-01T00:00:00Z"}), false),
            (json!({"mode": "text", "until": "2020-01-01T00:00:00Z"}), true)] {
            let mut asked = mode;
            asked["query"] = json!("zebra");
            let answer = ask(&ann, Method::POST, "/api/v1/search", asked.clone(), 200).await;
            assert_eq!(answer["results"].as_array().unwrap().len(), usize::from(found), "{asked}");
        }
        let shown = get(&ann, &format!("/api/v1/sessions/{}", id.as_str().unwrap())).await;
        assert_eq!((&shown["created_at"], &shown["updated_at"]), (&json!(moment(0)), &json!(moment(1_000))));
        // It was paid for elsewhere.
        assert_eq!(get(&ann, "/api/v1/usage").await["total"]["completion_tokens"], 0);
        let said = ann.say("hello", Some(&id)).await;
        let list = get(&ann, &format!("/api/v1/sessions/{}/messages", id.as_str().unwrap())).await;
        let contents: Vec<_> = list.as_array().unwrap().iter().map(|it| it["content"].clone()).collect();
        assert_eq!(contents, [said["response"].clone(), json!("hello"), json!("striped"), json!("a peculiar zebra")]);
        let moved = get(&ann, &format!("/api/v1/sessions/{}", id.as_str().unwrap())).await;
        assert!(moved["updated_at"].as_str() > shown["updated_at"].as_str());
        let question = list[3]["message_id"].as_str().unwrap();
        ask(&ann, Method::POST, &format!("/api/v1/messages/{question}/edit"), json!({"message": "a horse"}), 201).await;
    }

    async fn markdown_is_to_be_read(app: TestApp) {
        let ann = app.user("ann").await;
        let mut stopped = replied(12, 11, "```rust\nfn main() {");
        stopped["status"] = json!("stopped");
        let branch = posted(13, None, "never shown");
        let mut first = session_of(1, json!([branch, posted(11, None, "# Not a heading of ours\n"), stopped]));
        first["session_name"] = json!("Two  words");
        taken(&ann, &document(&[first, session_of(2, json!([]))])).await;
        let (headers, out) = text_of(&ann, &format!("{EXPORT}?format=markdown")).await;
        assert_eq!(headers[CONTENT_TYPE], "text/markdown; charset=utf-8");
        assert!(headers["content-disposition"].to_str().unwrap().contains("colloquy.md"));
        let (began, ended) = (moment(0), moment(1_000));
        let expected = format!(
            "# Two words\n\n{began} to {ended}\n\n## User · {}\n\n# Not a heading of ours\n\n\
             ## other/model-1 · {}\n\n```rust\nfn main() {{\n```\n\n*(stopped)*\n\n---\n\n\
             # Session 2\n\n{began} to {ended}\n",
            moment(11), moment(12)
        );
        assert_eq!(out, expected);
    }

    async fn nobody_takes_out_what_is_not_theirs(app: TestApp) {
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        bob.say("secret", None).await;
        let (_, out) = text_of(&ann, EXPORT).await;
        let out: Value = serde_json::from_str(&out).unwrap();
        assert_eq!(out["sessions"], json!([]));
        // Nor does a document's id lead to what is there.
        let (_, theirs) = text_of(&bob, EXPORT).await;
        let theirs: Value = serde_json::from_str(&theirs).unwrap();
        taken(&ann, &theirs).await;
        taken(&bob, &theirs).await;
        assert_eq!((bob.history("").await["total"].clone(), ann.history("").await["total"].clone()), (json!(4), json!(2)));
        let answer = send(&ann, Method::POST, IMPORT, json!({"format": "colloquy"})).await;
        assert_eq!(answer.status(), 422);
    }
}
