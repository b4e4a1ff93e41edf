//! The first step of a PostgreSQL login by hand: the proof that a server takes logins, without linking a client into xtask.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use anyhow::{Result, bail};

/// A server that is ready answers within milliseconds; a loaded machine may take longer. The caller asks again anyway.
const PATIENCE: Duration = Duration::from_secs(2);

/// Protocol 3.0.
const PROTOCOL: u32 = 3 << 16;

/// True if the server at a loopback port asks `user` for a password. A server that starts up or shuts down answers otherwise;
/// an error means that the other program is not a PostgreSQL.
pub(super) fn is_ready(port: u16, user: &str, database: &str) -> Result<bool> {
    match ask(port, user, database) {
        Err(_) | Ok(b'E') => Ok(false),
        Ok(b'R') => Ok(true),
        Ok(other) => bail!("port {port} answers, but not as a PostgreSQL (with {other:#04x}): another program runs there"),
    }
}

/// The first byte of the answer: the kind of the server's message.
fn ask(port: u16, user: &str, database: &str) -> std::io::Result<u8> {
    let mut socket = TcpStream::connect_timeout(&(Ipv4Addr::LOCALHOST, port).into(), PATIENCE)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.set_write_timeout(Some(PATIENCE))?;
    socket.write_all(&startup(user, database))?;
    // Read all of it: unread bytes at the end of the connection become an error in the server's log.
    let mut answer = [0; 1024];
    match socket.read(&mut answer)? {
        0 => Err(std::io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(answer[0]),
    }
}

fn startup(user: &str, database: &str) -> Vec<u8> {
    let body = format!("user\0{user}\0database\0{database}\0\0");
    // Two short names: the length fits.
    let length = u32::try_from(body.len() + 8).unwrap_or(u32::MAX);
    [&length.to_be_bytes(), &PROTOCOL.to_be_bytes(), body.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server_saying(words: &'static [u8]) -> u16 {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            let mut first = [0; 4];
            socket.read_exact(&mut first).unwrap();
            let mut rest = vec![0; usize::try_from(u32::from_be_bytes(first)).unwrap() - 4];
            socket.read_exact(&mut rest).unwrap();
            socket.write_all(words).unwrap();
        });
        port
    }

    #[test]
    fn only_a_question_for_proof_is_ready() {
        assert!(is_ready(server_saying(b"R\0\0\0\x17\0\0\0\x0a"), "u", "d").unwrap());
        assert!(!is_ready(server_saying(b"E\0\0\0\x05\0"), "u", "d").unwrap());
        assert!(!is_ready(server_saying(b""), "u", "d").unwrap());
        assert!(is_ready(server_saying(b"HTTP/1.1 400"), "u", "d").unwrap_err().to_string().contains("another program"));
    }

    #[test]
    fn a_startup_packet_says_its_own_length() {
        let packet = startup("boxbox", "db");
        assert_eq!(packet[..8], [0, 0, 0, packet.len() as u8, 0, 3, 0, 0]);
        assert!(packet.ends_with(b"database\0db\0\0"));
    }
}
