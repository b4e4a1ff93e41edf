//! The records of the control topic, as changes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::mpsc;

/// A record of the topic.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// The subject of the record.
    pub key: Vec<u8>,
    /// The new value; `None`: there is none any more.
    pub value: Option<Vec<u8>>,
}

/// The changes after the first reading. Reading continues through outages, which are logged; dropping this value ends it.
pub struct Changes {
    pub(super) receiver: mpsc::Receiver<Change>,
    pub(super) closing: Arc<AtomicBool>,
}

impl Changes {
    /// Changes from another sender, for tests of code that follows the topic.
    #[doc(hidden)]
    pub fn of(receiver: mpsc::Receiver<Change>) -> Self {
        Self { receiver, closing: Arc::default() }
    }

    /// The next change, as soon as there is one. `None`: the reading thread has ended. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Change> {
        self.receiver.recv().await
    }
}

impl Drop for Changes {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::Release);
    }
}
