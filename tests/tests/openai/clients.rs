//! OpenAI's own clients, in Python and in JavaScript: `tests/openai/client.py` and `client.mjs` say what they try.

use std::path::Path;

use tests::fake_provider::{Script, Step};
use tests::{Stage, on_both_engines, servers};
use tokio::process::Command;

use super::{KEY, Site};

/// What the scripts' models do.
fn told(on: &Site) {
    on.fake.always("gpt-says", Script::says(&["I am ", "fine."]));
    on.fake.always("gpt-breaks-off", Script::of(vec![Step::Text("I am ".to_owned()), Step::Cut]));
    on.fake.always("gpt-refuses", Script::fails(400));
    on.fake.always("gpt-is-limited", Script::rate_limited(77));
}

async fn run(on: &Site, mut command: Command) {
    told(on);
    command.env("OPENAI_BASE_URL", format!("{}/v1", on.service.node.url())).env("OPENAI_API_KEY", KEY);
    command.env("NO_PROXY", "127.0.0.1").kill_on_drop(true);
    let output = tokio::time::timeout(tests::child::PATIENCE, command.output()).await.unwrap().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.ends_with("all is well\n"), "{said}");
    // By themselves they would have asked thrice each time, at once and in a stream.
    assert_eq!(on.fake.asked().iter().filter(|asked| asked.model == "gpt-refuses").count(), 2);
    let sessions = on.own().canonical("/api/v1/sessions?limit=100").await;
    let refused = sessions.as_array().unwrap().iter().filter(|it| it["session_name"] == "Refuse me.");
    assert_eq!(refused.count(), 2, "{sessions}");
}

fn script(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("openai").join(name)
}

on_both_engines! {
    async fn the_python_client_works(on: Site) {
        let mut python = Command::new("python3");
        python.arg(script("client.py")).env("PYTHONPATH", servers::openai_for_python()).env("PYTHONDONTWRITEBYTECODE", "1");
        run(&on, python).await;
    }

    async fn the_javascript_client_works(stage: Stage) {
        let on = Site::start(stage, &[("ALLOWED_ORIGINS", "https://app.example")]).await;
        let mut node = Command::new("node");
        node.arg(script("client.mjs")).env("OPENAI_CLIENT", servers::openai_for_node());
        run(&on, node).await;
    }
}
