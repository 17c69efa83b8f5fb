//! Where bulk data lives: arrays that are read, grids that are written.
//!
//! A workload asks for its buffers in `prepare`, always in the same order and with the same
//! lengths. Where they are is the executor's choice: in private memory, or in one file-backed
//! mapping (a memfd) that worker processes attach to.
//!
//! This is one of the few modules with `unsafe`. The argument, once for all of it: a [`Mapping`]
//! is page-aligned, lives as long as any handle to it and never moves, so it can be viewed as a
//! slice of any plain-old-data type; [`Input`] is written only by the closure given to
//! [`Storage::fill`], before anybody else can see it; [`Output`] hands out slices only through
//! claims ([`Claims`]) that are checked, in every build, never to overlap a writer. Other processes
//! attached to a shared mapping are outside Rust's memory model; there it is the executor that
//! gives each chunk to one process only.
#![allow(unsafe_code)]

use std::fs::File;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut, Range};
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytemuck::Pod;
use memmap2::{MmapMut, MmapOptions, MmapRaw};

use crate::claims::{Claims, Use};
use crate::map::{InputError, Region};

/// Buffers begin on pages, which aligns them for every element type.
const PAGE: usize = 4096;

/// The buffers of one prepared workload.
#[derive(Debug)]
pub struct Storage {
    place: Place,
    /// Where the next buffer of a shared mapping begins.
    end: Mutex<usize>,
    outputs: Mutex<Vec<Arc<OutputBuffer>>>,
}

#[derive(Debug)]
enum Place {
    Private,
    /// We made the file, so we fill the buffers.
    Shared(File),
    /// Another process filled the buffers.
    Attached(File),
}

impl Storage {
    /// Buffers in this process's own memory.
    pub fn private() -> Self {
        Self::new(Place::Private)
    }

    /// Buffers in a shared mapping that worker processes can attach to.
    ///
    /// # Errors
    /// When the kernel gives no memory file.
    pub fn shared() -> Result<Self, InputError> {
        // SAFETY: the name is a NUL-terminated literal; the call touches no other memory.
        let fd = unsafe { libc::memfd_create(c"manyhands".as_ptr(), libc::MFD_CLOEXEC) };
        if fd < 0 {
            let error = std::io::Error::last_os_error();
            return Err(InputError(format!("cannot make a shared memory file: {error}")));
        }
        // SAFETY: `fd` was just made and belongs to nobody else.
        Ok(Self::new(Place::Shared(File::from(unsafe { OwnedFd::from_raw_fd(fd) }))))
    }

    /// Buffers that another process filled, in the file that it handed over.
    pub fn attached(file: OwnedFd) -> Self {
        Self::new(Place::Attached(File::from(file)))
    }

    fn new(place: Place) -> Self {
        Self { place, end: Mutex::new(0), outputs: Mutex::new(Vec::new()) }
    }

