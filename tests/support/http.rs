//! An HTTP server on the loopback that misbehaves as configured and records its requests.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The answer to a request.
#[derive(Debug, Clone)]
pub enum Answer {
    /// As a good server does: ranges, `ETag`, `Content-Length`.
    Good,
    /// Good, but the connection is closed after so many bytes of the body.
    Truncate(usize),
    /// Good, but with one byte changed.
    Corrupt,
    /// Good, but after so many bytes of the body nothing more comes.
    Stall(usize),
    /// Everything from the beginning, whatever range was asked for.
    IgnoreRange,
    /// Without `ETag` and `Content-Length`: the end of the connection is the end.
    Bare,
    /// A status with further header lines and a short body.
    Status(u16, Vec<(&'static str, String)>),
    /// Another place.
    Redirect(String),
    /// Zeros without an end, and without a length.
    Endless,
    /// Single bytes, a hundredth of a second apart.
    Drip,
    /// The connection is closed without a word.
    HangUp,
}

/// A request and its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub path: String,
    pub range: Option<String>,
    pub if_range: Option<String>,
    /// The status and the bytes of the body that were sent.
    pub status: u16,
    pub sent: usize,
}

#[derive(Default)]
struct State {
    files: Mutex<HashMap<String, (Vec<u8>, String)>>,
    answers: Mutex<HashMap<String, Vec<Answer>>>,
    seen: Mutex<Vec<Seen>>,
    changes: Mutex<Vec<(String, String, u16)>>,
    authorized: Mutex<Vec<(String, String)>>,
    stop: AtomicBool,
}

/// Serves until it is dropped.
pub struct Server {
    pub base: String,
    state: Arc<State>,
}

impl Server {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State::default());
        let shared = state.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if shared.stop.load(Ordering::Relaxed) {
                    return;
                }
                let shared = shared.clone();
                // A client that goes away is no failure of the server.
                std::thread::spawn(move || drop(serve(stream, &shared)));
            }
        });
        Self { base: format!("http://{address}"), state }
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// Puts a file there, or another version of it.
    pub fn file(&self, path: &str, content: &[u8]) {
        self.state.files.lock().unwrap().insert(path.to_owned(), tagged(content.to_vec()));
    }

    /// The answers to the next requests for `path`; later ones are answered without faults.
    pub fn answers(&self, path: &str, answers: impl IntoIterator<Item = Answer>) {
        self.state.answers.lock().unwrap().insert(path.to_owned(), answers.into_iter().collect());
    }

    /// Uploads and removals so far: method, path, status.
    pub fn changes(&self) -> Vec<(String, String, u16)> {
        self.state.changes.lock().unwrap().clone()
    }

    /// The paths of all files, in order.
    pub fn paths(&self) -> Vec<String> {
        let mut paths: Vec<String> = self.state.files.lock().unwrap().keys().cloned().collect();
        paths.sort();
        paths
    }

    /// The `Authorization` headers so far, with their paths.
    pub fn authorized(&self) -> Vec<(String, String)> {
        self.state.authorized.lock().unwrap().clone()
    }

    /// Requests so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.state.seen.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.state.stop.store(true, Ordering::Relaxed);
        // Wakes the thread that accepts.
        drop(TcpStream::connect(self.base.trim_start_matches("http://")));
    }
}

// PUT and DELETE with the conditions of RFC 9110 13.1.
fn changed(
    state: &State,
    method: &str,
    path: &str,
    body: Vec<u8>,
    headers: &HashMap<String, String>,
    file: Option<&(Vec<u8>, String)>,
) -> u16 {
    let is_new = headers.get("if-none-match").is_none_or(|asked| asked != "*" || file.is_none());
    let is_same = headers.get("if-match").is_none_or(|asked| file.is_some_and(|(_, tag)| tag == asked));
    if !is_new || !is_same {
        return 412;
    }
    if method == "DELETE" {
        return if state.files.lock().unwrap().remove(path).is_some() { 204 } else { 404 };
    }
    state.files.lock().unwrap().insert(path.to_owned(), tagged(body));
    201
}

fn tagged(content: Vec<u8>) -> (Vec<u8>, String) {
    let hash = content.iter().fold(7u64, |hash, byte| hash.wrapping_mul(31) + u64::from(*byte));
    (content, format!("\"{hash:016x}\""))
}

