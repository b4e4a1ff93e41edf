//! Checks of a record's content: finite numbers, possible values, absent fields zero (W7).
//!
//! bytecheck proves only that bytes are a valid archive: more than half of random mutations of a valid frame still pass it. So the edge
//! checks every number once, before the record is durable.

use crate::event::Reject;
use crate::field::ArchivedFieldFrame;
use crate::frame::{ArchivedCarFrame, Presence};
use crate::limits::{DISTANCE_MAX_M, SIM_TIME_MAX_US, SPEED_MAX_MPS};
use crate::record::{Content, Record, session_meta};
use crate::slow::ArchivedSlowFrame;

/// Whether an edge may log `record` as it is. Framing and checksum are already checked by [`Record::parse`].
pub fn record(record: &Record) -> Result<(), Reject> {
    if !record.prelude().kind.from_client() {
        return Err(Reject::KIND);
    }
    match record.content().map_err(|_| Reject::ARCHIVE)? {
        Content::Car(frames) => frames.iter().try_for_each(|f| car(f.map_err(|_| Reject::ARCHIVE)?)),
        Content::Slow(frames) => frames.iter().try_for_each(|f| slow(f.map_err(|_| Reject::ARCHIVE)?)),
        Content::Field(frames) => frames.iter().try_for_each(|f| field(f.map_err(|_| Reject::ARCHIVE)?)),
        Content::Meta(meta) => session_meta(meta).check(),
        Content::Event(event) => time(event.sim_time_us.to_native()),
        Content::End(end) => time(end.sim_time_us.to_native()),
        Content::Gap(_) => record.next_seq().map(drop).map_err(|_| Reject::RANGE),
        Content::Void(_) | Content::Closed(_) | Content::Judged(_) => Err(Reject::KIND),
    }
}

/// [`car`] for the archive of one frame. A client checks each frame before it puts it into a record with others.
pub fn car_bytes(archive: &[u8]) -> Result<(), Reject> {
    rkyv::access::<ArchivedCarFrame, rkyv::rancor::Error>(archive).map_err(|_| Reject::ARCHIVE).and_then(car)
}

/// One frame of the client's own car.
pub fn car(f: &ArchivedCarFrame) -> Result<(), Reject> {
    let presence = Presence::from(&f.presence);
    let absent_zero = |bit: Presence, zero: bool| presence.has(bit) || zero;
    let pct = f.lap_pct.to_native();
    let singles = [
        f.lap_dist_m,
        f.speed_mps,
        f.yaw_rad,
        f.pitch_rad,
        f.roll_rad,
        f.yaw_rate_radps,
        f.heading_north_rad,
        f.throttle,
        f.brake,
        f.clutch,
        f.steer_rad,
        f.steer_max_rad,
        f.rpm,
        f.fuel_l,
        f.fuel_rate_kgph,
    ];
    let vectors = [f.velocity_mps, f.accel_mps2, f.position_m];
    let finite = pct.is_finite()
        && f.lat_deg.to_native().is_finite()
        && f.lon_deg.to_native().is_finite()
        && singles.iter().all(|v| v.to_native().is_finite())
        && vectors.iter().flatten().all(|v| v.to_native().is_finite());
    if !finite {
        return Err(Reject::NOT_FINITE);
    }
    time(f.sim_time_us.to_native())?;
    let unit = |v: f32| (-0.01..=1.01).contains(&v);
    let possible = (-0.5..=1.5).contains(&pct)
        && f64::from(f.lap_dist_m.to_native()).abs() <= DISTANCE_MAX_M
        && (0.0..=SPEED_MAX_MPS).contains(&f.speed_mps.to_native())
        && unit(f.throttle.to_native())
        && unit(f.brake.to_native())
        && unit(f.clutch.to_native())
        && (0.0..=100_000.0).contains(&f.rpm.to_native().abs())
        && (0.0..=10_000.0).contains(&f.fuel_l.to_native())
        && f.lat_deg.to_native().abs() <= 90.0
        && f.lon_deg.to_native().abs() <= 360.0
        && (-SIM_TIME_MAX_US..=SIM_TIME_MAX_US).contains(&f.last_lap_time_us.to_native());
    if !possible {
        return Err(Reject::RANGE);
    }
    let zero = absent_zero(Presence::LAP_PCT, pct == 0.0)
        && absent_zero(Presence::SPEED, f.speed_mps.to_native() == 0.0)
        && absent_zero(Presence::FUEL, f.fuel_l.to_native() == 0.0)
        && absent_zero(Presence::LAST_LAP_TIME, f.last_lap_time_us.to_native() == 0)
        && absent_zero(Presence::INCIDENTS, f.incident_count.to_native() == 0)
        && absent_zero(Presence::LAT_LON, f.lat_deg.to_native() == 0.0 && f.lon_deg.to_native() == 0.0);
    if zero { Ok(()) } else { Err(Reject::ABSENT) }
}

fn slow(f: &ArchivedSlowFrame) -> Result<(), Reject> {
    let singles = [f.water_c, f.oil_c, f.oil_bar, f.volts, f.air_c, f.track_c, f.humidity, f.wind_mps, f.wind_dir_rad];
    let tyres = f.tyre_wear.iter().chain(&f.tyre_temp_c).flatten().chain(&f.tyre_pressure_kpa);
    if singles.iter().chain(tyres).all(|v| v.to_native().is_finite()) { time(f.sim_time_us.to_native()) } else { Err(Reject::NOT_FINITE) }
}

fn field(f: &ArchivedFieldFrame) -> Result<(), Reject> {
    let pct = f.lap_pct.to_native();
    if !pct.is_finite() {
        return Err(Reject::NOT_FINITE);
    }
    time(f.sim_time_us.to_native())?;
    if (-0.5..=1.5).contains(&pct) { Ok(()) } else { Err(Reject::RANGE) }
}

fn time(us: i64) -> Result<(), Reject> {
    if (-SIM_TIME_MAX_US..=SIM_TIME_MAX_US).contains(&us) { Ok(()) } else { Err(Reject::RANGE) }
}
