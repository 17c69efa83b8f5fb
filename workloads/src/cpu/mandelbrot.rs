//! `mandelbrot`: rows of very different cost.
//!
//! Eight neighbouring pixels are iterated at once, in arrays that the compiler turns into
//! vectors. Lanes that escaped keep computing and are no longer counted; a pixel's arithmetic
//! does not depend on its neighbours, and nothing is fused or reordered, so every machine and
//! every vector width gives the same counts. No short cuts for pixels known to be inside: how
//! many steps were made is part of the answer.

use manyhands_contract::{
    Answer, Context, Definition, InputError, Kind, Map, Output, Parameter, ParameterKind,
    Parameters, Preset, Region, Shape, Step, Storage, TaskError, Workload,
};
use multiversion::multiversion;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// `mandelbrot`, as people read about it.
pub const DEFINITION: Definition = Definition {
    name: "mandelbrot",
    version: 1,
    kind: Kind::Cpu,
    shape: Shape::Map,
    summary: "rows of the Mandelbrot set: strongly uneven tasks",
    about: "Pure computation again, but the cost of a row depends on how much of the set it \
            crosses: at the edges of the picture a pixel escapes after a few steps, in the middle \
            most need all of them, and a row there costs a hundred times one at the top. Cut into \
            as many equal slices as there are workers, the run takes as long as the slice in the \
            middle while the others wait. Executors that hand out a few rows at a time, or steal, \
            keep every core busy to the end; the price is more handing over, which a row of this \
            size hardly notices. With `picture=on` each task also writes its row of counts, as \
            programs that draw do; processes must then bring the rows back.",
    task: "one row of pixels",
    answer: "`inside`, the pixels that reach `max-iterations`; `iterations`, the steps made for \
             all pixels",
    input: None,
    parameters: &[
        Parameter {
            name: "width",
            about: "pixels in a row",
            unit: "pixels",
            kind: ParameterKind::Integer { min: 1, max: 100_000 },
            default: "1600",
        },
        Parameter {
            name: "height",
            about: "how many rows",
            unit: "rows",
            kind: ParameterKind::Integer { min: 1, max: 100_000 },
            default: "1600",
        },
        Parameter {
            name: "max-iterations",
            about: "steps after which a pixel counts as inside",
            unit: "steps",
            kind: ParameterKind::Integer { min: 1, max: 1_000_000_000 },
            default: "1000",
        },
        Parameter {
            name: "picture",
            about: "whether the count of each pixel is kept",
            unit: "",
            kind: ParameterKind::Choice(&["off", "on"]),
            default: "off",
        },
    ],
    presets: &[
        Preset { name: "quick", values: &[("width", "500"), ("height", "500")] },
        Preset { name: "standard", values: &[] },
        Preset { name: "large", values: &[("width", "5000"), ("height", "5000")] },
    ],
    grows: Some("height"),
    length: None,
    max_chunk: None,
    simulated: false,
};

/// Pixels iterated at once: two vectors of four, since a step is a chain of three operations that
/// a second chain hides. Sixteen run out of registers.
const LANES: usize = 8;

/// Steps between two looks at whether any lane still counts.
const STRIDE: u32 = 8;

/// The workload.
#[derive(Debug, Clone)]
pub struct Mandelbrot {
    view: View,
    /// Row after row, the steps made for each pixel, when a picture was asked for.
    picture: Option<Output<u32>>,
}

/// Which pixels there are and how long to iterate them.
#[derive(Debug, Clone, Copy)]
struct View {
    width: usize,
    height: usize,
    max_iterations: u32,
}

/// What a row, or several, add up to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Pixels that reach the maximum.
    pub inside: u64,
    /// Steps made.
    pub iterations: u64,
}

impl Counts {
    fn add(&mut self, other: Counts) {
        self.inside += other.inside;
        self.iterations += other.iterations;
    }
}

impl Mandelbrot {
    /// As the parameters of [`DEFINITION`] say.
    ///
    /// # Errors
    /// When there is no memory for the picture.
    fn new(parameters: &Parameters, storage: &Storage) -> Result<Self, InputError> {
        let view = View {
            width: parameters.size("width"),
            height: parameters.size("height"),
            max_iterations: u32::try_from(parameters.integer("max-iterations"))
                .expect("its limit is below 2^32"),
        };
        let picture = match parameters.text("picture") {
            "on" => Some(storage.output(view.width * view.height)?),
            _ => None,
        };
        Ok(Self { view, picture })
    }

