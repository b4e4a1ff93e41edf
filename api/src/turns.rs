//! [`Turns`]: places for requests that are being answered, counted as connections are, and waited for.

use std::net::IpAddr;
use std::sync::Arc;

use boxbox_schemas::places::{Caps, Full, Place, Places};
use boxbox_schemas::{DriverId, TenantId};
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::who::Who;

/// Places that requests wait for.
pub(crate) struct Turns {
    places: Mutex<Places>,
    freed: Notify,
}

/// A place that is taken until it is dropped.
pub(crate) struct Turn {
    of: Arc<Turns>,
    place: Option<Place>,
}

impl Turns {
    pub(crate) fn new(caps: Caps) -> Arc<Self> {
        Arc::new(Self { places: Mutex::new(Places::new(caps)), freed: Notify::new() })
    }

    /// A place, counted by address, and for the holder of a grant.
    pub(crate) fn take(self: &Arc<Self>, address: Option<IpAddr>, holder: Option<(TenantId, DriverId)>) -> Result<Turn, Full> {
        let mut places = self.places.lock();
        let place = match holder {
            Some((tenant, driver)) => places.take_named(address, tenant, driver)?,
            None => places.take(address)?,
        };
        Ok(Turn { of: self.clone(), place: Some(place) })
    }

    /// A place for who asks, when there is one.
    pub(crate) async fn wait(self: &Arc<Self>, who: &Who) -> Turn {
        loop {
            let mut freed = std::pin::pin!(self.freed.notified());
            // From here on no place that is given back is missed.
            freed.as_mut().enable();
            if let Ok(turn) = self.take(who.unnamed_address(), who.holder) {
                return turn;
            }
            freed.await;
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(place) = self.place.take() {
            self.of.places.lock().leave(place);
        }
        // All: the one that waits longest may have no place for its driver yet.
        self.of.freed.notify_waiters();
    }
}
