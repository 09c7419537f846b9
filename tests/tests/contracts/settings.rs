//! Settings by the names that the documents have for them, and what they come to.

use reqwest::{Client, Method};
use serde_json::{Value, json};
use store::Position;
use tests::fake_provider::Script;
use tests::{Colloquy, FakeProvider, Service, Stage, on_both_engines};

use super::shared::ways;
use super::{PASSWORD, json_of, post, text, user};

/// Starts another node in the place of the one that runs, with these settings besides.
async fn start_again(service: &mut Service, settings: &[(&str, &str)]) {
    service.node.terminate().await;
    for (name, value) in settings {
        service.binary = service.binary.clone().env(name, value);
    }
    service.node = service.binary.start().await;
}

/// For how many seconds an access token lasts, as all who give one say and as the token says itself; and the cookie.
async fn lasting(service: &Service) -> (i64, String) {
    let who = json!({"email": "ann@example.com", "password": PASSWORD});
    let answer = post(service, "/api/v1/users/login", who.clone()).await;
    let cookie = answer.headers()["set-cookie"].to_str().unwrap().to_owned();
    let tokens = json_of(answer, 200).await;
    let refresh = service.request(Method::POST, "/api/v1/users/refresh-token");
    let refreshed = refresh.header("x-refresh-token", text(&tokens["refresh_token"])).send().await.unwrap();
    let refreshed = json_of(refreshed, 200).await;
    let brief = json_of(post(service, "/api/auth/login", who).await, 200).await;
    let seconds = tokens["expires_in"].as_i64().unwrap();
    for given in [tokens, refreshed, brief] {
        let claims = jsonwebtoken::dangerous::insecure_decode::<Value>(text(&given["access_token"])).unwrap().claims;
        assert_eq!(given["expires_in"], seconds);
        assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), seconds);
    }
    (seconds, cookie)
}

/// The providers, all of them the fake one, with the keys by the names that S1 and S4 have for them.
fn providers(fake: &FakeProvider) -> Vec<(&'static str, String)> {
    let keys = [
        ("OPENAI_API_KEY", "key-of-openai"),
        ("HUGGINGFACE_API_KEY", "key-of-huggingface"),
        ("AI_SERVICES__OPEN_ROUTER_API_KEY_1", "first-key"),
        ("AI_SERVICES__OPEN_ROUTER_API_KEY_2", "second-key"),
        ("AI_SERVICES__GROQ_API_KEY", "key-of-groq"),
        ("AI_SERVICES__GEMINI_API_KEY", "key-of-gemini"),
    ];
    let as_openai = [
        "AI_SERVICES__OPENAI_BASE_URL",
        "AI_SERVICES__HUGGINGFACE_BASE_URL",
        "AI_SERVICES__OPEN_ROUTER_BASE_URL",
        "AI_SERVICES__GROQ_BASE_URL",
    ];
    let keys = keys.into_iter().map(|(name, key)| (name, key.to_owned()));
    let addresses = as_openai.into_iter().map(|name| (name, fake.openai_url()));
    keys.chain(addresses).chain([("AI_SERVICES__GEMINI_BASE_URL", fake.gemini_url())]).collect()
}

on_both_engines! {
    async fn tokens_last_as_long_as_is_set(stage: Stage) {
        let mut service = Service::start(stage, &[("JWT_EXPIRE_MINUTES", "30"), ("REFRESH_TOKEN_EXPIRE_DAYS", "3")]).await;
        user(&service, "ann").await;
        let (seconds, cookie) = lasting(&service).await;
        assert!(seconds == 1_800 && cookie.contains("; Max-Age=259200;"), "{seconds} {cookie}");
        start_again(&mut service, &[("ACCESS_TOKEN_EXPIRE_MINUTES", "5"), ("REFRESH_TOKEN_EXPIRE_DAYS", "40")]).await;
        let (seconds, cookie) = lasting(&service).await;
        assert!(seconds == 300 && cookie.contains("; Max-Age=3456000;"), "of two names the newer counts: {seconds} {cookie}");
    }

    async fn each_providers_key_is_known_by_the_documents_names(stage: Stage) {
        let fake = FakeProvider::start().await;
        let settings = providers(&fake);
        let settings: Vec<_> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let service = Service::start(stage, &settings).await;
        let ann = user(&service, "ann").await;
        let asks = async |model: &str| json_of(ann.post("/chat", json!({"message": "hi", "model": model})).await, 200).await;
        for (provider, model) in [
            ("openai", "gpt-3.5-turbo"),
            ("huggingface", "meta-llama/Llama-3.1-8B-Instruct"),
            ("groq", "llama-3.1-8b-instant"),
            ("gemini", "gemini-2.5-flash"),
        ] {
            assert_eq!(asks(&format!("{provider}/{model}")).await["message"], "You said: hi", "{provider}");
            let asked = fake.asked().pop().unwrap();
            let key = format!("key-of-{provider}");
            assert_eq!((asked.model.as_str(), asked.api_key.as_deref()), (model, Some(key.as_str())), "{provider}");
        }
        let before = fake.asked().len();
        fake.then(Script::fails(401));
        for _ in 0..2 {
            assert_eq!(asks("open_router/openrouter/auto").await["message"], "You said: hi");
        }
        let keys: Vec<_> = fake.asked().into_iter().skip(before).map(|asked| asked.api_key.unwrap()).collect();
        assert_eq!(keys, ["first-key", "second-key", "second-key"], "the first one is not accepted");
    }

    async fn the_password_policy_holds_wherever_somebody_registers(stage: Stage) {
        let service = Service::start(stage, &[("AUTH_PASSWORD_POLICY", "nist")]).await;
        for (path, _, mut who) in ways() {
            for (password, why) in [("Sh0rt-one!1234", "15"), ("passwordpassword", "easily guessed")] {
                who["password"] = json!(password);
                let refused = post(&service, path, who.clone()).await;
                assert_eq!(refused.status(), if path == "/api/auth/register" { 400 } else { 422 }, "{path}");
                let said = refused.text().await.unwrap();
                assert!(said.contains(why) && !said.contains(password), "{path}: {said}");
            }
            who["password"] = json!("vellum gravity otter");
            assert!(post(&service, path, who).await.status().is_success(), "{path}: no symbol is asked for");
        }
    }
}

