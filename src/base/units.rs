//! Formatting and parsing of sizes and durations.

use std::time::Duration;

/// `1.4 MiB`, with binary units.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = count as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{count} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}

/// `15,399`
pub fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `0.4s`, `12s`, `3m05s`, `2h07m`.
pub fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..10 => format!("{:.1}s", time.as_secs_f64()),
        10..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
    }
}

/// Reads a size: `512`, `800 MiB`, `1.5 GiB`, `2G`.
pub fn parse_bytes(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let scale: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "t" | "tib" => 1 << 40,
        _ => return Err(format!("`{text}` is not a size: write it as `800 MiB` or `2 GiB`")),
    };
    match number.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok((number * scale as f64) as u64),
        _ => Err(format!("`{text}` is not a size: write it as `800 MiB` or `2 GiB`")),
    }
}

/// Reads a time: `90`, `90s`, `45m`, `2h`, `5h30m`.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a time: write it as `90s`, `45m` or `5h30m`");
    let mut seconds: u64 = 0;
    let mut rest = text.trim();
    // Each unit is smaller than the one before.
    let mut limit = u64::MAX;
    while !rest.is_empty() || limit == u64::MAX {
        let split = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (number, after) = rest.split_at(split);
        let end = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let scale = match after[..end].trim() {
            "h" => 3600,
            "m" | "min" => 60,
            "s" => 1,
            "" if limit == u64::MAX => 1,
            _ => return Err(wrong()),
        };
        if scale >= limit {
            return Err(wrong());
        }
        limit = scale;
        let part = number.parse::<u64>().ok().and_then(|number| number.checked_mul(scale));
        seconds = part.and_then(|part| seconds.checked_add(part)).ok_or_else(wrong)?;
        rest = &after[end..];
    }
    Ok(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_read_as_written() {
        assert_eq!(bytes(1_500_000), "1.4 MiB");
        assert_eq!([0, 999, 1000, 15_399, 1_234_567].map(grouped), ["0", "999", "1,000", "15,399", "1,234,567"]);
        assert_eq!(parse_bytes("1.5 GiB"), Ok(1_610_612_736));
        assert!(parse_bytes("many").is_err());
        assert_eq!(duration(Duration::from_secs(185)), "3m05s");
        assert_eq!(parse_duration("45m"), Ok(Duration::from_secs(2700)));
        assert_eq!(parse_duration("5h30m"), Ok(Duration::from_secs(19_800)));
        assert_eq!(parse_duration(" 1h 2m 3s "), Ok(Duration::from_secs(3723)));
        for wrong in ["", "h", "5h5h", "5m5h", "5h30", "99999999999999999999h", "1d", "-1s", "1.5h"] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
    }
}
