//! Exports: everything that matches, oldest first, and nothing that a spreadsheet would run.

use reqwest::Response;
use serde_json::{Value, json};
use tests::scribe::Scribe;
use tests::{Persona, TestApp, on_both_engines};

use crate::{ask, by, failed, id_of, items};

async fn lines(answer: Response) -> Vec<Value> {
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], "application/x-ndjson");
    answer.text().await.unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What a spreadsheet reads, by RFC 4180.
fn cells(text: &str) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut cell, mut quoted) = (Vec::new(), Vec::new(), String::new(), false);
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match (c, quoted) {
            ('"', true) if rest.peek() == Some(&'"') => cell.extend(rest.next()),
            ('"', _) => quoted = !quoted,
            (',', false) => row.push(std::mem::take(&mut cell)),
            ('\r', false) => {}
            ('\n', false) => {
                row.push(std::mem::take(&mut cell));
                rows.push(std::mem::take(&mut row));
            }
            (other, _) => cell.push(other),
        }
    }
    assert!(!quoted && row.is_empty() && cell.is_empty(), "the last line has an end");
    rows
}

async fn csv(who: &Persona<'_>, query: &str) -> Vec<Vec<String>> {
    let answer = ask(who, query).send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/csv; charset=utf-8; header=present");
    assert_eq!(answer.headers()["content-disposition"], "attachment; filename=\"token-activity.csv\"");
    let text = answer.text().await.unwrap();
    assert_eq!(text.matches("\r\n").count(), text.matches('\n').count() - text.matches("two\nlines").count());
    cells(&text)
}

on_both_engines! {
    async fn an_export_has_every_row_oldest_first(app: TestApp) {
        let ann = app.user("ann").await;
        let (user, mut scribe) = (id_of(&ann).await, Scribe::new(&app.stage.log));
        // More than is in memory at once.
        for number in 0..1_100 {
            scribe.record(&failed(user), &by(&format!("curl/{number}"))).await;
        }
        app.settle().await;
        let all = lines(ask(&ann, "?format=ndjson").send().await.unwrap()).await;
        assert_eq!(all.len(), 1_102);
        let mut newest = items(&ann, "?limit=1000").await;
        newest.reverse();
        assert_eq!(all[102..], newest);
        assert_eq!((&all[0]["kind"], &all[1]["kind"]), (&json!("registered"), &json!("sign_in")));
        let by_header = ask(&ann, "?kind=sign_in").header("accept", "text/html, application/x-ndjson;q=0.9, */*");
        assert_eq!(lines(by_header.send().await.unwrap()).await, all[1..2]);
        let some = lines(ask(&ann, "?format=ndjson&limit=1000").send().await.unwrap()).await;
        assert_eq!(some, all[..1_000], "a limit counts for an export, too");
        let before = all[500]["id"].as_str().unwrap();
        let some = lines(ask(&ann, &format!("?format=ndjson&before={before}")).send().await.unwrap()).await;
        assert_eq!(some, all[..500]);
        assert_eq!(csv(&ann, "?format=csv").await.len(), 1_103);
    }

    async fn what_strangers_wrote_stays_text_in_a_spreadsheet(app: TestApp) {
        let ann = app.user("ann").await;
        let (user, mut scribe) = (id_of(&ann).await, Scribe::new(&app.stage.log));
        let agents = [
            "curl/8.5", "a,b", "say \"hi\"", "two\nlines", "=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1:A9)", "\tx", "用户 🦀",
            "=HYPERLINK(\"http://x\",\"y\")",
        ];
        for agent in agents {
            scribe.record(&failed(user), &by(agent)).await;
        }
        app.settle().await;
        let rows = csv(&ann, "?format=csv&kind=sign_in_failed").await;
        let at = |name: &str| rows[0].iter().position(|it| it == name).unwrap();
        assert_eq!((at("id"), at("time"), rows[0].len()), (0, 1, 15));
        assert!(rows.iter().all(|row| row.len() == 15));
        for (row, agent) in rows[1..].iter().zip(agents) {
            let tamed = if agent.starts_with(['=', '+', '-', '@', '\t']) { format!("'{agent}") } else { agent.to_owned() };
            assert_eq!((row[at("user_agent")].as_str(), row[at("reason")].as_str()), (tamed.as_str(), "wrong_password"));
            assert_eq!((row[at("actor_id")].as_str(), row[at("username")].as_str()), ("", "ann@example.com"));
        }
        assert_eq!(rows.len(), agents.len() + 1);
        let json = lines(ask(&ann, "?format=ndjson&kind=sign_in_failed").send().await.unwrap()).await;
        assert_eq!(json.iter().map(|it| it["user_agent"].as_str().unwrap()).collect::<Vec<_>>(), agents);
        let by_header = ask(&ann, "?kind=audit_read").header("accept", "text/csv").send().await.unwrap();
        assert_eq!(cells(&by_header.text().await.unwrap()).len(), 1, "no rows, and still a header");
    }

    async fn an_export_of_others_is_noted_as_one(app: TestApp) {
        let ann = app.user("ann").await;
        let eve = app.user_with("eve", domain::values::Role::Auditor).await;
        assert_eq!(ask(&ann, "?format=csv&user=eve@example.com").send().await.unwrap().status(), 403);
        let all = lines(ask(&eve, "?format=ndjson").send().await.unwrap()).await;
        assert!(all.iter().any(|it| it["username"] == "ann@example.com"));
        assert!(all.iter().all(|it| it["kind"] != "audit_read"), "what comes after it has begun is not of it");
        lines(ask(&eve, "?format=ndjson&user=ann@example.com").send().await.unwrap()).await;
        let noted = items(&eve, "?kind=audit_read").await;
        assert_eq!(noted.iter().map(|it| &it["reason"]).collect::<Vec<_>>(), ["export", "export"]);
        assert_eq!(items(&ann, "?kind=audit_read").await.len(), 1);
    }
}
