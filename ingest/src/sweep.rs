//! The sweep looks for what no packet announces: a stalled log, clients that stopped within a record, grants that do not hold any
//! more (W3, W8). One task looks at all connections several times a second; timers for each of them would cost more. The same task measures
//! what the metrics say of all connections together.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use boxbox_schemas::wire::{CloseCode, Notice};
use tokio::time::MissedTickBehavior;

use crate::connection::close_code_of;
use crate::core::Core;
use crate::flows::Linked;
use crate::link::CloseRequest;
use crate::reports::Reported;
use crate::traffic::SocketState;

/// How often QUIC and the system are asked about the network.
const NETWORK_EVERY: Duration = Duration::from_secs(5);

/// Sweeps until the edge ends.
pub(crate) async fn run(core: Arc<Core>, mut socket: SocketState) {
    let mut network_at = Instant::now();
    let mut ticks = tokio::time::interval(core.limits.sweep_interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let now = Instant::now();
        once(&core, now);
        if now >= network_at {
            network_at = now + NETWORK_EVERY;
            network(&core, &mut socket);
        }
    }
}

fn once(core: &Core, now: Instant) {
    let limits = &core.limits;
    let (mut stalled, mut oldest) = (0, now);
    for Linked { flow, link } in core.ack_path.flows.all() {
        let (since, stands, due) = flow.stalled(limits.stalled_after, now);
        oldest = since.map_or(oldest, |since| oldest.min(since));
        stalled += usize::from(stands);
        if due && link.close_request().is_none() {
            link.notify(Notice::Stalled { stream: flow.number });
        }
    }
    core.ack_path.health.stalled_streams.store(stalled, Relaxed);
    core.metrics().streams_stalled.set(stalled as f64);
    core.metrics().oldest_unacked_seconds.set(now.saturating_duration_since(oldest).as_secs_f64());

    let authority = core.authority.borrow().clone();
    let (now_s, grace_s) = core.expiry();
    let links: Vec<_> = core.links.lock().values().cloned().collect();
    for link in links {
        if let Err(e) = core.graces.check(&authority, &link.verified, now_s, grace_s) {
            link.request_close(CloseRequest::new(close_code_of(e), e.to_string()));
        }
        if link.blocked_since().is_some_and(|since| now.saturating_duration_since(since) >= limits.slow_reader_after) {
            link.request_close(CloseRequest::new(
                CloseCode::SLOW_READER,
                format!("nothing was read from the control stream for {} s", limits.slow_reader_after.as_secs()),
            ));
        }
        let begun = link.begun_ms.load(Relaxed);
        if begun != 0 && core.ms(now).saturating_sub(begun) >= limits.slow_sender_after.as_millis() as u64 {
            link.request_close(CloseRequest::new(
                CloseCode::SLOW_SENDER,
                format!("a record was begun and not finished for {} s", limits.slow_sender_after.as_secs()),
            ));
        }
    }
    core.metrics().connections_pending.set(core.admission.lock().pending() as f64);
}

/// What QUIC, the system and the clients say of the network.
fn network(core: &Core, socket: &mut SocketState) {
    let (metrics, mut reported) = (core.metrics(), Reported::default());
    let links: Vec<_> = core.links.lock().values().cloned().collect();
    for link in links {
        link.traffic.lock().sample(&link.quic, metrics);
        reported.add(link.reports.lock().last());
    }
    reported.show(metrics);
    socket.count(metrics);
}
