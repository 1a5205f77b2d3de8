//! Downloads from a server that misbehaves.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use crossmill::base::{Diagnostic, Sha256};
use crossmill::config::source::{Origin, Pin, SourceSpec};
use crossmill::source::{Error, Fetched, Fetcher, Options, Progress};
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};
use support::http::{Answer, Server};

fn options(cache: &Path) -> Options {
    Options {
        retries: 3,
        backoff: Duration::from_millis(5),
        stall: Duration::from_millis(300),
        apt_dir: cache.join("no-apt"),
        ..Options::new(cache.to_owned())
    }
}

fn spec(url: String, content: &[u8]) -> SourceSpec {
    let pin = Pin::Sha256(Sha256::of(content));
    SourceSpec { from: Origin::Url(url), pin, size: None, limit: None, member: None, strip: 1, patches: Vec::new() }
}

fn content() -> Vec<u8> {
    (0..300_000u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect()
}

#[derive(Default)]
struct Observed {
    retries: Mutex<Vec<String>>,
    bytes: Mutex<(u64, Option<u64>)>,
}

impl Progress for Observed {
    fn bytes(&self, done: u64, total: Option<u64>) {
        *self.bytes.lock().unwrap() = (done, total);
    }

    fn retry(&self, source: &str, why: &str, next: &str) {
        let path = source.rsplit('/').next().unwrap();
        self.retries.lock().unwrap().push(format!(
            "{path}: {}, {}",
            why.rsplit('`').next().unwrap().trim(),
            next.split(' ').next().unwrap()
        ));
    }
}

struct World {
    server: Server,
    dir: tempfile::TempDir,
    observed: Observed,
    fetcher: Fetcher,
    content: Vec<u8>,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (server, content) = (Server::start(), content());
        server.file("/a.tar.xz", &content);
        Self { fetcher: Fetcher::new(options(dir.path())), server, dir, observed: Observed::default(), content }
    }

    fn spec(&self) -> SourceSpec {
        spec(self.server.url("/a.tar.xz"), &self.content)
    }

    async fn fetch(&self) -> Result<Fetched, Error> {
        self.fetcher.fetch(&[self.spec()], &self.observed).await
    }

    fn blob(&self) -> Vec<u8> {
        fs_err::read(self.dir.path().join("blobs").join(Sha256::of(&self.content).to_string())).unwrap()
    }

    fn files(&self, dir: &str) -> usize {
        fs_err::read_dir(self.dir.path().join(dir)).map_or(0, Iterator::count)
    }

    fn retries(&self) -> Vec<String> {
        self.observed.retries.lock().unwrap().clone()
    }
}

#[tokio::test]
async fn a_file_is_fetched_once() {
    let world = World::new();
    assert_eq!(world.fetcher.cached(&[world.spec()]).unwrap(), None);
    let fetched = world.fetch().await.unwrap();
    assert_eq!(fetched.digest, format!("sha256:{}", Sha256::of(&world.content)));
    assert_eq!((fetched.from_cache, fetched.bytes), (false, world.content.len() as u64));
    assert_eq!(*world.observed.bytes.lock().unwrap(), (1_200_000, Some(1_200_000)));
    assert!(world.blob() == world.content);
    assert_eq!(world.files("partial"), 0);
    let again = world.fetch().await.unwrap();
    assert_eq!((again.from_cache, again.bytes), (true, 0));
    assert_eq!(world.fetcher.cached(&[world.spec()]).unwrap(), Some(again));
    assert_eq!(world.server.seen().len(), 1);
}

#[tokio::test]
async fn a_fetch_may_run_as_a_task() {
    fn is_send<T: Send>(future: T) -> T {
        future
    }
    let world = World::new();
    is_send(world.fetcher.fetch(&[world.spec()], &world.observed)).await.unwrap();
}

