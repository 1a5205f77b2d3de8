//! A bucket of S3 or of a server that speaks its protocol. Credentials, region and endpoint come from the usual variables
//! (`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_REGION`, `AWS_ENDPOINT_URL`, …).

use super::super::Error;
use super::blob::{Blob, Presence, Text, published, raced};
use super::http::is_loopback;
use crate::base::Sha256;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::{
    Attribute, Attributes, Error as StoreError, GetOptions, ObjectStore as _, ObjectStoreExt as _, PutMode, PutOptions,
    PutPayload, UpdateVersion,
};
use reqwest::Url;

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
    pub(super) fn open(text: &str) -> Result<Self, Error> {
        super::http::use_ring();
        let unusable = |why: String| Error::Remote { place: text.to_owned(), why };
        let url = Url::parse(text).map_err(|error| unusable(error.to_string()))?;
        let bucket = url.host_str().ok_or_else(|| unusable("it names no bucket".to_owned()))?;
        let endpoint = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"].iter();
        let endpoint = endpoint.filter_map(|name| std::env::var(name).ok()).find(|value| !value.is_empty());
        let is_local = endpoint.as_ref().is_some_and(|it| Url::parse(it).is_ok_and(|url| is_loopback(&url)));
        let mut builder = AmazonS3Builder::from_env().with_bucket_name(bucket).with_allow_http(is_local);
        if let Some(endpoint) = endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        let store = builder.build().map_err(|error| unusable(error.to_string()))?;
        let prefix = url.path().trim_matches('/').to_owned();
        Ok(Self { store, prefix, name: text.trim_end_matches('/').to_owned() })
    }

    fn path(&self, path: &str) -> Result<Path, Error> {
        let whole = if self.prefix.is_empty() { path.to_owned() } else { format!("{}/{path}", self.prefix) };
        Path::parse(whole).map_err(|error| self.error(path, &error.into()))
    }

    fn error(&self, path: &str, error: &StoreError) -> Error {
        let why = crate::base::text::with_causes(error);
        Error::Remote { place: format!("{}/{path}", self.name), why }
    }

    pub(super) async fn text(&self, path: &str) -> Result<Option<Text>, Error> {
        let failed = |error: StoreError| self.error(path, &error);
        match self.store.get(&self.path(path)?).await {
            Ok(found) => {
                let tag = found.meta.e_tag.clone();
                let bytes = found.bytes().await.map_err(failed)?.to_vec();
                Ok(Some(Text { bytes, tag }))
            }
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    pub(super) async fn presence(&self, blob: &Blob) -> Result<Presence, Error> {
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

    pub(super) async fn upload(&self, blob: &Blob, bytes: Vec<u8>) -> Result<(), Error> {
        let mode = if blob.is_fixed { PutMode::Create } else { PutMode::Overwrite };
        let attributes = Attributes::from_iter([(DIGEST, blob.sha256.to_string())]);
        let options = PutOptions { mode, attributes, ..PutOptions::default() };
        match self.store.put_opts(&self.path(&blob.path)?, PutPayload::from(bytes), options).await {
            Ok(_) => Ok(()),
            Err(StoreError::AlreadyExists { .. }) => Err(published(&blob.path)),
            Err(error) => Err(self.error(&blob.path, &error)),
        }
    }

    pub(super) async fn replace(&self, path: &str, bytes: &[u8], before: Option<&Text>) -> Result<(), Error> {
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

    pub(super) async fn remove(&self, path: &str) -> Result<(), Error> {
        match self.store.delete(&self.path(path)?).await {
            Ok(()) | Err(StoreError::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.error(path, &error)),
        }
    }
}
