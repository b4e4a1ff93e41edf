//! Two HTTP requests by hand: the proof that a ClickHouse serves its database to its user, without linking a client into xtask.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use anyhow::{Result, ensure};

/// A server that is ready answers within milliseconds; a loaded machine may take longer. The caller asks again anyway.
const PATIENCE: Duration = Duration::from_secs(2);

/// Far above any answer to these requests, far below what another program could make this process read.
const MAX_ANSWER_BYTES: u64 = 64 * 1024;

/// True if the server at a loopback port is up and has the database; an error if it does not know the user: then it is another one.
pub(super) fn is_ready(port: u16, user: &str, password: &str, database: &str) -> Result<bool> {
    let Some((200, ping)) = get(port, "/ping", "") else {
        return Ok(false);
    };
    ensure!(ping == "Ok.\n", "port {port} answers, but not as a ClickHouse: another program runs there");
    let known = format!("X-ClickHouse-User: {user}\r\nX-ClickHouse-Key: {password}\r\n");
    match get(port, &format!("/?query=EXISTS%20DATABASE%20{database}"), &known) {
        Some((200, exists)) => Ok(exists.trim() == "1"),
        Some((status, words)) => {
            ensure!(status != 403, "port {port} answers as a ClickHouse that does not know this stack's user: another stack runs there");
            ensure!(!(400..500).contains(&status), "ClickHouse at port {port} refuses: {}", words.trim());
            Ok(false)
        }
        None => Ok(false),
    }
}

/// Status and body of an answer; `None` if no HTTP server answers there.
fn get(port: u16, path: &str, headers: &str) -> Option<(u16, String)> {
    let mut socket = TcpStream::connect_timeout(&(Ipv4Addr::LOCALHOST, port).into(), PATIENCE).ok()?;
    socket.set_read_timeout(Some(PATIENCE)).ok()?;
    socket.set_write_timeout(Some(PATIENCE)).ok()?;
    // Version 1.0: the end of the connection is the end of the answer. One write: a server may answer and close once it
    // has read the first packet, and what is written afterwards would reset the connection and lose the answer.
    socket.write_all(format!("GET {path} HTTP/1.0\r\n{headers}\r\n").as_bytes()).ok()?;
    let mut answer = Vec::new();
    socket.take(MAX_ANSWER_BYTES).read_to_end(&mut answer).ok()?;
    parse(&String::from_utf8_lossy(&answer))
}

fn parse(answer: &str) -> Option<(u16, String)> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
    Some((status, body.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_a_status_and_a_body() {
        assert_eq!(parse("HTTP/1.0 200 OK\r\nA: b\r\n\r\nOk.\n"), Some((200, "Ok.\n".into())));
        assert_eq!(parse("HTTP/1.1 403 Forbidden\r\n\r\n"), Some((403, String::new())));
        assert_eq!(parse("R\0\0\0"), None);
        assert_eq!(parse("HTTP/1.0 200 OK\r\n"), None);
    }

    #[test]
    fn nobody_is_not_ready_and_somebody_else_is_an_error() {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = std::thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            // The whole request: closing with bytes unread would reset the connection.
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                socket.read_exact(&mut byte).unwrap();
                request.extend(byte);
            }
            socket.write_all(b"HTTP/1.0 200 OK\r\n\r\nhello").unwrap();
        });
        assert!(is_ready(port, "u", "p", "d").unwrap_err().to_string().contains("another program"));
        server.join().unwrap();
        assert!(!is_ready(port, "u", "p", "d").unwrap());
    }
}
