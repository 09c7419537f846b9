//! Who may read the metrics: `METRICS_USER`, `METRICS_PASS`.

use api::MetricsLogin;

use crate::settings::{Settings, SettingsError, wrong};

const USER: &str = "METRICS_USER";
const PASSWORD: &str = "METRICS_PASS";

/// Both, or none.
pub fn login(settings: &Settings) -> Result<Option<MetricsLogin>, SettingsError> {
    match (settings.text(USER), settings.text(PASSWORD)) {
        (None, None) => Ok(None),
        (Some(user), Some(_)) if user.contains(':') => Err(wrong(USER, "must have no colon")),
        (Some(user), Some(password)) => Ok(Some(MetricsLogin::new(user, password))),
        (Some(_), None) => Err(wrong(PASSWORD, format!("must be set where {USER} is"))),
        (None, Some(_)) => Err(wrong(USER, format!("must be set where {PASSWORD} is"))),
    }
}
