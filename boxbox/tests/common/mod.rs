//! What the end-to-end tests share: the binary, and a server as a child process.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its part of it")]

pub mod car;
pub mod conserved;
pub mod place;
pub mod relay;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use boxbox_testkit::wait::PATIENCE;
use serde_json::Value;

/// The program under test.
pub const BOXBOX: &str = env!("CARGO_BIN_EXE_boxbox");

/// A command line of the program, with a clean environment.
pub fn boxbox(args: &[&str]) -> Command {
    let mut command = clean(BOXBOX);
    command.args(args);
    command
}

/// The same in a process that may open `files` files and sockets at most.
#[cfg(unix)]
pub fn boxbox_within(files: u32, args: &[&str]) -> Command {
    let mut command = clean("sh");
    command.args(["-c", "ulimit -n \"$0\" && exec \"$@\"", &files.to_string(), BOXBOX]).args(args);
    command
}

fn clean(program: &str) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("BOXBOX_")) {
        command.env_remove(name);
    }
    command.stdin(Stdio::null());
    command
}

/// A UDP and TCP port that were free a moment ago.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A `boxbox` that serves; killed when dropped.
pub struct Server {
    child: Child,
    /// What to give clients.
    pub connect: String,
    /// Address of the API, `http://…`.
    pub api: String,
    /// The edge's UDP port and pin, if there is an edge.
    pub edge: Option<(u16, String)>,
}

impl Server {
    /// Start `up` (or another service) and wait until it listens.
    pub fn start(args: &[&str]) -> Server {
        Self::start_by(boxbox(args), args)
    }

    /// The same by another command that runs the program with `args`.
    pub fn start_by(mut command: Command, args: &[&str]) -> Server {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let (lines, api, connect) = (read_lines(&mut child), String::new(), String::new());
        let mut server = Server { child, connect, api, edge: None };
        let until = Instant::now() + PATIENCE;
        let wants_connect = args[0] == "up";
        while let Ok(line) = lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
            // Not the line with the page's address, which says more than the address.
            if let Some(address) = line.strip_prefix("API").or_else(|| line.strip_prefix("health")) {
                server.api = address.trim().to_owned();
            }
            if let Some(address) = line.strip_prefix("sim clients") {
                let port = address.trim().trim_end_matches(" (UDP)").rsplit(':').next().unwrap().parse().unwrap();
                server.edge = Some((port, String::new()));
            }
            if let (Some(pin), Some(edge)) = (line.strip_prefix("pin "), &mut server.edge) {
                edge.1 = pin.trim().to_owned();
            }
            let last = if wants_connect { line.starts_with("boxbox://") } else { line.starts_with("data") };
            if wants_connect && last {
                server.connect = line;
            }
            if last {
                std::thread::spawn(move || lines.iter().for_each(drop));
                return server;
            }
        }
        panic!("{args:?} ended or said nothing: {:?}", server.child.try_wait());
    }

    /// kill -9.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, and the exit status.
    #[cfg(unix)]
    pub fn terminate(mut self) -> std::process::ExitStatus {
        let status = Command::new("kill").arg("-TERM").arg(self.child.id().to_string()).status().unwrap();
        assert!(status.success());
        wait(&mut self.child, PATIENCE)
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Status and body of an answer, under a grant or without one; 0 if there was none.
    pub fn ask(&self, path: &str, grant: Option<&str>) -> (u16, String) {
        let request =
            ureq::get(format!("{}{path}", self.api)).config().http_status_as_error(false).timeout_global(Some(Duration::from_secs(10))).build();
        let request = match grant {
            Some(grant) => request.header("Authorization", format!("Bearer {grant}")),
            None => request,
        };
        match request.call() {
            Ok(mut answer) => (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap_or_default()),
            Err(error) => (0, error.to_string()),
        }
    }

    /// What the process counts under a name.
    pub fn metric(&self, name: &str) -> f64 {
        let (_, text) = self.ask("/metrics", None);
        let of = |line: &str| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse::<f64>().ok();
        text.lines().find_map(of).unwrap_or_else(|| panic!("no metric {name}: {text}"))
    }

    /// GET a JSON document.
    pub fn get(&self, path: &str) -> Value {
        get(&format!("{}{path}", self.api))
    }

    /// The one session there is, when it is there.
    pub fn only_session(&self) -> String {
        let sessions = self.get("/api/v1/sessions");
        let sessions = sessions["sessions"].as_array().unwrap();
        assert_eq!(sessions.len(), 1, "{sessions:?}");
        sessions[0]["id"].as_str().unwrap().to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// GET a JSON document.
pub fn get(url: &str) -> Value {
    let text = ureq::get(url).call().unwrap().body_mut().read_to_string().unwrap();
    serde_json::from_str(&text).unwrap()
}

/// Lines of a child's standard output, read by a thread so that it never blocks.
pub fn read_lines(child: &mut Child) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    let out = BufReader::new(child.stdout.take().unwrap());
    std::thread::spawn(move || {
        for line in out.lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

/// Wait for a child, but not for ever.
pub fn wait(child: &mut Child, within: Duration) -> std::process::ExitStatus {
    let until = Instant::now() + within;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if Instant::now() > until {
            let _ = child.kill();
            panic!("a process did not end within {within:?}");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// What must happen within five seconds has, since `since`; the margin is for a loaded machine.
pub fn in_time(test: &str, what: &str, since: Instant) {
    eprintln!("{test}: {what} within {:?} (goal: 5 s)", since.elapsed());
    assert!(since.elapsed() < Duration::from_secs(25), "{what}: {:?}", since.elapsed());
}

/// The objects that `replay --json` prints.
pub struct Replayed {
    /// All of them, in order.
    pub all: Vec<Value>,
}

impl Replayed {
    /// Run a replay to its end; it must succeed and print only JSON objects.
    pub fn run(args: &[&str]) -> Replayed {
        let out = boxbox(&[&["replay", "--json"], args].concat()).output().unwrap();
        assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
        Self::parse(&String::from_utf8(out.stdout).unwrap())
    }

    /// From the output.
    pub fn parse(text: &str) -> Replayed {
        Replayed { all: text.lines().map(|l| serde_json::from_str(l).unwrap_or_else(|e| panic!("{l}: {e}"))).collect() }
    }

    /// The objects of a type.
    pub fn of(&self, kind: &str) -> Vec<&Value> {
        self.all.iter().filter(|v| v["type"] == kind).collect()
    }
}

/// A lap table without what may differ between two tellings of the same laps: run, revision, frame counts.
pub fn lap_table(laps: &Value) -> Vec<Value> {
    let keys = ["entry", "number", "time_us", "sim_time_us", "sectors_us", "start_us", "end_us", "valid", "reasons"];
    let pick = |lap: &Value| Value::Object(keys.iter().map(|k| ((*k).to_owned(), lap[k].clone())).collect());
    laps["laps"].as_array().unwrap().iter().map(pick).collect()
}
