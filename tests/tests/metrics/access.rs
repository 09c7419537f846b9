//! Who may read the metrics.

use api::{MetricsLogin, Origins, TrustedProxies};
use reqwest::{Method, RequestBuilder, Response};
use tests::app::Options;
use tests::{Stage, TestApp, on_both_engines};

use crate::page::{Page, page};

fn ask(app: &TestApp) -> RequestBuilder {
    app.request(Method::GET, "/metrics")
}

async fn status(request: RequestBuilder) -> u16 {
    request.send().await.unwrap().status().as_u16()
}

async fn is_refused(request: RequestBuilder) {
    let answer: Response = request.send().await.unwrap();
    assert_eq!(answer.status(), 401);
    let challenge = answer.headers()["www-authenticate"].to_str().unwrap();
    assert!(challenge.starts_with("Basic realm="), "{challenge}");
    assert!(!answer.text().await.unwrap().contains("colloquy_"));
}

on_both_engines! {
    async fn with_a_login_it_is_for_who_shows_it(stage: Stage) {
        let login = Some(MetricsLogin::new("prometheus", "pass: wörd"));
        let app = TestApp::start(stage, Options { metrics: login, ..Options::default() }).await;
        let ann = app.user("ann").await;
        Page::of(ask(&app).basic_auth("prometheus", Some("pass: wörd")).send().await.unwrap()).await;
        let shown = "cHJvbWV0aGV1czpwYXNzOiB3w7ZyZA==";
        assert_eq!(status(ask(&app).header("authorization", format!("bAsIc  {shown}"))).await, 200);
        for wrong in [
            ask(&app),
            ask(&app).basic_auth("prometheus", Some("pass")),
            ask(&app).basic_auth("Prometheus", Some("pass: wörd")),
            ask(&app).basic_auth("prometheus", None::<&str>),
            ask(&app).basic_auth("", Some("")),
            ask(&app).header("authorization", format!("Bearer {shown}")),
            ask(&app).header("authorization", shown),
            ask(&app).header("authorization", format!("Basic {shown}x")),
            ask(&app).header("authorization", "Basic"),
            ask(&app).header("authorization", "Basic \u{fc}"),
            ask(&app).bearer_auth(&ann.token),
            ask(&app).header("x-forwarded-for", "127.0.0.1"),
        ] {
            is_refused(wrong).await;
        }
    }

    async fn without_one_it_is_for_who_asks_on_this_machine(app: TestApp) {
        page(&app).await;
        assert_eq!(status(app.request(Method::HEAD, "/metrics")).await, 200);
        for proxied in ["x-forwarded-for", "forwarded", "x-real-ip", "via"] {
            is_refused(ask(&app).header(proxied, "127.0.0.1")).await;
        }
    }

    // A browser on this machine shows pages of anybody's.
    async fn no_page_of_another_site_reads_them(stage: Stage) {
        let origins: Origins = "https://app.example".parse().unwrap();
        let app = TestApp::start(stage, Options { origins, ..Options::default() }).await;
        let own = format!("http://{}", app.address());
        assert_eq!(status(ask(&app).header("origin", own)).await, 200);
        for page in ["https://app.example", "https://evil.example", "http://127.0.0.1:1", "null"] {
            is_refused(ask(&app).header("origin", page)).await;
            is_refused(ask(&app).header("origin", page).header("sec-fetch-site", "cross-site")).await;
        }
    }

    async fn a_trusted_proxy_says_who_asks(stage: Stage) {
        let trusted_proxies: TrustedProxies = "127.0.0.1".parse().unwrap();
        let app = TestApp::start(stage, Options { trusted_proxies, ..Options::default() }).await;
        let told = |by: &str| ask(&app).header("x-forwarded-for", by);
        assert_eq!(status(ask(&app)).await, 200);
        assert_eq!(status(told("127.0.0.1")).await, 200);
        assert_eq!(status(told("::1")).await, 200);
        for other in ["192.0.2.1", "127.0.0.1, 192.0.2.1", "unknown", "", "127.0.0.1, unknown"] {
            is_refused(told(other)).await;
        }
        is_refused(ask(&app).header("forwarded", "for=127.0.0.1")).await;
    }

    async fn it_counts_for_nobody(stage: Stage) {
        let rates = api::Rates { address: Some("3/minute".parse().unwrap()), ..api::Rates::default() };
        let app = TestApp::start(stage, Options { rates, ..Options::default() }).await;
        for _ in 0..10 {
            assert_eq!(status(ask(&app)).await, 200);
        }
        let others = async || status(app.request(Method::GET, "/.well-known/jwks.json")).await;
        assert_eq!([others().await, others().await, others().await, others().await], [200, 200, 200, 429]);
        assert_eq!(status(ask(&app)).await, 200);
        let page = page(&app).await;
        let of = |outcome| page.number("colloquy_limit_decisions_total", &[("limit", "address"), ("outcome", outcome)]);
        assert_eq!((of("admitted"), of("refused")), (3, 1));
    }
}
