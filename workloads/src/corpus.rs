//! Folders of files: walking the user's own, and generating some.

mod generated;

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use manyhands_contract::{InputError, TaskError};

pub use generated::{noise, text};

/// The files under some folders, in order of path: the bytes of the relative path, with `/`.
///
/// Names only, never contents, and compactly: all paths lie end to end in one allocation with
/// 24 bytes beside each, so that 50,000 files are a few MiB and a million are no trouble.
#[derive(Debug, Default)]
pub struct Corpus {
    /// What relative paths are relative to: folders as they were given.
    roots: Vec<PathBuf>,
    paths: Vec<u8>,
    entries: Vec<Entry>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    start: usize,
    len: u32,
    root: u32,
    size: u64,
}

impl Corpus {
    /// Every regular file of `inputs`, which may be files and folders.
    ///
    /// Folders are walked to their depths. Symbolic links in them are not followed (a link could
    /// lead round in circles, or count a file twice); an input that is itself a link is. Files
    /// from several inputs are merged in order of their relative paths; equal paths stay in the
    /// order of the inputs. The relative path of a file that was given by name is its name.
    ///
    /// # Errors
    /// When an input is missing, a folder cannot be read, or there are no files.
    pub fn of(inputs: &[PathBuf]) -> Result<Self, InputError> {
        Self::of_kind(inputs, "files", |_| true)
    }

    /// As [`of`](Self::of), but from folders only the files whose name is `wanted`; files that
    /// were given by name are always taken. `what` says in an error what was looked for.
    ///
    /// # Errors
    /// As [`of`](Self::of).
    pub fn of_kind(
        inputs: &[PathBuf],
        what: &str,
        wanted: impl Fn(&[u8]) -> bool,
    ) -> Result<Self, InputError> {
        let mut corpus = Self::default();
        for input in inputs {
            let facts = fs::metadata(input).map_err(|error| unreadable(input, &error))?;
            if facts.is_dir() {
                corpus.walk(input, &wanted)?;
            } else {
                corpus.add_file(input, facts.len());
            }
        }
        if corpus.entries.is_empty() {
            let places: Vec<_> = inputs.iter().map(|p| p.display().to_string()).collect();
            return Err(InputError(format!(
                "no {what} under {}: give a folder that holds some with --input, or leave \
                 --input out for generated ones",
                places.join(", ")
            )));
        }
        corpus.sort();
        Ok(corpus)
    }

    fn add_file(&mut self, path: &Path, size: u64) {
        let name = path.file_name().unwrap_or(path.as_os_str());
        let folder = path.parent().unwrap_or(Path::new(""));
        self.roots.push(folder.to_owned());
        self.push(name.as_bytes(), size);
    }

    /// A stack of folders rather than recursion: depth costs heap, which is plenty.
    fn walk(&mut self, root: &Path, wanted: &impl Fn(&[u8]) -> bool) -> Result<(), InputError> {
        self.roots.push(root.to_owned());
        let mut folders = vec![Vec::new()];
        while let Some(folder) = folders.pop() {
            let path = root.join(OsStr::from_bytes(&folder));
            let failed = |error: io::Error| unreadable(&path, &error);
            for entry in fs::read_dir(&path).map_err(failed)? {
                let entry = entry.map_err(failed)?;
                let relative = joined(&folder, entry.file_name().as_bytes());
                // The type of the entry itself, not of what a link points at.
                let kind = entry.file_type().map_err(failed)?;
                if kind.is_dir() {
                    folders.push(relative);
                } else if kind.is_file() && wanted(entry.file_name().as_bytes()) {
                    let size = entry.metadata().map_err(failed)?.len();
                    self.push(&relative, size);
                }
            }
        }
        Ok(())
    }

    fn push(&mut self, relative: &[u8], size: u64) {
        self.entries.push(Entry {
            start: self.paths.len(),
            len: u32::try_from(relative.len()).expect("paths are shorter than 4 GiB"),
            root: u32::try_from(self.roots.len() - 1).expect("fewer than 2^32 inputs"),
            size,
        });
        self.paths.extend_from_slice(relative);
    }

    fn sort(&mut self) {
        let paths = &self.paths;
        let path = |entry: &Entry| &paths[entry.start..entry.start + entry.len as usize];
        // Stable, and entries were added input by input: equal paths stay in that order.
        self.entries.sort_by(|a, b| path(a).cmp(path(b)).then(a.root.cmp(&b.root)));
    }

    /// How many files there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none: only in a corpus made by `default`.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The bytes of a file's path relative to the input that it was found under.
    pub fn relative(&self, file: usize) -> &[u8] {
        let entry = self.entries[file];
        &self.paths[entry.start..entry.start + entry.len as usize]
    }

    /// Where a file is.
    pub fn path(&self, file: usize) -> PathBuf {
        self.roots[self.entries[file].root as usize].join(OsStr::from_bytes(self.relative(file)))
    }

    /// How many bytes a file had when it was found.
    pub fn size(&self, file: usize) -> u64 {
        self.entries[file].size
    }

    /// Opens a file.
    ///
    /// # Errors
    /// The path, the reason and the remedy.
    pub fn open(&self, file: usize) -> Result<File, TaskError> {
        let path = self.path(file);
        File::open(&path).map_err(|error| TaskError(unreadable(&path, &error).0))
    }

