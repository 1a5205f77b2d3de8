//! Downloads that go on where they stopped.
//!
//! A server's trouble (429, 5xx, a broken or silent connection) is waited out
//! with growing pauses; a host that is not there is given up after one more try
//! and remembered, so that the next package does not wait for it again.

use super::answer::{Then, Trouble, begin, classify, innermost};
use super::download::Download;
use super::partial::{Partial, Resume, Validators};
use super::route::{Route, admit, host_of, redirects};
use super::{Error, Options, Progress};
use crate::base::{Sha256, units};
use reqwest::{Url, header};
use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// No pause is longer, whatever the server asks for.
const LONGEST_PAUSE: Duration = Duration::from_secs(120);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// Progress, in bytes, that resets the count of attempts.
const HEADWAY: u64 = 4 << 20;

/// The data that has arrived at [`Download::path`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Arrived {
    pub(super) sha256: Sha256,
    /// Bytes that came over the network now.
    pub(super) bytes: u64,
}

/// The client that all downloads of a run share.
#[derive(Debug, Default)]
pub(super) struct Http {
    clients: Mutex<HashMap<Route, reqwest::Client>>,
    dead: Mutex<HashMap<String, String>>,
}

impl Http {
    /// Downloads into `job.path`, retrying as `options` specify. On a failure
    /// that may pass the bytes so far stay; so they do when the future is dropped.
    pub(super) async fn download(
        &self,
        job: &Download<'_>,
        options: &Options,
        proxy: Option<&str>,
        progress: &dyn Progress,
    ) -> Result<Arrived, Error> {
        let (url, route) = admit(job.url, job.trust)?;
        let host = host_of(&url);
        if let Some(why) = locked(&self.dead).get(&host) {
            return Err(Error::HostDead { host, why: why.clone() });
        }
        let client = self.client(route, proxy)?;
        let mut partial = Partial::open(job.path).await?;
        let (mut tries, mut best, mut afresh, mut bytes) = (0, partial.len(), false, 0);
        loop {
            if job.want.is_some_and(|want| want == partial.digest()) {
                return Ok(Arrived { sha256: partial.digest(), bytes });
            }
            let trouble = match self.attempt(&client, &url, job, options, &mut partial, &mut bytes, progress).await {
                Ok(()) => match job.want {
                    Some(want) if want != partial.digest() && partial.is_continued() => {
                        let got = partial.digest();
                        partial.restart(Validators::default())?;
                        Then::Afresh.after(Error::Mismatch { url: job.url.to_owned(), want, got })
                    }
                    _ => return Ok(Arrived { sha256: partial.digest(), bytes }),
                },
                Err(trouble) => trouble,
            };
            if partial.len() >= best + HEADWAY {
                (tries, best) = (0, partial.len());
            }
            let error = *trouble.error;
            let pause = match trouble.then {
                Then::GiveUp => return Err(error),
                Then::TryOnce if tries >= options.retries.min(1) => {
                    let why = match &error {
                        Error::Network { why, .. } => why.clone(),
                        other => other.to_string(),
                    };
                    locked(&self.dead).insert(host, why);
                    return Err(error);
                }
                Then::Wait(_) if tries >= options.retries => return Err(error),
                Then::Afresh if std::mem::replace(&mut afresh, true) => return Err(error),
                Then::Afresh => {
                    progress.retry(job.url, "what was there of it does not fit", "from its beginning");
                    continue;
                }
                Then::TryOnce => options.backoff,
                Then::Wait(asked) => asked.unwrap_or_else(|| grown(options.backoff, tries)).min(LONGEST_PAUSE),
            };
            tries += 1;
            progress.retry(
                job.url,
                &crate::base::text::with_causes(&error),
                &format!("again in {}", units::duration(pause)),
            );
            tokio::time::sleep(pause).await;
        }
    }

