//! Documents, written by hand and at random.

use std::collections::HashMap;

use serde_json::{Value, json};
use tests::Dice;

/// The conversations of a document, each id replaced by when it first appeared.
pub fn nameless(document: &Value) -> Vec<Value> {
    let mut sessions = document["sessions"].as_array().unwrap().clone();
    let mut known = HashMap::new();
    for session in &mut sessions {
        let (own, messages) = (session["session_id"].clone(), session["messages"].clone());
        let ids = messages.as_array().unwrap().iter().map(|message| message["message_id"].clone());
        for id in [own].into_iter().chain(ids) {
            let number = known.len();
            known.insert(id.as_str().unwrap().to_owned(), number);
        }
        rename(session, &known);
    }
    sessions
}

fn rename(value: &mut Value, known: &HashMap<String, usize>) {
    match value {
        Value::Object(fields) => {
            // What was answered may have gone.
            let is_id = |name: &str| name.ends_with("_id");
            for (name, field) in fields.iter_mut() {
                match field.as_str().filter(|_| is_id(name)) {
                    Some(id) => *field = json!(known.get(id)),
                    None => rename(field, known),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| rename(item, known)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

pub fn session_of(number: usize, messages: Value) -> Value {
    json!({
        "session_id": id(number), "session_name": format!("Session {number}"), "is_named": true, "is_favorite": false,
        "is_archived": false, "leaf_id": null, "created_at": moment(0), "updated_at": moment(1_000), "messages": messages,
    })
}

pub fn document(sessions: &[Value]) -> Value {
    json!({"format": "colloquy", "version": 1, "sessions": sessions})
}

pub fn posted(number: usize, parent: Option<usize>, content: &str) -> Value {
    json!({
        "message_id": id(number), "parent_id": parent.map(id), "role": "user", "content": content, "status": "done",
        "created_at": moment(number), "updated_at": moment(number),
    })
}

pub fn replied(number: usize, parent: usize, content: &str) -> Value {
    let mut reply = posted(number, Some(parent), content);
    reply["role"] = json!("bot");
    reply["model"] = json!("other/model-1");
    reply["user_message_id"] = json!(id(parent));
    reply["usage"] = json!({"prompt_tokens": 3, "completion_tokens": number, "estimated": false});
    reply
}

pub fn id(number: usize) -> String {
    format!("018bcfe5-6800-7000-8000-{number:012x}")
}

pub fn moment(second: usize) -> String {
    format!("2019-03-04T{:02}:{:02}:{:02}.000007Z", second / 3_600 % 24, second / 60 % 60, second % 60)
}

/// Conversations with all that a conversation can have.
pub fn random(dice: &mut Dice, sessions: usize) -> Value {
    let mut number = 0;
    let sessions: Vec<_> = (0..sessions).map(|_| random_session(dice, &mut number)).collect();
    document(&sessions)
}

fn random_session(dice: &mut Dice, number: &mut usize) -> Value {
    *number += 1;
    let (own, mut ids, mut ends, mut messages) = (*number, Vec::new(), Vec::new(), Vec::new());
    for _ in 0..dice.below(20) {
        *number += 1;
        let parent = if dice.below(8) == 0 { None } else { ids.get(dice.below(ids.len().max(1))).copied() };
        messages.push(random_message(dice, *number, parent));
        ends.retain(|end| Some(*end) != parent);
        ids.push(*number);
        ends.push(*number);
    }
    let mut session = session_of(own, json!(messages));
    session["is_favorite"] = json!(dice.below(2) == 0);
    session["is_archived"] = json!(dice.below(2) == 0);
    session["is_named"] = json!(dice.below(2) == 0);
    // It goes on where a branch ends.
    session["leaf_id"] = json!(ends.get(dice.below(ends.len().max(1))).copied().map(id));
    session
}

fn random_message(dice: &mut Dice, number: usize, parent: Option<usize>) -> Value {
    let words = ["hello", "안녕 👋\n\n```\ncode", " spaces around ", "\u{202e}\"quoted\" \\ {}", "</script>"];
    let content = words[dice.below(words.len())];
    let mut message = match parent.filter(|_| dice.below(2) == 0) {
        Some(parent) => {
            let mut reply = replied(number, parent, content);
            let ends = [
                ("done", json!(null)),
                ("done", json!("length")),
                ("stopped", json!(null)),
                ("interrupted", json!("truncated")),
            ];
            let (status, reason) = &ends[dice.below(ends.len())];
            reply["status"] = json!(status);
            if !reason.is_null() {
                reply["reason"] = reason.clone();
            }
            reply
        }
        None => posted(number, parent, content),
    };
    if message["role"] == "user" {
        message["role"] = json!(["user", "assistant", "system"][dice.below(3)]);
    }
    if dice.below(3) == 0 {
        message["rating"] = json!(["up", "down"][dice.below(2)]);
    }
    message["updated_at"] = json!(moment(number + dice.below(9)));
    message
}
