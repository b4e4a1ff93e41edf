//! [`Bodies`]: a request's body is read whole before the request takes a turn or the memory of an answer, so that a client
//! that sends slowly holds neither. The bytes that are read and not handled yet are counted by whose they are.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{Method, StatusCode};
use bytes::BytesMut;
use futures::StreamExt;
use tokio::time::Instant;

use crate::held::{Bounds, Held, Owed};
use crate::leagues::{ACTS_MAX_BYTES, ENTRIES_MAX_BYTES, FILE_MAX_BYTES};
use crate::metrics::ApiMetrics;
use crate::paths;
use crate::problem::Problem;
use crate::who::Who;

/// Bytes of bodies that are being read, or whose requests wait or are answered. One driver: the longest file, and some acts.
const BOUNDS: Bounds = Bounds { all: 40 << 20, one: 10 << 20, tenant: 20 << 20, unnamed: 20 << 20 };
/// Least bytes a second of a body: at a lower rate even one act would take minutes.
const LEAST_PER_SECOND: f64 = 4096.0;
/// How long a body may be late against that rate, because a mobile network stands still for a moment.
const GRACE: Duration = Duration::from_secs(4);

/// The longest body of a route; `None`: its requests have none.
pub(crate) fn most_bytes(method: &Method, route: &str) -> Option<usize> {
    if *method != Method::POST || !paths::takes_body(route) {
        return None;
    }
    Some(match route.rsplit('/').next() {
        Some("facts") => FILE_MAX_BYTES,
        Some("import") => ENTRIES_MAX_BYTES,
        _ => ACTS_MAX_BYTES,
    })
}

/// The bodies that are being read.
pub(crate) struct Bodies {
    held: Arc<Held>,
    grace: Duration,
    within: Duration,
}

impl Bodies {
    /// `within`: as [`Config::body_timeout`](crate::Config::body_timeout).
    pub(crate) fn new(within: Duration) -> Self {
        Self { held: Held::new(BOUNDS), grace: GRACE, within }
    }

    /// The same request with its whole body, of `most` bytes at most, which is counted until what is returned with it is dropped.
    pub(crate) async fn read(&self, who: &Who, request: Request, most: usize) -> Result<(Request, Owed), Refusal> {
        let (head, body) = request.into_parts();
        let mut owed = self.held.take(who, 0).ok_or(Refusal::NoRoom)?;
        let (mut pieces, mut whole, began) = (body.into_data_stream(), BytesMut::new(), Instant::now());
        loop {
            let allowed = self.grace + Duration::from_secs_f64(whole.len() as f64 / LEAST_PER_SECOND);
            let piece = tokio::time::timeout_at(began + allowed.min(self.within), pieces.next()).await.map_err(|_| Refusal::TooSlow)?;
            let Some(piece) = piece else { break };
            let piece = piece.map_err(|_| Refusal::CutOff)?;
            if whole.len() + piece.len() > most {
                return Err(Refusal::TooLarge(most));
            }
            if !owed.add(piece.len()) {
                return Err(Refusal::NoRoom);
            }
            // A copy: a piece of one byte may hold the whole buffer of its connection.
            whole.extend_from_slice(&piece);
        }
        Ok((Request::from_parts(head, Body::from(whole.freeze())), owed))
    }
}

/// Why a body is not read.
#[derive(Debug)]
pub(crate) enum Refusal {
    TooLarge(usize),
    TooSlow,
    CutOff,
    NoRoom,
}

impl Refusal {
    pub(crate) fn problem(self, metrics: &ApiMetrics) -> Problem {
        let (reason, problem) = match self {
            Refusal::TooLarge(most) => {
                let detail = format!("The body is larger than {} KiB: send less at once.", most >> 10);
                ("too_large", Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail))
            }
            Refusal::TooSlow => {
                let detail = "The body came too slowly: send it at once, or less of it.";
                ("too_slow", Problem::new(StatusCode::REQUEST_TIMEOUT, "body_too_slow", detail))
            }
            Refusal::CutOff => ("cut_off", Problem::bad_request("body_cut_off", "The body ended before its length: send all of it.")),
            Refusal::NoRoom => {
                let detail = "Too many bytes of bodies of yours, or of all, are waiting: let some requests end first.";
                ("no_room", Problem::too_many("too_many_bodies", detail))
            }
        };
        metrics.bodies_refused.with(reason).increment(1);
        // What is left of the body is not read.
        problem.with_header("connection", "close")
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use boxbox_schemas::{DriverId, TenantId};
    use boxbox_testkit::wait::PATIENCE;
    use bytes::Bytes;

