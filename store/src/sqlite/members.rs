//! A file has one processor, which does not beat.

use boxbox_schemas::LogId;

use super::Store;
use crate::{Lease, Member, Share, StoreError};

pub(super) const SHARED: bool = false;

pub(super) async fn beat(_store: &Store, _log: &LogId, _partitions: u32, _member: &Member) -> Result<Share, StoreError> {
    Err(StoreError::Refused("a file has one processor, which does not beat".into()))
}

pub(super) async fn release(_store: &Store, _lease: &Lease) -> Result<(), StoreError> {
    Ok(())
}

pub(super) async fn leave(_store: &Store, _log: &LogId, _member: &Member) -> Result<(), StoreError> {
    Ok(())
}
