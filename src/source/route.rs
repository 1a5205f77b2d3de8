//! Which URLs may be asked, and by which client.

use super::Error;
use reqwest::Url;
use std::net::IpAddr;

/// By which rule a URL may be plain http.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Trust {
    /// Only to this machine.
    Https,
    /// Anywhere: the Debian archive's own protocol; what arrives is pinned.
    Debian,
}

/// The client that asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Route {
    Https,
    Debian,
    Loopback,
}

/// Reads a URL and refuses what may not be asked.
pub(super) fn admit(url: &str, trust: Trust) -> Result<(Url, Route), Error> {
    let parsed = Url::parse(url).map_err(|error| Error::Network { url: url.to_owned(), why: error.to_string() })?;
    match route_of(&parsed, trust) {
        Some(route) => Ok((parsed, route)),
        None => Err(Error::Insecure { url: url.to_owned() }),
    }
}

fn route_of(url: &Url, trust: Trust) -> Option<Route> {
    match (url.scheme(), trust) {
        ("http" | "https", _) if is_loopback(url) => Some(Route::Loopback),
        ("http" | "https", Trust::Debian) => Some(Route::Debian),
        ("https", Trust::Https) => Some(Route::Https),
        _ => None,
    }
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Host and port.
pub(super) fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port_or_known_default().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// Returns a redirect leads only where the URL itself might have.
pub(super) fn redirects(route: Route) -> reqwest::redirect::Policy {
    let trust = if route == Route::Debian { Trust::Debian } else { Trust::Https };
    reqwest::redirect::Policy::custom(move |attempt| {
        let is_local = attempt.previous().iter().all(is_loopback);
        let admitted = match route_of(attempt.url(), trust) {
            // A server elsewhere must not make this machine ask itself.
            Some(Route::Loopback) => is_local,
            Some(_) => true,
            None => false,
        };
        if attempt.previous().len() > 10 {
            attempt.error("too many redirects")
        } else if admitted {
            attempt.follow()
        } else {
            let refused = format!("it redirects to `{}`, which is not https", attempt.url());
            attempt.error(refused)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_debian_and_this_machine_alone() {
        let route = |url: &str, trust| admit(url, trust).map(|(_, route)| route).ok();
        assert_eq!(route("https://a.example/x", Trust::Https), Some(Route::Https));
        assert_eq!(route("http://a.example/x", Trust::Https), None);
        assert_eq!(route("http://a.example/x", Trust::Debian), Some(Route::Debian));
        assert_eq!(route("http://127.0.0.1:1/x", Trust::Https), Some(Route::Loopback));
        assert_eq!(route("http://[::1]:1/x", Trust::Https), Some(Route::Loopback));
        assert_eq!(route("http://localhost.a.example/x", Trust::Https), None);
        assert_eq!(route("http://127.0.0.1@a.example/x", Trust::Https), None);
        assert_eq!(route("file:///etc/passwd", Trust::Debian), None);
        assert_eq!(route("nonsense", Trust::Https), None);
    }
}
