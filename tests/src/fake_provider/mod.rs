//! An AI provider on loopback that speaks as OpenAI and Gemini do, and fails as they do: what the replier asks, and the embedder.
//!
//! It talks HTTP/1.1 by hand, because a server library would neither cut an answer in the middle of a chunk nor tell at
//! once that the client has closed a connection on which nothing is said.

mod answer;
mod connection;
mod dialect;
mod embeddings;
mod gemini;
mod http;
mod openai;
mod script;
mod state;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::{Mutex, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

pub use embeddings::{DIMENSION, NONSENSE};
pub use script::{Script, Step, micros};
use state::State;

/// How long a test waits for something to happen here before it says so and ends.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// Thousands of streams may begin at the same moment, and a full backlog would make some of them wait for a second.
const BACKLOG: u32 = 4096;

/// A provider that does what it was told. Dropping it ends it, and breaks every answer that is being given.
pub struct FakeProvider {
    address: SocketAddr,
    state: Arc<State>,
    closed: Mutex<mpsc::UnboundedReceiver<Closed>>,
    _tasks: JoinSet<()>,
}

/// A request as it came in.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Counts from 0 in the order of `asked()`.
    pub number: usize,
    /// Without the query.
    pub path: String,
    /// Empty where the request names none.
    pub model: String,
    /// From `authorization: Bearer`, `x-goog-api-key` or `?key=`.
    pub api_key: Option<String>,
    /// As OpenAI writes them, `[{"role", "content"}]`, for either vendor, so that one assertion serves both.
    pub messages: Value,
    /// What is to be embedded, where that is what is asked for.
    pub texts: Vec<String>,
    pub stream: bool,
    pub max_tokens: Option<u64>,
    pub temperature: Option<f64>,
    /// The whole of it, for what is not above. `Null` where it was no JSON.
    pub body: Value,
    pub at: Instant,
}

/// An answer whose client has closed the socket before its end.
#[derive(Debug, Clone)]
pub struct Closed {
    pub asked: Asked,
    pub at: Instant,
    /// The text that had been written to the socket by then.
    pub said: String,
}

impl FakeProvider {
    #[expect(clippy::unused_async, reason = "as every server of this house: it needs a runtime, and may come to wait")]
    pub async fn start() -> Self {
        let listener = listen().expect("a free port on loopback");
        let address = listener.local_addr().expect("the port that was bound");
        let (sender, closed) = mpsc::unbounded_channel();
        let (state, mut tasks) = (Arc::new(State::new(sender)), JoinSet::new());
        tasks.spawn(accept(listener, Arc::clone(&state)));
        Self { address, state, closed: Mutex::new(closed), _tasks: tasks }
    }

    pub fn openai_url(&self) -> String {
        format!("http://{}/v1/", self.address)
    }

    pub fn gemini_url(&self) -> String {
        format!("http://{}/v1beta/", self.address)
    }

    /// What the next request gets for which nothing was said yet: each call is for one request, in order.
    pub fn then(&self, script: Script) {
        self.state.then(script);
    }

    /// The same for requests to embed, which have a list of their own.
    pub fn then_embeds(&self, script: Script) {
        self.state.then_embeds(script);
    }

    /// What this model says when nothing else was said. Without it, it repeats the last message of the user.
    pub fn always(&self, model: &str, script: Script) {
        self.state.always(model, script);
    }

    /// Every request so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.state.asked.borrow().clone()
    }

    /// Waits until it has been asked that often.
    pub async fn until_asked(&self, times: usize) -> Vec<Asked> {
        until(&self.state.asked, &format!("{times} requests"), |asked| asked.len() >= times).await
    }

    /// Every text for which a vector was given, as often as it was.
    pub fn embedded(&self) -> Vec<String> {
        self.state.embedded.borrow().clone()
    }

    /// Waits until so many texts were embedded.
    pub async fn until_embedded(&self, texts: usize) -> Vec<String> {
        until(&self.state.embedded, &format!("{texts} vectors"), |embedded| embedded.len() >= texts).await
    }

    /// How many answers are being given.
    pub fn open(&self) -> usize {
        *self.state.open.borrow()
    }

    /// Waits until so many answers are being given, no more and no fewer.
    pub async fn until_open(&self, answers: usize) {
        until(&self.state.open, &format!("{answers} open answers"), |open| *open == answers).await;
    }

    /// Waits for the next answer whose client closes the socket before its end. Each is given once.
    pub async fn closed_by_client(&self) -> Closed {
        let next = timeout(PATIENCE, async { self.closed.lock().await.recv().await }).await;
        let next = next.unwrap_or_else(|_| panic!("no client has closed its connection in {PATIENCE:?}"));
        next.expect("this provider keeps the sender")
    }

    /// Lets go what stands at a gate. The first gate of an answer opens at the first release after its request came in,
    /// the second at the second: a test that knows that it was asked need not know that the gate was reached.
    pub fn release(&self) {
        self.state.releases.send_modify(|releases| *releases += 1);
    }
}

async fn until<T: Clone>(what: &watch::Sender<T>, wanted: &str, enough: impl FnMut(&T) -> bool) -> T {
    let mut told = what.subscribe();
    let Ok(known) = timeout(PATIENCE, told.wait_for(enough)).await else {
        panic!("the fake provider has not come to {wanted} in {PATIENCE:?}");
    };
    known.expect("this provider keeps the sender").clone()
}

fn listen() -> std::io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    socket.listen(BACKLOG)
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        connections.spawn(connection::serve(client, Arc::clone(&state)));
        while connections.try_join_next().is_some() {}
    }
}
