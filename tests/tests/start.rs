//! The binary's start: settings that are wrong are named, a database that is too new is refused, a secret is kept.
#![expect(clippy::unwrap_used, reason = "a test's words are its panics")]

use std::os::unix::fs::PermissionsExt;
use std::process::Output;

use serde_json::{Value, json};
use sqlx::{Connection, Executor, PgConnection, SqliteConnection};
use tempfile::TempDir;
use tests::{Colloquy, Nats, Port, Postgres};

const SECRET: &str = "a secret that is good for tests alone";
const TOO_NEW: &str = "insert into _sqlx_migrations (version, description, success, checksum, execution_time) \
                       values (9999, 'from the future', true, ";

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[tokio::test]
async fn a_wrong_setting_is_named_and_not_repeated() {
    let wrong = "hunter2";
    for (name, others) in [
        ("COLLOQUY_LISTEN", vec![]),
        ("COLLOQUY_ROLES", vec![]),
        ("COLLOQUY_START_TIMEOUT", vec![]),
        ("ACCESS_TOKEN_EXPIRE_MINUTES", vec![]),
        ("JWT_EXPIRE_MINUTES", vec![]),
        ("DATABASE_URL", vec![]),
        ("SECRET_KEY", vec![]),
        ("NATS_URL", vec![]),
        ("SECRET_KEY", vec![("DATABASE_URL", "postgres://127.0.0.1:1/none")]),
        ("SECRET_KEY", vec![("COLLOQUY_LISTEN", "0.0.0.0:0")]),
        ("ALGORITHM", vec![]),
        ("REFRESH_TOKEN_EXPIRE_DAYS", vec![]),
        ("REFRESH_TOKEN_MAX_LIFETIME_DAYS", vec![]),
        ("REFRESH_TOKEN_LEEWAY_SECONDS", vec![]),
        ("AUTH_PASSWORD_POLICY", vec![]),
        ("RATE_LIMIT_SIGN_IN", vec![]),
        ("BUDGET_USER_TOKENS", vec![]),
        ("BUDGET_KEY_TOKENS", vec![]),
        ("BUDGET_USER_COST", vec![]),
        ("BUDGET_KEY_COST", vec![]),
        ("API_KEY", vec![("COLLOQUY_LISTEN", "0.0.0.0:0"), ("SECRET_KEY", SECRET)]),
        ("API_KEY", vec![("DATABASE_URL", "postgres://127.0.0.1:1/none"), ("SECRET_KEY", SECRET)]),
        ("TRUSTED_PROXIES", vec![]),
        ("COLLOQUY_DEV_ADMIN", vec![]),
        ("COLLOQUY_EMBEDDINGS", vec![]),
        ("COLLOQUY_EMBEDDING_DIMENSIONS", vec![]),
        ("COLLOQUY_LOG_FORMAT", vec![]),
        ("ALLOWED_ORIGINS", vec![]),
        ("ALLOW_CREDENTIALS", vec![]),
        ("ALLOW_CREDENTIALS", vec![("ALLOWED_ORIGINS", "*"), ("ALLOW_CREDENTIALS", "true")]),
        // One of them without the other.
        ("METRICS_PASS", vec![]),
        ("METRICS_USER", vec![]),
        ("METRICS_USER", vec![("METRICS_PASS", "hunter2"), ("METRICS_USER", "hunter2:")]),
    ] {
        let mut binary = Colloquy::builder().env(name, wrong);
        for (other, value) in others {
            binary = binary.env(other, value);
        }
        let output = binary.run(["serve"]).await;
        assert!(!output.status.success(), "{name}");
        assert!(said(&output).contains(name), "{name} is not named: {}", said(&output));
        assert!(!said(&output).contains(wrong), "{name} is repeated: {}", said(&output));
    }
}

#[tokio::test]
async fn a_number_that_is_out_of_bounds_is_named() {
    for (name, number) in [
        ("REFRESH_TOKEN_EXPIRE_DAYS", "0"),
        ("REFRESH_TOKEN_EXPIRE_DAYS", "366"),
        ("REFRESH_TOKEN_MAX_LIFETIME_DAYS", "6"),
        ("REFRESH_TOKEN_LEEWAY_SECONDS", "61"),
        ("ACCESS_TOKEN_EXPIRE_MINUTES", "0"),
        ("RATE_LIMIT_SIGN_IN", "0/minute"),
        ("COLLOQUY_LOG", "info,sqlx=loud"),
        ("BUDGET_USER_TOKENS", "2.50/day"),
        ("BUDGET_KEY_COST", "20/week"),
    ] {
        let output = Colloquy::builder().env(name, number).run(["serve"]).await;
        assert!(!output.status.success() && said(&output).contains(name), "{name}: {}", said(&output));
    }
}

#[tokio::test]
async fn a_secret_must_be_given_where_it_can_not_be_made() {
    for (name, value) in [("DATABASE_URL", "postgres://127.0.0.1:1/none"), ("COLLOQUY_LISTEN", "0.0.0.0:0")] {
        let output = Colloquy::builder().env(name, value).run(["serve"]).await;
        assert!(!output.status.success() && said(&output).contains("SECRET_KEY"), "{}", said(&output));
    }
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = Colloquy::builder().env("COLLOQUY_LISTEN", &address).run(["serve"]).await;
    assert!(!output.status.success() && said(&output).contains(&address), "{}", said(&output));
}

