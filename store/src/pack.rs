//! How a chunk of frames is kept: byte planes, each as differences from frame to frame, then zstd.
//!
//! Byte 0 is the version, byte 1 the width of a frame, then one zstd frame with a checksum. Consecutive frames of a car
//! differ little, and mostly in the low bytes of each field, so the n-th bytes of all frames stand together. Measured
//! on 11,800 frames of a real race at 60 Hz, 600 a chunk, bytes per frame of 200: zstd alone 89, planes 62, planes of
//! differences 54, second differences by field 46. The last needs to know every field of every version of the frame,
//! which an archive had better not; levels above 3 gain 1 byte.

use boxbox_schemas::frame::CAR_FRAME_BYTES;
use bytes::Bytes;

use crate::StoreError;

/// Frames in a chunk at most: 10 s at 60 Hz (E10). Longer ones pack hardly better, and a read unpacks whole chunks.
pub(crate) const CHUNK_MAX_FRAMES: u64 = 600;

const VERSION: u8 = 1;
const WIDTH: u8 = CAR_FRAME_BYTES as u8;
const LEVEL: i32 = 3;

/// Pack whole frames.
pub(crate) fn pack(frames: &[u8]) -> Result<Vec<u8>, StoreError> {
    let planes = to_planes(frames, CAR_FRAME_BYTES);
    let mut out = Vec::with_capacity(2 + frames.len() / 2);
    out.extend([VERSION, WIDTH]);
    let mut encoder = zstd::Encoder::new(out, LEVEL).map_err(failed)?;
    encoder.include_checksum(true).map_err(failed)?;
    std::io::Write::write_all(&mut encoder, &planes).map_err(failed)?;
    encoder.finish().map_err(failed)
}

/// The `count` frames that [`pack`] packed.
pub(crate) fn unpack(packed: &[u8], count: u64) -> Result<Bytes, StoreError> {
    let damaged = |what: &str| StoreError::Unreadable(format!("a chunk of frames: {what}"));
    let [version, width, body @ ..] = packed else { return Err(damaged("cut")) };
    if (*version, *width) != (VERSION, WIDTH) {
        return Err(damaged(&format!("version {version} of {width}-byte frames")));
    }
    let bytes = usize::try_from(count)
        .ok()
        .and_then(|n| n.checked_mul(CAR_FRAME_BYTES))
        .filter(|n| *n <= CHUNK_LIMIT_BYTES)
        .ok_or_else(|| damaged("its length is impossible"))?;
    let planes = zstd::bulk::decompress(body, bytes).map_err(|e| damaged(&e.to_string()))?;
    if planes.len() != bytes {
        return Err(damaged("fewer frames than its row says"));
    }
    Ok(from_planes(&planes, CAR_FRAME_BYTES).into())
}

/// What one chunk may unpack to, whatever its row says: room for a later version's longer chunks.
const CHUNK_LIMIT_BYTES: usize = 16 * 1024 * 1024;

fn failed(e: std::io::Error) -> StoreError {
    StoreError::Refused(format!("frames could not be packed: {e}"))
}

fn to_planes(rows: &[u8], width: usize) -> Vec<u8> {
    let mut planes = Vec::with_capacity(rows.len());
    for column in 0..width {
        let mut last = 0u8;
        planes.extend(rows.iter().skip(column).step_by(width).map(|byte| byte.wrapping_sub(std::mem::replace(&mut last, *byte))));
    }
    planes
}

