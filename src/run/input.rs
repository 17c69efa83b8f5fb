//! The input of a run: the user's files, or generated ones in a folder of the run's own; and its
//! digest, by which cells are told apart.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use manyhands_contract::{Entry, InputError, Parameters};
use sha2::{Digest, Sha256};

use crate::error::Error;

/// What `data` writes beside the files, and all that it writes for a workload whose parameters
/// are its whole input.
const PARAMETERS_FILE: &str = "parameters.json";

/// Writes a workload's generated input into a folder.
///
/// # Errors
/// When the folder cannot be written.
pub fn generate(
    entry: &Entry,
    parameters: &Parameters,
    seed: u64,
    folder: &Path,
) -> Result<(), InputError> {
    fs::create_dir_all(folder).map_err(|error| InputError::write(folder, error))?;
    (entry.generate)(parameters, seed, folder)
}

/// Writes a workload's parameters as JSON, for other languages that compute the same answer.
///
/// # Errors
/// When the file cannot be written.
pub fn write_parameters(
    entry: &Entry,
    parameters: &Parameters,
    seed: u64,
    folder: &Path,
) -> Result<(), InputError> {
    let document = serde_json::json!({
        "workload": entry.definition.name,
        "version": entry.definition.version,
        "seed": seed.to_string(),
        "parameters": parameters.texts(),
    });
    let path = folder.join(PARAMETERS_FILE);
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(&path, format!("{document:#}\n")))
        .map_err(|error| InputError::write(&path, error))
}

/// SHA-256 over every file's relative path, length and content, in order of path. Content and
/// not time of change: a copied folder is the same input, an edited one is not.
///
/// # Errors
/// When something is missing or cannot be read.
pub fn digest(input: &[PathBuf]) -> Result<String, Error> {
    let mut hash = Sha256::new();
    for root in input {
        let mut files = Vec::new();
        // A link that the user names is meant; links inside folders are not followed, as in the
        // workloads' own walk.
        if fs::metadata(root).map_err(|error| unreadable(root, &error))?.is_dir() {
            walk(root, &mut files)?;
        } else {
            files.push(root.clone());
        }
        files.sort();
        for file in files {
            let name = file.strip_prefix(root).unwrap_or(&file);
            hash.update(name.as_os_str().as_encoded_bytes());
            let length = hash_file(&file, &mut hash).map_err(|error| unreadable(&file, &error))?;
            hash.update(length.to_le_bytes());
        }
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

fn walk(path: &Path, files: &mut Vec<PathBuf>) -> Result<(), Error> {
    let failed = |error: std::io::Error| unreadable(path, &error);
    for entry in fs::read_dir(path).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let kind = entry.file_type().map_err(failed)?;
        if kind.is_dir() {
            walk(&entry.path(), files)?;
        } else if kind.is_file() {
            files.push(entry.path());
        }
    }
    Ok(())
}

fn hash_file(path: &Path, hash: &mut Sha256) -> std::io::Result<u64> {
    let mut file = File::open(path)?;
    let mut block = vec![0; 128 << 10];
    let mut length = 0;
    loop {
        match file.read(&mut block)? {
            0 => return Ok(length),
            count => {
                hash.update(&block[..count]);
                length += count as u64;
            }
        }
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> Error {
    let remedy = match error.kind() {
        std::io::ErrorKind::NotFound => "; give --input a file or folder that exists",
        std::io::ErrorKind::PermissionDenied => "; you may not read it",
        _ => "",
    };
    Error::usage(format!("cannot read input {}: {error}{remedy}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_depends_on_names_and_content_and_not_on_the_folders_place() {
        let make = |files: &[(&str, &str)]| {
            let folder = tempfile::tempdir().expect("a temporary folder");
            for (name, content) in files {
                fs::write(folder.path().join(name), content).expect("writable");
            }
            digest(&[folder.path().to_owned()]).expect("readable")
        };
        let first = make(&[("a", "1"), ("b", "2")]);
        assert_eq!(first, make(&[("b", "2"), ("a", "1")]));
        assert_ne!(first, make(&[("a", "1"), ("c", "2")]));
        assert_ne!(first, make(&[("a", "12"), ("b", "")]));
    }

    #[test]
    fn a_link_that_the_user_names_is_followed() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        fs::write(&file, "content").expect("writable");
        std::os::unix::fs::symlink(&file, &link).expect("a link");
        let before = digest(std::slice::from_ref(&link)).expect("readable");
        fs::write(&file, "changed").expect("writable");
        assert_ne!(before, digest(&[link]).expect("readable"));
    }

    #[test]
    fn a_missing_folder_is_named_with_a_remedy() {
        let error = digest(&[PathBuf::from("/no/such/folder")]).unwrap_err();
        assert_eq!(error.exit, crate::error::Exit::Usage);
        assert!(error.message.contains("/no/such/folder"), "{error}");
    }
}
