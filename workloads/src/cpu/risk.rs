//! `risk`: value at risk by historical simulation.
//!
//! The returns lie in tiles of [`DAYS`] days: of a tile first all days of asset 0, then all of
//! asset 1, and so on. A portfolio's profit and loss of a tile's days is then summed in registers
//! while the memory is read once and in order. The sum over assets is made in their order for
//! each day, as a loop by hand would.
//!
//! The quantiles need two neighbours in order of size each, so the days are partitioned around
//! them rather than sorted: the 1 % tail is looked for only in the 5 % tail.

mod table;

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use manyhands_contract::generate::Stream;
use manyhands_contract::{
    Answer, Context, Definition, Handover, Input, InputError, Kind, Map, Parameter, ParameterKind,
    Parameters, Preset, Shape, Step, TaskError, Tolerance, Workload,
};
use multiversion::multiversion;
use serde::{Deserialize, Serialize};

use table::{Row, Table};

/// `risk`, as people read about it.
pub const DEFINITION: Definition = Definition {
    name: "risk",
    version: 1,
    kind: Kind::Cpu,
    shape: Shape::Map,
    summary: "value at risk of many portfolios by historical simulation",
    about: "The bank's nightly risk run: what would each portfolio have won or lost on every day \
            of the last ten years, and how bad were the worst days? Each portfolio is some twenty \
            microseconds of multiplying and adding over the same megabyte of returns, which every \
            worker reads and none writes: threads share one copy, in caches that a core does not \
            share as well; worker processes each keep their own, or map one. The tasks are even \
            and small, so equal slices do well, and chunks of one portfolio are too small to \
            send to a process. Expect nearly the number of cores from threads and rayon; less \
            where the returns do not fit into a core's own cache and the cores share the next.",
    task: "one portfolio: profit and loss of every day, value at risk at 95 % and 99 %, expected \
           shortfall at 99 %",
    answer: "`portfolios`; `worst_var99` of all; `mean_var95`, `mean_var99`, `mean_es99` over \
             portfolios, in the positions' currency",
    input: Some(
        "a folder with `prices.csv` (`date`, then a column per asset; a row per day, in order; at \
         least two) and `portfolios.csv` (`portfolio`, then the same assets; positions in \
         currency), or the two files. Generated: U_s(i) and N_s(i) are uniform and normal value i \
         of stream s. The first price of asset a is 20 + 180 U_0(a); the price of day t >= 1 is \
         the one before times 1 + (0.0003 + 0.006 N_1(t) + 0.012 N_2(t assets + a)); the position \
         of portfolio p in asset a is floor(100000 N_3(p assets + a)); days are weekdays from \
         2015-01-05",
    ),
    parameters: &[
        Parameter {
            name: "portfolios",
            about: "how many portfolios to generate",
            unit: "tasks",
            kind: ParameterKind::Integer { min: 1, max: 10_000_000 },
            default: "12000",
        },
        Parameter {
            name: "assets",
            about: "how many assets to generate",
            unit: "assets",
            kind: ParameterKind::Integer { min: 1, max: 10_000 },
            default: "50",
        },
        Parameter {
            name: "days",
            about: "how many days of prices to generate; 252 trading days are a year",
            unit: "days",
            kind: ParameterKind::Integer { min: 2, max: 100_000 },
            default: "2521",
        },
    ],
    presets: &[
        Preset { name: "quick", values: &[("portfolios", "1200")] },
        Preset { name: "standard", values: &[] },
        Preset { name: "large", values: &[("portfolios", "120000")] },
    ],
    // About 0.4 ms: an eighth of a share of the quick size would leave one worker waiting for 2 ms.
    grows: Some("portfolios"),
    length: None,
    max_chunk: Some(16),
    simulated: false,
};

/// Days in a tile: four vectors of sums, enough to keep two adders busy.
const DAYS: usize = 16;

/// One number for each day of a tile.
type Tile = [f64; DAYS];

