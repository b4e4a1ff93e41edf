//! The next chunk of a QUIC stream.

use std::pin::pin;
use std::task::{Context, Poll};

use boxbox_schemas::limits::RECORD_MAX_BYTES;
use quinn::{Chunk, ReadError, RecvStream};

/// What has come on a stream. The future holds nothing between polls, so a new one each time loses nothing.
pub(super) fn poll_chunk(recv: &mut RecvStream, cx: &mut Context<'_>) -> Poll<Result<Option<Chunk>, ReadError>> {
    pin!(recv.read_chunk(RECORD_MAX_BYTES, true)).poll(cx)
}
