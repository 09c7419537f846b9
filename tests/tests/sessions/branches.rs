//! Branches: a reply made anew, a message edited, the branch that is chosen; who is out of date is told.

use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use tests::{Persona, TestApp, on_both_engines};

use super::{ask, each, get, json_of, send};

async fn branch(who: &Persona<'_>, session: &Value) -> Vec<String> {
    let list = get(who, &format!("/api/v1/sessions/{}/messages", session.as_str().unwrap())).await;
    each(&list, "content").into_iter().rev().map(str::to_owned).collect()
}

fn message(id: &Value, rest: &str) -> String {
    format!("/api/v1/messages/{}{rest}", id.as_str().unwrap())
}

on_both_engines! {
    async fn an_edit_begins_a_branch_and_deletes_nothing(app: TestApp) {
        let ann = app.user("ann").await;
        let first = ann.say("one", None).await;
        let room = &first["session_id"];
        let second = ann.say("two", Some(room)).await;
        let edit = ask(&ann, Method::POST, &message(&second["user_message_id"], "/edit"), json!({"message": "TWO"}), 201).await;
        assert_eq!((&edit["status"], &edit["session_id"]), (&json!("completed"), room));
        let one = "You said: 'one'. I'm a simple bot, but I heard you!";
        assert_eq!(branch(&ann, room).await[..3], ["one", one, "TWO"]);
        ann.say("three", Some(room)).await;
        assert_eq!(branch(&ann, room).await.len(), 6);
        let edited = get(&ann, &message(&edit["user_message_id"], "")).await;
        assert_eq!(edited["parent_id"], first["message_id"]);
        assert_eq!(edited["sibling_ids"], json!([second["user_message_id"], edited["id"]]));
        // The old branch is there, is chosen, and goes on.
        let path = format!("/api/v1/sessions/{}/branch", room.as_str().unwrap());
        let chosen = ask(&ann, Method::PUT, &path, json!({"message_id": second["user_message_id"]}), 200).await;
        assert_eq!(chosen["leaf_id"], second["message_id"]);
        assert_eq!(branch(&ann, room).await[2], "two");
        ann.say("more", Some(room)).await;
        assert_eq!(branch(&ann, room).await[4], "more");
        // It is remembered how each went on.
        ask(&ann, Method::PUT, &path, json!({"message_id": edited["id"]}), 200).await;
        assert_eq!(branch(&ann, room).await[4], "three");
        let all = get(&ann, &format!("/api/v1/sessions/{}/messages?branch=all", room.as_str().unwrap())).await;
        assert_eq!(all.as_array().unwrap().len(), 10);
        assert_eq!(ann.history("").await["total"], 10);
        let counts: Vec<_> = all.as_array().unwrap().iter().rev().map(|it| it["sibling_ids"].as_array().unwrap().len()).collect();
        assert_eq!(counts, [1, 1, 2, 1, 2, 1, 1, 1, 1, 1]);
    }

    // What it stood beside may be gone by then.
    async fn a_repeated_edit_is_one_edit(app: TestApp) {
        let ann = app.user("ann").await;
        let first = ann.say("one", None).await;
        let edit = async || {
            let request = ann.request(Method::POST, &message(&first["user_message_id"], "/edit"));
            let body = json!({"message": "ONE"});
            json_of(request.header("idempotency-key", "k").json(&body).send().await.unwrap(), 201).await
        };
        let edited = edit().await;
        assert_eq!(edit().await, edited);
        let gone = ann.request(Method::DELETE, &message(&first["user_message_id"], "")).send().await.unwrap();
        assert_eq!(gone.status(), 200);
        assert_eq!(edit().await, edited);
    }

    // A fork below a fork: coming back, one finds it as it was left.
    async fn the_way_that_was_last_gone_is_remembered(app: TestApp) {
        let ann = app.user("ann").await;
        let first = ann.say("one", None).await;
        let room = &first["session_id"];
        let inner = ann.say("two", Some(room)).await;
        let edit = async |id: &Value, text: &str| {
            ask(&ann, Method::POST, &message(id, "/edit"), json!({"message": text}), 201).await
        };
        let path = format!("/api/v1/sessions/{}/branch", room.as_str().unwrap());
        let choose = async |id: &Value| ask(&ann, Method::PUT, &path, json!({"message_id": id}), 200).await;
        edit(&inner["user_message_id"], "TWO").await;
        choose(&inner["user_message_id"]).await;
        let outer = edit(&first["user_message_id"], "ONE").await;
        assert_eq!(branch(&ann, room).await[0], "ONE");
        choose(&first["user_message_id"]).await;
        assert_eq!(branch(&ann, room).await[2], "two", "not the newest, but what was chosen");
        choose(&outer["user_message_id"]).await;
        assert_eq!(branch(&ann, room).await[0], "ONE");
    }

    // Whoever only looks changes nothing that others rely on.
    async fn who_looks_at_another_branch_moves_nothing_and_who_goes_on_there_does(app: TestApp) {
        let ann = app.user("ann").await;
        let first = ann.say("one", None).await;
        let room = &first["session_id"];
        ask(&ann, Method::POST, &message(&first["user_message_id"], "/edit"), json!({"message": "ONE"}), 201).await;
        let newer = ann.say("elsewhere", None).await;
        let order = async || {
            let list = get(&ann, "/api/v1/sessions").await;
            let ids: Vec<_> = each(&list, "session_id").into_iter().map(|id| json!(id)).collect();
            ids
        };
        let path = format!("/api/v1/sessions/{}", room.as_str().unwrap());
        let before = ann.request(Method::GET, &path).send().await.unwrap();
        let tag = before.headers()["etag"].clone();
        let before = json_of(before, 200).await;
        app.clock.advance(5);
        for (chosen, if_leaf) in [(&first["user_message_id"], None), (&first["message_id"], Some(&first["message_id"]))] {
            let choice = json!({"message_id": chosen, "if_leaf": if_leaf});
            let chosen = send(&ann, Method::PUT, &format!("{path}/branch"), choice).await;
            assert_eq!(chosen.headers()["etag"], tag);
            let chosen = json_of(chosen, 200).await;
            assert_eq!((&chosen["leaf_id"], &chosen["updated_at"]), (&first["message_id"], &before["updated_at"]));
        }
        assert_eq!(order().await, [newer["session_id"].clone(), room.clone()]);
        let post = json!({"message": "more", "session_id": room, "if_leaf": first["message_id"]});
        ask(&ann, Method::POST, "/api/v1/chat", post, 200).await;
        assert_eq!(order().await, [room.clone(), newer["session_id"].clone()]);
        let after = get(&ann, &path).await;
        assert!(after["updated_at"].as_str() > before["updated_at"].as_str(), "{after}");
        let change = ann.request(Method::PATCH, &path).header("if-match", tag).json(&json!({"is_favorite": true}));
        assert_eq!(change.send().await.unwrap().status(), 200, "nobody has changed what this changes");
    }

    async fn the_first_message_is_edited_like_any_other(app: TestApp) {
        let ann = app.user("ann").await;
        let first = ann.say("one", None).await;
        let edit = json!({"message": "ONE", "edit_of": first["user_message_id"]});
        let edited = ask(&ann, Method::POST, "/api/v1/chat", edit, 200).await;
        assert_eq!(edited["session_id"], first["session_id"]);
        assert_eq!(branch(&ann, &first["session_id"]).await[0], "ONE");
        let shown = get(&ann, &message(&edited["user_message_id"], "")).await;
        assert_eq!((&shown["parent_id"], &shown["sibling_ids"]), (&Value::Null, &json!([first["user_message_id"], shown["id"]])));
        let reply = json!({"message": "x", "edit_of": first["message_id"]});
        assert_eq!(send(&ann, Method::POST, "/api/v1/chat", reply).await.status(), 422, "a reply is not edited");
        let both = json!({"message": "x", "edit_of": first["user_message_id"], "parent_id": first["message_id"]});
        assert_eq!(send(&ann, Method::POST, "/api/v1/chat", both).await.status(), 422);
    }

    async fn a_reply_is_made_anew_beside_the_old_one(app: TestApp) {
        let ann = app.user("ann").await;
        let first = ann.say("hello", None).await;
        let again = ask(&ann, Method::POST, &message(&first["message_id"], "/regenerate"), json!({}), 201).await;
        assert_eq!(again["result"]["response"], first["response"]);
        assert_ne!(again["task_id"], first["message_id"]);
        let shown = get(&ann, &message(&again["task_id"], "")).await;
        assert_eq!(shown["sibling_ids"], json!([first["message_id"], again["task_id"]]));
        assert_eq!(shown["parent_id"], first["user_message_id"]);
        let room = get(&ann, &format!("/api/v1/sessions/{}", first["session_id"].as_str().unwrap())).await;
        assert_eq!(room["leaf_id"], again["task_id"]);
        // Taken away, it leaves the one before where it was.
        let gone = ann.request(Method::DELETE, &message(&again["task_id"], "")).send().await.unwrap();
        assert_eq!(gone.status(), 200);
        assert_eq!(branch(&ann, &first["session_id"]).await.len(), 2);
        assert_eq!(get(&ann, &message(&first["message_id"], "")).await["is_shown"], true);
        // Asked for twice under one name it is one.
        let named = async || {
            let request = ann.request(Method::POST, &message(&first["message_id"], "/regenerate"));
            json_of(request.header("idempotency-key", "k").send().await.unwrap(), 201).await["task_id"].clone()
        };
        assert_eq!(named().await, named().await);
        let request = ann.request(Method::POST, &message(&first["message_id"], "/regenerate")).header("idempotency-key", "k");
        let same = request.json(&json!({"model": "rules"})).send().await.unwrap();
        assert_eq!(same.status(), 201, "the rules answered before");
        let question = send(&ann, Method::POST, &message(&first["user_message_id"], "/regenerate"), json!({})).await;
        assert_eq!(question.status(), 404, "no reply");
        let gone = ann.request(Method::DELETE, &message(&first["user_message_id"], "")).send().await.unwrap();
        assert_eq!(gone.status(), 200);
        let orphan = send(&ann, Method::POST, &message(&first["message_id"], "/regenerate"), json!({})).await;
        assert_eq!(orphan.status(), 404, "what it answered is gone");
    }

    async fn a_message_follows_what_its_client_says(app: TestApp) {
        let ann = app.user("ann").await;
        let first = ann.say("one", None).await;
        ann.say("two", Some(&first["session_id"])).await;
        let post = |parent: &Value| json!({"message": "aside", "session_id": first["session_id"], "parent_id": parent});
        let aside = ask(&ann, Method::POST, "/api/v1/chat", post(&first["message_id"]), 200).await;
        assert_eq!(get(&ann, &message(&aside["user_message_id"], "")).await["parent_id"], first["message_id"]);
        let other = ann.say("elsewhere", None).await;
        for parent in [json!("none"), json!("018bcfe5-6800-7000-8000-000000000001"), other["message_id"].clone()] {
            let refused = json_of(send(&ann, Method::POST, "/api/v1/chat", post(&parent)).await, 409).await;
            assert_eq!(refused["code"], "parent_not_found");
        }
        let homeless = json!({"message": "x", "parent_id": first["message_id"]});
        assert_eq!(send(&ann, Method::POST, "/api/v1/chat", homeless).await.status(), 409);
        let deleted = ann.request(Method::DELETE, &message(&aside["message_id"], "")).send().await.unwrap();
        assert_eq!(deleted.status(), 200);
        assert_eq!(send(&ann, Method::POST, "/api/v1/chat", post(&aside["message_id"])).await.status(), 409);
    }

    // Each of them believes to know where the conversation is: one is right.
    async fn who_is_out_of_date_is_told(app: TestApp) {
        let ann = app.user("ann").await;
        let first = ann.say("one", None).await;
        let room = first["session_id"].as_str().unwrap();
        let kept = format!("/api/v1/sessions/{room}/messages");
        let branch = format!("/api/v1/sessions/{room}/branch");
        let leaf = async || get(&ann, &format!("/api/v1/sessions/{room}")).await["leaf_id"].clone();
        for _ in 0..5 {
            let leaf = leaf().await;
            let post = json!({"message": "mine", "session_id": room, "if_leaf": leaf});
            let keep = json!({"content": "mine", "if_leaf": leaf});
            let choice = json!({"message_id": first["user_message_id"], "if_leaf": leaf});
            let again = message(&first["message_id"], "/regenerate");
            let attempts = [
                send(&ann, Method::POST, "/api/v1/chat", post.clone()),
                send(&ann, Method::POST, "/api/v1/chat", post),
                send(&ann, Method::POST, &kept, keep),
                send(&ann, Method::PUT, &branch, choice),
                send(&ann, Method::POST, &again, json!({"if_leaf": leaf})),
            ];
            let statuses: Vec<_> = join_all(attempts).await.iter().map(|answer| answer.status().as_u16()).collect();
            let refused = statuses.iter().filter(|status| **status == 412).count();
            let chose_what_was = statuses[3] == 200;
            // A choice that changes nothing leaves the next one right.
            assert!(refused == 4 || (chose_what_was && refused == 3), "{statuses:?}");
            assert!(statuses.iter().all(|status| [200, 201, 412].contains(status)), "{statuses:?}");
        }
        let before = leaf().await;
        ann.say("meanwhile", Some(&first["session_id"])).await;
        let late = json!({"message": "late", "session_id": room, "if_leaf": before});
        assert_eq!(json_of(send(&ann, Method::POST, "/api/v1/chat", late).await, 412).await["code"], "session_moved_on");
        let nonsense = json!({"message": "late", "session_id": room, "if_leaf": "none"});
        assert_eq!(send(&ann, Method::POST, "/api/v1/chat", nonsense).await.status(), 412);
    }
}