    /// The pixels of rows, as elements of the picture.
    fn pixels(&self, rows: Range<usize>) -> Range<usize> {
        rows.start * self.view.width..rows.end * self.view.width
    }
}

/// Eight pixels of one row on their way.
struct Lanes {
    x: [f64; LANES],
    y: f64,
    re: [f64; LANES],
    im: [f64; LANES],
    /// All ones while every |z|^2 so far was at most 4, then zero for good; as wide as an f64, so
    /// that comparisons need not be narrowed. A lane beyond the row's end starts as zero.
    alive: [u64; LANES],
    count: [u64; LANES],
}

impl Lanes {
    #[inline(always)]
    fn new(view: View, row: usize, first: usize) -> Self {
        let (width, height) = (view.width as f64, view.height as f64);
        let column = |lane: usize| (first + lane) as f64;
        Self {
            x: std::array::from_fn(|lane| -2.0 + (column(lane) + 0.5) * 2.5 / width),
            y: -1.25 + (row as f64 + 0.5) * 2.5 / height,
            re: [0.0; LANES],
            im: [0.0; LANES],
            alive: std::array::from_fn(|lane| mask(first + lane < view.width)),
            count: [0; LANES],
        }
    }

    /// One step of every lane; those no longer alive run on to infinity unseen.
    #[inline(always)]
    fn step(&mut self) {
        for lane in 0..LANES {
            let (re, im) = (self.re[lane], self.im[lane]);
            let (re2, im2) = (re * re, im * im);
            self.alive[lane] &= mask(re2 + im2 <= 4.0);
            // Minus all ones is plus one.
            self.count[lane] = self.count[lane].wrapping_sub(self.alive[lane]);
            self.re[lane] = re2 - im2 + self.x[lane];
            self.im[lane] = 2.0 * re * im + self.y;
        }
    }

    #[inline(always)]
    fn any_alive(&self) -> bool {
        self.alive.iter().fold(0, |any, alive| any | alive) != 0
    }
}

#[inline(always)]
fn mask(condition: bool) -> u64 {
    if condition { u64::MAX } else { 0 }
}

/// The steps made for `LANES` pixels of a row from `first` on; zero beyond the row's end.
#[inline(always)]
fn counts(view: View, row: usize, first: usize) -> [u64; LANES] {
    let mut lanes = Lanes::new(view, row, first);
    for _ in 0..view.max_iterations / STRIDE {
        for _ in 0..STRIDE {
            lanes.step();
        }
        if !lanes.any_alive() {
            return lanes.count;
        }
    }
    for _ in 0..view.max_iterations % STRIDE {
        lanes.step();
    }
    lanes.count
}

/// Iterates one row, and writes its counts into `picture` unless that is empty.
#[multiversion(targets("x86_64+avx2"))]
fn iterate_row(view: View, row: usize, picture: &mut [u32]) -> Counts {
    let mut sums = Counts::default();
    for first in (0..view.width).step_by(LANES) {
        let counts = counts(view, row, first);
        for count in counts {
            sums.iterations += count;
            sums.inside += u64::from(count == u64::from(view.max_iterations));
        }
        // Stops at the row's end, or at once without a picture.
        for (pixel, count) in picture.iter_mut().skip(first).zip(counts) {
            *pixel = count as u32; // at most the maximum, which is one
        }
    }
    sums
}

impl Map for Mandelbrot {
    type Phase = ();
    type Local = ();
    type Partial = Counts;

    fn local(&self) -> Result<(), TaskError> {
        Ok(())
    }

    fn first(&self) {}

    fn tasks(&self, _phase: &()) -> usize {
        self.view.height
    }

    fn empty(&self, _phase: &()) -> Counts {
        Counts::default()
    }

