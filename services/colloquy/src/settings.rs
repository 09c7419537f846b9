//! Where settings come from: flags, then the environment, then `.env`, then `colloquy.toml`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

/// The settings that are often changed for one start.
#[derive(Debug, Default, clap::Args)]
pub struct Flags {
    /// The address to listen on (`COLLOQUY_LISTEN`).
    #[arg(long, global = true)]
    listen: Option<String>,
    /// The folder for SQLite files, the generated secret, attachments and the replies of a process alone (`COLLOQUY_DATA`).
    #[arg(long, global = true)]
    data: Option<String>,
    /// Which services this process runs: api, relay, project, reply (`COLLOQUY_ROLES`).
    #[arg(long, global = true)]
    roles: Option<String>,
}

/// What was set, by the variable's name. Some of it is secret: nothing here can be printed.
pub struct Settings(BTreeMap<String, String>);

#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    #[error("{file} can't be read: {reason}")]
    File { file: &'static str, reason: String },
    #[error("{name} {problem}")]
    Setting { name: Cow<'static, str>, problem: String },
}

impl Settings {
    pub fn read(flags: Flags) -> Result<Self, SettingsError> {
        let mut all = from_toml("colloquy.toml")?;
        all.extend(from_dotenv(".env")?);
        all.extend(
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))),
        );
        let flags = [("COLLOQUY_LISTEN", flags.listen), ("COLLOQUY_DATA", flags.data), ("COLLOQUY_ROLES", flags.roles)];
        all.extend(flags.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
        Ok(Self(all))
    }

    /// A setting as text; an empty one counts as not set.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
    }

    /// What was set under names that begin so: the rest of each name, and its text.
    pub fn beginning<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0.keys().filter_map(move |name| Some((name.strip_prefix(prefix)?, self.text(name)?)))
    }

    /// A setting that is parsed; the error names the variable and says what it should be, never what it is.
    pub fn parsed<T: std::str::FromStr>(
        &self,
        name: &'static str,
        default: T,
        should: &str,
    ) -> Result<T, SettingsError> {
        let Some(text) = self.text(name) else { return Ok(default) };
        text.parse().map_err(|_| wrong(name, format!("must be {should}")))
    }
}

#[cfg(test)]
impl FromIterator<(&'static str, &'static str)> for Settings {
    fn from_iter<I: IntoIterator<Item = (&'static str, &'static str)>>(settings: I) -> Self {
        Self(settings.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }
}

pub fn wrong(name: impl Into<Cow<'static, str>>, problem: impl Into<String>) -> SettingsError {
    SettingsError::Setting { name: name.into(), problem: problem.into() }
}

fn from_dotenv(file: &'static str) -> Result<BTreeMap<String, String>, SettingsError> {
    if !Path::new(file).exists() {
        return Ok(BTreeMap::new());
    }
    let unreadable = |error: dotenvy::Error| {
        // A line that can't be parsed may hold a secret: it is not repeated.
        let reason = if let dotenvy::Error::LineParse(_, at) = error {
            format!("a line is not NAME=value, at its character {at}")
        } else {
            error.to_string()
        };
        SettingsError::File { file, reason }
    };
    dotenvy::from_path_iter(file).map_err(unreadable)?.collect::<Result<_, _>>().map_err(unreadable)
}

/// Keys are the variables' names, in either case.
fn from_toml(file: &'static str) -> Result<BTreeMap<String, String>, SettingsError> {
    if !Path::new(file).exists() {
        return Ok(BTreeMap::new());
    }
    let unreadable = |reason: String| SettingsError::File { file, reason };
    let text = std::fs::read_to_string(file).map_err(|error| unreadable(error.to_string()))?;
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| unreadable(error.message().to_owned()))?;
    let setting = |(name, value): (String, toml::Value)| {
        let name = name.to_uppercase();
        let plain =
            plain(value).ok_or_else(|| unreadable(format!("{name} must be a text, a number, true or false")))?;
        Ok((name, plain))
    };
    table.into_iter().map(setting).collect()
}

fn plain(value: toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Boolean(flag) => Some(flag.to_string()),
        toml::Value::Float(_) | toml::Value::Datetime(_) | toml::Value::Array(_) | toml::Value::Table(_) => None,
    }
}
