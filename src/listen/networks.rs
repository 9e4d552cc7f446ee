//! Lists of networks in the configuration: `10.0.0.0/8`, or one address, which is a network of its own.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::de::Error;
use serde::{Deserialize, Deserializer};

/// For `#[serde(deserialize_with)]`.
///
/// # Errors
/// The first text that is neither.
pub fn networks<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<IpNet>, D::Error> {
    let texts = Vec::<String>::deserialize(from)?;
    let read = |text: &String| {
        let address = || text.parse::<IpAddr>().map(IpNet::from);
        let what = || format!("`{text}` is not an address, and not a network such as 10.0.0.0/8");
        text.parse::<IpNet>().or_else(|_| address()).map_err(|_| D::Error::custom(what()))
    };
    texts.iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_is_a_network_of_its_own() {
        let read =
            |json: serde_json::Value| networks(json).map(|all| all.iter().map(IpNet::to_string).collect::<Vec<_>>());
        let all = read(serde_json::json!(["10.0.0.0/8", "10.0.0.7", "::1", "2001:db8::/32"])).expect("networks");
        assert_eq!(all, ["10.0.0.0/8", "10.0.0.7/32", "::1/128", "2001:db8::/32"]);
        for wrong in ["10.0.0.0/33", "localhost", "", "10.0.0.1:80"] {
            assert!(read(serde_json::json!([wrong])).is_err(), "{wrong}");
        }
    }
}
