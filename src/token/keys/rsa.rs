//! Which RSA keys count: 2048 to 8192 bits, a public exponent of at least 65537, and no modulus of the ROCA family
//! (SEC-T3, K7; FIPS 186-5; CVE-2017-15361).

use crate::token::keys::UnusableKey;

/// # Errors
/// [`UnusableKey`] with the reason. `modulus` and `exponent` are big-endian without leading zeros.
pub fn check(modulus: &[u8], exponent: &[u8]) -> Result<(), UnusableKey> {
    let bits = modulus.first().map_or(0, |first| modulus.len() * 8 - first.leading_zeros() as usize);
    if bits < 2048 {
        return Err(UnusableKey("an RSA key of less than 2048 bits"));
    }
    if bits > 8192 {
        return Err(UnusableKey("an RSA key of more than 8192 bits"));
    }
    if modulus.last().is_none_or(|last| last % 2 == 0) {
        return Err(UnusableKey("an RSA key with an even modulus"));
    }
    // The library takes exponents of up to 33 bits.
    let small = exponent.len() <= 4 && exponent.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)) < 65537;
    if small || exponent.len() > 5 || exponent.last().is_none_or(|last| last % 2 == 0) {
        return Err(UnusableKey("an RSA key whose public exponent is even, below 65537 or above 33 bits"));
    }
    if is_roca(modulus) {
        return Err(UnusableKey("an RSA key made by a chip with the ROCA weakness: its private half can be computed"));
    }
    Ok(())
}

/// Moduli of the flawed generator are powers of 65537 modulo each small prime; others are so for all these primes
/// with a chance of about 2^-27.
fn is_roca(modulus: &[u8]) -> bool {
    const PRIMES: [u32; 38] = [
        3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107,
        109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
    ];
    PRIMES.iter().all(|prime| {
        let remainder = modulus.iter().fold(0, |rest, byte| (rest << 8 | u32::from(*byte)) % prime);
        let mut power = 1;
        (0..*prime).any(|_| {
            power = power * 65537 % prime;
            power == remainder
        })
    })
}
