//! A server that takes PUT (WebDAV, artifact stores). A user and a password may be in the URL, a token in
//! `CROSSMILL_PUBLISH_TOKEN`.

use super::super::Error;
use super::blob::{Blob, Presence, Text, published, raced};
use crate::base::Sha256;
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url, header};
use sha2::Digest as _;
use std::net::IpAddr;
use std::time::Duration;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// A server that neither takes nor sends anything for so long is given up.
const STALL: Duration = Duration::from_secs(120);
const TOKEN: &str = "CROSSMILL_PUBLISH_TOKEN";

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

impl Server {
    /// Parses the URL of a directory: https, or http to this machine.
    pub(super) fn open(text: &str) -> Result<Self, Error> {
        use_ring();
        let unusable = |why: String| Error::Remote { place: text.to_owned(), why };
        let mut base = Url::parse(text).map_err(|error| unusable(error.to_string()))?;
        if base.scheme() != "https" && !is_loopback(&base) {
            return Err(unusable("it is not https".to_owned()));
        }
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        let client = reqwest::Client::builder()
            .user_agent(concat!("crossmill/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(STALL)
            // A redirected upload would not be found at the URL that was examined.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| unusable(error.to_string()))?;
        Ok(Self { client, base, token: std::env::var(TOKEN).ok().filter(|token| !token.is_empty()) })
    }

    // Without a password, for messages.
    fn place(&self, path: &str) -> String {
        let mut base = self.base.clone();
        // A URL without a host has no user either.
        let _ = base.set_password(None);
        let _ = base.set_username("");
        format!("{base}{path}")
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
        Error::Remote { place: self.place(path), why }
    }

    fn status(&self, path: &str, status: StatusCode) -> Error {
        self.error(path, format!("it answered with status {status}"))
    }

    pub(super) async fn text(&self, path: &str) -> Result<Option<Text>, Error> {
        let response = self.send(self.request(Method::GET, path)?, path).await?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND | StatusCode::GONE => return Ok(None),
            other => return Err(self.status(path, other)),
        }
        let tag = response.headers().get(header::ETAG).and_then(|tag| tag.to_str().ok()).map(str::to_owned);
        let bytes = response.bytes().await.map_err(|error| self.error(path, error.without_url().to_string()))?;
        Ok(Some(Text { bytes: bytes.to_vec(), tag }))
    }

    pub(super) async fn presence(&self, blob: &Blob) -> Result<Presence, Error> {
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

    pub(super) async fn upload(&self, blob: &Blob, bytes: Vec<u8>) -> Result<(), Error> {
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

    pub(super) async fn replace(&self, path: &str, bytes: &[u8], before: Option<&Text>) -> Result<(), Error> {
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

    pub(super) async fn remove(&self, path: &str) -> Result<(), Error> {
        match self.send(self.request(Method::DELETE, path)?, path).await?.status() {
            status if status.is_success() => Ok(()),
            StatusCode::NOT_FOUND | StatusCode::GONE => Ok(()),
            other => Err(self.status(path, other)),
        }
    }
}
