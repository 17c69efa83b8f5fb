//! The one place where text enters markup.
//!
//! An [`Html`] grows from literals of this program ([`Html::raw`] takes only `&'static str`) and
//! from text that it escapes itself. Names, reasons and logs come from other people's programs and
//! can only take the second way, so a forgotten escape does not compile.
//!
//! What is written is well-formed XML too: a browser forgives, a test with a strict parser does
//! not.

use std::fmt::{self, Display, Write};

/// Markup that is safe to show.
#[derive(Debug, Clone, Default)]
pub(crate) struct Html(String);

impl Html {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Markup of this program.
    pub(crate) fn raw(&mut self, markup: &'static str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    /// Somebody's text between tags.
    pub(crate) fn text(&mut self, text: impl Display) -> &mut Self {
        // Writing to a string cannot fail.
        let _ = write!(Escaping(&mut self.0), "{text}");
        self
    }

    /// An attribute with somebody's text: ` name="value"`.
    pub(crate) fn attribute(&mut self, name: &'static str, value: impl Display) -> &mut Self {
        self.raw(" ").raw(name).raw("=\"").text(value).raw("\"")
    }

    /// Markup that was made elsewhere.
    pub(crate) fn add(&mut self, other: &Html) -> &mut Self {
        self.0.push_str(&other.0);
        self
    }

    /// An element around text: `<code class="name">text</code>`. An empty class is left out.
    pub(crate) fn element(
        &mut self,
        tag: &'static str,
        class: &'static str,
        text: impl Display,
    ) -> &mut Self {
        self.open(tag, class).text(text).close(tag)
    }

    /// The beginning of an element.
    pub(crate) fn open(&mut self, tag: &'static str, class: &'static str) -> &mut Self {
        self.raw("<").raw(tag);
        if !class.is_empty() {
            self.attribute("class", class);
        }
        self.raw(">")
    }

    /// The end of an element.
    pub(crate) fn close(&mut self, tag: &'static str) -> &mut Self {
        self.raw("</").raw(tag).raw(">\n")
    }

    /// JSON for a `<script type="application/json">`: nothing in it can end the script, and the
    /// line separators that old engines take for line ends are escaped.
    pub(crate) fn json(&mut self, value: &impl serde::Serialize) -> serde_json::Result<&mut Self> {
        for c in serde_json::to_string(value)?.chars() {
            match c {
                '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\u{7f}' => {
                    let _ = write!(self.0, "\\u{:04x}", u32::from(c));
                }
                // Only XML minds these, and JSON may escape any character.
                '\u{fffe}' | '\u{ffff}' => {
                    let _ = write!(self.0, "\\u{:04x}", u32::from(c));
                }
                c => self.0.push(c),
            }
        }
        Ok(self)
    }

    /// The template with each `{{name}}` replaced by the part of that name.
    ///
    /// # Panics
    /// When the template names a part that is not there: both are this program's.
    pub(crate) fn fill(template: &'static str, parts: &[(&str, &Html)]) -> Self {
        let mut page = Self::new();
        let mut rest = template;
        while let Some((before, after)) = rest.split_once("{{") {
            let (name, after) = after.split_once("}}").expect("a template closes its braces");
            let part = parts.iter().find(|(n, _)| *n == name);
            page.raw(before).add(part.unwrap_or_else(|| panic!("no part named {name}")).1);
            rest = after;
        }
        page.raw(rest);
        page
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn into_string(self) -> String {
        self.0
    }
}

/// Escapes what is written through it.
struct Escaping<'a>(&'a mut String);

impl Write for Escaping<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            match c {
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '&' => self.0.push_str("&amp;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                c => self.0.push(visible(c)),
            }
        }
        Ok(())
    }
}

/// What can be shown of a character. Control characters are no markup and would drive a terminal;
/// direction overrides would reorder the words around a name.
pub(crate) fn visible(c: char) -> char {
    match c {
        '\n' | '\t' => c,
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
        '\u{fffe}' | '\u{ffff}' => '\u{fffd}',
        c if c.is_control() => '\u{fffd}',
        c => c,
    }
}

/// Text with the home directories of people replaced by `~`: reports are shown to others.
pub(crate) fn redact(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((at, home)) = next_home(rest) {
        let user = &rest[at + home.len()..];
        let end =
            user.find(|c: char| c == '/' || c == ':' || c.is_whitespace() || "\"'`,;)".contains(c));
        out.push_str(&rest[..at]);
        out.push('~');
        rest = &user[end.unwrap_or(user.len())..];
    }
    out.push_str(rest);
    out
}

/// Where the next home directory begins, and the part of it before the user's name.
fn next_home(text: &str) -> Option<(usize, &'static str)> {
    ["/home/", "/Users/", "/root"]
        .into_iter()
        .filter_map(|home| {
            let begins = |at: usize| {
                let before = text[..at].chars().next_back();
                let after = text[at + home.len()..].chars().next();
                let apart = !before.is_some_and(|c| c.is_alphanumeric() || "._-~".contains(c));
                apart
                    && (home != "/root"
                        || !after.is_some_and(|c| c.is_alphanumeric() || "._-".contains(c)))
            };
            let at = text.match_indices(home).map(|(at, _)| at).find(|&at| begins(at))?;
            Some((at, home))
        })
        .min_by_key(|(at, _)| *at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_in_text_and_attributes_is_shown_not_obeyed() {
        let mut html = Html::new();
        html.raw("<p").attribute("title", "\" onload='x'").raw(">").text("<script>&\u{202e}\u{0}");
        assert_eq!(
            html.into_string(),
            "<p title=\"&quot; onload=&#39;x&#39;\">&lt;script&gt;&amp;\u{fffd}\u{fffd}"
        );
    }

    #[test]
    fn json_cannot_end_its_script() {
        let mut html = Html::new();
        html.json(&"</script><!--&\u{2028}").expect("a string serialises");
        assert_eq!(html.into_string(), "\"\\u003c/script\\u003e\\u003c!--\\u0026\\u2028\"");
    }

    #[test]
    fn a_template_is_filled_by_name() {
        let mut name = Html::new();
        name.text("a & b");
        let page = Html::fill("<h1>{{name}}</h1>{{name}}.", &[("name", &name)]);
        assert_eq!(page.into_string(), "<h1>a &amp; b</h1>a &amp; b.");
    }

    #[test]
    fn homes_are_redacted_and_other_paths_are_not() {
        for (given, shown) in [
            ("reading /home/ann/data/x.bin: no such file", "reading ~/data/x.bin: no such file"),
            ("/Users/bo", "~"),
            ("'/root/.cache' and /home/c", "'~/.cache' and ~"),
            ("/rootless /srv/home/x /tmp/root", "/rootless /srv/home/x /tmp/root"),
        ] {
            assert_eq!(redact(given), shown);
        }
    }
}
