//! Attacks on the API: connections that do nothing, and its heaviest requests. Each runs on separate threads.

use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::sender::Counts;

/// Connections that are held open at once.
const HELD: usize = 1_000;
/// Threads that ask.
const ASKING: usize = 8;
/// How often a channel is named in a request.
const REPEATED: usize = 800;
/// Pause between looks at what was closed.
const PAUSE: Duration = Duration::from_millis(200);

/// Holds connections open that have sent half a request, until `over`.
pub fn idle(api: &str, counts: &Counts, over: &AtomicBool) {
    let Some(address) = api.strip_prefix("http://") else { return };
    let mut held: Vec<TcpStream> = vec![];
    while !over.load(Ordering::Relaxed) {
        held.retain(|one| one.set_nonblocking(true).is_ok() && !matches!(one.peek(&mut [0]), Ok(0)));
        while held.len() < HELD && !over.load(Ordering::Relaxed) {
            match TcpStream::connect(address).and_then(|mut one| one.write_all(b"GET /livez HTTP/1.1\r\nhost: a\r\n").map(|()| one)) {
                Ok(one) => {
                    counts.connected.fetch_add(1, Ordering::Relaxed);
                    held.push(one);
                }
                Err(reason) => {
                    counts.close(&reason.into());
                    break;
                }
            }
        }
        std::thread::sleep(PAUSE);
    }
}

/// Asks for what costs most, from several threads, until `over`.
pub fn heavy(api: &str, counts: &Arc<Counts>, over: &Arc<AtomicBool>) {
    let asking: Vec<_> = (0..ASKING)
        .map(|thread| {
            let (api, counts, over) = (api.to_owned(), counts.clone(), over.clone());
            std::thread::spawn(move || {
                let agent = ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(30))).build().new_agent();
                let sessions = sessions(&agent, &api);
                let channels = vec!["rpm"; REPEATED].join(",");
                for (turn, path) in (thread..).zip(paths(&channels).iter().cycle()) {
                    if over.load(Ordering::Relaxed) {
                        return;
                    }
                    let Some(session) = sessions.get(turn % sessions.len().max(1)) else { return };
                    match agent.get(format!("{api}/api/v1/sessions/{session}/{path}")).call() {
                        Ok(mut answer) => {
                            // Read to its end, so that the server makes all of it.
                            let bytes = std::io::copy(&mut answer.body_mut().as_reader(), &mut std::io::sink()).unwrap_or(0);
                            counts.records.fetch_add(1, Ordering::Relaxed);
                            counts.bytes.fetch_add(bytes, Ordering::Relaxed);
                        }
                        Err(reason) => counts.close(&reason.into()),
                    }
                }
            })
        })
        .collect();
    asking.into_iter().for_each(|thread| drop(thread.join()));
}

fn paths(channels: &str) -> Vec<String> {
    let entry = "bench-1";
    vec![
        format!("laps/{entry}/2/trace?channels={channels}"),
        "results".into(),
        "order".into(),
        "laps?limit=500".into(),
        format!("laps/{entry}/2/map.svg"),
        "stints".into(),
        "race-control".into(),
    ]
}

fn sessions(agent: &ureq::Agent, api: &str) -> Vec<String> {
    let list = agent.get(format!("{api}/api/v1/sessions?limit=100")).call().ok().and_then(|mut a| a.body_mut().read_json::<serde_json::Value>().ok());
    let ids = |list: serde_json::Value| Some(list["sessions"].as_array()?.iter().filter_map(|s| Some(s["id"].as_str()?.to_owned())).collect());
    list.and_then(ids).unwrap_or_default()
}
