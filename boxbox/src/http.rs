//! Requests to the API of a running server, for the commands that ask one.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use boxbox_schemas::text::plain;
use serde::Deserialize;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::cli::secret;

/// How long the API may take to answer: it waits for its stores and its log.
const PATIENCE: Duration = Duration::from_secs(30);
/// Most bytes that are read of an answer.
const ANSWER_MAX_BYTES: u64 = 64 << 20;

/// Where the API is, and how it knows who asks.
#[derive(Clone, Debug)]
pub struct Api {
    /// Where the API answers, `HOST:PORT`.
    pub address: String,
    /// File with a grant; `-` is standard input.
    pub grant_file: Option<PathBuf>,
}

/// What an API says when it refuses.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Problem {
    title: String,
    detail: String,
}

impl Api {
    /// POST a document.
    pub async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.done("POST", path, "application/json", body.to_string().as_bytes()).await
    }

    /// The document that a request is answered.
    ///
    /// # Errors
    /// If the API does not answer, or refuses.
    pub async fn done(&self, method: &str, path: &str, kind: &str, body: &[u8]) -> anyhow::Result<Value> {
        let (status, text) = self.ask(method, path, kind, body).await?;
        if (200..300).contains(&status) {
            return serde_json::from_str(&text).with_context(|| format!("the API at {} answers no JSON", self.address));
        }
        bail!("{}", self.refusal(status, &text))
    }

    /// A refusal, for people.
    pub fn refusal(&self, status: u16, body: &str) -> String {
        let problem: Problem = serde_json::from_str(body).unwrap_or_default();
        // It may repeat what somebody wrote.
        let (title, detail) = (plain(&problem.title), plain(&problem.detail));
        format!("the API at {} refuses (HTTP {status}): {title} {detail}", self.address)
    }

    /// Status and body of the answer to a request.
    ///
    /// # Errors
    /// If the API does not answer in time.
    pub async fn ask(&self, method: &str, path: &str, kind: &str, body: &[u8]) -> anyhow::Result<(u16, String)> {
        let grant = self.grant_file.as_deref().map(grant_of).transpose()?;
        // What browsers cannot send from other pages stands for a grant on this machine.
        let access = grant.map_or_else(|| "X-Boxbox: 1".to_owned(), |grant| format!("Authorization: Bearer {grant}"));
        let asked = tokio::time::timeout(PATIENCE, exchange(&self.address, (method, path), &access, (kind, body))).await;
        let answer = asked.with_context(|| format!("the API at {} has not answered within {PATIENCE:?}", self.address))??;
        let (status, body) =
            parse(&answer).with_context(|| format!("{} does not answer as an API of boxbox: give its address with --api", self.address))?;
        Ok((status, body.to_owned()))
    }
}

/// The grant in a file: its only line.
fn grant_of(file: &Path) -> anyhow::Result<String> {
    let text = secret::read_text(file)?;
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let (Some(grant), None) = (lines.next(), lines.next()) else { bail!("the file with the grant must have one line, and that line is the grant") };
    // It becomes part of a header.
    ensure!(grant.bytes().all(|b| b.is_ascii_graphic()), "the file with the grant holds no grant: give what `boxbox grant create --manage` printed");
    Ok(grant.to_owned())
}

async fn exchange(api: &str, (method, path): (&str, &str), access: &str, (kind, body): (&str, &[u8])) -> anyhow::Result<String> {
    let to = api.trim_end_matches('/');
    let to = to.strip_prefix("http://").unwrap_or(to);
    ensure!(!to.starts_with("https://"), "this command speaks plain HTTP: give the address of the API itself, HOST:PORT, not of a proxy with TLS");
    let mut stream =
        TcpStream::connect(to).await.with_context(|| format!("cannot reach an API at {to}: is the server running, and is --api its address?"))?;
    let content = if body.is_empty() { String::new() } else { format!("Content-Type: {kind}\r\n") };
    let length = body.len();
    let head = format!("{method} {path} HTTP/1.1\r\nHost: {to}\r\n{access}\r\n{content}Content-Length: {length}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.with_context(|| format!("cannot ask the API at {to}"))?;
    // A server that refuses by the head may close before it has read the body: its answer says why.
    let sent = stream.write_all(body).await;
    let mut answer = vec![];
    let read = stream.take(ANSWER_MAX_BYTES).read_to_end(&mut answer).await;
    if answer.is_empty() {
        sent.and(read.map(drop)).with_context(|| format!("cannot read the answer of the API at {to}"))?;
    }
    String::from_utf8(answer).with_context(|| format!("the API at {to} answers no text"))
}

/// Status and body of an answer.
fn parse(answer: &str) -> Option<(u16, &str)> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.1 ")?.split(' ').next()?.parse().ok()?;
    Some((status, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_and_others_are_none() {
        let answer = "HTTP/1.1 409 Conflict\r\ncontent-type: application/problem+json\r\n\r\n{\"title\":\"a\",\"detail\":\"b\"}";
        let (status, body) = parse(answer).unwrap();
        let problem: Problem = serde_json::from_str(body).unwrap();
        assert_eq!((status, problem.title.as_str(), problem.detail.as_str()), (409, "a", "b"));
        for other in ["", "SSH-2.0-OpenSSH\r\n", "HTTP/1.1 x\r\n\r\n", "\u{15}\u{3}"] {
            assert_eq!(parse(other), None, "{other:?}");
        }
    }
}
