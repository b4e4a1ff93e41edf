//! What the archive keeps of a `closed` record: the record, then how far each stream of the session was when it came, because what came
//! later counts differently (E9b).
//!
//! The record says its length. Each stream follows it: length of the driver's id (u8), the id, the run (16 bytes), the first sequence
//! number that had not come (u64, little-endian).

use boxbox_schemas::record::PRELUDE_BYTES;
use boxbox_schemas::{DriverId, RunId};
use bytes::Bytes;

/// A `closed` record as the archive kept it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Closing {
    /// The sealed record.
    pub(crate) record: Bytes,
    /// Of each stream the first sequence number that came after it.
    pub(crate) reached: Vec<(DriverId, RunId, u64)>,
}

/// The bytes to keep of the sealed `record`.
pub(crate) fn encode(record: &[u8], reached: impl Iterator<Item = (DriverId, RunId, u64)>) -> Bytes {
    let mut out = record.to_vec();
    for (driver, run, next) in reached {
        let driver = driver.as_str().as_bytes();
        // Ids have 40 characters at most.
        out.push(driver.len() as u8);
        out.extend_from_slice(driver);
        out.extend_from_slice(&run.0);
        out.extend_from_slice(&next.to_le_bytes());
    }
    out.into()
}

/// The closing of these bytes; `None`: they are damaged.
pub(crate) fn decode(bytes: &Bytes) -> Option<Closing> {
    let length = u32::from_le_bytes(*bytes.first_chunk()?) as usize;
    let (record, mut rest) = bytes.split_at_checked(length.max(PRELUDE_BYTES))?;
    let mut reached = vec![];
    while let Some(length) = rest.split_off_first() {
        let driver = DriverId::new(std::str::from_utf8(rest.split_off(..usize::from(*length))?).ok()?).ok()?;
        let (run, next) = (rest.split_off(..16)?, rest.split_off(..8)?);
        reached.push((driver, RunId(run.try_into().ok()?), u64::from_le_bytes(next.try_into().ok()?)));
    }
    Some(Closing { record: bytes.slice_ref(record), reached })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closings_come_back_and_cut_ones_are_noticed() {
        let mut record = vec![7u8; 80];
        record[..4].copy_from_slice(&80u32.to_le_bytes());
        let reached: Vec<_> = (0..3u8).map(|n| (DriverId::new(&format!("driver-{n}")).unwrap(), RunId([n; 16]), u64::from(n) << 40)).collect();
        let bytes = encode(&record, reached.iter().copied());
        let whole = decode(&bytes).unwrap();
        assert_eq!((&whole.record[..], &whole.reached), (&record[..], &reached));
        assert_eq!(decode(&encode(&record, std::iter::empty())).unwrap().reached, []);
        let ends = [80, 80 + 33, 80 + 66, 80 + 99];
        for cut in 0..bytes.len() {
            assert_eq!(decode(&bytes.slice(..cut)).is_some(), ends.contains(&cut), "cut at {cut}");
        }
    }
}
