//! The channels of a trace: the fields of a frame, by name.

use boxbox_schemas::frame::{ArchivedCarFrame, Presence};
use serde::Serialize;

use super::axis::Between;
use crate::problem::Problem;

/// The values of one channel, in the precision of the field, so that no digits are made up; `null` where there is no value.
#[derive(Serialize, Clone, PartialEq, Debug)]
#[serde(untagged)]
pub(crate) enum Column {
    /// Whole numbers.
    Whole(Vec<Option<i64>>),
    /// Numbers of single precision.
    Single(Vec<Option<f32>>),
    /// Numbers of double precision.
    Double(Vec<Option<f64>>),
}

/// The points at which values are wanted.
pub(crate) enum Values<'a> {
    /// At every frame; its time, µs since the lap's start.
    Every(&'a [i64]),
    /// Between frames; the position, and its time, µs since the lap's start.
    Between(&'a [(Between, i64)]),
}

/// A field of a frame.
#[derive(Clone, Copy)]
pub(crate) struct Channel {
    pub(crate) name: &'static str,
    usual: bool,
    presence: Presence,
    value: Value,
}

#[derive(Clone, Copy)]
enum Value {
    /// µs since the lap's start.
    Time,
    Whole(fn(&ArchivedCarFrame) -> i64),
    Single(fn(&ArchivedCarFrame) -> f32),
    Double(fn(&ArchivedCarFrame) -> f64),
}

const fn channel(name: &'static str, usual: bool, presence: Presence, value: Value) -> Channel {
    Channel { name, usual, presence, value }
}

const CHANNELS: [Channel; 25] = [
    channel("time_us", true, Presence(0), Value::Time),
    channel("tick", false, Presence(0), Value::Whole(|f| f.tick.to_native().into())),
    channel("lap_pct", true, Presence::LAP_PCT, Value::Double(|f| f.lap_pct.into())),
    channel("lap_dist_m", false, Presence::LAP_DIST, Value::Single(|f| f.lap_dist_m.into())),
    Channel::SPEED,
    channel("throttle", true, Presence::THROTTLE, Value::Single(|f| f.throttle.into())),
    channel("brake", true, Presence::BRAKE, Value::Single(|f| f.brake.into())),
    channel("clutch", false, Presence::CLUTCH, Value::Single(|f| f.clutch.into())),
    channel("steer_rad", true, Presence::STEER, Value::Single(|f| f.steer_rad.into())),
    channel("gear", true, Presence::GEAR, Value::Whole(|f| f.gear.into())),
    channel("rpm", true, Presence::RPM, Value::Single(|f| f.rpm.into())),
    channel("fuel_l", false, Presence::FUEL, Value::Single(|f| f.fuel_l.into())),
    channel("lat_deg", false, Presence::LAT_LON, Value::Double(|f| f.lat_deg.into())),
    channel("lon_deg", false, Presence::LAT_LON, Value::Double(|f| f.lon_deg.into())),
    channel("accel_x_mps2", false, Presence::ACCEL, Value::Single(|f| f.accel_mps2[0].into())),
    channel("accel_y_mps2", false, Presence::ACCEL, Value::Single(|f| f.accel_mps2[1].into())),
    channel("accel_z_mps2", false, Presence::ACCEL, Value::Single(|f| f.accel_mps2[2].into())),
    channel("velocity_x_mps", false, Presence::VELOCITY, Value::Single(|f| f.velocity_mps[0].into())),
    channel("velocity_y_mps", false, Presence::VELOCITY, Value::Single(|f| f.velocity_mps[1].into())),
    channel("yaw_rad", false, Presence::ATTITUDE, Value::Single(|f| f.yaw_rad.into())),
    channel("heading_north_rad", false, Presence::HEADING_NORTH, Value::Single(|f| f.heading_north_rad.into())),
    channel("place", false, Presence::PLACE, Value::Whole(|f| f.place.into())),
    channel("yaw_rate_radps", false, Presence::YAW_RATE, Value::Single(|f| f.yaw_rate_radps.into())),
    channel("track_loc", false, Presence::TRACK_LOC, Value::Whole(|f| f.track_loc.0.into())),
    channel("incident_count", false, Presence::INCIDENTS, Value::Whole(|f| f.incident_count.to_native().into())),
];

/// The channels that a request names, separated by commas; the usual ones if it names none. Each channel is returned once, however
/// often it is named, so a long query cannot make the answer larger.
pub(crate) fn parse_channels(names: Option<&str>) -> Result<Vec<Channel>, Problem> {
    let Some(names) = names else { return Ok(CHANNELS.into_iter().filter(|c| c.usual).collect()) };
    let mut wanted = [false; CHANNELS.len()];
    for name in names.split(',') {
        let Some(known) = CHANNELS.iter().position(|c| c.name == name.trim()) else {
            let known: Vec<_> = CHANNELS.iter().map(|c| c.name).collect();
            return Err(Problem::bad_request("bad_channel", format!("`channels` takes names out of: {}.", known.join(", "))));
        };
        wanted[known] = true;
    }
    Ok(CHANNELS.into_iter().zip(wanted).filter_map(|(channel, wanted)| wanted.then_some(channel)).collect())
}

impl Channel {
    /// Speed, m/s.
    pub(crate) const SPEED: Channel = channel("speed_mps", true, Presence::SPEED, Value::Single(|f| f.speed_mps.to_native()));

    /// The channel's values. Between frames, a number is interpolated (and absent if it is absent in either frame); an integer has
    /// the value of the frame before.
    pub(crate) fn column(&self, frames: &[&ArchivedCarFrame], values: &Values<'_>) -> Column {
        match self.value {
            Value::Time => Column::Whole(match values {
                Values::Every(at) => at.iter().copied().map(Some).collect(),
                Values::Between(at) => at.iter().map(|(_, us)| Some(*us)).collect(),
            }),
            Value::Whole(value) => Column::Whole(self.values(frames, values, value, |_, before, _| before)),
            Value::Single(value) => {
                // Rounding an interpolated value to a float cannot lead beyond either neighbour, because rounding keeps the order.
                Column::Single(self.values(frames, values, value, |at, low, high| at.linear(low.into(), high.into()) as f32))
            }
            Value::Double(value) => Column::Double(self.values(frames, values, value, Between::linear)),
        }
    }

    fn values<T>(
        &self,
        frames: &[&ArchivedCarFrame],
        values: &Values<'_>,
        value: impl Fn(&ArchivedCarFrame) -> T,
        line: impl Fn(Between, T, T) -> T,
    ) -> Vec<Option<T>> {
        let one = |frame: &ArchivedCarFrame| Presence::from(&frame.presence).has(self.presence).then(|| value(frame));
        match values {
            Values::Every(_) => frames.iter().map(|frame| one(frame)).collect(),
            Values::Between(at) => at.iter().map(|(at, _)| Some(line(*at, one(frames[at.before])?, one(frames[at.after])?))).collect(),
        }
    }
}
