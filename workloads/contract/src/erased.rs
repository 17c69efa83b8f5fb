//! A workload behind one indirection per chunk, so that every executor is compiled once and not
//! once per workload.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::map::{Handover, Map, Region, Step, TaskError, TaskFailure, Workload};
use crate::watched::{Watched, Watcher};

/// Any [`Workload`], as a [`Map`] of its own: one indirect call per chunk.
#[derive(Clone)]
pub struct Erased(Arc<dyn Dynamic>);

impl fmt::Debug for Erased {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Erased").field(&self.0.name()).finish()
    }
}

impl Erased {
    /// Erases a prepared workload.
    pub fn new<W: Workload>(workload: W) -> Self {
        Self(Arc::new(workload))
    }

    /// Erases a prepared workload whose tasks somebody watches.
    pub fn watched<W: Workload>(workload: W, watcher: Arc<dyn Watcher>) -> Self {
        Self(Arc::new(Watched::new(workload, watcher)))
    }

    /// What worker processes must know.
    pub fn handover(&self) -> Handover {
        self.0.handover()
    }

    /// What the fairness card says of it.
    pub fn card(&self) -> Vec<(&'static str, String)> {
        self.0.card()
    }
}

/// A phase of any workload: live, or as it came from another process until it is first used.
#[derive(Clone)]
pub struct AnyPhase(Arc<Slot<dyn Live + Sync>>);

/// A partial of any workload: live, or as it came from another process until it is first used.
pub struct AnyPartial(Slot<dyn Live>);

/// Local state of any workload.
pub struct AnyLocal(Box<dyn Any + Send>);

impl fmt::Debug for AnyPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnyPhase")
    }
}

impl fmt::Debug for AnyPartial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnyPartial")
    }
}

impl fmt::Debug for AnyLocal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnyLocal")
    }
}

/// A value that can be sent: `Any` to get its type back, packed to cross a process boundary.
trait Live: Any + Send {
    fn pack(&self) -> Result<Vec<u8>, postcard::Error>;
}

impl<T: Serialize + Any + Send> Live for T {
    fn pack(&self) -> Result<Vec<u8>, postcard::Error> {
        postcard::to_stdvec(self)
    }
}

/// The type of a packed value is known only to the workload, so unpacking waits until the
/// workload meets it; once, because a phase is met by every chunk.
struct Slot<L: ?Sized> {
    packed: Vec<u8>,
    live: OnceLock<Box<L>>,
}

impl<L: ?Sized> Slot<L> {
    fn of(live: Box<L>) -> Self {
        Self { packed: Vec::new(), live: OnceLock::from(live) }
    }

    fn packed(packed: Vec<u8>) -> Self {
        Self { packed, live: OnceLock::new() }
    }
}

/// A value of this workload that another process sent, or made by this one, is always readable:
/// anything else is a worker of another build, which the versions rule out.
const FOREIGN: &str = "the value was made by the same workload in the same build";

fn unpack<T: DeserializeOwned>(packed: &[u8]) -> T {
    postcard::from_bytes(packed).expect(FOREIGN)
}

impl AnyPhase {
    fn live<P: Serialize + DeserializeOwned + Send + Sync + 'static>(&self) -> &P {
        let live = self.0.live.get_or_init(|| Box::new(unpack::<P>(&self.0.packed)));
        (&**live as &dyn Any).downcast_ref().expect(FOREIGN)
    }
}

impl AnyPartial {
    fn unpacked<P: Serialize + DeserializeOwned + Send + 'static>(&mut self) -> &mut Box<dyn Live> {
        if self.0.live.get().is_none() {
            let live: Box<dyn Live> = Box::new(unpack::<P>(&self.0.packed));
            self.0 = Slot::of(live);
        }
        self.0.live.get_mut().expect("just unpacked")
    }

    fn live<P: Serialize + DeserializeOwned + Send + 'static>(&mut self) -> &mut P {
        let live: &mut dyn Any = &mut **self.unpacked::<P>();
        live.downcast_mut().expect(FOREIGN)
    }

    fn into_live<P: Serialize + DeserializeOwned + Send + 'static>(mut self) -> P {
        self.unpacked::<P>();
        let live: Box<dyn Any> = self.0.live.into_inner().expect("just unpacked");
        *live.downcast().expect(FOREIGN)
    }
}

impl<L: Live + ?Sized> Serialize for Slot<L> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.live.get() {
            Some(live) => {
                serializer.serialize_bytes(&live.pack().map_err(serde::ser::Error::custom)?)
            }
            None => serializer.serialize_bytes(&self.packed),
        }
    }
}

