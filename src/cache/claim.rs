//! Claims: who builds a stage whose result the cache lacks. Clients that share a cache and no store build nothing twice, as
//! long as all of them are well; a claim is a matter of time alone, and what is built or believed does not depend on it.
//!
//! `v1/claims/KEY.N` is created by whoever builds KEY, signed, and replaced every [`BEAT`] with a higher number. Nobody
//! compares clocks: who waits sees for how long the number has not changed, by its own clock. A claim that stands still for
//! [`LEASE`] is void, and the next one is N + 1, so every change of hands is a creation, which one client wins at every kind
//! of place.

use super::client::blocking;
use super::{Caches, Client, Error, layout, statement};
use crate::base::{Key, StageName};
use crate::remote::blob::Text;
use crate::remote::minisign::{PublicKey, SecretKey};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// How often a claim is renewed.
const BEAT: Duration = Duration::from_secs(10);
/// A claim that was not renewed for so long is void.
const LEASE: Duration = Duration::from_secs(30);
/// So many clients in a row that claimed a stage and vanished: another one will not be waited for.
const MOST: u32 = 8;
/// The kind of the signed text.
const KIND: &str = "crossmill cache claim";
const SCHEMA: u32 = 1;

/// The text of a claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Terms {
    kind: String,
    schema: u32,
    key: Key,
    stage: StageName,
    /// The machine and the process, for people.
    holder: String,
    /// What no other claim has.
    nonce: String,
    /// The number of renewals.
    beat: u64,
}

/// A claim of this client. Dropped without [`Claim::release`] it is void after [`LEASE`].
#[derive(Debug)]
pub struct Claim {
    client: Arc<Client>,
    key: Key,
    number: u32,
    renewals: JoinHandle<()>,
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.renewals.abort();
    }
}

impl Claim {
    /// Gives it up: the result is in the cache, or will not be. What cannot be removed is void soon.
    pub async fn release(self) {
        self.renewals.abort();
        // The highest first: who finds a lower one that is void looks for the next.
        for number in (0..=self.number).rev() {
            self.client.discard(&layout::claim(&self.key, number)).await;
        }
    }
}

/// Who builds a stage.
#[derive(Debug)]
pub enum Claimed {
    /// This client, until it releases the claim.
    Here(Claim),
    /// Another one, by its name.
    Elsewhere(String),
}

/// What a client that waits has seen of others' claims.
#[derive(Debug, Default)]
pub struct Watch {
    number: u32,
    seen: Option<(String, u64, Instant)>,
}

impl Watch {
    // Notes what a claim says at `now`. Returns whether its holder still renews it.
    fn is_alive(&mut self, claim: &Terms, now: Instant) -> bool {
        match &mut self.seen {
            // An older text again proves nothing.
            Some((nonce, beat, since)) if *nonce == claim.nonce && *beat >= claim.beat => {
                now.duration_since(*since) < LEASE
            }
            seen => {
                *seen = Some((claim.nonce.clone(), claim.beat, now));
                true
            }
        }
    }
}

impl Caches {
    /// Returns whether claims are of use: what others store in the cache that is written is read from it.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.to.as_ref().is_some_and(|to| self.from.iter().any(|client| Arc::ptr_eq(client, &to.client)))
    }

    /// Claims a stage, or returns who has.
    ///
    /// # Errors
    /// When the cache fails, or has something that is no claim: then nobody is waited for.
    pub async fn claim(&self, key: &Key, stage: &StageName, watch: &mut Watch) -> Result<Claimed, Error> {
        let Some(writer) = &self.to else { return Err(Error::Defect("a claim without a cache to write".into())) };
        let client = &writer.client;
        while watch.number < MOST {
            let path = layout::claim(key, watch.number);
            let Some(found) = client.get(&path, layout::MOST_STATEMENT).await? else {
                match create(client, &writer.secret, key, stage, watch.number).await? {
                    Some(claim) => return Ok(Claimed::Here(claim)),
                    // Another client was faster.
                    None => continue,
                }
            };
            let claim = read(&client.place(&path), &found.bytes, key, &self.trusted)?;
            if watch.is_alive(&claim, Instant::now()) {
                return Ok(Claimed::Elsewhere(claim.holder));
            }
            *watch = Watch { number: watch.number + 1, seen: None };
        }
        Err(Error::Untrusted {
            what: client.place(&layout::claim(key, MOST - 1)),
            why: format!("{MOST} clients in a row claimed {stage} and vanished"),
        })
    }
}

