//! Where the bytes of attachments are kept: a folder, or a bucket. Each file lies under an id of its own and nothing else.

mod storing;
mod sweep;

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use domain::Timestamp;
use domain::ids::BytesId;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ClientOptions, GetOptions, GetRange, ObjectStore, ObjectStoreExt, RetryConfig};
use tokio::sync::Semaphore;

pub(crate) use storing::{Storing, StoringError};
pub use sweep::SweepError;

/// Keeps files. Cheap to clone.
#[derive(Clone)]
pub struct Files {
    kept: Arc<Kept>,
    patience: Patience,
}

/// How long who sends a file may send nothing, and how long it may take in all.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    pub idle: Duration,
    pub longest: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { idle: Duration::from_secs(30), longest: Duration::from_mins(30) }
    }
}

struct Kept {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    /// The folder, where it is one.
    folder: Option<PathBuf>,
    /// How many bytes are sent to the store at once.
    part: usize,
    /// How large a file may be, in bytes.
    limit: u64,
    receiving: Arc<Semaphore>,
}

/// Where files are to be kept.
#[derive(Clone)]
pub enum Place {
    /// It is there already.
    Folder(PathBuf),
    Bucket(Bucket),
}

/// A bucket of whatever speaks as S3 does.
#[derive(Clone)]
pub struct Bucket {
    pub name: String,
    /// What the names of all files begin with; may be empty.
    pub prefix: String,
    pub region: String,
    /// Where it is, if not at AWS.
    pub endpoint: Option<String>,
    pub key_id: String,
    pub secret: String,
    /// Without TLS.
    pub allow_http: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    #[error("the files can't be used")]
    Store(#[from] object_store::Error),
    #[error("a folder can't be used")]
    Folder(#[from] std::io::Error),
}

/// How many files a process receives at once: each has some of its bytes in memory.
const AT_ONCE: usize = 64;
const PART_TO_FOLDER: usize = 256 << 10;
/// S3 takes no smaller ones, but for the last.
const PART_TO_BUCKET: usize = 5 << 20;
/// How long a bucket may be silent, and how often it is asked again.
const SILENCE: Duration = Duration::from_secs(10);
const RETRIES: usize = 3;
const RETRIED_FOR: Duration = Duration::from_secs(20);

impl Files {
    /// Takes files up to a size; nothing is asked of a bucket yet.
    pub fn open(place: Place, limit: u64) -> Result<Self, FilesError> {
        let receiving = Arc::new(Semaphore::new(AT_ONCE));
        let kept = match place {
            Place::Folder(folder) => {
                // What was acknowledged survives a power cut, as the log does.
                let store = Arc::new(LocalFileSystem::new_with_prefix(&folder)?.with_fsync(true));
                let (prefix, part) = (Path::default(), PART_TO_FOLDER);
                Kept { store, prefix, folder: Some(folder), part, limit, receiving }
            }
            Place::Bucket(bucket) => {
                let prefix = Path::parse(&bucket.prefix).map_err(object_store::Error::from)?;
                let (store, part) = (Arc::new(bucket.open()?), PART_TO_BUCKET);
                Kept { store, prefix, folder: None, part, limit, receiving }
            }
        };
        Ok(Self::of(kept))
    }

    /// For a process that answers nobody who has any.
    #[must_use]
    pub fn nowhere() -> Self {
        let (store, receiving) = (Arc::new(InMemory::new()), Arc::new(Semaphore::new(0)));
        let kept = Kept { store, prefix: Path::default(), folder: None, part: PART_TO_FOLDER, limit: 0, receiving };
        Self::of(kept)
    }

    fn of(kept: Kept) -> Self {
        Self { kept: Arc::new(kept), patience: Patience::default() }
    }

    #[must_use]
    pub fn with_patience(self, patience: Patience) -> Self {
        Self { patience, ..self }
    }

    pub(crate) const fn patience(&self) -> Patience {
        self.patience
    }

    pub(crate) fn limit(&self) -> u64 {
        self.kept.limit
    }

    fn path(&self, id: BytesId) -> Path {
        self.kept.prefix.clone().join(id.to_string())
    }

    /// A file's bytes, or a part of them; `None` where there are none.
    pub(crate) async fn get(
        &self,
        id: BytesId,
        part: Option<Range<u64>>,
    ) -> Result<Option<BoxStream<'static, Result<Bytes, FilesError>>>, FilesError> {
        let options = GetOptions { range: part.map(GetRange::Bounded), ..GetOptions::default() };
        match self.kept.store.get_opts(&self.path(id), options).await {
            Ok(found) => Ok(Some(found.into_stream().map_err(FilesError::from).boxed())),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Deletes a file, if it is there.
    pub(crate) async fn delete(&self, id: BytesId) -> Result<(), FilesError> {
        match self.kept.store.delete(&self.path(id)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// The files that were whole before a moment. What has another name than an id is nobody's business.
    async fn stored_before(&self, moment: Timestamp) -> Result<Vec<BytesId>, FilesError> {
        let mut stored = Vec::new();
        let mut all = self.kept.store.list(Some(&self.kept.prefix));
        while let Some(found) = all.try_next().await? {
            let id = found.location.filename().and_then(|name| name.parse().ok());
            if let Some(id) = id.filter(|_| found.last_modified.timestamp_micros() < moment.as_micros()) {
                stored.push(id);
            }
        }
        Ok(stored)
    }
}

impl std::fmt::Debug for Files {
    /// A store holds keys.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Files").finish_non_exhaustive()
    }
}

impl Bucket {
    fn open(self) -> Result<impl ObjectStore, object_store::Error> {
        // A large file may take its time, as long as something comes.
        let client = ClientOptions::new().with_timeout_disabled().with_read_timeout(SILENCE);
        let retry = RetryConfig { max_retries: RETRIES, retry_timeout: RETRIED_FOR, ..RetryConfig::default() };
        let mut builder = AmazonS3Builder::new()
            .with_client_options(client)
            .with_retry(retry)
            .with_bucket_name(self.name)
            .with_region(self.region)
            .with_access_key_id(self.key_id)
            .with_secret_access_key(self.secret)
            .with_allow_http(self.allow_http)
            // Not all that speak as S3 does know how to delete many at once.
            .with_disable_bulk_delete(true);
        if let Some(endpoint) = self.endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        builder.build()
    }
}
