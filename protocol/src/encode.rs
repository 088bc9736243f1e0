//! Bytes out of frames: the simulator, tests, and replies to pings.

use alloc::vec::Vec;

use crate::{DeviceId, Position};

/// STUB
pub fn encode_location(_position: &Position, _out: &mut Vec<u8>) {}
/// STUB
pub fn encode_ping(_device: DeviceId, _payload: &[u8], _out: &mut Vec<u8>) {}
/// STUB
pub fn encode_ping_reply(_payload: &[u8], _out: &mut Vec<u8>) {}
