//! The settings of limits: `RATE_LIMIT_*`, `BUDGET_*`.

use api::{Budgets, Rates};
use domain::limit::{Budget, Good, Rate};
use domain::values::Role;

use crate::settings::{Settings, SettingsError, wrong};

/// How often each may come.
pub struct LimitsConfig {
    pub rates: Rates,
    /// An address tries to sign in, or to register; `None` is as often as it likes.
    pub sign_in: Option<Rate>,
}

pub fn of(settings: &Settings) -> Result<LimitsConfig, SettingsError> {
    let mut rates = Rates {
        service: rate(settings, "RATE_LIMIT_SERVICE", "100/minute")?,
        user: rate(settings, "RATE_LIMIT_USER", "10/minute")?,
        address: rate(settings, "RATE_LIMIT_IP", "600/minute")?,
        budgets: budgets(settings)?,
        ..Rates::default()
    };
    for role in Role::ALL {
        let name = of_role(*role);
        if let Some(text) = settings.text(name) {
            rates.of_role.insert(*role, parse(name, text)?);
        }
    }
    Ok(LimitsConfig { rates, sign_in: rate(settings, "RATE_LIMIT_SIGN_IN", "10/minute")? })
}

fn budgets(settings: &Settings) -> Result<Budgets, SettingsError> {
    let both = |tokens, cost| -> Result<Vec<Budget>, SettingsError> {
        let mut all =
            of_good(settings, tokens, Good::Tokens, "must be off, or tokens like 200000/day or 5000000/month")?;
        all.extend(of_good(settings, cost, Good::Cost, "must be off, or dollars like 2.50/day or 20/month")?);
        Ok(all)
    };
    let user = both("BUDGET_USER_TOKENS", "BUDGET_USER_COST")?;
    Ok(Budgets { user, key: both("BUDGET_KEY_TOKENS", "BUDGET_KEY_COST")? })
}

fn of_good(
    settings: &Settings,
    name: &'static str,
    of: Good,
    must: &'static str,
) -> Result<Vec<Budget>, SettingsError> {
    match settings.text(name) {
        None | Some("off") => Ok(Vec::new()),
        Some(text) => Budget::read(text, of).map_err(|_| wrong(name, must)),
    }
}

const fn of_role(role: Role) -> &'static str {
    match role {
        Role::Auditor => "RATE_LIMIT_USER_AUDITOR",
        Role::Admin => "RATE_LIMIT_USER_ADMIN",
    }
}

fn rate(settings: &Settings, name: &'static str, default: &str) -> Result<Option<Rate>, SettingsError> {
    parse(name, settings.text(name).unwrap_or(default))
}

fn parse(name: &'static str, text: &str) -> Result<Option<Rate>, SettingsError> {
    match text {
        "off" => Ok(None),
        rate => rate.parse().map(Some).map_err(|_| wrong(name, "must be off, or a rate like 10/minute")),
    }
}