#[tokio::test]
async fn a_broken_download_goes_on_with_the_missing_bytes() {
    let world = World::new();
    world.server.answers("/a.tar.xz", [Answer::Truncate(500_000), Answer::HangUp, Answer::Truncate(600_000)]);
    let fetched = world.fetch().await.unwrap();
    assert!(world.blob() == world.content);
    assert_eq!(fetched.bytes, 1_200_000);
    let seen = world.server.seen();
    assert_eq!(seen.iter().map(|seen| seen.sent).collect::<Vec<_>>(), [500_000, 0, 600_000, 100_000]);
    assert_eq!(seen[3].range.as_deref(), Some("bytes=1100000-"));
    assert!(seen[3].if_range.is_some());
}

#[tokio::test]
async fn a_later_run_goes_on_where_a_dropped_one_stopped() {
    let world = World::new();
    world.server.answers("/a.tar.xz", [Answer::Stall(700_000)]);
    let stopped = tokio::time::timeout(Duration::from_millis(150), world.fetch()).await;
    assert!(stopped.is_err());
    let fetcher = Fetcher::new(options(world.dir.path()));
    let fetched = fetcher.fetch(&[world.spec()], &()).await.unwrap();
    assert_eq!(fetched.bytes, 500_000);
    assert!(world.blob() == world.content);
}

#[tokio::test]
async fn a_stalled_connection_is_given_up_and_gone_on_from() {
    let world = World::new();
    world.server.answers("/a.tar.xz", [Answer::Stall(700_000)]);
    assert_eq!(world.fetch().await.unwrap().bytes, 1_200_000);
    assert_eq!(world.retries(), ["a.tar.xz: sent nothing for 0.3s, again"]);
}

#[tokio::test]
async fn a_server_without_ranges_starts_over() {
    let world = World::new();
    world.server.answers("/a.tar.xz", [Answer::Truncate(500_000), Answer::IgnoreRange]);
    world.fetch().await.unwrap();
    assert!(world.blob() == world.content);
    assert_eq!(world.server.seen()[1].sent, 1_200_000);
}

#[tokio::test]
async fn a_file_that_changed_in_between_starts_over() {
    let world = World::new();
    world.server.file("/a.tar.xz", &[7; 900_000]);
    world.server.answers("/a.tar.xz", [Answer::Stall(500_000)]);
    assert!(tokio::time::timeout(Duration::from_millis(150), world.fetch()).await.is_err());
    world.server.file("/a.tar.xz", &world.content);
    assert_eq!(world.fetch().await.unwrap().bytes, 1_200_000);
    assert!(world.blob() == world.content);
}

#[tokio::test]
async fn a_damaged_partial_file_starts_over_once() {
    let world = World::new();
    let partial = world.dir.path().join("partial").join(Sha256::of(&world.content).to_string());
    fs_err::create_dir_all(partial.parent().unwrap()).unwrap();
    // As long as the file, longer, and shorter.
    for length in [1_200_000, 1_300_000, 1000] {
        fs_err::write(&partial, vec![9; length]).unwrap();
        world.fetch().await.unwrap();
        assert!(world.blob() == world.content);
        fs_err::remove_dir_all(world.dir.path().join("blobs")).unwrap();
    }
    fs_err::write(&partial, &world.content).unwrap();
    assert_eq!(world.fetch().await.unwrap().bytes, 0);
}

#[tokio::test]
async fn passing_trouble_is_waited_out() {
    let world = World::new();
    let later = |status| Answer::Status(status, vec![("Retry-After", "0".to_owned())]);
    world.server.answers("/a.tar.xz", [later(503), later(429), Answer::Status(500, Vec::new())]);
    world.fetch().await.unwrap();
    assert_eq!(
        world.retries(),
        [
            "a.tar.xz: answered with status 503, again",
            "a.tar.xz: answered with status 429, again",
            "a.tar.xz: answered with status 500, again"
        ]
    );
}

