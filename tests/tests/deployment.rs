//! What lies beside the program for whoever runs it: is it true?
#![expect(clippy::unwrap_used, reason = "a test's words are its panics")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use reqwest::get;
use tests::{Colloquy, compose};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn read(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap()
}

/// The settings that a text speaks of, in one of its lines each. A provider's name may be any.
fn settings<'a>(lines: impl Iterator<Item = &'a str>) -> BTreeSet<String> {
    let is_word = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || "_<>".contains(c);
    let words = lines.flat_map(|line| line.split(|c| !is_word(c)));
    let names = words.filter(|word| word.contains('_') && word.len() > 3 || ["ALGORITHM"].contains(word));
    names.map(of_any_provider).collect()
}

fn of_any_provider(name: &str) -> String {
    let Some(of_provider) = name.strip_prefix("AI_SERVICES__") else { return name.to_owned() };
    let what = ["_API_KEY", "_BASE_URL", "_MODELS"].into_iter().find(|what| of_provider.contains(what)).unwrap();
    format!("AI_SERVICES__<NAME>{what}")
}

fn readme() -> BTreeSet<String> {
    let text = read("README.md");
    let rows =
        text.lines().skip_while(|line| *line != "## Configuration").skip(1).take_while(|line| !line.starts_with("## "));
    settings(rows.filter_map(|row| row.strip_prefix('|')?.split('|').next()))
}

#[test]
fn the_example_has_every_setting_that_the_readme_tells_of() {
    let text = read(".env.example");
    let names = text.lines().filter_map(|line| line.strip_prefix("# ")?.split_once('=')).map(|(name, _)| name);
    let example = settings(names.filter(|name| !name.contains(' ')));
    assert!(example.len() > 50, "{example:?}");
    assert_eq!(example, readme());
}

/// With all that it says, but for what is only an example.
#[tokio::test]
async fn it_starts_with_the_example() {
    let text = read(".env.example");
    let said = text.lines().filter_map(|line| line.strip_prefix("# ")).filter(|line| {
        let (name, value) = line.split_once('=').unwrap_or_default();
        !name.contains(' ')
            && !value.is_empty()
            && !value.starts_with(' ')
            && !["COLLOQUY_LISTEN", "COLLOQUY_DATA"].contains(&name)
    });
    let said = said.collect::<Vec<_>>().join("\n");
    assert!(said.lines().count() > 20, "{said}");
    let node = Colloquy::builder().file(".env", &said).start().await;
    assert_eq!(get(format!("{}/live", node.url())).await.unwrap().status(), 200);
}

#[test]
fn compose_takes_its_file_and_every_setting_in_it_is_one() {
    let output = Command::new(compose())
        .args(["--file", "docker-compose.yml", "config"])
        .current_dir(root())
        .env("SECRET_KEY", "a secret that is good for tests alone")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    for service in ["postgres", "nats", "api-1", "api-2", "relay", "projector", "replier"] {
        assert!(text.contains(&format!("\n  {service}:\n")), "{service} in {text}");
    }
    let of_others = ["POSTGRES_USER", "POSTGRES_PASSWORD", "POSTGRES_DB"];
    let names = text.lines().filter_map(|line| line.strip_prefix("      ")?.split_once(": ")).map(|(name, _)| name);
    let unknown: Vec<String> = settings(names)
        .into_iter()
        .filter(|name| !readme().contains(name) && !of_others.contains(&name.as_str()))
        .collect();
    assert_eq!(unknown, Vec::<String>::new());
}

#[test]
fn compose_wants_a_secret() {
    let mut command = Command::new(compose());
    let output =
        command.args(["--file", "docker-compose.yml", "config"]).current_dir(root()).env_remove("SECRET_KEY").output();
    let output = output.unwrap();
    assert!(!output.status.success() && String::from_utf8_lossy(&output.stderr).contains("SECRET_KEY"));
}
