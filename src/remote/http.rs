//! A server that takes PUT (WebDAV, artifact stores). A user and a password may be in the URL; the caller may have a token.

use super::blob::{Blob, Presence, Text, published, raced};
use super::{Access, Error};
use crate::base::Sha256;
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url, header};
use sha2::Digest as _;
use std::net::IpAddr;

/// A directory of a server.
#[derive(Debug)]
pub struct Server {
    client: reqwest::Client,
    base: Url,
    token: Option<String>,
}

/// Makes ring the provider of TLS; an error only means that there is one already.
pub(super) fn use_ring() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

pub(super) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn without_credentials(text: &str) -> String {
    Url::parse(text).map_or_else(|_| "the URL".to_owned(), |url| super::redacted(url).to_string())
}

impl Server {
    /// Parses the URL of a directory: https, or http to this machine; http to another one where `access` allows it and no
    /// credentials would be sent.
    pub fn open(text: &str, access: &Access) -> Result<Self, Error> {
        use_ring();
        let unusable = |why: String| Error::Place { place: without_credentials(text), why };
        let mut base = Url::parse(text).map_err(|error| unusable(error.to_string()))?;
        if base.scheme() != "https" && !is_loopback(&base) {
            if !access.plain_http {
                return Err(unusable("it is not https".to_owned()));
            }
            if access.token.is_some() || !base.username().is_empty() || base.password().is_some() {
                return Err(unusable("it is not https, and credentials would be sent to it".to_owned()));
            }
        }
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        let client = reqwest::Client::builder()
            .user_agent(concat!("crossmill/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(access.connect)
            .read_timeout(access.stall)
            // A redirected upload would not be found at the URL that was examined.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| unusable(error.to_string()))?;
        Ok(Self { client, base, token: access.token.clone() })
    }

    // Without credentials, for messages.
    pub(super) fn place(&self, path: &str) -> String {
        format!("{}{path}", super::redacted(self.base.clone()))
    }

    fn request(&self, method: Method, path: &str) -> Result<RequestBuilder, Error> {
        let url = self.base.join(path).map_err(|error| self.error(path, error.to_string()))?;
        let request = self.client.request(method, url).header(header::ACCEPT_ENCODING, "identity");
        Ok(match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        })
    }

    async fn send(&self, request: RequestBuilder, path: &str) -> Result<Response, Error> {
        request.send().await.map_err(|error| self.error(path, crate::base::text::with_causes(&error.without_url())))
    }

    fn error(&self, path: &str, why: String) -> Error {
        Error::Place { place: self.place(path), why }
    }

    fn status(&self, path: &str, status: StatusCode) -> Error {
        self.error(path, format!("it answered with status {status}"))
    }

    /// Returns a file of `limit` bytes at most, or none where it does not exist.
    pub async fn text(&self, path: &str, limit: u64) -> Result<Option<Text>, Error> {
        let mut response = self.send(self.request(Method::GET, path)?, path).await?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND | StatusCode::GONE => return Ok(None),
            other => return Err(self.status(path, other)),
        }
        let tag = response.headers().get(header::ETAG).and_then(|tag| tag.to_str().ok()).map(str::to_owned);
        let mut bytes = Vec::new();
        while let Some(chunk) =
            response.chunk().await.map_err(|error| self.error(path, error.without_url().to_string()))?
        {
            if (bytes.len() + chunk.len()) as u64 > limit {
                return Err(self.error(path, super::too_large(limit)));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(Some(Text { bytes, tag }))
    }

    /// Returns the size of a file, or none where it does not exist.
    pub async fn size(&self, path: &str) -> Result<Option<u64>, Error> {
        let response = self.send(self.request(Method::HEAD, path)?, path).await?;
        match response.status() {
            StatusCode::OK => {
                let length = response.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
                Ok(Some(length.and_then(|value| value.parse().ok()).unwrap_or(0)))
            }
            StatusCode::NOT_FOUND | StatusCode::GONE => Ok(None),
            other => Err(self.status(path, other)),
        }
    }

    /// Returns what it has of a blob; every byte of it is read.
    pub async fn presence(&self, blob: &Blob) -> Result<Presence, Error> {
        let path = &blob.path;
        let mut response = self.send(self.request(Method::GET, path)?, path).await?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND | StatusCode::GONE => return Ok(Presence::Missing),
            other => return Err(self.status(path, other)),
        }
        // Another length needs no reading.
        if response.content_length().is_some_and(|length| length != blob.bytes) {
            return Ok(Presence::Other);
        }
        let mut hasher = sha2::Sha256::new();
        while let Some(chunk) =
            response.chunk().await.map_err(|error| self.error(path, error.without_url().to_string()))?
        {
            hasher.update(&chunk);
        }
        let got = Sha256::from_bytes(hasher.finalize().into());
        Ok(if got == blob.sha256 { Presence::Same } else { Presence::Other })
    }

    /// Uploads a blob. One that must not be replaced fails if it exists.
    pub async fn upload(&self, blob: &Blob, bytes: Vec<u8>) -> Result<(), Error> {
        let mut request = self.request(Method::PUT, &blob.path)?.body(bytes);
        if blob.is_fixed {
            request = request.header(header::IF_NONE_MATCH, "*");
        }
        match self.send(request, &blob.path).await?.status() {
            status if status.is_success() => Ok(()),
            StatusCode::PRECONDITION_FAILED => Err(published(&blob.path)),
            other => Err(self.status(&blob.path, other)),
        }
    }

    /// Replaces a small file, if it still is `before`.
    pub async fn replace(&self, path: &str, bytes: &[u8], before: Option<&Text>) -> Result<(), Error> {
        let request = self.request(Method::PUT, path)?.body(bytes.to_vec());
        let request = match before {
            None => request.header(header::IF_NONE_MATCH, "*"),
            Some(Text { tag: Some(tag), .. }) if !tag.starts_with("W/") => request.header(header::IF_MATCH, tag),
            Some(_) => request,
        };
        match self.send(request, path).await?.status() {
            status if status.is_success() => Ok(()),
            StatusCode::PRECONDITION_FAILED => Err(raced(&self.place(path))),
            other => Err(self.status(path, other)),
        }
    }

    /// Removes a file that may be missing.
    pub async fn remove(&self, path: &str) -> Result<(), Error> {
        match self.send(self.request(Method::DELETE, path)?, path).await?.status() {
            status if status.is_success() => Ok(()),
            StatusCode::NOT_FOUND | StatusCode::GONE => Ok(()),
            other => Err(self.status(path, other)),
        }
    }
}
