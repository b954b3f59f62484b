//! One object store, spoken to through the crate `object_store`, which only this file names.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::local::LocalFileSystem;
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use object_store::{
    BackoffConfig, Error, GetOptions, GetRange, MultipartUpload, ObjectStore, ObjectStoreExt, PutPayload, RetryConfig,
};
use url::Url;

use super::BodyStoreError;
use super::address::{Kind, StoreAddress};
use crate::failure;
use crate::secret::Secret;

/// Characters of what a store said that are kept.
const PROBLEM_LENGTH: usize = 500;

/// Shortest value of a variable that is taken out of what a store says.
const SECRET_LENGTH: usize = 6;

/// An object store.
pub(super) struct Store {
    address: StoreAddress,
    objects: Arc<dyn ObjectStore>,
    /// What takes large objects in parts that stay when their writer dies, and can be named then.
    parts: Option<Arc<dyn MultipartStore>>,
    secrets: Vec<Secret>,
}

/// Tells whether a store reads a variable of this name.
pub fn is_store_variable(name: &str) -> bool {
    let key = name.to_ascii_lowercase();
    match name.split_once('_') {
        Some(("AWS", _)) => AmazonS3ConfigKey::from_str(&key).is_ok(),
        Some(("AZURE", _)) => AzureConfigKey::from_str(&key).is_ok(),
        Some(("GOOGLE", _)) => GoogleConfigKey::from_str(&key).is_ok(),
        _ => false,
    }
}

/// Tells whether what a variable says may be shown: it gives access to nothing.
fn is_open_variable(name: &str) -> bool {
    ["REGION", "ENDPOINT", "BUCKET", "CONTAINER_NAME", "ACCOUNT_NAME", "ALLOW_HTTP", "TIMEOUT"]
        .iter()
        .any(|part| name.contains(part))
}

/// Gives a builder the variables of its store.
macro_rules! configured {
    ($builder:expr, $address:expr, $prefix:literal, $variables:expr) => {{
        let named = $variables.iter().filter(|(name, _)| name.starts_with($prefix));
        let builder = $builder.with_url($address.to_string()).with_retry(retries());
        let builder = named.fold(builder, |builder, (name, value)| match name.to_ascii_lowercase().parse() {
            Ok(key) => builder.with_config(key, value.expose()),
            Err(_) => builder,
        });
        let store = Arc::new(builder.build()?);
        (Arc::clone(&store) as Arc<dyn ObjectStore>, Some(store as Arc<dyn MultipartStore>))
    }};
}

impl Store {
    /// Makes a store; it is asked nothing.
    pub(super) fn new(address: &StoreAddress, variables: &BTreeMap<String, Secret>) -> Result<Store, BodyStoreError> {
        // Whoever installs the provider first wins; in tests several do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let secrets: Vec<Secret> = variables
            .iter()
            .filter(|(name, value)| !is_open_variable(name) && value.expose().len() >= SECRET_LENGTH)
            .map(|(_, value)| value.clone())
            .collect();
        let (objects, parts) = Store::build(address, variables).map_err(|error| BodyStoreError::Settings {
            store: address.to_string(),
            problem: without_secrets(&failure::chain(&error), &secrets),
        })?;
        Ok(Store { address: address.clone(), objects, parts, secrets })
    }

    fn build(address: &StoreAddress, variables: &BTreeMap<String, Secret>) -> Result<Built, Error> {
        Ok(match address.kind() {
            Kind::Directory => (Arc::new(LocalFileSystem::new().with_fsync(true)), None),
            Kind::S3 => configured!(AmazonS3Builder::new(), address, "AWS_", variables),
            Kind::Azure => configured!(MicrosoftAzureBuilder::new(), address, "AZURE_", variables),
            Kind::Google => configured!(GoogleCloudStorageBuilder::new(), address, "GOOGLE_", variables),
        })
    }

    pub(super) fn address(&self) -> &StoreAddress {
        &self.address
    }

    /// Writes a small object.
    pub(super) async fn put(&self, location: &str, bytes: Vec<u8>) -> Result<(), BodyStoreError> {
        self.expect_directory().await?;
        let put = self.objects.put(&self.key(location)?, PutPayload::from(bytes)).await;
        put.map(|_| ()).map_err(|error| self.failed("write to", location, &error))
    }