    fn client(&self, route: Route, proxy: Option<&str>) -> Result<reqwest::Client, Error> {
        let mut clients = locked(&self.clients);
        if let Some(client) = clients.get(&route) {
            return Ok(client.clone());
        }
        let broken = |error: reqwest::Error| Error::Network { url: "https:".to_owned(), why: innermost(&error) };
        // ring builds in seconds where rustls' default provider takes minutes of C.
        // An error only means that one is installed already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("crossmill/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(redirects(route));
        match (route, proxy) {
            (Route::Loopback, _) => builder = builder.no_proxy(),
            (Route::Debian, Some(proxy)) => {
                builder = builder.proxy(reqwest::Proxy::http(proxy).map_err(broken)?);
            }
            _ => {}
        }
        let client = builder.build().map_err(broken)?;
        clients.insert(route, client.clone());
        Ok(client)
    }

    #[expect(clippy::too_many_arguments, reason = "the state of one download, used nowhere else")]
    async fn attempt(
        &self,
        client: &reqwest::Client,
        url: &Url,
        job: &Download<'_>,
        options: &Options,
        partial: &mut Partial,
        bytes: &mut u64,
        progress: &dyn Progress,
    ) -> Result<(), Trouble> {
        let stalled = || Then::Wait(None).after(Error::Stalled { url: job.url.to_owned(), after: options.stall });
        let request = request(client, url, job, partial)?;
        let mut response = tokio::time::timeout(options.stall + CONNECT_TIMEOUT, request.send())
            .await
            .map_err(|_| stalled())?
            .map_err(|error| classify(job.url, error))?;
        let Some(total) = begin(job, &response, partial)? else { return Ok(()) };
        progress.bytes(partial.len(), total);
        let (mut since, mut at) = (Instant::now(), partial.len());
        loop {
            let chunk = tokio::time::timeout(options.stall, response.chunk()).await.map_err(|_| stalled())?;
            let Some(chunk) = chunk.map_err(|error| classify(job.url, error))? else { break };
            if partial.len() + chunk.len() as u64 > job.limit {
                let got = partial.len() + chunk.len() as u64;
                partial.restart(Validators::default())?;
                return Err(match job.size {
                    Some(want) => Error::Size { url: job.url.to_owned(), want, got }.into(),
                    None => Error::Endless { url: job.url.to_owned(), limit: job.limit }.into(),
                });
            }
            partial.write(&chunk)?;
            *bytes += chunk.len() as u64;
            progress.bytes(partial.len(), total);
            let within = since.elapsed();
            if within >= options.stall {
                let got = partial.len() - at;
                if (got as f64) < options.slowest as f64 * within.as_secs_f64() {
                    return Err(Then::Wait(None).after(Error::Slow { url: job.url.to_owned(), got, within }));
                }
                (since, at) = (Instant::now(), partial.len());
            }
        }
        match total {
            Some(want) if partial.len() < want => {
                Err(Then::Wait(None).after(Error::Short { url: job.url.to_owned(), want, got: partial.len() }))
            }
            _ => Ok(()),
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn request(
    client: &reqwest::Client,
    url: &Url,
    job: &Download<'_>,
    partial: &mut Partial,
) -> Result<reqwest::RequestBuilder, Error> {
    // The bytes as they are published: a server that compresses on the way would change them.
    let request = client.get(url.clone()).header(header::ACCEPT_ENCODING, "identity");
    let range = format!("bytes={}-", partial.len());
    Ok(match partial.resume(job.url, job.want.is_some()) {
        Some(Resume::If(validator)) => request.header(header::RANGE, range).header(header::IF_RANGE, validator),
        Some(Resume::Blindly) => request.header(header::RANGE, range),
        None if partial.len() > 0 => {
            partial.restart(Validators::default())?;
            request
        }
        None => request,
    })
}

/// Returns the pause after `tries` failures: doubled each time, with up to half of it added at
/// random so that many clients do not come back together.
fn grown(base: Duration, tries: u32) -> Duration {
    let pause = base.saturating_mul(1 << tries.min(10)).min(LONGEST_PAUSE);
    let random = getrandom::u32().unwrap_or(u32::MAX / 2);
    pause.mul_f64(1.0 + f64::from(random) / f64::from(u32::MAX) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_are_bounded() {
        let base = Duration::from_millis(100);
        assert!(grown(base, 0) >= base && grown(base, 0) <= base * 3 / 2);
        assert!(grown(base, 3) >= base * 8 && grown(base, 3) <= base * 12);
        assert!(grown(base, 99) <= LONGEST_PAUSE * 3 / 2);
    }
}
