//! What each lane did when: a rectangle for each task, as many as a picture can show.

use std::collections::{BTreeMap, BTreeSet};

use manyhands_record::format::{count, percent};
use manyhands_record::trace::Event;

use super::axis::Axis;
use super::rows::WIDTH;
use super::theme::{Role, Series};
use super::{Canvas, Figure, TextKind};
use crate::units;

/// Lanes that a picture holds; the others are counted.
const MOST_LANES: usize = 32;
/// Rectangles that a picture holds, at about 75 bytes each; above that, shares of time are drawn.
const MOST_MARKS: usize = 640;
/// Phases beyond this make a fence of their beginnings.
const MOST_PHASES: usize = 12;

const LEFT: f64 = 118.0;
const RIGHT: f64 = WIDTH - 66.0;
const TOP: f64 = 18.0;
const BOTTOM: f64 = 46.0;

/// A lane: the process and the place within it.
type Lane = (u32, u32);

/// The lanes of a traced sample that took `wall_ns`, or less than its last event; `None` without
/// events.
pub(crate) fn draw(events: &[Event], wall_ns: u64, series: Series) -> Option<Figure> {
    let lanes = by_lane(events);
    let last = events.iter().map(|event| event.end_ns).max()?;
    let wall = wall_ns.max(last).max(1) as f64;
    let shown = lanes.len().min(MOST_LANES);
    let step = if shown > 12 { 15.0 } else { 22.0 };
    let height = TOP + shown as f64 * step + BOTTOM;
    let canvas = Canvas::new(WIDTH, height);
    let axis = Axis::from_zero(wall, (LEFT, RIGHT), 6);
    scale(&canvas, &axis, height);
    phases(&canvas, &axis, events, height);
    let drawn: usize = lanes.values().take(shown).map(Vec::len).sum();
    let processes: BTreeSet<u32> = lanes.keys().map(|lane| lane.0).collect();
    for (n, (lane, events)) in lanes.iter().take(shown).enumerate() {
        let middle = TOP + (n as f64 + 0.5) * step;
        let half = step / 2.0 - 2.0;
        let name = name(*lane, &processes);
        let busy = busy(events) / wall;
        let plural = if events.len() == 1 { "" } else { "s" };
        let title = format!("{name}: {} task{plural}, busy {}", events.len(), percent(busy));
        canvas.text(&name, (LEFT - 8.0, middle), TextKind::END.small().muted());
        canvas.mark(&title, || {
            if drawn <= MOST_MARKS {
                tasks(&canvas, &axis, events, (middle, half), series);
            } else {
                let bins = (MOST_MARKS / shown.max(1)).max(1);
                shares(&canvas, &axis, events, (middle, half), series, bins);
            }
        });
        canvas.text(&percent(busy), (RIGHT + 8.0, middle), TextKind::START.small());
    }
    Some(canvas.finish(description(&lanes, wall)))
}

/// What a picture leaves out, in words for below it; empty where it shows everything.
pub(crate) fn left_out(events: &[Event], tasks: u64) -> String {
    let lanes = by_lane(events);
    let shown = lanes.len().min(MOST_LANES);
    let drawn: usize = lanes.values().take(shown).map(Vec::len).sum();
    let mut said = Vec::new();
    if lanes.len() > shown {
        said.push(format!("It shows {shown} of {} lanes.", count(lanes.len() as f64)));
    }
    if drawn > MOST_MARKS {
        said.push(format!(
            "{} tasks are too many for a picture: the height of a column is the share of its time in which a task ran.",
            count(drawn as f64)
        ));
    }
    if (events.len() as u64) < tasks {
        said.push(format!(
            "The trace keeps {} of {} tasks, those that ran first.",
            count(events.len() as f64),
            count(tasks as f64)
        ));
    }
    said.join(" ")
}

fn by_lane(events: &[Event]) -> BTreeMap<Lane, Vec<Event>> {
    let mut lanes: BTreeMap<Lane, Vec<Event>> = BTreeMap::new();
    for event in events {
        lanes.entry((event.process, event.lane)).or_default().push(*event);
    }
    for events in lanes.values_mut() {
        events.sort_by_key(|event| (event.start_ns, event.end_ns));
    }
    lanes
}

/// The lane, and its process by its place among them where there are several: its number in the system
/// would tell a reader nothing.
fn name((process, lane): Lane, processes: &BTreeSet<u32>) -> String {
    if processes.len() < 2 {
        return format!("lane {lane}");
    }
    let place = processes.range(..process).count() + 1;
    format!("process {place}, lane {lane}")
}

/// Nanoseconds in which a task ran; where tasks overlap, they count once.
fn busy(events: &[Event]) -> f64 {
    let (mut sum, mut until) = (0, 0);
    for event in events {
        let from = event.start_ns.max(until);
        sum += event.end_ns.saturating_sub(from);
        until = until.max(event.end_ns);
    }
    sum as f64
}

fn scale(canvas: &Canvas, axis: &Axis, height: f64) {
    let (top, bottom) = (TOP - 4.0, height - BOTTOM + 4.0);
    canvas.group("scale", || {
        for (tick, label) in axis.ticks().iter().zip(units::time_ticks(axis.ticks())) {
            let x = axis.at(*tick);
            canvas.line(&[(x, top), (x, bottom)], Role::Grid, 1.0);
            canvas.text(&label, (x, bottom + 12.0), TextKind::MIDDLE.small().muted());
        }
        canvas.line(&[(LEFT, top), (LEFT, bottom)], Role::Axis, 1.0);
        let middle = (LEFT + RIGHT) / 2.0;
        let text = "time since the sample's start";
        canvas.text(text, (middle, bottom + 30.0), TextKind::MIDDLE.small().muted());
        canvas.text("busy", (RIGHT + 8.0, TOP - 8.0), TextKind::START.small().muted());
    });
}