impl<'de, L: ?Sized> Deserialize<'de> for Slot<L> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl serde::de::Visitor<'_> for Bytes {
            type Value = Vec<u8>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("packed bytes")
            }

            fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
                Ok(bytes.to_vec())
            }
        }
        deserializer.deserialize_bytes(Bytes).map(Slot::packed).map_err(D::Error::custom)
    }
}

impl Serialize for AnyPhase {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for AnyPhase {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Slot::deserialize(deserializer).map(|slot| Self(Arc::new(slot)))
    }
}

impl Serialize for AnyPartial {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for AnyPartial {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Slot::deserialize(deserializer).map(Self)
    }
}

/// A [`Map`] that says of itself what a [`Workload`] does.
trait Named: Map {
    fn name(&self) -> &'static str;
    fn handover(&self) -> Handover;
    fn card(&self) -> Vec<(&'static str, String)>;
}

impl<W: Workload> Named for W {
    fn name(&self) -> &'static str {
        W::DEFINITION.name
    }

    fn handover(&self) -> Handover {
        Workload::handover(self)
    }

    fn card(&self) -> Vec<(&'static str, String)> {
        Workload::card(self)
    }
}

impl<W: Workload> Named for Watched<W> {
    fn name(&self) -> &'static str {
        W::DEFINITION.name
    }

    fn handover(&self) -> Handover {
        self.work.handover()
    }

    fn card(&self) -> Vec<(&'static str, String)> {
        self.work.card()
    }
}

type ChunkFuture<'a> = Pin<Box<dyn Future<Output = Result<(), TaskFailure>> + Send + 'a>>;

/// [`Map`] with its types erased; one virtual call per chunk, never per task.
trait Dynamic: Send + Sync {
    fn name(&self) -> &'static str;
    fn handover(&self) -> Handover;
    fn card(&self) -> Vec<(&'static str, String)>;
    fn local(&self) -> Result<AnyLocal, TaskError>;
    fn first(&self) -> AnyPhase;
    fn tasks(&self, phase: &AnyPhase) -> usize;
    fn empty(&self, phase: &AnyPhase) -> AnyPartial;
    fn run_chunk(
        &self,
        local: &mut AnyLocal,
        phase: &AnyPhase,
        tasks: Range<usize>,
        into: &mut AnyPartial,
    ) -> Result<(), TaskFailure>;
    fn run_chunk_async<'a>(
        &'a self,
        local: &'a mut AnyLocal,
        phase: &'a AnyPhase,
        tasks: Range<usize>,
        into: &'a mut AnyPartial,
    ) -> ChunkFuture<'a>;
    fn merge(&self, left: &mut AnyPartial, right: AnyPartial);
    fn next(&self, phase: AnyPhase, merged: AnyPartial) -> Result<Step<AnyPhase>, TaskError>;
    fn reset(&self) -> Result<(), TaskError>;
    fn reads(&self, phase: &AnyPhase, tasks: Range<usize>) -> Vec<Region>;
    fn writes(&self, phase: &AnyPhase, tasks: Range<usize>) -> Vec<Region>;
}

fn local_of<W: Map>(local: &mut AnyLocal) -> &mut W::Local {
    local.0.downcast_mut().expect("locals are made by the workload that uses them")
}

fn any_phase<W: Map>(phase: W::Phase) -> AnyPhase {
    let live: Box<dyn Live + Sync> = Box::new(phase);
    AnyPhase(Arc::new(Slot::of(live)))
}

