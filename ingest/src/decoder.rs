//! [`Decoder`]: cuts the chunks of a QUIC stream into the stream's head and transmissions (`u64 base | record`). It copies
//! nothing where a chunk holds a whole transmission, and checks lengths before it collects bytes.

use boxbox_schemas::record::{RecordError, check_length};
use boxbox_schemas::wire::BASE_BYTES;
use bytes::{Buf, Bytes, BytesMut};

const LENGTH_BYTES: usize = 4;

/// Bytes that were received and not used yet: at most a chunk and a record.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    /// The rest of the last chunk, if there are no older bytes.
    chunk: Bytes,
    /// Bytes of a transmission that spans chunks.
    gathered: BytesMut,
}

impl Decoder {
    /// Adds a chunk.
    pub(crate) fn push(&mut self, chunk: Bytes) {
        if self.is_empty() {
            self.chunk = chunk;
        } else {
            self.gathered.extend_from_slice(&std::mem::take(&mut self.chunk));
            self.gathered.extend_from_slice(&chunk);
        }
    }

    /// Whether no bytes are left: a stream may end only then.
    pub(crate) fn is_empty(&self) -> bool {
        self.chunk.is_empty() && self.gathered.is_empty()
    }

    /// Number of bytes that are left.
    pub(crate) fn len(&self) -> usize {
        self.view().len()
    }

    /// The next `N` bytes, if they were received.
    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let out = *self.view().first_chunk::<N>()?;
        self.take(N);
        Some(out)
    }

    /// The next transmission, base and record, if all of it was received. The length is checked as soon as it was received; the
    /// error has the base, too.
    pub(crate) fn transmission(&mut self) -> Result<Option<(u64, Bytes)>, (u64, RecordError)> {
        let Some(head) = self.view().first_chunk::<{ BASE_BYTES + LENGTH_BYTES }>() else { return Ok(None) };
        let mut head = &head[..];
        let base = head.get_u64_le();
        let length = check_length(head.get_u32_le()).map_err(|e| (base, e))?;
        if self.len() < BASE_BYTES + length {
            // One allocation of the right size, which is known to be within the limit.
            let missing = BASE_BYTES + length - self.len();
            if !self.gathered.is_empty() {
                self.gathered.reserve(missing);
            }
            return Ok(None);
        }
        let mut whole = self.take(BASE_BYTES + length);
        whole.advance(BASE_BYTES);
        Ok(Some((base, whole)))
    }

    fn view(&self) -> &[u8] {
        if self.gathered.is_empty() { &self.chunk } else { &self.gathered }
    }

    fn take(&mut self, n: usize) -> Bytes {
        if self.gathered.is_empty() {
            return self.chunk.split_to(n);
        }
        let taken = self.gathered.split_to(n).freeze();
        if self.gathered.is_empty() {
            // An idle stream keeps no buffer.
            self.gathered = BytesMut::new();
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use boxbox_schemas::limits::RECORD_MAX_BYTES;
    use boxbox_schemas::record::PRELUDE_BYTES;
    use bytes::BufMut;
    use proptest::prelude::*;

    fn transmission(base: u64, length: usize) -> Vec<u8> {
        let mut out = base.to_le_bytes().to_vec();
        out.put_u32_le(length as u32);
        out.extend((4..length).map(|i| (i as u64 + base) as u8));
        out
    }

    proptest! {
        #[test]
        fn any_chunking_gives_the_same_records(
            sent in proptest::collection::vec((any::<u64>(), PRELUDE_BYTES..2_000), 1..12),
            cuts in proptest::collection::vec(1usize..3_000, 1..20),
        ) {
            let mut wire = Bytes::from(sent.iter().flat_map(|(base, length)| transmission(*base, *length)).collect::<Vec<_>>());
            let (mut decoder, mut seen, mut cuts) = (Decoder::default(), Vec::new(), cuts.iter().cycle());
            while !wire.is_empty() {
                decoder.push(wire.split_to((*cuts.next().unwrap()).min(wire.len())));
                while let Some((base, record)) = decoder.transmission().unwrap() {
                    prop_assert_eq!(&record[..], &transmission(base, record.len())[BASE_BYTES..]);
                    seen.push((base, record.len()));
                }
            }
            prop_assert!(decoder.is_empty());
            prop_assert_eq!(seen, sent);
        }

        #[test]
        fn impossible_lengths_are_refused_before_they_are_gathered(base: u64, length in prop_oneof![0..PRELUDE_BYTES as u32, RECORD_MAX_BYTES as u32 + 1..]) {
            let mut decoder = Decoder::default();
            let mut head = base.to_le_bytes().to_vec();
            head.put_u32_le(length);
            decoder.push(head.into());
            prop_assert_eq!(decoder.transmission(), Err((base, RecordError::Length(length))));
        }
    }
}