#[tokio::test]
async fn trouble_that_stays_is_given_up() {
    let world = World::new();
    world.server.answers("/a.tar.xz", vec![Answer::Status(503, Vec::new()); 9]);
    let error = world.fetch().await.unwrap_err();
    assert!(
        matches!(&error, Error::Exhausted { failures } if matches!(failures[0].error, Error::Status { status: 503, .. }))
    );
    assert_eq!(world.server.seen().len(), 4);
}

#[tokio::test]
async fn the_next_candidate_serves_when_one_is_gone() {
    let world = World::new();
    let gone = spec(world.server.url("/gone"), &world.content);
    let fetched = world.fetcher.fetch(&[gone, world.spec()], &world.observed).await.unwrap();
    assert_eq!(fetched.candidate, 1);
    assert_eq!(world.retries(), ["gone: answered with status 404, next"]);
    assert_eq!(world.server.seen().len(), 2);
}

#[tokio::test]
async fn a_wrong_file_is_named_and_not_kept() {
    let world = World::new();
    world.server.answers("/a.tar.xz", [Answer::Corrupt]);
    let error = world.fetch().await.unwrap_err();
    let shown = Diagnostic::from_error(&error).to_string().replace(&world.server.base, "http://server");
    insta::assert_snapshot!(shown);
    assert_eq!((world.files("partial"), world.files("blobs")), (0, 0));
    // And the next candidate is tried.
    world.server.file("/b.tar.xz", &world.content);
    world.server.answers("/a.tar.xz", [Answer::Corrupt]);
    let second = spec(world.server.url("/b.tar.xz"), &world.content);
    let fetched = world.fetcher.fetch(&[world.spec(), second], &()).await.unwrap();
    assert_eq!((fetched.candidate, fetched.bytes), (1, 1_200_000));
}

#[tokio::test]
async fn an_end_without_a_length_is_held_against_the_size() {
    let world = World::new();
    let mut sized = world.spec();
    sized.size = Some(1_200_000);
    world.server.answers("/a.tar.xz", [Answer::Bare]);
    world.fetcher.fetch(std::slice::from_ref(&sized), &()).await.unwrap();
    // A page of another size is refused before its bytes come.
    world.server.file("/page", b"<html>");
    sized.from = Origin::Url(world.server.url("/page"));
    sized.pin = Pin::Sha256(Sha256::of(b"other"));
    let error = world.fetcher.fetch(&[sized], &()).await.unwrap_err();
    assert!(matches!(&error, Error::Exhausted { failures } if matches!(failures[0].error, Error::Size { got: 6, .. })));
}

#[tokio::test]
async fn redirects_are_followed_but_not_to_plain_http() {
    let world = World::new();
    world.server.answers("/moved", [Answer::Redirect("/a.tar.xz".to_owned())]);
    let moved = spec(world.server.url("/moved"), &world.content);
    world.fetcher.fetch(&[moved], &()).await.unwrap();
    world.server.answers("/away", [Answer::Redirect("http://mirror.example/x".to_owned())]);
    let away = spec(world.server.url("/away"), b"x");
    let error = world.fetcher.fetch(&[away], &()).await.unwrap_err();
    assert!(error.to_string().contains("which is not https"), "{error}");
    let plain = spec("http://mirror.example/x".to_owned(), b"x");
    let error = world.fetcher.fetch(&[plain], &()).await.unwrap_err();
    assert!(error.to_string().contains("is not https"), "{error}");
}

#[tokio::test]
async fn a_host_that_is_not_there_is_asked_only_once() {
    let world = World::new();
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let dead = |name: &str| spec(format!("http://{closed}/{name}"), name.as_bytes());
    let error = world.fetcher.fetch(&[dead("x")], &world.observed).await.unwrap_err();
    assert!(error.to_string().contains("refused"), "{error}");
    assert_eq!(world.retries().len(), 1);
    let error = world.fetcher.clone().fetch(&[dead("y")], &world.observed).await.unwrap_err();
    assert!(error.to_string().contains("could not be reached before"), "{error}");
    assert_eq!(world.retries().len(), 1);
}

