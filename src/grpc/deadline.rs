//! The client's deadline: `grpc-timeout`, up to eight digits and a unit
//! (<https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>).

use std::time::Duration;

use http::HeaderMap;
use tonic::Status;

/// How long the client waits; `None` where it does not say.
///
/// # Errors
/// What is wrong, where it came in another form or twice.
pub(super) fn of(headers: &HeaderMap) -> Result<Option<Duration>, &'static str> {
    let mut told = headers.get_all("grpc-timeout").iter();
    match (told.next(), told.next()) {
        (None, _) => Ok(None),
        (Some(one), None) => {
            read(one.as_bytes()).map(Some).ok_or("The metadata grpc-timeout is 1 to 8 digits and a unit.")
        }
        (Some(_), Some(_)) => Err("The metadata grpc-timeout came twice."),
    }
}

fn read(told: &[u8]) -> Option<Duration> {
    let (unit, digits) = told.split_last()?;
    if !(1..=8).contains(&digits.len()) || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let count: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some(match unit {
        b'H' => Duration::from_secs(count * 3600),
        b'M' => Duration::from_secs(count * 60),
        b'S' => Duration::from_secs(count),
        b'm' => Duration::from_millis(count),
        b'u' => Duration::from_micros(count),
        b'n' => Duration::from_nanos(count),
        _ => return None,
    })
}

/// The call may have taken effect all the same.
pub(super) fn exceeded() -> Status {
    Status::deadline_exceeded("The deadline passed before there was an answer; the call may have taken effect.")
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn told(values: &[&str]) -> Result<Option<Duration>, &'static str> {
        let value =
            |value: &&str| ("grpc-timeout".parse().expect("a name"), HeaderValue::from_str(value).expect("a value"));
        of(&values.iter().map(value).collect())
    }

    #[test]
    fn a_deadline_is_read_in_each_of_its_units() {
        assert_eq!(told(&[]), Ok(None));
        for (text, nanos) in [
            ("1H", 3_600_000_000_000_u128),
            ("2M", 120_000_000_000),
            ("3S", 3_000_000_000),
            ("99999999m", 99_999_999_000_000),
            ("5u", 5_000),
            ("0n", 0),
            ("00000007n", 7),
        ] {
            assert_eq!(told(&[text]).map(|span| span.map(|span| span.as_nanos())), Ok(Some(nanos)), "{text}");
        }
        assert_eq!(told(&["99999999H"]), Ok(Some(Duration::from_secs(99_999_999 * 3600))));
    }

    // SEC-L11
    #[test]
    fn a_deadline_in_another_form_is_refused() {
        for text in ["", "S", "1", "1s", "-1S", "+1S", "1.5S", "1 S", "123456789n", "1SS"] {
            assert!(told(&[text]).is_err(), "{text}");
        }
        assert!(told(&["1S", "1S"]).is_err());
    }
}
