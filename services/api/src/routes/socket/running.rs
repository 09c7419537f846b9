//! The replies that run over one socket, in turns.

use std::future::pending;

use domain::ids::MessageId;
use futures::future::select_all;
use serde_json::{Map, Value, json};

use crate::routes::frames::{Frame, Frames};

#[derive(Default)]
pub(super) struct Running(Vec<(MessageId, Frames)>);

/// So many replies at once.
const MOST: usize = 16;

impl Running {
    pub(super) const fn are_too_many(&self) -> bool {
        self.0.len() >= MOST
    }

    pub(super) fn have(&self, id: MessageId) -> bool {
        self.0.iter().any(|(running, _)| *running == id)
    }

    /// One more; who asks anew for one that runs gets it as it was asked for last.
    pub(super) fn add(&mut self, id: MessageId, frames: Frames) {
        self.0.retain(|(running, _)| *running != id);
        self.0.push((id, frames));
    }

    /// The next frame of any. May be dropped and asked again.
    pub(super) async fn next(&mut self) -> Value {
        while !self.0.is_empty() {
            let (frame, at, others) = select_all(self.0.iter_mut().map(|(_, frames)| Box::pin(frames.next()))).await;
            drop(others);
            // Who has spoken waits until the others have.
            let (id, frames) = self.0.remove(at);
            if !frames.are_over() {
                self.0.push((id, frames));
            }
            if let Some(frame) = frame {
                return shown(id, frame);
            }
        }
        pending().await
    }
}

fn shown(id: MessageId, frame: Frame) -> Value {
    let Frame { name, seq, data } = frame;
    let mut fields = if let Value::Object(fields) = data { fields } else { Map::new() };
    fields.extend(
        [("type", json!(name)), ("seq", json!(seq)), ("id", json!(id))].map(|(name, it)| (name.to_owned(), it)),
    );
    Value::Object(fields)
}
