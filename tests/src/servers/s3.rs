//! A server that speaks as S3 does, checks who asks, and keeps what it is given in a folder.

use std::path::{Path, PathBuf};

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::scratch;

/// A server with one empty bucket, until it is dropped.
pub struct S3 {
    address: std::net::SocketAddr,
    folder: TempDir,
    _tasks: JoinSet<()>,
}

const BUCKET: &str = "files";
const KEY: &str = "AKIATESTS";
/// Nobody else knows it.
pub const SECRET: &str = "zq7-the-secret-of-the-bucket-7qz";

impl S3 {
    pub async fn start() -> Self {
        let folder = scratch("s3");
        std::fs::create_dir(folder.path().join(BUCKET)).expect("a bucket");
        let mut service = S3ServiceBuilder::new(FileSystem::new(folder.path()).expect("a folder"));
        service.set_auth(SimpleAuth::from_single(KEY, SECRET));
        let service = service.build();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port on loopback");
        let address = listener.local_addr().expect("the port that was bound");
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let service = service.clone();
                connections.spawn(async move {
                    // Who goes away is missed by nobody.
                    drop(Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(client), service).await);
                });
            }
        });
        Self { address, folder, _tasks: tasks }
    }

    /// What a node is told to keep its files here.
    pub fn settings(&self, prefix: &str) -> Vec<(&'static str, String)> {
        vec![
            ("COLLOQUY_FILES", format!("s3://{BUCKET}/{prefix}")),
            ("AWS_ENDPOINT", format!("http://{}", self.address)),
            ("AWS_ALLOW_HTTP", "true".to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_ACCESS_KEY_ID", KEY.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", SECRET.to_owned()),
        ]
    }

    /// The same for files that are kept from within a test.
    pub fn bucket(&self, prefix: &str) -> api::Bucket {
        api::Bucket {
            name: BUCKET.to_owned(),
            prefix: prefix.to_owned(),
            region: "us-east-1".to_owned(),
            endpoint: Some(format!("http://{}", self.address)),
            key_id: KEY.to_owned(),
            secret: SECRET.to_owned(),
            allow_http: true,
        }
    }

    /// Where an object lies.
    pub fn object(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(BUCKET).join(name)
    }
}
