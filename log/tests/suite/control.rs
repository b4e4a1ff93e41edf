//! The control topic at a real broker: what is put is seen, by whoever reads now and by whoever reads later.

use std::time::Duration;

use boxbox_log::control::{Change, Changes, Control};
use boxbox_log::kafka::{KafkaConfig, KafkaLog};
use boxbox_log::{LogError, open};
use boxbox_testkit::not_run;
use boxbox_testkit::wait::{PATIENCE, until_some};

/// The URL of a log of its own, or `None` (said as NOT RUN).
fn url(test: &str) -> Option<String> {
    let Ok(brokers) = std::env::var("KAFKA_BROKERS") else {
        not_run(test, "KAFKA_BROKERS is not set (cargo xtask stack up --kafka starts a broker)");
        return None;
    };
    Some(format!("kafka://{brokers}/boxbox-test-{:016x}", fastrand::u64(..)))
}

async fn control(url: &str) -> Control {
    Control::open(url, open::Options::default()).await.unwrap()
}

fn change(key: &str, value: Option<&str>) -> Change {
    Change { key: key.into(), value: value.map(Into::into) }
}

async fn put(control: &Control, key: &str, value: Option<&str>) {
    control.put(key, value.map(Into::into)).await.unwrap();
}

async fn next(changes: &mut Changes) -> Change {
    tokio::time::timeout(PATIENCE, changes.next()).await.expect("a change comes in time").expect("the reader lives")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_put_is_read_first_whole_and_then_as_it_comes() {
    let Some(url) = url("log control::what_is_put_is_read_first_whole_and_then_as_it_comes") else { return };
    let (one, other) = (control(&url).await, control(&url).await);
    let (empty, mut changes) = other.read().await.unwrap();
    assert!(empty.is_empty());
    put(&one, "key/1", Some("a")).await;
    put(&one, "key/2", Some("")).await;
    put(&one, "key/1", None).await;
    let all = [change("key/1", Some("a")), change("key/2", Some("")), change("key/1", None)];
    // Durable means that a reading begun now has it.
    let (first, mut late) = one.read().await.unwrap();
    assert_eq!(first, all);
    for expected in &all {
        assert_eq!(&next(&mut changes).await, expected);
    }
    let began = std::time::Instant::now();
    put(&other, "key/3", Some("c")).await;
    assert_eq!(next(&mut late).await, change("key/3", Some("c")));
    eprintln!("put and seen after {:?}", began.elapsed());
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(next(&mut changes).await, change("key/3", Some("c")));
    drop((changes, late));
    one.delete().await.unwrap();
}

/// The control topic after it was deleted, which takes the broker a moment.
async fn opened_again(url: &str) -> Control {
    until_some("the topic can be made again", async || Control::open(url, open::Options::default()).await.ok()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_would_forget_is_refused() {
    let Some(url) = url("log control::a_topic_that_would_forget_is_refused") else { return };
    let (brokers, topic) = url.strip_prefix("kafka://").unwrap().split_once('/').unwrap();
    let config = KafkaConfig { partitions: Some(1), ..KafkaConfig::new(brokers, format!("{topic}.control")) };
    let wrong = KafkaLog::open(config.clone()).await.unwrap();
    let Err(error) = Control::open(&url, open::Options::default()).await else { panic!("it keeps records for a week only") };
    assert!(matches!(error, LogError::Mismatch(_)) && error.to_string().contains("cleanup.policy=compact"), "{error}");
    wrong.delete().await.unwrap();
    // And the other way round: the control topic is no log.
    let control = opened_again(&url).await;
    let error = KafkaLog::open(config).await.err().unwrap();
    assert!(error.to_string().contains("cleanup.policy=delete"), "{error}");
    control.delete().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replaced_topic_is_read_from_its_beginning() {
    let Some(url) = url("log control::a_replaced_topic_is_read_from_its_beginning") else { return };
    let first = control(&url).await;
    for n in 0..5 {
        put(&first, "key", Some(&n.to_string())).await;
    }
    let (_, mut changes) = first.read().await.unwrap();
    first.delete().await.unwrap();
    let second = opened_again(&url).await;
    put(&second, "other", Some("new")).await;
    assert_eq!(next(&mut changes).await, change("other", Some("new")));
    second.delete().await.unwrap();
}

#[tokio::test]
async fn only_a_kafka_log_has_one() {
    let error = Control::open("memory://", open::Options::default()).await.err().unwrap();
    assert!(matches!(error, LogError::Mismatch(_)) && error.to_string().contains("only a Kafka log"), "{error}");
}

/// Nobody there: an error in time, not a half-read topic.
#[tokio::test]
async fn a_broker_that_does_not_answer_is_an_error() {
    let error = Control::open("kafka://127.0.0.1:1/t", open::Options::default()).await.err().unwrap();
    assert!(error.is_retryable(), "{error}");
}
