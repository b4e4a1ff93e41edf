//! [`Webhook`]: receives what Alertmanager delivers.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use serde_json::Value;

/// An alert that was delivered.
#[derive(Clone, Debug)]
pub(crate) struct Delivered {
    /// When.
    pub(crate) at: Instant,
    /// `pager`, `tickets` or `deadman`.
    pub(crate) receiver: String,
    /// Its name.
    pub(crate) alert: String,
    /// Whether it fires, or has resolved.
    pub(crate) fires: bool,
    /// The runbook that it names.
    pub(crate) runbook: String,
}

/// A receiver of webhooks, on a free port, for as long as the process lives.
pub(crate) struct Webhook {
    /// Where it listens, `http://127.0.0.1:port/`.
    pub(crate) url: String,
    delivered: Arc<Mutex<Vec<Delivered>>>,
}

impl Webhook {
    /// Listens.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let delivered: Arc<Mutex<Vec<Delivered>>> = Arc::default();
        let keep = delivered.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let keep = keep.clone();
                std::thread::spawn(move || drop(take(&stream, &keep)));
            }
        });
        Self { url, delivered }
    }

    /// Everything that was delivered at `since` or later.
    pub(crate) fn since(&self, since: Instant) -> Vec<Delivered> {
        self.delivered.lock().unwrap().iter().filter(|delivered| delivered.at >= since).cloned().collect()
    }
}

/// Requests of one connection: the path names the receiver, the body has alerts.
fn take(stream: &TcpStream, delivered: &Mutex<Vec<Delivered>>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let (mut first, mut length) = (String::new(), 0);
        if reader.read_line(&mut first)? == 0 {
            return Ok(());
        }
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            if line.trim().is_empty() {
                break;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        let receiver = first.split('/').nth(1).unwrap_or_default().split(' ').next().unwrap_or_default().to_owned();
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let alerts = body["alerts"].as_array().cloned().unwrap_or_default().into_iter().map(|alert| Delivered {
            at: Instant::now(),
            receiver: receiver.clone(),
            alert: word(&alert["labels"]["alertname"]),
            fires: alert["status"] == "firing",
            runbook: word(&alert["annotations"]["runbook_url"]),
        });
        delivered.lock().unwrap().extend(alerts);
        (&*stream).write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")?;
    }
}
