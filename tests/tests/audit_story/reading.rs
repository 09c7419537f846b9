//! Every way to read the audit log; each gives the rows of the script.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::Value;
use tests::Service;

use crate::story::{NOBODY, OPERATOR, Row, Story};

/// Everything, as the command prints it.
pub async fn printed(service: &Service) -> String {
    service.settle().await;
    service.operate(["audit", "tokens", "--json", "--limit", "10000"]).await
}

fn values(lines: &str) -> Vec<Value> {
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn text<'a>(row: &'a Value, name: &str) -> &'a str {
    row[name].as_str().unwrap_or(NOBODY)
}

/// The rows, oldest first, in the script's words.
fn told(rows: &[Value], names: &BTreeMap<String, String>) -> Vec<Row> {
    let positions: Vec<u64> = rows.iter().map(|row| text(row, "id").parse().unwrap()).collect();
    assert!(positions.is_sorted_by(|one, next| one < next), "{positions:?}");
    rows.iter().map(|row| one(row, names)).collect()
}

fn one(row: &Value, names: &BTreeMap<String, String>) -> Row {
    let [kind, outcome, reason, ip, agent] = ["kind", "outcome", "reason", "ip", "user_agent"].map(|it| text(row, it));
    let (user, request) = (text(row, "username"), text(row, "request_id"));
    let by = row["actor_id"].as_str().map_or(NOBODY, |id| &names[id]);
    // A subcommand has an id of its own.
    let own = agent == OPERATOR && request.len() == 36;
    let request = if own { NOBODY } else { request };
    assert!(ip == NOBODY || row["actor_session"].is_string() == (by != NOBODY), "who acts is signed in: {row}");
    let line = format!("{kind} of {user} by {by}: {outcome}, {reason}, from {ip} with {agent}, {request}");
    Row { user: user.to_owned(), line }
}

/// What each user is called.
fn names(rows: &[Value]) -> BTreeMap<String, String> {
    let named = rows.iter().filter_map(|row| Some((row["user_id"].as_str()?, row["username"].as_str()?)));
    named.map(|(id, name)| (id.to_owned(), name.to_owned())).collect()
}

/// The cells of an export, by their columns' names; an empty one is null.
fn cells(text: &str) -> Vec<Value> {
    let mut lines = text.lines().map(split);
    let columns = lines.next().unwrap();
    let row = |cells: Vec<String>| {
        assert_eq!(cells.len(), columns.len());
        let values = cells.into_iter().map(|cell| if cell.is_empty() { Value::Null } else { Value::String(cell) });
        columns.iter().cloned().zip(values).collect()
    };
    lines.map(row).collect()
}

/// One line; in this story no cell has two. A quote within quotes is doubled.
fn split(line: &str) -> Vec<String> {
    let (mut cells, mut cell, mut quoted) = (Vec::new(), String::new(), false);
    let mut rest = line.chars().peekable();
    while let Some(c) = rest.next() {
        match (c, quoted) {
            ('"', true) if rest.peek() == Some(&'"') => cell.extend(rest.next()),
            ('"', _) => quoted = !quoted,
            (',', false) => cells.push(std::mem::take(&mut cell)),
            (other, _) => cell.push(other),
        }
    }
    cells.push(cell);
    cells
}

/// That both are the same; else the first rows that differ.
fn same(read: &[Row], script: &[Row], how: &str) {
    let differ = read.iter().zip(script).position(|(read, script)| read != script);
    if let Some(at) = differ {
        assert_eq!(read[at].line, script[at].line, "{how}, row {at}");
    }
    assert_eq!(read.get(script.len()..), Some(&[][..]), "{how}: more than the script has, or less");
}

impl Story {
    /// Each way of reading gives the script; what is noted of the reading goes on with it.
    pub async fn is_read_by_everybody(&mut self, service: &Service) {
        let names = self.by_command(service).await;
        self.by_pages(service, &names).await;
        self.by_export(service, &names).await;
        self.by_command(service).await;
        self.by_who_has_no_role(service, &names).await;
    }

    async fn by_command(&self, service: &Service) -> BTreeMap<String, String> {
        let mut rows = values(&printed(service).await);
        rows.reverse();
        let names = names(&rows);
        same(&told(&rows, &names), &self.script, "by the command");
        names
    }

    async fn by_pages(&mut self, service: &Service, names: &BTreeMap<String, String>) {
        service.settle().await;
        let script = self.script.clone();
        let (mut rows, mut query) = (Vec::new(), "?limit=7".to_owned());
        loop {
            let page: Value = serde_json::from_str(&self.read(service, &query).await).unwrap();
            self.leaves(NOBODY, "bob@example.com", &[("audit_read", "ok", "page")]);
            rows.extend(page["items"].as_array().unwrap().clone());
            let Some(next) = page["next"].as_str() else { break };
            query = format!("?limit=7&before={next}");
        }
        rows.reverse();
        same(&told(&rows, names), &script, "by pages");
    }

    async fn by_export(&mut self, service: &Service, names: &BTreeMap<String, String>) {
        for (query, read) in [("?format=ndjson", values as fn(&str) -> Vec<Value>), ("?format=csv", cells)] {
            service.settle().await;
            let script = self.script.clone();
            let rows = read(&self.read(service, query).await);
            self.leaves(NOBODY, "bob@example.com", &[("audit_read", "ok", "export")]);
            same(&told(&rows, names), &script, query);
        }
    }

    async fn by_who_has_no_role(&self, service: &Service, names: &BTreeMap<String, String>) {
        let mut own: Vec<Row> = self.script.iter().filter(|row| row.user == "annie").cloned().collect();
        // That somebody else looked is said, but not from where.
        let hidden = [("by bob@example.com", "127.0.0.1", NOBODY), ("by bob@example.com", "desk/1.0", NOBODY)];
        for (by, from, to) in hidden {
            own.iter_mut().filter(|row| row.line.contains(by)).for_each(|row| row.line = row.line.replace(from, to));
        }
        let read = async |query: &str| {
            let request = service.request(Method::GET, &format!("/api/v1/audit/tokens{query}")).bearer_auth(&self.ann);
            request.send().await.unwrap()
        };
        let rows = values(&read("?format=ndjson").await.text().await.unwrap());
        same(&told(&rows, names), &own, "by Ann");
        for of in ["bob@example.com", "nobody@example.com"] {
            assert_eq!(read(&format!("?user={of}")).await.status(), 403);
        }
    }
}
