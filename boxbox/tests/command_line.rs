//! The command line as a person meets it: mistakes are named, secrets stay out of sight, and what stops says what is left.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the answer")]

mod common;

use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use boxbox_testkit::recording;
use boxbox_testkit::recordings::PHILLIP_ISLAND;
use boxbox_testkit::wait::{PATIENCE, block_until};
use common::{Server, boxbox, wait};

/// What a command printed.
struct Said {
    right: bool,
    out: String,
    err: String,
}

fn said(args: &[&str]) -> Said {
    of(boxbox(args).output().unwrap())
}

fn of(out: std::process::Output) -> Said {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Said { right: out.status.success(), out: text(out.stdout), err: text(out.stderr) }
}

fn up(data: &str) -> Server {
    Server::start(&["up", "--data", data, "--quic-port", "0", "--api-port", "0"])
}

fn signal(child: &Child, name: &str) {
    assert!(Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status().unwrap().success());
}

#[test]
fn a_wrong_option_is_an_error_that_names_what_is_right() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("no-server");
    let data = data.to_str().unwrap();
    let pin = "pin=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let wildcards = ["0.0.0.0", "[::]"].map(|host| format!("boxbox://v4.public.x@{host}:1?{pin}"));
    let cases: &[(&[&str], &str)] = &[
        (&["grant", "create", "--driver", "a", "--days", "0", "--data", data], "1..=36500"),
        (&["grant", "create", "--driver", "a", "--days", "4000000000", "--data", data], "1..=36500"),
        (&["up", "--log", "verbose", "--data", data], "target=level"),
        (&["up", "--log", "boxbox=loud", "--data", data], "target=level"),
        (&["up", "--log", "", "--data", data], "target=level"),
        (&["up", "--quic-host", "0.0.0.0", "--data", data], "--public-host"),
        (&["up", "--quic-host", "::", "--data", data], "--public-host"),
        (&["grant", "create", "--driver", "a", "--data", data], "--new"),
        (&["grant", "create", "--driver", "a", "--data", data, "--new", "--public-host", "0.0.0.0"], "--public-host"),
        (&["grant", "create", "--driver", "a", "--data", data, "--new", "--host", "::"], "--public-host"),
        (&["grant", "create", "--driver", "a", "--data", data, "--new", "--host", "example.org:7443"], "without a port"),
        (&["simulate", "--to", &wildcards[0]], "--public-host"),
        (&["simulate", "--to", &wildcards[1]], "--public-host"),
        (&["spool", "send", "--data", data], "--to-file"),
        (&["spool", "delete", "abc", "--data", data], "spool list"),
    ];
    for (args, advice) in cases {
        let said = said(args);
        assert!(!said.right && said.err.contains(advice), "{args:?}: {}", said.err);
        assert!(said.out.is_empty() && !said.err.contains("v4.public"), "{args:?}: {}", said.out);
    }
    let grants = Path::new(data).join("auth/grants.jsonl");
    assert!(!grants.exists(), "a grant that nobody can use was not made");
}

#[test]
fn a_grant_needs_the_servers_folder_or_a_word_that_a_new_one_is_meant() {
    let folder = tempfile::tempdir().unwrap();
    let typo = folder.path().join("boxbox-dta");
    let refused = said(&["grant", "create", "--driver", "anna", "--data", typo.to_str().unwrap()]);
    assert!(!refused.right && !typo.exists(), "nothing is made: {}", refused.err);
    let meant = said(&["grant", "create", "--driver", "anna", "--data", typo.to_str().unwrap(), "--new"]);
    assert!(meant.right && meant.out.starts_with("boxbox://") && meant.err.contains("127.0.0.1"), "{}", meant.err);
    let known = said(&["grant", "create", "--driver", "bob", "--data", typo.to_str().unwrap()]);
    assert!(known.right, "now it is a folder of grants: {}", known.err);
}

