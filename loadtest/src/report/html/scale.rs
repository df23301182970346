//! From figures to places on an axis, and the figures that stand beside it. Pure.

/// How many figures stand beside an axis, about.
const TICKS: f64 = 5.0;

/// An axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Scale {
    /// From zero to the largest.
    Linear(f64),
    /// From a power of ten to another: for what spans decades.
    Decades(i32, i32),
}

impl Scale {
    /// From zero to at least `largest`, with a round end.
    pub(super) fn linear(largest: f64) -> Scale {
        let largest = if largest > 0.0 { largest } else { 1.0 };
        let step = round_step(largest / TICKS);
        Scale::Linear((largest / step).ceil() * step)
    }

    /// Whole decades around what is positive of these.
    pub(super) fn decades(figures: impl Iterator<Item = f64> + Clone) -> Scale {
        let positive = figures.filter(|figure| *figure > 0.0);
        let (low, high) = positive
            .fold((f64::INFINITY, 0.0_f64), |(low, high), figure| (low.min(figure), high.max(figure)));
        if high == 0.0 {
            return Scale::Decades(0, 1);
        }
        let (low, high) = (exponent(low.log10().floor()), exponent(high.log10().ceil()));
        Scale::Decades(low, high.max(low + 1))
    }

    /// The place of a figure: 0 at the beginning of the axis, 1 at its end.
    pub(super) fn place(self, figure: f64) -> f64 {
        match self {
            Scale::Linear(end) => (figure / end).clamp(0.0, 1.0),
            Scale::Decades(low, high) => {
                let at = figure.max(f64::MIN_POSITIVE).log10();
                ((at - f64::from(low)) / f64::from(high - low)).clamp(0.0, 1.0)
            }
        }
    }

    /// The figures that stand beside it.
    pub(super) fn ticks(self) -> Vec<f64> {
        match self {
            Scale::Linear(end) => {
                let step = round_step(end / TICKS);
                (0..=20).map(|tick| f64::from(tick) * step).take_while(|tick| *tick <= end * 1.001).collect()
            }
            Scale::Decades(low, high) => (low..=high).map(|exponent| 10_f64.powi(exponent)).collect(),
        }
    }
}

/// 1, 2 or 5 times a power of ten, at least `step`.
fn round_step(step: f64) -> f64 {
    let power = 10_f64.powf(step.log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * power)
        .find(|round| *round >= step * 0.999)
        .unwrap_or(power)
}

#[expect(clippy::cast_possible_truncation, reason = "the exponent of a float is between -324 and 308")]
fn exponent(power: f64) -> i32 {
    power as i32
}

/// A figure in few characters.
pub(super) fn short(figure: f64) -> String {
    let whole = |figure: f64, unit: &str| {
        let text = format!("{figure:.2}");
        format!("{}{unit}", text.trim_end_matches('0').trim_end_matches('.'))
    };
    match figure.abs() {
        size if size >= 1e6 => whole(figure / 1e6, " M"),
        size if size >= 1e4 => whole(figure / 1e3, " k"),
        _ => whole(figure, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_has_round_figures_and_holds_the_largest() {
        let scale = Scale::linear(47_300.0);
        assert_eq!((scale, scale.ticks().len()), (Scale::Linear(50_000.0), 6));
        assert_eq!((scale.place(0.0), scale.place(25_000.0), scale.place(1e9)), (0.0, 0.5, 1.0));
        assert_eq!(Scale::linear(0.0).ticks().first(), Some(&0.0));
    }

    #[test]
    fn decades_hold_what_is_positive() {
        let scale = Scale::decades([0.0, 0.3, 42.0].into_iter());
        assert_eq!(scale, Scale::Decades(-1, 2));
        assert!((scale.place(1.0) - 1.0 / 3.0).abs() < 1e-9);
        assert_eq!(Scale::decades([10.0].into_iter()), Scale::Decades(1, 2));
        assert_eq!(Scale::decades([].into_iter()), Scale::Decades(0, 1));
    }

    #[test]
    fn figures_are_short() {
        assert_eq!(
            [0.0, 0.25, 7.5, 9_999.0, 20_000.0, 2.5e6].map(short),
            ["0", "0.25", "7.5", "9999", "20 k", "2.5 M"]
        );
    }
}
