//! One Kafka metadata request by hand: the proof that a broker serves, without linking a client into xtask.
//!
//! Metadata version 4 (request key 3), the newest before the flexible encoding; Kafka 4 still answers it.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

/// A broker that serves answers within milliseconds; a loaded machine may take longer. The caller asks again anyway.
const PATIENCE: Duration = Duration::from_secs(2);

/// Far above any answer of a test cluster, far below what another program could make this process allocate.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// The broker's description of its cluster.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Metadata {
    pub(super) cluster: String,
    /// The ids of the brokers that are up.
    pub(super) nodes: Vec<i32>,
}

/// Asks the broker at a loopback port; `None` if no Kafka broker answers there.
pub(super) fn metadata(port: u16) -> Option<Metadata> {
    let mut socket = TcpStream::connect_timeout(&(Ipv4Addr::LOCALHOST, port).into(), PATIENCE).ok()?;
    socket.set_read_timeout(Some(PATIENCE)).ok()?;
    socket.set_write_timeout(Some(PATIENCE)).ok()?;
    socket.write_all(&request()).ok()?;
    let mut length = [0; 4];
    socket.read_exact(&mut length).ok()?;
    let length = usize::try_from(i32::from_be_bytes(length)).ok().filter(|length| *length <= MAX_ANSWER_BYTES)?;
    let mut answer = vec![0; length];
    socket.read_exact(&mut answer).ok()?;
    parse(&answer)
}

/// Length, Metadata version 4, correlation id 1, client id "xtask", no topics, and none to be made.
fn request() -> [u8; 24] {
    *b"\0\0\0\x14\0\x03\0\x04\0\0\0\x01\0\x05xtask\0\0\0\0\0"
}

fn parse(answer: &[u8]) -> Option<Metadata> {
    let mut rest = answer;
    int(&mut rest)?; // correlation id
    int(&mut rest)?; // throttle time
    let brokers = usize::try_from(int(&mut rest)?).ok()?;
    let mut nodes = Vec::new();
    for _ in 0..brokers {
        nodes.push(int(&mut rest)?);
        string(&mut rest)?; // host
        int(&mut rest)?; // port
        string(&mut rest)?; // rack
    }
    let cluster = string(&mut rest)?;
    Some(Metadata { cluster, nodes })
}

fn int(rest: &mut &[u8]) -> Option<i32> {
    let (head, tail) = rest.split_first_chunk()?;
    *rest = tail;
    Some(i32::from_be_bytes(*head))
}

/// A string, or a null one as the empty one.
fn string(rest: &mut &[u8]) -> Option<String> {
    let (head, tail) = rest.split_first_chunk()?;
    let length = usize::try_from(i16::from_be_bytes(*head)).unwrap_or(0);
    let (text, tail) = tail.split_at_checked(length)?;
    *rest = tail;
    Some(String::from_utf8_lossy(text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Correlation 1, no throttling, one broker (1, 127.0.0.1:9092, no rack), cluster "abc", controller 1, no topics.
    const ANSWER: &[u8] = b"\0\0\0\x01\0\0\0\0\0\0\0\x01\0\0\0\x01\0\x09127.0.0.1\0\0\x23\x84\xff\xff\0\x03abc\0\0\0\x01\0\0\0\0";

    #[test]
    fn reads_an_answer_and_no_part_of_one() {
        assert_eq!(parse(ANSWER), Some(Metadata { cluster: "abc".into(), nodes: vec![1] }));
        let cluster_ends = ANSWER.len() - 8;
        assert!((0..cluster_ends).all(|end| parse(&ANSWER[..end]).is_none()));
        assert_eq!(parse(&[0xff; 64]), None);
    }

    #[test]
    fn what_is_no_kafka_is_no_broker() {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = std::thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        });
        assert_eq!(metadata(port), None);
        server.join().unwrap();
        assert_eq!(metadata(port), None, "and nobody is none");
    }
}
