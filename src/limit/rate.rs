//! Rates as people write them: `5/min`, or `off`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::state::counters::Quota;

/// `5/min`: five at once, refilled evenly; or `off`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate(pub Option<(u32, Per)>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Per {
    Sec,
    Min,
    Hour,
}

const PERIODS: [(&str, Per); 3] = [("s", Per::Sec), ("min", Per::Min), ("h", Per::Hour)];

impl Rate {
    pub const OFF: Self = Self(None);

    pub const fn per_minute(times: u32) -> Self {
        Self(Some((times, Per::Min)))
    }

    /// The quota that stands for so many times this rate; `None` where it is off.
    pub fn times(self, factor: u32) -> Option<Quota> {
        let (times, per) = self.0?;
        let per = Duration::from_secs(match per {
            Per::Sec => 1,
            Per::Min => 60,
            Per::Hour => 3600,
        });
        Some(Quota { burst: times.saturating_mul(factor), per })
    }
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("`{text}` is not a rate; write a number and a period, such as 5/s, 5/min or 5/h, or off");
        if text == "off" {
            return Ok(Self(None));
        }
        let (times, period) = text.split_once('/').ok_or_else(wrong)?;
        let times: u32 = times.parse().map_err(|_| wrong())?;
        if times == 0 {
            return Err(format!("`{text}` would let nobody do it at all; write 1 or more, or `off` for no limit"));
        }
        let (_, per) = PERIODS.iter().find(|(name, _)| *name == period).ok_or_else(wrong)?;
        Ok(Self(Some((times, *per))))
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str("off"),
            Some((times, Per::Sec)) => write!(f, "{times}/s"),
            Some((times, Per::Min)) => write!(f, "{times}/min"),
            Some((times, Per::Hour)) => write!(f, "{times}/h"),
        }
    }
}

impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Cow::<str>::deserialize(from)?.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Rate {
    fn schema_name() -> Cow<'static, str> {
        "rate".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "title": "rate", "pattern": "^(off|[1-9][0-9]*/(s|min|h))$"})
    }
}