    fn run(&self, _: &mut (), _phase: &(), row: usize, into: &mut Counts) -> Result<(), TaskError> {
        into.add(match &self.picture {
            Some(picture) => {
                iterate_row(self.view, row, &mut picture.write(self.pixels(row..row + 1)))
            }
            None => iterate_row(self.view, row, &mut []),
        });
        Ok(())
    }

    fn merge(&self, left: &mut Counts, right: Counts) {
        left.add(right);
    }

    fn next(&self, (): (), counts: Counts) -> Result<Step<()>, TaskError> {
        let answer =
            Answer::new().count("inside", counts.inside).count("iterations", counts.iterations);
        Ok(Step::Done(answer))
    }

    fn writes(&self, _phase: &(), rows: Range<usize>) -> Vec<Region> {
        self.picture.iter().map(|picture| picture.region(self.pixels(rows.clone()))).collect()
    }
}

impl Workload for Mandelbrot {
    const DEFINITION: &'static Definition = &DEFINITION;

    fn prepare(context: &Context<'_>) -> Result<Self, InputError> {
        Self::new(context.parameters, context.storage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::same_in_all_chunks;

    fn mandelbrot(changes: &[(&str, &str)]) -> Mandelbrot {
        let parameters =
            Parameters::from_texts(&DEFINITION, changes.iter().copied()).expect("allowed values");
        Mandelbrot::new(&parameters, &Storage::private()).expect("memory")
    }

    fn sized<'a>(width: &'a str, height: &'a str, max: &'a str) -> [(&'a str, &'a str); 3] {
        [("width", width), ("height", height), ("max-iterations", max)]
    }

    /// Computed by Python 3, a loop over pixels with the definition's operations in its order;
    /// CPython's floats are not fused either.
    #[test]
    fn counts_are_those_that_python_gives() {
        let cases = [
            (("1", "1", "1"), r#"{"inside":1,"iterations":1}"#),
            (("1", "1", "7"), r#"{"inside":1,"iterations":7}"#),
            (("3", "2", "8"), r#"{"inside":2,"iterations":32}"#),
            (("8", "8", "50"), r#"{"inside":16,"iterations":1036}"#),
            (("9", "5", "64"), r#"{"inside":14,"iterations":1030}"#),
            (("64", "48", "1000"), r#"{"inside":746,"iterations":764806}"#),
            (("101", "67", "333"), r#"{"inside":1657,"iterations":587498}"#),
        ];
        for ((width, height, max), expected) in cases {
            let answer = same_in_all_chunks(&mandelbrot(&sized(width, height, max)));
            assert_eq!(answer.to_string(), expected, "{width} x {height}, {max}");
        }
    }

    /// One pixel at a time, as the definition reads.
    fn by_definition(view: View, row: usize, column: usize) -> u32 {
        let x = -2.0 + (column as f64 + 0.5) * 2.5 / view.width as f64;
        let y = -1.25 + (row as f64 + 0.5) * 2.5 / view.height as f64;
        let (mut re, mut im, mut count) = (0.0_f64, 0.0_f64, 0);
        while count < view.max_iterations && re * re + im * im <= 4.0 {
            (re, im) = (re * re - im * im + x, 2.0 * re * im + y);
            count += 1;
        }
        count
    }

    #[test]
    fn the_picture_holds_the_count_of_every_pixel() {
        let parameters = sized("37", "21", "203");
        let work = mandelbrot(&[&parameters[..], &[("picture", "on")]].concat());
        let plain = same_in_all_chunks(&mandelbrot(&parameters));
        assert_eq!(same_in_all_chunks(&work), plain);
        let expected: Vec<u32> = (0..21)
            .flat_map(|row| (0..37).map(move |column| (row, column)))
            .map(|(row, column)| by_definition(work.view, row, column))
            .collect();
        let picture = work.picture.as_ref().expect("a picture was asked for");
        assert_eq!(picture.read(0..37 * 21).to_vec(), expected);
    }

    #[test]
    fn a_task_declares_its_own_row_of_the_picture() {
        let work = mandelbrot(&[("width", "10"), ("height", "4"), ("picture", "on")]);
        assert_eq!(work.writes(&(), 1..3), [Region { buffer: 0, bytes: 40..120 }]);
        assert!(mandelbrot(&[]).writes(&(), 0..1).is_empty());
    }
}
