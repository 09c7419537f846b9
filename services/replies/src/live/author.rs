//! `provider ─▶ text`: whoever makes a reply, and says it piece by piece to all who watch.

use std::sync::Arc;

use nats::{Chunk, Speaker};

use super::{Growing, Live, hear};

/// The one who makes a reply.
#[derive(Debug)]
pub(crate) struct Author {
    growing: Arc<Growing>,
    live: Live,
    speaker: Speaker,
    /// In bytes.
    said: u64,
}

/// Whoever goes on may be elsewhere.
impl Drop for Author {
    fn drop(&mut self) {
        self.growing.locked().made_here = false;
        if Arc::strong_count(&self.growing) > 1 {
            hear(&self.live.0, &self.growing);
        }
    }
}

impl Author {
    pub(super) fn new(growing: Arc<Growing>, live: Live) -> Self {
        let speaker = live.0.bus.speaker(growing.reply);
        Self { growing, live, speaker, said: 0 }
    }

    pub(crate) fn say(&mut self, text: String) {
        let chunk = Chunk { at: self.said, text };
        self.said = chunk.end();
        // First: should this process die now, nobody has seen what nobody can find again.
        self.speaker.tell(&chunk);
        self.growing.take(&chunk);
    }

    /// All that was said so far.
    pub(crate) fn text(&self) -> String {
        self.growing.locked().text.clone()
    }
}
