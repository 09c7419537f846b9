//! `colloquy audit`, as another process on the database of a server that runs.

use domain::values::Role;
use serde_json::Value;
use tests::process::built_binary;
use tests::scribe::Scribe;
use tests::{TestApp, on_both_engines};

use crate::{by, failed, id_of, items, mistype};

/// What the command prints.
async fn printed(app: &TestApp, args: &[&str]) -> String {
    let output = app.stage.binary().run([&["audit", "tokens"], args].concat()).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

async fn rows(app: &TestApp, args: &[&str]) -> Vec<Value> {
    let text = printed(app, &[&["--json"], args].concat()).await;
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

on_both_engines! {
    async fn the_command_prints_what_the_api_answers(app: TestApp) {
        let (ann, eve) = (app.user("ann").await, app.user_with("eve", Role::Auditor).await);
        app.clock.advance(600);
        mistype(&app, "ann@example.com").await;
        app.settle().await;
        let all = items(&eve, "").await;
        assert!(all.len() > 4);
        app.settle().await;
        let mut told = rows(&app, &[]).await;
        assert_eq!(told.remove(0)["kind"], "audit_read", "it was noted that eve looked");
        assert_eq!(told, all);
        let id = id_of(&ann).await.to_string();
        for (args, query) in [
            (vec!["--user", "ann@example.com"], ""),
            (vec!["--user", &id, "--kind", "sign_in,registered"], "?kind=sign_in,registered"),
            (vec!["--user", "ann@example.com", "--outcome", "refused"], "?outcome=refused"),
            (vec!["--user", "ann@example.com", "--address", "192.0.2.7"], "?address=192.0.2.7"),
            (vec!["--user", "ann@example.com", "--since", "2026-01-01T00:05:00Z"], "?since=2026-01-01T00:05:00Z"),
            (vec!["--user", "ann@example.com", "--until", "2026-01-01T00:05:00Z"], "?until=2026-01-01T00:05:00Z"),
            (vec!["--user", "ann@example.com", "--limit", "1"], "?limit=1"),
        ] {
            assert_eq!(rows(&app, &args).await, items(&ann, query).await, "{args:?}");
        }
    }

    async fn the_table_can_be_read_and_fools_no_terminal(app: TestApp) {
        let ann = app.user("ann").await;
        let (user, mut scribe) = (id_of(&ann).await, Scribe::new(&app.stage.log));
        scribe.record(&failed(user), &by("\u{1b}[2Jgone\u{9b}31m\u{202e}")).await;
        app.settle().await;
        let table = printed(&app, &["--user", "ann@example.com"]).await;
        let lines: Vec<_> = table.lines().collect();
        assert_eq!(lines.len(), 4, "{table}");
        assert!(lines[0].starts_with("TIME ") && lines[0].ends_with("USER AGENT"), "{table}");
        let column = lines[0].find("OUTCOME").unwrap();
        assert!(lines[1][column..].starts_with("refused ") && lines[2][column..].starts_with("ok "), "{table}");
        assert!(lines[1].contains("sign_in_failed") && lines[1].contains("ann@example.com"), "{table}");
        assert!(lines[1].ends_with(r"\u{1b}[2Jgone\u{9b}31m\u{202e}"), "{table}");
        let json = printed(&app, &["--json", "--kind", "sign_in_failed"]).await;
        assert!(!json.chars().any(|c| c != '\n' && (c.is_control() || c == '\u{202e}')), "{json}");
        let row: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(row["user_agent"], "\u{1b}[2Jgone\u{9b}31m\u{202e}");
    }

    async fn who_follows_sees_rows_as_they_come(app: TestApp) {
        let ann = app.user("ann").await;
        let user = id_of(&ann).await;
        let mut scribe = Scribe::new(&app.stage.log);
        let mut follow = app.stage.binary().spawn(["audit", "follow", "--user", "ann@example.com", "--kind", "sign_in_failed"]);
        follow.until("USER AGENT").await;
        for agent in ["first-agent", "second-agent", "third-agent"] {
            scribe.record(&failed(user), &by(agent)).await;
            follow.until(agent).await;
        }
        let mut past = app.stage.binary().spawn(["audit", "follow", "--json", "--since", "1970-01-01T00:00:00Z"]);
        past.until("third-agent").await;
        scribe.record(&failed(user), &by("fourth-agent")).await;
        past.until("fourth-agent").await;
        follow.until("fourth-agent").await;
        let seen = follow.logs();
        assert!(!seen.contains("registered"), "{seen}");
        assert_eq!(past.logs().matches("\"kind\":\"registered\"").count(), 1);
        follow.kill().await;
        past.kill().await;
    }

    async fn a_reader_that_goes_away_ends_it_quietly(app: TestApp) {
        let ann = app.user("ann").await;
        let (user, mut scribe) = (id_of(&ann).await, Scribe::new(&app.stage.log));
        // More than fits into a pipe.
        for _ in 0..600 {
            scribe.record(&failed(user), &by(&"x".repeat(250))).await;
        }
        app.settle().await;
        let script = r#"{ "$0" audit tokens --json --limit 10000; echo "it ended with $?" >&2; } | head -n 1"#;
        let shell = app.stage.binary().binary("/bin/sh");
        let output = shell.run(["-c", script, built_binary().to_str().unwrap()]).await;
        assert_eq!(String::from_utf8(output.stdout).unwrap().lines().count(), 1);
        assert_eq!(String::from_utf8(output.stderr).unwrap(), "it ended with 0\n");
    }

    async fn what_is_wrong_is_named_and_not_repeated(app: TestApp) {
        let binary = app.stage.binary();
        for flag in ["--kind", "--outcome", "--address", "--since", "--until", "--user"] {
            for what in ["tokens", "follow"] {
                let output = binary.run(["audit", what, flag, "hunter2"]).await;
                let said = String::from_utf8_lossy(&output.stderr).into_owned();
                assert!(!output.status.success() && said.contains(flag) && !said.contains("hunter2"), "{said}");
            }
        }
    }
}
