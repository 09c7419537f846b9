//! Which model a name means.

use super::config::ProvidersConfig;
use super::embedding::EmbeddingEntry;
use super::entry::Entry;
use super::known::KNOWN;

/// Who answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// The bot that is built in.
    Rules,
    /// `provider/model`.
    Model(String),
}

/// One that can be chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelShown {
    pub id: String,
    pub provider: String,
}

/// No provider that is configured has it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no such model; there are: {}", available.join(", "))]
pub struct UnknownModel {
    pub available: Vec<String>,
}

/// A setting that does not fit the others.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{setting} {problem}")]
pub struct BadProviders {
    pub setting: &'static str,
    pub problem: String,
}

/// The name of the bot that is built in.
pub const RULES: &str = "rules";

/// What there is to choose from, the first provider first.
#[derive(Debug)]
pub struct Catalog {
    entries: Vec<Entry>,
    default: Choice,
    /// Who embeds, where a provider does.
    pub embedder: Option<EmbeddingEntry>,
}

impl Catalog {
    pub fn of(config: &ProvidersConfig) -> Result<Self, BadProviders> {
        let mut entries = config.providers.iter().map(Entry::of).collect::<Result<Vec<_>, _>>()?;
        let place = |entry: &Entry| KNOWN.iter().position(|known| known.name == entry.name).unwrap_or(KNOWN.len());
        entries.sort_by(|a, b| place(a).cmp(&place(b)).then_with(|| a.name.cmp(&b.name)));
        if let Some(twice) = entries.array_windows().find_map(|[a, b]| (a.name == b.name).then_some(&a.name)) {
            return Err(BadProviders { setting: "AI_SERVICES", problem: format!("names {twice} twice") });
        }
        let default = entries.first().map_or(Choice::Rules, |first| first.choice(first.default_model()));
        let embedder = config.embeddings.as_ref().map(|named| EmbeddingEntry::of(named, &entries)).transpose()?;
        let mut catalog = Self { entries, default, embedder };
        if let Some(model) = config.model.as_deref().filter(|_| !catalog.entries.is_empty()) {
            let unknown = |unknown: UnknownModel| BadProviders {
                setting: "COLLOQUY_MODEL",
                problem: format!("names a model that no configured provider has: {unknown}"),
            };
            catalog.default = catalog.choose(None, Some(model)).map_err(unknown)?;
        }
        catalog.check_fallbacks(config)?;
        Ok(catalog)
    }

    fn check_fallbacks(&self, config: &ProvidersConfig) -> Result<(), BadProviders> {
        let missing = config.fallbacks.names().find(|name| self.find(name).is_none());
        missing.map_or(Ok(()), |name| {
            let problem = format!("names {name}, which no configured provider has");
            Err(BadProviders { setting: "COLLOQUY_FALLBACKS", problem })
        })
    }

    /// The provider and the model of a full name.
    pub fn find<'a>(&self, full: &'a str) -> Option<(&Entry, &'a str)> {
        let (provider, model) = full.split_once('/')?;
        let entry = self.provider(provider)?;
        entry.takes(model).then_some((entry, model))
    }

    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub fn choose(&self, provider: Option<&str>, model: Option<&str>) -> Result<Choice, UnknownModel> {
        if self.entries.is_empty() {
            return Ok(Choice::Rules);
        }
        let choice = match (provider, model) {
            (None, None) => Some(self.default.clone()),
            (None | Some(RULES), Some(RULES)) | (Some(RULES), None) => Some(Choice::Rules),
            (Some(provider), None) => self.provider(provider).map(|entry| entry.choice(entry.default_model())),
            (Some(provider), Some(model)) => self.of_provider(provider, model),
            (None, Some(model)) => self.named(model),
        };
        choice.ok_or_else(|| self.unknown())
    }

    /// Whose name it is, though nobody else be there.
    pub fn choose_named(&self, model: &str) -> Result<Choice, UnknownModel> {
        if self.entries.is_empty() && model != RULES {
            return Err(self.unknown());
        }
        self.choose(None, Some(model))
    }

    fn unknown(&self) -> UnknownModel {
        UnknownModel { available: self.models().into_iter().map(|model| model.id).collect() }
    }

    pub fn models(&self) -> Vec<ModelShown> {
        let of_entry = |entry: &Entry| {
            let models = if entry.takes_any() { vec![entry.default_model()] } else { texts(&entry.models) };
            let shown = |model| ModelShown { id: entry.full(model), provider: entry.name.clone() };
            models.into_iter().map(shown).collect::<Vec<_>>()
        };
        let rules = ModelShown { id: RULES.to_owned(), provider: RULES.to_owned() };
        self.entries.iter().flat_map(of_entry).chain([rules]).collect()
    }

    pub fn provider(&self, name: &str) -> Option<&Entry> {
        Entry::named(&self.entries, name)
    }

    /// The model may say once more whose it is.
    fn of_provider(&self, provider: &str, model: &str) -> Option<Choice> {
        let entry = self.provider(provider)?;
        if entry.takes(model) {
            return Some(entry.choice(model));
        }
        let (again, model) = model.split_once('/')?;
        (again.eq_ignore_ascii_case(provider) && entry.takes(model)).then(|| entry.choice(model))
    }

    /// A full name; or a bare one, which says whose it is, or which somebody lists, or which goes to the only provider
    /// that takes any.
    fn named(&self, name: &str) -> Option<Choice> {
        if let Some((entry, model)) = self.find(name) {
            return Some(entry.choice(model));
        }
        let mut takers = self.entries.iter().filter(|entry| entry.takes_any());
        let only = || takers.next().filter(|_| takers.next().is_none());
        let made_by = self.entries.iter().find(|entry| entry.known().is_some_and(|known| known.makes(name)));
        let taker = made_by.filter(|entry| entry.takes(name));
        let taker = taker.or_else(|| self.entries.iter().find(|entry| entry.lists(name))).or_else(only);
        taker.filter(|entry| entry.takes(name)).map(|entry| entry.choice(name))
    }
}

