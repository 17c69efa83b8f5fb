//! Command lines with placeholders: `./tool --threads {workers}`.
//!
//! A line is split into words first, as a shell would split it, and filled in second. So a value
//! with a space or a quote in it stays one argument, and no value can change what is run.

use std::borrow::Cow;
use std::collections::BTreeSet;

use crate::error::Error;

/// A command line as it was typed, split into words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template {
    /// The flag that it was given to, for errors.
    pub(super) flag: &'static str,
    /// As it was typed.
    pub(super) text: String,
    words: Vec<String>,
}

/// A part of a text: itself, or a name that stands for a value.
#[derive(Debug, PartialEq, Eq)]
enum Piece<'a> {
    Text(&'a str),
    Placeholder(&'a str),
}

impl Template {
    /// Splits a line into words; quotes and backslashes mean what they mean to a POSIX shell,
    /// nothing else is special.
    ///
    /// # Errors
    /// When a quote is not closed, or nothing is there.
    pub(super) fn parse(flag: &'static str, text: &str) -> Result<Self, Error> {
        let words = shell_words::split(text).map_err(|_| {
            Error::usage(format!("{flag} '{text}': a quote is not closed; close it"))
        })?;
        if words.is_empty() {
            return Err(Error::usage(format!(
                "{flag} is empty; give it a program and its arguments"
            )));
        }
        Ok(Self { flag, text: text.to_owned(), words })
    }

    /// The names of its placeholders.
    pub(super) fn names(&self) -> BTreeSet<&str> {
        self.words.iter().flat_map(|word| names(word)).collect()
    }

    /// Its words with values in place of the placeholders. A word that is left empty by an empty
    /// value is left out: `-L flag=,--fast` runs with and without it.
    pub(super) fn words<'v>(&self, value: impl Fn(&str) -> Option<Cow<'v, str>>) -> Vec<String> {
        let filled = self.words.iter().map(|word| (word, fill(word, &value)));
        filled.filter(|(word, text)| !text.is_empty() || word.is_empty()).map(|(_, t)| t).collect()
    }

    /// Its text with values in place of some placeholders; the others, and doubled braces, stay
    /// as they were typed.
    pub(super) fn named<'v>(&self, value: impl Fn(&str) -> Option<Cow<'v, str>>) -> String {
        let whole = |name: &str| value(name).unwrap_or_else(|| format!("{{{name}}}").into());
        let doubled = |text: &str| match is_escaped(text) {
            true => format!("{{{text}}}"),
            false => text.to_owned(),
        };
        pieces(&self.text)
            .into_iter()
            .map(|piece| match piece {
                Piece::Text(text) => doubled(text),
                Piece::Placeholder(name) => whole(name).into_owned(),
            })
            .collect()
    }
}

/// Whether a name may stand between braces: what is none is left alone, because `{}` and `{ }`
/// mean something to find, awk and shells.
pub(crate) fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

fn names(text: &str) -> Vec<&str> {
    let name = |piece| match piece {
        Piece::Placeholder(name) => Some(name),
        Piece::Text(_) => None,
    };
    pieces(text).into_iter().filter_map(name).collect()
}

fn fill<'v>(text: &str, value: &impl Fn(&str) -> Option<Cow<'v, str>>) -> String {
    pieces(text)
        .into_iter()
        .map(|piece| match piece {
            Piece::Text(text) => Cow::Borrowed(text),
            Piece::Placeholder(name) => value(name).unwrap_or_default(),
        })
        .collect()
}

/// The pieces of a text. `{name}` is a placeholder, `{{name}}` the text `{name}`.
fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(open) = rest.find('{') {
        let (before, from) = rest.split_at(open);
        let (piece, length) = if let Some(name) = enclosed(from, "{{", "}}") {
            (Piece::Text(&from[1..name.len() + 3]), name.len() + 4)
        } else if let Some(name) = enclosed(from, "{", "}") {
            (Piece::Placeholder(name), name.len() + 2)
        } else {
            (Piece::Text(&from[..1]), 1)
        };
        pieces.extend([Piece::Text(before), piece]);
        rest = &from[length..];
    }
    pieces.push(Piece::Text(rest));
    pieces
}

/// The name that a text begins with, if it stands between these braces.
fn enclosed<'a>(text: &'a str, open: &str, close: &str) -> Option<&'a str> {
    let (name, _) = text.strip_prefix(open)?.split_once(close)?;
    is_name(name).then_some(name)
}

/// Whether a piece of text is what `{{name}}` stands for.
fn is_escaped(text: &str) -> bool {
    enclosed(text, "{", "}").is_some_and(|name| name.len() + 2 == text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(text: &str) -> Template {
        Template::parse("--command", text).expect("well-formed")
    }

    fn value(name: &str) -> Option<Cow<'static, str>> {
        match name {
            "workers" => Some("4".into()),
            "file" => Some("a b.txt".into()),
            "none" => Some("".into()),
            _ => None,
        }
    }

    #[test]
    fn words_are_split_first_and_filled_in_second() {
        let words = template("./tool --threads={workers} '{file}' {file}").words(value);
        assert_eq!(words, ["./tool", "--threads=4", "a b.txt", "a b.txt"]);
        assert_eq!(template("sh -c 'wc {file} | sort'").words(value)[2], "wc a b.txt | sort");
    }

    #[test]
    fn what_is_no_name_in_braces_is_left_alone_and_doubled_braces_stand_for_one() {
        let words = template("find . -exec wc {} ';' {{workers}} '{print $1}' {1}").words(value);
        assert_eq!(
            words,
            ["find", ".", "-exec", "wc", "{}", ";", "{workers}", "{print $1}", "{1}"]
        );
        assert!(template("awk '{print $1}' {{workers}}").names().is_empty());
        assert_eq!(template("{a}{workers} '{a}'").names(), ["a", "workers"].into());
    }

    #[test]
    fn a_word_that_an_empty_value_leaves_empty_is_left_out() {
        assert_eq!(template("tool {none} '' x{none}").words(value), ["tool", "", "x"]);
    }

    #[test]
    fn a_name_keeps_what_was_not_filled_in() {
        let only_file = |name: &str| value(name).filter(|_| name == "file");
        let named = template("tool  -w {workers} '{file}' {{workers}} {}").named(only_file);
        assert_eq!(named, "tool  -w {workers} 'a b.txt' {{workers}} {}");
    }

    #[test]
    fn an_open_quote_and_an_empty_line_are_usage_errors() {
        for (text, word) in [("tool 'x", "quote"), ("  ", "empty")] {
            let error = Template::parse("--prepare", text).unwrap_err();
            assert!(error.message.contains("--prepare") && error.message.contains(word), "{error}");
        }
    }
}
