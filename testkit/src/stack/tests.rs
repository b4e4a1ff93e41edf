//! What a stack refuses, without starting anything; and real parts through all that can be done to them.

use std::path::Path;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{ConnectOptions, Connection, PgConnection};

use super::folder::{OUTSIDE_PREFIX, folder_of, lock_file};
use super::process::State;
use super::*;
use crate::{not_run, tools};

/// A stack for a test; `None`, with the reason printed, on a machine that lacks what it needs.
fn up(test: &str, options: Options) -> Option<Stack> {
    match Stack::up(options) {
        Ok(stack) => Some(stack),
        Err(error) => {
            let missing = tools::missing(&error).unwrap_or_else(|| panic!("{error:?}"));
            not_run::not_run(test, missing);
            None
        }
    }
}

fn state(stack: &Stack, part: &str) -> State {
    stack.state(stack.record().part(part).unwrap())
}

fn answers(stack: &Stack, part: &str) -> bool {
    let part = stack.record().part(part).unwrap();
    part.engine.service().answers(&stack.files(part)).unwrap()
}

/// Every process that names the folder in its command line or has its working folder in it, as PostgreSQL's children have.
fn processes(folder: &Path) -> Vec<i32> {
    let needle = folder.display().to_string();
    let pids = std::fs::read_dir("/proc").into_iter().flatten().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let names = |pid: &i32| process_table::command_line(*pid).is_some_and(|line| line.contains(&needle) && !line.contains(" tether "));
    let lives = |pid: &i32| std::fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd.starts_with(folder));
    pids.filter(|pid| names(pid) || lives(pid)).collect()
}

#[test]
fn names_are_folders_and_nothing_else() {
    for bad in ["", "..", "a/b", "A", "a b", &"x".repeat(41)] {
        assert!(folder_of(bad).is_err(), "{bad:?}");
    }
    assert!(folder_of("owned-123-00ff").is_ok());
    assert!(Stack::open("no-such-stack").unwrap_err().to_string().contains("stack up --name no-such-stack"));
    assert!(Stack::down_by_name("no-such-stack", true).is_err());
}

#[test]
fn a_foreign_folder_is_not_taken_for_a_stack() {
    let options = Options::owned();
    let folder = folder_of(&options.name).unwrap();
    std::fs::create_dir_all(&folder).unwrap();
    let error = Stack::up(options.clone()).unwrap_err().to_string();
    assert!(error.contains("is no stack") && error.contains("--wipe"), "{error}");
    Stack::down_by_name(&options.name, true).unwrap();
    assert!(!folder.exists());
    std::fs::remove_file(lock_file(&folder)).unwrap();
}

#[test]
fn a_folder_of_its_own_elsewhere_goes_with_the_stack_and_no_other_does() {
    let (dir, options) = (tempfile::tempdir().unwrap(), Options::empty());
    let folder = folder_of(&options.name).unwrap();
    let (own, foreign) = (dir.path().join(format!("{OUTSIDE_PREFIX}1")), dir.path().join("foreign"));
    for made in [&folder, &own, &foreign] {
        std::fs::create_dir_all(made.join("data")).unwrap();
    }
    std::os::unix::fs::symlink(&own, folder.join("postgres")).unwrap();
    std::os::unix::fs::symlink(&foreign, folder.join("other")).unwrap();
    Stack::down_by_name(&options.name, true).unwrap();
    assert!(!folder.exists() && !own.exists() && foreign.join("data").exists());
    std::fs::remove_file(lock_file(&folder)).unwrap();
}

#[test]
fn a_broker_survives_kill_9_on_its_port_and_leaves_nothing_behind() {
    let Some(stack) = up("a_broker_survives_kill_9_on_its_port_and_leaves_nothing_behind", Options::owned()) else {
        return;
    };
    let kafka = stack.record().kafka().next().unwrap().clone();
    assert!(answers(&stack, "kafka"));

    stack.kill_kafka().unwrap();
    assert_eq!(state(&stack, "kafka"), State::Gone);
    assert!(!answers(&stack, "kafka"));

    let taken = std::net::TcpListener::bind(("127.0.0.1", kafka.port)).unwrap();
    let refused = stack.start_kafka().unwrap_err().to_string();
    assert!(refused.contains(&kafka.port.to_string()) && refused.contains("taken"), "{refused}");
    drop(taken);

    stack.start_kafka().unwrap();
    assert!(answers(&stack, "kafka"), "the same cluster on the same port");
    let other = Engine::Kafka(Kafka { cluster: "someone-else".into(), ..kafka.clone() });
    let files = stack.files(stack.record().part("kafka").unwrap());
    assert!(other.service().answers(&files).unwrap_err().to_string().contains("another stack"));

    let folder = stack.folder().to_path_buf();
    drop(stack);
    assert!(!folder.exists() && processes(&folder).is_empty());
}

