//! What the operator says of providers, parsed.

use std::fmt::{self, Debug, Formatter};
use std::str::FromStr;
use std::time::Duration;

use provider_http::Url;

use super::catalog::{BadProviders, Catalog};
use super::known::Known;
use super::{Fallbacks, Prices};

/// Everything that [`super::Providers`] needs.
#[derive(Debug, Clone, Default)]
pub struct ProvidersConfig {
    /// Those that are configured, in any order.
    pub providers: Vec<ProviderConfig>,
    /// What is asked where a request names no model.
    pub model: Option<String>,
    pub fallbacks: Fallbacks,
    pub prices: Prices,
    pub limits: Limits,
    /// Whose vectors messages get beside the built-in ones.
    pub embeddings: Option<EmbeddingsConfig>,
}

/// A model that turns texts into vectors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmbeddingsConfig {
    /// `provider/model`; it need not be among those that are listed to answer.
    pub model: String,
    /// How many numbers it is asked for; else it gives what it likes.
    pub dimensions: Option<u32>,
}

impl ProvidersConfig {
    /// Whether the settings fit each other: at the start, before anything runs.
    pub fn check(&self) -> Result<(), BadProviders> {
        Catalog::of(self).map(drop)
    }
}

/// One provider, as `AI_SERVICES__<NAME>_…` says it.
#[derive(Debug, Clone)]
pub struct ProviderConfig {
    /// In lower case: `openai`, `open_router`, …; any other name is an address that speaks as OpenAI does.
    pub name: String,
    /// The pool; without a key none is presented.
    pub keys: Vec<ApiKey>,
    /// Only providers of vendors have one of their own.
    pub base_url: Option<BaseUrl>,
    /// The first is the default. Without any, every name is taken.
    pub models: Vec<String>,
}

impl ProviderConfig {
    /// Whether a provider of that name is asked only with a key: those of vendors are, except where the model runs at
    /// home.
    #[must_use]
    pub fn needs_key(name: &str) -> bool {
        Known::by_name(name).is_some_and(|known| !known.keyless)
    }
}

/// How long a provider may take, and how much it may say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub first_token: Duration,
    pub idle: Duration,
    pub total: Duration,
    pub reply_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { first_token: seconds(30), idle: seconds(90), total: seconds(600), reply_bytes: 1_048_576 }
    }
}

/// A secret: it is given to the provider, and to nobody else.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(String);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a key is printable ASCII without blanks")]
pub struct NotAKey;

impl ApiKey {
    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl FromStr for ApiKey {
    type Err = NotAKey;

    fn from_str(key: &str) -> Result<Self, NotAKey> {
        let fits = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_graphic());
        if fits { Ok(Self(key.to_owned())) } else { Err(NotAKey) }
    }
}

impl Debug for ApiKey {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(secret)")
    }
}

/// Where a provider is, version path included; it ends with a slash, so that paths can be joined to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl(String);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be an http:// or https:// address with a path alone, like https://host/v1/")]
pub struct NotABaseUrl;

impl BaseUrl {
    pub(super) fn known(address: &'static str) -> Self {
        Self(address.to_owned())
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn is_secure(&self) -> bool {
        self.0.starts_with("https:")
    }
}

impl FromStr for BaseUrl {
    type Err = NotABaseUrl;

    /// No name and password, and no query: addresses are shown in errors, and nothing in them may be secret.
    fn from_str(text: &str) -> Result<Self, NotABaseUrl> {
        let url = Url::parse(text).map_err(|_| NotABaseUrl)?;
        let is_web = matches!(url.scheme(), "http" | "https") && url.has_host();
        let has_more = !url.username().is_empty() || url.password().is_some();
        if !is_web || has_more || url.query().is_some() || url.fragment().is_some() {
            return Err(NotABaseUrl);
        }
        Ok(Self(format!("{}/", url.as_str().trim_end_matches('/'))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_ends_with_a_slash_however_it_is_typed() {
        for text in ["http://localhost:11434/v1", "http://localhost:11434/v1/", "http://localhost:11434/v1//"] {
            assert_eq!(text.parse(), Ok(BaseUrl("http://localhost:11434/v1/".to_owned())), "{text}");
        }
        assert_eq!("https://host".parse(), Ok(BaseUrl("https://host/".to_owned())));
    }

    #[test]
    fn an_address_that_could_hide_a_secret_or_lead_elsewhere_is_refused() {
        for text in [
            "",
            "host/v1",
            "ftp://host/",
            "file:///etc",
            "http://a:b@host/",
            "http://a@host/",
            "http://host/?key=1",
            "http://host/#k",
        ] {
            assert_eq!(text.parse::<BaseUrl>(), Err(NotABaseUrl), "{text}");
        }
    }

    #[test]
    fn a_key_is_not_shown_in_the_configuration() {
        let key: ApiKey = "sk-secret".parse().unwrap();
        let base_url = "http://host/v1/".parse().ok();
        let config = ProviderConfig { name: "openai".to_owned(), keys: vec![key], base_url, models: Vec::new() };
        let shown = format!("{:?}", ProvidersConfig { providers: vec![config], ..ProvidersConfig::default() });
        assert!(!shown.contains("sk-secret"), "{shown}");
        assert!(shown.contains("ApiKey(secret)"), "{shown}");
    }

    #[test]
    fn a_key_that_could_not_be_a_header_is_refused() {
        for text in ["", "two words", "a\nb", "schlüssel"] {
            assert_eq!(text.parse::<ApiKey>(), Err(NotAKey), "{text}");
        }
    }
}
