//! Ctrl-C, SIGTERM and SIGHUP: requests to stop.

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
