//! The settings of attachments: where their bytes are kept, and how large they may be.

use std::path::PathBuf;

use api::{Bucket, Place};

use super::{Database, Storage};
use crate::settings::{Settings, SettingsError, wrong};

/// Where attachments go.
pub struct FilesConfig {
    pub place: Place,
    /// In bytes.
    pub limit: u64,
    /// Whether several nodes may each have a folder of their own, in which the others' files are not.
    pub is_divided: bool,
}

const PLACE: &str = "COLLOQUY_FILES";
const BUCKET: &str = "s3://";
const LIMIT: u64 = 20 << 20;
const LARGEST: u64 = 5 << 30;

pub fn of(settings: &Settings, storage: &Storage, alone: bool) -> Result<FilesConfig, SettingsError> {
    const NAME: &str = "COLLOQUY_ATTACHMENT_LIMIT";
    let should = format!("a number of bytes from 1 to {LARGEST}");
    let limit = settings.parsed(NAME, LIMIT, &should)?;
    if !(1..=LARGEST).contains(&limit) {
        return Err(wrong(NAME, format!("must be {should}")));
    }
    let (place, is_own) = match settings.text(PLACE) {
        None => (Place::Folder(storage.folder.join("files")), true),
        Some(address) if address.starts_with(BUCKET) => (Place::Bucket(bucket(settings, address)?), false),
        Some(folder) if folder.starts_with('/') => (Place::Folder(PathBuf::from(folder)), false),
        Some(_) => return Err(wrong(PLACE, "must be s3://bucket/prefix, or the whole path of a folder")),
    };
    let is_divided = is_own && !alone && matches!(storage.database, Database::Postgres { .. });
    Ok(FilesConfig { place, limit, is_divided })
}

