//! What the settings of limits and budgets do to a running service.

use reqwest::{Client, Method};
use serde_json::{Value, json};
use tests::{Asker, FakeProvider, Service, Stage, on_both_engines};

async fn get(service: &Service, path: &str, token: &str) -> Value {
    let answer = service.request(Method::GET, path).bearer_auth(token).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    answer.json().await.unwrap()
}

/// What is allowed to somebody, as the status says.
async fn limit(service: &Service, token: &str) -> Value {
    get(service, "/api/v1/chat/rate-limit", token).await["user"]["limit"].clone()
}

on_both_engines! {
    async fn each_role_has_its_own_rate(stage: Stage) {
        let rates = [("RATE_LIMIT_USER", "1"), ("RATE_LIMIT_USER_AUDITOR", "2/hour"), ("RATE_LIMIT_USER_ADMIN", "3/day")];
        let service = Service::start(stage, &rates).await;
        for (role, expected) in [(None, 1), (Some("auditor"), 2), (Some("admin"), 3)] {
            let name = role.unwrap_or("ann");
            let somebody = Asker::register(&service.node.url(), name).await;
            if let Some(role) = role {
                service.operate(["user", "grant", &format!("{name}@example.com"), role]).await;
            }
            assert_eq!(limit(&service, somebody.token()).await, expected, "{name}");
        }
    }

    async fn each_budget_is_whose_it_says(stage: Stage) {
        let fake = FakeProvider::start().await;
        let address = fake.openai_url();
        let service = Service::start(stage, &[
            ("AI_SERVICES__FAKE_BASE_URL", address.as_str()),
            ("COLLOQUY_MODEL", "fake/one"),
            ("AI_PRICES", "fake/one=1/2"),
            ("BUDGET_USER_TOKENS", "1000/day,2000/month"),
            ("BUDGET_USER_COST", "3/day,4.50/month"),
            ("BUDGET_KEY_TOKENS", "500/day,600/month"),
            ("BUDGET_KEY_COST", "0.70/day,0.80/month"),
        ])
        .await;
        let ann = Asker::register(&service.node.url(), "ann").await;
        let made = service.request(Method::POST, "/api/v1/keys").bearer_auth(ann.token()).json(&json!({"name": "mine"}));
        let key = made.send().await.unwrap().json::<Value>().await.unwrap()["key"].as_str().unwrap().to_owned();
        let by_key = async |method, path: &str, body: Value| {
            let request = Client::new().request(method, format!("{}{path}", service.node.url()));
            request.header("x-api-key", &key).json(&body).send().await.unwrap()
        };
        let usage: Value = by_key(Method::GET, "/api/v1/usage", json!(null)).await.json().await.unwrap();
        let named = |budget: &Value| (budget["name"].as_str().unwrap().to_owned(), budget["limit"].clone());
        let mut shown: Vec<_> = usage["budgets"].as_array().unwrap().iter().map(named).collect();
        shown.sort_by(|one, other| one.0.cmp(&other.0));
        let limits = [("key_cost_per_day", json!(0.7)), ("key_cost_per_month", json!(0.8)), ("key_tokens_per_day", json!(500)),
            ("key_tokens_per_month", json!(600)), ("user_cost_per_day", json!(3)), ("user_cost_per_month", json!(4.5)),
            ("user_tokens_per_day", json!(1000)), ("user_tokens_per_month", json!(2000))];
        assert_eq!(shown, limits.map(|(name, limit)| (name.to_owned(), limit)));
        // The first that has no room is told of: its user's before the key's.
        for (most, model, named) in [(499, "fake/one", "key_tokens_per_day"), (1_200, "fake/one", "user_tokens_per_day")] {
            let body = json!({"message": "hello", "model": model, "max_tokens": most});
            let refused = by_key(Method::POST, "/api/v1/chat", body).await;
            assert_eq!(refused.status(), 429);
            assert_eq!(refused.json::<Value>().await.unwrap()["budget"], named);
        }
    }
}