fn serve(mut stream: TcpStream, state: &State) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let method = line.split(' ').next().unwrap_or("").to_owned();
    let path = line.split(' ').nth(1).unwrap_or("").to_owned();
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':') {
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
    }
    if let Some(authorization) = headers.get("authorization") {
        state.authorized.lock().unwrap().push((path.clone(), authorization.clone()));
    }
    let mut body = vec![0; headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0)];
    reader.read_exact(&mut body)?;
    let answer = match state.answers.lock().unwrap().get_mut(&path) {
        Some(answers) if !answers.is_empty() => answers.remove(0),
        _ => Answer::Good,
    };
    let file = state.files.lock().unwrap().get(&path).cloned();
    let seen = |status, sent| {
        let (range, if_range) = (headers.get("range").cloned(), headers.get("if-range").cloned());
        state.seen.lock().unwrap().push(Seen { path: path.clone(), range, if_range, status, sent });
    };
    if method == "PUT" || method == "DELETE" {
        let status = match &answer {
            Answer::Status(status, _) => *status,
            _ => changed(state, &method, &path, body, &headers, file.as_ref()),
        };
        state.changes.lock().unwrap().push((method, path.clone(), status));
        return write!(stream, "HTTP/1.1 {status} So\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    }
    match (&answer, &file) {
        (Answer::HangUp, _) => {
            seen(0, 0);
            return Ok(());
        }
        (Answer::Status(status, extra), _) => {
            seen(*status, 0);
            let extra: String = extra.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
            return write!(stream, "HTTP/1.1 {status} No\r\n{extra}Content-Length: 0\r\nConnection: close\r\n\r\n");
        }
        (Answer::Redirect(to), _) => {
            seen(302, 0);
            return write!(
                stream,
                "HTTP/1.1 302 There\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            );
        }
        (_, None) => {
            seen(404, 0);
            return write!(stream, "HTTP/1.1 404 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }
        _ => {}
    }
    let (mut body, tag) = file.unwrap_or_default();
    if matches!(answer, Answer::Corrupt) {
        let middle = body.len() / 2;
        body[middle] ^= 1;
    }
    let total = body.len();
    let wanted = headers.get("range").and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
    let same = headers.get("if-range").is_none_or(|asked| *asked == tag);
    let start: usize = match wanted {
        Some(start) if same && !matches!(answer, Answer::IgnoreRange | Answer::Bare) => start,
        _ => 0,
    };
    if start >= total && wanted.is_some() && start > 0 {
        seen(416, 0);
        return write!(
            stream,
            "HTTP/1.1 416 No\r\nContent-Range: bytes */{total}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
    }
    let rest = &body[start..];
    let status = if start > 0 { 206 } else { 200 };
    let mut head = format!("HTTP/1.1 {status} Yes\r\nConnection: close\r\n");
    if !matches!(answer, Answer::Bare) {
        head += &format!("Content-Length: {}\r\nETag: {tag}\r\nAccept-Ranges: bytes\r\n", rest.len());
    }
    if start > 0 {
        head += &format!("Content-Range: bytes {start}-{}/{total}\r\n", total - 1);
    }
    let sent = match answer {
        Answer::Truncate(count) | Answer::Stall(count) => count.min(rest.len()),
        _ => rest.len(),
    };
    seen(status, sent);
    match answer {
        Answer::Endless => {
            write!(stream, "HTTP/1.1 200 Yes\r\nConnection: close\r\n\r\n")?;
            while !state.stop.load(Ordering::Relaxed) {
                stream.write_all(&[0; 1 << 16])?;
            }
            return Ok(());
        }
        Answer::Drip => {
            write!(stream, "{head}\r\n")?;
            for byte in rest.iter().take_while(|_| !state.stop.load(Ordering::Relaxed)) {
                stream.write_all(&[*byte])?;
                std::thread::sleep(Duration::from_millis(10));
            }
            return Ok(());
        }
        _ => {}
    }
    write!(stream, "{head}\r\n")?;
    if method == "HEAD" {
        return Ok(());
    }
    stream.write_all(&rest[..sent])?;
    stream.flush()?;
    while matches!(answer, Answer::Stall(_)) && !state.stop.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}
