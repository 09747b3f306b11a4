//! When a person must look at how orders fare (R-KILL-6): a review, never a rollback. Figures against what the configuration
//! expects, one row each.

use super::EmergencyConfig;
use crate::ops::watch::ExecutionLine;

/// A review that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Review {
    /// Its event.
    pub name: &'static str,
    /// With its figures.
    pub detail: String,
}

/// A row: what it finds, if it holds.
type Check = fn(&ExecutionLine, &EmergencyConfig) -> Option<String>;

/// The reviews.
pub const REVIEWS: &[(&str, Check)] = &[("REVIEW_SLIPPAGE", slippage), ("REVIEW_FILL_RATE", fill_rate)];

/// All that are due. Too few orders say nothing, and what can't be told is not due: a review asks a person to look at figures.
pub fn due(line: &ExecutionLine, config: &EmergencyConfig) -> Vec<Review> {
    let rows = REVIEWS.iter();
    rows.filter_map(|(name, check)| check(line, config).map(|detail| Review { name, detail })).collect()
}

fn slippage(line: &ExecutionLine, config: &EmergencyConfig) -> Option<String> {
    let expected = i64::try_from(config.review_slippage_expected_centi_bp).ok()?;
    let percent = i64::try_from(config.review_slippage_percent).ok()?;
    let average = line.average_slippage().filter(|_| line.measured >= config.review_orders_min)?;
    (i128::from(average) * 100 > i128::from(expected) * i128::from(percent)).then(|| {
        format!(
            "{} fills cost {average} hundredths of a basis point on average, over {percent} % of the expected {expected}",
            line.measured
        )
    })
}

fn fill_rate(line: &ExecutionLine, config: &EmergencyConfig) -> Option<String> {
    let min = config.review_fill_percent_min;
    let percent = line.fill_percent().filter(|_| line.ended >= config.review_orders_min)?;
    (percent < min).then(|| format!("{percent} % of {} orders were filled, under {min} %", line.ended))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(line: &ExecutionLine) -> Vec<&'static str> {
        due(line, &EmergencyConfig::default()).iter().map(|review| review.name).collect()
    }

    #[test]
    fn r_kill_6_twice_the_expected_slippage_or_nine_orders_in_ten_unfilled_are_a_review() {
        let config = EmergencyConfig::default();
        let orders = config.review_orders_min;
        let twice = 2 * i64::try_from(config.review_slippage_expected_centi_bp * orders).unwrap();
        let good = ExecutionLine {
            ended: orders,
            filled: (orders * config.review_fill_percent_min).div_ceil(100),
            measured: orders,
            slippage_centi_bp: twice,
        };
        assert_eq!(names(&good), [""; 0], "at the bounds");
        let mut line = good;
        line.filled -= 1;
        assert_eq!(names(&line), ["REVIEW_FILL_RATE"]);
        line.slippage_centi_bp += i64::try_from(orders).unwrap();
        assert_eq!(names(&line), ["REVIEW_SLIPPAGE", "REVIEW_FILL_RATE"]);
        line.filled = orders;
        assert_eq!(names(&line), ["REVIEW_SLIPPAGE"]);
        (line.ended, line.filled, line.measured) = (orders - 1, 0, orders - 1);
        assert_eq!(names(&line), [""; 0], "too few to say anything");
        assert_eq!(names(&ExecutionLine::default()), [""; 0]);
    }
}
