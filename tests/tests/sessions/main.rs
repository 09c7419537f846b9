//! Conversations over HTTP, on both engines: kept, named, found, branched, deleted.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test's words are its panics")]

mod branches;
mod foreign;
mod messages;
mod plans;
mod portable;
mod together;

use futures::FutureExt;
use futures::future::join_all;
use reqwest::{Method, Response};
use serde_json::{Value, json};
use tests::{Persona, TestApp, on_both_engines};

async fn send(who: &Persona<'_>, method: Method, path: &str, body: Value) -> Response {
    who.request(method, path).json(&body).send().await.unwrap()
}

async fn ask(who: &Persona<'_>, method: Method, path: &str, body: Value, status: u16) -> Value {
    json_of(send(who, method, path, body).await, status).await
}

async fn get(who: &Persona<'_>, path: &str) -> Value {
    json_of(who.request(Method::GET, path).send().await.unwrap(), 200).await
}

async fn json_of(answer: Response, status: u16) -> Value {
    let (got, body) = (answer.status(), answer.text().await.unwrap());
    assert_eq!(got, status, "{body}");
    serde_json::from_str(&body).unwrap()
}

async fn session(who: &Persona<'_>, name: &str) -> String {
    let made = ask(who, Method::POST, "/api/v1/sessions", json!({"session_name": name}), 201).await;
    made["session_id"].as_str().unwrap().to_owned()
}

fn each<'a>(list: &'a Value, field: &str) -> Vec<&'a str> {
    list.as_array().unwrap().iter().map(|it| it[field].as_str().unwrap()).collect()
}

/// The query of the next page, as `Link` has it.
fn next(answer: &Response) -> Option<String> {
    let link = answer.headers().get("link")?.to_str().unwrap();
    Some(link.strip_prefix("<?").unwrap().strip_suffix(">; rel=\"next\"").unwrap().to_owned())
}