const PRICES: &str = "prices.csv";
const PORTFOLIOS: &str = "portfolios.csv";

/// The workload.
#[derive(Debug)]
pub struct Risk {
    size: Size,
    /// Tile by tile, within it asset by asset; zeros after the last day.
    returns: Input<Tile>,
    /// Portfolio by portfolio, assets in the order of the prices.
    positions: Input<f64>,
    largest_return: f64,
}

/// How much input there is: known before the buffers are, and in every process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Size {
    assets: usize,
    /// Days with a profit or loss: all but the first.
    days: usize,
    portfolios: usize,
}

/// What portfolios add up to.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Sums {
    portfolios: u64,
    worst_var99: f64,
    var95: f64,
    var99: f64,
    es99: f64,
    /// Of each portfolio the most that the terms of a day can add up to in size: what rounding
    /// errors are relative to when long and short positions cancel.
    exposure: f64,
    largest_exposure: f64,
}

/// A portfolio's tail: losses are positive.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Tail {
    var95: f64,
    var99: f64,
    es99: f64,
}

impl Sums {
    const NONE: Self = Self {
        portfolios: 0,
        worst_var99: f64::NEG_INFINITY,
        var95: 0.0,
        var99: 0.0,
        es99: 0.0,
        exposure: 0.0,
        largest_exposure: 0.0,
    };

    fn one(tail: Tail, exposure: f64) -> Self {
        Self {
            portfolios: 1,
            worst_var99: tail.var99,
            var95: tail.var95,
            var99: tail.var99,
            es99: tail.es99,
            exposure,
            largest_exposure: exposure,
        }
    }

    fn add(&mut self, other: Self) {
        self.portfolios += other.portfolios;
        self.worst_var99 = self.worst_var99.max(other.worst_var99);
        self.var95 += other.var95;
        self.var99 += other.var99;
        self.es99 += other.es99;
        self.exposure += other.exposure;
        self.largest_exposure = self.largest_exposure.max(other.largest_exposure);
    }

    fn answer(self) -> Answer {
        let count = self.portfolios as f64;
        let mean = |sum: f64| (sum / count, Tolerance::of_sum(self.exposure / count));
        let worst = Tolerance::of_sum(self.largest_exposure);
        let mut answer = Answer::new().count("portfolios", self.portfolios).real(
            "worst_var99",
            self.worst_var99,
            worst,
        );
        for (name, sum) in
            [("mean_var95", self.var95), ("mean_var99", self.var99), ("mean_es99", self.es99)]
        {
            let (value, tolerance) = mean(sum);
            answer = answer.real(name, value, tolerance);
        }
        answer
    }
}

/// Profit and loss of every day: for each the sum over assets of position times return.
#[multiversion(targets("x86_64+avx2"))]
fn profit_and_loss(returns: &[Tile], positions: &[f64], into: &mut [Tile]) {
    for (tiles, days) in returns.chunks_exact(positions.len()).zip(into) {
        let mut sums = [0.0; DAYS];
        for (returns, position) in tiles.iter().zip(positions) {
            for (sum, change) in sums.iter_mut().zip(returns) {
                *sum += position * change;
            }
        }
        *days = sums;
    }
}

/// The tail of a portfolio's profits and losses, which are left in another order.
fn tail(days: &mut [f64]) -> Tail {
    let last = (days.len() - 1) as f64;
    let (quantile5, above) = order_statistic(days, 0.05 * last);
    let (quantile1, _) = order_statistic(&mut days[..=above], 0.01 * last);
    Tail { var95: -quantile5, var99: -quantile1, es99: -mean_up_to(days, quantile1) }
}

/// The value at a position in order of size, linearly interpolated between its neighbours, and
/// the index of the upper neighbour: nothing before it is larger, nothing after it smaller.
fn order_statistic(values: &mut [f64], position: f64) -> (f64, usize) {
    let below = position as usize;
    let above = (below + 1).min(values.len() - 1);
    let (smaller, upper, _) = values.select_nth_unstable_by(above, f64::total_cmp);
    let upper = *upper;
    let lower = smaller.iter().copied().reduce(f64::max).unwrap_or(upper);
    (lower + (upper - lower) * (position - below as f64), above)
}