async fn create(
    client: &Arc<Client>,
    secret: &SecretKey,
    key: &Key,
    stage: &StageName,
    number: u32,
) -> Result<Option<Claim>, Error> {
    let mut nonce = [0; 16];
    getrandom::fill(&mut nonce).map_err(|error| Error::Defect(error.to_string()))?;
    let text = Terms {
        kind: KIND.to_owned(),
        schema: SCHEMA,
        key: *key,
        stage: stage.clone(),
        holder: holder(),
        nonce: nonce.iter().map(|byte| format!("{byte:02x}")).collect(),
        beat: 0,
    };
    let path = layout::claim(key, number);
    if !client.create(&path, signed(&text, secret).await?).await? {
        return Ok(None);
    }
    let renewals = tokio::spawn(renew(client.clone(), secret.clone(), path, text));
    Ok(Some(Claim { client: client.clone(), key: *key, number, renewals }))
}

// A renewal that fails is tried again at the next beat; the circuit of the client counts it.
async fn renew(client: Arc<Client>, secret: SecretKey, path: String, mut text: Terms) {
    let any = Text { bytes: Vec::new(), tag: None };
    while client.off().is_none() {
        tokio::time::sleep(BEAT).await;
        text.beat += 1;
        if let Ok(bytes) = signed(&text, &secret).await {
            let _ = client.replace(&path, &bytes, &any).await;
        }
    }
}

async fn signed(text: &Terms, secret: &SecretKey) -> Result<Vec<u8>, Error> {
    let (line, secret) = (serde_json::to_string(text).map_err(std::io::Error::from)?, secret.clone());
    blocking(move || Ok(statement::sign(&line, &secret)?.into_bytes())).await
}

// The name of this machine, as far as it is one, and the process.
fn holder() -> String {
    let name = nix::sys::utsname::uname().map(|names| names.nodename().to_string_lossy().into_owned());
    let plain = |c: &char| c.is_ascii_alphanumeric() || "-.".contains(*c);
    let name: String = name.unwrap_or_default().chars().filter(plain).take(64).collect();
    format!("process {} of {}", std::process::id(), if name.is_empty() { "a machine" } else { &name })
}

fn read(what: &str, file: &[u8], key: &Key, trusted: &[PublicKey]) -> Result<Terms, Error> {
    let untrusted = |why: String| Error::Untrusted { what: what.to_owned(), why };
    let mut refused = untrusted("no trusted key has signed it".to_owned());
    for signer in trusted {
        match statement::verified(what, file, signer) {
            Ok(line) => {
                let claim: Terms = serde_json::from_str(line).map_err(|error| untrusted(error.to_string()))?;
                if claim.kind != KIND || claim.schema != SCHEMA || claim.key != *key {
                    return Err(untrusted(format!("it is no claim of {}", key.short())));
                }
                return Ok(claim);
            }
            Err(error) => refused = error,
        }
    }
    Err(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(nonce: &str, beat: u64) -> Terms {
        Terms {
            kind: KIND.into(),
            schema: SCHEMA,
            key: Key::of(b"x"),
            stage: StageName::new("arm64", "gcc"),
            holder: "process 1 of a machine".into(),
            nonce: nonce.into(),
            beat,
        }
    }

    #[test]
    fn a_claim_is_void_when_it_stands_still_by_the_clock_of_who_waits() {
        let (mut watch, start) = (Watch::default(), Instant::now());
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        assert!(watch.is_alive(&claim("a", 7), at(0)));
        assert!(watch.is_alive(&claim("a", 7), at(29)));
        assert!(watch.is_alive(&claim("a", 8), at(29)));
        assert!(watch.is_alive(&claim("a", 8), at(58)));
        assert!(!watch.is_alive(&claim("a", 8), at(59)));
        // An older text, played back, renews nothing; another client's claim does.
        assert!(!watch.is_alive(&claim("a", 7), at(60)));
        assert!(watch.is_alive(&claim("b", 0), at(60)));
    }
}