#[test]
fn a_server_makes_one_grant_and_shows_it_at_each_start() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let grants = || said(&["grant", "list", "--data", data]).out.lines().filter(|line| line.contains("send")).map(str::to_owned).collect::<Vec<_>>();
    let token = |server: &Server| server.connect.split('@').next().unwrap().to_owned();
    let first = up(data);
    let shown = token(&first);
    first.kill();
    let second = up(data);
    assert_eq!(token(&second), shown);
    assert_eq!(grants().len(), 1, "{:?}", grants());
    // Another is made when this one is of no use any more.
    let id = grants()[0].split_whitespace().next().unwrap().to_owned();
    assert!(said(&["grant", "revoke", &id, "--data", data]).right);
    second.kill();
    let third = up(data);
    assert_ne!(token(&third), shown);
    assert_eq!(grants().len(), 2, "{:?}", grants());
    third.kill();
    // After a change of keys it is the same grant, signed by the key in use.
    assert!(said(&["grant", "rotate", "--data", data]).right);
    let mut keys: Vec<_> = std::fs::read_dir(folder.path().join("auth/keys")).unwrap().map(|e| e.unwrap().path()).collect();
    keys.sort();
    std::fs::remove_file(&keys[0]).unwrap();
    let fourth = up(data);
    assert_eq!(grants().len(), 2, "{:?}", grants());
    let simulated = said(&["simulate", "--to", &fourth.connect, "--laps", "1", "--speed", "50"]);
    assert!(simulated.right, "{}", simulated.err);
}

#[test]
fn lists_that_a_crash_cut_short_are_read_and_written_whole() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let made = said(&["grant", "create", "--driver", "anna", "--data", data, "--new"]);
    assert!(made.right, "{}", made.err);
    let (revoked, grants) = (folder.path().join("auth/revoked"), folder.path().join("auth/grants.jsonl"));
    let id = "0123456789abcdef0123456789abcdef";
    let whole = std::fs::read(&grants).unwrap();
    for tail in ["0", "0123", &id[..31], "01\0\0\0", "\0\0\0\0"] {
        std::fs::write(&revoked, format!("{id}\n{tail}")).unwrap();
        // An entry that a crash cut off.
        std::fs::write(&grants, [&whole[..], &whole[..whole.len() / 2]].concat()).unwrap();
        let list = said(&["grant", "list", "--data", data]);
        assert!(list.right, "{tail:?}: {}", list.err);
        let again = said(&["grant", "create", "--driver", "bob", "--data", data]);
        assert!(again.right, "{tail:?}: {}", again.err);
        assert_eq!(said(&["grant", "list", "--data", data]).out.lines().count(), 2, "the new grant is on a line of its own");
        let other = "fedcba9876543210fedcba9876543210";
        assert!(said(&["grant", "revoke", other, "--data", data]).right);
        assert_eq!(std::fs::read_to_string(&revoked).unwrap(), format!("{id}\n{other}\n"), "{tail:?}");
    }
    // What is no part of an id was not left by a crash: it may be an id that somebody mistyped.
    for wrong in ["x", "0123456789abcdef0123456789abcdeg", "0123456789abcdef0123456789abcdef0", "0\n"] {
        std::fs::write(&revoked, format!("{id}\n{wrong}")).unwrap();
        assert!(!said(&["grant", "list", "--data", data]).right, "{wrong:?}");
    }
    // Nothing else is left in the folder, whatever was written how often.
    let left: Vec<String> = std::fs::read_dir(folder.path().join("auth")).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    assert!(left.iter().all(|name| !name.contains("part")), "{left:?}");
}

#[cfg(unix)]
#[test]
fn a_hangup_drains_unless_the_process_is_to_outlive_its_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let start = ["up", "--log", "info", "--data", data, "--quic-port", "0", "--api-port", "0"];
    let mut child = boxbox(&start).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    block_until("it listens", || folder.path().join("run.json").exists());
    // With the terminal goes what the process writes to.
    drop((child.stdout.take(), child.stderr.take()));
    signal(&child, "HUP");
    assert!(wait(&mut child, PATIENCE).success());
    assert!(!folder.path().join("run.json").exists(), "it has drained");
    // `nohup` makes the signal ignored, and so it stays.
    let args = ["up", "--data", data, "--quic-port", "0", "--api-port", "0"];
    let mut nohup = boxbox(&[]);
    nohup = {
        let mut command = Command::new("sh");
        command.args(["-c", "trap '' HUP; exec \"$@\"", "sh"]).arg(nohup.get_program()).args(args).stdin(Stdio::null());
        command
    };
    let server = Server::start_by(nohup, &args);
    assert!(Command::new("kill").args(["-HUP", &server.pid().to_string()]).status().unwrap().success());
    std::thread::sleep(std::time::Duration::from_secs(1));
    assert_eq!(server.ask("/livez", None).0, 200);
}

