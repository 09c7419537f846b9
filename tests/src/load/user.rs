//! One user: posts over HTTP, and looks back.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use tokio::time::{Instant, interval};

use super::{Book, Dice, PATIENCE, PAUSE, Shown, Turn};

/// Somebody who is signed in, at any of the nodes.
pub struct User {
    pub name: String,
    client: Client,
    nodes: Vec<String>,
    token: String,
    book: Mutex<Book>,
}

/// Why there was no answer that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unanswered {
    /// 503, with the time after which to come again.
    Refused,
    /// The connection broke, or none could be made.
    Broken,
}

/// A history, read page by page.
#[derive(Debug, Default)]
pub struct Reading {
    /// Oldest first.
    pub shown: Vec<Shown>,
    pub total: u64,
    /// Whether any page was said to be behind.
    pub behind: bool,
}

const PASSWORD: &str = "Passw0rd!";
/// Whoever has waited so long for an answer has found a fault.
const ANSWER: Duration = Duration::from_secs(20);
const SESSIONS: usize = 4;

impl User {
    pub async fn register(nodes: &[String], name: String) -> Self {
        let client = Client::builder().timeout(ANSWER).build().expect("an HTTP client");
        let email = format!("{name}@example.com");
        let registration = json!({"name": name, "email": email, "password": PASSWORD});
        ask(&client, nodes, "/api/v1/users/register", &registration, StatusCode::CREATED).await;
        let login = json!({"email": email, "password": PASSWORD});
        let signed_in = ask(&client, nodes, "/api/v1/users/login", &login, StatusCode::OK).await;
        let token = text(&signed_in, "access_token");
        Self { name, client, nodes: nodes.to_vec(), token, book: Mutex::default() }
    }

    pub fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says something that was never said before, at some node, in a conversation that there is or in a new one.
    pub async fn post(&self, dice: &mut Dice) -> Result<(), Unanswered> {
        let (said, message) = self.say(dice);
        let session = self.some_session(dice);
        let node = self.some_node(dice);
        let request = self.client.post(format!("{node}/api/v1/chat"));
        let response = self.send(request.json(&json!({"message": message, "session_id": session}))).await?;
        let position = header(&response, "x-event-position").unwrap_or_else(|| panic!("no position: {response:?}"));
        let body: Value = response.json().await.map_err(|_| Unanswered::Broken)?;
        let turn = Turn {
            said,
            session: text(&body, "session_id"),
            message: text(&body, "user_message_id"),
            reply: text(&body, "message_id"),
            response: text(&body, "response"),
            position,
        };
        assert!(session.is_none_or(|session| session == turn.session), "{} is in another session", self.name);
        let mut book = self.book();
        assert!(book.known().1 < turn.position, "{} has gone back in the log: {turn:?}", self.name);
        book.turns.push(turn);
        Ok(())
    }

    fn say(&self, dice: &mut Dice) -> (usize, String) {
        let mut book = self.book();
        let said = book.said.len();
        let message = format!("{} says {said}{}", self.name, "!".repeat(dice.below(200)));
        book.said.push(message.clone());
        (said, message)
    }

    fn some_session(&self, dice: &mut Dice) -> Option<String> {
        let sessions = self.sessions();
        let another = sessions.len() < SESSIONS && dice.below(8) == 0;
        sessions.get(dice.below(sessions.len())).filter(|_| !another).cloned()
    }

    fn sessions(&self) -> Vec<String> {
        let mut sessions: Vec<_> = self.book().turns.iter().map(|turn| turn.session.clone()).collect();
        sessions.sort_unstable();
        sessions.dedup();
        sessions
    }

    fn some_node(&self, dice: &mut Dice) -> &str {
        self.nodes.get(dice.below(self.nodes.len())).map_or("", String::as_str)
    }

    /// Reads the whole history. One that is promised to have all that was acknowledged before has it.
    pub async fn look_back(&self, dice: &mut Dice) -> Result<Reading, Unanswered> {
        let (known, position) = self.book().known();
        let node = self.some_node(dice).to_owned();
        let limit = if dice.below(4) == 0 { 50 } else { 1_000 };
        let reading = self.read(&node, position, limit, None).await?;
        if !reading.behind {
            let checked = self.book().check(known, &reading.shown);
            checked.unwrap_or_else(|fault| panic!("{} at {position}, from {node}: {fault}", self.name));
        }
        Ok(reading)
    }

