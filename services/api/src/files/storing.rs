//! A file that is being received: what is known of it grows with its bytes, and only a part of those is held at once.

use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes;
use domain::chat::attachment::File;
use domain::ids::BytesId;
use domain::values::{Digest, FileName, MediaType};
use object_store::buffered::BufWriter;
use tokio::io::AsyncWriteExt;
use tokio::sync::OwnedSemaphorePermit;

use super::{Files, FilesError};

/// It must be finished or given up: else what has come so far stays until it is swept.
pub(crate) struct Storing {
    writer: BufWriter,
    digest: Context,
    beginning: Vec<u8>,
    size: u64,
    limit: u64,
    _place: OwnedSemaphorePermit,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum StoringError {
    #[error("the file is too large")]
    TooLarge,
    #[error("too many files are received at once")]
    Busy,
    #[error(transparent)]
    Files(#[from] FilesError),
}

impl Files {
    pub(crate) fn store(&self, id: BytesId) -> Result<Storing, StoringError> {
        let place = self.kept.receiving.clone().try_acquire_owned().map_err(|_| StoringError::Busy)?;
        let writer =
            BufWriter::with_capacity(self.kept.store.clone(), self.path(id), self.kept.part).with_max_concurrency(1);
        Ok(Storing {
            writer,
            digest: Context::new(&SHA256),
            beginning: Vec::new(),
            size: 0,
            limit: self.kept.limit,
            _place: place,
        })
    }
}

impl Storing {
    pub(crate) async fn put(&mut self, bytes: Bytes) -> Result<(), StoringError> {
        self.size = self.size.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        if self.size > self.limit {
            return Err(StoringError::TooLarge);
        }
        self.digest.update(&bytes);
        let wanted = MediaType::LOOKED_AT.saturating_sub(self.beginning.len());
        self.beginning.extend(bytes.iter().take(wanted));
        Ok(self.writer.put(bytes).await.map_err(FilesError::from)?)
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.size == 0
    }

    /// Once this returns, the file is there as a whole.
    pub(crate) async fn finish(mut self, name: FileName) -> Result<File, FilesError> {
        self.writer.shutdown().await?;
        let digest = self.digest.finish();
        let digest = <[u8; 32]>::try_from(digest.as_ref()).map_err(|_| std::io::Error::other("no SHA-256"))?;
        let media_type = MediaType::of(&self.beginning);
        Ok(File { name, media_type, size: self.size, digest: Digest::new(digest) })
    }

    /// Nothing is left of it.
    pub(crate) async fn give_up(mut self) {
        if let Err(error) = self.writer.abort().await {
            tracing::warn!(cause = store::in_full(&error), "what was received of a file stays for a while");
        }
    }
}
