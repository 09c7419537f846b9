//! The secret of a program that runs alone: made at the first start, and kept.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use api::SecretKey;
use aws_lc_rs::rand;

const FILE: &str = "secret.key";
const BYTES: usize = 32;
const PASSWORD_BYTES: usize = 12;

/// The secret in `folder`; who comes first makes it, readable by its owner alone.
pub fn kept_in(folder: &Path) -> io::Result<SecretKey> {
    crate::folder::make(folder)?;
    let path = folder.join(FILE);
    if !path.exists() {
        make(&path)?;
    }
    let text = std::fs::read_to_string(&path)?;
    SecretKey::try_from(text).map_err(|short| io::Error::new(ErrorKind::InvalidData, format!("{FILE} {short}")))
}

/// Whole or not at all: it is written beside, and then given its name, which only one process can do.
fn make(path: &Path) -> io::Result<()> {
    let beside = path.with_extension(std::process::id().to_string());
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(fresh()?.as_bytes())?;
    file.sync_all()?;
    let named = std::fs::hard_link(&beside, path);
    std::fs::remove_file(&beside)?;
    named.or_else(|error| if error.kind() == ErrorKind::AlreadyExists { Ok(()) } else { Err(error) })
}

fn fresh() -> io::Result<String> {
    fresh_text(BYTES)
}

/// A password that nobody has chosen.
pub fn fresh_password() -> io::Result<String> {
    fresh_text(PASSWORD_BYTES)
}

fn fresh_text(length: usize) -> io::Result<String> {
    let mut bytes = vec![0; length];
    rand::fill(&mut bytes).map_err(|_| io::Error::other("the system gives no random bytes"))?;
    Ok(bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    }))
}