/// The mean of the values that are at most `bound`; the smallest always is.
fn mean_up_to(values: &[f64], bound: f64) -> f64 {
    let (mut sum, mut count) = (0.0, 0_u32);
    for value in values {
        if *value <= bound {
            sum += value;
            count += 1;
        }
    }
    sum / f64::from(count)
}

impl Map for Risk {
    type Phase = ();
    /// The profit or loss of each day, in tiles.
    type Local = Vec<Tile>;
    type Partial = Sums;

    fn local(&self) -> Result<Vec<Tile>, TaskError> {
        Ok(vec![[0.0; DAYS]; self.size.tiles()])
    }

    fn first(&self) {}

    fn tasks(&self, _phase: &()) -> usize {
        self.size.portfolios
    }

    fn empty(&self, _phase: &()) -> Sums {
        Sums::NONE
    }

    fn run(
        &self,
        tiles: &mut Vec<Tile>,
        _phase: &(),
        task: usize,
        into: &mut Sums,
    ) -> Result<(), TaskError> {
        let Size { assets, days, .. } = self.size;
        let positions = &self.positions[task * assets..][..assets];
        profit_and_loss(&self.returns, positions, tiles);
        let tail = tail(&mut tiles.as_flattened_mut()[..days]);
        let gross: f64 = positions.iter().map(|position| position.abs()).sum();
        into.add(Sums::one(tail, gross * self.largest_return));
        Ok(())
    }

    fn merge(&self, left: &mut Sums, right: Sums) {
        left.add(right);
    }

    fn next(&self, (): (), sums: Sums) -> Result<Step<()>, TaskError> {
        Ok(Step::Done(sums.answer()))
    }
}

impl Workload for Risk {
    const DEFINITION: &'static Definition = &DEFINITION;

    fn generate(parameters: &Parameters, seed: u64, folder: &Path) -> Result<(), InputError> {
        let market = Market { seed, assets: parameters.size("assets") };
        let days = parameters.size("days");
        write(&folder.join(PRICES), |out| market.write_prices(days, out))?;
        let portfolios = parameters.size("portfolios");
        write(&folder.join(PORTFOLIOS), |out| market.write_portfolios(portfolios, out))
    }

    fn prepare(context: &Context<'_>) -> Result<Self, InputError> {
        let prices = find(context.input, PRICES)?;
        let portfolios = find(context.input, PORTFOLIOS)?;
        // A process that attaches to filled buffers must know their lengths, but need not read.
        let size = match context.handover {
            Some(handover) => Size::handed_over(handover)?,
            None => Size::of(&prices, &portfolios)?,
        };
        let returns =
            context.storage.fill(size.tiles() * size.assets, |returns: &mut [Tile]| {
                read_returns(&Table::read(&prices, "date")?, size, returns)
            })?;
        let positions = context.storage.fill(size.portfolios * size.assets, |positions| {
            let assets = Table::read(&prices, "date")?.columns;
            read_positions(&Table::read(&portfolios, "portfolio")?, &assets, size, positions)
        })?;
        let sizes = returns.as_flattened().iter().map(|change| change.abs());
        let largest_return = sizes.fold(0.0, f64::max);
        Ok(Self { size, returns, positions, largest_return })
    }

    fn handover(&self) -> Handover {
        self.size.hand_over()
    }
}

impl Size {
    const NAMES: [&str; 3] = ["assets", "days", "portfolios"];

    fn of(prices: &Path, portfolios: &Path) -> Result<Self, InputError> {
        let (prices, portfolios) =
            (Table::read(prices, "date")?, Table::read(portfolios, "portfolio")?);
        if prices.len() < 2 {
            let what = "there are fewer than two days of prices";
            return Err(prices.wrong_as_a_whole(what, "one day has no profit or loss: add days"));
        }
        if portfolios.len() == 0 {
            return Err(portfolios.wrong_as_a_whole("there are no portfolios", "add a line each"));
        }
        Ok(Self {
            assets: prices.columns.len(),
            days: prices.len() - 1,
            portfolios: portfolios.len(),
        })
    }

