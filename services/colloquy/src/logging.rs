//! What the program says of itself, on its standard error: lines for a person, or JSON for a machine.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::settings::{Settings, SettingsError, wrong};

const FILTER: &str = "info,sqlx=warn,async_nats=warn";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Text,
    Json,
}

/// From now on the program is heard, whatever is wrong with its settings.
pub fn begin(settings: Option<&Settings>) -> Result<(), SettingsError> {
    let (filter, form) = (settings.map_or(Ok(FILTER), filter), settings.map_or(Ok(usual()), form));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(*filter.as_ref().unwrap_or(&FILTER)))
        .with_writer(std::io::stderr);
    match *form.as_ref().unwrap_or(&usual()) {
        Form::Text => lines.with_ansi(std::io::stderr().is_terminal()).init(),
        // All spans, so that the request's id is there whatever is done for it.
        Form::Json => lines.json().flatten_event(true).with_current_span(false).init(),
    }
    filter.and(form).map(drop)
}

fn filter(settings: &Settings) -> Result<&str, SettingsError> {
    const NAME: &str = "COLLOQUY_LOG";
    let filter = settings.text(NAME).unwrap_or(FILTER);
    let is_one = EnvFilter::try_new(filter).is_ok();
    if is_one { Ok(filter) } else { Err(wrong(NAME, format!("must be a filter of tracing, like {FILTER}"))) }
}

fn form(settings: &Settings) -> Result<Form, SettingsError> {
    const NAME: &str = "COLLOQUY_LOG_FORMAT";
    match settings.text(NAME) {
        None => Ok(usual()),
        Some("text") => Ok(Form::Text),
        Some("json") => Ok(Form::Json),
        Some(_) => Err(wrong(NAME, "must be text or json")),
    }
}

fn usual() -> Form {
    if std::io::stderr().is_terminal() { Form::Text } else { Form::Json }
}
