//! [`Outbox`]: what this process sends elsewhere without waiting for it, spans and reports of errors: a queue, and a thread that posts it.
//!
//! Nothing here delays what the process does. A queue that is full, or a server that does not answer, costs what would have been sent.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender, TrySendError};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use boxbox_schemas::secret::Secret;
use hyper::Request;
use hyper::header::{CONTENT_TYPE, USER_AGENT};
use hyper_rustls::ConfigBuilderExt;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::{ClientConfig, RootCertStore};

/// How long one answer may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// How long the end of the process waits for what is left.
const FLUSH_WITHIN: Duration = Duration::from_secs(2);
/// How often the thread looks whether something waits.
const IDLE: Duration = Duration::from_secs(1);
/// How often a server that takes nothing is written of in the log.
const SAY_EVERY: Duration = Duration::from_secs(60);
/// Documents that wait to be tried again.
const AGAIN_MAX: usize = 64;

/// What a kind of message needs to be sent.
pub trait Courier<T>: Send + 'static {
    /// Most messages that are sent together.
    const TOGETHER: usize;
    /// How long the first of them waits for others.
    const LINGER: Duration;
    /// How long after a failure the same messages are tried again, and again; without a time they are not.
    const AGAIN: &[Duration] = &[];

    /// The document for these messages, JSON; `None`: nothing of it is to be sent.
    fn pack(&mut self, messages: Vec<T>) -> Option<String>;

    /// So many messages were sent, or not taken.
    fn ended(&mut self, messages: u64, sent: bool);
}

enum Item<T> {
    Message(T),
    Flush(SyncSender<()>),
}

/// A queue to another server.
pub struct Outbox<T>(SyncSender<Item<T>>);

impl<T> Clone for Outbox<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: Send + 'static> Outbox<T> {
    /// A queue for `waiting` messages, which are posted to `address`.
    ///
    /// # Errors
    /// If the address is none, or the system gives no thread.
    pub fn open<C: Courier<T>>(name: &str, address: &Address, waiting: usize, courier: C) -> anyhow::Result<Self> {
        let (sender, receiver) = mpsc::sync_channel(waiting);
        let post = Post::to(address)?;
        let server = address.server()?;
        let run = move || Thread { receiver, post, courier, server, again: VecDeque::new(), failing: None }.run();
        std::thread::Builder::new().name(name.to_owned()).spawn(run).with_context(|| format!("cannot start the thread {name}"))?;
        Ok(Self(sender))
    }

    /// Puts a message into the queue; `false`: it is full.
    pub fn offer(&self, message: T) -> bool {
        self.0.try_send(Item::Message(message)).is_ok()
    }

    /// Waits a while until everything that is in the queue was sent. It blocks: it is for the end of the process.
    pub fn flush(&self) {
        let (done, end) = mpsc::sync_channel(1);
        let until = Instant::now() + FLUSH_WITHIN;
        let mut item = Item::Flush(done);
        while let Err(TrySendError::Full(back)) = self.0.try_send(item) {
            if Instant::now() >= until {
                return;
            }
            item = back;
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = end.recv_timeout(until.saturating_duration_since(Instant::now()));
    }
}

struct Thread<T, C> {
    receiver: Receiver<Item<T>>,
    post: Post,
    courier: C,
    /// Scheme and host, for people.
    server: String,
    /// What is tried again, the next first.
    again: VecDeque<Again>,
    /// The server takes nothing: when that was last said, and how many documents failed since.
    failing: Option<(Instant, u64)>,
}

/// A document that was not taken.
struct Again {
    at: Instant,
    body: String,
    messages: u64,
    tries: usize,
}