fn from_planes(planes: &[u8], width: usize) -> Vec<u8> {
    let mut rows = vec![0; planes.len()];
    for (column, plane) in planes.chunks_exact((planes.len() / width).max(1)).enumerate() {
        let mut last = 0u8;
        for (byte, difference) in rows.iter_mut().skip(column).step_by(width).zip(plane) {
            last = last.wrapping_add(*difference);
            *byte = last;
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use boxbox_schemas::frame::CarFrame;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn whatever_is_packed_is_unpacked(count in 1u64..50, seed: u64) {
            let mut rng = fastrand::Rng::with_seed(seed);
            let frames: Vec<u8> = (0..count as usize * CAR_FRAME_BYTES).map(|_| rng.u8(..)).collect();
            prop_assert_eq!(unpack(&pack(&frames).unwrap(), count).unwrap(), frames);
        }

        /// Every single damaged byte is noticed: by the version, zstd's framing, or its checksum.
        #[test]
        fn damage_is_noticed(at in any::<prop::sample::Index>(), flip in 1u8..) {
            let frames: Vec<u8> = (0..20 * CAR_FRAME_BYTES).map(|i| (i / 7) as u8).collect();
            let mut packed = pack(&frames).unwrap();
            let at = at.index(packed.len());
            packed[at] ^= flip;
            match unpack(&packed, 20) {
                Err(StoreError::Unreadable(_)) => {}
                // zstd ignores a few header bits; what it then gives is still exactly what was packed.
                Ok(same) => prop_assert_eq!(same, frames),
                Err(other) => prop_assert!(false, "{}", other),
            }
        }

        #[test]
        fn rubbish_is_unreadable(bytes: Vec<u8>, count: u64) {
            prop_assert!(matches!(unpack(&bytes, count), Err(StoreError::Unreadable(_))));
        }
    }

    #[test]
    fn a_wrong_count_is_unreadable() {
        let packed = pack(&[7; 3 * CAR_FRAME_BYTES]).unwrap();
        assert!(matches!(unpack(&packed, 2), Err(StoreError::Unreadable(_))));
        assert!(matches!(unpack(&packed, 4), Err(StoreError::Unreadable(_))));
    }

    /// F8: a chunk as version 1 writes it stays readable.
    #[test]
    fn the_golden_chunk_is_readable() {
        let frames: Vec<u8> = (0..3 * CAR_FRAME_BYTES).map(|i| (i % 251) as u8).collect();
        assert_eq!(unpack(include_bytes!("../tests/golden/chunk_v1.bin"), 3).unwrap(), frames);
    }

    /// What the file's head says was measured, on the recording that comes as CSV.
    #[test]
    fn a_real_recording_packs_to_a_third() {
        let folder = std::env::var("BOXBOX_TESTDATA").unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data").into());
        let Ok(file) = std::fs::File::open(format!("{folder}/phillipisland_f4_race_60hz_DEV_laps0-5.csv.gz")) else {
            eprintln!("NOT RUN: a_real_recording_packs_to_a_third: no recordings in {folder} (BOXBOX_TESTDATA)");
            return;
        };
        let mut csv = csv::Reader::from_reader(flate2::read::GzDecoder::new(file));
        let names = csv.headers().unwrap().clone();
        let mut frames = vec![];
        for row in csv.records() {
            let row = row.unwrap();
            let n = |name: &str| row[names.iter().position(|n| n == name).unwrap()].parse::<f64>().unwrap();
            let f = |name: &str| n(name) as f32;
            let frame = CarFrame {
                tick: n("SessionTick") as u32,
                sim_time_us: (n("SessionTime") * 1e6).round() as i64,
                lap_pct: n("LapDistPct"),
                lat_deg: n("Lat"),
                lon_deg: n("Lon"),
                lap_dist_m: f("LapDist"),
                speed_mps: f("Speed"),
                velocity_mps: [f("VelocityX"), f("VelocityY"), 0.0],
                accel_mps2: [f("LongAccel"), f("LatAccel"), 0.0],
                yaw_rad: f("Yaw"),
                throttle: f("Throttle"),
                brake: f("Brake"),
                steer_rad: f("SteeringWheelAngle"),
                rpm: f("RPM"),
                fuel_l: f("FuelLevel"),
                gear: n("Gear") as i8,
                ..CarFrame::default()
            };
            frames.extend_from_slice(&rkyv::to_bytes::<rkyv::rancor::Error>(&frame).unwrap());
        }
        let (mut packed, mut planes_only, mut zstd_only) = (0, 0, 0);
        for chunk in frames.chunks(CHUNK_MAX_FRAMES as usize * CAR_FRAME_BYTES) {
            let one = pack(chunk).unwrap();
            assert_eq!(unpack(&one, (chunk.len() / CAR_FRAME_BYTES) as u64).unwrap(), chunk);
            let plain: Vec<u8> = (0..CAR_FRAME_BYTES).flat_map(|c| chunk.iter().skip(c).step_by(CAR_FRAME_BYTES).copied()).collect();
            packed += one.len();
            planes_only += zstd::bulk::compress(&plain, LEVEL).unwrap().len();
            zstd_only += zstd::bulk::compress(chunk, LEVEL).unwrap().len();
        }
        let per_frame = |bytes: usize| bytes as f64 / (frames.len() / CAR_FRAME_BYTES) as f64;
        println!(
            "bytes per frame: zstd {:.1}, planes {:.1}, planes of differences {:.1}",
            per_frame(zstd_only),
            per_frame(planes_only),
            per_frame(packed)
        );
        assert!(packed < planes_only && planes_only < zstd_only, "the choice of packing rests on this order");
    }
}