#[tokio::test]
async fn a_database_that_is_too_new_is_refused_on_sqlite() {
    let folder = TempDir::new().unwrap();
    let binary = Colloquy::builder().data_dir(folder.path());
    assert!(binary.run(["migrate"]).await.status.success());
    let mut log = SqliteConnection::connect(&format!("sqlite://{}/log.db", folder.path().display())).await.unwrap();
    log.execute(format!("{TOO_NEW} x'00', 0)").as_str()).await.unwrap();
    log.close().await.unwrap();
    for command in ["serve", "migrate"] {
        let output = binary.run([command]).await;
        assert!(!output.status.success() && said(&output).contains("newer version"), "{}", said(&output));
    }
}

#[tokio::test]
async fn a_database_that_is_too_new_is_refused_on_postgres() {
    let postgres = Postgres::start().await;
    let url = postgres.database().await;
    let binary = Colloquy::builder().env("DATABASE_URL", &url).env("SECRET_KEY", SECRET);
    assert!(binary.run(["migrate"]).await.status.success());
    let mut database = PgConnection::connect(&url).await.unwrap();
    database.execute(format!("{TOO_NEW} '\\x00', 0)").as_str()).await.unwrap();
    for command in [vec!["serve"], vec!["migrate"], vec!["rebuild", "history"]] {
        let output = binary.run(command).await;
        assert!(!output.status.success() && said(&output).contains("newer version"), "{}", said(&output));
    }
}

#[tokio::test]
async fn tables_of_another_build_are_refused_until_they_are_rebuilt() {
    let postgres = Postgres::start().await;
    let url = postgres.database().await;
    let binary = Colloquy::builder().env("DATABASE_URL", &url).env("SECRET_KEY", SECRET);
    assert!(binary.run(["migrate"]).await.status.success());
    let mut database = PgConnection::connect(&url).await.unwrap();
    for model in projections::ReadModels::NAMES {
        let older = format!("update {model}.{model}_checkpoint set tables = 'older'");
        database.execute(older.as_str()).await.unwrap();
        let output = binary.run(["serve"]).await;
        let advice = format!("colloquy rebuild {model}");
        assert!(!output.status.success() && said(&output).contains(&advice), "{}", said(&output));
        let output = binary.run(["rebuild", model]).await;
        assert!(output.status.success(), "{}", said(&output));
    }
    let mut node = binary.start().await;
    assert!(node.terminate().await.success());
}

#[tokio::test]
async fn a_secret_is_made_once_kept_and_readable_by_its_owner_alone() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    let port = Port::reserve();
    let binary = Colloquy::builder().data_dir(&data).env("COLLOQUY_LISTEN", port.address().to_string());
    let mut first = binary.start().await;
    let mode = |name: &str| std::fs::metadata(data.join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("secret.key"), mode(".")), (0o600, 0o700));
    let token = sign_in(first.url()).await;
    assert!(first.terminate().await.success());

    let mut second = binary.start().await;
    let history = format!("{}/api/v1/chat/history", second.url());
    let answer = reqwest::Client::new().get(history).bearer_auth(token).send().await.unwrap();
    assert_eq!(answer.status(), 200, "a token outlives a restart");
    assert!(!second.logs().contains(&std::fs::read_to_string(data.join("secret.key")).unwrap()));
    second.kill().await;
}

async fn sign_in(url: String) -> String {
    let client = reqwest::Client::new();
    let who = json!({"name": "Ann", "email": "ann@example.com", "password": "Passw0rd!"});
    let registered = client.post(format!("{url}/api/v1/users/register")).json(&who).send().await.unwrap();
    assert_eq!(registered.status(), 201);
    let answer = client.post(format!("{url}/api/v1/users/login")).json(&who).send().await.unwrap();
    let body: Value = answer.json().await.unwrap();
    body.get("access_token").and_then(Value::as_str).unwrap().to_owned()
}

#[tokio::test]
async fn roles_can_be_divided_among_processes() {
    let (postgres, nats) = (Postgres::start().await, Nats::start().await);
    let url = postgres.database().await;
    let node = |roles: &str| {
        Colloquy::builder()
            .env("DATABASE_URL", &url)
            .env("NATS_URL", nats.url())
            .env("SECRET_KEY", SECRET)
            .env("COLLOQUY_ROLES", roles)
    };
    let (api, relay, project) = (node("api").start().await, node("relay").start().await, node("project").start().await);
    let client = reqwest::Client::new();
    let token = sign_in(api.url()).await;
    let chat = format!("{}/api/v1/chat", api.url());
    for _ in 0..5 {
        let answer = client.post(&chat).bearer_auth(&token).json(&json!({"message": "hi"})).send().await.unwrap();
        assert_eq!(answer.status(), 200);
    }
    let answer = client.get(format!("{chat}/history")).bearer_auth(&token).send().await.unwrap();
    assert!(!answer.headers().contains_key("x-projection-lag"));
    let history: Value = answer.json().await.unwrap();
    assert_eq!(history.get("total"), Some(&json!(10)));
    for other in [&relay, &project] {
        let probe = client.get(format!("{}/ready", other.url())).send().await.unwrap();
        assert_eq!(probe.status(), 200, "every process can be probed");
        let chat = client.post(format!("{}/api/v1/chat", other.url())).bearer_auth(&token).send().await.unwrap();
        assert_eq!(chat.status(), 404, "but only an API node serves the API");
    }
}
