//! What settings say of numbers that the server gives away: the shape of ranges. It knows nobody who takes of them.

use std::ops::RangeInclusive;

/// Whether this is an address of six bytes, of one receiver (IEEE 802: the first bit that is sent is 0), and the number of its bits
/// that are given: the others are 0.
pub fn is_mac_range(text: &str) -> bool {
    let Some((address, given)) = text.split_once('/') else { return false };
    let bytes: Vec<&str> = address.split(':').collect();
    let is_byte = |byte: &&str| byte.len() == 2 && byte.bytes().all(|digit| digit.is_ascii_hexdigit());
    if bytes.len() != 6 || !bytes.iter().all(is_byte) {
        return false;
    }
    let (Ok(number), Ok(given)) = (u64::from_str_radix(&bytes.concat(), 16), given.parse::<u32>()) else {
        return false;
    };
    (8..=40).contains(&given) && number >> 40 & 1 == 0 && number.trailing_zeros() >= 48 - given
}

/// Whether this is `FIRST-LAST`, within a range.
pub fn is_within(text: &str, range: RangeInclusive<u32>) -> bool {
    let number = |digits: &str| {
        let plain = digits.bytes().all(|digit| digit.is_ascii_digit());
        digits.parse::<u32>().ok().filter(|number| plain && range.contains(number))
    };
    let Some((first, last)) = text.split_once('-') else { return false };
    matches!((number(first), number(last)), (Some(first), Some(last)) if first <= last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_of_addresses_is_of_one_receiver_and_leaves_some_to_give() {
        for good in ["52:54:00:00:00:00/24", "02:00:00:00:00:00/8", "52:54:00:AB:CD:00/40", "52:54:00:80:00:00/25"] {
            assert!(is_mac_range(good), "{good}");
        }
        for bad in [
            "",
            "52:54:00:00:00:00",
            "52:54:00:00:00/24",
            "52:54:00:00:00:00:00/24",
            "52-54-00-00-00-00/24",
            "53:54:00:00:00:00/24",
            "52:54:00:80:00:00/24",
            "52:54:00:00:00:00/41",
            "52:54:00:00:00:00/7",
            "52:54:00:00:00:00/x",
            "5:254:00:00:00:00/24",
            "zz:54:00:00:00:00/24",
            "52:54:00:00:00:00/24'; DROP TABLE vms; --",
        ] {
            assert!(!is_mac_range(bad), "{bad}");
        }
    }

    #[test]
    fn a_pool_has_a_first_and_a_last() {
        for good in ["1-4094", "100-100", "7-8"] {
            assert!(is_within(good, 1..=4094), "{good}");
        }
        for bad in ["", "1", "-", "1-", "0-5", "5-4", "1-4095", "+1-5", "1-5-9", "a-b", "1 - 5"] {
            assert!(!is_within(bad, 1..=4094), "{bad}");
        }
    }
}
