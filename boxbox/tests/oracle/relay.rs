//! A UDP relay in front of an edge that cuts connections: from then on nothing of that client gets through, either way.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio_util::sync::{CancellationToken, DropGuard};

/// A datagram of QUIC, with room.
const DATAGRAM_BYTES: usize = 64 * 1024;

/// Stands between clients and an edge.
pub(crate) struct Relay {
    /// Where clients connect.
    pub(crate) address: SocketAddr,
    /// Connections cut so far.
    pub(crate) cut: Arc<AtomicU32>,
    _stop: DropGuard,
}

impl Relay {
    /// Relays to `edge`. Every `every`, each connection is cut with a chance of one in a hundred, and if none was cut for a
    /// hundred tries, one is, so that short runs see it too.
    pub(crate) async fn before(edge: SocketAddr, every: Duration, mut rng: fastrand::Rng) -> Self {
        let front = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
        let (address, cut, stop) = (front.local_addr().unwrap(), Arc::new(AtomicU32::new(0)), CancellationToken::new());
        let (counter, stopped) = (cut.clone(), stop.clone());
        tokio::spawn(async move {
            let mut flows: HashMap<SocketAddr, (Arc<UdpSocket>, CancellationToken)> = HashMap::new();
            let (mut buffer, mut tries) = (vec![0; DATAGRAM_BYTES], 0);
            let mut tick = tokio::time::interval(every);
            loop {
                let (len, client) = tokio::select! {
                    () = stopped.cancelled() => return,
                    _ = tick.tick() => {
                        for (_, dead) in flows.values().filter(|(_, dead)| !dead.is_cancelled()) {
                            tries += 1;
                            if rng.u32(0..100) == 0 || tries >= 100 {
                                dead.cancel();
                                counter.fetch_add(1, Ordering::Relaxed);
                                tries = 0;
                            }
                        }
                        continue;
                    }
                    got = front.recv_from(&mut buffer) => match got {
                        Ok(got) => got,
                        // A port that is closed on the other side says so here; it is no end.
                        Err(_) => continue,
                    },
                };
                if let Entry::Vacant(vacant) = flows.entry(client) {
                    let back = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
                    back.connect(edge).await.unwrap();
                    let dead = stopped.child_token();
                    tokio::spawn(answers(back.clone(), front.clone(), client, dead.clone()));
                    vacant.insert((back, dead));
                }
                let (back, dead) = &flows[&client];
                if !dead.is_cancelled() {
                    // What the edge does not take now is lost, as on any network.
                    let _ = back.try_send(&buffer[..len]);
                }
            }
        });
        Self { address, cut, _stop: stop.drop_guard() }
    }
}

async fn answers(back: Arc<UdpSocket>, front: Arc<UdpSocket>, client: SocketAddr, dead: CancellationToken) {
    let mut buffer = vec![0; DATAGRAM_BYTES];
    loop {
        let len = tokio::select! {
            () = dead.cancelled() => return,
            got = back.recv(&mut buffer) => match got {
                Ok(len) => len,
                Err(_) => continue,
            },
        };
        let _ = front.send_to(&buffer[..len], client).await;
    }
}
