//! What belongs to others is not there: every route that takes an id, tried with somebody else's.

use std::collections::BTreeSet;

use api::{Access, routes};
use reqwest::{Method, Response};
use serde_json::{Value, json};
use tests::{Persona, TestApp, on_both_engines};

use super::{ask, get, json_of, send};

/// Each route with an id in its path that is not an administrator's, and a body that is fine.
fn table() -> Vec<(Method, &'static str, Value)> {
    let none = || Value::Null;
    vec![
        (Method::DELETE, "/api/v1/users/me/sign-ins/{id}", none()),
        (Method::DELETE, "/api/v1/keys/{id}", none()),
        (Method::POST, "/api/v1/keys/{id}/rotate", none()),
        (Method::GET, "/api/v1/chat/tasks/{id}", none()),
        (Method::POST, "/api/v1/chat/tasks/{id}/cancel", none()),
        (Method::POST, "/api/v1/chat/tasks/{id}/retry", none()),
        (Method::GET, "/chat/tasks/{id}", none()),
        // What somebody has is no model's name either.
        (Method::GET, "/v1/models/{*id}", none()),
        (Method::GET, "/api/v1/messages/{id}", none()),
        (Method::DELETE, "/api/v1/messages/{id}", none()),
        (Method::GET, "/api/v1/messages/{id}/stream", none()),
        (Method::POST, "/api/v1/messages/{id}/stop", none()),
        (Method::POST, "/api/v1/messages/{id}/edit", json!({"message": "mine"})),
        (Method::POST, "/api/v1/messages/{id}/regenerate", json!({})),
        (Method::PUT, "/api/v1/messages/{id}/rating", json!({"rating": "up"})),
        (Method::PUT, "/api/v1/messages/{id}/embedding", json!({"model": "mine", "vector": [1.0]})),
        (Method::GET, "/api/v1/messages/{id}/attachments", none()),
        (Method::POST, "/api/v1/messages/{id}/attachments", json!("a file")),
        (Method::GET, "/api/v1/attachments/{id}", none()),
        (Method::DELETE, "/api/v1/attachments/{id}", none()),
        (Method::GET, "/api/v1/sessions/{id}", none()),
        (Method::PATCH, "/api/v1/sessions/{id}", json!({"session_name": "mine"})),
        (Method::DELETE, "/api/v1/sessions/{id}", none()),
        (Method::GET, "/api/v1/sessions/{id}/export", none()),
        (Method::GET, "/api/v1/sessions/{id}/messages", none()),
        (Method::POST, "/api/v1/sessions/{id}/messages", json!({"content": "mine"})),
        (Method::PUT, "/api/v1/sessions/{id}/branch", json!({"message_id": "{reply}"})),
    ]
}

/// A form with a file in it.
async fn upload(who: &Persona<'_>, path: &str) -> Response {
    let form = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\nsecret\r\n--b--\r\n";
    let request = who.request(Method::POST, path).header("content-type", "multipart/form-data; boundary=b");
    request.body(form).send().await.unwrap()
}

pub async fn attach(who: &Persona<'_>, message: &str) -> Value {
    json_of(upload(who, &format!("/api/v1/messages/{message}/attachments")).await, 201).await
}

#[test]
fn every_route_with_an_id_has_its_row() {
    let of_users = |access: Access| matches!(access, Access::User(_));
    let all = routes().into_iter().filter(|(_, path, access)| path.contains('{') && of_users(*access));
    let all: BTreeSet<_> = all.map(|(method, path, _)| format!("{method} {path}")).collect();
    let table: BTreeSet<_> = table().into_iter().map(|(method, path, _)| format!("{method} {path}")).collect();
    assert_eq!(all, table, "the router (left) and the table (right) differ");
}

on_both_engines! {
    async fn what_belongs_to_others_is_not_there(app: TestApp) {
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        let said = bob.say("secret", None).await;
        let key = ask(&bob, Method::POST, "/api/v1/keys", json!({"name": "bob's"}), 201).await;
        let sign_ins = get(&bob, "/api/v1/users/me/sign-ins").await;
        let sign_in = &sign_ins[0]["id"];
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let file = attach(&bob, &text(&said["message_id"])).await;
        for (method, path, body) in table() {
            let theirs = match path {
                path if path.contains("/sign-ins/") => vec![text(sign_in)],
                path if path.contains("/keys/") => vec![text(&key["id"])],
                path if path.contains("/attachments/{id}") => vec![text(&file["id"])],
                path if path.contains("/sessions/") => vec![text(&said["session_id"])],
                _ => vec![text(&said["message_id"]), text(&said["user_message_id"])],
            };
            let unknown = ["018bcfe5-6800-7000-8000-00000000002a", "none"].map(str::to_owned);
            for id in theirs.into_iter().chain(unknown) {
                let path = path.replace("{*id}", "{id}").replace("{id}", &id);
                let body: Value = serde_json::from_str(&body.to_string().replace("{reply}", &text(&said["message_id"]))).unwrap();
                let answer = if body == json!("a file") {
                    upload(&ann, &path).await
                } else if body.is_null() {
                    ann.request(method.clone(), &path).send().await.unwrap()
                } else {
                    send(&ann, method.clone(), &path, body).await
                };
                assert_eq!(answer.status(), 404, "{method} {path}");
                assert!(!answer.text().await.unwrap().contains("secret"), "{method} {path}");
            }
        }
        let session = get(&bob, &format!("/api/v1/sessions/{}", text(&said["session_id"]))).await;
        assert_eq!((&session["session_name"], &session["messages"]), (&json!("secret"), &json!(2)), "nothing has changed");
        assert!(get(&bob, "/api/v1/keys").await.to_string().contains(&text(&key["id"])));
        assert!(bob.is_in().await);
    }
}