#[tokio::test]
async fn two_fetches_of_one_file_download_it_once() {
    let world = World::new();
    let other = Fetcher::new(options(world.dir.path()));
    let specs = [world.spec()];
    let (first, second) = tokio::join!(world.fetch(), other.fetch(&specs, &()));
    assert_eq!(first.unwrap().bytes + second.unwrap().bytes, 1_200_000);
    assert_eq!(world.server.seen().len(), 1);
}

#[tokio::test]
async fn offline_says_what_is_missing() {
    let dir = tempfile::tempdir().unwrap();
    let fetcher = Fetcher::new(Options { offline: true, ..options(dir.path()) });
    let mut debian = spec("https://ftp.example/gmp-6.3.0.tar.xz".to_owned(), b"x");
    let candidates = [debian.clone(), {
        debian.from = Origin::Debian("pool/main/g/gmp/gmp_6.3.0.orig.tar.xz".to_owned());
        debian
    }];
    let error = fetcher.fetch(&candidates, &()).await.unwrap_err();
    insta::assert_snapshot!(Diagnostic::from_error(&error));
}

#[tokio::test]
async fn every_candidate_is_shown_when_all_fail() {
    let world = World::new();
    let mut debian = world.spec();
    debian.from = Origin::Debian("pool/main/g/gmp/gmp_6.3.0.orig.tar.xz".to_owned());
    let gone = spec(world.server.url("/gone"), b"x");
    let error = world.fetcher.fetch(&[gone, debian], &()).await.unwrap_err();
    let shown = Diagnostic::from_error(&error).to_string().replace(&world.server.base, "http://server");
    let shown = shown.replace(world.dir.path().to_str().unwrap(), "DIR");
    insta::assert_snapshot!(shown);
}

#[tokio::test]
async fn the_debian_mirror_is_asked_by_path() {
    let world = World::new();
    world.server.file("/debian/pool/main/g/gmp/gmp_6.3.0+dfsg.orig.tar.xz", &world.content);
    let mut debian = world.spec();
    debian.from = Origin::Debian("pool/main/g/gmp/gmp_6.3.0+dfsg.orig.tar.xz".to_owned());
    let apt = world.dir.path().join("apt");
    fs_err::create_dir_all(&apt).unwrap();
    let list = format!("deb {0}/wrong/debian sid main\ndeb {0}/debian sid main\n", world.server.base);
    fs_err::write(apt.join("sources.list"), list).unwrap();
    let fetcher = Fetcher::new(Options { apt_dir: apt, ..options(world.dir.path()) });
    fetcher.fetch(&[debian.clone()], &()).await.unwrap();
    fs_err::remove_dir_all(world.dir.path().join("blobs")).unwrap();
    // A list of mirrors that a server gives out.
    world.server.file("/list", format!("{}/debian priority:1\n", world.server.base).as_bytes());
    let apt = world.dir.path().join("apt");
    fs_err::write(apt.join("sources.list"), format!("deb mirror+{} sid main\n", world.server.url("/list"))).unwrap();
    let fetcher = Fetcher::new(Options { apt_dir: apt, ..options(world.dir.path()) });
    assert_eq!(fetcher.fetch(&[debian], &()).await.unwrap().bytes, 1_200_000);
}

#[tokio::test]
async fn a_local_file_is_copied_and_remembered() {
    let world = World::new();
    let path = world.dir.path().join("mine.tar.xz");
    fs_err::write(&path, &world.content).unwrap();
    let mut mine = world.spec();
    mine.from = Origin::Local(path.clone());
    mine.pin = Pin::AsFound;
    let candidates = [mine, world.spec()];
    assert_eq!(world.fetcher.cached(&candidates).unwrap(), None);
    let fetched = world.fetcher.fetch(&candidates, &()).await.unwrap();
    assert_eq!((fetched.candidate, fetched.from_cache), (0, false));
    assert!(world.fetcher.cached(&candidates).unwrap().is_some_and(|found| found.digest == fetched.digest));
    fs_err::write(&path, b"edited").unwrap();
    assert_eq!(world.fetcher.cached(&candidates).unwrap(), None);
    let edited = world.fetcher.fetch(&candidates, &()).await.unwrap();
    assert_eq!(edited.digest, format!("sha256:{}", Sha256::of(b"edited")));
    fs_err::remove_file(&path).unwrap();
    assert!(matches!(world.fetcher.fetch(&candidates, &()).await, Err(Error::Io(_))));
}

