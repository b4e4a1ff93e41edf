//! Requests of the season: by REST alone.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common::Server;

/// A league of a server.
pub(crate) struct Rest<'a> {
    pub(crate) server: &'a Server,
    pub(crate) league: &'static str,
}

impl Rest<'_> {
    fn url(&self, path: &str) -> String {
        format!("{}/api/v1/leagues/{}{path}", self.server.api.trim_end_matches('/'), self.league)
    }

    /// Status, entity tag and document of an answer.
    pub(crate) fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> (u16, String, Value) {
        self.attempt(method, path, headers, body).unwrap()
    }

    /// The same of a server that may be gone before it has answered.
    ///
    /// # Errors
    /// There is no whole answer.
    pub(crate) fn attempt(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<(u16, String, Value), ureq::Error> {
        let url = self.url(path);
        let config = |request: ureq::RequestBuilder<ureq::typestate::WithBody>| {
            let request = request.config().http_status_as_error(false).timeout_global(Some(Duration::from_secs(60))).build();
            headers.iter().fold(request.header("X-Boxbox", "1"), |request, (name, value)| request.header(*name, *value))
        };
        let answer = match method {
            "POST" => config(ureq::post(url)).send(body),
            _ => {
                let request = ureq::get(url).config().http_status_as_error(false).timeout_global(Some(Duration::from_secs(60))).build();
                headers.iter().fold(request, |request, (name, value)| request.header(*name, *value)).call()
            }
        };
        let mut answer = answer?;
        let etag = answer.headers().get("etag").map(|tag| tag.to_str().unwrap().to_owned()).unwrap_or_default();
        let text = answer.body_mut().with_config().limit(64 << 20).read_to_string()?;
        Ok((answer.status().as_u16(), etag, serde_json::from_str(&text).unwrap_or(Value::Null)))
    }

    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Value {
        let (status, _, document) = self.ask("GET", path, &[], b"");
        assert_eq!(status, 200, "{path}: {document}");
        document
    }

    #[track_caller]
    pub(crate) fn post(&self, path: &str, body: &Value) -> Value {
        let (status, _, document) = self.ask("POST", path, &[("Content-Type", "application/json")], body.to_string().as_bytes());
        assert_eq!(status, 200, "{path} {body}: {document}");
        document
    }

    #[track_caller]
    pub(crate) fn file(&self, path: &str, body: &str) -> Value {
        let (status, _, document) = self.ask("POST", path, &[("Content-Type", "text/csv")], body.as_bytes());
        assert_eq!(status, 200, "{path}: {document}");
        document
    }

    /// Sends acts; the answer.
    #[track_caller]
    pub(crate) fn acts(&self, acts: &Value) -> Value {
        self.post("/acts", acts)
    }

    #[track_caller]
    pub(crate) fn publish(&self, scope: &Value, state: &str) -> Value {
        self.post("/publish", &json!({ "scope": scope, "state": state }))
    }

    /// The whole ledger.
    pub(crate) fn ledger(&self) -> Vec<Value> {
        let (mut all, mut after): (Vec<Value>, u64) = (vec![], 0);
        loop {
            let page = self.get(&format!("/ledger?after={after}&limit=500"));
            all.extend(page["acts"].as_array().unwrap().iter().cloned());
            match page["next"].as_u64() {
                Some(next) => after = next,
                None => return all,
            }
        }
    }

    /// How often a document is read in a second on eight connections that stay open. For people: no test depends on it.
    pub(crate) fn reads_a_second(&self, path: &str, within: Duration) -> f64 {
        let host = self.server.api.trim_end_matches('/').strip_prefix("http://").unwrap();
        let request = format!("GET /api/v1/leagues/{}{path} HTTP/1.1\r\nHost: {host}\r\n\r\n", self.league);
        let until = Instant::now() + within;
        let one = || {
            let mut stream = TcpStream::connect(host).unwrap();
            stream.set_nodelay(true).unwrap();
            let (mut reader, mut reads) = (BufReader::new(stream.try_clone().unwrap()), 0u32);
            while Instant::now() < until {
                stream.write_all(request.as_bytes()).unwrap();
                let (mut length, mut line) = (0, String::new());
                while reader.read_line(&mut line).unwrap() > 2 {
                    length = line.to_ascii_lowercase().strip_prefix("content-length: ").map_or(length, |of| of.trim().parse().unwrap());
                    line.clear();
                }
                reader.read_exact(&mut vec![0; length]).unwrap();
                reads += 1;
            }
            reads
        };
        let all: u32 =
            std::thread::scope(|scope| (0..8).map(|_| scope.spawn(one)).collect::<Vec<_>>().into_iter().map(|one| one.join().unwrap()).sum());
        f64::from(all) / within.as_secs_f64()
    }
}
