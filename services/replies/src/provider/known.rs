//! The providers that are known by name: a new one is a line of this table.

use super::config::BaseUrl;

/// The language in which a provider is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    OpenAi,
    Gemini,
    Anthropic,
}

/// A row of [`KNOWN`].
pub struct Known {
    pub name: &'static str,
    pub wire: Wire,
    pub base_url: &'static str,
    pub model: &'static str,
    /// How the names of its models begin, where a bare name tells whose it is.
    pub begins: &'static [&'static str],
    /// Whether its models have names like `maker/model`.
    pub slashed: bool,
    /// Whether it is asked without a key.
    pub keyless: bool,
}

use Wire::{Anthropic, Gemini, OpenAi};

/// In the order in which the default is chosen. Groq and Hugging Face are spoken to as OpenAI is, which keeps their usage.
#[rustfmt::skip]
pub const KNOWN: &[Known] = &[
    Known { name: "openai", wire: OpenAi, base_url: "https://api.openai.com/v1/", model: "gpt-4o-mini", begins: &["gpt-", "o1", "o3", "o4"], slashed: false, keyless: false },
    Known { name: "open_router", wire: OpenAi, base_url: "https://openrouter.ai/api/v1/", model: "openrouter/auto", begins: &[], slashed: true, keyless: false },
    Known { name: "groq", wire: OpenAi, base_url: "https://api.groq.com/openai/v1/", model: "llama-3.1-8b-instant", begins: &[], slashed: true, keyless: false },
    Known { name: "gemini", wire: Gemini, base_url: "https://generativelanguage.googleapis.com/v1beta/", model: "gemini-2.5-flash", begins: &["gemini-"], slashed: false, keyless: false },
    Known { name: "huggingface", wire: OpenAi, base_url: "https://router.huggingface.co/v1/", model: "meta-llama/Llama-3.1-8B-Instruct", begins: &[], slashed: true, keyless: false },
    Known { name: "anthropic", wire: Anthropic, base_url: "https://api.anthropic.com/v1/", model: "claude-haiku-4-5", begins: &["claude-"], slashed: false, keyless: false },
    Known { name: "ollama", wire: OpenAi, base_url: "http://localhost:11434/v1/", model: "llama3.2", begins: &[], slashed: true, keyless: true },
];

/// What is asked of an address that nothing else is known of.
pub const ANY_MODEL: &str = "default";

impl Known {
    pub fn by_name(name: &str) -> Option<&'static Self> {
        KNOWN.iter().find(|known| known.name == name)
    }

    pub fn address(&self) -> BaseUrl {
        BaseUrl::known(self.base_url)
    }

    /// Whether a bare name says that the model is this provider's.
    pub fn makes(&self, model: &str) -> bool {
        self.begins.iter().any(|begin| model.starts_with(begin))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_address_is_one_that_could_be_configured() {
        for known in KNOWN {
            assert_eq!(known.base_url.parse(), Ok(known.address()), "{}", known.name);
        }
    }
}