#[test]
fn a_broker_that_dies_at_start_tells_its_last_words() {
    let mut options = Options::owned();
    let kafka = options.kafka.as_mut().unwrap();
    kafka.settings.insert("num.io.threads".into(), "none".into());
    let error = Stack::up(options).unwrap_err();
    if let Some(missing) = tools::missing(&error) {
        return not_run::not_run("a_broker_that_dies_at_start_tells_its_last_words", missing);
    }
    assert!(format!("{error:#}").contains("num.io.threads"), "{error:#}");
}

/// A node down, the controller maybe with it, and a node that is back when nobody else is.
#[test]
fn nodes_of_a_cluster_die_and_come_back_one_by_one() {
    let kafka = KafkaOptions { nodes: Some(3), sasl: true, tls: true, ..KafkaOptions::default() };
    let options = Options { kafka: Some(kafka), ..Options::empty() };
    let Some(stack) = up("nodes_of_a_cluster_die_and_come_back_one_by_one", options) else {
        return;
    };
    let variables = stack.variables();
    let nodes = |name: &str| variables.iter().find(|(variable, _)| variable == name).unwrap().1.split(',').count();
    assert_eq!(["KAFKA_BROKERS", "KAFKA_SASL_BROKERS", "KAFKA_TLS_BROKERS"].map(nodes), [3, 3, 3]);
    for part in ["kafka-1", "kafka-2", "kafka-3"] {
        assert!(answers(&stack, part), "{part}");
    }
    for port in stack.record().ports() {
        std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    }
    stack.kill("kafka-1").unwrap();
    assert!(!answers(&stack, "kafka-1"));
    stack.start("kafka-1").unwrap();
    assert!(answers(&stack, "kafka-1"));

    stack.kill("kafka").unwrap();
    stack.start("kafka-3").unwrap();
    assert!(!answers(&stack, "kafka-3"), "alone it agrees with nobody");
    stack.start("kafka").unwrap();
    assert!(answers(&stack, "kafka-3"));
}

async fn postgres(stack: &Stack, tls: PgSslMode) -> sqlx::Result<PgConnection> {
    let options: PgConnectOptions = stack.postgres_url().unwrap().parse()?;
    let password = std::fs::read_to_string(stack.postgres_password_file().unwrap()).unwrap();
    options.password(&password).ssl_mode(tls).ssl_root_cert(stack.postgres_ca().unwrap()).connect().await
}

/// Runs statements and gives the number that the last one says.
fn ask_postgres(stack: &Stack, statements: &[&'static str]) -> i64 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut connection = postgres(stack, PgSslMode::VerifyFull).await.unwrap();
        let (last, before) = statements.split_last().unwrap();
        for statement in before {
            sqlx::query(*statement).execute(&mut connection).await.unwrap();
        }
        let answer = sqlx::query_scalar(*last).fetch_one(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        answer
    })
}

/// Status and answer of a statement.
fn ask_clickhouse(stack: &Stack, user: &str, statement: &str) -> (u16, String) {
    let url = stack.clickhouse_url().unwrap();
    let address = url.split_once('@').unwrap().1.split_once('/').unwrap().0.to_owned();
    let password = std::fs::read_to_string(stack.clickhouse_password_file().unwrap()).unwrap();
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(Duration::from_secs(20))).build().into();
    let request = agent.post(format!("http://{address}/?database=boxbox")).header("X-ClickHouse-User", user);
    let request = if user == "boxbox" { request.header("X-ClickHouse-Key", password) } else { request };
    let mut answer = request.send(statement).unwrap();
    (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap().trim().to_owned())
}

