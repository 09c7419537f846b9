//! The settings of providers: which models there are, what they cost, and how long an answer may take.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use domain::values::Vector;
use replies::{Context, EmbeddingsConfig, Fallbacks, Limits, Prices, ProviderConfig, ProvidersConfig, Titles};

use crate::settings::{Settings, SettingsError, wrong};

const PREFIX: &str = "AI_SERVICES__";
/// Else one letter too few would leave the rule bot to answer, and nobody would know why.
const NO_SETTING: &str = "is not a setting: AI_SERVICES__ and a provider's name are followed by _API_KEY, _API_KEY_ and \
     a number, _BASE_URL or _MODELS";
/// Names without the prefix that are common elsewhere, and whose keys they are.
const COMMON: [(&str, &str); 2] = [("OPENAI_API_KEY", "openai"), ("HUGGINGFACE_API_KEY", "huggingface")];

const LONGEST_SILENCE: u64 = 86_400;
/// The bus keeps live text for fifteen minutes: of a longer answer, who comes late would miss the beginning.
const LONGEST_ANSWER: u64 = 840;

pub fn of(settings: &Settings) -> Result<ProvidersConfig, SettingsError> {
    let defaults = ProvidersConfig::default();
    let fallbacks = "like provider/model=provider/model,provider/model; …";
    let prices = "like provider/model=0.15/0.60; …, dollars for a million tokens of the prompt and of the answer";
    let config = ProvidersConfig {
        providers: providers(settings)?,
        model: settings.text("COLLOQUY_MODEL").map(str::to_owned),
        fallbacks: settings.parsed("COLLOQUY_FALLBACKS", Fallbacks::default(), fallbacks)?,
        prices: settings.parsed("AI_PRICES", Prices::default(), prices)?,
        limits: limits(settings, defaults.limits)?,
        embeddings: embeddings(settings)?,
    };
    config.check().map_err(|bad| wrong(bad.setting, bad.problem))?;
    Ok(config)
}

/// Whose vectors messages get beside the built-in ones.
fn embeddings(settings: &Settings) -> Result<Option<EmbeddingsConfig>, SettingsError> {
    const DIMENSIONS: &str = "COLLOQUY_EMBEDDING_DIMENSIONS";
    let should = format!("a number from 1 to {}", Vector::MOST);
    let dimensions = settings.text(DIMENSIONS).map(str::parse).transpose().ok();
    let dimensions = dimensions.filter(|it| it.is_none_or(|it| (1..=Vector::MOST).contains(&it)));
    let dimensions = dimensions.ok_or_else(|| wrong(DIMENSIONS, format!("must be {should}")))?;
    let model = settings.text("COLLOQUY_EMBEDDINGS").map(str::to_owned);
    Ok(model.map(|model| EmbeddingsConfig { model, dimensions }))
}

/// What a model is told before a conversation, and how much of it.
pub fn context(settings: &Settings) -> Result<Context, SettingsError> {
    const TOKENS: &str = "COLLOQUY_CONTEXT_TOKENS";
    let should = "a number from 100 to 10000000";
    let budget = settings.parsed(TOKENS, 16_000, should)?;
    if !(100..=10_000_000).contains(&budget) {
        return Err(wrong(TOKENS, format!("must be {should}")));
    }
    Ok(Context { system: settings.text("COLLOQUY_SYSTEM_PROMPT").map(str::to_owned), budget })
}

/// Who names conversations.
pub fn titles(settings: &Settings) -> Result<Titles, SettingsError> {
    settings.parsed("COLLOQUY_TITLES", Titles::default(), "words or provider")
}

