//! Which models stand in for which.

use std::collections::BTreeMap;
use std::str::FromStr;

/// For a model, those that are asked after it, in that order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fallbacks(BTreeMap<String, Vec<String>>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be like provider/model=provider/model,provider/model; provider/model=…")]
pub struct NotFallbacks;

impl Fallbacks {
    /// What is asked after `model`.
    pub(super) fn after(&self, model: &str) -> impl Iterator<Item = &str> {
        self.0.get(model).into_iter().flatten().map(String::as_str)
    }

    /// Every name that occurs.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().flat_map(|(model, others)| std::iter::once(model).chain(others)).map(String::as_str)
    }
}

impl FromStr for Fallbacks {
    type Err = NotFallbacks;

    fn from_str(text: &str) -> Result<Self, NotFallbacks> {
        let mut routes = BTreeMap::new();
        for route in text.split(';').map(str::trim).filter(|route| !route.is_empty()) {
            let (model, others) = route.split_once('=').ok_or(NotFallbacks)?;
            let others = others.split(',').map(full_name).collect::<Result<Vec<_>, _>>()?;
            if routes.insert(full_name(model)?, others).is_some() {
                return Err(NotFallbacks);
            }
        }
        Ok(Self(routes))
    }
}

/// A name that says which provider it is of.
fn full_name(text: &str) -> Result<String, NotFallbacks> {
    let name = text.trim();
    let is_full = name.split_once('/').is_some_and(|(provider, model)| !provider.is_empty() && !model.is_empty());
    if is_full { Ok(name.to_owned()) } else { Err(NotFallbacks) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_names_what_is_asked_next_in_order() {
        let fallbacks: Fallbacks =
            "openai/gpt-4o-mini=groq/llama-3.1-8b-instant, gemini/gemini-2.0-flash; groq/a=openai/b;".parse().unwrap();
        let after = |model| fallbacks.after(model).collect::<Vec<_>>();
        assert_eq!(after("openai/gpt-4o-mini"), ["groq/llama-3.1-8b-instant", "gemini/gemini-2.0-flash"]);
        assert_eq!(after("groq/a"), ["openai/b"]);
        assert!(after("groq/b").is_empty());
        assert_eq!(fallbacks.names().count(), 5);
    }

    #[test]
    fn what_is_no_route_is_refused() {
        for text in
            ["a", "a=b", "openai/a", "openai/a=", "openai/a=b", "=openai/a", "a/b=c/d,", "a/b=c/d;a/b=e/f", "/a=b/c"]
        {
            assert_eq!(text.parse::<Fallbacks>(), Err(NotFallbacks), "{text}");
        }
    }
}
