//! `docker-compose.yml`: what is set outside of the containers holds within.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::get;
use tests::{Colloquy, compose};

use super::root;
use super::settings::{example, of_any_provider, providers, readme};

const NODES: [(&str, &str); 5] =
    [("api-1", "api"), ("api-2", "api"), ("relay", "relay"), ("projector", "project"), ("replier", "reply")];
/// The image says where it listens and keeps its data; and no password that everybody knows is for several machines.
const NOT_THERE: [&str; 3] = ["COLLOQUY_LISTEN", "COLLOQUY_DATA", "COLLOQUY_DEV_ADMIN"];
/// What follows from the file itself, whatever is set outside.
const ITS_OWN: [&str; 4] = ["DATABASE_URL", "NATS_URL", "COLLOQUY_ROLES", "COLLOQUY_NODE"];
const SECRET: (&str, &str) = ("SECRET_KEY", "a secret that is good for tests alone");

type Environment = BTreeMap<String, String>;

/// The environment of each node.
fn environments(set: &BTreeMap<String, String>) -> Vec<(&'static str, Environment)> {
    let made = compose(&root(), set.iter().map(|(name, value)| (name.as_str(), value.as_str()))).unwrap();
    let of = |node: &str| serde_json::from_value(made["services"][node]["environment"].clone()).unwrap();
    NODES.iter().map(|(node, _)| (*node, of(node))).collect()
}

fn only_a_secret() -> BTreeMap<String, String> {
    BTreeMap::from([(SECRET.0.to_owned(), SECRET.1.to_owned())])
}

#[test]
fn it_has_every_setting_and_what_it_sets_is_one() {
    let mut settings = readme();
    settings.retain(|name| !NOT_THERE.contains(&name.as_str()));
    let mut wanted = example();
    wanted.retain(|name| !NOT_THERE.contains(&name.as_str()));
    let providers = providers();
    assert!(providers.len() > 5, "{providers:?}");
    for name in providers {
        wanted.extend(["API_KEY", "BASE_URL", "MODELS"].map(|what| format!("AI_SERVICES__{name}_{what}")));
    }
    for (node, environment) in environments(&only_a_secret()) {
        let names: BTreeSet<_> = environment.keys().cloned().collect();
        assert_eq!(names.iter().map(|name| of_any_provider(name)).collect::<BTreeSet<_>>(), settings, "{node}");
        assert_eq!(wanted.difference(&names).collect::<Vec<_>>(), [""; 0], "{node}");
    }
}

#[test]
fn what_is_set_outside_reaches_every_node() {
    let all = environments(&only_a_secret()).swap_remove(0).1;
    let given: BTreeMap<_, _> = all.into_keys().map(|name| (name.clone(), format!("what {name} is to be"))).collect();
    for ((node, environment), (_, role)) in environments(&given).into_iter().zip(NODES) {
        for (name, value) in &given {
            let is_handed_on = environment[name] == *value;
            assert_eq!(is_handed_on, !ITS_OWN.contains(&name.as_str()), "{name} of {node}");
        }
        assert_eq!((environment["COLLOQUY_NODE"].as_str(), environment["COLLOQUY_ROLES"].as_str()), (node, role));
    }
}

/// Each is then empty, which is as if it were not set.
#[tokio::test]
async fn a_node_starts_where_nothing_is_set_outside() {
    let environment = environments(&only_a_secret()).swap_remove(0).1;
    let is_set = |name: &str| ITS_OWN.contains(&name) || ["SECRET_KEY", "COLLOQUY_FILES"].contains(&name);
    let mut binary = Colloquy::builder();
    for (name, value) in environment {
        assert_eq!(value.is_empty(), !is_set(&name), "{name}: {value}");
        if value.is_empty() {
            binary = binary.env(name, value);
        }
    }
    let node = binary.start().await;
    assert_eq!(get(format!("{}/live", node.url())).await.unwrap().status(), 200);
}

#[test]
fn it_wants_a_secret() {
    let refused = compose(&root(), []).unwrap_err();
    assert!(refused.contains("set SECRET_KEY to at least 32"), "{refused}");
}
