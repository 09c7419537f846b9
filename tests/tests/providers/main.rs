//! The port to models, and what is behind it, against a provider that fails as providers do.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test's words are its panics")]

mod closing;
mod embedding;
mod keys;
mod limits;
mod retries;
mod routes;
mod secrets;
mod speech;

use std::time::Duration;

use domain::chat::reply::{FinishReason, Interruption};
use replies::{
    Answer, Ask, Failure, Limits, Piece, ProviderConfig, Providers, ProvidersConfig, Speaker, TokensUsed, Turn,
};
use tests::FakeProvider;
use tests::fake_provider::Script;

/// Shorter than anybody's patience.
const SOON: Duration = Duration::from_millis(400);
const LATER: Duration = Duration::from_secs(20);

/// Providers that are all the same fake one.
struct House {
    fake: FakeProvider,
    providers: Providers,
}

/// How the answer to one question went.
#[derive(Debug, PartialEq)]
struct Heard {
    model: String,
    text: String,
    end: Result<(Option<TokensUsed>, FinishReason), Interruption>,
}

impl House {
    /// `openai` with these keys, and whatever is set besides.
    async fn with(keys: &[&str], set: impl FnOnce(&FakeProvider, &mut ProvidersConfig)) -> Self {
        let fake = FakeProvider::start().await;
        let limits = Limits { first_token: LATER, idle: LATER, total: LATER * 2, reply_bytes: 1 << 20 };
        let providers = vec![provider("openai", keys, &fake.openai_url())];
        let mut config = ProvidersConfig { providers, limits, ..ProvidersConfig::default() };
        set(&fake, &mut config);
        Self { providers: Providers::new(config).unwrap(), fake }
    }

    async fn new() -> Self {
        Self::with(&["key-1"], |_, _| ()).await
    }

    /// `openai/gpt-4o`, and then `groq/llama`, which speaks as OpenAI does, and `gemini/gemini-x`.
    async fn with_fallback(keys: &[&str], set: impl FnOnce(&mut ProvidersConfig)) -> Self {
        Self::with(keys, |fake, config| {
            config.providers.push(provider("groq", &["key-of-groq"], &fake.openai_url()));
            config.providers.push(provider("gemini", &["key-of-gemini"], &fake.gemini_url()));
            config.fallbacks = "openai/gpt-4o=groq/llama,gemini/gemini-x".parse().unwrap();
            set(config);
        })
        .await
    }

    async fn ask(&self) -> Result<Answer, Failure> {
        self.providers.ask(asks("openai/gpt-4o")).await
    }

    async fn refused(&self) -> Failure {
        self.ask().await.err().unwrap()
    }

    async fn hear(&self) -> Heard {
        all(self.ask().await.unwrap()).await
    }

    /// Which key came with which model, one line for each request.
    fn presented(&self) -> Vec<String> {
        let line = |asked: tests::fake_provider::Asked| {
            format!("{} {}", asked.model, asked.api_key.as_deref().unwrap_or("no key"))
        };
        self.fake.asked().into_iter().map(line).collect()
    }

    fn times(&self) -> usize {
        self.fake.asked().len()
    }

    fn then_all(&self, scripts: impl IntoIterator<Item = Script>) {
        scripts.into_iter().for_each(|script| self.fake.then(script));
    }
}

fn provider(name: &str, keys: &[&str], url: &str) -> ProviderConfig {
    let keys = keys.iter().map(|key| key.parse().unwrap()).collect();
    ProviderConfig { name: name.to_owned(), keys, base_url: Some(url.parse().unwrap()), models: Vec::new() }
}

fn asks(model: &str) -> Ask {
    let turn = |speaker, text: &str| Turn { speaker, text: text.to_owned() };
    let turns = vec![
        turn(Speaker::System, "Be brief."),
        turn(Speaker::User, "hello"),
        turn(Speaker::Assistant, "Hello!"),
        turn(Speaker::User, "how are you?"),
    ];
    Ask { model: model.to_owned(), turns, max_tokens: Some(64), temperature: Some(0.7) }
}

async fn all(mut answer: Answer) -> Heard {
    let (model, mut text) = (answer.model.clone(), String::new());
    loop {
        match answer.next().await {
            Ok(Piece::Text(more)) => text.push_str(&more),
            Ok(Piece::Done { usage, finish }) => return Heard { model, text, end: Ok((usage, finish)) },
            Err(failure) => return Heard { model, text, end: Err(failure.reason) },
        }
    }
}
