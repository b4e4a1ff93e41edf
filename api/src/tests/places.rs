//! No client takes the places of all others: connections that are only held, requests that take long, answers that are not read; and
//! the probes beside all that.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

use super::bounds::Slow;
use super::*;

/// Answers of an API that is not at its end come in a fraction of a second.
const SOON: Duration = Duration::from_secs(5);

fn few() -> Config {
    Config { max_connections: 64, connections_per_address: 16, ..Config::default() }
}

/// A connection from an address of this machine: all of 127.0.0.0/8 are.
async fn connect_from(server: SocketAddr, from: [u8; 4]) -> TcpStream {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind((Ipv4Addr::from(from), 0).into()).unwrap();
    tokio::time::timeout(PATIENCE, socket.connect(server)).await.unwrap().unwrap()
}

fn request(path: &str, headers: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n")
}

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

/// The status of the next answer; `None`: the server has closed the connection. The rest of what came is thrown away.
async fn status(stream: &mut TcpStream) -> Option<u16> {
    let mut got = vec![];
    let mut piece = [0; 4_096];
    while !got.windows(4).any(|end| end == b"\r\n\r\n") {
        match tokio::time::timeout(PATIENCE, stream.read(&mut piece)).await.expect("an answer, or an end") {
            Ok(0) | Err(_) => return None,
            Ok(n) => got.extend_from_slice(&piece[..n]),
        }
    }
    Some(String::from_utf8_lossy(&got).split(' ').nth(1).unwrap().parse().unwrap())
}

/// How often somebody asks whose connection was closed before the question was read: on a slow machine it may be the one that is idle longest.
const ATTEMPTS: usize = 5;

async fn asked(server: SocketAddr, from: [u8; 4], path: &str, headers: &str) -> Option<u16> {
    for _ in 0..ATTEMPTS {
        let mut stream = connect_from(server, from).await;
        if stream.write_all(request(path, headers).as_bytes()).await.is_ok()
            && let Some(status) = status(&mut stream).await
        {
            return Some(status);
        }
    }
    None
}

/// Connections that are kept by asking for something small before their time is over, and opened again when they are closed.
struct Crowd(tokio::task::JoinHandle<()>);