/// As S2 has it, and as programs in Python have it that name a driver.
#[tokio::test]
async fn postgres_is_known_by_its_other_names() {
    let stage = Stage::postgres_nats().await;
    let at = |scheme: &str| stage.url().unwrap().replace("postgres://", scheme);
    let (named, with_driver) = (at("postgresql://"), at("postgresql+asyncpg://"));
    let mut service = Service::start(stage, &[("DATABASE_URL", &named)]).await;
    user(&service, "ann").await;
    assert!(service.stage.log.head().await.unwrap() > Position::START);
    start_again(&mut service, &[("DATABASE_URL", &with_driver)]).await;
    json_of(post(&service, "/auth/login", json!({"username": "ann", "password": PASSWORD})).await, 200).await;
}

/// S1's own sample, with what else it lists; nothing of that is asked for here.
#[tokio::test]
async fn s1_the_sample_settings_serve() {
    let settings = "DATABASE_URL=sqlite:///./chatbot.db\nMONGO_URI=\nSECRET_KEY=a-strong-secret-of-at-least-32-characters\n\
                    ALGORITHM=HS256\nACCESS_TOKEN_EXPIRE_MINUTES=30\nSECURITY__JWT_SECRET=long-and-random\n\
                    SECURITY__JWT_EXPIRES_IN=1800\nSECURITY__BCRYPT_ROUNDS=12\nEMAIL__GMAIL_FROM_EMAIL=a@example.com\n\
                    EMAIL__GMAIL_APP_PASSWORD=secret\nAI_SERVICES__GROQ_API_KEY=\n";
    let data = tempfile::tempdir().unwrap();
    let node = Colloquy::builder().data_dir(data.path()).file(".env", settings).start().await;
    let register = Client::new().post(format!("{}/api/auth/register", node.url()));
    let who = json!({"email": "user@example.com", "password": PASSWORD});
    json_of(register.json(&who).send().await.unwrap(), 201).await;
    let login = Client::new().post(format!("{}/api/auth/login", node.url())).json(&who).send().await.unwrap();
    assert_eq!(json_of(login, 200).await["expires_in"], 1_800);
    assert!(data.path().join("log.db").exists(), "whatever file the address names");
}

/// Settings as S3's reader fills them in: a file where the program starts.
#[tokio::test]
async fn s3_the_sample_settings_serve() {
    let settings = "# copied\nAPI_KEY=your_api_key\nRATE_LIMIT_SERVICE=100\nRATE_LIMIT_USER=10\nRATE_LIMIT_IP=30\n";
    let node = Colloquy::builder().file(".env", settings).start().await;
    let ask = |method: Method, path: &str| {
        let request = Client::new().request(method, format!("{}{path}", node.url()));
        request.header("x-api-key", "your_api_key")
    };
    let made = ask(Method::POST, "/api/v1/sessions/").json(&json!({"session_name": "a"})).send().await.unwrap();
    assert!(made.headers()["ratelimit-policy"].to_str().unwrap().contains("q=30;w=60"), "{made:?}");
    json_of(made, 201).await;
    let limits = json_of(ask(Method::GET, "/api/v1/chat/rate-limit").send().await.unwrap(), 200).await;
    for (of, limit) in [("global", 100), ("user", 10)] {
        assert_eq!((&limits[of]["limit"], &limits[of]["window"]), (&json!(limit), &json!("1 minute")), "{of}");
    }
    let completed = Client::new().post(format!("{}/v1/chat/completions", node.url())).bearer_auth("your_api_key");
    let body = json!({"model": "rules", "messages": [{"role": "user", "content": "hello"}]});
    json_of(completed.json(&body).send().await.unwrap(), 200).await;
}
