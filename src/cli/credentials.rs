//! The secrets that a command is given: in its arguments, its environment and its configuration. They are kept out of
//! everything that crossmill prints, and the log of a CI service masks them where it can.

use crate::base::secret;
use crate::config::Config;
use crate::config::source::{Origin, Pin};
use crate::report::ci_log::{self, Service};
use std::os::fd::AsFd as _;
use std::sync::Mutex;

/// Variables whose values are secret, of the programs and libraries that publish and fetch. The passphrase of a signing
/// key is not among them: gpg asks for it itself, and crossmill never has it.
const SECRET_VARIABLES: [&str; 9] = [
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_SSE_CUSTOMER_KEY_BASE64",
    "AWS_SERVER_SIDE_ENCRYPTION_CUSTOMER_KEY_BASE64",
    "CROSSMILL_CACHE_TOKEN",
    "CROSSMILL_PUBLISH_TOKEN",
    "RSYNC_PASSWORD",
];

/// Variables with URLs, which may have credentials.
const URL_VARIABLES: [&str; 12] = [
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "AWS_ENDPOINT",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_S3",
    "CROSSMILL_CACHE_FROM",
    "CROSSMILL_CACHE_TO",
    "CROSSMILL_PREFIX",
];

// Registered and not yet masked.
static UNMASKED: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Registers the secrets of the command line and of the environment.
pub(super) fn of_process() {
    let text = |value: std::ffi::OsString| value.to_string_lossy().into_owned();
    let args = std::env::args_os().skip(1).map(text);
    let urls = URL_VARIABLES.iter().filter_map(std::env::var_os).map(text);
    let mut found: Vec<String> = args.chain(urls).flat_map(|value| secret::in_urls(&value)).collect();
    found.extend(SECRET_VARIABLES.iter().filter_map(std::env::var_os).map(text));
    register(found);
}

/// Registers the secrets in the URLs of recipes.
pub(super) fn of_config(config: &Config) {
    let specs = config.recipes.values().flat_map(|recipe| &recipe.versions).flat_map(|release| &release.sources);
    let cache = &config.matrix.defaults.cache;
    let mut found: Vec<String> = cache.from.iter().chain(&cache.to).flat_map(|url| secret::in_urls(url)).collect();
    for spec in specs {
        if let Origin::Url(url) | Origin::Git { url, .. } = &spec.from {
            found.extend(secret::in_urls(url));
        }
        if let Pin::Signature { url, .. } = &spec.pin {
            found.extend(secret::in_urls(url));
        }
    }
    register(found);
}

fn register(found: Vec<String>) {
    let new = secret::register(found);
    UNMASKED.lock().unwrap_or_else(std::sync::PoisonError::into_inner).extend(new);
}

/// Masks the registered secrets in the log of a CI service, so that the output of other programs shows none either.
pub(super) fn mask() {
    let Some(service) = Service::detect(|name| std::env::var(name).ok()) else { return };
    let values = std::mem::take(&mut *UNMASKED.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    if values.is_empty() {
        return;
    }
    match ci_log::masks(service, &values) {
        // The command names the secret, and nobody reads commands from a file.
        Some(text) if !is_file() => super::output::raw(&text),
        Some(_) => errln!("warning: stderr is a file: {} secrets are not masked in the log of the job", values.len()),
        None => errln!("note: {}", ci_log::without_masks(service)),
    }
}

fn is_file() -> bool {
    let kind = nix::sys::stat::fstat(std::io::stderr().as_fd()).map(|stat| stat.st_mode & nix::libc::S_IFMT);
    kind.is_ok_and(|kind| kind == nix::libc::S_IFREG)
}
