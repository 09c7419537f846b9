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

/// The secret in `folder`; who comes first makes it, readable by its owner alone.
pub fn kept_in(folder: &Path) -> io::Result<SecretKey> {
    crate::folder::make(folder)?;
    let path = folder.join(FILE);
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
        Ok(mut file) => {
            file.write_all(fresh()?.as_bytes())?;
            file.sync_all()?;
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    let text = std::fs::read_to_string(&path)?;
    SecretKey::try_from(text).map_err(|short| io::Error::new(ErrorKind::InvalidData, format!("{FILE} {short}")))
}

fn fresh() -> io::Result<String> {
    let mut bytes = [0; BYTES];
    rand::fill(&mut bytes).map_err(|_| io::Error::other("the system gives no random bytes"))?;
    Ok(bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    }))
}