impl<T, C: Courier<T>> Thread<T, C> {
    fn run(mut self) {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
        let (mut waiting, mut due) = (Vec::new(), None);
        loop {
            let next = due.into_iter().chain(self.again.front().map(|again| again.at)).min();
            let wait = next.map_or(IDLE, |next: Instant| next.saturating_duration_since(Instant::now()));
            match self.receiver.recv_timeout(wait) {
                Ok(Item::Message(message)) => {
                    waiting.push(message);
                    due.get_or_insert_with(|| Instant::now() + C::LINGER);
                }
                Ok(Item::Flush(done)) => {
                    self.send(&runtime, std::mem::take(&mut waiting));
                    due = None;
                    self.try_again(&runtime, |_| true);
                    let _ = done.send(());
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return self.send(&runtime, waiting),
            }
            if waiting.len() >= C::TOGETHER || due.is_some_and(|due| due <= Instant::now()) {
                self.send(&runtime, std::mem::take(&mut waiting));
                due = None;
            }
            let now = Instant::now();
            self.try_again(&runtime, |again| again.at <= now);
        }
    }

    fn send(&mut self, runtime: &tokio::runtime::Runtime, messages: Vec<T>) {
        let count = messages.len() as u64;
        let Some(body) = Some(messages).filter(|all| !all.is_empty()).and_then(|all| self.courier.pack(all)) else { return };
        self.post(runtime, Again { at: Instant::now(), body, messages: count, tries: 0 });
    }

    /// Tries once what waits for that and is due.
    fn try_again(&mut self, runtime: &tokio::runtime::Runtime, due: impl Fn(&Again) -> bool) {
        for _ in 0..self.again.len() {
            let Some(again) = self.again.pop_front() else { return };
            if due(&again) { self.post(runtime, again) } else { self.again.push_back(again) }
        }
        self.again.make_contiguous().sort_by_key(|again| again.at);
    }

    fn post(&mut self, runtime: &tokio::runtime::Runtime, document: Again) {
        let Again { body, messages, tries, .. } = document;
        // Kept only if there may be another try.
        let kept = C::AGAIN.get(tries).filter(|_| self.again.len() < AGAIN_MAX).map(|wait| (*wait, body.clone()));
        let outcome = runtime.block_on(self.post.send(body));
        self.say(outcome.as_ref().err());
        match kept.filter(|_| outcome.is_err()) {
            Some((wait, body)) => self.again.push_back(Again { at: Instant::now() + wait, body, messages, tries: tries + 1 }),
            None => self.courier.ended(messages, outcome.is_ok()),
        }
    }

    /// Says that the server takes nothing, once a minute, and that it takes something again. Never as an error: that would be reported in turn.
    fn say(&mut self, error: Option<&anyhow::Error>) {
        let server = &self.server;
        match (error, &mut self.failing) {
            (None, None) => {}
            (None, Some(_)) => {
                self.failing = None;
                tracing::info!(server, "the server takes again what this process sends");
            }
            (Some(_), Some((said, failed))) if said.elapsed() < SAY_EVERY => *failed += 1,
            (Some(error), failing) => {
                let failed = failing.map_or(1, |(_, failed)| failed + 1);
                self.failing = Some((Instant::now(), 0));
                tracing::warn!(server, failed, error = format!("{error:#}"), "a server does not take the reports or traces that this process sends");
            }
        }
    }
}

/// Where messages go: an address, which may hold a secret.
#[derive(Clone, Debug)]
pub struct Address(Arc<Secret>);

impl Address {
    /// An `http://` or `https://` address.
    ///
    /// # Errors
    /// If it is none. The error does not repeat it.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let uri: hyper::Uri = text.trim().parse().ok().context("this is no address: give http://HOST:PORT/PATH or https://…")?;
        ensure!(matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some(), "give http://HOST:PORT/PATH or https://…");
        let authority = uri.authority().map_or("", hyper::http::uri::Authority::as_str);
        ensure!(!authority.contains('@'), "a login before the host is not sent: give the address without it");
        let port = authority.rsplit_once(':').map(|(_, port)| port).filter(|port| !port.ends_with(']'));
        ensure!(port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0)), "the port must be a number from 1 to 65535");
        Ok(Self(Arc::new(Secret::from_file_content(text.trim().as_bytes())?)))
    }

    /// Scheme, host and port: what can be shown.
    fn server(&self) -> anyhow::Result<String> {
        let uri = self.uri()?;
        Ok(format!("{}://{}", uri.scheme_str().unwrap_or_default(), uri.authority().map_or("", hyper::http::uri::Authority::as_str)))
    }

    fn uri(&self) -> anyhow::Result<hyper::Uri> {
        self.0.expose().parse().ok().context("this is no address")
    }

    /// The same server, with `path` where the address has none.
    ///
    /// # Errors
    /// If the result is no address.
    pub fn or_path(&self, path: &str) -> anyhow::Result<Self> {
        if self.uri()?.path() != "/" {
            return Ok(self.clone());
        }
        Self::parse(&format!("{}{path}", self.0.expose().trim_end_matches('/')))
    }
}

/// Posts JSON documents to one address.
struct Post {
    uri: hyper::Uri,
    client: Client<hyper_rustls::HttpsConnector<HttpConnector>, String>,
}