fn bucket(settings: &Settings, address: &str) -> Result<Bucket, SettingsError> {
    let rest = address.strip_prefix(BUCKET).unwrap_or_default();
    let (name, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let fits = |text: &str| text.bytes().all(|it| it.is_ascii_alphanumeric() || b"-_./".contains(&it));
    let prefix = prefix.trim_matches('/');
    if name.is_empty() || !fits(name) || !fits(prefix) || prefix.split('/').any(|part| matches!(part, "." | "..")) {
        return Err(wrong(PLACE, "must be s3://bucket/prefix, in letters, digits, '-', '_' and '.'"));
    }
    let allow_http = settings.parsed("AWS_ALLOW_HTTP", false, "true or false")?;
    Ok(Bucket {
        name: name.to_owned(),
        prefix: prefix.to_owned(),
        region: needed(settings, "AWS_REGION")?,
        endpoint: endpoint(settings, allow_http)?,
        key_id: needed(settings, "AWS_ACCESS_KEY_ID")?,
        secret: needed(settings, "AWS_SECRET_ACCESS_KEY")?,
        allow_http,
    })
}

fn needed(settings: &Settings, name: &'static str) -> Result<String, SettingsError> {
    settings.text(name).map(str::to_owned).ok_or_else(|| wrong(name, format!("must be set where {PLACE} is a bucket")))
}

fn endpoint(settings: &Settings, allow_http: bool) -> Result<Option<String>, SettingsError> {
    const NAME: &str = "AWS_ENDPOINT";
    let Some(address) = settings.text(NAME) else { return Ok(None) };
    let (scheme, rest) = address.split_once("://").unwrap_or_default();
    let host = rest.split('/').next().unwrap_or_default();
    match scheme {
        _ if host.is_empty() || rest.contains(['@', '?', '#', ' ']) => Err(wrong(NAME, "must be an https:// address")),
        "https" => Ok(Some(address.to_owned())),
        "http" if allow_http => Ok(Some(address.to_owned())),
        "http" => Err(wrong(NAME, "must be an https:// address, or AWS_ALLOW_HTTP be true")),
        _ => Err(wrong(NAME, "must be an https:// address")),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const KEYS: [(&str, &str); 3] =
        [("AWS_REGION", "eu-west-1"), ("AWS_ACCESS_KEY_ID", "id"), ("AWS_SECRET_ACCESS_KEY", "sk-secret")];

    fn storage(database: Database) -> Storage {
        Storage { folder: PathBuf::from("/data"), database, start_timeout: Duration::ZERO }
    }

    fn parsed(settings: &[(&'static str, &'static str)]) -> Result<FilesConfig, String> {
        of(&settings.iter().copied().collect(), &storage(Database::Sqlite), true).map_err(|error| error.to_string())
    }

    fn folder(config: FilesConfig) -> Option<PathBuf> {
        match config.place {
            Place::Folder(folder) => Some(folder),
            Place::Bucket(_) => None,
        }
    }

    #[test]
    fn files_are_kept_with_the_data_or_where_it_is_said() {
        let config = parsed(&[]).unwrap();
        assert_eq!((config.limit, folder(config)), (20_971_520, Some(PathBuf::from("/data/files"))));
        let settings = [("COLLOQUY_FILES", "/mnt/all"), ("COLLOQUY_ATTACHMENT_LIMIT", "7")];
        let config = parsed(&settings).unwrap();
        assert_eq!((config.limit, folder(config)), (7, Some(PathBuf::from("/mnt/all"))));
    }

    #[test]
    fn a_bucket_is_named_with_its_keys() {
        for (address, name, prefix) in
            [("s3://files", "files", ""), ("s3://files/", "files", ""), ("s3://my.files/a/b-c/", "my.files", "a/b-c")]
        {
            let settings = [&KEYS[..], &[("COLLOQUY_FILES", address)]].concat();
            let Place::Bucket(bucket) = parsed(&settings).unwrap().place else { panic!("{address}") };
            assert_eq!((bucket.name.as_str(), bucket.prefix.as_str()), (name, prefix));
            assert_eq!((bucket.region.as_str(), bucket.endpoint, bucket.allow_http), ("eu-west-1", None, false));
        }
    }

    #[test]
    fn plain_http_is_said_twice() {
        let plain =
            [&KEYS[..], &[("COLLOQUY_FILES", "s3://files"), ("AWS_ENDPOINT", "http://127.0.0.1:9000")]].concat();
        assert!(parsed(&plain).is_err_and(|told| told.contains("AWS_ALLOW_HTTP")));
        let allowed = [&plain[..], &[("AWS_ALLOW_HTTP", "true")]].concat();
        let Place::Bucket(bucket) = parsed(&allowed).unwrap().place else { panic!("a bucket") };
        assert_eq!((bucket.endpoint.as_deref(), bucket.allow_http), (Some("http://127.0.0.1:9000"), true));
    }

    #[test]
    fn what_cannot_be_meant_is_refused_and_not_repeated() {
        let bucket = [&KEYS[..], &[("COLLOQUY_FILES", "s3://files")]].concat();
        for (name, value) in [
            ("COLLOQUY_FILES", "sk-secret"),
            ("COLLOQUY_FILES", "s3:/sk-secret"),
            ("COLLOQUY_FILES", "s3:///sk-secret"),
            ("COLLOQUY_FILES", "s3://sk-secret:x@files"),
            ("COLLOQUY_FILES", "s3://files/../sk-secret"),
            ("COLLOQUY_ATTACHMENT_LIMIT", "0"),
            ("COLLOQUY_ATTACHMENT_LIMIT", "20MB"),
            ("AWS_ENDPOINT", "sk-secret"),
            ("AWS_ENDPOINT", "https://sk-secret@host"),
            ("AWS_ENDPOINT", "ftp://sk-secret"),
            ("AWS_ALLOW_HTTP", "sk-secret"),
            ("AWS_SECRET_ACCESS_KEY", ""),
            ("AWS_ACCESS_KEY_ID", " "),
            ("AWS_REGION", ""),
        ] {
            let told = parsed(&[&bucket[..], &[(name, value)]].concat()).err().unwrap();
            assert!(told.starts_with(name) && !told.contains("secret"), "{name}={value}: {told}");
        }
    }

    #[test]
    fn a_folder_of_its_own_divides_nodes() {
        let divided = |settings: &[(&'static str, &'static str)], alone| {
            let database = Database::Postgres { url: String::new() };
            of(&settings.iter().copied().collect(), &storage(database), alone).unwrap().is_divided
        };
        assert!(divided(&[], false));
        assert!(!divided(&[], true));
        assert!(!divided(&[("COLLOQUY_FILES", "/mnt/all")], false));
    }
}