#[test]
fn databases_keep_their_data_through_all_that_can_be_done_to_them() {
    let test = "databases_keep_their_data_through_all_that_can_be_done_to_them";
    let Some(stack) = up(test, Options { kafka: None, ..Options::server() }) else {
        return;
    };
    let folder = stack.folder().to_path_buf();
    let rows = "SELECT count(*) FROM laps";
    assert_eq!(ask_postgres(&stack, &["CREATE TABLE laps (n bigint)", "INSERT INTO laps VALUES (1)", rows]), 1);
    assert_eq!(ask_postgres(&stack, &["SELECT count(*) FROM pg_settings WHERE (name, setting) IN (('fsync', 'on'), ('data_checksums', 'on'))"]), 2);
    let clickhouse = |statement: &str| ask_clickhouse(&stack, "boxbox", statement);
    assert_eq!(clickhouse("CREATE TABLE frames (n Int64) ENGINE = MergeTree ORDER BY n").0, 200);
    assert_eq!(clickhouse("INSERT INTO frames SELECT number FROM numbers(1000)").0, 200);
    assert_eq!(clickhouse("SELECT count() FROM system.tables WHERE database = 'system' AND engine LIKE '%MergeTree'").1, "0");
    assert_eq!(ask_clickhouse(&stack, "default", "SELECT count() FROM frames").0, 403, "who names no user sees nothing");

    // Killed and back.
    for part in ["postgres", "clickhouse"] {
        stack.kill(part).unwrap();
        assert_eq!(state(&stack, part), State::Gone);
        assert!(!answers(&stack, part));
        stack.start(part).unwrap();
        assert!(answers(&stack, part));
    }
    assert_eq!((ask_postgres(&stack, &[rows]), clickhouse("SELECT count() FROM frames").1.as_str()), (1, "1000"));

    // Paused: running, silent, and itself again afterwards.
    let asking = |part: &str| {
        stack.pause(part).unwrap();
        assert!(matches!(state(&stack, part), State::Running(pid) if process::is_paused(pid)));
        let silent = !answers(&stack, part);
        stack.resume(part).unwrap();
        silent
    };
    assert!(asking("postgres") && asking("clickhouse"));
    stack.pause("postgres").unwrap();
    stack.start("postgres").unwrap();
    assert_eq!(ask_postgres(&stack, &[rows]), 1);

    // Set aside, changed, and put back, twice from one copy.
    let dir = tempfile::tempdir().unwrap();
    let copies = ["postgres", "clickhouse"].map(|part| {
        let copy = dir.path().join(part);
        stack.save(part, &copy).unwrap();
        assert!(stack.save(part, &copy).is_err() && answers(&stack, part), "a copy is not written over, and the part runs again");
        (part, copy)
    });
    for _ in 0..2 {
        assert_eq!(ask_postgres(&stack, &["INSERT INTO laps VALUES (2)", rows]), 2);
        assert_eq!(clickhouse("TRUNCATE TABLE frames").0, 200);
        for (part, copy) in &copies {
            stack.put_back(part, copy).unwrap();
        }
        assert_eq!((ask_postgres(&stack, &[rows]), clickhouse("SELECT count() FROM frames").1.as_str()), (1, "1000"));
    }
    assert!(stack.put_back("postgres", &copies[1].1).unwrap_err().to_string().contains("PG_VERSION"));

    // Stopped cleanly, and saved as it lies.
    for part in ["postgres", "clickhouse"] {
        stack.stop(part).unwrap();
        assert_eq!(state(&stack, part), State::Stopped);
    }
    let log = |part: &str| std::fs::read_to_string(stack.files(stack.record().part(part).unwrap()).file("log")).unwrap();
    assert_eq!(log("clickhouse"), "", "the launcher complains of an end that was not clean");
    assert!(log("postgres").trim_end().ends_with("database system is shut down"));
    stack.start("clickhouse").unwrap();
    stack.save("postgres", &dir.path().join("lying")).unwrap();
    assert_eq!(state(&stack, "postgres"), State::Stopped, "what did not run does not run after a save");
    stack.start("postgres").unwrap();
    stack.pause("clickhouse").unwrap(); // even so it goes down
    let home = stack.files(stack.record().part("postgres").unwrap()).home();
    stack.down().unwrap();
    assert!(!folder.exists() && !home.exists());
    assert_eq!(processes(&folder).len() + processes(&home).len(), 0);
}

#[test]
fn a_stranger_gets_no_further_than_the_door() {
    let postgres_only = Options { postgres: Some(PostgresOptions::default()), ..Options::empty() };
    let Some(stack) = up("a_stranger_gets_no_further_than_the_door", postgres_only) else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        postgres(&stack, PgSslMode::Disable).await.unwrap().close().await.unwrap();
        let options: PgConnectOptions = stack.postgres_url().unwrap().parse().unwrap();
        let refused = options.password("wrong").connect().await.unwrap_err().to_string();
        assert!(refused.contains("password authentication failed"), "{refused}");
    });
}
