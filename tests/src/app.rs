//! The API in this process, on either engine, and the people who use it.

use std::net::SocketAddr;
use std::time::Duration;

use api::{
    AccessTokens, Algorithm, ApiKeys, App, BootstrapKey, Files, Followers, Imports, Metrics, MetricsLogin,
    NewPasswords, Operator, Origins, OwnWrites, Parts, Passwords, Patience, Place, RateLimits, Rates, RefreshTokens,
    Revocations, SecretKey, SigningKeys, Surface, Throttle, TrustedProxies, UnknownTokens,
};
use domain::limit::Rate;
use domain::token::family::Lifetime;
use domain::values::{PasswordPolicy, Role};
use projections::ReadModels;
use replies::{Context, Embedder, Live, ProviderConfig, Providers, ProvidersConfig, Replier, Titles};
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::{Value, json};
use store::limits::Limits;
use store::{Clock, Executor, Successors};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::FakeProvider;
use crate::stage::{PATIENCE, Play, Stage};

/// A running API with everything behind it.
pub struct TestApp {
    pub stage: Stage,
    pub read_models: ReadModels,
    pub clock: Clock,
    pub files: Files,
    pub limits: Limits,
    client: Client,
    address: SocketAddr,
    stop: CancellationToken,
}

pub const SECRET: &str = "a secret that is good for tests alone";
/// 2026-01-01T00:00:00Z
const BEGINNING: i64 = 1_767_225_600_000_000;
pub const PASSWORD: &str = "Passw0rd!";

/// What a test wants otherwise than usual.
pub struct Options {
    pub algorithm: Algorithm,
    pub passwords: NewPasswords,
    /// `None` is off: tests sign in often.
    pub sign_in_rate: Option<Rate>,
    pub rates: Rates,
    pub bootstrap_key: Option<BootstrapKey>,
    pub trusted_proxies: TrustedProxies,
    pub origins: Origins,
    /// None: the rule bot answers.
    pub providers: ProvidersConfig,
    pub context: Context,
    pub titles: Titles,
    /// In bytes.
    pub attachment_limit: u64,
    pub attachment_patience: Patience,
    /// None: whoever asks from this machine.
    pub metrics: Option<MetricsLogin>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            algorithm: Algorithm::Hs256,
            passwords: NewPasswords::Compat,
            sign_in_rate: None,
            rates: Rates::default(),
            bootstrap_key: None,
            trusted_proxies: TrustedProxies::default(),
            origins: Origins::default(),
            providers: ProvidersConfig::default(),
            context: Context { system: None, budget: 1_000 },
            titles: Titles::Words,
            attachment_limit: 1 << 20,
            attachment_patience: Patience::default(),
            metrics: None,
        }
    }
}

impl Options {
    /// A provider in OpenAI's dialect with some models: `fake/one`, ….
    pub fn asking(fake: &FakeProvider) -> Self {
        let provider = ProviderConfig {
            name: "fake".to_owned(),
            keys: Vec::new(),
            base_url: Some(fake.openai_url().parse().expect("an address")),
            models: ["one", "limited", "wrong"].map(str::to_owned).to_vec(),
        };
        let providers = ProvidersConfig { providers: vec![provider], ..ProvidersConfig::default() };
        Self { providers, ..Self::default() }
    }
}

pub const LIFETIME: Lifetime = Lifetime { idle_seconds: 7 * 86_400, most_seconds: 30 * 86_400 };
pub const LEEWAY_SECONDS: u32 = 10;

impl Play for TestApp {
    async fn on(stage: Stage) -> Self {
        Self::start(stage, Options::default()).await
    }
}

