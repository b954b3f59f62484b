//! A server that speaks the protocol of S3 over HTTP, checks signatures, and keeps objects as files that a test can look at.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

use super::scratch;

const ACCESS_KEY: &str = "test-access-key";

/// What signs requests; it must be seen nowhere.
pub const SECRET_KEY: &str = "hunter2-is-secret";

const BUCKET: &str = "bodies";

/// A server with one bucket; it stops when this is dropped.
pub struct S3Server {
    root: PathBuf,
    service: S3Service,
    address: SocketAddr,
    accepting: Option<JoinHandle<()>>,
}

impl S3Server {
    /// Starts a server on a free port.
    pub async fn start() -> S3Server {
        let root = scratch("s3");
        std::fs::create_dir(root.join(BUCKET)).expect("a bucket");
        let mut builder = S3ServiceBuilder::new(FileSystem::new(&root).expect("a server"));
        builder.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        let mut server =
            S3Server { root, service: builder.build(), address: ([127, 0, 0, 1], 0).into(), accepting: None };
        server.start_again().await;
        server
    }

    /// Answers again after [`S3Server::stop`], at the same address.
    pub async fn start_again(&mut self) {
        let listener = TcpListener::bind(self.address).await.expect("a port");
        self.address = listener.local_addr().expect("an address");
        let service = self.service.clone();
        self.accepting = Some(tokio::spawn(async move {
            // Connections end with the task that holds them.
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                let service = service.clone();
                connections.spawn(async move {
                    let _ = Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
                });
            }
        }));
    }

    /// Cuts all connections off and refuses new ones.
    pub async fn stop(&mut self) {
        if let Some(accepting) = self.accepting.take() {
            accepting.abort();
            let _ = accepting.await;
        }
    }

    /// Returns the address of a store in it.
    pub fn store(&self) -> String {
        format!("s3://{BUCKET}/raw")
    }

    /// Returns the settings that lead to it.
    pub fn settings(&self) -> [(&'static str, String); 6] {
        [
            ("DIGITALLZ_RAW_STORE", self.store()),
            ("AWS_ENDPOINT_URL", format!("http://{}", self.address)),
            ("AWS_ALLOW_HTTP", "true".to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", SECRET_KEY.to_owned()),
        ]
    }

    /// Returns the directory of the bucket.
    pub fn bucket(&self) -> PathBuf {
        self.root.join(BUCKET)
    }

    /// Counts the parts of objects that were never completed.
    pub fn part_count(&self) -> usize {
        let entries = std::fs::read_dir(&self.root).expect("the root");
        let names = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
        names.filter(|name| name.contains("upload_id") && name.contains(".part")).count()
    }
}

/// Lists the files below a directory.
pub fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut waiting = vec![directory.to_owned()];
    let mut files = Vec::new();
    while let Some(directory) = waiting.pop() {
        for entry in std::fs::read_dir(directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() { waiting.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    files
}
