//! [`Named`]: recordings without a lobby, of several drivers, as one session.
//!
//! Test drives and races against the simulator's own drivers have SubSessionID 0, so that each recording is a separate session. Who
//! gives them one name gets one session: of the name, the track, and the session's number in the recording. Each driver's only car in the
//! recording is the first of the grid, so each gets a slot that is made of the driver's id; the other cars of a recording are that recording's
//! alone and are left out.

use boxbox_schemas::meta::SessionMeta;
use ring::digest::{Context, SHA256};

use super::{IbtError, IbtFile};

const SESSION_DOMAIN: &[u8] = b"boxbox.ibt.named.v1";
/// Slots that are given out: above those of a grid, below what streams keep for other purposes.
const SLOTS: std::ops::Range<u64> = 256..0xff00;

/// Which session a recording is imported into, and as which car.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Named {
    /// Takes the place of the lobby's id.
    pub(super) session_id: u128,
    /// The driver's slot.
    pub(super) slot: u16,
    own_slot: u16,
}

impl Named {
    // Recordings of one name, track and number are one session (`session.named`).
    pub(super) fn of(file: &IbtFile, name: &str) -> Result<Self, IbtError> {
        let lobby = file.session_text().sub_session_id();
        if lobby != 0 {
            return Err(IbtError::HasLobby { lobby });
        }
        let (meta, own_slot) = (file.meta(0), file.slot());
        // A track is known by its id; a recording without one has its names.
        let track = [meta.track_id.to_string(), meta.track_name.clone(), meta.track_config.clone()];
        let mut h = Context::new(&SHA256);
        h.update(SESSION_DOMAIN);
        for part in track.iter().map(String::as_str).chain([name]) {
            h.update(&(part.len() as u64).to_le_bytes());
            h.update(part.as_bytes());
        }
        let mut id = [0; 16];
        id.copy_from_slice(&h.finish().as_ref()[..16]);
        // A UUID of version 8, which no lobby's id is.
        id[6] = id[6] & 0x0f | 0x80;
        id[8] = id[8] & 0x3f | 0x80;
        let driver = meta.entries.iter().find(|e| e.slot == own_slot);
        let slot = SLOTS.start + driver.map_or(0, |e| e.user_id) % (SLOTS.end - SLOTS.start);
        Ok(Self { session_id: u128::from_be_bytes(id), slot: slot as u16, own_slot })
    }

    /// The description as that session's: the driver's car alone, in its slot.
    pub(super) fn describe(&self, meta: &mut SessionMeta) {
        meta.entries.retain(|e| e.slot == self.own_slot);
        meta.entries.iter_mut().for_each(|e| e.slot = self.slot);
        meta.own_slot = self.slot;
    }
}