/// A provider of a vendor is configured when it has a key; any other when it has an address.
fn providers(settings: &Settings) -> Result<Vec<ProviderConfig>, SettingsError> {
    let mut all = BTreeMap::new();
    for (rest, text) in settings.beginning(PREFIX) {
        let setting = format!("{PREFIX}{rest}");
        if let Some(name) = rest.strip_suffix("_BASE_URL") {
            let address = text.parse().map_err(|_| {
                wrong(setting, "must be an http:// or https:// address without a password and without a query")
            })?;
            named(&mut all, name).base_url = Some(address);
        } else if let Some(name) = rest.strip_suffix("_MODELS") {
            named(&mut all, name).models = listed(text).map(str::to_owned).collect();
        } else if let Some(name) = owner_of_key(rest) {
            named(&mut all, name).keys.extend(parsed_keys(setting, text)?);
        } else {
            return Err(wrong(setting, NO_SETTING));
        }
    }
    for (setting, name) in COMMON {
        if let Some(text) = settings.text(setting) {
            named(&mut all, name).keys.extend(parsed_keys(setting.to_owned(), text)?);
        }
    }
    let is_configured = |it: &ProviderConfig| {
        if ProviderConfig::needs_key(&it.name) {
            !it.keys.is_empty()
        } else {
            !it.keys.is_empty() || it.base_url.is_some()
        }
    };
    Ok(all.into_values().filter(is_configured).collect())
}

fn named<'a>(all: &'a mut BTreeMap<String, ProviderConfig>, name: &str) -> &'a mut ProviderConfig {
    let name = name.to_lowercase();
    let empty = ProviderConfig { name: name.clone(), keys: Vec::new(), base_url: None, models: Vec::new() };
    all.entry(name).or_insert(empty)
}

/// `<NAME>_API_KEY`, or one of several: `<NAME>_API_KEY_1`.
fn owner_of_key(rest: &str) -> Option<&str> {
    let numbered = || {
        let (name, number) = rest.rsplit_once("_API_KEY_")?;
        number.bytes().all(|byte| byte.is_ascii_digit()).then_some(name)
    };
    rest.strip_suffix("_API_KEY").or_else(numbered)
}

fn parsed_keys<T: FromStr>(setting: String, text: &str) -> Result<Vec<T>, SettingsError> {
    let keys = listed(text).map(str::parse).collect::<Result<_, _>>();
    keys.map_err(|_| wrong(setting, "must be a key, or several with commas between them; a key has no blanks"))
}

fn listed(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|it| !it.is_empty())
}

fn limits(settings: &Settings, defaults: Limits) -> Result<Limits, SettingsError> {
    const REPLY_BYTES: &str = "AI_REPLY_BYTES";
    let least_and_most = 1_024..=67_108_864;
    let should = "a number of bytes from 1024 to 67108864";
    let reply_bytes = settings.parsed(REPLY_BYTES, defaults.reply_bytes, should)?;
    if !least_and_most.contains(&reply_bytes) {
        return Err(wrong(REPLY_BYTES, format!("must be {should}")));
    }
    Ok(Limits {
        first_token: seconds(settings, "AI_FIRST_TOKEN_SECONDS", defaults.first_token, LONGEST_SILENCE)?,
        idle: seconds(settings, "AI_IDLE_SECONDS", defaults.idle, LONGEST_SILENCE)?,
        total: seconds(settings, "AI_TOTAL_SECONDS", defaults.total, LONGEST_ANSWER)?,
        reply_bytes,
    })
}

