//! How people prove who they are: the identifier they sign in by, and the password. `accounts` asks; nothing here keeps or
//! looks up anything.
//!
//! More ways stand beside these, each in a file of its own: second factors, and providers that vouch for someone.

pub mod identifier;
pub mod password;
