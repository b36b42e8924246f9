//! What a command given as one text means.
//!
//! A command is split into words here, not by a shell, because a clock can only be skewed in a program that the harness starts
//! itself: `sh -c "exec CMD"` is two programs in one process, and the second forgets what was prepared for the first. What only a
//! shell understands (`| & ; < > $ * ?` and back quotes) is left to a shell, at that price.

use std::path::PathBuf;

/// What only a shell understands.
const SHELL_ONLY: &[char] = &['|', '&', ';', '<', '>', '$', '`', '*', '?'];

/// A program and its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    /// The program: a path, or a name that whoever starts it looks up in `PATH`.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
}

/// What to start for `command`, each word passed through `fill`.
///
/// # Errors
/// One sentence, where a quote stays open or nothing is left.
pub fn words(command: &str, fill: impl Fn(&str) -> String) -> Result<Words, String> {
    if command.contains(SHELL_ONLY) {
        let args = vec!["-c".to_string(), format!("exec {}", fill(command))];
        return Ok(Words { program: PathBuf::from("/bin/sh"), args });
    }
    let mut words = split(command)?.into_iter().map(|word| fill(&word));
    let program = words.next().ok_or_else(|| format!("{command:?} names no program"))?;
    Ok(Words { program: PathBuf::from(program), args: words.collect() })
}

/// Splits as a shell does: spaces part words, `'…'` keeps everything, `"…"` everything but `\"` and `\\`, `\` the next character.
fn split(command: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut rest = command.chars();
    while let Some(c) = rest.next() {
        match c {
            ' ' | '\t' | '\n' => words.extend(word.take()),
            '\'' | '"' => quoted(c, &mut rest, word.get_or_insert_default())
                .ok_or_else(|| format!("in {command:?} a {c} is never closed"))?,
            '\\' => match rest.next() {
                Some(next) => word.get_or_insert_default().push(next),
                None => return Err(format!("{command:?} ends with a backslash")),
            },
            _ => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

/// Reads up to the closing `quote`; `None` if there is none.
fn quoted(quote: char, rest: &mut std::str::Chars, word: &mut String) -> Option<()> {
    loop {
        match rest.next()? {
            c if c == quote => return Some(()),
            '\\' if quote == '"' => match rest.next()? {
                c @ ('"' | '\\') => word.push(c),
                c => word.extend(['\\', c]),
            },
            c => word.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(command: &str) -> Vec<String> {
        split(command).expect("it can be split")
    }

    #[test]
    fn spaces_part_words_and_quotes_and_backslashes_keep_them_together() {
        assert_eq!(parts("  serve  --dir /tmp/x\t--n 3 "), ["serve", "--dir", "/tmp/x", "--n", "3"]);
        assert_eq!(parts(r#"a 'b  c' "d \"e\" \n" f\ g h''"#), ["a", "b  c", "d \"e\" \\n", "f g", "h"]);
        assert_eq!(parts("say '' \"\""), ["say", "", ""]);
        assert_eq!(parts(r"'it'\''s'"), ["it's"]);
    }

    #[test]
    fn an_open_quote_and_a_last_backslash_are_refused() {
        for wrong in ["serve 'x", "serve \"x", "serve x\\"] {
            assert!(split(wrong).is_err(), "{wrong}");
        }
        assert!(words("   ", str::to_string).is_err());
    }

    #[test]
    fn what_only_a_shell_understands_is_left_to_a_shell() {
        let left = words("serve --dir {dir} > log", |text| text.replace("{dir}", "/d")).expect("a shell takes it");
        assert_eq!(left.program, std::path::Path::new("/bin/sh"));
        assert_eq!(left.args, ["-c", "exec serve --dir /d > log"]);
    }

    #[test]
    fn placeholders_are_filled_after_the_split_so_that_a_path_with_spaces_stays_one_word() {
        let filled = words("sh {dir}", |text| text.replace("{dir}", "/a b")).expect("it can be split");
        assert_eq!(filled, Words { program: PathBuf::from("sh"), args: vec!["/a b".to_string()] });
    }
}