    /// The memory file to hand to worker processes, unless the buffers are private.
    pub fn file(&self) -> Option<BorrowedFd<'_>> {
        match &self.place {
            Place::Private => None,
            Place::Shared(file) | Place::Attached(file) => Some(file.as_fd()),
        }
    }

    /// A buffer of `len` elements that nobody changes after `fill` returns. In a process that
    /// attached to it, `fill` is not called.
    ///
    /// # Errors
    /// Those of `fill`; or when there is no memory.
    pub fn fill<T: Pod>(
        &self,
        len: usize,
        fill: impl FnOnce(&mut [T]) -> Result<(), InputError>,
    ) -> Result<Input<T>, InputError> {
        let mapping = self.map(byte_len::<T>(len)?)?;
        if !matches!(self.place, Place::Attached(_)) {
            // SAFETY: the mapping is new and known to nobody else; zeroed bytes are a valid T.
            fill(unsafe { std::slice::from_raw_parts_mut(mapping.pointer().cast(), len) })?;
        }
        Ok(Input { mapping, len, element: PhantomData })
    }

    /// A zeroed buffer of `len` elements that tasks write declared regions of.
    ///
    /// # Errors
    /// When there is no memory.
    pub fn output<T: Pod>(&self, len: usize) -> Result<Output<T>, InputError> {
        let bytes = byte_len::<T>(len)?;
        let mapping = self.map(bytes)?;
        let buffer = Arc::new(OutputBuffer { mapping, bytes, claims: Claims::new() });
        let mut outputs = lock(&self.outputs);
        outputs.push(Arc::clone(&buffer));
        let id = u32::try_from(outputs.len() - 1).expect("fewer than 2^32 buffers");
        Ok(Output { buffer, id, len, element: PhantomData })
    }

    /// A zeroed stretch of raw memory after the buffers, for an executor's own use.
    ///
    /// # Errors
    /// When there is no memory.
    pub fn reserve(&self, bytes: usize) -> Result<Arc<Mapping>, InputError> {
        self.map(bytes)
    }

    /// Copies a region of an output buffer, to be sent to another process.
    ///
    /// # Panics
    /// When the region is not in a buffer or is being written: a bug in `reads` or `writes`.
    pub fn copy_out(&self, region: &Region, into: &mut Vec<u8>) {
        let buffer = self.buffer(region);
        let _claim = buffer.claims.claim(region.bytes.clone(), Use::Read);
        // SAFETY: in bounds (checked by `buffer`), and the claim keeps writers away.
        into.extend_from_slice(unsafe {
            std::slice::from_raw_parts(
                buffer.mapping.pointer().add(region.bytes.start),
                region.bytes.len(),
            )
        });
    }

    /// Writes a region of an output buffer that another process computed.
    ///
    /// # Panics
    /// When the region is not in a buffer, is in use, or `bytes` has another length.
    pub fn copy_in(&self, region: &Region, bytes: &[u8]) {
        let buffer = self.buffer(region);
        assert_eq!(region.bytes.len(), bytes.len(), "a region and its bytes");
        let _claim = buffer.claims.claim(region.bytes.clone(), Use::Write);
        // SAFETY: in bounds (checked by `buffer`), and the claim keeps everybody else away.
        unsafe {
            std::slice::from_raw_parts_mut(
                buffer.mapping.pointer().add(region.bytes.start),
                region.bytes.len(),
            )
        }
        .copy_from_slice(bytes);
    }

    fn buffer(&self, region: &Region) -> Arc<OutputBuffer> {
        let buffer = Arc::clone(&lock(&self.outputs)[region.buffer as usize]);
        assert!(
            region.bytes.start <= region.bytes.end && region.bytes.end <= buffer.bytes,
            "bytes {:?} of a buffer of {}",
            region.bytes,
            buffer.bytes
        );
        buffer
    }

    fn map(&self, bytes: usize) -> Result<Arc<Mapping>, InputError> {
        let none = |error| InputError(format!("cannot map {bytes} bytes of memory: {error}"));
        // A mapping of no bytes is an error to the kernel.
        let len = bytes.max(1);
        let raw = match &self.place {
            Place::Private => MmapRaw::from(MmapMut::map_anon(len).map_err(none)?),
            Place::Shared(file) | Place::Attached(file) => {
                let mut end = lock(&self.end);
                let start = *end;
                *end = (start + len).next_multiple_of(PAGE);
                let size = file.metadata().map_err(none)?.len();
                if size < *end as u64 {
                    // Also where an attached process asks for more than was filled: its zeroes
                    // would be wrong, so only the maker may grow the file.
                    if matches!(self.place, Place::Attached(_)) {
                        return Err(InputError(format!(
                            "a worker asked for {end} bytes of shared input, but {size} were made"
                        )));
                    }
                    file.set_len(*end as u64).map_err(none)?;
                }
                MmapOptions::new().offset(start as u64).len(len).map_raw(file).map_err(none)?
            }
        };
        Ok(Arc::new(Mapping { raw }))
    }
}

fn byte_len<T>(len: usize) -> Result<usize, InputError> {
    len.checked_mul(size_of::<T>())
        .filter(|bytes| *bytes <= isize::MAX as usize - PAGE)
        .ok_or_else(|| InputError(format!("{len} elements are more than memory can hold")))
}

/// No invariant can be broken while these locks are held, so a poisoned one is as good as new.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A stretch of page-aligned memory, zeroed at first.
#[derive(Debug)]
pub struct Mapping {
    raw: MmapRaw,
}

impl Mapping {
    /// Its first byte. Valid for [`len`](Self::len) bytes as long as the mapping lives.
    pub fn pointer(&self) -> *mut u8 {
        self.raw.as_mut_ptr()
    }

    /// Its length in bytes.
    pub fn len(&self) -> usize {
        self.raw.len()
    }

    /// Whether it has no bytes: never.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A buffer that is only read.
#[derive(Debug, Clone)]
pub struct Input<T> {
    mapping: Arc<Mapping>,
    len: usize,
    element: PhantomData<T>,
}

impl<T: Pod> Deref for Input<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: `fill` made the mapping at least this long and gave the only mutable view away.
        unsafe { std::slice::from_raw_parts(self.mapping.pointer().cast(), self.len) }
    }
}

#[derive(Debug)]
struct OutputBuffer {
    mapping: Arc<Mapping>,
    bytes: usize,
    claims: Claims,
}

/// A buffer that tasks write, each its own range.
#[derive(Debug, Clone)]
pub struct Output<T> {
    buffer: Arc<OutputBuffer>,
    id: u32,
    len: usize,
    element: PhantomData<T>,
}

impl<T: Pod> Output<T> {
    /// The buffer's number, for [`Region::buffer`].
    pub fn id(&self) -> u32 {
        self.id
    }

