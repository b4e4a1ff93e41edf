//! The format of packed records of one stream: their numbers, then their bytes, each record as its difference to the one of the same
//! kind and length before it, then zstd.
//!
//! Byte 0 is the version, then one zstd frame with a checksum: the count (u32); each record's skipped numbers, covered numbers, offset
//! less the offset before, time less the time before (u64 each), length (u32) and kind (u8); then the records' bytes.
//!
//! Most records are frames of other cars, four times a second: the same cars in the same order, so nearly all differences are 0.
//! A receiver of damaged bytes gets an error: zstd's checksum covers them.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::{KeptRecord, StoreError};

const VERSION: u8 = 1;
const LEVEL: i32 = 3;
const HEAD_BYTES: usize = 4 * 8 + 4 + 1;
/// Most bytes that one row may unpack to: far above what is packed, which is bounded by the callers.
const LIMIT_BYTES: usize = 256 << 20;

/// Where a sealed record has its kind: records of one kind are compared with each other.
const KIND_AT: usize = 9;

/// Pack `records`, which are in order.
pub(crate) fn pack(records: &[KeptRecord]) -> Result<Vec<u8>, StoreError> {
    let length: usize = records.iter().map(|record| record.bytes.len()).sum();
    let mut body = Vec::with_capacity(4 + records.len() * HEAD_BYTES + length);
    body.extend((records.len() as u32).to_le_bytes());
    let mut before = (0u64, 0u64, 0i64);
    for record in records {
        body.extend(record.first_seq.wrapping_sub(before.0).to_le_bytes());
        body.extend(record.next_seq.wrapping_sub(record.first_seq).to_le_bytes());
        body.extend(record.offset.wrapping_sub(before.1).to_le_bytes());
        body.extend(record.received_at_us.wrapping_sub(before.2).to_le_bytes());
        body.extend((record.bytes.len() as u32).to_le_bytes());
        body.push(kind(&record.bytes));
        before = (record.first_seq, record.offset, record.received_at_us);
    }
    // By kind and length.
    let mut last: BTreeMap<(u8, usize), &Bytes> = BTreeMap::new();
    for record in records {
        match last.insert((kind(&record.bytes), record.bytes.len()), &record.bytes) {
            Some(before) => body.extend(record.bytes.iter().zip(before.iter()).map(|(byte, before)| byte.wrapping_sub(*before))),
            None => body.extend_from_slice(&record.bytes),
        }
    }
    let failed = |e: std::io::Error| StoreError::Refused(format!("records could not be packed: {e}"));
    let mut encoder = zstd::Encoder::new(vec![VERSION], LEVEL).map_err(failed)?;
    encoder.include_checksum(true).map_err(failed)?;
    std::io::Write::write_all(&mut encoder, &body).map_err(failed)?;
    encoder.finish().map_err(failed)
}

/// The records that [`pack`] packed.
pub(crate) fn unpack(packed: &[u8]) -> Result<Vec<KeptRecord>, StoreError> {
    let damaged = |what: &str| StoreError::Unreadable(format!("packed records: {what}"));
    let Some((&VERSION, body)) = packed.split_first() else {
        return Err(damaged("of a version that this program does not know"));
    };
    let body = decompressed(body).map_err(|e| damaged(&e.to_string()))?;
    let (count, mut rest) = body.split_first_chunk().ok_or_else(|| damaged("no count"))?;
    let count = usize::try_from(u32::from_le_bytes(*count)).unwrap_or(usize::MAX);
    let heads = count.checked_mul(HEAD_BYTES).and_then(|bytes| rest.split_off(..bytes)).ok_or_else(|| damaged("cut"))?;
    let mut out: Vec<KeptRecord> = Vec::with_capacity(count);
    let mut last: BTreeMap<(u8, usize), Bytes> = BTreeMap::new();
    let mut before = (0u64, 0u64, 0i64);
    for head in heads.chunks_exact(HEAD_BYTES) {
        let number = |at: usize| head[8 * at..][..8].iter().rev().fold(0u64, |n, byte| n << 8 | u64::from(*byte));
        let length = head[32..36].iter().rev().fold(0usize, |n, byte| n << 8 | usize::from(*byte));
        let first_seq = before.0.wrapping_add(number(0));
        let (offset, received_at_us) = (before.1.wrapping_add(number(2)), before.2.wrapping_add(number(3) as i64));
        before = (first_seq, offset, received_at_us);
        let mut bytes = rest.split_off(..length).ok_or_else(|| damaged("cut"))?.to_vec();
        let key = (head[36], length);
        if let Some(before) = last.get(&key) {
            bytes.iter_mut().zip(before.iter()).for_each(|(byte, before)| *byte = byte.wrapping_add(*before));
        }
        let bytes = Bytes::from(bytes);
        last.insert(key, bytes.clone());
        out.push(KeptRecord { first_seq, next_seq: first_seq.wrapping_add(number(1)), offset, received_at_us, bytes });
    }
    if rest.is_empty() { Ok(out) } else { Err(damaged("longer than its records")) }
}

/// What records must have in common to be compared.
fn kind(bytes: &[u8]) -> u8 {
    bytes.get(KIND_AT).copied().unwrap_or(0)
}

fn decompressed(packed: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut body = vec![];
    let limited = std::io::Read::take(zstd::Decoder::new(packed)?, LIMIT_BYTES as u64);
    std::io::copy(&mut { limited }, &mut body)?;
    Ok(body)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record() -> impl Strategy<Value = (u64, u64, Bytes)> {
        // Few kinds and lengths, so that many have one before them; headings and records too short for a kind among them.
        let bytes = prop_oneof![
            (prop::sample::select(vec![60usize, 100]), 1u8..4, any::<u8>())
                .prop_map(|(length, kind, fill)| (0..length).map(|at| if at == KIND_AT { kind } else { fill.wrapping_add(at as u8) }).collect()),
            prop::collection::vec(any::<u8>(), 0..12),
        ];
        (0u64..5, 0u64..1 << 40, bytes.prop_map(Bytes::from))
    }

    proptest! {
        #[test]
        fn whatever_is_packed_is_unpacked(of in prop::collection::vec(record(), 0..40), first: u32) {
            let mut at = u64::from(first);
            let records: Vec<KeptRecord> = of.into_iter().map(|(skip, count, bytes)| {
                let first_seq = at + skip;
                at = first_seq + count.max(1);
                KeptRecord { first_seq, next_seq: first_seq + count, offset: at / 3, received_at_us: -(at as i64), bytes }
            }).collect();
            prop_assert_eq!(unpack(&pack(&records).unwrap()).unwrap(), records);
        }

        #[test]
        fn rubbish_is_unreadable(bytes: Vec<u8>) {
            prop_assert!(matches!(unpack(&bytes), Err(StoreError::Unreadable(_))));
        }

        /// Random bytes that are packed correctly: no number in them causes a panic.
        #[test]
        fn packed_rubbish_is_unreadable_or_records(count in 0u32..4, body in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut packed = vec![VERSION];
            packed.extend(zstd::bulk::compress(&[&count.to_le_bytes()[..], &body].concat(), LEVEL).unwrap());
            if let Ok(records) = unpack(&packed) {
                prop_assert_eq!(records.len(), count as usize);
            }
        }
    }
}
