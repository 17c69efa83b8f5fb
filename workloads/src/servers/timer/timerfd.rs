//! The timer on Linux: a descriptor that becomes readable when the next alarm is due, watched by
//! the runtime together with its sockets. A request then costs the server's processors no visit to
//! another thread and back.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use tokio::io::unix::AsyncFd;

use super::alarms::{Alarm, Alarms, Entry};

/// Rings alarms at their time, by a task that ends with the runtime.
#[derive(Debug)]
pub(crate) struct Timer {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// Held while the descriptor is set, so that it is always set to the next alarm.
    alarms: Mutex<Alarms>,
    descriptor: AsyncFd<OwnedFd>,
}

impl Timer {
    /// Starts the timer's task; called within the runtime.
    pub(crate) fn start() -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let descriptor = AsyncFd::new(timerfd_create(TimerfdClockId::Monotonic, flags)?)?;
        let shared = Arc::new(Shared { alarms: Mutex::default(), descriptor });
        tokio::spawn(ring(Arc::clone(&shared)));
        Ok(Self { shared })
    }

    /// An alarm at a point in time.
    pub(crate) fn at(&self, at: Instant) -> Alarm {
        let mut alarms = self.shared.lock();
        let (alarm, next) = alarms.add(at);
        if next {
            self.shared.set(&alarms);
        }
        alarm
    }
}

impl Shared {
    /// Nothing panics while the lock is held, so a poisoned one is as good as new.
    fn lock(&self) -> MutexGuard<'_, Alarms> {
        self.alarms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the descriptor to the next alarm.
    fn set(&self, alarms: &Alarms) {
        let Some(pause) = alarms.pause() else { return };
        // A pause of nothing would turn it off.
        let pause = pause.max(Duration::from_nanos(1));
        let it_value = Timespec::try_from(pause).expect("delays fit in a timespec");
        let once = Itimerspec { it_interval: Timespec::default(), it_value };
        timerfd_settime(&self.descriptor, TimerfdTimerFlags::empty(), &once)
            .expect("the descriptor is a timer's and the time is a valid one");
    }
}

/// The timer's task.
async fn ring(shared: Arc<Shared>) {
    let mut due = Vec::new();
    // An error would mean that the runtime is being dropped.
    while let Ok(mut ready) = shared.descriptor.readable().await {
        // Reads how often it was due, so that it is readable again the next time. It may have been
        // set anew since, and then there is nothing to read.
        let _ = ready.try_io(|timer| Ok(rustix::io::read(timer, &mut [0; 8])?));
        {
            let mut alarms = shared.lock();
            alarms.take(&mut due);
            shared.set(&alarms);
        }
        // Rung outside the lock: a woken task may set its next alarm at once.
        due.drain(..).for_each(Entry::ring);
    }
}
