//! An answer of a fake provider: a script, played on a socket in a vendor's words.

use std::io;

use tokio::io::AsyncWriteExt;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::watch;
use tokio::time::sleep;

use super::dialect::{Dialect, Said, Usage};
use super::http::{chunk, head};
use super::script::{Script, Step, micros};
use super::{Asked, DIMENSION};

pub(super) struct Answer<'a> {
    writer: &'a mut OwnedWriteHalf,
    asked: &'a Asked,
    dialect: &'static dyn Dialect,
    said: Said,
    /// What takes the place of a body that is no stream.
    raw: Vec<u8>,
    streamed: bool,
    begun: bool,
    releases: watch::Receiver<usize>,
    passed: usize,
    /// Where it is written down what was embedded.
    embedded: Option<&'a watch::Sender<Vec<String>>>,
}

/// What becomes of the connection.
pub(super) enum Then {
    Next,
    Close,
}

/// How the steps came to their end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Whole,
    Truncated,
    Cut,
}

impl<'a> Answer<'a> {
    pub fn new(
        writer: &'a mut OwnedWriteHalf,
        asked: &'a Asked,
        dialect: &'static dyn Dialect,
        releases: watch::Receiver<usize>,
        passed: usize,
    ) -> Self {
        let (said, raw) = (Said::default(), Vec::new());
        Self { writer, asked, dialect, said, raw, streamed: false, begun: false, releases, passed, embedded: None }
    }

    pub fn embeds_for(&mut self, embedded: &'a watch::Sender<Vec<String>>) {
        if !self.asked.texts.is_empty() {
            self.said.dimension = Some(DIMENSION);
            self.embedded = Some(embedded);
        }
    }

    pub fn into_text(self) -> String {
        self.said.text
    }

    /// Does what the script says. An error is a client that is gone.
    pub async fn give(&mut self, script: &Script) -> io::Result<Then> {
        self.streamed = self.asked.stream && is_success(script);
        if script.begins_at_once() {
            self.begin(script).await?;
        }
        let end = self.steps(script).await?;
        match end {
            End::Cut if !self.begun => return Ok(Then::Close),
            End::Cut | End::Truncated | End::Whole => self.begin(script).await?,
        }
        if self.streamed {
            self.end_stream(end).await?;
        } else {
            self.send_whole(script, end).await?;
        }
        Ok(if end == End::Cut { Then::Close } else { Then::Next })
    }

    async fn steps(&mut self, script: &Script) -> io::Result<End> {
        for step in &script.steps {
            match step {
                Step::Text(text) => self.text(text).await?,
                Step::Clock => self.text(&format!("{} ", micros())).await?,
                Step::Wait(duration) => sleep(*duration).await,
                Step::Gate => self.gate().await?,
                Step::Usage { prompt, completion } => self.usage(*prompt, *completion).await?,
                Step::Finish(reason) => self.finish(reason).await?,
                Step::Vectors(dimension) => self.said.dimension = Some(*dimension),
                Step::Raw(bytes) if self.streamed => self.write(bytes).await?,
                Step::Raw(bytes) => self.raw.extend_from_slice(bytes),
                Step::Head => self.begin(script).await?,
                Step::Cut => return Ok(End::Cut),
                Step::Truncate => return Ok(End::Truncated),
            }
        }
        Ok(End::Whole)
    }

    /// Sends the head of a stream, once. The head of what has a length goes out with it.
    async fn begin(&mut self, script: &Script) -> io::Result<()> {
        if !self.begun && self.streamed {
            let own = [
                ("content-type", "text/event-stream; charset=utf-8"),
                ("cache-control", "no-cache"),
                ("transfer-encoding", "chunked"),
            ];
            self.writer.write_all(head(script.status, &script.headers, &own).as_bytes()).await?;
        }
        self.begun = true;
        Ok(())
    }

    async fn text(&mut self, text: &str) -> io::Result<()> {
        if self.streamed {
            let event = self.dialect.text(self.asked, &self.said, text);
            self.write(event.as_bytes()).await?;
        }
        self.said.begun = true;
        self.said.text.push_str(text);
        Ok(())
    }

    async fn gate(&mut self) -> io::Result<()> {
        self.passed += 1;
        let (mut releases, passed) = (self.releases.clone(), self.passed);
        releases.wait_for(|releases| *releases >= passed).await.map_err(io::Error::other)?;
        Ok(())
    }

    async fn usage(&mut self, prompt: u64, completion: u64) -> io::Result<()> {
        self.said.usage = Some(Usage { prompt, completion });
        if !self.streamed || self.said.finish.is_none() {
            return Ok(());
        }
        let event = self.dialect.usage(self.asked, &self.said);
        self.write(event.as_bytes()).await
    }

    async fn finish(&mut self, reason: &'static str) -> io::Result<()> {
        self.said.finish = Some(reason);
        if !self.streamed {
            return Ok(());
        }
        let event = self.dialect.finish(self.asked, &self.said);
        self.write(event.as_bytes()).await
    }

    /// One chunk, in one write. An empty one would end the body.
    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.writer.write_all(&chunk(bytes)).await
    }

    async fn end_stream(&mut self, end: End) -> io::Result<()> {
        match end {
            // Announces more than it sends.
            End::Cut => return self.writer.write_all(b"100\r\ndata: {").await,
            End::Whole if self.said.finish.is_some() => self.write(self.dialect.end().as_bytes()).await?,
            End::Whole | End::Truncated => {}
        }
        self.writer.write_all(b"0\r\n\r\n").await
    }

    async fn send_whole(&mut self, script: &Script, end: End) -> io::Result<()> {
        let body = self.body(script);
        let (half, _) = body.split_at(body.len() / 2);
        let (length, sent) = match end {
            End::Whole => (body.len(), body.as_slice()),
            End::Truncated => (half.len(), half),
            End::Cut => (body.len(), half),
        };
        let length = length.to_string();
        let own = [("content-type", "application/json"), ("content-length", length.as_str())];
        let mut bytes = head(script.status, &script.headers, &own).into_bytes();
        bytes.extend_from_slice(sent);
        self.writer.write_all(&bytes).await
    }

    fn body(&mut self, script: &Script) -> Vec<u8> {
        if !self.raw.is_empty() {
            return std::mem::take(&mut self.raw);
        }
        if is_success(script) {
            if let Some(embedded) = self.embedded {
                embedded.send_modify(|all| all.extend(self.asked.texts.iter().cloned()));
            }
            return self.dialect.whole(self.asked, &self.said).to_string().into_bytes();
        }
        let retry = script.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("retry-after"));
        let retry = retry.map(|(_, seconds)| seconds.as_str());
        let told = self.said.text.as_str();
        let message = if told.is_empty() { "The fake provider was told to fail." } else { told };
        self.dialect.error(script.status, message, retry).to_string().into_bytes()
    }
}

fn is_success(script: &Script) -> bool {
    (200..300).contains(&script.status)
}
