//! `boxbox session exclude` and `reinstate`: ask an API, which writes the record into its log (E9e, `session.exclude`).

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use boxbox_schemas::event::Judging;
use boxbox_schemas::{DriverId, RunId, SessionId};
use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::cli::secret;
use crate::show::report;

/// How long the API may take to answer: it waits for its log.
const PATIENCE: Duration = Duration::from_secs(30);
/// Most bytes that are read of an answer.
const ANSWER_MAX_BYTES: u64 = 1 << 16;

/// Whom to exclude from a session, or to reinstate.
#[derive(Clone, Debug)]
pub struct JudgeOptions {
    /// Which of both.
    pub code: Judging,
    /// Of which session.
    pub session: SessionId,
    /// Whom.
    pub driver: DriverId,
    /// One run only.
    pub run: Option<RunId>,
    /// Where the API answers, `HOST:PORT`.
    pub api: String,
    /// File with a grant; `-` is standard input.
    pub grant_file: Option<PathBuf>,
}

/// `session exclude`, `session reinstate`
pub async fn judge(options: &JudgeOptions) -> anyhow::Result<()> {
    let JudgeOptions { code, session, driver, run, api, grant_file } = options;
    let grant = grant_file.as_deref().map(grant_of).transpose()?;
    let what = if *code == Judging::EXCLUDED { "exclude" } else { "reinstate" };
    let run_param = run.map(|run| format!("&run={run}")).unwrap_or_default();
    // An id holds nothing that a URL reads otherwise.
    let path = format!("/api/v1/sessions/{session}/{what}?driver={driver}{run_param}");
    // What browsers cannot send from other pages stands for a grant on this machine.
    let access = grant.map_or_else(|| "X-Boxbox: 1".to_owned(), |grant| format!("Authorization: Bearer {grant}"));
    let asked = tokio::time::timeout(PATIENCE, post(api, &path, &access)).await;
    let answer = asked.with_context(|| format!("the API at {api} has not answered within {PATIENCE:?}"))??;
    let (status, body) = parse(&answer).with_context(|| format!("{api} does not answer as an API of boxbox: give its address with --api"))?;
    if status == 202 {
        let of = run.map_or_else(String::new, |run| format!(", run {run}"));
        report::line(&format!("{driver}{of} is {} session {session}: the results follow when the processor has read it", done(*code)));
        return Ok(());
    }
    let problem: Problem = serde_json::from_str(body).unwrap_or_default();
    anyhow::bail!("the API at {api} refuses (HTTP {status}): {} {}", problem.title, problem.detail)
}

fn done(code: Judging) -> &'static str {
    if code == Judging::EXCLUDED { "excluded from" } else { "reinstated in" }
}

/// What an API says when it refuses.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Problem {
    title: String,
    detail: String,
}

/// The grant in a file: its only line.
fn grant_of(file: &Path) -> anyhow::Result<String> {
    let text = secret::read_text(file)?;
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let (Some(grant), None) = (lines.next(), lines.next()) else {
        anyhow::bail!("the file with the grant must have one line, and that line is the grant")
    };
    // It becomes part of a header.
    ensure!(grant.bytes().all(|b| b.is_ascii_graphic()), "the file with the grant holds no grant: give what `boxbox grant create --manage` printed");
    Ok(grant.to_owned())
}

async fn post(api: &str, path: &str, access: &str) -> anyhow::Result<String> {
    let to = api.trim_end_matches('/');
    let to = to.strip_prefix("http://").unwrap_or(to);
    ensure!(!to.starts_with("https://"), "this command speaks plain HTTP: give the address of the API itself, HOST:PORT, not of a proxy with TLS");
    let mut stream =
        TcpStream::connect(to).await.with_context(|| format!("cannot reach an API at {to}: is the server running, and is --api its address?"))?;
    let request = format!("POST {path} HTTP/1.1\r\nHost: {to}\r\n{access}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.with_context(|| format!("cannot ask the API at {to}"))?;
    let mut answer = String::new();
    stream.take(ANSWER_MAX_BYTES).read_to_string(&mut answer).await.with_context(|| format!("cannot read the answer of the API at {to}"))?;
    Ok(answer)
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