impl Crowd {
    /// `each` connections from each of `addresses`.
    async fn begin(server: SocketAddr, addresses: Vec<[u8; 4]>, each: usize, opening: &'static [u8]) -> Self {
        let keep = |address: [u8; 4]| async move {
            loop {
                let mut stream = connect_from(server, address).await;
                while stream.write_all(opening).await.is_ok() {
                    // What comes is read only where all was asked for: a head that is not finished has no answer.
                    let mut piece = [0; 1_024];
                    match tokio::time::timeout(Duration::from_millis(300), stream.read(&mut piece)).await {
                        Ok(Ok(0) | Err(_)) => break,
                        _ => tokio::time::sleep(Duration::from_millis(100)).await,
                    }
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let all = addresses.into_iter().flat_map(|address| std::iter::repeat_n(address, each));
        let all: Vec<_> = all.map(keep).collect();
        let crowd = Self(tokio::spawn(async move { drop(futures::future::join_all(all).await) }));
        tokio::time::sleep(Duration::from_millis(500)).await;
        crowd
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Complete requests, and heads a few bytes at a time.
const OPENINGS: [&[u8]; 2] = [b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n", b"GET /livez HTTP/1.1\r\nX-Slow: a"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn held_connections_shut_nobody_out() {
    for opening in OPENINGS {
        for config in [few(), Config { listen: (Ipv4Addr::UNSPECIFIED, 0).into(), ..few() }] {
            let server = Server::with(config, vec![]).await;
            let reader = server.grant("local", &[Ability::Read]);
            // More than there are places, from one address and from many.
            for addresses in [vec![[127, 0, 0, 1]], (1..=24).map(|n| [127, 0, 1, n]).collect()] {
                let crowd = Crowd::begin(server.addr, addresses, 6 * 16 / 4, opening).await;
                for n in 0..20 {
                    let began = Instant::now();
                    // From the crowd's own address too.
                    let from = if n % 2 == 0 { [127, 0, 0, 1] } else { [127, 0, 9, n] };
                    assert_eq!(asked(server.addr, from, "/livez", "").await, Some(200), "{opening:?}");
                    assert_eq!(asked(server.addr, from, "/api/v1/sessions", &bearer(&reader)).await, Some(200), "{opening:?}");
                    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
                }
                drop(crowd);
            }
        }
    }
}

/// Who holds a connection with a grant keeps it, whoever else comes without one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_without_a_grant_displace_none_with_one() {
    let server = Server::with(few(), vec![]).await;
    let reader = server.grant("local", &[Ability::Read]);
    let mut kept = connect_from(server.addr, [127, 0, 7, 7]).await;
    let question = request("/api/v1/sessions", &bearer(&reader));
    kept.write_all(question.as_bytes()).await.unwrap();
    assert_eq!(status(&mut kept).await, Some(200));
    let _crowd = Crowd::begin(server.addr, (1..=24).map(|n| [127, 0, 1, n]).collect(), 8, OPENINGS[0]).await;
    for _ in 0..10 {
        kept.write_all(question.as_bytes()).await.unwrap();
        assert_eq!(status(&mut kept).await, Some(200));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

pub(super) async fn slow(config: Config, pause: Duration) -> Server {
    let results = MemoryResults::new();
    let slow = Slow { inner: results.clone(), entered: Arc::default(), pause };
    Server::on(config, vec![], results, Arc::new(slow)).await
}

/// What is being answered cannot be displaced, so an address or a driver has a number of such connections, and others have theirs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_address_and_one_driver_have_their_own_places_at_most() {
    let server = slow(few(), Duration::from_secs(4)).await;
    let of = |driver: &str| {
        let grant = Grant { driver: DriverId::new(driver).unwrap(), ..grant("local", &[Ability::Read]) };
        bearer(&server.sign(&grant))
    };
    // An address: 16.
    let mut held = vec![];
    for _ in 0..16 {
        let mut stream = connect_from(server.addr, [127, 0, 0, 1]).await;
        stream.write_all(request("/api/v1/sessions", "").as_bytes()).await.unwrap();
        held.push(stream);
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let began = Instant::now();
    assert_eq!(asked(server.addr, [127, 0, 0, 1], "/livez", "").await, None, "closed at once");
    assert_eq!(asked(server.addr, [127, 0, 0, 2], "/livez", "").await, Some(200), "another address has its places");
    // A driver: 4 of 64, from wherever.
    let (anna, ben) = (of("anna"), of("ben"));
    for n in 0..4 {
        let mut stream = connect_from(server.addr, [127, 0, 2, n]).await;
        stream.write_all(request("/api/v1/sessions", &anna).as_bytes()).await.unwrap();
        held.push(stream);
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(asked(server.addr, [127, 0, 3, 1], "/api/v1/sessions?limit=1", &anna).await, Some(429));
    assert!(began.elapsed() < Duration::from_secs(3), "none of this waited for those that are held: {:?}", began.elapsed());
    assert_eq!(asked(server.addr, [127, 0, 3, 1], "/api/v1/sessions?limit=1", &ben).await, Some(200));
}

/// A stranger's address stands behind a proxy's: a trusted one's word is taken, and all of its clients together are not one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_a_trusted_proxy_addresses_are_those_that_it_names() {
    let trusting = Config { trusted_proxies: vec!["127.0.5.0/24".parse().unwrap()], connections_per_address: 3, ..few() };
    let server = slow(Config { max_connections: 64, ..trusting }, Duration::from_secs(3)).await;
    let (proxy, liar) = ([127, 0, 5, 1], [127, 0, 6, 1]);
    let mut drivers = 0;
    let mut another = || {
        drivers += 1;
        let grant = Grant { driver: DriverId::new(&format!("d{drivers}")).unwrap(), ..grant("local", &[Ability::Read]) };
        bearer(&server.sign(&grant))
    };
    let ask = |from: [u8; 4], client: &str, grant: String| {
        let (addr, headers) = (server.addr, format!("X-Forwarded-For: 6.6.6.6, {client}\r\n{grant}"));
        async move { asked(addr, from, "/api/v1/sessions", &headers).await }
    };
    // Three of one client at once, through the proxy; at the fourth that client has too many, and another has none yet.
    let busy: Vec<_> = (0..3).map(|_| tokio::spawn(ask(proxy, "198.51.100.1", another()))).collect();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(ask(proxy, "198.51.100.1", another()).await, Some(429));
    assert_eq!(ask(proxy, "198.51.100.2", another()).await, Some(200));
    for one in busy {
        assert_eq!(one.await.unwrap(), Some(200));
    }
    // Who is not trusted is counted by its own address, whatever it says.
    let busy: Vec<_> = (0..3u8).map(|n| tokio::spawn(ask(liar, &format!("198.51.100.{n}"), another()))).collect();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(ask(liar, "198.51.100.9", another()).await, None);
    for one in busy {
        assert_eq!(one.await.unwrap(), Some(200));
    }
}

/// A web server on this machine that passes requests on makes none of them local.
#[tokio::test]
async fn what_a_proxy_passes_on_needs_a_grant() {
    let server = Server::start().await;
    let reader = bearer(&server.grant("local", &[Ability::Read]));
    let added = [
        "X-Forwarded-For: 203.0.113.7",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Host: race.example",
        "X-Forwarded-Port: 443",
        "Forwarded: for=203.0.113.7;proto=https",
        "Via: 1.1 caddy",
        "X-Real-IP: 203.0.113.7",
        "X-Real-IP:",
        "CF-Connecting-IP: 203.0.113.7",
        "True-Client-IP: 203.0.113.7",
        "X-Original-Host: race.example",
        "X-Scheme: https",
        "X-ProxyUser-Ip: 203.0.113.7",
        "Client-IP: 203.0.113.7",
        "X-Varnish: 32770",
        "CF-Ray: 8c2f6a0d4b7e9153-FRA",
        "X-Amzn-Trace-Id: Root=1-67891233-abcdef012345678912345678",
        "X-Nginx-Proxy: true",
    ];
    for header in added {
        for path in ["/api/v1/sessions", "/metrics", "/api/health"] {
            let (name, value) = header.split_once(':').unwrap();
            server.ask("GET", path, &[(name, value.trim())]).await.problem(401, "grant_required");
            assert_eq!(asked(server.addr, [127, 0, 0, 1], path, &format!("{header}\r\n{reader}")).await, Some(200), "{header}");
        }
        assert_eq!(asked(server.addr, [127, 0, 0, 1], "/livez", &format!("{header}\r\n")).await, Some(200), "probes are open to all");
    }
    // nginx's `proxy_pass` alone adds nothing, and speaks HTTP/1.0.
    let bare = |path: &str, grant: &str| format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n{grant}\r\n");
    for path in ["/api/v1/sessions", "/metrics", "/api/health"] {
        server.raw(&bare(path, "")).await.problem(401, "grant_required");
        assert_eq!(server.raw(&bare(path, &reader)).await.status, 200);
    }
    assert_eq!(server.raw(&bare("/readyz", "")).await.status, 200);
    // Of a proxy that is known, whatever it adds or does not.
    let known = Server::with(Config { trusted_proxies: vec!["127.0.5.0/24".parse().unwrap()], ..Config::default() }, vec![]).await;
    let reader = bearer(&known.grant("local", &[Ability::Read]));
    assert_eq!(asked(known.addr, [127, 0, 5, 1], "/api/v1/sessions", "").await, Some(401));
    assert_eq!(asked(known.addr, [127, 0, 5, 1], "/api/v1/sessions", &reader).await, Some(200));
    assert_eq!(asked(known.addr, [127, 0, 6, 1], "/api/v1/sessions", "").await, Some(200), "another's is local");
    // Some add nothing: then the one who runs it says so.
    let strict = Server::with(Config { always_grants: true, probes: Some((Ipv4Addr::LOCALHOST, 0).into()), ..Config::default() }, vec![]).await;
    for path in ["/api/v1/sessions", "/metrics", "/api/health", "/nowhere"] {
        strict.get(path).await.problem(401, "grant_required");
    }
    let reader = strict.grant("local", &[Ability::Read]);
    assert_eq!(strict.get_as(&reader, "/api/v1/sessions").await.status, 200);
    assert_eq!(asked(strict.probes.unwrap(), [127, 0, 0, 1], "/metrics", "").await, Some(401));
    assert_eq!(asked(strict.probes.unwrap(), [127, 0, 0, 1], "/readyz", "").await, Some(200));
}

/// Probes are answered whatever fills the API: they have a separate listener, with separate places and a separate thread.
#[tokio::test(flavor = "current_thread")]
async fn probes_are_answered_whatever_is_done_to_the_api() {
    let server = Server::with(Config { probes: Some((Ipv4Addr::LOCALHOST, 0).into()), ..few() }, vec![]).await;
    let probes = server.probes.unwrap();
    for path in ["/livez", "/readyz", "/metrics", "/api/health"] {
        assert_eq!(asked(probes, [127, 0, 0, 1], path, "").await, Some(200), "{path}");
    }
    for path in ["/api/v1/sessions", "/", "/api/docs/"] {
        assert_eq!(asked(probes, [127, 0, 0, 1], path, "").await, Some(404), "{path}: that is the API's");
    }
    // The API's own thread does nothing at all for a while, as when the machine's other work takes it.
    let (told, answered) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        use std::io::{Read, Write};
        let mut stream = std::net::TcpStream::connect(probes).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        stream.write_all(request("/livez", "").as_bytes()).unwrap();
        let mut head = [0; 12];
        let _ = stream.read_exact(&mut head);
        told.send(head).unwrap();
    });
    let head = answered.recv_timeout(PATIENCE).unwrap();
    assert_eq!(&head, b"HTTP/1.1 200", "while this thread, which is also the API's, waited");
    // A crowd at the probes themselves.
    let _crowd = Crowd::begin(probes, (1..=12).map(|n| [127, 0, 1, n]).collect(), 8, OPENINGS[0]).await;
    for _ in 0..10 {
        assert_eq!(asked(probes, [127, 0, 0, 1], "/readyz", "").await, Some(200));
    }
}

/// Away from loopback the listener for probes answers them to everybody, and the rest to those with a grant.
#[tokio::test]
async fn away_from_loopback_metrics_need_a_grant_at_the_probes_too() {
    let server = Server::with(Config { probes: Some((IpAddr::from(Ipv4Addr::UNSPECIFIED), 0).into()), ..Config::default() }, vec![]).await;
    let probes = SocketAddr::from(([127, 0, 0, 1], server.probes.unwrap().port()));
    let reader = bearer(&server.grant("local", &[Ability::Read]));
    for path in ["/metrics", "/api/health"] {
        assert_eq!(asked(probes, [127, 0, 0, 1], path, "").await, Some(401), "{path}");
        assert_eq!(asked(probes, [127, 0, 0, 1], path, &reader).await, Some(200), "{path}");
    }
    for path in ["/livez", "/readyz"] {
        assert_eq!(asked(probes, [127, 0, 0, 1], path, "").await, Some(200), "{path}");
    }
}

/// One driver's long answers wait for each other; another's do not wait for them, nor do short ones.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_answers_of_one_driver_delay_nobody_else() {
    let server = slow(Config::default(), Duration::from_millis(400)).await;
    let home = session("local", 1);
    server.fill(&home, vec![lap(&home, 1)]).await;
    let of = |driver: &str| {
        let grant = Grant { driver: DriverId::new(driver).unwrap(), ..grant("local", &[Ability::Read]) };
        bearer(&server.sign(&grant))
    };
    let path = format!("/api/v1/sessions/{}/results", home.id);
    let flood: Vec<_> = (0..40)
        .map(|_| {
            let (addr, path, anna) = (server.addr, path.clone(), of("anna"));
            tokio::spawn(async move { asked(addr, [127, 0, 0, 1], &path, &anna).await })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let began = Instant::now();
    assert_eq!(asked(server.addr, [127, 0, 0, 2], &path, &of("ben")).await, Some(200));
    assert!(began.elapsed() < Duration::from_secs(8), "the flood takes 16 s: {:?}", began.elapsed());
    let began = Instant::now();
    let one = format!("/api/v1/sessions/{}", home.id);
    assert_eq!(asked(server.addr, [127, 0, 0, 2], &one, &of("anna")).await, Some(200));
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    // Each of the flood is answered, or told to come again.
    let mut told = vec![];
    for one in flood {
        told.push(one.await.unwrap());
    }
    assert!(told.iter().all(|status| matches!(status, Some(200 | 503))), "{told:?}");
    assert!(told.contains(&Some(200)) && told.contains(&Some(503)), "{told:?}");
}

/// Bodies that come a byte a second, from those who may decide and those who may only read, of every route that takes one: no other request
/// waits for the bodies, and they are refused in the end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_that_come_slowly_delay_no_other_request() {
    let server = Server::start().await;
    let home = session("local", 1);
    server.fill(&home, vec![lap(&home, 1)]).await;
    let of = |driver: &str, abilities: &[Ability]| {
        let grant = Grant { driver: DriverId::new(driver).unwrap(), ..grant("local", abilities) };
        bearer(&server.sign(&grant))
    };
    let routes = ["x/acts", "x/penalties", "x/publish", "x/seasons/s/entries/import", "x/sessions/s/facts"];
    let mut slow = vec![];
    for (n, route) in routes.iter().cycle().take(20).enumerate() {
        let abilities: &[Ability] = if n % 2 == 0 { &[Ability::Read] } else { &[Ability::Read, Ability::Steward, Ability::Manage] };
        let mut stream = connect_from(server.addr, [127, 0, 4, 1]).await;
        let grant = of(&format!("slow-{}", n % 5), abilities);
        let length = if n % 3 == 0 { "Transfer-Encoding: chunked" } else { "Content-Length: 1000" };
        let head = format!("POST /api/v1/leagues/{route} HTTP/1.1\r\nHost: localhost\r\n{grant}{length}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        slow.push((stream, if n % 3 == 0 { &b"1\r\n[\r\n"[..] } else { &b"["[..] }));
    }
    let path = format!("/api/v1/sessions/{}/results", home.id);
    let drip = async {
        let mut answered = vec![];
        for (mut stream, byte) in slow {
            answered.push(tokio::spawn(async move {
                // Longer than any answer takes; a refusal ends it.
                for _ in 0..30 {
                    if stream.write_all(byte).await.is_err() {
                        break;
                    }
                    let mut piece = [0; 64];
                    if let Ok(read) = tokio::time::timeout(Duration::from_secs(1), stream.read(&mut piece)).await {
                        return read.ok().map(|n| String::from_utf8_lossy(&piece[..n]).into_owned());
                    }
                }
                Some("never answered".into())
            }));
        }
        futures::future::join_all(answered).await
    };
    let ask = async {
        for _ in 0..8 {
            let began = Instant::now();
            assert_eq!(asked(server.addr, [127, 0, 0, 2], &path, &of("ben", &[Ability::Read])).await, Some(200));
            assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    };
    let (answered, ()) = tokio::join!(drip, ask);
    for one in answered {
        let one = one.unwrap().unwrap_or_default();
        assert!(one.is_empty() || one.starts_with("HTTP/1.1 408"), "{one}");
    }
    // A league that decides is answered as ever.
    let whole = format!(
        "POST /api/v1/leagues/x/acts HTTP/1.1\r\nHost: localhost\r\n{}Connection: close\r\nContent-Length: 2\r\n\r\n[]",
        of("eve", &[Ability::Read, Ability::Manage, Ability::Steward])
    );
    assert!((400..500).contains(&server.raw(&whole).await.status), "no such league");
}

/// A server with one place, and the connection that has it and is being answered.
pub(super) async fn busy_with_one() -> (Server, TcpStream) {
    let config = Config { max_connections: 1, request_timeout: Duration::from_secs(1), ..Config::default() };
    let server = slow(config, Duration::from_secs(2)).await;
    let mut stream = TcpStream::connect(server.addr).await.unwrap();
    stream.write_all(request("/api/v1/sessions", "").as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    (server, stream)
}
