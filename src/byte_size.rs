//! Sizes as people write them: `64 GiB`, `1 TB`. The API itself speaks in bytes; pages and forms do not have to.

/// Units from the largest; binary ones first where both would do.
const UNITS: &[(&str, i128)] = &[
    ("EiB", 1 << 60),
    ("EB", 1_000_000_000_000_000_000),
    ("PiB", 1 << 50),
    ("PB", 1_000_000_000_000_000),
    ("TiB", 1 << 40),
    ("TB", 1_000_000_000_000),
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("kB", 1000),
    ("B", 1),
];

/// From here on a number is too long to be read at a glance.
const LONG: i128 = 10_000;

/// The size in the unit that makes it shortest, without rounding: what a form shows, and understands.
#[must_use]
pub fn exact(bytes: i64) -> String {
    let whole = UNITS.iter().filter(|(_, unit)| bytes != 0 && i128::from(bytes) % unit == 0);
    let texts = whole.map(|(name, unit)| format!("{} {name}", i128::from(bytes) / unit));
    texts.min_by_key(String::len).unwrap_or_else(|| format!("{bytes} B"))
}

/// The size at a glance, rounded if it is no round number.
#[must_use]
pub fn short(bytes: i64) -> String {
    let exact = exact(bytes);
    let number = exact.split(' ').next().and_then(|number| number.parse::<i128>().ok()).unwrap_or_default();
    if number.abs() < LONG {
        return exact;
    }
    let binary = |(name, unit): &&(&str, i128)| name.ends_with("iB") && i128::from(bytes).abs() >= *unit;
    let Some((name, unit)) = UNITS.iter().find(binary) else { return exact };
    let tenths = (i128::from(bytes) * 10 + unit / 2) / unit;
    format!("{}.{} {name}", tenths / 10, (tenths % 10).abs())
}

/// What a person means by `64 GiB`, `1.5 TB` or `1024`; nothing if it is no whole number of bytes.
#[must_use]
pub fn parse(text: &str) -> Option<i64> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = (&text[..end], text[end..].trim());
    let (_, factor) =
        UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(if unit.is_empty() { "B" } else { unit }))?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let scale = 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
    let scaled = digits.checked_mul(*factor)?;
    if scaled % scale == 0 { i64::try_from(scaled / scale).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_form_shows_it_understands() {
        for (bytes, text) in [
            (0, "0 B"),
            (500, "500 B"),
            (1000, "1 kB"),
            (2048, "2 KiB"),
            (1_073_741_824, "1 GiB"),
            (68_719_476_736, "64 GiB"),
            (1_000_000_000_000, "1 TB"),
            (1_000_000_000_001, "1000000000001 B"),
            (i64::MAX, "9223372036854775807 B"),
        ] {
            assert_eq!(exact(bytes), text);
            assert_eq!(parse(text), Some(bytes), "{text}");
        }
        assert_eq!(short(1_000_000_000_001), "931.3 GiB");
        assert_eq!(short(68_719_476_736), "64 GiB");
        assert_eq!(short(i64::MAX), "8.0 EiB");
    }

    #[test]
    fn people_write_sizes_in_several_ways() {
        for (text, bytes) in [
            ("1024", Some(1024)),
            (" 64gib ", Some(68_719_476_736)),
            ("1.5 TB", Some(1_500_000_000_000)),
            ("0.5 GiB", Some(536_870_912)),
            ("1.3 B", None),
            ("1 G", None),
            ("GiB", None),
            ("", None),
            ("-1", None),
            ("1.2.3 GiB", None),
            ("99999999999 EiB", None),
        ] {
            assert_eq!(parse(text), bytes, "{text}");
        }
    }
}
