//! A bucket of S3 or of a server that speaks its protocol. Credentials, region and endpoint come from the usual variables
//! (`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_REGION`, `AWS_ENDPOINT_URL`, …).

use super::blob::{Blob, Presence, Text, published, raced};
use super::http::is_loopback;
use super::{Access, Error, Listed};
use crate::base::Sha256;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::{
    Attribute, Attributes, ClientOptions, Error as StoreError, GetOptions, ObjectStore as _, ObjectStoreExt as _,
    PutMode, PutOptions, PutPayload, RetryConfig, UpdateVersion,
};
use reqwest::Url;
use std::time::Duration;

/// The time after which a request is not tried again.
const LONGEST_RETRY: Duration = Duration::from_secs(180);
/// Variables of which one is set where there are credentials, or where none are needed.
const CREDENTIALS: [&str; 5] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_SKIP_SIGNATURE",
];
/// The digest of an object, kept with it.
const DIGEST: Attribute = Attribute::Metadata(std::borrow::Cow::Borrowed("sha256"));

/// A bucket and the path in it.
#[derive(Debug)]
pub struct Bucket {
    store: AmazonS3,
    prefix: String,
    name: String,
}

impl Bucket {
    /// Parses `s3://BUCKET/PATH`.
    pub fn open(text: &str, access: &Access) -> Result<Self, Error> {
        super::http::use_ring();
        let unusable = |why: String| Error::Place { place: text.to_owned(), why };
        let url = Url::parse(text).map_err(|error| unusable(error.to_string()))?;
        let bucket = url.host_str().ok_or_else(|| unusable("it names no bucket".to_owned()))?;
        let endpoint = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"].iter();
        let endpoint = endpoint.filter_map(|name| std::env::var(name).ok()).find(|value| !value.is_empty());
        let is_local = endpoint.as_ref().is_some_and(|it| Url::parse(it).is_ok_and(|url| is_loopback(&url)));
        let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        if endpoint.is_some() && !CREDENTIALS.iter().copied().any(is_set) {
            // Only machines of the provider itself have credentials of their own; elsewhere they would be waited for.
            let why = "there are no credentials for it: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or \
                       AWS_SKIP_SIGNATURE=true for a public bucket";
            return Err(unusable(why.to_owned()));
        }
        let client = ClientOptions::new()
            .with_allow_http(is_local)
            .with_connect_timeout(access.connect)
            .with_timeout(access.whole);
        let retry = RetryConfig {
            max_retries: access.retries,
            retry_timeout: access.whole.min(LONGEST_RETRY),
            ..RetryConfig::default()
        };
        let mut builder = AmazonS3Builder::from_env().with_bucket_name(bucket).with_client_options(client);
        builder = builder.with_retry(retry);
        if let Some(endpoint) = endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        let store = builder.build().map_err(|error| unusable(error.to_string()))?;
        let prefix = url.path().trim_matches('/').to_owned();
        Ok(Self { store, prefix, name: text.trim_end_matches('/').to_owned() })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    fn path(&self, path: &str) -> Result<Path, Error> {
        let whole = if self.prefix.is_empty() { path.to_owned() } else { format!("{}/{path}", self.prefix) };
        Path::parse(whole).map_err(|error| self.error(path, &error.into()))
    }

    fn error(&self, path: &str, error: &StoreError) -> Error {
        let why = crate::base::text::with_causes(error);
        Error::Place { place: format!("{}/{path}", self.name), why }
    }

    /// Returns an object of `limit` bytes at most, or none where it does not exist.
    pub async fn text(&self, path: &str, limit: u64) -> Result<Option<Text>, Error> {
        let failed = |error: StoreError| self.error(path, &error);
        match self.store.get(&self.path(path)?).await {
            Ok(found) if found.meta.size > limit => {
                Err(Error::Place { place: format!("{}/{path}", self.name), why: super::too_large(limit) })
            }
            Ok(found) => {
                let tag = found.meta.e_tag.clone();
                let bytes = found.bytes().await.map_err(failed)?.to_vec();
                Ok(Some(Text { bytes, tag }))
            }
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    /// Returns the size of an object, or none where it does not exist.
    pub async fn size(&self, path: &str) -> Result<Option<u64>, Error> {
        match self.store.head(&self.path(path)?).await {
            Ok(found) => Ok(Some(found.size)),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.error(path, &error)),
        }
    }

    /// Returns the objects directly below `dir`.
    pub async fn list(&self, dir: &str) -> Result<Vec<Listed>, Error> {
        let found =
            self.store.list_with_delimiter(Some(&self.path(dir)?)).await.map_err(|error| self.error(dir, &error))?;
        let listed = found.objects.into_iter().filter_map(|object| {
            let name = object.location.filename()?.to_owned();
            let modified = std::time::SystemTime::from(object.last_modified);
            Some(Listed { name, bytes: object.size, modified })
        });
        Ok(listed.collect())
    }

    /// Returns what the bucket has of a blob.
    pub async fn presence(&self, blob: &Blob) -> Result<Presence, Error> {
        let failed = |error: StoreError| self.error(&blob.path, &error);
        let options = GetOptions { head: true, ..GetOptions::default() };
        let found = match self.store.get_opts(&self.path(&blob.path)?, options).await {
            Ok(found) => found,
            Err(StoreError::NotFound { .. }) => return Ok(Presence::Missing),
            Err(error) => return Err(failed(error)),
        };
        if found.meta.size != blob.bytes {
            return Ok(Presence::Other);
        }
        let known = found.attributes.get(&DIGEST).and_then(|value| value.parse::<Sha256>().ok());
        let got = match known {
            Some(known) => known,
            // Uploaded by another program.
            None => {
                let found = self.store.get(&self.path(&blob.path)?).await.map_err(failed)?;
                Sha256::of(&found.bytes().await.map_err(failed)?)
            }
        };
        Ok(if got == blob.sha256 { Presence::Same } else { Presence::Other })
    }

    /// Uploads a blob. One that must not be replaced fails if it exists.
    pub async fn upload(&self, blob: &Blob, bytes: Vec<u8>) -> Result<(), Error> {
        let mode = if blob.is_fixed { PutMode::Create } else { PutMode::Overwrite };
        let attributes = Attributes::from_iter([(DIGEST, blob.sha256.to_string())]);
        let options = PutOptions { mode, attributes, ..PutOptions::default() };
        match self.store.put_opts(&self.path(&blob.path)?, PutPayload::from(bytes), options).await {
            Ok(_) => Ok(()),
            Err(StoreError::AlreadyExists { .. }) => Err(published(&blob.path)),
            Err(error) => Err(self.error(&blob.path, &error)),
        }
    }

    /// Replaces a small object, if it still is `before`.
    pub async fn replace(&self, path: &str, bytes: &[u8], before: Option<&Text>) -> Result<(), Error> {
        let mode = match before {
            None => PutMode::Create,
            Some(Text { tag: None, .. }) => PutMode::Overwrite,
            Some(Text { tag, .. }) => PutMode::Update(UpdateVersion { e_tag: tag.clone(), version: None }),
        };
        let options = PutOptions { mode, ..PutOptions::default() };
        match self.store.put_opts(&self.path(path)?, PutPayload::from(bytes.to_vec()), options).await {
            Ok(_) => Ok(()),
            Err(StoreError::AlreadyExists { .. } | StoreError::Precondition { .. }) => {
                Err(raced(&format!("{}/{path}", self.name)))
            }
            Err(error) => Err(self.error(path, &error)),
        }
    }

    /// Removes an object that may be missing.
    pub async fn remove(&self, path: &str) -> Result<(), Error> {
        match self.store.delete(&self.path(path)?).await {
            Ok(()) | Err(StoreError::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.error(path, &error)),
        }
    }
}