impl TestApp {
    pub async fn start(stage: Stage, options: Options) -> Self {
        let metrics = Metrics::install(options.metrics).expect("buckets");
        let read_models = stage.read_models().await;
        stage.relay();
        let projections = stage.project_all(&read_models);
        let clock = Clock::manual(domain::Timestamp::from_micros(BEGINNING));
        let secret = SecretKey::try_from(SECRET.to_owned()).expect("long enough");
        let (db, stop) = (stage.log.db().clone(), CancellationToken::new());
        let limits = Limits::open(&db, clock.clone()).await.expect("limits");
        let keys = SigningKeys::open(db.clone(), secret.clone(), options.algorithm, clock.now()).await;
        let keys = keys.expect("signing keys");
        let (revocations, from) = Revocations::begin(&stage.log, clock.now()).await.expect("the log is up");
        let (following, log, bus) = (revocations.clone(), stage.log.clone(), stage.bus.clone());
        let (api_keys, stopped) = (ApiKeys::new(secret.clone()), stop.clone());
        let followers = Followers { signing_keys: keys.clone(), api_keys: api_keys.clone(), clock: clock.clone() };
        tokio::spawn(async move { following.run(log, bus, from, followers, stopped).await });
        let (providers, live) =
            reply(&stage, &read_models, options.providers, (options.context.clone(), options.titles), &clock, &stop)
                .await;
        let files = Files::open(in_folder(&stage), options.attachment_limit).expect("a folder");
        let files = files.with_patience(options.attachment_patience);
        let app = App::new(Parts {
            log: stage.log.clone(),
            bus: stage.bus.clone(),
            executor: Executor::new(stage.log.clone(), clock.clone()),
            read_models: read_models.clone(),
            projections,
            access_tokens: AccessTokens::new(keys, 900),
            refresh_tokens: RefreshTokens::new(Successors::new(db.clone()), secret.clone(), LIFETIME, LEEWAY_SECONDS),
            revocations,
            api_keys,
            bootstrap_key: options.bootstrap_key,
            passwords: Passwords::default(),
            password_policy: options.passwords,
            limits: RateLimits::new(limits.clone(), options.rates, stage.log.clone(), &read_models),
            throttle: Throttle::new(limits.clone(), options.sign_in_rate, secret.as_bytes()),
            unknown_tokens: UnknownTokens::default(),
            trusted_proxies: options.trusted_proxies,
            origins: options.origins,
            node: "test".to_owned(),
            own_writes: OwnWrites::default(),
            providers,
            context: options.context,
            live,
            files: files.clone(),
            imports: Imports::default(),
            metrics,
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(api::run(app, Surface::All, listener, stop.clone()));
        Self { stage, read_models, clock, files, limits, client: Client::new(), address, stop }
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("http://{}{path}", self.address))
    }

    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until the read models have the whole log.
    pub async fn settle(&self) {
        for model in self.read_models.all() {
            self.stage.settle(model).await;
        }
    }

    /// Waits until something is so that comes beside an answer.
    pub async fn until(&self, mut is_so: impl AsyncFnMut() -> bool) {
        let come = async {
            let mut tick = tokio::time::interval(Duration::from_millis(10));
            while !is_so().await {
                tick.tick().await;
            }
        };
        tokio::time::timeout(PATIENCE, come).await.expect("it comes");
    }

    /// Registers somebody and signs them in.
    pub async fn user(&self, name: &str) -> Persona<'_> {
        let email = format!("{name}@example.com");
        let body = json!({"name": name, "email": email, "password": PASSWORD});
        let registered = self.request(Method::POST, "/api/v1/users/register").json(&body).send().await;
        assert_eq!(registered.expect("an answer").status(), 201);
        self.sign_in(&email).await
    }

    pub async fn sign_in(&self, email: &str) -> Persona<'_> {
        let body = json!({"email": email, "password": PASSWORD});
        let answer = self.request(Method::POST, "/api/v1/users/login").json(&body).send().await.expect("an answer");
        assert_eq!(answer.status(), 200, "{email} signs in");
        Persona::of(self, &answer.json().await.expect("JSON"))
    }

    /// Registers somebody with a role, and signs them in.
    pub async fn user_with(&self, name: &str, role: Role) -> Persona<'_> {
        let persona = self.user(name).await;
        self.operator().grant(&format!("{name}@example.com"), role).await.expect("a role");
        persona
    }

    /// Whoever sits at the machine itself.
    pub fn operator(&self) -> Operator {
        Operator::new(self.stage.log.clone(), Passwords::default(), PasswordPolicy::Plain, "test".to_owned())
    }

    /// Shows a refresh token.
    pub async fn refresh(&self, token: &str) -> Response {
        let request = self.request(Method::POST, "/api/v1/users/refresh-token").header("x-refresh-token", token);
        request.send().await.expect("an answer")
    }

    /// What an access token is worth now.
    pub async fn status_with(&self, access_token: &str) -> u16 {
        let request = self.request(Method::GET, "/api/v1/users/me").bearer_auth(access_token);
        request.send().await.expect("an answer").status().as_u16()
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Somebody who is signed in.
#[derive(Clone)]
pub struct Persona<'a> {
    app: &'a TestApp,
    pub token: String,
    pub refresh_token: String,
}

