//! Where the log is: `DATABASE_URL`.

use crate::settings::{Settings, SettingsError, wrong};

/// Where the log is.
#[derive(Debug, PartialEq, Eq)]
pub enum Database {
    Sqlite,
    Postgres { url: String },
}

/// Programs in Python name a driver behind the engine, which says nothing here. SQLite's files are in the folder of the data,
/// whatever file the address names.
pub fn of(settings: &Settings) -> Result<Database, SettingsError> {
    const NAME: &str = "DATABASE_URL";
    let Some(address) = settings.text(NAME) else { return Ok(Database::Sqlite) };
    let (scheme, rest) = address.split_once(':').unwrap_or_default();
    let engine = scheme.split_once('+').map_or(scheme, |(engine, _driver)| engine);
    match engine {
        "sqlite" => Ok(Database::Sqlite),
        "postgres" | "postgresql" if rest.starts_with("//") => {
            Ok(Database::Postgres { url: format!("postgres:{rest}") })
        }
        _ => Err(wrong(NAME, "must be a postgres:// address; without it, or with sqlite:, SQLite is used")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(address: &'static str) -> Result<Database, String> {
        of(&[("DATABASE_URL", address)].into_iter().collect()).map_err(|error| error.to_string())
    }

    #[test]
    fn postgres_is_meant_however_it_is_spelt() {
        for scheme in [
            "postgres://ann:a+b@host:5432/db?sslmode=require",
            "postgresql://ann:a+b@host:5432/db?sslmode=require",
            "postgresql+psycopg2://ann:a+b@host:5432/db?sslmode=require",
            "postgresql+asyncpg://ann:a+b@host:5432/db?sslmode=require",
            "postgres+psycopg://ann:a+b@host:5432/db?sslmode=require",
        ] {
            let url = "postgres://ann:a+b@host:5432/db?sslmode=require".to_owned();
            assert_eq!(parsed(scheme), Ok(Database::Postgres { url }), "{scheme}");
        }
    }

    #[test]
    fn sqlite_is_meant_by_any_file_and_by_none() {
        for address in
            ["", " ", "sqlite:", "sqlite://", "sqlite:///./chatbot.db", "sqlite+aiosqlite:////tmp/chatbot.db"]
        {
            assert_eq!(parsed(address), Ok(Database::Sqlite), "{address}");
        }
    }

    #[test]
    fn what_is_neither_is_refused_and_not_repeated() {
        for address in
            ["hunter2", "mysql://hunter2", "postgres:hunter2", "+postgres://hunter2", "hunter2+postgres://", "://"]
        {
            let told = parsed(address).unwrap_err();
            assert!(told.starts_with("DATABASE_URL must") && !told.contains("hunter2"), "{address}: {told}");
        }
    }
}
