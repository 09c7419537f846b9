//! What a child says: drained by a thread of its own, so that the child never blocks, and kept in part.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, PipeReader};
use std::thread;

use tokio::sync::watch;

/// How many of the last lines are kept.
const KEPT: usize = 10_000;

/// The lines of one child. It is open as long as any process holds the writing end of the pipe.
pub struct Log {
    lines: watch::Receiver<VecDeque<String>>,
}

impl Log {
    pub fn drain(reader: PipeReader) -> Self {
        let (sender, lines) = watch::channel(VecDeque::new());
        thread::spawn(move || {
            for line in BufReader::new(reader).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).into_owned();
                sender.send_modify(|kept| push(kept, line));
            }
        });
        Self { lines }
    }

    /// The first line that contains these words, as soon as it is there; none if the log ends without it.
    pub async fn line_with(&self, words: &str) -> Option<String> {
        let mut lines = self.lines.clone();
        let kept = lines.wait_for(|kept| find(kept, words).is_some()).await;
        kept.ok().and_then(|kept| find(&kept, words).cloned())
    }

    /// Waits until the last process that could write here is gone.
    pub async fn closed(&self) {
        let mut lines = self.lines.clone();
        while lines.changed().await.is_ok() {}
    }

    pub fn text(&self) -> String {
        let lines = self.lines.borrow();
        lines.iter().map(String::as_str).collect::<Vec<_>>().join("\n")
    }
}

fn push(kept: &mut VecDeque<String>, line: String) {
    if kept.len() == KEPT {
        kept.pop_front();
    }
    kept.push_back(line);
}

fn find<'a>(kept: &'a VecDeque<String>, words: &str) -> Option<&'a String> {
    kept.iter().find(|line| line.contains(words))
}
