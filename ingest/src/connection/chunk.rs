//! Reads the next chunk of a QUIC stream.

use std::pin::pin;
use std::task::{Context, Poll};

use boxbox_schemas::limits::RECORD_MAX_BYTES;
use quinn::{Chunk, ReadError, RecvStream};

/// The next chunk. The future holds nothing between polls, so making a new one for each poll loses nothing.
pub(super) fn poll_chunk(recv: &mut RecvStream, cx: &mut Context<'_>) -> Poll<Result<Option<Chunk>, ReadError>> {
    pin!(recv.read_chunk(RECORD_MAX_BYTES, true)).poll(cx)
}