#[tokio::test]
async fn a_dead_mirror_does_not_hold_up_the_run() {
    let world = World::new();
    let began = Instant::now();
    let nowhere = spec("https://no-such-host.invalid/a.tar.xz".to_owned(), &world.content);
    let fetched = world.fetcher.fetch(&[nowhere, world.spec()], &world.observed).await.unwrap();
    assert_eq!(fetched.candidate, 1);
    assert!(began.elapsed() < Duration::from_secs(20));
}

#[tokio::test]
async fn a_server_that_sends_a_byte_now_and_then_is_given_up() {
    use std::io::{Read as _, Write as _};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/a.tar.xz", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\nConnection: close\r\n\r\n";
            let mut open = stream.write_all(head).is_ok();
            while open {
                std::thread::sleep(Duration::from_millis(20));
                open = stream.write_all(b"x").and_then(|()| stream.flush()).is_ok();
            }
        }
    });
    let dir = tempfile::tempdir().unwrap();
    let fetcher = Fetcher::new(Options { retries: 1, ..options(dir.path()) });
    let began = Instant::now();
    let error = fetcher.fetch(&[spec(url, b"never")], &()).await.unwrap_err();
    assert!(error.to_string().contains("sent only"), "{error}");
    assert!(began.elapsed() < Duration::from_secs(20));
}

// Of a source with one candidate.
fn cause(error: Error) -> Error {
    match error {
        Error::Exhausted { mut failures } => failures.remove(0).error,
        error => error,
    }
}

#[tokio::test]
async fn a_body_without_an_end_is_given_up_at_what_the_recipe_makes_possible() {
    let world = World::new();
    let limited = SourceSpec { limit: Some(3 << 20), ..world.spec() };
    world.server.answers("/a.tar.xz", [Answer::Endless]);
    let error = world.fetcher.fetch(std::slice::from_ref(&limited), &world.observed).await.unwrap_err();
    assert!(matches!(cause(error), Error::Endless { limit: 3_145_728, .. }));
    // The received part is neither kept nor continued.
    let kept = fs_err::read_dir(world.dir.path().join("partial")).unwrap();
    let kept: u64 = kept.map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
    assert!(kept < 1024, "{kept}");
    world.fetcher.fetch(&[limited], &world.observed).await.unwrap();
    assert_eq!(world.blob(), world.content);
    // A length beyond it is enough.
    let world = World::new();
    let small = SourceSpec { limit: Some(1000), ..world.spec() };
    let error = world.fetcher.fetch(&[small], &world.observed).await.unwrap_err();
    assert!(matches!(cause(error), Error::Endless { limit: 1000, .. }));
}

#[tokio::test]
async fn a_server_that_sends_byte_by_byte_is_given_up() {
    let mut world = World::new();
    let options = Options {
        stall: Duration::from_millis(300),
        slowest: 10_000,
        retries: 1,
        backoff: Duration::from_millis(1),
        ..Options::new(world.dir.path().to_owned())
    };
    world.fetcher = Fetcher::new(options);
    world.server.answers("/a.tar.xz", [Answer::Drip, Answer::Drip]);
    let began = std::time::Instant::now();
    let error = world.fetch().await.unwrap_err();
    assert!(matches!(cause(error), Error::Slow { .. }));
    assert!(began.elapsed() < Duration::from_secs(20));
    // The download continues after the received part.
    world.fetch().await.unwrap();
    assert_eq!(world.blob(), world.content);
}