    /// Begins to write a large object.
    pub(super) async fn begin(&self, location: &str) -> Result<Upload<'_>, BodyStoreError> {
        self.expect_directory().await?;
        let failed = |error: Error| self.failed("write to", location, &error);
        let key = self.key(location)?;
        let by = match &self.parts {
            None => By::Stages(self.objects.put_multipart(&key).await.map_err(failed)?),
            Some(store) => {
                let id = store.create_multipart(&key).await.map_err(failed)?;
                By::Parts { multipart: Arc::clone(store), key, id, parts: Vec::new() }
            }
        };
        Ok(Upload { store: self, location: location.to_owned(), by })
    }

    /// Reads a stretch of an object, less where it ends before; returns its whole size too.
    pub(super) async fn read(&self, location: &str, range: Range<u64>) -> Result<(Bytes, u64), BodyStoreError> {
        self.expect_directory().await?;
        let read = async {
            let options = GetOptions { range: Some(GetRange::Bounded(range)), ..GetOptions::default() };
            let found = self.objects.get_opts(&self.key(location)?, options).await;
            let found = found.map_err(|error| self.failed("read from", location, &error))?;
            let size = found.meta.size;
            let bytes = found.bytes().await.map_err(|error| self.failed("read from", location, &error))?;
            Ok((bytes, size))
        };
        read.await
    }

    /// Deletes objects; returns those that are gone, and what kept the others. One that is not there is gone.
    pub(super) async fn delete(&self, locations: &[String]) -> (Vec<String>, Result<(), BodyStoreError>) {
        if let Err(problem) = self.expect_directory().await {
            return (Vec::new(), Err(problem));
        }
        if self.address.is_directory()
            && let Err(problem) = remove_stages(locations).await
        {
            return (Vec::new(), Err(self.failure("delete from", &problem.to_string())));
        }
        let keys: Vec<Path> = match locations.iter().map(|location| self.key(location)).collect() {
            Ok(keys) => keys,
            Err(problem) => return (Vec::new(), Err(problem)),
        };
        let asked: Vec<_> = keys.iter().cloned().map(Ok).collect();
        let mut outcomes = self.objects.delete_stream(futures::stream::iter(asked).boxed());
        let mut gone = Vec::new();
        let mut problem = Ok(());
        let mut is_missing = false;
        while let Some(outcome) = outcomes.next().await {
            match outcome {
                Ok(key) => gone.extend(keys.iter().position(|one| *one == key).map(|index| locations[index].clone())),
                Err(Error::NotFound { .. }) => is_missing = true,
                Err(error) => problem = Err(self.failed("delete from", &locations[0], &error)),
            }
        }
        // Which one was missing is not always said in a way that can be relied on. Where that was all, all are gone.
        if is_missing && problem.is_ok() {
            gone = locations.to_vec();
        }
        (gone, problem)
    }

    /// Deletes the parts of an object that was never completed.
    pub(super) async fn abort(&self, location: &str, upload_id: &str) -> Result<(), BodyStoreError> {
        let Some(parts) = &self.parts else { return Ok(()) };
        match parts.abort_multipart(&self.key(location)?, &upload_id.to_owned()).await {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.failed("delete from", location, &error)),
        }
    }

    /// Makes an error of this store.
    pub(super) fn failure(&self, doing: &'static str, problem: &str) -> BodyStoreError {
        let problem = without_secrets(problem, &self.secrets);
        BodyStoreError::Store { doing, store: self.address.to_string(), problem }
    }

    fn failed(&self, doing: &'static str, location: &str, error: &Error) -> BodyStoreError {
        match error {
            Error::NotFound { .. } if doing == "read from" => BodyStoreError::Missing { location: location.to_owned() },
            _ => self.failure(doing, &failure::chain(error)),
        }
    }

    fn key(&self, location: &str) -> Result<Path, BodyStoreError> {
        Path::from_url_path(self.address.path_of(location))
            .map_err(|error| self.failure("name an object in", &error.to_string()))
    }

    /// Fails where the directory is not there: a disk that is not mounted must not look like an empty store.
    async fn expect_directory(&self) -> Result<(), BodyStoreError> {
        if !self.address.is_directory() {
            return Ok(());
        }
        match tokio::fs::metadata(self.directory()).await {
            Ok(found) if found.is_dir() => Ok(()),
            Ok(_) => Err(self.failure("open", "it is no directory")),
            Err(error) => Err(self.failure("open", &error.to_string())),
        }
    }

    fn directory(&self) -> PathBuf {
        file_path(&self.address.to_string())
    }
}

