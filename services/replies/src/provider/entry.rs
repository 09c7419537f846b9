//! A provider, as far as names are concerned.

use super::ProviderConfig;
use super::catalog::{BadProviders, Choice, RULES};
use super::config::BaseUrl;
use super::known::{ANY_MODEL, Known, Wire};

const LONGEST_NAME: usize = 200;

/// Where it is, how it is spoken to, and which models it has.
#[derive(Debug)]
pub struct Entry {
    pub name: String,
    pub wire: Wire,
    pub base_url: BaseUrl,
    /// Those it is limited to.
    pub models: Vec<String>,
}

impl Entry {
    pub fn of(config: &ProviderConfig) -> Result<Self, BadProviders> {
        let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if config.name.is_empty() || config.name == RULES || !config.name.bytes().all(is_plain) {
            let problem = format!("names {:?}, which can't be a provider's name", config.name);
            return Err(BadProviders { setting: "AI_SERVICES", problem });
        }
        let known = Known::by_name(&config.name);
        let address = config.base_url.clone().or_else(|| known.map(Known::address));
        let base_url = address.ok_or_else(|| BadProviders {
            setting: "AI_SERVICES",
            problem: format!("names {}, which needs a base URL", config.name),
        })?;
        if let Some(odd) = config.models.iter().find(|model| !is_name(model)) {
            let problem = format!("names {odd:?} as a model of {}, which can't be one", config.name);
            return Err(BadProviders { setting: "AI_SERVICES", problem });
        }
        let wire = known.map_or(Wire::OpenAi, |known| known.wire);
        Ok(Self { name: config.name.clone(), wire, base_url, models: config.models.clone() })
    }

    pub fn named<'a>(entries: &'a [Self], name: &str) -> Option<&'a Self> {
        entries.iter().find(|entry| entry.name.eq_ignore_ascii_case(name))
    }

    pub fn known(&self) -> Option<&'static Known> {
        Known::by_name(&self.name)
    }

    pub fn takes_any(&self) -> bool {
        self.models.is_empty()
    }

    pub fn lists(&self, model: &str) -> bool {
        self.models.iter().any(|listed| listed == model)
    }

    pub fn takes(&self, model: &str) -> bool {
        self.lists(model) || self.takes_any() && self.could_have(model)
    }

    /// A maker's name before a slash is another provider's, except where models are named like that.
    pub fn could_have(&self, model: &str) -> bool {
        let slashed = self.known().is_none_or(|known| known.slashed);
        is_name(model) && (slashed || !model.contains('/'))
    }

    pub fn default_model(&self) -> &str {
        let built_in = || self.known().map_or(ANY_MODEL, |known| known.model);
        self.models.first().map_or_else(built_in, String::as_str)
    }

    pub fn full(&self, model: &str) -> String {
        format!("{}/{model}", self.name)
    }

    pub fn choice(&self, model: &str) -> Choice {
        Choice::Model(self.full(model))
    }
}

/// Names become parts of addresses: none leads elsewhere. What stands before `::` would be lost.
fn is_name(model: &str) -> bool {
    let is_part = |part: &str| !part.is_empty() && part.bytes().any(|byte| byte != b'.');
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/@+".contains(&byte);
    model.len() <= LONGEST_NAME && model.split('/').all(is_part) && model.bytes().all(fits) && !model.contains("::")
}
