//! The adapter to genai: what the port asks, in the library's words, and what vendors answer, in ours. Its types stay here.

mod booth;
mod embedding;
mod errors;

use std::time::Duration;

use domain::chat::reply::FinishReason;
use genai::adapter::AdapterKind;
use genai::chat::{ChatMessage, ChatOptions, ChatRequest, ChatStream, ChatStreamEvent, ReasoningEffort};
use genai::chat::{StopReason, StreamEnd, Usage};
use genai::resolver::{AuthData, Endpoint};
use genai::{Headers, ModelIden, ServiceTarget};
use provider_http::{Client, redirect, retry};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;
use tracing::Dispatch;
use tracing::instrument::WithSubscriber;

use super::catalog::BadProviders;
use super::config::{ApiKey, BaseUrl};
use super::fault::Fault;
use super::known::Wire;
use super::{Ask, Speaker, TokensUsed, Turn};

use booth::{Booth, patiently};
pub use embedding::Given;

/// Speaks to every provider.
pub struct Vendor {
    client: genai::Client,
    booth: Booth,
    /// Where vectors are read, which are megabytes at once: who waits for a reply does not wait for that.
    reading_room: Option<Booth>,
}

/// Whom to ask, with which key.
pub struct Target<'a> {
    pub wire: Wire,
    pub base_url: &'a BaseUrl,
    pub key: Option<&'a ApiKey>,
    pub model: &'a str,
}

/// An answer that is being given. Dropping it ends the connection.
pub struct Voice {
    heard: mpsc::Receiver<Result<Heard, Fault>>,
    _speaking: AbortOnDropHandle<()>,
}

/// A sign of life.
pub enum Heard {
    Text(String),
    /// The model is at work, and says nothing that is part of the answer.
    Thought,
    Done {
        usage: Option<TokensUsed>,
        finish: FinishReason,
    },
}

const CONNECT: Duration = Duration::from_secs(10);
/// How much may be said that nobody has listened to yet; then the provider waits.
const WAITING: usize = 16;

impl Vendor {
    /// An answer has a connection of its own (HTTP/1.1), so that its end is seen at once and thousands don't queue for
    /// the streams of one. Nobody is followed elsewhere with a key in hand, and how often something is tried is for the
    /// port to say. Certificates are read only where a provider needs them.
    pub fn new(needs_certificates: bool, embeds: bool) -> Result<Self, BadProviders> {
        let builder = Client::builder()
            .user_agent(concat!("colloquy/", env!("CARGO_PKG_VERSION")))
            .http1_only()
            .connect_timeout(CONNECT)
            .tcp_nodelay(true)
            .redirect(redirect::Policy::none())
            .retry(retry::never());
        let builder = if needs_certificates { builder } else { builder.tls_certs_only([]) };
        let unusable = |reason: String| BadProviders {
            setting: "AI_SERVICES",
            problem: format!("can't be asked from here: {reason}"),
        };
        let client = builder.build().map_err(|error| unusable(error.to_string()))?;
        let client = genai::Client::builder().with_reqwest(client).build();
        let client = client.map_err(|error| unusable(error.to_string()))?;
        let open = || Booth::open().map_err(|error| unusable(error.to_string()));
        Ok(Self { client, booth: open()?, reading_room: embeds.then(open).transpose()? })
    }

    /// The library's own log is silenced: it repeats what providers say of a key.
    pub fn ask(&self, target: &Target<'_>, ask: &Ask) -> Voice {
        let (say, heard) = mpsc::channel(WAITING);
        let request = ChatRequest::new(ask.turns.iter().map(message).collect());
        let speech = Speech { wire: target.wire, client: self.client.clone(), say };
        let speaking = speech.run(service(target, "chat/completions"), request, options(target.wire, ask));
        let speaking = self.booth.spawn(speaking.with_subscriber(Dispatch::none()));
        Voice { heard, _speaking: AbortOnDropHandle::new(speaking) }
    }
}

impl Voice {
    /// May be given up and called again: nothing is lost.
    pub async fn next(&mut self) -> Result<Heard, Fault> {
        self.heard.recv().await.unwrap_or(Err(Fault::Truncated))
    }
}

/// The provider's end of a voice, in the booth.
struct Speech {
    wire: Wire,
    client: genai::Client,
    say: mpsc::Sender<Result<Heard, Fault>>,
}