/// Where each phase after the first begins.
fn phases(canvas: &Canvas, axis: &Axis, events: &[Event], height: f64) {
    let mut begins: BTreeMap<u32, u64> = BTreeMap::new();
    for event in events {
        let begin = begins.entry(event.phase).or_insert(event.start_ns);
        *begin = event.start_ns.min(*begin);
    }
    if begins.len() > MOST_PHASES {
        return;
    }
    canvas.group("reference", || {
        for begin in begins.values().skip(1) {
            let x = axis.at(*begin as f64);
            canvas.line(&[(x, TOP - 8.0), (x, height - BOTTOM + 4.0)], Role::Ink, 1.0);
        }
    });
}

/// A rectangle for each task; neighbours differ, so that their border is seen.
fn tasks(canvas: &Canvas, axis: &Axis, events: &[Event], at: (f64, f64), series: Series) {
    let (middle, half) = at;
    for (n, event) in events.iter().enumerate() {
        let (x0, x1) = (axis.at(event.start_ns as f64), axis.at(event.end_ns as f64));
        let opacity = if n % 2 == 0 { 1.0 } else { 0.55 };
        // What is shorter than a tenth of a pixel is there all the same.
        let to = (x1.max(x0 + 0.3), middle + half);
        canvas.bar((x0, middle - half), to, Role::Series(series.color), opacity);
    }
}

/// A column for each slice of time, as high as the share of it in which a task ran.
fn shares(
    canvas: &Canvas,
    axis: &Axis,
    events: &[Event],
    (middle, half): (f64, f64),
    series: Series,
    bins: usize,
) {
    let last = axis.ticks().last().copied().unwrap_or(1.0);
    let width = last / bins as f64;
    let mut busy = vec![0.0; bins];
    let mut until = 0;
    for event in events {
        let (from, to) = (event.start_ns.max(until) as f64, event.end_ns as f64);
        until = until.max(event.end_ns);
        let mut bin = (from / width) as usize;
        while bin < bins && (bin as f64) * width < to {
            let (low, high) = (bin as f64 * width, (bin + 1) as f64 * width);
            busy[bin] += (to.min(high) - from.max(low)).max(0.0);
            bin += 1;
        }
    }
    for (bin, busy) in busy.iter().enumerate().filter(|(_, busy)| **busy > 0.0) {
        let (x0, x1) = (axis.at(bin as f64 * width), axis.at((bin + 1) as f64 * width));
        let height = 2.0 * half * (busy / width).min(1.0);
        let from = (x0, middle + half - height);
        canvas.bar(from, (x1, middle + half), Role::Series(series.color), 1.0);
    }
}

fn description(lanes: &BTreeMap<Lane, Vec<Event>>, wall: f64) -> String {
    let range = busy_range(lanes.values().map(|events| busy(events) / wall));
    format!("{} lanes, busy {range} of the time.", lanes.len())
}

/// How busy the lanes were: `83 % to 97 %`; empty without events.
pub(crate) fn range(events: &[Event], wall_ns: u64) -> String {
    let wall =
        wall_ns.max(events.iter().map(|event| event.end_ns).max().unwrap_or(0)).max(1) as f64;
    busy_range(by_lane(events).values().map(|events| busy(events) / wall))
}

fn busy_range(shares: impl Iterator<Item = f64>) -> String {
    let whole: Vec<i64> = shares.map(|share| (share * 100.0).round() as i64).collect();
    match (whole.iter().min(), whole.iter().max()) {
        (Some(low), Some(high)) if low < high => format!("{low} % to {high} %"),
        (Some(low), _) => format!("{low} %"),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::charts::theme;

    fn event(task: u64, lane: u32, start_ns: u64, end_ns: u64) -> Event {
        Event { task, lane, start_ns, end_ns, ..Event::default() }
    }

    fn svg(events: &[Event], wall: u64) -> String {
        let series = theme::series(["threads"])[0];
        draw(events, wall, series).expect("there are events").svg("x", "title").into_string()
    }

    #[test]
    fn each_task_is_a_rectangle_and_each_lane_says_how_busy_it_was() {
        let events = [event(0, 0, 0, 500), event(1, 1, 100, 900), event(2, 0, 500, 1_000)];
        let svg = svg(&events, 1_000);
        assert_eq!(svg.matches("<rect").count(), 3);
        assert!(svg.contains("lane 0: 2 tasks, busy 100 %"), "{svg}");
        assert!(svg.contains("lane 1: 1 task, busy 80 %"), "{svg}");
        assert_eq!(left_out(&events, 3), "");
    }

    #[test]
    fn a_hundred_thousand_tasks_fit_into_60_kilobytes_and_it_is_said() {
        let events: Vec<Event> =
            (0..100_000).map(|n| event(n, (n % 64) as u32, n * 10, n * 10 + 500)).collect();
        let svg = svg(&events, 1_001_000);
        assert!(svg.len() < 60_000, "{} bytes", svg.len());
        let said = left_out(&events, 1_000_000);
        assert!(said.contains("32 of 64 lanes") && said.contains("100,000 of 1,000,000"), "{said}");
    }

    #[test]
    fn overlapping_tasks_count_once() {
        let events = [event(0, 0, 0, 600), event(1, 0, 200, 400), event(2, 0, 500, 1_000)];
        assert_eq!(busy(&events), 1_000.0);
        assert!(draw(&[], 5, theme::series(["threads"])[0]).is_none());
    }
}
