//! Ctrl-C, SIGTERM and SIGHUP: requests to stop, and to stop at once.

/// Returns when the process is asked to stop. A closed terminal asks as well, unless the process was told to outlive it (`nohup`).
pub async fn asked_to_stop() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut term) = signal(SignalKind::terminate()) {
            let mut hangup = if is_hangup_ignored() { None } else { signal(SignalKind::hangup()).ok() };
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = term.recv() => {}
                () = async {
                    match &mut hangup {
                        Some(hangup) => drop(hangup.recv().await),
                        None => std::future::pending().await,
                    }
                } => {}
            }
            return;
        }
    }
    let _ = tokio::signal::ctrl_c().await;
}

/// A person who asks twice means it; what comes sooner is one request: a terminal that closes and the shell in it both send a hangup, and
/// `timeout` sends its signal to the command and then to the command's group.
const AGAIN_AFTER: std::time::Duration = std::time::Duration::from_secs(1);

/// After the process was asked to stop: returns when it is asked again, by Ctrl-C or SIGTERM. A hangup is no second request, because
/// it means that the person has left the terminal.
pub async fn asked_again() {
    // What comes meanwhile is caught, and has no effect: the handlers stay once they are there.
    tokio::time::sleep(AGAIN_AFTER).await;
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut term) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = term.recv() => {}
            }
            return;
        }
    }
    let _ = tokio::signal::ctrl_c().await;
}

/// Whether SIGHUP was ignored when this process was started. It is read once: a handler of ours replaces it.
#[cfg(unix)]
fn is_hangup_ignored() -> bool {
    static IGNORED: std::sync::LazyLock<bool> = std::sync::LazyLock::new(|| {
        // Linux alone tells it without unsafe code; elsewhere a hangup asks to stop.
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
        // Bit 0 is signal 1, SIGHUP.
        ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
    });
    *IGNORED
}
