//! What a stack refuses, without starting anything; and one real broker through kill -9 and back.

use super::*;

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
fn a_broker_survives_kill_9_on_its_port_and_leaves_nothing_behind() {
    let stack = match Stack::up(Options::owned()) {
        Ok(stack) => stack,
        Err(error) => match tools::missing(&error) {
            Some(missing) => {
                return crate::not_run::not_run("a_broker_survives_kill_9_on_its_port_and_leaves_nothing_behind", missing);
            }
            None => panic!("{error:?}"),
        },
    };
    let kafka = stack.record().kafka().unwrap().clone();
    assert!(kafka.answers().unwrap());
    let part = stack.record().part("kafka").unwrap().clone();

    stack.kill_kafka().unwrap();
    assert_eq!(stack.state(&part), State::Gone);
    assert!(!kafka.answers().unwrap());

    let taken = std::net::TcpListener::bind(("127.0.0.1", kafka.port)).unwrap();
    let refused = stack.start_kafka().unwrap_err().to_string();
    assert!(refused.contains(&kafka.port.to_string()) && refused.contains("taken"), "{refused}");
    drop(taken);

    stack.start_kafka().unwrap();
    assert!(kafka.answers().unwrap(), "the same cluster on the same port");
    let other = Kafka { cluster: "someone-else".into(), ..kafka.clone() };
    assert!(other.answers().unwrap_err().to_string().contains("another stack"));

    let folder = stack.folder().to_path_buf();
    drop(stack);
    assert!(!folder.exists() && !kafka.answers().unwrap());
}

#[test]
fn a_broker_that_dies_at_start_tells_its_last_words() {
    let mut options = Options::owned();
    let kafka = options.kafka.as_mut().unwrap();
    kafka.settings.insert("num.io.threads".into(), "none".into());
    let error = Stack::up(options).unwrap_err();
    if let Some(missing) = tools::missing(&error) {
        return crate::not_run::not_run("a_broker_that_dies_at_start_tells_its_last_words", missing);
    }
    assert!(format!("{error:#}").contains("num.io.threads"), "{error:#}");
}