impl<'a> Persona<'a> {
    /// Whoever an answer's tokens belong to.
    pub fn of(app: &'a TestApp, answer: &Value) -> Self {
        let text = |name: &str| answer.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        Self { app, token: text("access_token"), refresh_token: text("refresh_token") }
    }

    /// Shows the refresh token, and goes on with what comes back.
    pub async fn refresh(&self) -> Result<Self, u16> {
        let answer = self.app.refresh(&self.refresh_token).await;
        match answer.status().as_u16() {
            200 => Ok(Self::of(self.app, &answer.json().await.expect("JSON"))),
            other => Err(other),
        }
    }

    /// Whether the access token is still good.
    pub async fn is_in(&self) -> bool {
        match self.app.status_with(&self.token).await {
            200 => true,
            401 => false,
            other => panic!("{other}"),
        }
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.app.request(method, path).bearer_auth(&self.token)
    }

    /// Says something, in a new conversation or in one that there is; the answer's body.
    pub async fn say(&self, message: &str, session: Option<&Value>) -> Value {
        let response = self.post(message, session).await;
        assert_eq!(response.status(), 200);
        response.json().await.expect("JSON")
    }

    pub async fn post(&self, message: &str, session: Option<&Value>) -> Response {
        let body = json!({"message": message, "session_id": session});
        self.request(Method::POST, "/api/v1/chat").json(&body).send().await.expect("an answer")
    }

    /// The history, or a page of it: `query` begins with `?`.
    pub async fn history(&self, query: &str) -> Value {
        let response = self.request(Method::GET, &format!("/api/v1/chat/history{query}")).send().await;
        let response = response.expect("an answer");
        assert_eq!(response.status(), 200);
        response.json().await.expect("JSON")
    }
}

/// Where attachments are, beside whatever else there is.
fn in_folder(stage: &Stage) -> Place {
    let folder = stage.folder().join("files");
    std::fs::create_dir_all(&folder).expect("a folder");
    Place::Folder(folder)
}

/// Lets a process make replies, and whoever watches them see them.
async fn reply(
    stage: &Stage,
    read_models: &ReadModels,
    providers: ProvidersConfig,
    (context, titles): (Context, Titles),
    clock: &Clock,
    stop: &CancellationToken,
) -> (Providers, Live) {
    let providers = Providers::new(providers).expect("providers");
    let (live, log, bus) = (Live::new(stage.bus.clone()), stage.log.clone(), stage.bus.clone());
    let replier = Replier::new(replies::Parts {
        log: log.clone(),
        bus,
        executor: Executor::new(log.clone(), clock.clone()),
        history: read_models.history.clone(),
        providers: providers.clone(),
        live: live.clone(),
        context,
        titles,
        node: "test".to_owned(),
        at_once: 1_000,
    });
    let embedder = Embedder {
        log: log.clone(),
        bus: stage.bus.clone(),
        executor: Executor::new(log.clone(), clock.clone()),
        embeddings: read_models.embeddings.clone(),
        providers: providers.clone(),
        node: "test".to_owned(),
    };
    let from = log.head().await.expect("the log is up");
    let (watching, stop_watching, stop_replying) = (live.clone(), stop.clone(), stop.clone());
    let stop_embedding = stop.clone();
    tokio::spawn(async move { embedder.run(stop_embedding).await });
    tokio::spawn(async move { watching.run(log, from, stop_watching).await });
    tokio::spawn(async move { replier.run(stop_replying).await });
    (providers, live)
}
