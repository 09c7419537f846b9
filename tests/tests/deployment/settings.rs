//! The settings: the program's, the README's and the example's are the same.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use reqwest::get;
use tests::Colloquy;

use super::{read, root};

/// The settings that a text speaks of, in one of its lines each. A provider's name may be any.
fn settings<'a>(lines: impl Iterator<Item = &'a str>) -> BTreeSet<String> {
    let is_word = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || "_<>".contains(c);
    let words = lines.flat_map(|line| line.split(|c| !is_word(c)));
    words.filter(|word| is_setting(word)).map(of_any_provider).collect()
}

fn is_setting(word: &str) -> bool {
    word.contains('_') && word.len() > 3 || word == "ALGORITHM"
}

pub fn of_any_provider(name: &str) -> String {
    let Some(of_provider) = name.strip_prefix("AI_SERVICES__") else { return name.to_owned() };
    let what = ["_API_KEY", "_BASE_URL", "_MODELS"].into_iter().find(|what| of_provider.contains(what)).unwrap();
    format!("AI_SERVICES__<NAME>{what}")
}

/// The first cells of the table.
fn rows() -> Vec<String> {
    let text = read("README.md");
    let rows =
        text.lines().skip_while(|line| *line != "## Configuration").skip(1).take_while(|line| !line.starts_with("## "));
    rows.filter(|row| row.starts_with('|')).map(str::to_owned).collect()
}

pub fn readme() -> BTreeSet<String> {
    settings(rows().iter().filter_map(|row| row.split('|').nth(1)))
}

/// The providers that the table names.
pub fn providers() -> Vec<String> {
    let rows = rows();
    let named = rows.iter().filter(|row| row.starts_with("| `AI_SERVICES__"));
    let words = named.flat_map(|row| row.split('|').skip(2)).flat_map(|cell| cell.split('`').skip(1).step_by(2));
    words.filter(|word| word.bytes().all(|it| it.is_ascii_uppercase() || it == b'_')).map(str::to_owned).collect()
}

/// The names in the example, with the values that it gives, and whatever is said of them.
fn lines_of_the_example() -> Vec<(String, String)> {
    let text = read(".env.example");
    let lines = text.lines().filter_map(|line| line.strip_prefix("# ")?.split_once('='));
    lines.filter(|(name, _)| !name.contains(' ')).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

pub fn example() -> BTreeSet<String> {
    lines_of_the_example().into_iter().map(|(name, _)| name).collect()
}

/// The source of what lies below a folder, without its tests.
fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(sources(&path));
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            all.push((path, text.split("#[cfg(test)]\nmod tests").next().unwrap().to_owned()));
        }
    }
    all
}

/// The settings that the program asks for, by the quoted names in its source. Those of providers are put together of a
/// beginning, whatever name, and an ending.
fn asked_for() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (_, text) in sources(&root().join("services/colloquy/src")) {
        let is_name = |it: &&str| it.bytes().all(|it| it.is_ascii_uppercase() || it.is_ascii_digit() || it == b'_');
        let quoted = text.split('"').filter(is_name).filter(|it| is_setting(it) && *it != "AI_SERVICES__");
        names.extend(quoted.map(|name| match name.strip_prefix('_') {
            Some(ending) => format!("AI_SERVICES__<NAME>_{}", ending.trim_end_matches('_')),
            None => name.to_owned(),
        }));
    }
    names
}

#[test]
fn the_readme_tells_of_every_setting_that_the_program_asks_for_and_of_no_other() {
    let asked_for = asked_for();
    assert!(asked_for.len() > 50, "{asked_for:?}");
    assert_eq!(asked_for, readme());
}

#[test]
fn the_example_has_every_setting_that_the_readme_tells_of() {
    let example: BTreeSet<_> = example().iter().map(|name| of_any_provider(name)).collect();
    assert!(example.len() > 50, "{example:?}");
    assert_eq!(example, readme());
}

/// Else a setting could be one that the table does not have, and that files and flags do not reach.
#[test]
fn the_environment_is_read_in_one_place() {
    let folders = ["domain", "store", "projections", "nats", "services"].map(|folder| root().join(folder));
    let all = folders.iter().flat_map(|folder| sources(folder));
    let readers: Vec<_> = all.filter(|(_, text)| text.contains("env::var")).map(|(path, _)| path).collect();
    assert_eq!(readers, [root().join("services/colloquy/src/settings.rs")]);
}

/// With all that it says, but for what is only an example.
#[tokio::test]
async fn it_starts_with_the_example() {
    let said = lines_of_the_example().into_iter().filter(|(name, value)| {
        !value.is_empty() && !value.starts_with(' ') && !["COLLOQUY_LISTEN", "COLLOQUY_DATA"].contains(&name.as_str())
    });
    let said: Vec<_> = said.map(|(name, value)| format!("{name}={value}")).collect();
    assert!(said.len() > 20, "{said:?}");
    let node = Colloquy::builder().file(".env", &said.join("\n")).start().await;
    assert_eq!(get(format!("{}/live", node.url())).await.unwrap().status(), 200);
}
