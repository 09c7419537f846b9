//! A completion as it grows: the canonical frames as OpenAI's chunks.

use std::convert::Infallible;

use axum::response::Response;
use domain::chat::message::Message;
use domain::chat::reply::Interruption;
use domain::ids::MessageId;
use futures::stream::unfold;
use serde_json::{Value, json};

use super::completions::{finish, id};
use super::refusal;
use crate::app::App;
use crate::commands::{Answer, Turn};
use crate::extract::Caller;
use crate::problem::{Problem, ReplyProblem};
use crate::routes::Sockets;
use crate::routes::frames::{Frame, Frames};
use crate::routes::posting::Posted;
use crate::routes::streams::{frames_of, streamed};
use crate::time::Time;

/// What all chunks of a reply begin with.
struct Head {
    reply: MessageId,
    created: i64,
    /// The one that was asked for; the last chunk says who it was.
    model: String,
}

impl Head {
    /// Of what came before, as it was then.
    async fn of(app: &App, turn: &Turn, model: String) -> Result<Self, Problem> {
        let mut at = turn.at;
        if turn.answer == Answer::Repeated {
            at = app.log.since_began::<Message>(turn.reply).await?.first().map_or(at, |first| first.recorded_at);
        }
        Ok(Self { reply: turn.reply, created: Time(at).seconds(), model })
    }
}

pub(super) async fn answer(
    app: App,
    caller: Caller,
    sockets: Sockets,
    posted: Posted,
    model: String,
    includes_usage: bool,
) -> Result<Response, Problem> {
    let (position, head) = (posted.position, Head::of(&app, &posted.turn, model).await?);
    let frames = frames_of(app, caller, posted).await?;
    let mut chunks = Chunks { frames, sockets, head, includes_usage, is_over: false };
    let begun = chunks.begin().await?;
    let pieces = unfold((Some(begun), chunks), |(begun, mut chunks)| async move {
        let piece = match begun {
            Some(begun) => begun,
            None => chunks.next().await?,
        };
        Some((Ok::<_, Infallible>(piece), (None, chunks)))
    });
    Ok(streamed(pieces, position))
}

struct Chunks {
    frames: Frames,
    sockets: Sockets,
    head: Head,
    includes_usage: bool,
    is_over: bool,
}

impl Chunks {
    /// The start, and what comes first: a failure before the first word is told by the answer's status.
    async fn begin(&mut self) -> Result<String, Problem> {
        let mut begun = String::new();
        for _ in 0..2 {
            let Some(frame) = self.frame().await? else { break };
            match frame.name {
                "message.interrupted" => return Err(self.failure(&frame.data)),
                "error" => return Err(Problem::BadToken),
                _ => begun += &self.piece(&frame),
            }
        }
        Ok(begun)
    }

    /// What goes out next.
    async fn next(&mut self) -> Option<String> {
        if self.is_over {
            return None;
        }
        match self.frame().await {
            Ok(frame) => Some(self.piece(&frame?)),
            Err(problem) => Some(self.broken(problem)),
        }
    }

    /// These clients take a stream that just ends for a reply that is complete: when the process ends, they are told.
    async fn frame(&mut self) -> Result<Option<Frame>, Problem> {
        let frame = self.sockets.closing().run_until_cancelled(self.frames.next()).await;
        frame.ok_or_else(|| ReplyProblem::Pending(self.head.reply).into())
    }

    fn piece(&mut self, Frame { name, data, .. }: &Frame) -> String {
        match *name {
            "message.started" => self.chunk(&json!({"role": "assistant", "content": ""}), None),
            "delta" => self.chunk(&json!({"content": data.get("text")}), None),
            "message.completed" | "message.stopped" => self.end(data),
            "message.interrupted" => self.broken(self.failure(data)),
            "error" => self.broken(Problem::BadToken),
            // Nothing that a client would hear of.
            _ => ": still here\n\n".to_owned(),
        }
    }

    fn end(&mut self, data: &Value) -> String {
        let word = |name| data.get(name).and_then(Value::as_str).unwrap_or_default();
        word("model").clone_into(&mut self.head.model);
        let mut end = self.chunk(&json!({}), Some(finish(word("finish_reason"))));
        if self.includes_usage {
            end += &self.event(&json!([]), data.get("usage"));
        }
        self.is_over = true;
        end + "data: [DONE]\n\n"
    }

    fn failure(&self, data: &Value) -> Problem {
        let reason = data.get("reason").and_then(Value::as_str).and_then(|word| word.parse().ok());
        let reason = reason.unwrap_or(Interruption::ProviderFailed);
        let retry_after =
            data.get("retry_after").and_then(Value::as_u64).and_then(|seconds| u32::try_from(seconds).ok());
        ReplyProblem::Failed { reply: self.head.reply, reason, retry_after }.into()
    }

    fn broken(&mut self, problem: Problem) -> String {
        self.is_over = true;
        let (status, told) = problem.told();
        let (_, refusal) = refusal(status, &told);
        format!("data: {}\n\n", json!(refusal))
    }

    fn chunk(&self, delta: &Value, finish_reason: Option<&str>) -> String {
        let choice = json!({"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish_reason});
        self.event(&json!([choice]), None)
    }

    fn event(&self, choices: &Value, usage: Option<&Value>) -> String {
        let Head { reply, created, model } = &self.head;
        let mut chunk = json!({
            "id": id(*reply),
            "object": "chat.completion.chunk",
            "created": created,
            "model": model,
            "choices": choices,
        });
        if let (true, Some(chunk)) = (self.includes_usage, chunk.as_object_mut()) {
            chunk.insert("usage".to_owned(), json!(usage));
        }
        format!("data: {chunk}\n\n")
    }
}