impl Post {
    fn to(address: &Address) -> anyhow::Result<Self> {
        let uri = address.uri()?;
        let tls = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider())).with_safe_default_protocol_versions()?;
        // A collector beside this process needs no certificates, and a small image has none.
        let tls = match uri.scheme_str() {
            Some("https") => tls.with_native_roots().context("cannot read the system's certificates")?,
            _ => tls.with_root_certificates(RootCertStore::empty()),
        };
        let connector = hyper_rustls::HttpsConnectorBuilder::new().with_tls_config(tls.with_no_client_auth()).https_or_http().enable_http1().build();
        Ok(Self { uri, client: Client::builder(TokioExecutor::new()).build(connector) })
    }

    async fn send(&self, body: String) -> anyhow::Result<()> {
        let request = Request::post(self.uri.clone())
            .header(CONTENT_TYPE, "application/json")
            .header(USER_AGENT, concat!("boxbox/", env!("CARGO_PKG_VERSION")))
            .body(body)?;
        let answer = tokio::time::timeout(ANSWER_WITHIN, self.client.request(request)).await.context("no answer in time")??;
        ensure!(answer.status().is_success(), "it answers with status {}", answer.status().as_u16());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use boxbox_testkit::sink::Sink;

    fn at(sink: &Sink, path: &str) -> Address {
        Address::parse(&sink.url(path)).unwrap()
    }

    struct Together(Arc<Mutex<Vec<(u64, bool)>>>);

    impl Courier<u32> for Together {
        const TOGETHER: usize = 3;
        const LINGER: Duration = Duration::from_millis(20);

        fn pack(&mut self, messages: Vec<u32>) -> Option<String> {
            Some(serde_json::to_string(&messages).unwrap())
        }

        fn ended(&mut self, messages: u64, sent: bool) {
            self.0.lock().unwrap().push((messages, sent));
        }
    }

    #[test]
    fn messages_go_together_and_what_is_left_goes_at_the_end() {
        let sink = Sink::start();
        let ended = Arc::<Mutex<Vec<_>>>::default();
        let outbox = Outbox::open("test", &at(&sink, "/a"), 100, Together(ended.clone())).unwrap();
        assert!((0..7).all(|n| outbox.offer(n)));
        outbox.flush();
        let bodies = sink.bodies();
        let numbers: Vec<u32> = bodies.iter().flat_map(|body| serde_json::from_str::<Vec<u32>>(body).unwrap()).collect();
        assert_eq!(numbers, (0..7).collect::<Vec<_>>());
        assert!(bodies.len() >= 3, "at most three together: {bodies:?}");
        assert!(ended.lock().unwrap().iter().all(|(_, sent)| *sent));
        assert!(sink.heads()[0].starts_with("POST /a HTTP/1.1\r\n"), "{:?}", sink.heads());
    }

    #[test]
    fn a_server_that_refuses_costs_the_messages_and_nothing_else() {
        let sink = Sink::refusing();
        let ended = Arc::<Mutex<Vec<_>>>::default();
        let outbox = Outbox::open("test", &at(&sink, "/"), 2, Together(ended.clone())).unwrap();
        outbox.offer(1);
        outbox.flush();
        assert_eq!(*ended.lock().unwrap(), [(1, false)]);
        assert!((0..1_000_000).any(|n| !outbox.offer(n)), "a queue has an end");
    }

    #[test]
    fn what_is_not_taken_is_tried_again_as_often_as_it_is_to_be() {
        struct Stubborn(Together);
        impl Courier<u32> for Stubborn {
            const TOGETHER: usize = 1;
            const LINGER: Duration = Duration::ZERO;
            const AGAIN: &[Duration] = &[Duration::from_millis(10), Duration::from_millis(20)];

            fn pack(&mut self, messages: Vec<u32>) -> Option<String> {
                self.0.pack(messages)
            }

            fn ended(&mut self, messages: u64, sent: bool) {
                self.0.ended(messages, sent);
            }
        }
        let sink = Sink::refusing();
        let ended = Arc::<Mutex<Vec<_>>>::default();
        let outbox = Outbox::open("test", &at(&sink, "/"), 10, Stubborn(Together(ended.clone()))).unwrap();
        assert!(outbox.offer(7));
        boxbox_testkit::wait::block_until("it has given up", || !ended.lock().unwrap().is_empty());
        assert_eq!(*ended.lock().unwrap(), [(1, false)], "counted once");
        assert_eq!(sink.bodies(), ["[7]", "[7]", "[7]"]);
    }

    #[test]
    fn an_address_is_http_and_its_secret_is_not_shown() {
        for wrong in ["", "host", "ftp://host/", "http://", "/path", "http:// host", "http://u:p@host/", "http://host:99999", "http://host:0/a"] {
            assert!(Address::parse(wrong).is_err(), "{wrong:?}");
        }
        let address = Address::parse("https://hooks.example/T0/secret-word\n").unwrap();
        assert!(!format!("{address:?}").contains("secret-word"));
        assert_eq!(address.or_path("/v1/traces").unwrap().uri().unwrap().path(), "/T0/secret-word");
        assert_eq!(Address::parse("http://h:4318").unwrap().or_path("/v1/traces").unwrap().uri().unwrap(), "http://h:4318/v1/traces");
    }
}
