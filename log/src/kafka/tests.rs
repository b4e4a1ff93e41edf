//! The writer against librdkafka's mock broker: answers and outages that a real broker does not give on request.

use std::sync::Arc;
use std::time::{Duration, Instant};

use boxbox_schemas::SessionId;
use boxbox_testkit::wait::block_until;
use bytes::Bytes;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use super::config::KafkaConfig;
use super::writer::KafkaWriter;
use crate::heard::Heard;
use crate::{AppendError, Limits, Outcome, Ticket, Writer};

const TOPIC: &str = "log";

struct Bench {
    cluster: MockCluster<'static, DefaultProducerContext>,
    heard: Arc<Heard>,
    writer: Option<KafkaWriter>,
    next: u64,
}

impl Bench {
    fn new(change: impl FnOnce(&mut KafkaConfig)) -> Self {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic(TOPIC, 2, 1).unwrap();
        let mut config = KafkaConfig::new(cluster.bootstrap_servers(), TOPIC);
        change(&mut config);
        let heard = Arc::new(Heard::default());
        let writer = KafkaWriter::start(&config, 2, heard.clone()).unwrap();
        Self { cluster, heard, writer: Some(writer), next: 0 }
    }

    fn try_append(&mut self) -> Result<(), AppendError> {
        let ticket = Ticket { owner: 0, mark: self.next };
        self.writer.as_ref().unwrap().append(1, SessionId::default(), Bytes::from(vec![7; 1_000]), ticket)?;
        self.next += 1;
        Ok(())
    }

    fn append(&mut self, n: u64) {
        (0..n).for_each(|_| self.try_append().unwrap());
    }

    /// Wait for the outcome of everything appended so far, in order.
    fn wait(&self) -> Vec<Outcome> {
        let all = self.heard.wait(self.next as usize);
        assert!(all.iter().map(|c| c.ticket.mark).eq(0..self.next), "each once, in order");
        all.iter().map(|c| c.outcome).collect()
    }

    /// Append until it is durable again, and say how long that took.
    fn resume(&mut self) -> Duration {
        let began = Instant::now();
        block_until("appends become durable again", || self.try_append().is_ok() && matches!(self.wait().last(), Some(Outcome::Durable(_))));
        began.elapsed()
    }
}

fn durable(outcomes: &[Outcome]) -> bool {
    outcomes.iter().all(|o| matches!(o, Outcome::Durable(_)))
}

#[test]
fn an_answer_without_an_offset_is_durable_unplaced() {
    let mut bench = Bench::new(|_| {});
    bench.append(3);
    assert!(durable(&bench.wait()));
    bench.cluster.request_errors(RDKafkaApiKey::Produce, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_DUPLICATE_SEQUENCE_NUMBER]);
    bench.append(1);
    assert_eq!(bench.wait().last(), Some(&Outcome::DurableUnplaced));
}

#[test]
fn a_fatal_error_fails_what_is_outstanding_and_appends_work_again() {
    let mut bench = Bench::new(|_| {});
    bench.append(3);
    bench.wait();
    bench.cluster.request_errors(RDKafkaApiKey::Produce, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER]);
    bench.append(5);
    let outcomes = bench.wait();
    assert!(durable(&outcomes[..3]) && outcomes[3..].contains(&Outcome::Failed), "{outcomes:?}");
    bench.resume();
    bench.append(100);
    assert!(durable(&bench.wait()[bench.next as usize - 100..]));
}

#[test]
fn a_replaced_producer_tells_every_outcome_once() {
    let mut bench = Bench::new(|_| {});
    for pause_ms in [0, 3, 40, 150] {
        bench.append(200);
        bench.writer.as_ref().unwrap().break_producer();
        std::thread::sleep(Duration::from_millis(pause_ms));
        bench.append(200);
    }
    bench.wait();
    bench.resume();
}

#[test]
fn a_short_outage_fails_nothing() {
    let mut bench = Bench::new(|_| {});
    bench.append(10);
    bench.wait();
    bench.cluster.broker_down(1).unwrap();
    bench.append(50);
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(bench.heard.outcomes().len(), 10);
    bench.cluster.broker_up(1).unwrap();
    let began = Instant::now();
    assert!(durable(&bench.wait()), "what waited was sent, in order");
    // The product's promise is 2 s; a test on a shared machine leaves room.
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    eprintln!("acks resumed {:?} after the broker", began.elapsed());
}

#[test]
fn a_long_outage_fails_in_order_and_holds_its_memory() {
    let limits = Limits { writer_bytes: 40_000, partition_bytes: 20_000 };
    let mut bench = Bench::new(|c| (c.deadline, c.limits) = (Duration::from_millis(700), limits));
    bench.append(1);
    bench.wait();
    bench.cluster.broker_down(1).unwrap();
    while bench.try_append() != Err(AppendError::Full) {}
    let outcomes = bench.wait();
    assert!(outcomes[1..].iter().all(|o| *o == Outcome::Failed), "{outcomes:?}");
    assert_eq!(bench.try_append(), Err(AppendError::Full), "librdkafka still holds the records");
    bench.cluster.broker_up(1).unwrap();
    bench.resume();
}

#[test]
fn a_writer_dropped_in_an_outage_fails_what_it_holds() {
    let mut bench = Bench::new(|_| {});
    bench.append(1);
    bench.wait();
    bench.cluster.broker_down(1).unwrap();
    bench.append(20);
    bench.writer = None;
    assert!(bench.wait()[1..].iter().all(|o| *o == Outcome::Failed));
}