impl<W: Named> Dynamic for W {
    fn name(&self) -> &'static str {
        Named::name(self)
    }

    fn handover(&self) -> Handover {
        Named::handover(self)
    }

    fn card(&self) -> Vec<(&'static str, String)> {
        Named::card(self)
    }

    fn local(&self) -> Result<AnyLocal, TaskError> {
        Map::local(self).map(|local| AnyLocal(Box::new(local)))
    }

    fn first(&self) -> AnyPhase {
        any_phase::<W>(Map::first(self))
    }

    fn tasks(&self, phase: &AnyPhase) -> usize {
        Map::tasks(self, phase.live())
    }

    fn empty(&self, phase: &AnyPhase) -> AnyPartial {
        let live: Box<dyn Live> = Box::new(Map::empty(self, phase.live()));
        AnyPartial(Slot::of(live))
    }

    fn run_chunk(
        &self,
        local: &mut AnyLocal,
        phase: &AnyPhase,
        tasks: Range<usize>,
        into: &mut AnyPartial,
    ) -> Result<(), TaskFailure> {
        Map::run_chunk(self, local_of::<W>(local), phase.live(), tasks, into.live())
    }

    fn run_chunk_async<'a>(
        &'a self,
        local: &'a mut AnyLocal,
        phase: &'a AnyPhase,
        tasks: Range<usize>,
        into: &'a mut AnyPartial,
    ) -> ChunkFuture<'a> {
        Box::pin(Map::run_chunk_async(self, local_of::<W>(local), phase.live(), tasks, into.live()))
    }

    fn merge(&self, left: &mut AnyPartial, right: AnyPartial) {
        Map::merge(self, left.live(), right.into_live());
    }

    fn next(&self, phase: AnyPhase, merged: AnyPartial) -> Result<Step<AnyPhase>, TaskError> {
        let phase = phase.live::<W::Phase>().clone();
        Ok(match Map::next(self, phase, merged.into_live())? {
            Step::Continue(phase) => Step::Continue(any_phase::<W>(phase)),
            Step::Done(answer) => Step::Done(answer),
        })
    }

    fn reset(&self) -> Result<(), TaskError> {
        Map::reset(self)
    }

    fn reads(&self, phase: &AnyPhase, tasks: Range<usize>) -> Vec<Region> {
        Map::reads(self, phase.live(), tasks)
    }

    fn writes(&self, phase: &AnyPhase, tasks: Range<usize>) -> Vec<Region> {
        Map::writes(self, phase.live(), tasks)
    }
}

impl Map for Erased {
    type Phase = AnyPhase;
    type Local = AnyLocal;
    type Partial = AnyPartial;

    fn local(&self) -> Result<AnyLocal, TaskError> {
        self.0.local()
    }

    fn first(&self) -> AnyPhase {
        self.0.first()
    }

    fn tasks(&self, phase: &AnyPhase) -> usize {
        self.0.tasks(phase)
    }

    fn empty(&self, phase: &AnyPhase) -> AnyPartial {
        self.0.empty(phase)
    }

    fn run(
        &self,
        local: &mut AnyLocal,
        phase: &AnyPhase,
        task: usize,
        into: &mut AnyPartial,
    ) -> Result<(), TaskError> {
        self.0.run_chunk(local, phase, task..task + 1, into).map_err(|failure| failure.error)
    }

    fn merge(&self, left: &mut AnyPartial, right: AnyPartial) {
        self.0.merge(left, right);
    }

    fn next(&self, phase: AnyPhase, merged: AnyPartial) -> Result<Step<AnyPhase>, TaskError> {
        self.0.next(phase, merged)
    }

    fn reset(&self) -> Result<(), TaskError> {
        self.0.reset()
    }

    fn reads(&self, phase: &AnyPhase, tasks: Range<usize>) -> Vec<Region> {
        self.0.reads(phase, tasks)
    }

    fn writes(&self, phase: &AnyPhase, tasks: Range<usize>) -> Vec<Region> {
        self.0.writes(phase, tasks)
    }

    fn run_chunk(
        &self,
        local: &mut AnyLocal,
        phase: &AnyPhase,
        tasks: Range<usize>,
        into: &mut AnyPartial,
    ) -> Result<(), TaskFailure> {
        self.0.run_chunk(local, phase, tasks, into)
    }

    fn run_chunk_async<'a>(
        &'a self,
        local: &'a mut AnyLocal,
        phase: &'a AnyPhase,
        tasks: Range<usize>,
        into: &'a mut AnyPartial,
    ) -> impl Future<Output = Result<(), TaskFailure>> + Send + 'a {
        self.0.run_chunk_async(local, phase, tasks, into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partial_survives_the_crossing_and_is_unpacked_when_first_used() {
        let live: Box<dyn Live> = Box::new(vec![1_u64, 2, 3]);
        let sent = postcard::to_stdvec(&AnyPartial(Slot::of(live))).expect("serialisable");
        let mut received: AnyPartial = postcard::from_bytes(&sent).expect("a slot");
        received.live::<Vec<u64>>().push(4);
        assert_eq!(received.into_live::<Vec<u64>>(), [1, 2, 3, 4]);
    }

    #[test]
    fn a_packed_value_can_be_passed_on_unopened() {
        let live: Box<dyn Live + Sync> = Box::new(7_u32);
        let first = postcard::to_stdvec(&AnyPhase(Arc::new(Slot::of(live)))).expect("serialisable");
        let unopened: AnyPhase = postcard::from_bytes(&first).expect("a slot");
        assert_eq!(postcard::to_stdvec(&unopened).expect("serialisable"), first);
        assert_eq!(*unopened.live::<u32>(), 7);
    }
}
