//! A reply, frame by frame, for server-sent events and sockets alike.
//!
//! A frame's number is 1 for the start, and 1 more than the bytes of text up to its end for a piece: whoever has frame `n`
//! has `n - 1` bytes, on any node.

use std::time::Duration;

use domain::chat::reply::{Ending, Interruption, ReplyTo};
use domain::ids::{ConversationId, MessageId};
use replies::{Ended, News, Watch};
use serde::Serialize;
use serde_json::{Value, json};
use store::Position;
use tokio::time::{Instant, Interval, interval, sleep_until};

use super::replying::{ShownUsage, finish_of};
use crate::app::App;
use crate::caller::Caller;

/// What a watcher is sent.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) name: &'static str,
    pub(super) seq: usize,
    pub(crate) data: Value,
}

/// The frames of one reply, from the first that the watcher has not.
pub(crate) struct Frames {
    app: App,
    caller: Caller,
    id: MessageId,
    reply: ReplyTo,
    watch: Watch,
    /// Up to which byte the watcher has the text.
    from: usize,
    next: Next,
    looks: Interval,
    speaks_by: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Start,
    Rest,
    Nothing,
}

/// However silent a reply, something is sent after so long: whoever is between does not think that nobody is there.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How often it is looked whether the watcher may still watch.
const LOOK: Duration = Duration::from_millis(500);

/// How a reply ended.
#[derive(Serialize)]
struct End<'a> {
    id: MessageId,
    session_id: ConversationId,
    user_message_id: MessageId,
    model: &'a str,
    usage: ShownUsage,
    #[serde(skip_serializing_if = "Option::is_none")]
    finish_reason: Option<&'static str>,
    #[serde(flatten)]
    interruption: Option<ShownInterruption>,
    /// For `X-Min-Position`, on another node.
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<Position>,
}

#[derive(Serialize)]
struct ShownInterruption {
    reason: Interruption,
    retryable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u32>,
}

fn interruption(ending: Ending) -> Option<ShownInterruption> {
    match ending {
        Ending::Interrupted { reason, retry_after_seconds } => {
            Some(ShownInterruption { reason, retryable: reason.is_retryable(), retry_after: retry_after_seconds })
        }
        Ending::Completed { .. } | Ending::Stopped => None,
    }
}

/// What came first.
enum Came {
    News(News),
    Revoked,
    Silence,
}

impl Frames {
    /// `after` is the last frame that the watcher has.
    pub(super) fn of(app: App, caller: Caller, id: MessageId, reply: ReplyTo, watch: Watch, after: usize) -> Self {
        let next = if after == 0 { Next::Start } else { Next::Rest };
        let (from, speaks_by) = (after.saturating_sub(1), Instant::now() + HEARTBEAT);
        Self { app, caller, id, reply, watch, from, next, looks: interval(LOOK), speaks_by }
    }

    /// Whether the last frame has been given.
    pub(super) fn are_over(&self) -> bool {
        self.next == Next::Nothing
    }

    /// The next frame; `None` after the last. May be dropped and asked again.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        match self.next {
            Next::Start => {
                self.next = Next::Rest;
                Some(self.frame(
                    "message.started",
                    1,
                    json!({"id": self.id, "session_id": self.reply.conversation, "user_message_id": self.reply.to}),
                ))
            }
            Next::Rest => Some(match self.came().await {
                Came::News(news) => self.news(news),
                Came::Revoked => {
                    self.next = Next::Nothing;
                    let problem =
                        json!({"code": "auth_revoked", "detail": "What was shown to sign in is good no more."});
                    self.frame("error", self.from + 1, json!({"problem": problem}))
                }
                Came::Silence => self.frame("heartbeat", self.from + 1, json!({})),
            }),
            Next::Nothing => None,
        }
    }

    async fn came(&mut self) -> Came {
        loop {
            tokio::select! {
                news = self.watch.next(self.from) => return Came::News(news),
                _ = self.looks.tick() => if !self.caller.is_still_in(&self.app) { return Came::Revoked },
                () = sleep_until(self.speaks_by) => return Came::Silence,
            }
        }
    }

    fn news(&mut self, news: News) -> Frame {
        self.from = news.upto;
        match news.ended {
            // The text first; the end is found again at once.
            Some(ended) if news.text.is_empty() => {
                self.next = Next::Nothing;
                self.end(&ended)
            }
            Some(_) | None => {
                let seq = self.from + 1;
                self.frame("delta", seq, json!({"seq": seq, "text": news.text}))
            }
        }
    }

    fn end(&mut self, ended: &Ended) -> Frame {
        // Who has seen the end sees it in the history as well.
        self.app.own_writes.note(self.caller.user, ended.position);
        let said = &ended.said;
        let name = match ended.ending {
            Ending::Completed { .. } => "message.completed",
            Ending::Stopped => "message.stopped",
            Ending::Interrupted { .. } => "message.interrupted",
        };
        let end = End {
            id: self.id,
            session_id: self.reply.conversation,
            user_message_id: self.reply.to,
            model: &said.model,
            usage: said.usage.into(),
            finish_reason: finish_of(ended),
            interruption: interruption(ended.ending),
            position: ended.position,
        };
        let data = serde_json::to_value(end).unwrap_or_default();
        self.frame(name, self.from + 2, data)
    }

    fn frame(&mut self, name: &'static str, seq: usize, data: Value) -> Frame {
        self.speaks_by = Instant::now() + HEARTBEAT;
        Frame { name, seq, data }
    }
}
