//! One function for each place that a text can land in.
//!
//! Texts of a finding are written by whoever attacks: names, tags, domains, user agents. They must not become a line
//! of their own (a false verdict), a link, a mention, an instruction to a terminal, or a text that reads backwards.

/// Makes one line of a text, shows what is hidden in it, and ends it after `longest` characters.
pub(super) fn plain(text: &str, longest: usize) -> String {
    let mut line = String::new();
    let mut room = longest;
    let mut gap = false;
    for c in text.chars() {
        if c.is_whitespace() {
            gap = !line.is_empty();
            continue;
        }
        let shown = if is_hidden(c) { c.escape_unicode().to_string() } else { c.to_string() };
        let needed = shown.chars().count() + usize::from(gap);
        if needed > room {
            line.push('…');
            return line;
        }
        room -= needed;
        if std::mem::take(&mut gap) {
            line.push(' ');
        }
        line.push_str(&shown);
    }
    line
}

/// One line for people, in which nothing is a link: `evil[.]example`, `http[:]//…`.
pub(super) fn defanged(text: &str, longest: usize) -> String {
    defang(&plain(text, longest))
}

/// Somebody else's words, marked as such.
pub(super) fn quoted(text: &str, longest: usize) -> String {
    format!("\"{}\"", defanged(text, longest).replace('"', "'"))
}

/// Our own words: links into the AWS documentation stay links, others do not.
pub(super) fn sentence(text: &str, longest: usize) -> String {
    let word = |word: &str| if is_documentation(word) { word.to_owned() } else { defang(word) };
    plain(text, longest).split(' ').map(word).collect::<Vec<_>>().join(" ")
}

/// The subject and the text message: ASCII, at most `longest` characters.
pub(super) fn ascii(text: &str, longest: usize) -> String {
    let shown = |c: char| if c == ' ' || c.is_ascii_graphic() { c } else { '?' };
    let line: String = text.chars().map(|c| if c == '…' { '~' } else { shown(c) }).take(longest + 1).collect();
    if line.len() <= longest {
        return line;
    }
    let kept: String = line.chars().take(longest.saturating_sub(3)).collect();
    kept + "..."
}

/// A line in a chat: what the chat would read as markup, mention, link or emoji becomes a look-alike.
///
/// Chats differ in how they escape, and none has an escape for all of its marks; look-alikes read the same in each.
pub(super) fn markdown(line: &str) -> String {
    line.split(' ').map(unmarked).collect::<Vec<_>>().join(" ")
}

/// A name or value in a chat, in a code span: only the span's own end and `<…>` mean anything in there.
pub(super) fn code(line: &str) -> String {
    let shown = |c| match c {
        '`' => '\'',
        '<' => '‹',
        '>' => '›',
        '&' if line.contains(';') => '＆',
        c => c,
    };
    format!("`{}`", line.chars().map(shown).collect::<String>())
}

/// Tells whether a command can be shown as it is: one line of printable ASCII.
///
/// Anything else is no command of ours, would not survive being pasted, or could pass for a line of the message.
pub(super) fn is_pasteable(command: &str) -> bool {
    !command.trim().is_empty() && command.chars().all(|c| c == ' ' || c.is_ascii_graphic())
}

fn is_documentation(word: &str) -> bool {
    word.starts_with("https://docs.aws.amazon.com/")
}

fn defang(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut before = ' ';
    let mut rest = line.chars();
    while let Some(c) = rest.next() {
        let after = rest.as_str();
        match c {
            '.' | '。' | '．' | '｡' if joins_labels(before, after) => out.push_str("[.]"),
            ':' if after.starts_with("//") => out.push_str("[:]"),
            c => out.push(c),
        }
        before = c;
    }
    out
}

/// A dot before a letter is what mail programs make links of; one before a digit is an address or a number.
fn joins_labels(before: char, after: &str) -> bool {
    before != ' ' && before != '.' && after.starts_with(char::is_alphabetic)
}

fn unmarked(word: &str) -> String {
    let emoji = word.matches(':').count() > 1;
    let entity = word.contains(';');
    let mut out = String::with_capacity(word.len());
    let mut before = ' ';
    let mut rest = word.chars();
    while let Some(c) = rest.next() {
        let inside = before.is_alphanumeric() && rest.as_str().starts_with(char::is_alphanumeric);
        out.push(match c {
            '*' => '∗',
            '_' if !inside => '＿',
            '~' => '∼',
            '`' => '\'',
            '<' => '‹',
            '>' => '›',
            '|' => '¦',
            '[' => '［',
            ']' => '］',
            '@' => '＠',
            '#' => '＃',
            '&' if entity => '＆',
            ':' if emoji => '꞉',
            c => c,
        });
        before = c;
    }
    out
}

/// Characters that show nothing, turn the writing direction, or draw over their neighbours.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{3164}' | '\u{feff}'
            | '\u{ffa0}'
            | '\u{300}'..='\u{36f}' | '\u{483}'..='\u{489}' | '\u{180b}'..='\u{180f}' | '\u{1ab0}'..='\u{1aff}'
            | '\u{1dc0}'..='\u{1dff}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{20d0}'..='\u{20ff}' | '\u{2800}' | '\u{e000}'..='\u{f8ff}' | '\u{fdd0}'..='\u{fdef}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{fe20}'..='\u{fe2f}' | '\u{fff0}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..)
}
