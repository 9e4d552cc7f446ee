//! The device of a session: what a refresh from another one means. Only sessions of accounts are bound: a plain session is
//! opened by a back end, and refreshed by whoever that gave its tokens to.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::state::Device;

/// Whether a session is bound to the device that opened it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DeviceBinding {
    /// What happens at a refresh from another user agent. Browsers change theirs with each version.
    pub user_agent: Binding,
    /// What happens at a refresh from another address. Phones change theirs all day.
    pub ip: Binding,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Binding {
    /// Nothing.
    #[default]
    Off,
    /// An audit event, and a claim `device_changed` in the access token; a rule may ask for `same_device`.
    Warn,
    /// The refresh is refused; the session lives on for the device that opened it.
    Deny,
}

/// It is another device, and such a session may not be refreshed from there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OtherDevice;

impl DeviceBinding {
    /// In what `seen` differs from the device that signed in, as far as it matters.
    pub(super) fn judge(&self, opened: &Device, seen: &Device) -> Result<Vec<&'static str>, OtherDevice> {
        let traits = [
            ("user_agent", self.user_agent, opened.user_agent != seen.user_agent),
            ("ip", self.ip, opened.ip != seen.ip),
        ];
        let mut changed = Vec::new();
        for (name, binding, differs) in traits {
            match binding {
                Binding::Deny if differs => return Err(OtherDevice),
                Binding::Warn if differs => changed.push(name),
                Binding::Off | Binding::Warn | Binding::Deny => {}
            }
        }
        Ok(changed)
    }
}