#[test]
fn logs_in_a_file_have_no_colours() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let mut child = boxbox(&["up", "--log", "debug", "--data", data, "--quic-port", "0", "--api-port", "0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    block_until("it listens", || folder.path().join("run.json").exists());
    signal(&child, "TERM");
    assert!(wait(&mut child, PATIENCE).success());
    let said = of(child.wait_with_output().unwrap());
    assert!(said.err.contains("INFO") && !said.err.contains('\u{1b}') && !said.out.contains('\u{1b}'), "{}", said.err);
}

/// The command line of a process as every user of the machine reads it.
#[cfg(target_os = "linux")]
fn seen(pid: u32) -> String {
    String::from_utf8_lossy(&std::fs::read(format!("/proc/{pid}/cmdline")).unwrap()).into_owned()
}

#[cfg(target_os = "linux")]
#[test]
fn a_connect_string_is_read_from_wherever_it_is_and_seen_by_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let server = up(data);
    let secret = server.connect.split('@').next().unwrap().trim_start_matches("boxbox://").to_owned();
    let file = folder.path().join("connect");
    std::fs::write(&file, format!("# Anna's\n\n{}\n", server.connect)).unwrap();
    let race = ["--laps", "1", "--speed", "20"];
    let equals = format!("--to={}", server.connect);
    let ways: [&[&str]; 5] = [&["--to", &server.connect], &[&equals], &["--to", "-"], &["--to-file", file.to_str().unwrap()], &["--to-file", "-"]];
    for way in ways {
        let mut child =
            boxbox(&[&["simulate"], way, &race].concat()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let _ = child.stdin.take().unwrap().write_all(server.connect.as_bytes());
        block_until("it runs, and the secret is not in the list of processes", || {
            let seen = seen(child.id());
            seen.contains("simulate") && !seen.contains(&secret)
        });
        let said = of(child.wait_with_output().unwrap());
        assert!(said.right && !said.err.contains(&secret), "{way:?}: {}", said.err);
    }
    let both = said(&["simulate", "--to", &server.connect, "--to-file", file.to_str().unwrap()]);
    assert!(!both.right && both.err.contains("--to-file") && !both.err.contains(&secret), "{}", both.err);
}

#[test]
fn a_replay_that_is_stopped_says_what_is_left_and_the_spool_can_be_sent_elsewhere_or_deleted() {
    let Some(file) = recording("a_replay_that_is_stopped_says_what_is_left", PHILLIP_ISLAND) else { return };
    let folder = tempfile::tempdir().unwrap();
    let (server_data, client) = (folder.path().join("server"), folder.path().join("client"));
    let client = client.to_str().unwrap();
    let server = up(server_data.to_str().unwrap());
    let connect = folder.path().join("connect");
    std::fs::write(&connect, &server.connect).unwrap();
    // A mistyped address: nobody answers there.
    let (token, address) = server.connect.split_once('@').unwrap();
    let typo = folder.path().join("typo");
    std::fs::write(&typo, format!("{token}@127.0.0.1:9?{}", address.split_once('?').unwrap().1)).unwrap();

    let stop = |to: &Path, speed: &str| {
        let args = ["replay", file.to_str().unwrap(), "--to-file", to.to_str().unwrap(), "--data", client, "--speed", speed];
        let child = boxbox(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        std::thread::sleep(std::time::Duration::from_secs(2));
        signal(&child, "INT");
        of(child.wait_with_output().unwrap())
    };
    let stopped = stop(&connect, "1");
    assert!(!stopped.right && stopped.err.contains("stopped") && stopped.err.contains("acked"), "{}", stopped.err);
    let list = || said(&["spool", "list", "--data", client]);
    assert!(list().out.contains("nothing"), "all of it was acked: {}", list().out);

    let lost = stop(&typo, "max");
    assert!(!lost.right && lost.err.contains("spool list"), "{}", lost.err);
    let listed = list();
    assert!(listed.out.contains("local / driver-1") && listed.out.contains("127.0.0.1:9"), "{}", listed.out);
    let name = listed.out.split_whitespace().next().unwrap().to_owned();

    let kept = said(&["spool", "delete", &name, "--data", client]);
    assert!(!kept.right && kept.err.contains("--yes") && list().out.contains(&name), "without a person nothing is deleted: {}", kept.err);
    let of_bob = said(&["grant", "create", "--driver", "bob", "--data", server_data.to_str().unwrap()]).out;
    let bob = folder.path().join("bob");
    std::fs::write(&bob, of_bob).unwrap();
    let foreign = said(&["spool", "send", &name, "--to-file", bob.to_str().unwrap(), "--data", client]);
    assert!(!foreign.right && foreign.err.contains("local / driver-1"), "another driver's frames are not his: {}", foreign.err);

    let sent = said(&["spool", "send", &name[..6], "--to-file", connect.to_str().unwrap(), "--data", client]);
    assert!(sent.right && sent.out.contains("acked"), "{}{}", sent.out, sent.err);
    assert!(list().out.contains("nothing"), "{}", list().out);
    let session = server.only_session();
    block_until("it is counted", || {
        let ledger = server.get(&format!("/api/v1/sessions/{session}/ledger"));
        ledger["streams"].as_array().is_some_and(|all| all.len() == 2)
    });

    stop(&typo, "max");
    let name = list().out.split_whitespace().next().unwrap().to_owned();
    assert!(said(&["spool", "delete", &name, "--yes", "--data", client]).right);
    assert!(list().out.contains("nothing"), "{}", list().out);
}

/// A closed terminal, `timeout` and others signal twice in a moment: that is one request, and the server drains.
#[cfg(unix)]
#[test]
fn two_signals_in_a_moment_are_one_request_to_stop_and_a_second_one_later_is_another() {
    let start = |data: &str| {
        let mut child =
            boxbox(&["up", "--data", data, "--quic-port", "0", "--api-port", "0"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = common::read_lines(&mut child);
        let api = lines.iter().find_map(|line| line.strip_prefix("API").map(|rest| rest.trim().trim_start_matches("http://").to_owned())).unwrap();
        lines.iter().find(|line| line.starts_with("boxbox://")).unwrap();
        (child, api)
    };
    // A request that is being answered delays the drain.
    let busy = |api: &str| {
        let mut stream = std::net::TcpStream::connect(api).unwrap();
        let head = format!("POST /api/v1/leagues/x/acts HTTP/1.1\r\nHost: {api}\r\nX-Boxbox: 1\r\nContent-Length: 100\r\n\r\n[");
        stream.write_all(head.as_bytes()).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(300));
        stream
    };
    let folder = tempfile::tempdir().unwrap();
    for (first, second) in [("HUP", "HUP"), ("TERM", "TERM"), ("INT", "INT"), ("HUP", "TERM"), ("TERM", "HUP")] {
        let (child, api) = start(folder.path().to_str().unwrap());
        let _held = busy(&api);
        signal(&child, first);
        signal(&child, second);
        let said = of(child.wait_with_output().unwrap());
        assert!(said.right && !said.err.contains("without draining"), "{first} {second}: {}", said.err);
    }
    let later = |second: &str| {
        let (child, api) = start(folder.path().to_str().unwrap());
        let _held = busy(&api);
        signal(&child, "TERM");
        std::thread::sleep(std::time::Duration::from_millis(1_800));
        signal(&child, second);
        of(child.wait_with_output().unwrap())
    };
    let said = later("HUP");
    assert!(said.right, "a hangup is no second request: {}", said.err);
    let said = later("TERM");
    assert!(!said.right && said.err.contains("without draining"), "{}", said.err);
}

/// Also where an argument is in a wrong place, whichever part of the program finds that out.
#[test]
fn no_error_shows_a_connect_string_or_a_grant() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let connect = "boxbox://v4.public.c2VjcmV0@h.example:1?pin=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let cases: &[&[&str]] = &[
        &["replay", connect],
        &["replay", "a.ibt", connect],
        &["replay", "a.ibt", "--speed", connect],
        &["replay", "a.ibt", "--to-file", connect],
        &["simulate", connect],
        &["simulate", "--cars", connect],
        &["spool", "send", connect, "--data", data],
        &["spool", "delete", connect, "--data", data],
        &["grant", "revoke", connect, "--data", data],
        &["grant", "revoke", "v4.public.c2VjcmV0", "--data", data],
        &["up", "--public-host", connect, "--data", data],
        &["up", connect],
        &[connect],
    ];
    for args in cases {
        let said = said(args);
        assert!(!said.right && !said.err.is_empty(), "{args:?}: {}", said.err);
        assert!(!said.out.contains("c2VjcmV0") && !said.err.contains("c2VjcmV0"), "{args:?}: {}{}", said.out, said.err);
    }
}

#[test]
fn what_clients_or_proxies_cannot_use_is_refused_before_anything_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let data = data.to_str().unwrap();
    let up = |more: &[&str]| {
        let args = [&["up", "--data", data, "--quic-port", "0", "--api-port", "0"], more].concat();
        said(&args)
    };
    for host in ["0", "0x0", "000.000.000.000", "0.0.0.0", "::", "127.1", "a:1", "http://a", ""] {
        let said = up(&["--public-host", host]);
        assert!(!said.right && said.err.contains("--public-host"), "{host:?}: {}", said.err);
    }
    for proxy in ["0.0.0.0/0", "::/0", "0.0.0.0/1", "10.0.0.0/8,::/0"] {
        let said = up(&["--trusted-proxy", proxy]);
        assert!(!said.right && said.err.contains("proxy's own address"), "{proxy}: {}", said.err);
    }
    for (size, advice) in [("1000", "64 MiB"), ("63MiB", "64 MiB"), ("lots", "100MiB"), ("1e9", "100MiB")] {
        let said = up(&["--log-max-bytes", size]);
        assert!(!said.right && said.err.contains("--log-max-bytes") && said.err.contains(advice) && !said.err.contains(".."), "{size}: {}", said.err);
    }
    assert!(!Path::new(data).exists(), "nothing was made");
}

