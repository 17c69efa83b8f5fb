//! Waiting with more precision than tokio's own timer, which rounds up to whole milliseconds: a
//! fifth of a delay of five.

mod alarms;
#[cfg(any(test, not(target_os = "linux")))]
mod thread;
#[cfg(target_os = "linux")]
mod timerfd;

pub(super) use alarms::Alarm;
#[cfg(not(target_os = "linux"))]
pub(super) use thread::Timer;
#[cfg(target_os = "linux")]
pub(super) use timerfd::Timer;

#[cfg(test)]
mod tests {
    use std::io;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::servers::testing::runtime;

    /// The same for every kind of timer.
    async fn battery<T>(start: impl Fn() -> io::Result<T>, at: impl Fn(&T, Instant) -> Alarm) {
        let timer = start().expect("a timer");
        at(&timer, Instant::now()).await.expect("one in the past rings at once");

        let begin = Instant::now();
        let late = at(&timer, begin + Duration::from_millis(6));
        let mut early = at(&timer, begin + Duration::from_millis(3));
        late.await.expect("rung");
        assert!(begin.elapsed() >= Duration::from_millis(6), "too early");
        early.try_recv().expect("the earlier one rang before, though it was set after");

        drop(at(&timer, Instant::now() + Duration::from_millis(1)));
        let after = at(&timer, Instant::now() + Duration::from_millis(2));
        after.await.expect("one that nobody waits for is passed over");
    }

    #[test]
    fn a_thread_rings_alarms_in_order_of_time_and_never_early() {
        runtime().block_on(battery(thread::Timer::start, thread::Timer::at));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_timerfd_rings_alarms_in_order_of_time_and_never_early() {
        runtime().block_on(battery(timerfd::Timer::start, timerfd::Timer::at));
    }

    #[test]
    fn a_dropped_timer_lets_go() {
        let timer = thread::Timer::start().expect("a thread");
        let never = timer.at(Instant::now() + Duration::from_secs(3600));
        drop(timer);
        assert!(never.blocking_recv().is_err());
    }
}
