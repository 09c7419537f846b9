//! A page of metrics, read as strictly as Prometheus does, and a little more so.

use std::collections::{BTreeMap, BTreeSet};

use domain::chat::reply::Interruption;
use domain::token::notice::LimitKind;
use projections::ReadModels;
use reqwest::{Method, Response};
use tests::TestApp;

pub type Labels = BTreeMap<String, String>;

#[derive(Debug)]
pub struct Page {
    /// `counter`, `gauge`, `histogram`, by name.
    kinds: BTreeMap<String, String>,
    samples: BTreeMap<(String, Labels), f64>,
}

pub async fn page(app: &TestApp) -> Page {
    Page::of(app.request(Method::GET, "/metrics").send().await.unwrap()).await
}

impl Page {
    pub async fn of(answer: Response) -> Self {
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
        Self::parse(&answer.text().await.unwrap())
    }

    fn parse(text: &str) -> Self {
        let mut page = Self { kinds: BTreeMap::new(), samples: BTreeMap::new() };
        let mut helped = BTreeSet::new();
        for line in text.lines().filter(|line| !line.is_empty()) {
            if let Some((name, help)) = line.strip_prefix("# HELP ").map(|rest| rest.split_once(' ').unwrap()) {
                assert!(!help.is_empty() && helped.insert(name.to_owned()), "{line}");
            } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").map(|rest| rest.split_once(' ').unwrap()) {
                assert!(page.kinds.insert(name.to_owned(), kind.to_owned()).is_none(), "{line}");
            } else {
                let (name, labels, value) = sample(line);
                assert!(helped.contains(page.family(&name)), "no HELP before {line}");
                check_labels(&labels);
                assert!(page.samples.insert((name, labels), value).is_none(), "twice: {line}");
            }
        }
        page
    }

    /// The family of a sample, which has a TYPE.
    fn family<'a>(&self, name: &'a str) -> &'a str {
        let parts = ["_bucket", "_sum", "_count"].into_iter().filter_map(|part| name.strip_suffix(part));
        let histogram = parts.into_iter().find(|of| self.kinds.get(*of).is_some_and(|kind| kind == "histogram"));
        let family = histogram.unwrap_or(name);
        assert!(self.kinds.contains_key(family), "no TYPE before {name}");
        family
    }

    pub fn families(&self) -> impl Iterator<Item = &str> {
        self.kinds.keys().map(String::as_str)
    }

    pub fn get(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        self.samples.get(&(name.to_owned(), labels)).copied()
    }

    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.get(name, labels).unwrap_or_else(|| panic!("no {name} {labels:?} in {:#?}", self.samples))
    }

    /// Of all that have these labels, whatever else they have.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let have = |all: &Labels| labels.iter().all(|(name, value)| all.get(*name).is_some_and(|it| it == value));
        self.samples.iter().filter(|((of, all), _)| of == name && have(all)).map(|(_, value)| value).sum()
    }

    /// A counter, or a gauge that counts.
    pub fn number(&self, name: &str, labels: &[(&str, &str)]) -> u32 {
        let value = self.get(name, labels).unwrap_or(0.0);
        (0..=1_000_000).find(|number| f64::from(*number) >= value).unwrap()
    }
}

/// A name, its labels, and its value.
fn sample(line: &str) -> (String, Labels, f64) {
    let (head, value) = line.rsplit_once(' ').unwrap();
    let (name, labels) = head.strip_suffix('}').map_or((head, ""), |head| head.split_once('{').unwrap());
    assert!(["colloquy_", "process_"].iter().any(|begin| name.starts_with(begin)), "{line}");
    let label = |label: &str| {
        let (name, value) = label.split_once('=').unwrap();
        (name.to_owned(), value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap().to_owned())
    };
    let labels = labels.split("\",").filter(|it| !it.is_empty());
    let labels = labels.map(|it| label(&if it.ends_with('"') { it.to_owned() } else { format!("{it}\"") })).collect();
    (name.to_owned(), labels, value.parse().unwrap_or_else(|_| panic!("{line}")))
}

/// There is an end to what a label may say, whatever clients send.
fn check_labels(labels: &Labels) {
    for (name, value) in labels {
        let is_one_of = |words: &[&str]| words.contains(&value.as_str());
        let is_known = match name.as_str() {
            "method" => is_one_of(&["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "other"]),
            "route" => value == "other" || api::routes().iter().any(|(_, path, _)| path == value),
            "status" => value.len() == 3 && value.parse::<u16>().is_ok(),
            "limit" => LimitKind::ALL.iter().any(|kind| kind.as_str() == value),
            "outcome" => {
                is_one_of(&["admitted", "refused", "completed", "stopped"])
                    || Interruption::ALL.iter().any(|reason| reason.as_str() == value)
            }
            "provider" => is_one_of(&["fake", "rules", "other"]),
            "projection" => is_one_of(ReadModels::NAMES),
            "state" => is_one_of(&["busy", "idle"]),
            "le" => value == "+Inf" || value.parse::<f64>().is_ok(),
            _ => false,
        };
        assert!(is_known, "{name}={value}");
    }
}
