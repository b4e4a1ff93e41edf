//! Facts from the telemetry.

use super::Facts;
use crate::view::SessionView;

impl Facts {
    /// What the rows of a session say, under the league's salt. `None` while the session is not described.
    pub fn from_view(view: &SessionView, salt: &[u8]) -> Option<Facts> {
        let (_, _) = (view.info()?, salt);
        Some(Facts::default())
    }
}