fn texts(models: &[String]) -> Vec<&str> {
    models.iter().map(String::as_str).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::ProviderConfig;

    fn provider(name: &str, models: &[&str]) -> ProviderConfig {
        let models = models.iter().map(|&model| model.to_owned()).collect();
        ProviderConfig { name: name.to_owned(), keys: Vec::new(), base_url: "http://host/v1/".parse().ok(), models }
    }

    fn catalog(providers: &[(&str, &[&str])]) -> Catalog {
        let providers = providers.iter().map(|(name, models)| provider(name, models)).collect();
        Catalog::of(&ProvidersConfig { providers, ..ProvidersConfig::default() }).unwrap()
    }

    fn chosen(catalog: &Catalog, provider: Option<&str>, model: Option<&str>) -> String {
        match catalog.choose(provider, model) {
            Ok(Choice::Rules) => "rules".to_owned(),
            Ok(Choice::Model(model)) => model,
            Err(unknown) => unknown.to_string(),
        }
    }

    #[test]
    fn without_a_provider_the_rules_answer_whatever_the_name() {
        let catalog = catalog(&[]);
        for (provider, model) in [(None, None), (None, Some("gpt-4o")), (Some("openai"), None), (Some("x"), Some("y"))]
        {
            assert_eq!(chosen(&catalog, provider, model), "rules");
        }
        assert_eq!(catalog.models(), [ModelShown { id: "rules".to_owned(), provider: "rules".to_owned() }]);
    }

    #[test]
    fn a_name_that_has_to_be_somebodys_is_the_rules_own_or_a_providers() {
        let alone = catalog(&[]);
        assert_eq!(alone.choose_named("rules"), Ok(Choice::Rules));
        assert_eq!(alone.choose_named("gpt-4o").unwrap_err().available, ["rules"]);
        let both = catalog(&[("openai", &[])]);
        assert_eq!(both.choose_named("rules"), Ok(Choice::Rules));
        assert_eq!(both.choose_named("gpt-4o"), Ok(Choice::Model("openai/gpt-4o".to_owned())));
        assert_eq!(
            both.choose_named("claude-opus-4"),
            Ok(Choice::Model("openai/claude-opus-4".to_owned())),
            "it takes any"
        );
        assert!(both.choose_named("gemini/x").is_err());
    }

    #[test]
    fn nothing_means_the_first_providers_default() {
        assert_eq!(chosen(&catalog(&[("gemini", &[]), ("openai", &[])]), None, None), "openai/gpt-4o-mini");
        assert_eq!(chosen(&catalog(&[("mine", &[]), ("groq", &["b", "a"])]), None, None), "groq/b");
        assert_eq!(chosen(&catalog(&[("mine", &[])]), None, None), "mine/default");
    }

    #[test]
    fn a_full_name_is_taken_by_its_provider() {
        let catalog = catalog(&[("openai", &[]), ("groq", &["llama"]), ("open_router", &[])]);
        assert_eq!(chosen(&catalog, None, Some("openai/gpt-4o")), "openai/gpt-4o");
        assert_eq!(chosen(&catalog, None, Some("OpenAI/gpt-4o")), "openai/gpt-4o");
        assert_eq!(chosen(&catalog, None, Some("open_router/openai/gpt-4o")), "open_router/openai/gpt-4o");
        assert_eq!(chosen(&catalog, Some("groq"), Some("llama")), "groq/llama");
        assert_eq!(chosen(&catalog, Some("groq"), Some("groq/llama")), "groq/llama");
        assert_eq!(chosen(&catalog, Some("open_router"), Some("openai/gpt-4o")), "open_router/openai/gpt-4o");
        assert_eq!(chosen(&catalog, Some("groq"), None), "groq/llama");
    }

    #[test]
    fn a_bare_name_says_whose_it_is() {
        let catalog = catalog(&[("openai", &[]), ("gemini", &[]), ("anthropic", &[]), ("groq", &["llama"])]);
        for (name, full) in [
            ("gpt-4o", "openai/gpt-4o"),
            ("o1", "openai/o1"),
            ("o3-mini", "openai/o3-mini"),
            ("o4-mini", "openai/o4-mini"),
            ("gemini-2.0-flash", "gemini/gemini-2.0-flash"),
            ("claude-opus-4", "anthropic/claude-opus-4"),
            ("llama", "groq/llama"),
        ] {
            assert_eq!(chosen(&catalog, None, Some(name)), full);
        }
    }

    #[test]
    fn another_bare_name_goes_to_the_only_provider_that_takes_any() {
        let one = catalog(&[("mine", &[]), ("openai", &["gpt-4o"])]);
        assert_eq!(chosen(&one, None, Some("qwen2.5")), "mine/qwen2.5");
        assert_eq!(chosen(&one, None, Some("gpt-5")), "mine/gpt-5", "openai does not list it");
        assert_eq!(chosen(&one, None, Some("meta-llama/Llama-3")), "mine/meta-llama/Llama-3");
        let two = catalog(&[("mine", &[]), ("yours", &[])]);
        assert!(two.choose(None, Some("qwen2.5")).is_err());
    }

    #[test]
    fn what_nobody_has_is_unknown_and_the_answer_says_what_there_is() {
        let catalog = catalog(&[("openai", &[]), ("groq", &["a", "b"])]);
        let list = "there is no such model; there are: openai/gpt-4o-mini, groq/a, groq/b, rules";
        for (provider, model) in [
            (None, Some("gemini/x")),
            (None, Some("groq/c")),
            (Some("groq"), Some("c")),
            (Some("mine"), None),
            (None, Some("")),
        ] {
            assert_eq!(chosen(&catalog, provider, model), list, "{provider:?} {model:?}");
        }
    }

    #[test]
    fn a_name_that_would_lead_elsewhere_is_unknown() {
        let catalog = catalog(&[("mine", &[])]);
        let long = "a".repeat(201);
        for name in
            ["../files", "a/../b", "a?key=b", "a#b", "a%2fb", "/a", "a/", "a//b", "a b", "a\nb", "ä", "a::b", &long]
        {
            assert!(catalog.choose(None, Some(name)).is_err(), "{name}");
            assert!(catalog.choose(Some("mine"), Some(name)).is_err(), "{name}");
        }
        assert_eq!(chosen(&catalog, None, Some("hf.co/a_b/C-3.1:q4@x+y")), "mine/hf.co/a_b/C-3.1:q4@x+y");
    }

    #[test]
    fn the_rules_can_be_chosen_beside_providers() {
        let catalog = catalog(&[("openai", &[])]);
        assert_eq!(chosen(&catalog, None, Some("rules")), "rules");
        assert_eq!(chosen(&catalog, Some("rules"), None), "rules");
    }

    #[test]
    fn settings_that_name_what_there_is_not_are_refused() {
        let config = |model: Option<&str>, fallbacks: &str| ProvidersConfig {
            providers: vec![provider("openai", &["gpt-4o"])],
            model: model.map(str::to_owned),
            fallbacks: fallbacks.parse().unwrap(),
            ..ProvidersConfig::default()
        };
        let setting = |config: &ProvidersConfig| Catalog::of(config).map_err(|bad| bad.setting).err();
        assert_eq!(setting(&config(Some("gpt-4o"), "")), None);
        assert_eq!(setting(&config(Some("rules"), "")), None);
        assert_eq!(setting(&config(Some("gpt-5"), "")), Some("COLLOQUY_MODEL"));
        assert_eq!(setting(&config(None, "openai/gpt-4o=groq/a")), Some("COLLOQUY_FALLBACKS"));
        for name in ["rules", "", "a/b", "Mine"] {
            let config = ProvidersConfig { providers: vec![provider(name, &[])], ..ProvidersConfig::default() };
            assert_eq!(setting(&config), Some("AI_SERVICES"), "{name}");
        }
        let nowhere = ProviderConfig { base_url: None, ..provider("mine", &[]) };
        let config = ProvidersConfig { providers: vec![nowhere], ..ProvidersConfig::default() };
        assert_eq!(setting(&config), Some("AI_SERVICES"));
    }

    #[test]
    fn a_default_that_is_configured_is_what_nothing_means() {
        let providers = vec![provider("openai", &[]), provider("mine", &["small"])];
        let config = ProvidersConfig { providers, model: Some("small".to_owned()), ..ProvidersConfig::default() };
        assert_eq!(chosen(&Catalog::of(&config).unwrap(), None, None), "mine/small");
    }
}
