//! What goes over one socket: one thing is asked after the other, and meanwhile the replies go on.

use std::time::Duration;

use axum::extract::ws::{Message, WebSocket};
use domain::ids::MessageId;
use domain::values::Scope;
use futures::FutureExt;
use futures::future::{BoxFuture, OptionFuture};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until, timeout};

use super::asked::Asked;
use super::close::Close;
use super::running::Running;
use crate::app::App;
use crate::extract::Caller;
use crate::problem::{Problem, SocketProblem};
use crate::routes::frames::Frames;
use crate::routes::posting::Wanted;
use crate::routes::{replies, replying, streams};

pub(super) struct Talk {
    app: App,
    caller: Caller,
    running: Running,
    /// What was asked last, while it is being done.
    doing: Option<BoxFuture<'static, Done>>,
    speaks_by: Instant,
}

/// However silent a socket, something is sent after so long: whoever is between does not think that nobody is there.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How long it may take to do what was asked.
const LONGEST: Duration = Duration::from_secs(30);

/// What came of something that was asked.
enum Done {
    Watched(MessageId, Box<Frames>),
    Stopped,
    Failed(Option<MessageId>, Problem),
    Expired,
}

/// What came first.
enum Came {
    Message(Option<Result<Message, axum::Error>>),
    Done(Done),
    Frame(Value),
    Silence,
}

impl Talk {
    pub(super) fn of(app: App, caller: Caller) -> Self {
        Self { app, caller, running: Running::default(), doing: None, speaks_by: Instant::now() + HEARTBEAT }
    }

    /// Talks until there is nothing more to say.
    pub(super) async fn run(mut self, socket: &mut WebSocket) -> Close {
        loop {
            let (said, close) = match self.came(socket).await {
                Came::Message(None | Some(Ok(Message::Close(_)))) => return Close::Gone,
                Came::Message(Some(Err(error))) => return Close::of(error),
                Came::Message(Some(Ok(message))) => (self.take(message), None),
                Came::Done(Done::Expired) => {
                    (Some(failed(None, SocketProblem::TokenExpired.into())), Some(Close::SignedOut))
                }
                Came::Done(done) => (self.done(done), None),
                Came::Frame(frame) => (Some(frame), None),
                Came::Silence => (Some(json!({"type": "heartbeat"})), None),
            };
            if let Some(said) = said {
                if socket.send(Message::text(said.to_string())).await.is_err() {
                    return Close::Gone;
                }
                self.speaks_by = Instant::now() + HEARTBEAT;
            }
            if let Some(close) = close {
                return close;
            }
        }
    }

    async fn came(&mut self, socket: &mut WebSocket) -> Came {
        let is_free = self.doing.is_none();
        tokio::select! {
            message = socket.recv(), if is_free => Came::Message(message),
            Some(done) = OptionFuture::from(self.doing.as_mut()) => {
                self.doing = None;
                Came::Done(done)
            }
            frame = self.running.next() => Came::Frame(frame),
            () = sleep_until(self.speaks_by) => Came::Silence,
        }
    }

    /// Begins what is asked, or says what is wrong with it.
    fn take(&mut self, message: Message) -> Option<Value> {
        let asked = match message {
            Message::Text(text) => Asked::parse(&text),
            Message::Binary(_) => Err(Problem::invalid("frame", "must be text")),
            Message::Ping(_) | Message::Pong(_) | Message::Close(_) => return None,
        };
        match asked {
            Ok(asked) if asked.is_for_more() && self.running.are_too_many() => {
                Some(failed(asked.reply(), SocketProblem::TooManyReplies.into()))
            }
            Ok(asked) => {
                let is_watched = asked.reply().is_some_and(|id| self.running.have(id));
                self.doing = Some(carry_out(self.app.clone(), self.caller.clone(), asked, is_watched).boxed());
                None
            }
            Err(problem) => Some(failed(None, problem)),
        }
    }

    fn done(&mut self, done: Done) -> Option<Value> {
        match done {
            Done::Watched(id, frames) => self.running.add(id, *frames),
            Done::Stopped | Done::Expired => {}
            Done::Failed(id, problem) => return Some(failed(id, problem)),
        }
        None
    }
}

fn failed(id: Option<MessageId>, problem: Problem) -> Value {
    let problem = problem.into_json();
    match id {
        Some(id) => json!({"type": "error", "id": id, "problem": problem}),
        None => json!({"type": "error", "problem": problem}),
    }
}

async fn carry_out(app: App, caller: Caller, asked: Asked, is_watched: bool) -> Done {
    let reply = asked.reply();
    let done = timeout(LONGEST, try_to(app, caller, asked, is_watched)).await.unwrap_or(Err(Problem::TooSlow));
    done.unwrap_or_else(|problem| Done::Failed(reply, problem))
}

async fn try_to(app: App, caller: Caller, asked: Asked, is_watched: bool) -> Result<Done, Problem> {
    if !caller.would_be_let_in(&app).await? {
        return Ok(Done::Expired);
    }
    match asked {
        Asked::Post(request, key) => {
            let posted = request.post(&app, &caller, key, Wanted::Reply).await?;
            let id = posted.turn.reply;
            Ok(Done::Watched(id, Box::new(streams::frames_of(app, caller, posted).await?)))
        }
        Asked::Stop(id) => {
            replies::stop_reply(&app, &caller, id).await?;
            // Who watches it hears of its end anyhow.
            if is_watched {
                return Ok(Done::Stopped);
            }
            Ok(Done::Watched(id, Box::new(watch(app, caller, id, usize::MAX).await?)))
        }
        Asked::Resume { id, after } => {
            if !caller.scopes.include(Scope::ChatRead) {
                return Err(Problem::Forbidden);
            }
            Ok(Done::Watched(id, Box::new(watch(app, caller, id, after).await?)))
        }
    }
}

/// A reply from some frame on; the end comes at any rate.
async fn watch(app: App, caller: Caller, id: MessageId, after: usize) -> Result<Frames, Problem> {
    let (reply, watch) = replying::watch(&app, caller.user, id).await?;
    Ok(Frames::of(app, caller, id, reply, watch, after))
}
