//! The client's half of the control stream (W2).

use std::task::{Context, Poll};

use boxbox_schemas::wire::{CloseCode, Control};
use bytes::BytesMut;
use quinn::RecvStream;

use super::chunk::poll_chunk;
use crate::link::CloseRequest;

/// Messages of unknown type that a client may send, because a newer version may have more types.
const UNKNOWN_MAX: u32 = 1_000;

/// The client's half of the control stream.
#[derive(Debug)]
pub(super) struct ControlIn {
    recv: Option<RecvStream>,
    buffer: BytesMut,
    unknown: u32,
}

impl ControlIn {
    pub(super) fn new(recv: RecvStream) -> Self {
        Self { recv: Some(recv), buffer: BytesMut::new(), unknown: 0 }
    }

    /// The next message of a known type; `None` at the stream's end.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Control>, CloseRequest>> {
        loop {
            match Control::decode(&mut self.buffer) {
                Ok(Some(Control::Unknown(_))) if self.unknown < UNKNOWN_MAX => self.unknown += 1,
                Ok(Some(Control::Unknown(_))) => {
                    return Poll::Ready(Err(CloseRequest::new(CloseCode::PROTOCOL, "too many control messages of unknown type")));
                }
                Ok(Some(message)) => return Poll::Ready(Ok(Some(message))),
                Err(e) => return Poll::Ready(Err(CloseRequest::new(CloseCode::PROTOCOL, e.to_string()))),
                Ok(None) => {
                    if self.buffer.is_empty() {
                        self.buffer = BytesMut::new();
                    }
                    let Some(recv) = &mut self.recv else { return Poll::Pending };
                    match poll_chunk(recv, cx) {
                        Poll::Pending => return Poll::Pending,
                        Poll::Ready(Ok(Some(chunk))) => self.buffer.extend_from_slice(&chunk.bytes),
                        // The client may end its half of the stream. A lost connection is noticed elsewhere.
                        Poll::Ready(Ok(None) | Err(_)) => {
                            self.recv = None;
                            return Poll::Ready(Ok(None));
                        }
                    }
                }
            }
        }
    }
}