on_both_engines! {
    async fn a_session_is_made_shown_changed_and_deleted(app: TestApp) {
        let ann = app.user("ann").await;
        let body = json!({"session_name": " Travel ✈ ", "is_favorite": true});
        let made = send(&ann, Method::POST, "/api/v1/sessions/", body).await;
        let tag = made.headers()["etag"].clone();
        let made = json_of(made, 201).await;
        assert_eq!((&made["session_name"], &made["is_favorite"]), (&json!("Travel ✈"), &json!(true)));
        assert_eq!(made["created_at"], made["updated_at"]);
        let path = format!("/api/v1/sessions/{}", made["session_id"].as_str().unwrap());
        for path in [path.clone(), format!("{path}/")] {
            let shown = ann.request(Method::GET, &path).send().await.unwrap();
            assert_eq!(shown.headers()["etag"], tag);
            assert_eq!(json_of(shown, 200).await, made);
        }
        app.clock.advance(5);
        let body = json!({"session_name": "Home", "is_favorite": false, "is_archived": true});
        let changed = ask(&ann, Method::PATCH, &path, body, 200).await;
        assert_eq!(changed["session_name"], "Home");
        assert_eq!((&changed["is_favorite"], &changed["is_archived"]), (&json!(false), &json!(true)));
        assert!(changed["updated_at"].as_str() > made["updated_at"].as_str(), "{changed}");
        let deleted = json_of(ann.request(Method::DELETE, &path).send().await.unwrap(), 200).await;
        assert_eq!(deleted, json!({"detail": "Session deleted"}));
        for method in [Method::GET, Method::DELETE] {
            assert_eq!(ann.request(method, &path).send().await.unwrap().status(), 404);
        }
    }

    async fn a_bad_session_is_refused(app: TestApp) {
        let ann = app.user("ann").await;
        let (long, longest) = ("한".repeat(201), "한".repeat(200));
        let bodies = [json!({}), json!({"session_name": ""}), json!({"session_name": " \n"}), json!({"session_name": 1}),
            json!({"session_name": long}), json!({"session_name": "a\u{0}b"}), json!({"session_name": "a\u{202e}b"}),
            json!({"session_name": "x", "is_favorite": "yes"})];
        for body in bodies {
            assert_eq!(send(&ann, Method::POST, "/api/v1/sessions", body.clone()).await.status(), 422, "{body}");
        }
        let id = session(&ann, &longest).await;
        for body in [json!({"session_name": ""}), json!({"is_archived": 1})] {
            assert_eq!(send(&ann, Method::PATCH, &format!("/api/v1/sessions/{id}"), body).await.status(), 422);
        }
        assert_eq!(get(&ann, &format!("/api/v1/sessions/{id}")).await["session_name"], json!(longest));
        for query in ["limit=0", "limit=-1", "limit=x", "skip=-1", "before=x", "favorite=maybe"] {
            let answer = ann.request(Method::GET, &format!("/api/v1/sessions?{query}")).send().await.unwrap();
            assert_eq!(answer.status(), 422, "{query}");
        }
    }

    // The one that changed last comes first, and both ways of paging show each once.
    async fn sessions_are_listed_by_their_last_change(app: TestApp) {
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        session(&bob, "not hers").await;
        let mut ids = Vec::new();
        for number in 0..7 {
            ids.push(session(&ann, &format!("number {number}")).await);
        }
        ann.say("hello", Some(&json!(ids[2]))).await;
        ask(&ann, Method::PATCH, &format!("/api/v1/sessions/{}", ids[4]), json!({"is_favorite": true}), 200).await;
        let expected: Vec<_> = [4, 2, 6, 5, 3, 1, 0].iter().map(|number| ids[*number].as_str()).collect();
        assert_eq!(each(&get(&ann, "/api/v1/sessions/").await, "session_id"), expected);
        assert_eq!(each(&get(&ann, "/api/v1/sessions?limit=1000").await, "session_id"), expected, "100 at most");
        for (skip, part) in [(0, &expected[..3]), (3, &expected[3..6]), (6, &expected[6..]), (9, &[])] {
            let page = get(&ann, &format!("/api/v1/sessions?skip={skip}&limit=3")).await;
            assert_eq!(each(&page, "session_id"), part);
        }
        let (mut seen, mut query) = (Vec::new(), Some("limit=3".to_owned()));
        while let Some(page) = query {
            let answer = ann.request(Method::GET, &format!("/api/v1/sessions?{page}")).send().await.unwrap();
            query = next(&answer);
            let page = json_of(answer, 200).await;
            seen.extend(each(&page, "session_id").into_iter().map(str::to_owned));
        }
        assert_eq!(seen, expected);
    }

    async fn sessions_are_found_by_what_they_are(app: TestApp) {
        let ann = app.user("ann").await;
        let names = ["100 % WOOL", "Ёлка в лесу", "under_score", "back\\slash"];
        let mut ids = Vec::new();
        for name in names {
            ids.push(session(&ann, name).await);
        }
        for (number, change) in [(0, json!({"is_favorite": true})), (1, json!({"is_archived": true}))] {
            ask(&ann, Method::PATCH, &format!("/api/v1/sessions/{}", ids[number]), change, 200).await;
        }
        let untitled = ann.say("Which Tree is this?", None).await;
        let found = async |query: &str| {
            let list = get(&ann, &format!("/api/v1/sessions?{query}")).await;
            let mut names: Vec<_> = each(&list, "session_name").into_iter().map(str::to_owned).collect();
            names.sort();
            names
        };
        assert_eq!(found("favorite=true").await, ["100 % WOOL"]);
        assert_eq!(found("archived=true").await, ["Ёлка в лесу"]);
        assert_eq!(found("archived=false&favorite=false").await, ["Which Tree is this?", "back\\slash", "under_score"]);
        for (text, name) in [("wool", names[0]), ("%25", names[0]), ("ЁЛК", names[1]), ("_", names[2]),
            ("%5C", names[3]), ("tree IS", "Which Tree is this?")] {
            assert_eq!(found(&format!("q={text}")).await, [name], "{text}");
        }
        assert_eq!(found("q=nothing").await, Vec::<String>::new());
        assert_eq!(found("q=").await.len(), 5);
        assert_eq!(ann.request(Method::GET, "/api/v1/sessions?q=%00").send().await.unwrap().status(), 422);
        // Its own name takes the place of how it begins.
        let path = format!("/api/v1/sessions/{}", untitled["session_id"].as_str().unwrap());
        ask(&ann, Method::PATCH, &path, json!({"session_name": "Botany"}), 200).await;
        assert_eq!(found("q=tree").await, Vec::<String>::new());
        assert_eq!(found("q=BOTANY").await, ["Botany"]);
    }

    async fn a_session_is_called_by_how_it_begins(app: TestApp) {
        let ann = app.user("ann").await;
        let made = ann.say(&format!("  What\n is {}", "very ".repeat(40)), None).await;
        let path = format!("/api/v1/sessions/{}", made["session_id"].as_str().unwrap());
        let title = get(&ann, &path).await["session_name"].as_str().unwrap().to_owned();
        assert!(title.starts_with("What is very very") && title.ends_with('…') && title.chars().count() <= 61, "{title}");
        ann.say("something else", Some(&made["session_id"])).await;
        assert_eq!(get(&ann, &path).await["session_name"], json!(title));
    }

    async fn a_name_is_taken_back_by_null_and_left_by_nothing(app: TestApp) {
        let ann = app.user("ann").await;
        let empty = format!("/api/v1/sessions/{}", session(&ann, "one").await);
        let said = ann.say("Which Tree is this?", None).await;
        let path = format!("/api/v1/sessions/{}", said["session_id"].as_str().unwrap());
        ask(&ann, Method::PATCH, &path, json!({"session_name": "Botany"}), 200).await;
        let kept = ask(&ann, Method::PATCH, &path, json!({"is_favorite": true}), 200).await;
        assert_eq!(kept["session_name"], "Botany");
        let back = send(&ann, Method::PATCH, &path, json!({"session_name": null})).await;
        let tag = back.headers()["etag"].clone();
        assert_ne!(tag, send(&ann, Method::GET, &empty, json!({})).await.headers()["etag"]);
        let back = json_of(back, 200).await;
        assert_eq!((&back["session_name"], &back["is_favorite"]), (&json!("Which Tree is this?"), &json!(true)));
        let again = send(&ann, Method::PATCH, &path, json!({"session_name": null})).await;
        assert_eq!((again.status().as_u16(), &again.headers()["etag"]), (200, &tag), "nothing has changed");
        assert!(!again.headers().contains_key("x-event-position"));
        assert_eq!(each(&get(&ann, "/api/v1/sessions?q=TREE").await, "session_name"), ["Which Tree is this?"]);
        assert_eq!(get(&ann, "/api/v1/sessions?q=botany").await, json!([]));
        // Nothing was said in this one.
        let nameless = ask(&ann, Method::PATCH, &empty, json!({"session_name": null}), 200).await;
        assert_eq!(nameless["session_name"], "New conversation");
        for name in [json!(5), json!([]), json!("")] {
            assert_eq!(send(&ann, Method::PATCH, &path, json!({"session_name": name})).await.status(), 422);
        }
        assert_eq!(send(&ann, Method::POST, "/api/v1/sessions", json!({"session_name": null})).await.status(), 422);
    }

    async fn a_change_of_what_has_changed_is_refused(app: TestApp) {
        let ann = app.user("ann").await;
        let path = format!("/api/v1/sessions/{}", session(&ann, "one").await);
        let tag = async || ann.request(Method::GET, &path).send().await.unwrap().headers()["etag"].clone();
        let first = tag().await;
        let rename = |tag: &str, name: &str| {
            ann.request(Method::PATCH, &path).header("if-match", tag).json(&json!({"session_name": name})).send()
        };
        let answers = join_all((0..8).map(|number| rename(first.to_str().unwrap(), &format!("by {number}")).boxed())).await;
        let statuses: Vec<_> = answers.into_iter().map(|answer| answer.unwrap().status().as_u16()).collect();
        assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
        assert_eq!(statuses.iter().filter(|status| **status == 412).count(), 7, "{statuses:?}");
        assert_ne!(tag().await, first);
        for (tag, status) in [("\"nonsense\"", 412), ("7", 412), ("*", 200)] {
            assert_eq!(rename(tag, "any").await.unwrap().status(), status, "{tag}");
        }
        let stale = ann.request(Method::DELETE, &path).header("if-match", &first).send().await.unwrap();
        assert_eq!(stale.status(), 412);
        let delete = ann.request(Method::DELETE, &path).header("if-match", tag().await).send().await.unwrap();
        assert_eq!(delete.status(), 200);
        assert_eq!(rename("*", "gone").await.unwrap().status(), 404);
    }

    async fn the_next_page_is_of_the_same_sessions(app: TestApp) {
        let ann = app.user("ann").await;
        for number in 0..5 {
            let id = session(&ann, &format!("a & b {number}")).await;
            session(&ann, &format!("another {number}")).await;
            ask(&ann, Method::PATCH, &format!("/api/v1/sessions/{id}"), json!({"is_favorite": true}), 200).await;
        }
        let (mut seen, mut query) = (0, Some("favorite=true&q=A%20%26&limit=2".to_owned()));
        while let Some(page) = query {
            let answer = ann.request(Method::GET, &format!("/api/v1/sessions?{page}")).send().await.unwrap();
            query = next(&answer);
            let page = json_of(answer, 200).await;
            assert!(each(&page, "session_name").iter().all(|name| name.starts_with("a & b")), "{page}");
            seen += page.as_array().unwrap().len();
        }
        assert_eq!(seen, 5);
    }

    async fn what_was_deleted_is_not_made_again(app: TestApp) {
        let ann = app.user("ann").await;
        let named = async |method: Method, path: &str, body: Value| {
            ann.request(method, path).header("idempotency-key", "k").json(&body).send().await.unwrap()
        };
        let post = json!({"message": "hello"});
        let said = json_of(named(Method::POST, "/api/v1/chat", post.clone()).await, 200).await;
        let again = format!("/api/v1/messages/{}/regenerate", said["message_id"].as_str().unwrap());
        let other = json_of(named(Method::POST, &again, json!({})).await, 201).await;
        let room = json_of(named(Method::POST, "/api/v1/sessions", json!({"session_name": "one"})).await, 201).await;
        for path in [format!("/api/v1/messages/{}", other["task_id"].as_str().unwrap()),
            format!("/api/v1/messages/{}", said["message_id"].as_str().unwrap()),
            format!("/api/v1/sessions/{}", room["session_id"].as_str().unwrap())] {
            json_of(ann.request(Method::DELETE, &path).send().await.unwrap(), 200).await;
        }
        for (path, body) in [("/api/v1/chat", post.clone()), ("/api/v1/sessions", json!({"session_name": "one"}))] {
            assert_eq!(json_of(named(Method::POST, path, body).await, 410).await["code"], "deleted", "{path}");
        }
        let question = format!("/api/v1/messages/{}", said["user_message_id"].as_str().unwrap());
        json_of(ann.request(Method::DELETE, &question).send().await.unwrap(), 200).await;
        assert_eq!(named(Method::POST, "/api/v1/chat", post).await.status(), 410);
    }

    async fn a_repeated_request_makes_one_session(app: TestApp) {
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        let make = async |who: &Persona<'_>, name: &str| {
            let request = who.request(Method::POST, "/api/v1/sessions").header("idempotency-key", "k");
            request.json(&json!({"session_name": name})).send().await.unwrap()
        };
        let made = join_all((0..10).map(|_| make(&ann, "one"))).await;
        let mut ids = Vec::new();
        for answer in made {
            ids.push(json_of(answer, 201).await["session_id"].as_str().unwrap().to_owned());
        }
        ids.dedup();
        assert_eq!(ids.len(), 1);
        assert_eq!(make(&ann, "another").await.status(), 422);
        ask(&ann, Method::PATCH, &format!("/api/v1/sessions/{}", ids[0]), json!({"session_name": "renamed"}), 200).await;
        assert_eq!(json_of(make(&ann, "one").await, 201).await["session_name"], "renamed", "the first answer's session");
        assert_ne!(json_of(make(&bob, "one").await, 201).await["session_id"], json!(ids[0]));
    }

    async fn clearing_says_how_many_and_deleting_takes_the_messages_along(app: TestApp) {
        let ann = app.user("ann").await;
        let first = ann.say("one", None).await;
        ann.say("two", Some(&first["session_id"])).await;
        let other = ann.say("three", None).await;
        assert_eq!(ann.history("").await["total"], 6);
        let path = format!("/api/v1/sessions/{}", first["session_id"].as_str().unwrap());
        json_of(ann.request(Method::DELETE, &path).send().await.unwrap(), 200).await;
        assert_eq!(ann.history("").await["total"], 2);
        let message = format!("/api/v1/messages/{}", first["message_id"].as_str().unwrap());
        for (method, path) in [(Method::GET, message.clone()), (Method::DELETE, message.clone()),
            (Method::GET, format!("{path}/messages"))] {
            assert_eq!(ann.request(method, &path).send().await.unwrap().status(), 404, "{path}");
        }
        let rate = send(&ann, Method::PUT, &format!("{message}/rating"), json!({"rating": "up"})).await;
        assert_eq!(rate.status(), 404);
        let cleared = json_of(ann.request(Method::DELETE, "/api/v1/chat/history").send().await.unwrap(), 200).await;
        assert_eq!(cleared, json!({"deleted_messages": 2}));
        let gone = format!("/api/v1/sessions/{}", other["session_id"].as_str().unwrap());
        assert_eq!(ann.request(Method::GET, &gone).send().await.unwrap().status(), 404);
        assert_eq!(get(&ann, "/api/v1/sessions").await, json!([]));
    }
}