    fn tiles(self) -> usize {
        self.days.div_ceil(DAYS)
    }

    fn hand_over(self) -> Handover {
        let values = [self.assets, self.days, self.portfolios].map(|value| value.to_string());
        Self::NAMES.map(str::to_owned).into_iter().zip(values).collect()
    }

    fn handed_over(handover: &Handover) -> Result<Self, InputError> {
        let value = |name| {
            let text = handover.get(name).map(String::as_str).unwrap_or_default();
            text.parse().map_err(|_| InputError(format!("'{text}' was handed over as {name}")))
        };
        let [assets, days, portfolios] = Self::NAMES;
        Ok(Self { assets: value(assets)?, days: value(days)?, portfolios: value(portfolios)? })
    }
}

/// The file of that name: given itself, or in a folder that was given.
fn find(input: &[PathBuf], name: &str) -> Result<PathBuf, InputError> {
    let candidates = input.iter().map(|path| match path.is_dir() {
        true => path.join(name),
        false => path.clone(),
    });
    let is_it = |path: &PathBuf| path.file_name().is_some_and(|n| n == name) && path.is_file();
    candidates.into_iter().find(is_it).ok_or_else(|| {
        let searched: Vec<_> = input.iter().map(|path| path.display().to_string()).collect();
        InputError(format!(
            "there is no {name} in {}; give a folder that holds {PRICES} and {PORTFOLIOS}, or both \
             files",
            searched.join(", ")
        ))
    })
}

/// Reads prices day by day and stores what each changed by.
fn read_returns(prices: &Table, size: Size, returns: &mut [Tile]) -> Result<(), InputError> {
    check_unchanged(prices, (size.assets, size.days + 1))?;
    let (mut yesterday, mut today) = (vec![0.0; size.assets], vec![0.0; size.assets]);
    let mut rows = prices.rows();
    if let Some(first) = rows.next() {
        read_prices(first, &mut yesterday)?;
    }
    for (day, row) in rows.enumerate() {
        read_prices(row, &mut today)?;
        let tile = &mut returns[day / DAYS * size.assets..][..size.assets];
        for ((days, today), yesterday) in tile.iter_mut().zip(&today).zip(&yesterday) {
            days[day % DAYS] = today / yesterday - 1.0;
        }
        std::mem::swap(&mut yesterday, &mut today);
    }
    Ok(())
}

fn read_prices(row: Row<'_>, prices: &mut [f64]) -> Result<(), InputError> {
    row.numbers(prices)?;
    match prices.iter().position(|price| *price <= 0.0) {
        Some(column) => Err(row.wrong_number(
            column,
            prices[column],
            "is not a price",
            "give prices above 0, and leave out assets without one",
        )),
        None => Ok(()),
    }
}

/// Reads positions, putting them in the order of the prices.
fn read_positions(
    portfolios: &Table,
    assets: &[String],
    size: Size,
    positions: &mut [f64],
) -> Result<(), InputError> {
    let places = places(portfolios, assets)?;
    check_unchanged(portfolios, (size.assets, size.portfolios))?;
    let mut numbers = vec![0.0_f64; assets.len()];
    for (row, positions) in portfolios.rows().zip(positions.chunks_exact_mut(assets.len())) {
        row.numbers(&mut numbers)?;
        for ((column, number), place) in numbers.iter().enumerate().zip(&places) {
            if number.abs() > LARGEST_POSITION {
                let what = "is more than all the money there is";
                return Err(row.wrong_number(column, *number, what, "give positions up to 1e18"));
            }
            positions[*place] = *number;
        }
    }
    Ok(())
}

/// Keeps every sum finite.
const LARGEST_POSITION: f64 = 1e18;

