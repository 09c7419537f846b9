//! What a fake provider does with a request: its words, its pauses and its faults, in order.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// The answer to one request. Where the request wants no stream, the pauses are kept and the words come at the end.
#[derive(Debug, Clone)]
pub struct Script {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub steps: Vec<Step>,
}

#[derive(Debug, Clone)]
pub enum Step {
    /// One delta. An empty one is what OpenAI begins with: a role, and no word yet.
    Text(String),
    /// One delta: `micros()` at the moment of writing, and a space.
    Clock,
    Wait(Duration),
    /// Until `FakeProvider::release`.
    Gate,
    /// Said where the vendor says it: by OpenAI after the finish, by Gemini in every event from here on.
    Usage {
        prompt: u64,
        completion: u64,
    },
    /// `stop`, `length`, `content_filter`: each vendor says it in its own word. The script's end is then the stream's.
    Finish(&'static str),
    /// Vectors of so many numbers, for a request that asks for some. Where that is all, the usual ones need not be told.
    Vectors(usize),
    /// These bytes, as they are, among the events. What is no stream, or fails, has them for its whole body.
    Raw(Vec<u8>),
    /// The head goes out here. A script without it sends the head at once, as the vendors do.
    Head,
    /// Closes the socket, in the middle of a chunk; or with nothing said at all, where the head has not gone out or this
    /// is the first step.
    Cut,
    /// Ends the HTTP body in order, but not the answer that it carries.
    Truncate,
}

/// Microseconds since this process first asked, for those who measure how long a delta is under way.
pub fn micros() -> u64 {
    static EPOCH: OnceLock<Instant> = OnceLock::new();
    let since = EPOCH.get_or_init(Instant::now).elapsed();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// How much a delta of a huge answer holds.
const PIECE: usize = 16 << 10;

impl Script {
    pub fn of(steps: Vec<Step>) -> Self {
        Self { status: 200, headers: Vec::new(), steps }
    }

    /// These deltas at once, with usage (a token for each) and the finish `stop`.
    pub fn says(deltas: &[&str]) -> Self {
        Self::of(deltas.iter().map(|delta| Step::Text((*delta).to_owned())).collect()).and_ends(deltas.len())
    }

    /// What a provider says to whom nothing else was told.
    pub(super) fn echo(message: &str) -> Self {
        let words = format!("You said: {message}");
        Self::says(&words.split_inclusive(' ').collect::<Vec<_>>())
    }

    /// An error in the vendor's own words.
    pub fn fails(status: u16) -> Self {
        Self { status, ..Self::of(Vec::new()) }
    }

    pub fn rate_limited(retry_after_seconds: u64) -> Self {
        Self::fails(429).header("retry-after", &retry_after_seconds.to_string())
    }

    /// Vectors, for a request that asks for some.
    pub fn vectors() -> Self {
        Self::of(Vec::new())
    }

    /// A stream of something else.
    pub fn garbage() -> Self {
        Self::of(vec![Step::Raw(b"data: }{ this is not JSON\n\n".to_vec())])
    }

    /// That many bytes of text, in deltas of 16 KiB.
    pub fn huge(bytes: usize) -> Self {
        let sizes = (0..bytes).step_by(PIECE).map(|begin| PIECE.min(bytes - begin));
        let deltas: Vec<_> = sizes.map(|size| Step::Text("x".repeat(size))).collect();
        let count = deltas.len();
        Self::of(deltas).and_ends(count)
    }

    /// That many bytes of one event that never ends.
    pub fn endless_line(bytes: usize) -> Self {
        let sizes = (0..bytes).step_by(PIECE).map(|begin| PIECE.min(bytes - begin));
        Self::of(sizes.map(|size| Step::Raw(vec![b'x'; size])).collect())
    }

    /// Takes the request and says nothing: not even a head, until it is released.
    pub fn silent() -> Self {
        Self::of(vec![Step::Gate, Step::Head]).and_ends(0)
    }

    /// Words and then silence until it is released, with a proper end.
    pub fn stalls_after(deltas: &[&str]) -> Self {
        let mut script = Self::says(deltas);
        script.steps.insert(deltas.len(), Step::Gate);
        script
    }

    /// Words, and then the connection breaks.
    pub fn cut_after(deltas: &[&str]) -> Self {
        Self::says(deltas).with(deltas.len(), Step::Cut)
    }

    /// Words, and then the body ends as if that were all.
    pub fn truncated_after(deltas: &[&str]) -> Self {
        Self::says(deltas).with(deltas.len(), Step::Truncate)
    }

    /// A delta at once, and one more after each pause.
    pub fn ticking(deltas: usize, every: Duration) -> Self {
        Self::paced(deltas, every, || Step::Text("tick ".to_owned()))
    }

    /// Like `ticking`, and each delta says when it was written.
    pub fn clocked(deltas: usize, every: Duration) -> Self {
        micros();
        Self::paced(deltas, every, || Step::Clock)
    }

    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The first so many steps, and then this one instead of the rest.
    #[must_use]
    pub fn with(mut self, steps: usize, last: Step) -> Self {
        self.steps.truncate(steps);
        self.steps.push(last);
        self
    }

    fn paced(deltas: usize, every: Duration, delta: impl Fn() -> Step) -> Self {
        let steps = (0..deltas).flat_map(|n| (n > 0).then_some(Step::Wait(every)).into_iter().chain([delta()]));
        Self::of(steps.collect()).and_ends(deltas)
    }

    fn and_ends(mut self, tokens: usize) -> Self {
        self.steps.push(Step::Usage { prompt: 7, completion: tokens as u64 });
        self.steps.push(Step::Finish("stop"));
        self
    }

    /// Whether the client gets the head before the first step.
    pub(super) fn begins_at_once(&self) -> bool {
        !matches!(self.steps.first(), Some(Step::Cut)) && !self.steps.iter().any(|step| matches!(step, Step::Head))
    }
}