/// Removes what a writer that was killed left beside the file that it never finished.
async fn remove_stages(locations: &[String]) -> std::io::Result<()> {
    for location in locations {
        let mut stage = file_path(location).into_os_string();
        stage.push("#1");
        match tokio::fs::remove_file(stage).await {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn file_path(address: &str) -> PathBuf {
    Url::parse(address).ok().and_then(|url| url.to_file_path().ok()).unwrap_or_default()
}

type Built = (Arc<dyn ObjectStore>, Option<Arc<dyn MultipartStore>>);

/// A large object that is being written.
pub(super) struct Upload<'a> {
    store: &'a Store,
    location: String,
    by: By,
}

/// How it is written.
enum By {
    /// Into a file beside it, which goes when this is dropped.
    Stages(Box<dyn MultipartUpload>),
    /// In parts, which stay until somebody deletes them.
    Parts { multipart: Arc<dyn MultipartStore>, key: Path, id: String, parts: Vec<PartId> },
}

impl Upload<'_> {
    /// Returns the store's name for it, where parts stay behind when the writer dies.
    pub(super) fn id(&self) -> Option<&str> {
        match &self.by {
            By::Stages(_) => None,
            By::Parts { id, .. } => Some(id),
        }
    }

    /// Writes the next part.
    pub(super) async fn put(&mut self, part: Vec<u8>) -> Result<(), BodyStoreError> {
        let put = match &mut self.by {
            By::Stages(upload) => upload.put_part(part.into()).await,
            By::Parts { multipart, key, id, parts } => {
                let put = multipart.put_part(key, id, parts.len(), part.into()).await;
                put.map(|part| parts.push(part))
            }
        };
        put.map_err(|error| self.store.failed("write to", &self.location, &error))
    }

    /// Makes the object whole.
    pub(super) async fn complete(self) -> Result<(), BodyStoreError> {
        let completed = match self.by {
            By::Stages(mut upload) => upload.complete().await,
            By::Parts { multipart, key, id, parts } => multipart.complete_multipart(&key, &id, parts).await,
        };
        completed.map(|_| ()).map_err(|error| self.store.failed("write to", &self.location, &error))
    }
}

/// Returns how often a store is asked again at once; whoever asks tries again later by itself.
fn retries() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(2),
            ..BackoffConfig::default()
        },
        max_retries: 3,
        retry_timeout: Duration::from_secs(30),
    }
}

/// Takes what gives access out of a text, puts it on one line and bounds it.
fn without_secrets(text: &str, secrets: &[Secret]) -> String {
    let mut text = text.to_owned();
    for secret in secrets {
        text = text.replace(secret.expose(), "[secret]");
    }
    let words = text.split_whitespace().map(|word| match word.split_once('?') {
        Some((address, _)) if address.contains("://") => format!("{address}?[secret]"),
        _ => word.to_owned(),
    });
    words.collect::<Vec<_>>().join(" ").chars().take(PROBLEM_LENGTH).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_those_that_a_store_reads() {
        for name in [
            "AWS_ACCESS_KEY_ID",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_ENDPOINT_URL",
            "AWS_ALLOW_HTTP",
            "AZURE_STORAGE_ACCOUNT_NAME",
            "AZURE_STORAGE_ACCOUNT_KEY",
            "GOOGLE_SERVICE_ACCOUNT",
            "GOOGLE_APPLICATION_CREDENTIALS",
        ] {
            assert!(is_store_variable(name), "{name}");
        }
        for name in ["AWS_SECRET_KEY_ID", "ENDPOINT", "aws_region", "AZURE", "GOOGLE_KEYS"] {
            assert!(!is_store_variable(name), "{name}");
        }
    }

    #[test]
    fn what_a_store_says_is_shown_without_secrets() {
        let secrets = [Secret::new("hunter2hunter2")];
        let said = "denied\nhunter2hunter2 at https://a.blob/c?sig=abc&se=1 (why?)";
        assert_eq!(without_secrets(said, &secrets), "denied [secret] at https://a.blob/c?[secret] (why?)");
        assert_eq!(without_secrets(&"x".repeat(900), &[]).len(), PROBLEM_LENGTH);
    }

    #[test]
    fn stores_of_all_kinds_are_made_without_being_asked() {
        let variables: BTreeMap<String, Secret> = [
            ("AWS_ACCESS_KEY_ID", "id"),
            ("AWS_SECRET_ACCESS_KEY", "hunter2hunter2"),
            ("AZURE_STORAGE_ACCOUNT_NAME", "account"),
            ("AZURE_STORAGE_ACCOUNT_KEY", "aHVudGVyMg=="),
            ("GOOGLE_SKIP_SIGNATURE", "true"),
        ]
        .map(|(name, value)| (name.to_owned(), Secret::new(value)))
        .into();
        for text in ["file:///somewhere", "s3://bucket/prefix", "az://container/prefix", "gs://bucket/prefix"] {
            let address: StoreAddress = text.parse().unwrap();
            let store = Store::new(&address, &variables).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(store.parts.is_some(), text != "file:///somewhere");
        }
        let address: StoreAddress = "az://container".parse().unwrap();
        let error = Store::new(&address, &BTreeMap::new()).err().unwrap().to_string();
        assert!(error.starts_with("the object store az://container cannot be used as it is set: "), "{error}");
    }
}