impl Speech {
    async fn run(self, service: ServiceTarget, request: ChatRequest, options: ChatOptions) {
        let end = match self.client.exec_chat_stream(service, request, Some(&options)).await {
            Ok(answer) => self.relay(answer.stream).await,
            Err(error) => Err(errors::fault(&error)),
        };
        // Who listens no longer needs no end.
        let _ = self.say.send(end).await;
    }

    /// Says all but the end.
    async fn relay(&self, mut stream: ChatStream) -> Result<Heard, Fault> {
        loop {
            let event = patiently(&mut stream).await?.ok_or(Fault::Truncated)?;
            let heard = match event.map_err(|error| errors::fault(&error))? {
                // A ping is the connection's sign of life, not the model's.
                ChatStreamEvent::Start | ChatStreamEvent::Heartbeat => continue,
                ChatStreamEvent::Chunk(chunk) if chunk.content.is_empty() => continue,
                ChatStreamEvent::Chunk(chunk) => Heard::Text(chunk.content),
                ChatStreamEvent::ReasoningChunk(_)
                | ChatStreamEvent::ThoughtSignatureChunk(_)
                | ChatStreamEvent::ToolCallChunk(_) => Heard::Thought,
                ChatStreamEvent::End(end) => return done(self.wire, end),
            };
            self.say.send(Ok(heard)).await.map_err(|_| Fault::Truncated)?;
        }
    }
}

/// The address as it is configured; the library would guess one from the model's name. Who has no key presents none, for
/// which the library wants the whole address.
fn service(target: &Target<'_>, path: &str) -> ServiceTarget {
    let kind = match target.wire {
        Wire::OpenAi => AdapterKind::OpenAI,
        Wire::Gemini => AdapterKind::Gemini,
        Wire::Anthropic => AdapterKind::Anthropic,
    };
    let base = target.base_url.as_str();
    let nameless = || AuthData::RequestOverride { url: format!("{base}{path}"), headers: Headers::default() };
    let auth = target.key.map_or_else(nameless, |key| AuthData::from_single(key.expose()));
    ServiceTarget { endpoint: Endpoint::from_owned(base), auth, model: ModelIden::new(kind, target.model) }
}

fn options(wire: Wire, ask: &Ask) -> ChatOptions {
    let mut options = ChatOptions::default().with_capture_usage(true);
    if let Some(tokens) = ask.max_tokens {
        options = options.with_max_tokens(tokens);
    }
    if let Some(temperature) = ask.temperature {
        // As it was typed: 0.7, not 0.699999988079071.
        options = options.with_temperature((f64::from(temperature) * 10_000.0).round() / 10_000.0);
    }
    match wire {
        // Else the library takes a name's end for an effort: `qwen-max` would be asked as `qwen`. A budget is nothing that
        // this wire could carry, so the name goes as it is.
        Wire::OpenAi => options.with_reasoning_effort(ReasoningEffort::Budget(0)),
        Wire::Gemini | Wire::Anthropic => options,
    }
}

fn message(turn: &Turn) -> ChatMessage {
    match turn.speaker {
        Speaker::System => ChatMessage::system(turn.text.as_str()),
        Speaker::User => ChatMessage::user(turn.text.as_str()),
        Speaker::Assistant => ChatMessage::assistant(turn.text.as_str()),
    }
}

/// For Gemini the library makes up an end where a stream just stopped; then no reason comes with it.
fn done(wire: Wire, end: StreamEnd) -> Result<Heard, Fault> {
    let finish = match end.captured_stop_reason {
        None if wire == Wire::Gemini => return Err(Fault::Truncated),
        None | Some(StopReason::ToolCall(_) | StopReason::Other(_)) => FinishReason::Other,
        Some(StopReason::Completed(_) | StopReason::StopSequence(_)) => FinishReason::Stop,
        Some(StopReason::MaxTokens(_)) => FinishReason::Length,
        Some(StopReason::ContentFilter(_)) => FinishReason::ContentFilter,
    };
    Ok(Heard::Done { usage: end.captured_usage.as_ref().and_then(tokens), finish })
}

/// What the provider does not count is not zero.
fn tokens(usage: &Usage) -> Option<TokensUsed> {
    let prompt = u32::try_from(usage.prompt_tokens?).ok()?;
    let completion = u32::try_from(usage.completion_tokens?).ok()?;
    Some(TokensUsed { prompt, completion })
}
