//! Real servers that tests start: they end with the test.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

// A server program that ends with its test.
pub struct Daemon(pub Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

pub fn wait_for(port: u16) {
    for _ in 0..600 {
        if TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("nothing listens on {port}");
}

/// moto's S3 server, with a bucket `bucket`.
pub struct Moto {
    port: u16,
    _daemon: Daemon,
}

impl Moto {
    /// Starts it; `None`, with a message, if it is not installed (PyPI: `pip install 'moto[server]'`).
    pub fn start() -> Option<Self> {
        let port = free_port();
        let mut command = Command::new("moto_server");
        command.args(["-H", "127.0.0.1", "-p", &port.to_string()]).stdout(Stdio::null()).stderr(Stdio::null());
        let Ok(child) = command.spawn() else {
            assert!(
                std::env::var_os("CROSSMILL_TEST_ALL").is_none(),
                "moto_server is not installed: ci/test installs it"
            );
            eprintln!("skipped: moto_server is not installed");
            return None;
        };
        let server = Self { port, _daemon: Daemon(child) };
        wait_for(port);
        assert_eq!(server.request("PUT /bucket"), "200");
        Some(server)
    }

    /// Returns the URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Sends a request without a body; returns the status.
    pub fn request(&self, line: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let host = format!("127.0.0.1:{}", self.port);
        let fields = "x-amz-acl: public-read\r\nContent-Length: 0\r\nConnection: close";
        write!(stream, "{line} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap_or_default();
        answer.split(' ').nth(1).unwrap_or("").to_owned()
    }

    /// Points a command at the server, with `secret` as the secret key.
    pub fn configure(&self, command: &mut Command, secret: &str) {
        command.env("AWS_ENDPOINT_URL", self.url("")).env("AWS_REGION", "us-east-1");
        command.env("AWS_ACCESS_KEY_ID", "key").env("AWS_SECRET_ACCESS_KEY", secret);
    }
}
