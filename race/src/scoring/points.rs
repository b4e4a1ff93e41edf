//! [`Points`]: exact fractions of points (`points.exact`).

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, Mul, Neg, Sub};
use std::str::FromStr;

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{One, Signed, ToPrimitive, Zero};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Decimals that are shown; the fraction itself is exact.
const SHOWN_DECIMALS: u32 = 3;
/// Longest text that is read as points.
const TEXT_MAX: usize = 32;

/// Points, as an exact fraction. Halves, thirds and sevenths of points are given in real championships, so neither floating point nor
/// thousandths of a point are enough.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Points(BigRational);

/// The text is not a number of points.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no number of points: write 25, 12.5 or 33/2")]
pub struct InvalidPoints(pub String);

impl Points {
    /// `numerator / denominator`; whole points if the denominator is 0.
    pub fn new(numerator: i64, denominator: i64) -> Self {
        let denominator = if denominator == 0 { 1 } else { denominator };
        Self(BigRational::new(numerator.into(), denominator.into()))
    }

    /// Whether this is 0.
    pub fn is_zero(&self) -> bool {
        self.0.is_zero()
    }

    /// Whether this is below 0.
    pub fn is_negative(&self) -> bool {
        self.0.is_negative()
    }

    /// Whether the denominator is at most `most`. Sums of fractions with many large denominators have thousands of digits.
    pub fn denominator_at_most(&self, most: u32) -> bool {
        *self.0.denom() <= BigInt::from(most)
    }

    /// The whole number below or equal.
    pub fn floor(&self) -> i64 {
        self.0.floor().to_integer().to_i64().unwrap_or(i64::MAX)
    }

    /// The whole number above or equal.
    pub fn ceil(&self) -> i64 {
        self.0.ceil().to_integer().to_i64().unwrap_or(i64::MAX)
    }

    /// As people read it: at most three decimals, without zeros at the end.
    pub fn shown(&self) -> String {
        let scale = BigInt::from(10).pow(SHOWN_DECIMALS);
        let scaled = (&self.0 * BigRational::from(scale.clone())).round().to_integer();
        let (whole, rest) = (scaled.magnitude() / scale.magnitude(), scaled.magnitude() % scale.magnitude());
        let sign = if scaled.is_negative() { "-" } else { "" };
        if rest.is_zero() {
            return format!("{sign}{whole}");
        }
        let digits = format!("{rest:0>width$}", rest = rest.to_string(), width = SHOWN_DECIMALS as usize);
        format!("{sign}{whole}.{}", digits.trim_end_matches('0'))
    }
}

impl From<i64> for Points {
    fn from(whole: i64) -> Self {
        Self(BigRational::from(BigInt::from(whole)))
    }
}

impl Add for Points {
    type Output = Points;
    fn add(self, other: Points) -> Points {
        Points(self.0 + other.0)
    }
}

impl AddAssign for Points {
    fn add_assign(&mut self, other: Points) {
        self.0 += other.0;
    }
}

impl Sub for Points {
    type Output = Points;
    fn sub(self, other: Points) -> Points {
        Points(self.0 - other.0)
    }
}

impl Neg for Points {
    type Output = Points;
    fn neg(self) -> Points {
        Points(-self.0)
    }
}

impl Mul<&Points> for Points {
    type Output = Points;
    fn mul(self, factor: &Points) -> Points {
        Points(self.0 * &factor.0)
    }
}

/// Shared among so many; among none, all of it.
impl Div<usize> for Points {
    type Output = Points;
    fn div(self, among: usize) -> Points {
        Points(self.0 / BigRational::from(BigInt::from(among.max(1))))
    }
}

impl Sum for Points {
    fn sum<I: Iterator<Item = Points>>(iter: I) -> Points {
        iter.fold(Points::default(), |sum, points| sum + points)
    }
}

/// The exact fraction: `25`, `33/2`.
impl fmt::Display for Points {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.denom().is_one() { write!(f, "{}", self.0.numer()) } else { write!(f, "{}/{}", self.0.numer(), self.0.denom()) }
    }
}

impl fmt::Debug for Points {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Points {
    type Err = InvalidPoints;

    fn from_str(text: &str) -> Result<Self, InvalidPoints> {
        let invalid = || InvalidPoints(text.chars().take(TEXT_MAX).collect());
        if text.len() > TEXT_MAX {
            return Err(invalid());
        }
        let whole = |digits: &str| digits.parse::<i64>().map_err(|_| invalid());
        if let Some((numerator, denominator)) = text.split_once('/') {
            let denominator = whole(denominator.trim())?;
            return if denominator > 0 { Ok(Points::new(whole(numerator.trim())?, denominator)) } else { Err(invalid()) };
        }
        let Some((before, after)) = text.split_once('.') else { return whole(text.trim()).map(Points::from) };
        if after.is_empty() || after.len() > 9 || !after.bytes().all(|b| b.is_ascii_digit()) {
            return Err(invalid());
        }
        let part = Points::new(whole(after)?, 10i64.pow(after.len() as u32));
        let before_points = if matches!(before, "" | "-") { Points::default() } else { Points::from(whole(before)?) };
        Ok(if before.starts_with('-') { before_points - part } else { before_points + part })
    }
}

impl Serialize for Points {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A whole number, or a text such as `33/2` or `12.5`. A floating-point number is refused: it would not be exact.
impl<'de> Deserialize<'de> for Points {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Points;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number of points, or a text such as \"33/2\" or \"12.5\"")
            }
            fn visit_i64<E: serde::de::Error>(self, whole: i64) -> Result<Points, E> {
                Ok(whole.into())
            }
            fn visit_u64<E: serde::de::Error>(self, whole: u64) -> Result<Points, E> {
                i64::try_from(whole).map(Points::from).map_err(E::custom)
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Points, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}
