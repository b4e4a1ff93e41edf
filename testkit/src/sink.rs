//! A server that takes everything that is posted to it, for tests of what a program sends elsewhere.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

/// What was posted: head and body of each request.
type Taken = Arc<Mutex<Vec<(String, String)>>>;

/// A server on loopback. Its threads end with the process.
pub struct Sink {
    address: SocketAddr,
    taken: Taken,
}

impl Sink {
    /// Answers 200.
    pub fn start() -> Self {
        Self::answering("200 OK")
    }

    /// Answers 500.
    pub fn refusing() -> Self {
        Self::answering("500 Internal Server Error")
    }

    fn answering(status: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a machine for tests has a free port");
        let (address, taken) = (listener.local_addr().expect("a bound socket has an address"), Taken::default());
        let sink = Self { address, taken: taken.clone() };
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let taken = taken.clone();
                std::thread::spawn(move || while one(&stream, status, &taken).is_some() {});
            }
        });
        sink
    }

    /// Its address, with this path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The bodies so far.
    pub fn bodies(&self) -> Vec<String> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).iter().map(|(_, body)| body.clone()).collect()
    }

    /// The heads so far.
    pub fn heads(&self) -> Vec<String> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).iter().map(|(head, _)| head.clone()).collect()
    }
}

/// Takes one request; `None` at the end of the connection.
fn one(stream: &TcpStream, status: &str, taken: &Taken) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line == "\r\n" {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        head += &line;
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    taken.lock().unwrap_or_else(PoisonError::into_inner).push((head, String::from_utf8(body).ok()?));
    (&*stream).write_all(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").as_bytes()).ok()
}