    /// The error of a file that was opened but could not be read to its end.
    pub fn failed(&self, file: usize, error: &io::Error) -> TaskError {
        TaskError(unreadable(&self.path(file), error).0)
    }
}

fn joined(folder: &[u8], name: &[u8]) -> Vec<u8> {
    let mut path = Vec::with_capacity(folder.len() + 1 + name.len());
    if !folder.is_empty() {
        path.extend_from_slice(folder);
        path.push(b'/');
    }
    path.extend_from_slice(name);
    path
}

/// `cannot read PATH: reason; remedy`.
pub fn unreadable(path: &Path, error: &io::Error) -> InputError {
    let remedy = match error.kind() {
        io::ErrorKind::NotFound => "; check the path, and that nothing deletes it meanwhile",
        io::ErrorKind::PermissionDenied => "; make it readable (chmod +r) or take it out",
        io::ErrorKind::QuotaExceeded | io::ErrorKind::ResourceBusy => "; try again later",
        _ => "",
    };
    InputError::read(path, format!("{}{remedy}", reason(error)))
}

/// The reason without the error number, which is for programmers.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(cut) => text[..cut].to_lowercase(),
        None => text,
    }
}

/// Folders and prepared workloads for the tests of workloads that read files.
#[cfg(test)]
pub(crate) mod testing {
    use manyhands_contract::{Context, Storage, Workload};
    use tempfile::TempDir;

    use super::*;

    /// A folder with these files in it.
    pub(crate) fn folder<C: AsRef<[u8]>>(files: &[(&str, C)]) -> TempDir {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for (path, content) in files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().expect("below the folder")).expect("writable");
            fs::write(path, content).expect("writable");
        }
        folder
    }

    /// A workload over a folder, with changes to its quick preset.
    pub(crate) fn prepared<W: Workload>(
        folder: &Path,
        changes: &[(&str, &str)],
    ) -> Result<W, InputError> {
        let changes: Vec<_> =
            changes.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let parameters = W::DEFINITION.parameters("quick", &changes).expect("allowed");
        W::prepare(&Context {
            parameters: &parameters,
            seed: 42,
            input: &[folder.to_owned()],
            storage: &Storage::private(),
            helper: Path::new("no helper is started"),
            handover: None,
        })
    }

    /// A workload over its own generated input.
    pub(crate) fn generated<W: Workload>(changes: &[(&str, &str)]) -> (TempDir, W) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let texts: Vec<_> =
            changes.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let parameters = W::DEFINITION.parameters("quick", &texts).expect("allowed");
        W::generate(&parameters, 42, folder.path()).expect("writable");
        let work = prepared(folder.path(), changes).expect("its own input is good");
        (folder, work)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::testing::folder;
    use super::*;

    fn names(corpus: &Corpus) -> Vec<String> {
        (0..corpus.len())
            .map(|file| String::from_utf8_lossy(corpus.relative(file)).into_owned())
            .collect()
    }

    #[test]
    fn files_come_in_the_order_of_the_bytes_of_their_whole_path() {
        // '-' and '.' sort before '/', letters after: a walk folder by folder would differ.
        let folder = folder(&[("a/z", ""), ("a.txt", ""), ("a-b/c", ""), ("ab", ""), ("B", "")]);
        let corpus = Corpus::of(&[folder.path().to_owned()]).expect("files");
        assert_eq!(names(&corpus), ["B", "a-b/c", "a.txt", "a/z", "ab"]);
    }

    #[test]
    fn several_inputs_are_merged_and_equal_paths_keep_the_order_of_the_inputs() {
        let one = folder(&[("b", "1"), ("d/e", "")]);
        let two = folder(&[("b", "22"), ("c", "")]);
        let inputs = [two.path().to_owned(), one.path().to_owned(), one.path().join("d/e")];
        let corpus = Corpus::of(&inputs).expect("files");
        assert_eq!(names(&corpus), ["b", "b", "c", "d/e", "e"]);
        assert_eq!((corpus.size(0), corpus.size(1)), (2, 1));
        assert_eq!(corpus.path(3), corpus.path(4));
    }

    #[test]
    fn symbolic_links_are_followed_only_when_they_are_the_input() {
        let real = folder(&[("f", "x")]);
        let links = folder(&[("g", "")]);
        symlink(real.path(), links.path().join("folder")).expect("a link");
        symlink(real.path().join("f"), links.path().join("file")).expect("a link");
        symlink(links.path(), links.path().join("circle")).expect("a link");
        assert_eq!(names(&Corpus::of(&[links.path().to_owned()]).expect("g")), ["g"]);
        assert_eq!(names(&Corpus::of(&[links.path().join("folder")]).expect("f")), ["f"]);
    }

    #[test]
    fn missing_and_empty_inputs_say_what_to_do() {
        let empty = folder::<&str>(&[]);
        let place = empty.path().display();
        assert_eq!(
            Corpus::of(&[empty.path().to_owned()]).unwrap_err().0,
            format!(
                "no files under {place}: give a folder that holds some with --input, or leave \
                 --input out for generated ones"
            )
        );
        assert_eq!(
            Corpus::of(&[empty.path().join("none")]).unwrap_err().0,
            format!(
                "cannot read {place}/none: no such file or directory; check the path, and that \
                 nothing deletes it meanwhile"
            )
        );
    }
}
