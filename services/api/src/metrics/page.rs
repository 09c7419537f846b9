//! The text that Prometheus reads, for what is read when it is asked for.

use std::fmt::{Display, Write};

use super::families::Family;

/// Families with their samples, one after the other.
#[derive(Debug, Default)]
pub(crate) struct Page(String);

impl Page {
    /// What is not known now is left out.
    pub(crate) fn one(&mut self, family: &Family, value: Option<impl Display>) {
        if let Some(value) = value {
            self.begin(family);
            let _ = writeln!(self.0, "{} {value}", family.name);
        }
    }

    /// The same by a label, of words that need no quotes.
    pub(crate) fn each<V: Display>(&mut self, family: &Family, label: &str, all: &[(&str, Option<V>)]) {
        let known: Vec<_> = all.iter().filter_map(|(word, value)| Some((word, value.as_ref()?))).collect();
        if !known.is_empty() {
            self.begin(family);
        }
        for (word, value) in known {
            let _ = writeln!(self.0, "{}{{{label}=\"{word}\"}} {value}", family.name);
        }
    }

    pub(crate) fn then(mut self, counted: &str) -> String {
        self.0.push_str(counted);
        self.0
    }

    fn begin(&mut self, Family { name, kind, help }: &Family) {
        let kind = kind.as_str();
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }
}