    /// The whole history, or one conversation's, page by page from its end.
    async fn read(
        &self,
        node: &str,
        position: i64,
        limit: usize,
        session: Option<&str>,
    ) -> Result<Reading, Unanswered> {
        let mut query = vec![("limit", limit.to_string())];
        query.extend(session.map(|session| ("session_id", session.to_owned())));
        let (mut pages, mut reading) = (Vec::new(), Reading::default());
        loop {
            let request = self.client.get(format!("{node}/api/v1/chat/history")).query(&query);
            let response = self.send(request.header("x-min-position", position)).await?;
            reading.behind |= header(&response, "x-projection-lag").is_some();
            let page: Value = response.json().await.map_err(|_| Unanswered::Broken)?;
            reading.total = page.get("total").and_then(Value::as_u64).expect("a total");
            let messages = page.get("messages").and_then(Value::as_array).expect("messages");
            pages.push(messages.iter().map(Shown::of).collect::<Vec<_>>());
            let Some(before) = page.get("next").and_then(Value::as_str) else { break };
            query.retain(|(name, _)| *name != "before");
            query.push(("before", before.to_owned()));
        }
        reading.shown = pages.into_iter().rev().flatten().collect();
        Ok(reading)
    }

    /// Sends a request as this user. What is answered is a success or 503; whatever else is a fault.
    async fn send(&self, request: RequestBuilder) -> Result<Response, Unanswered> {
        let response = match request.bearer_auth(&self.token).send().await {
            Ok(response) => response,
            Err(error) if error.is_timeout() => panic!("{} was not answered: {error:?}", self.name),
            Err(_) => return Err(Unanswered::Broken),
        };
        match response.status() {
            StatusCode::OK => Ok(response),
            StatusCode::SERVICE_UNAVAILABLE => {
                assert!(header(&response, "retry-after").is_some_and(|seconds| seconds > 0), "{response:?}");
                Err(Unanswered::Refused)
            }
            _ => panic!("{} was answered {:?}: {:?}", self.name, response.status(), response.text().await),
        }
    }

    /// The history once it is promised to be up to date, which it must come to be.
    pub async fn up_to_date(&self, node: &str, session: Option<&str>) -> Reading {
        let ((_, position), deadline) = (self.book().known(), Instant::now() + PATIENCE);
        let mut pause = interval(PAUSE);
        loop {
            let read = self.read(node, position, 500, session).await;
            match read {
                Ok(reading) if !reading.behind => return reading,
                other => assert!(Instant::now() < deadline, "{} never has all: {other:?}", self.name),
            }
            pause.tick().await;
        }
    }

    /// The history has what was acknowledged, as a whole, and each conversation for itself. For when all is projected.
    pub async fn check(&self, node: &str) {
        let whole = self.up_to_date(node, None).await;
        let checked = self.book().check_all(&whole.shown);
        checked.unwrap_or_else(|fault| panic!("{}: {fault}", self.name));
        assert_eq!(whole.total, whole.shown.len() as u64, "the total of {}", self.name);
        for session in self.sessions() {
            let part = self.up_to_date(node, Some(&session)).await;
            let of_whole: Vec<_> = whole.shown.iter().filter(|message| message.session == session).collect();
            assert_eq!(part.shown.iter().collect::<Vec<_>>(), of_whole, "session {session} of {}", self.name);
            assert_eq!(part.total, part.shown.len() as u64, "the total of session {session}");
        }
    }
}

/// Posts before there are faults, or after them: the answer must be as it should.
async fn ask(client: &Client, nodes: &[String], path: &str, body: &Value, status: StatusCode) -> Value {
    let node = nodes.first().expect("a node");
    let answer = client.post(format!("{node}{path}")).json(body).send().await;
    let answer = answer.unwrap_or_else(|error| panic!("{path}: {error:?}"));
    assert_eq!(answer.status(), status, "{path}");
    answer.json().await.expect("JSON")
}

fn header(response: &Response, name: &str) -> Option<i64> {
    response.headers().get(name)?.to_str().ok()?.parse().ok()
}

fn text(body: &Value, field: &str) -> String {
    let found = body.get(field).and_then(Value::as_str);
    found.unwrap_or_else(|| panic!("no {field} in {body}")).to_owned()
}
