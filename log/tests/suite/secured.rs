//! Logging in to a real broker: the right password works, a wrong one is an error that a person can read, and shows no
//! password.
//!
//! `KAFKA_SASL_BROKERS`, `KAFKA_SASL_USER`, `KAFKA_SASL_PASSWORD_FILE`: a listener with SASL PLAIN, without TLS.
//! `KAFKA_TLS_BROKERS`, `KAFKA_TLS_CA`: one with TLS and the same login; needs the cargo feature `kafka-tls`. If the user can log
//! in there by SCRAM too, `KAFKA_SCRAM` says how: `scram-sha-256,scram-sha-512`.

use std::time::Duration;

use boxbox_log::control::Control;
use boxbox_log::kafka::{KafkaConfig, KafkaLog, Mechanism, Sasl, Security};
use boxbox_log::{LogError, open};
use boxbox_schemas::secret::Secret;
use boxbox_testkit::not_run;

use crate::bed::{Heard, append, read, record};

const WRONG: &[u8] = b"a-password-that-is-wrong";

struct Login {
    brokers: String,
    user: String,
    password: Secret,
}

/// What the variables say, or `None` (said as NOT RUN).
fn login(test: &str, brokers: &str) -> Option<Login> {
    let get = |name: &str| {
        let value = std::env::var(name).ok();
        if value.is_none() {
            not_run(test, format!("{name} is not set (cargo xtask stack up --kafka-sasl --kafka-tls starts such a broker)"));
        }
        value
    };
    let (brokers, user, file) = (get(brokers)?, get("KAFKA_SASL_USER")?, get("KAFKA_SASL_PASSWORD_FILE")?);
    let password = Secret::from_file_content(&std::fs::read(file).unwrap()).unwrap();
    Some(Login { brokers, user, password })
}

/// A log through this listener: write, read, and the control topic; then the same with a wrong password.
async fn log_in(login: &Login, options: &str) {
    let topic = format!("boxbox-test-{:016x}", fastrand::u64(..));
    let url = format!("kafka://{}/{topic}?partitions=2&user={}&{options}", login.brokers, login.user);
    let with = |password: &Secret| open::Options { kafka_password: Some(password.clone()), ..open::Options::default() };

    let log = boxbox_log::open(&url, with(&login.password)).await.unwrap();
    let heard = Heard::new();
    let writer = log.writer(heard.clone()).unwrap();
    append(&*writer, 1, 7, 0, 500).await;
    heard.exactly(1).await;
    let mut reader = log.reader(1, 0).await.unwrap();
    assert_eq!(read(&mut *reader, 1).await[0].record, record(7, 0, 500));
    let control = Control::open(&url, with(&login.password)).await.unwrap();
    control.put("key", Some(b"value".to_vec())).await.unwrap();
    assert_eq!(control.read().await.unwrap().0.len(), 1);
    control.delete().await.unwrap();

    let wrong = Secret::from_file_content(WRONG).unwrap();
    let began = std::time::Instant::now();
    let error = boxbox_log::open(&url, with(&wrong)).await.err().expect("a wrong password lets nobody in");
    eprintln!("wrong password, after {:?}: {error}", began.elapsed());
    assert!(matches!(error, LogError::Refused(_)) && !error.is_retryable(), "{error:?}");
    assert!(error.to_string().to_lowercase().contains("authentication"), "{error}");
    let said = format!("{error} {error:?}");
    assert!(!said.contains(login.password.expose()) && !said.contains("that-is-wrong"), "{said}");
    let error = Control::open(&url, with(&wrong)).await.err().unwrap();
    assert!(matches!(error, LogError::Refused(_)), "{error:?}");
    drop((writer, reader, log));
    // The topic goes the way it came.
    let mechanism = match options {
        _ if options.contains("scram-sha-256") => Mechanism::ScramSha256,
        _ if options.contains("scram-sha-512") => Mechanism::ScramSha512,
        _ => Mechanism::Plain,
    };
    let tls = options.contains("tls=on").then(|| boxbox_log::kafka::Tls { ca: std::env::var_os("KAFKA_TLS_CA").map(Into::into) });
    let sasl = Some(Sasl { mechanism, user: login.user.clone(), password: login.password.clone() });
    let config = KafkaConfig { security: Security { tls, sasl }, ..KafkaConfig::new(&login.brokers, topic) };
    KafkaLog::open(config).await.unwrap().delete().await.unwrap();
    close().await;
}

/// With OpenSSL inside, a process must not end while its clients close.
async fn close() {
    tokio::task::spawn_blocking(|| boxbox_log::kafka::wait_until_closed(Duration::from_secs(5))).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plain_lets_in_with_the_right_password_only() {
    let Some(login) = login("log secured::plain_lets_in_with_the_right_password_only", "KAFKA_SASL_BROKERS") else { return };
    log_in(&login, "sasl=plain").await;
}

#[cfg(feature = "kafka-tls")]
mod tls {
    use super::*;

    fn tls(test: &str) -> Option<(Login, String)> {
        let login = login(test, "KAFKA_TLS_BROKERS")?;
        match std::env::var("KAFKA_TLS_CA") {
            Ok(ca) => Some((login, ca)),
            Err(_) => {
                not_run(test, "KAFKA_TLS_CA is not set (cargo xtask stack up --kafka-sasl --kafka-tls starts such a broker)");
                None
            }
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn plain_over_tls() {
        let Some((login, ca)) = tls("log secured::tls::plain_over_tls") else { return };
        log_in(&login, &format!("tls=on&ca={ca}&sasl=plain")).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn scram_over_tls() {
        const TEST: &str = "log secured::tls::scram_over_tls";
        let Some((login, ca)) = tls(TEST) else { return };
        let Ok(mechanisms) = std::env::var("KAFKA_SCRAM") else {
            return not_run(TEST, "KAFKA_SCRAM is not set: no broker is known whose user has SCRAM credentials");
        };
        for mechanism in mechanisms.split(',') {
            log_in(&login, &format!("tls=on&ca={ca}&sasl={mechanism}")).await;
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_broker_whose_certificate_nobody_knows_is_refused() {
        let Some((login, _)) = tls("log secured::tls::a_broker_whose_certificate_nobody_knows_is_refused") else { return };
        // The system's certificates do not vouch for a test's broker.
        let url = format!("kafka://{}/t?tls=on&sasl=plain&user={}", login.brokers, login.user);
        let options = open::Options { kafka_password: Some(login.password), ..open::Options::default() };
        let error = boxbox_log::open(&url, options).await.err().unwrap();
        assert!(matches!(error, LogError::Refused(_)) && error.to_string().contains("certificate"), "{error}");
        close().await;
    }
}