fn seconds(settings: &Settings, name: &'static str, default: Duration, most: u64) -> Result<Duration, SettingsError> {
    let should = format!("a number of seconds from 1 to {most}");
    let seconds = settings.parsed(name, default.as_secs(), &should)?;
    if (1..=most).contains(&seconds) {
        Ok(Duration::from_secs(seconds))
    } else {
        Err(wrong(name, format!("must be {should}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(settings: &[(&'static str, &'static str)]) -> Result<ProvidersConfig, String> {
        of(&settings.iter().copied().collect()).map_err(|error| error.to_string())
    }

    fn names(settings: &[(&'static str, &'static str)]) -> Vec<(String, usize)> {
        let providers = parsed(settings).unwrap().providers;
        providers.into_iter().map(|provider| (provider.name, provider.keys.len())).collect()
    }

    #[test]
    fn a_provider_is_configured_by_its_key_or_where_it_is_at_home_by_its_address() {
        assert_eq!(names(&[]), []);
        assert_eq!(names(&[("AI_SERVICES__GROQ_API_KEY", "a")]), [("groq".to_owned(), 1)]);
        assert_eq!(names(&[("AI_SERVICES__GROQ_BASE_URL", "http://host/v1")]), [], "a vendor asks for a key");
        assert_eq!(names(&[("AI_SERVICES__OLLAMA_BASE_URL", "http://host/v1")]), [("ollama".to_owned(), 0)]);
        assert_eq!(names(&[("AI_SERVICES__MY_OWN_BASE_URL", "http://host/v1")]), [("my_own".to_owned(), 0)]);
        assert_eq!(names(&[("AI_SERVICES__GROQ_MODELS", "a,b"), ("AI_SERVICES__GROQ_API_KEY", " ")]), []);
    }

    #[test]
    fn keys_make_a_pool_however_they_are_given() {
        let settings = [
            ("AI_SERVICES__OPEN_ROUTER_API_KEY", "a, b,"),
            ("AI_SERVICES__OPEN_ROUTER_API_KEY_1", "c"),
            ("AI_SERVICES__OPEN_ROUTER_API_KEY_2", "d"),
            ("OPENAI_API_KEY", "e"),
        ];
        assert_eq!(names(&settings), [("open_router".to_owned(), 4), ("openai".to_owned(), 1)]);
    }

    #[test]
    fn what_is_set_is_what_is_meant() {
        let config = parsed(&[
            ("AI_SERVICES__OPENAI_API_KEY", "a"),
            ("AI_SERVICES__OPENAI_MODELS", "gpt-4o, gpt-4o-mini"),
            ("COLLOQUY_MODEL", "gpt-4o-mini"),
            ("AI_FIRST_TOKEN_SECONDS", "5"),
            ("AI_IDLE_SECONDS", "6"),
            ("AI_TOTAL_SECONDS", "840"),
            ("AI_REPLY_BYTES", "2048"),
            ("COLLOQUY_EMBEDDINGS", "openai/text-embedding-3-large"),
            ("COLLOQUY_EMBEDDING_DIMENSIONS", "1024"),
        ]);
        let config = config.unwrap();
        let seconds = Duration::from_secs;
        let limits = Limits { first_token: seconds(5), idle: seconds(6), total: seconds(840), reply_bytes: 2_048 };
        assert_eq!((config.limits, config.model.as_deref()), (limits, Some("gpt-4o-mini")));
        let model = "openai/text-embedding-3-large".to_owned();
        assert_eq!(config.embeddings, Some(EmbeddingsConfig { model, dimensions: Some(1_024) }));
        assert_eq!(config.providers.iter().map(|it| it.models.len()).collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn what_cannot_be_meant_is_refused_and_not_repeated() {
        let key = ("AI_SERVICES__OPENAI_API_KEY", "sk-secret");
        for (name, value) in [
            ("AI_SERVICES__OPENAI_API_KEY_1", "sk-secret blank"),
            ("AI_SERVICES__OPENAI_BASE_URL", "http://sk-secret@host/"),
            ("AI_SERVICES__OPENAI_BASE_URL", "ftp://sk-secret/"),
            ("COLLOQUY_FALLBACKS", "sk-secret"),
            ("COLLOQUY_FALLBACKS", "openai/gpt-4o=groq/llama"),
            ("COLLOQUY_MODEL", "groq/llama"),
            ("AI_PRICES", "sk-secret"),
            ("AI_FIRST_TOKEN_SECONDS", "0"),
            ("AI_IDLE_SECONDS", "sk-secret"),
            ("AI_TOTAL_SECONDS", "841"),
            ("AI_SERVICES__OPENAI_APIKEY", "sk-secret"),
            ("AI_SERVICES__OPENAI_API_KEY_ONE", "sk-secret"),
            ("AI_SERVICES__OPENAI_MODEL", "sk-secret"),
            ("AI_SERVICES__OPENAI", "sk-secret"),
            ("AI_REPLY_BYTES", "12"),
            ("COLLOQUY_EMBEDDINGS", "sk-secret"),
            ("COLLOQUY_EMBEDDINGS", "groq/sk-secret"),
            ("COLLOQUY_EMBEDDING_DIMENSIONS", "0"),
            ("COLLOQUY_EMBEDDING_DIMENSIONS", "2001"),
            ("COLLOQUY_EMBEDDING_DIMENSIONS", "sk-secret"),
        ] {
            let told = parsed(&[key, (name, value)]).unwrap_err();
            assert!(told.starts_with(name) && !told.contains("secret"), "{told}");
        }
        let told = parsed(&[("AI_SERVICES__MISTRAL_API_KEY", "sk-secret")]).unwrap_err();
        assert_eq!(told, "AI_SERVICES names mistral, which needs a base URL");
    }
}