/// A variable of a list that is set and empty, as files of settings have them, is a list of nothing.
#[test]
fn no_trusted_proxy_is_named_by_an_empty_variable() {
    let folder = tempfile::tempdir().unwrap();
    let args = ["up", "--data", folder.path().to_str().unwrap(), "--quic-port", "0", "--api-port", "0", "--log-max-bytes", "100MiB"];
    let mut command = boxbox(&args);
    command.env("BOXBOX_TRUSTED_PROXY", "");
    let server = Server::start_by(command, &args);
    assert_eq!(server.ask("/api/v1/sessions", None).0, 200);
    let mut wrong = boxbox(&args);
    wrong.env("BOXBOX_TRUSTED_PROXY", ",");
    assert!(!of(wrong.output().unwrap()).right);
}

#[cfg(unix)]
#[test]
fn a_race_that_is_stopped_says_what_became_of_its_frames() {
    let folder = tempfile::tempdir().unwrap();
    let server = up(folder.path().to_str().unwrap());
    let stop = |connect: &str, after: u64| {
        let file = folder.path().join("connect");
        std::fs::write(&file, connect).unwrap();
        let args = ["simulate", "--to-file", file.to_str().unwrap(), "--laps", "5"];
        let child = boxbox(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(after));
        signal(&child, "INT");
        of(child.wait_with_output().unwrap())
    };
    let said = stop(&server.connect, 3_000);
    assert!(!said.right && said.err.contains("stopped before the flag: all") && said.err.contains("are acked"), "{}", said.err);
    let (token, address) = server.connect.split_once('@').unwrap();
    let said = stop(&format!("{token}@127.0.0.1:9?{}", address.split_once('?').unwrap().1), 2_000);
    assert!(!said.right && said.err.contains("are lost"), "{}", said.err);
}

