//! Live text in one process: each reply that is being made has a file of its own, so that what anybody may have seen of it
//! outlives this process.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use domain::ids::MessageId;

use super::Chunk;

/// The folder that they are in. Reading and writing there is reading and writing memory, and nobody waits for a disk.
#[derive(Debug, Clone)]
pub(crate) struct Drafts(Arc<Path>);

impl Drafts {
    /// What people are told is for the owner of the folder alone.
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        Ok(Self(folder.into()))
    }

    pub(super) fn draft(&self, reply: MessageId) -> Draft {
        Draft { reply, path: self.path(reply), file: None, has_failed: false }
    }

    /// What was written, up to a gap. Empty where there is none, or none that can be read.
    pub(super) fn read(&self, reply: MessageId) -> String {
        match fs::read(self.path(reply)) {
            Ok(bytes) => text_in(&bytes),
            Err(error) => {
                if error.kind() != ErrorKind::NotFound {
                    tracing::warn!(%reply, %error, "what was said of a reply can't be read");
                }
                String::new()
            }
        }
    }

    pub(super) fn remove(&self, reply: MessageId) {
        match fs::remove_file(self.path(reply)) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                tracing::warn!(%reply, %error, "what was said of a reply that has ended can't be removed");
            }
            Ok(()) | Err(_) => {}
        }
    }

    /// Of which replies there is one. Whatever else lies there is somebody else's.
    pub(super) fn all(&self) -> Vec<MessageId> {
        let names = fs::read_dir(&self.0).map(|all| all.filter_map(|entry| entry.ok()?.file_name().into_string().ok()));
        match names {
            Ok(names) => names.filter_map(|name| name.parse().ok()).collect(),
            Err(error) => {
                tracing::warn!(%error, "what was said of replies that have ended can't be found");
                Vec::new()
            }
        }
    }

    fn path(&self, reply: MessageId) -> PathBuf {
        self.0.join(reply.to_string())
    }
}

/// The text of one reply, while it grows.
#[derive(Debug)]
pub(super) struct Draft {
    reply: MessageId,
    path: PathBuf,
    /// Made with the first word.
    file: Option<File>,
    has_failed: bool,
}

impl Draft {
    /// A write survives this process as soon as it is done; only the machine must live on. Where the disk fails, the reply
    /// goes on without.
    pub(super) fn add(&mut self, chunk: &Chunk) {
        if let Err(error) = self.write(chunk)
            && !std::mem::replace(&mut self.has_failed, true)
        {
            let reply = self.reply;
            tracing::warn!(%reply, %error, "what is said of a reply is lost should this process die now");
        }
    }

    /// Where it belongs: a piece that could not be written leaves a gap. A text that begins anew has nothing of an older one.
    fn write(&mut self, chunk: &Chunk) -> io::Result<()> {
        let file = if let Some(file) = &self.file {
            file
        } else {
            let mut how = OpenOptions::new();
            how.write(true).create(true).truncate(chunk.at == 0).mode(0o600);
            self.file.insert(how.open(&self.path)?)
        };
        file.write_all_at(chunk.text.as_bytes(), chunk.at)
    }
}

/// A gap reads as the character NUL, which no reply has; and a text may end in the midst of a character.
fn text_in(bytes: &[u8]) -> String {
    let written = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    written.utf8_chunks().next().map(|chunk| chunk.valid().to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::text_in;

    #[test]
    fn a_text_ends_before_what_was_not_written() {
        let whole = "Größe, 大きさ, 🦀";
        assert_eq!(text_in(whole.as_bytes()), whole);
        assert_eq!(text_in(b""), "");
        for end in 0..whole.len() {
            let ((cut, _), (before, _)) =
                (whole.as_bytes().split_at(end), whole.split_at(whole.floor_char_boundary(end)));
            assert_eq!(text_in(cut), before);
            assert_eq!(text_in(&[cut, &[0; 7], b"after"].concat()), before);
        }
    }
}