/// For each column of positions, which asset of the prices it is.
fn places(portfolios: &Table, assets: &[String]) -> Result<Vec<usize>, InputError> {
    let place = |column: &String| assets.iter().position(|asset| asset == column);
    let unknown = |column: &String| {
        let what = format!("column {column} is not in {PRICES}");
        portfolios.wrong(1, &what, "use the same names in both files")
    };
    if let Some(missing) = assets.iter().find(|asset| !portfolios.columns.contains(asset)) {
        let what = format!("there is no column {missing}, which {PRICES} has");
        return Err(portfolios.wrong(1, &what, "add it, with 0 where nothing is held"));
    }
    portfolios.columns.iter().map(|column| place(column).ok_or_else(|| unknown(column))).collect()
}

/// That a table still has the columns and rows that buffers were made for.
fn check_unchanged(table: &Table, expected: (usize, usize)) -> Result<(), InputError> {
    let found = (table.columns.len(), table.len());
    if found == expected {
        return Ok(());
    }
    let what = format!("{found:?} columns and rows, which were {expected:?} at first");
    Err(table.wrong_as_a_whole(&what, "leave the files alone during a run"))
}

/// Writes a file through a buffer.
fn write(
    path: &Path,
    contents: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> Result<(), InputError> {
    let to_file = || {
        let mut out = BufWriter::new(File::create(path)?);
        contents(&mut out)?;
        out.flush()
    };
    to_file().map_err(|error| InputError::write(path, error))
}

/// The generated market: formulas in [`DEFINITION`].
struct Market {
    seed: u64,
    assets: usize,
}

impl Market {
    fn stream(&self, number: u64) -> Stream {
        Stream::new(self.seed, number)
    }

    /// The names of the columns, after that of the first.
    fn write_header(&self, first: &str, out: &mut impl Write) -> io::Result<()> {
        write!(out, "{first}")?;
        (0..self.assets).try_for_each(|asset| write!(out, ",A{asset}"))?;
        writeln!(out)
    }

    fn write_prices(&self, days: usize, out: &mut impl Write) -> io::Result<()> {
        let (first, market, own) = (self.stream(0), self.stream(1), self.stream(2));
        let mut prices: Vec<_> =
            (0..self.assets as u64).map(|asset| 20.0 + 180.0 * first.uniform(asset)).collect();
        self.write_header("date", out)?;
        for day in 0..days as u64 {
            if day > 0 {
                let common = 0.0003 + 0.006 * market.normal(day);
                let before = day * self.assets as u64;
                for (price, index) in prices.iter_mut().zip(before..) {
                    // Normals are within 6, so no day loses more than 11 %: prices stay positive.
                    *price *= 1.0 + (common + 0.012 * own.normal(index));
                }
            }
            write!(out, "{}", weekday(day))?;
            prices.iter().try_for_each(|price| write!(out, ",{price}"))?;
            writeln!(out)?;
        }
        Ok(())
    }

    fn write_portfolios(&self, portfolios: usize, out: &mut impl Write) -> io::Result<()> {
        let (normal, assets) = (self.stream(3), self.assets as u64);
        self.write_header("portfolio", out)?;
        for portfolio in 0..portfolios as u64 {
            write!(out, "P{portfolio}")?;
            for asset in 0..assets {
                let position = (100_000.0 * normal.normal(portfolio * assets + asset)).floor();
                write!(out, ",{position}")?;
            }
            writeln!(out)?;
        }
        Ok(())
    }
}

/// Weekday number `day` from Monday 2015-01-05 on, as `YYYY-MM-DD`.
fn weekday(day: u64) -> String {
    /// Days from 0000-03-01 of the Gregorian calendar to that Monday.
    const MONDAY: u64 = 735_908;
    // Years that begin in March have their leap day last (Hinnant, "chrono-compatible low-level
    // date algorithms", civil_from_days).
    let days = MONDAY + day / 5 * 7 + day % 5;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
#[path = "risk/tests.rs"]
mod tests;
