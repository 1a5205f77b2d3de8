//! Decides how a download continues after a server's answer, or without one.

use super::Error;
use super::download::Download;
use super::partial::{Partial, Validators};
use crate::base::secret;
use reqwest::{Response, StatusCode, header};
use std::time::{Duration, SystemTime};

/// Why an attempt failed, and what follows.
#[derive(Debug)]
pub(super) struct Trouble {
    pub(super) error: Box<Error>,
    pub(super) then: Then,
}

/// The next step after a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// Trying again is no use.
    GiveUp,
    /// The host is not there: one more try.
    TryOnce,
    /// It passes, perhaps; after a pause the server may have named.
    Wait(Option<Duration>),
    /// The partial file did not fit and is emptied: again at once.
    Afresh,
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Then::GiveUp.after(error)
    }
}

impl Then {
    /// `error`, and then this.
    pub(super) fn after(self, error: Error) -> Trouble {
        Trouble { error: Box::new(error), then: self }
    }
}

/// Reads the answer's header: the total size to expect, if known. `None`
/// without a body: everything is here already.
pub(super) fn begin(
    job: &Download<'_>,
    response: &Response,
    partial: &mut Partial,
) -> Result<Option<Option<u64>>, Trouble> {
    let status = response.status();
    let length = response.content_length();
    let total = match status {
        StatusCode::PARTIAL_CONTENT => {
            let range = content_range(response);
            if range.is_none_or(|(start, _)| start != Some(partial.len())) {
                partial.restart(Validators::default())?;
                return Err(Then::Afresh.after(bad_status(job, status)));
            }
            partial.go_on();
            range.and_then(|(_, total)| total).or_else(|| length.map(|length| partial.len() + length))
        }
        StatusCode::OK => {
            partial.restart(validators(job.url, response))?;
            length
        }
        StatusCode::RANGE_NOT_SATISFIABLE => {
            if partial.len() > 0 && content_range(response).and_then(|(_, total)| total) == Some(partial.len()) {
                partial.go_on();
                return Ok(None);
            }
            partial.restart(Validators::default())?;
            return Err(Then::Afresh.after(bad_status(job, status)));
        }
        StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => {
            return Err(Then::Wait(retry_after(response)).after(bad_status(job, status)));
        }
        _ if status.is_server_error() => {
            return Err(Then::Wait(retry_after(response)).after(bad_status(job, status)));
        }
        _ => return Err(bad_status(job, status).into()),
    };
    match (total, job.size) {
        // A login page or an error page: nothing that is worth its bytes.
        (Some(got), Some(want)) if got != want => {
            partial.restart(Validators::default())?;
            Err(Error::Size { url: job.url.to_owned(), want, got }.into())
        }
        (Some(got), None) if got > job.limit => {
            partial.restart(Validators::default())?;
            Err(Error::Endless { url: job.url.to_owned(), limit: job.limit }.into())
        }
        _ => Ok(Some(total.or(job.size))),
    }
}

fn bad_status(job: &Download<'_>, status: StatusCode) -> Error {
    Error::Status { url: job.url.to_owned(), status: status.as_u16() }
}

fn header_text(response: &Response, name: header::HeaderName) -> Option<String> {
    Some(response.headers().get(name)?.to_str().ok()?.to_owned())
}

fn validators(url: &str, response: &Response) -> Validators {
    Validators {
        url: secret::redact(url).into_owned(),
        etag: header_text(response, header::ETAG),
        last_modified: header_text(response, header::LAST_MODIFIED),
    }
}

/// `bytes 5-9/10` is `(Some(5), Some(10))`, `bytes */10` is `(None, Some(10))` (RFC 9110 14.4).
fn content_range(response: &Response) -> Option<(Option<u64>, Option<u64>)> {
    let text = header_text(response, header::CONTENT_RANGE)?;
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let start = range.split_once('-').and_then(|(start, _)| start.trim().parse().ok());
    Some((start, total.trim().parse().ok()))
}

/// `Retry-After` in either spelling (RFC 9110 10.2.3).
fn retry_after(response: &Response) -> Option<Duration> {
    let text = header_text(response, header::RETRY_AFTER)?;
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(&text).ok()?;
    SystemTime::from(date.timestamp()).duration_since(SystemTime::now()).ok()
}

pub(super) fn innermost(error: &dyn std::error::Error) -> String {
    let mut at = error;
    while let Some(cause) = at.source() {
        at = cause;
    }
    at.to_string()
}

/// Distinguishes a host that does not exist from one with a temporary problem.
pub(super) fn classify(url: &str, error: reqwest::Error) -> Trouble {
    let failure = Error::Network { url: url.to_owned(), why: innermost(&error) };
    if error.is_redirect() || error.is_builder() {
        return failure.into();
    }
    if error.is_dns() || (error.is_connect() && !was_cut(&error)) {
        return Then::TryOnce.after(failure);
    }
    Then::Wait(None).after(failure)
}

/// Returns whether there was a connection, which was cut: what a busy server does.
fn was_cut(error: &reqwest::Error) -> bool {
    use std::error::Error as _;
    use std::io::ErrorKind;
    let mut at = error.source();
    while let Some(error) = at {
        if let Some(io) = error.downcast_ref::<std::io::Error>()
            && matches!(
                io.kind(),
                ErrorKind::ConnectionReset
                    | ErrorKind::ConnectionAborted
                    | ErrorKind::BrokenPipe
                    | ErrorKind::UnexpectedEof
            )
        {
            return true;
        }
        at = error.source();
    }
    false
}
