//! What the control topic says, record by record.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::mpsc;

/// A record of the topic.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// What it is about.
    pub key: Vec<u8>,
    /// What is so now; `None`: nothing any more.
    pub value: Option<Vec<u8>>,
}

/// What is put after the first reading. It goes on through outages, which are told in the program's log; dropping it ends it.
pub struct Changes {
    pub(super) receiver: mpsc::Receiver<Change>,
    pub(super) closing: Arc<AtomicBool>,
}

impl Changes {
    /// What somebody else sends; for tests of those who follow.
    #[doc(hidden)]
    pub fn of(receiver: mpsc::Receiver<Change>) -> Self {
        Self { receiver, closing: Arc::default() }
    }

    /// The next change, as soon as there is one. `None`: the reading thread has died. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Change> {
        self.receiver.recv().await
    }
}

impl Drop for Changes {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::Release);
    }
}
