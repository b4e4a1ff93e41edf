//! The client's task: connects, waits between connections, and seals batches that have waited long enough.

use std::sync::Arc;
use std::time::{Duration, Instant};

use boxbox_schemas::wire::CloseCode;

use crate::config::Timing;
use crate::connection;
use crate::ended::Ended;
use crate::observe::{Event, Refusal, Status};
use crate::shared::Shared;
use crate::tls::Tls;

/// How often the time allowed without an ack doubles while reconnecting brings none.
const SILENCE_DOUBLINGS_MAX: u32 = 3;

/// Runs until [`Shared::stop`].
pub(crate) async fn run(shared: Arc<Shared>, tls: Tls) {
    tokio::select! {
        () = stay_connected(&shared, &tls) => {}
        () = seal_old_batches(&shared) => {}
    }
    shared.closed.cancel();
}

async fn stay_connected(shared: &Arc<Shared>, tls: &Tls) {
    let mut backoff = Backoff::default();
    while !shared.stop.is_cancelled() {
        let silence = shared.config.timing.ack_silence * 2u32.pow(backoff.silent.min(SILENCE_DOUBLINGS_MAX));
        let ended = connection::run(shared, tls, silence).await;
        shared.core.lock().disconnected();
        if shared.stop.is_cancelled() {
            break;
        }
        let (why, welcomed, progressed) = (ended.why, ended.welcomed, ended.progressed);
        if let Some(refusal) = refusal(&why, welcomed) {
            let again = slow_retry(refusal.code, &shared.config.timing);
            shared.status.send_replace(Status::Refused(refusal.clone()));
            shared.event(Event::Refused(refusal));
            tokio::select! {
                () = shared.stop.cancelled() => break,
                () = shared.reconnect.notified() => {}
                () = tokio::time::sleep(again.unwrap_or_default()), if again.is_some() => {}
            }
            backoff = Backoff::default();
            continue;
        }
        let retry_in = backoff.after(&why, welcomed, progressed, &shared.config.timing);
        let reason = why.to_string();
        shared.status.send_replace(Status::Connecting { error: Some(reason.clone()) });
        shared.event(Event::Disconnected { reason, retry_in });
        tokio::select! {
            () = shared.stop.cancelled() => break,
            () = shared.reconnect.notified() => {}
            () = tokio::time::sleep(retry_in) => {}
        }
    }
}

fn refusal(why: &Ended, welcomed: bool) -> Option<Refusal> {
    match why {
        Ended::Closed { code, detail } if !tries_again(*code, welcomed) => Some(Refusal { code: *code, detail: detail.clone() }),
        _ => None,
    }
}

/// After how long a refused client tries again by itself: an expired grant may be good, because the clock of the server may be wrong, and
/// the spool keeps what is driven until then. What else is refused stays refused.
fn slow_retry(code: CloseCode, timing: &Timing) -> Option<Duration> {
    (code == CloseCode::GRANT_EXPIRED).then(|| timing.expired_retry.mul_f64(1.0 + fastrand::f64()))
}

/// Full jitter: a random part of a time that doubles, so that many clients do not reconnect at once.
#[derive(Default)]
struct Backoff {
    failures: u32,
    silent: u32,
}

impl Backoff {
    fn after(&mut self, why: &Ended, welcomed: bool, progressed: bool, timing: &Timing) -> Duration {
        if progressed {
            *self = Self::default();
        }
        if matches!(why, Ended::Silent) {
            self.silent += 1;
        }
        if matches!(why, Ended::Moved) {
            return Duration::ZERO;
        }
        // The edge answers and accepts no client now, so trying again soon is useless.
        let later = matches!(why, Ended::Closed { code, .. } if matches!(*code, CloseCode::BUSY | CloseCode::UNAVAILABLE));
        let cap = if welcomed && !later { timing.backoff_alive_cap } else { timing.backoff_cap };
        let longest = timing.backoff_base.saturating_mul(2u32.saturating_pow(self.failures)).min(cap);
        self.failures = self.failures.saturating_add(1);
        longest.mul_f64(fastrand::f64())
    }
}

/// Seals batches to which no frame is added any more. While frames come, a stream seals its batch itself.
async fn seal_old_batches(shared: &Shared) {
    let max_delay = shared.config.batch.max_delay;
    loop {
        shared.batch_begun.notified().await;
        let mut wake = Instant::now() + max_delay;
        loop {
            tokio::time::sleep_until(wake.into()).await;
            let batchers: Vec<_> = shared.core.lock().streams.values().filter_map(|s| s.batcher.clone()).collect();
            let now = Instant::now();
            match batchers.iter().filter_map(|b| b.seal_older(shared, max_delay, now)).min() {
                Some(due) => wake = due.max(now + max_delay / 4),
                None => break,
            }
        }
    }
}

/// Whether a client that was closed with `code` tries again without being asked.
fn tries_again(code: CloseCode, welcomed: bool) -> bool {
    // DONE from an edge has no meaning for a client; a hello may be late because the network is slow.
    code.is_retryable() || code == CloseCode::DONE || (code == CloseCode::PROTOCOL && !welcomed)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Full jitter stays below its bound, which doubles up to the cap; an ack resets it; a reachable edge is tried sooner.
    #[test]
    fn backoff_is_bounded_and_forgets() {
        let timing = Timing::default();
        let lost = Ended::Lost("x".into());
        for _ in 0..50 {
            let mut backoff = Backoff::default();
            for n in 0..12u32 {
                let bound = (timing.backoff_base * 2u32.pow(n.min(10))).min(timing.backoff_cap);
                assert!(backoff.after(&lost, false, false, &timing) <= bound);
            }
            assert!(backoff.after(&lost, true, false, &timing) <= timing.backoff_alive_cap);
            assert!(backoff.after(&lost, true, true, &timing) <= timing.backoff_base);
        }
        let mut longest = Duration::ZERO;
        let mut backoff = Backoff { failures: 20, silent: 0 };
        (0..200).for_each(|_| longest = longest.max(backoff.after(&lost, false, false, &timing)));
        assert!(longest > timing.backoff_cap / 2, "the whole range is used");
    }

    #[test]
    fn a_grant_is_refused_for_good_and_a_late_hello_is_not() {
        let closed = |code| Ended::Closed { code, detail: String::new() };
        assert!(refusal(&closed(CloseCode::GRANT_EXPIRED), false).is_some());
        let timing = Timing::default();
        let again = slow_retry(CloseCode::GRANT_EXPIRED, &timing).unwrap();
        assert!(again >= timing.expired_retry && again <= 2 * timing.expired_retry);
        assert_eq!(slow_retry(CloseCode::GRANT_REVOKED, &timing), None);
        assert!(refusal(&closed(CloseCode::VERSION), true).is_some());
        assert!(refusal(&closed(CloseCode::PROTOCOL), true).is_some());
        assert!(refusal(&closed(CloseCode::PROTOCOL), false).is_none());
        assert!(refusal(&closed(CloseCode::DONE), true).is_none());
        assert!(refusal(&closed(CloseCode::RETRY), true).is_none());
        assert!(refusal(&closed(CloseCode::UNAVAILABLE), false).is_none());
        assert!(refusal(&closed(CloseCode(9_999)), true).is_none());
    }
}