/// A spool whose description a crash destroyed is listed, and can be deleted.
#[test]
fn a_spool_of_an_unknown_driver_is_listed_and_deleted() {
    let Some(file) = recording("a_spool_of_an_unknown_driver_is_listed_and_deleted", PHILLIP_ISLAND) else { return };
    let folder = tempfile::tempdir().unwrap();
    let (server_data, client) = (folder.path().join("server"), folder.path().join("client"));
    let server = up(server_data.to_str().unwrap());
    let (token, address) = server.connect.split_once('@').unwrap();
    let typo = folder.path().join("typo");
    std::fs::write(&typo, format!("{token}@127.0.0.1:9?{}", address.split_once('?').unwrap().1)).unwrap();
    let client = client.to_str().unwrap();
    let args = ["replay", file.to_str().unwrap(), "--to-file", typo.to_str().unwrap(), "--data", client, "--speed", "max"];
    let child = boxbox(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_secs(2));
    signal(&child, "INT");
    assert!(!of(child.wait_with_output().unwrap()).right);
    let spool = std::fs::read_dir(Path::new(client).join("spool")).unwrap().next().unwrap().unwrap().path();
    std::fs::write(spool.join("about.json"), "").unwrap();
    let list = || said(&["spool", "list", "--data", client]);
    let name = spool.file_name().unwrap().to_str().unwrap();
    assert!(list().out.contains(name) && list().out.contains("an unknown driver"), "{}", list().out);
    let bob = folder.path().join("bob");
    std::fs::write(&bob, said(&["grant", "create", "--driver", "bob", "--data", server_data.to_str().unwrap()]).out).unwrap();
    let foreign = said(&["spool", "send", name, "--to-file", bob.to_str().unwrap(), "--data", client]);
    assert!(!foreign.right && foreign.err.contains("about.json"), "{}", foreign.err);
    assert!(said(&["spool", "delete", name, "--yes", "--data", client]).right);
    assert!(list().out.contains("nothing"), "{}", list().out);
}