    use super::*;

    fn who(driver: &str) -> Who {
        let holder = (TenantId::new("league").unwrap(), DriverId::new(driver).unwrap());
        Who { address: IpAddr::V4(Ipv4Addr::LOCALHOST), holder: Some(holder) }
    }

    fn request(bytes: usize) -> Request {
        Request::new(Body::from(vec![7; bytes]))
    }

    /// A body that sends a byte every `pause`.
    fn dripping(pause: Duration) -> Request {
        let pieces = futures::stream::unfold((), move |()| async move {
            tokio::time::sleep(pause).await;
            Some((Ok::<_, std::io::Error>(Bytes::from_static(b"x")), ()))
        });
        Request::new(Body::from_stream(pieces))
    }

    #[tokio::test]
    async fn what_is_held_of_one_leaves_room_for_others_and_is_free_again() {
        let bodies = Bodies::new(Duration::from_secs(60));
        let mut held = vec![];
        while let Ok(one) = bodies.read(&who("anna"), request(1 << 20), 1 << 20).await {
            held.push(one);
            assert!(held.len() <= 10);
        }
        assert_eq!(held.len(), 10, "the longest file has room");
        assert!(matches!(bodies.read(&who("anna"), request(1), 1).await, Err(Refusal::NoRoom)));
        assert!(bodies.read(&who("ben"), request(FILE_MAX_BYTES), FILE_MAX_BYTES).await.is_ok());
        held.clear();
        assert!(bodies.read(&who("anna"), request(FILE_MAX_BYTES), FILE_MAX_BYTES).await.is_ok());
        assert!(matches!(bodies.read(&who("anna"), request(101), 100).await, Err(Refusal::TooLarge(100))));
        // Of no declared length.
        let long = Body::from_stream(futures::stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from_static(&[0; 64]))));
        assert!(matches!(bodies.read(&who("anna"), Request::new(long), 100).await, Err(Refusal::TooLarge(100))));
    }

    /// `count` pieces of `bytes`, one every `pause`.
    fn steady(count: usize, bytes: usize, pause: Duration) -> Request {
        let pieces = futures::stream::unfold(0, move |n| async move {
            tokio::time::sleep(pause).await;
            (n < count).then(|| (Ok::<_, std::io::Error>(Bytes::from(vec![0; bytes])), n + 1))
        });
        Request::new(Body::from_stream(pieces))
    }

    #[tokio::test]
    async fn a_body_that_drips_is_refused_and_one_that_comes_steadily_is_read() {
        let bodies = Bodies { grace: Duration::from_millis(300), ..Bodies::new(Duration::from_secs(3_600)) };
        for pause in [Duration::from_millis(2), Duration::from_millis(100), Duration::from_secs(3_600)] {
            let read = tokio::time::timeout(PATIENCE, bodies.read(&who("anna"), dripping(pause), 1 << 20)).await;
            assert!(matches!(read.expect("it ends long before the time limit"), Err(Refusal::TooSlow)), "{pause:?}");
        }
        let (request, _owed) = bodies.read(&who("anna"), steady(20, 16 << 10, Duration::from_millis(20)), 1 << 20).await.ok().unwrap();
        assert_eq!(axum::body::to_bytes(request.into_body(), 1 << 20).await.unwrap().len(), 20 * (16 << 10));
        // However steadily, it ends.
        let short = Bodies { grace: Duration::from_millis(300), ..Bodies::new(Duration::from_millis(500)) };
        assert!(matches!(short.read(&who("anna"), steady(usize::MAX, 1 << 10, Duration::from_millis(10)), 1 << 30).await, Err(Refusal::TooSlow)));
    }
}