    /// How many elements it has.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The region of a range of elements, to be declared in `reads` or `writes`.
    pub fn region(&self, elements: Range<usize>) -> Region {
        let size = size_of::<T>();
        Region { buffer: self.id, bytes: elements.start * size..elements.end * size }
    }

    /// A view of elements that nobody may write meanwhile.
    ///
    /// # Panics
    /// When the range is out of bounds or is being written: two tasks overlap.
    pub fn read(&self, elements: Range<usize>) -> Reading<'_, T> {
        let claim = self.claim(&elements, Use::Read);
        // SAFETY: in bounds (checked by `claim`); the claim keeps writers away while it lives.
        let slice = unsafe {
            std::slice::from_raw_parts(self.pointer().add(elements.start), elements.len())
        };
        Reading { slice, _claim: claim }
    }

    /// A view of elements for one task to write.
    ///
    /// # Panics
    /// When the range is out of bounds or in use: two tasks overlap.
    pub fn write(&self, elements: Range<usize>) -> Writing<'_, T> {
        let claim = self.claim(&elements, Use::Write);
        // SAFETY: in bounds (checked by `claim`); the claim keeps everybody else away.
        let slice = unsafe {
            std::slice::from_raw_parts_mut(self.pointer().add(elements.start), elements.len())
        };
        Writing { slice, _claim: claim }
    }

    fn pointer(&self) -> *mut T {
        self.buffer.mapping.pointer().cast()
    }

    fn claim(&self, elements: &Range<usize>, what: Use) -> crate::claims::Claim<'_> {
        assert!(
            elements.start <= elements.end && elements.end <= self.len,
            "elements {elements:?} of a buffer of {}",
            self.len
        );
        self.buffer.claims.claim(self.region(elements.clone()).bytes, what)
    }
}

/// A view for reading; ends its claim when dropped.
#[derive(Debug)]
pub struct Reading<'a, T> {
    slice: &'a [T],
    _claim: crate::claims::Claim<'a>,
}

impl<T> Deref for Reading<'_, T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        self.slice
    }
}

/// A view for writing; ends its claim when dropped.
#[derive(Debug)]
pub struct Writing<'a, T> {
    slice: &'a mut [T],
    _claim: crate::claims::Claim<'a>,
}

impl<T> Deref for Writing<'_, T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        self.slice
    }
}

impl<T> DerefMut for Writing<'_, T> {
    fn deref_mut(&mut self) -> &mut [T] {
        self.slice
    }
}

#[cfg(all(test, not(manyhands_loom)))]
mod tests {
    use super::*;

    fn ramp(storage: &Storage) -> Input<u64> {
        let fill = |slice: &mut [u64]| {
            slice.iter_mut().zip(0..).for_each(|(x, i)| *x = i);
            Ok(())
        };
        storage.fill(1000, fill).expect("memory for 8 kB")
    }

    #[test]
    fn an_attached_process_sees_what_the_first_one_filled() {
        let first = Storage::shared().expect("a memory file");
        let (input, output) = (ramp(&first), first.output::<f64>(3).expect("memory"));
        let file = first.file().expect("shared").try_clone_to_owned().expect("a descriptor");
        let second = Storage::attached(file);
        let unfilled = second.fill::<u64>(1000, |_| panic!("must not fill")).expect("attached");
        assert_eq!(*unfilled, *input);
        second.output::<f64>(3).expect("attached").write(1..2)[0] = 7.0;
        assert_eq!(*output.read(0..3), [0.0, 7.0, 0.0]);
        assert!(second.output::<f64>(3).is_err(), "more than the first process made");
    }

    #[test]
    fn declared_regions_can_be_carried_from_one_storage_to_another() {
        let (here, there) = (Storage::private(), Storage::private());
        let (a, b) =
            (here.output::<u32>(4).expect("memory"), there.output::<u32>(4).expect("memory"));
        a.write(1..3).copy_from_slice(&[5, 6]);
        let mut bytes = Vec::new();
        here.copy_out(&a.region(1..3), &mut bytes);
        there.copy_in(&b.region(1..3), &bytes);
        assert_eq!(*b.read(0..4), [0, 5, 6, 0]);
    }

    #[test]
    #[should_panic(expected = "two tasks")]
    fn overlapping_writes_are_refused() {
        let storage = Storage::private();
        let output = storage.output::<u8>(10).expect("memory");
        let _first = output.write(0..5);
        let _second = output.write(4..6);
    }

    #[test]
    fn empty_buffers_are_allowed() {
        let storage = Storage::private();
        assert!(storage.fill::<f64>(0, |_| Ok(())).expect("memory").is_empty());
        assert!(storage.output::<f64>(0).expect("memory").write(0..0).is_empty());
    }
}
