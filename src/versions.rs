//! Which versions of what this program is made of.

use std::collections::BTreeMap;

/// The version of manyhands.
pub const MANYHANDS: &str = env!("CARGO_PKG_VERSION");

/// The version of a crate that this program was built with; the newest, when there are several.
pub fn of_crate(name: &str) -> Option<&'static str> {
    env!("MANYHANDS_CRATES")
        .split(';')
        .filter_map(|pair| pair.split_once('='))
        .filter(|(crate_name, _)| *crate_name == name)
        .map(|(_, version)| version)
        .next_back()
}

/// `rayon 1.12.0` for a crate's name; any other text as it is.
pub fn with_version(name: &str) -> String {
    of_crate(name).map_or_else(|| name.to_owned(), |version| format!("{name} {version}"))
}

/// What a record says of the build.
pub fn of_build() -> BTreeMap<String, String> {
    let mut versions = BTreeMap::new();
    versions.insert("manyhands".to_owned(), MANYHANDS.to_owned());
    versions.insert("rustc".to_owned(), env!("MANYHANDS_RUSTC").to_owned());
    versions.insert("build".to_owned(), env!("MANYHANDS_PROFILE").to_owned());
    for name in ["crossbeam-channel", "postcard", "rayon", "tokio"] {
        if let Some(version) = of_crate(name) {
            versions.insert(name.to_owned(), version.to_owned());
        }
    }
    versions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crates_of_the_lock_file_have_versions_and_other_words_stay_as_they_are() {
        assert!(with_version("rayon").starts_with("rayon 1."), "{}", with_version("rayon"));
        assert_eq!(with_version("a plain loop"), "a plain loop");
    }
}
