//! TOML tables with places. Keys are taken one by one; a key that nobody asked for is an error.

use super::error::Told;
use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

/// A table, and which keys were asked for so far.
pub(super) struct Table<'t> {
    /// The byte of the text where the table begins.
    pub(super) at: usize,
    left: DeTable<'t>,
    asked: Vec<String>,
}

impl<'t> Table<'t> {
    /// The whole document. Of a text that is no TOML only the first error is told, as the rest follows from it.
    pub(super) fn parse(text: &'t str) -> Result<Self, Told> {
        let (document, errors) = DeTable::parse_recoverable(text);
        let told = |error: &toml::de::Error| (error.span().map_or(0, |span| span.start), reword(error.message()));
        match errors.iter().map(told).min() {
            None => Ok(Self::new(document)),
            Some(first) => Err(vec![first]),
        }
    }

    fn new(table: Spanned<DeTable<'t>>) -> Self {
        Self { at: table.span().start, left: table.into_inner(), asked: Vec::new() }
    }

    /// Takes a key's value. None where there is none, or where what is wrong with it was told.
    pub(super) fn take<T>(
        &mut self,
        key: &str,
        told: &mut Told,
        read: impl FnOnce(&DeValue<'t>) -> Result<T, String>,
    ) -> Option<T> {
        let value = self.take_value(key)?;
        read(value.get_ref()).map_err(|why| told.push((value.span().start, why))).ok()
    }

    /// Takes a list, `key = ["…", "…"]`.
    pub(super) fn take_list<T>(
        &mut self,
        key: &str,
        told: &mut Told,
        read: impl Fn(&DeValue<'t>) -> Result<T, String>,
    ) -> Option<Vec<T>> {
        let value = self.take_value(key)?;
        let at = value.span().start;
        let DeValue::Array(items) = value.into_inner() else {
            told.push((at, format!("{key:?} wants a list, as in {key} = [\"…\"]")));
            return None;
        };
        if items.is_empty() {
            told.push((at, format!("{key:?} is empty; name at least one")));
        }
        let mut read =
            |item: &Spanned<DeValue<'t>>| read(item.get_ref()).map_err(|why| told.push((item.span().start, why))).ok();
        Some(items.iter().filter_map(&mut read).collect())
    }

    /// Takes a table with keys of the team's own, `key = { a = "…" }`.
    pub(super) fn take_map<T>(
        &mut self,
        key: &str,
        told: &mut Told,
        read: impl Fn(&DeValue<'t>) -> Result<T, String>,
    ) -> Option<Vec<(String, T)>> {
        let value = self.take_value(key)?;
        let at = value.span().start;
        let DeValue::Table(entries) = value.into_inner() else {
            told.push((at, format!("{key:?} wants a table, as in {key} = {{ env = \"dev\" }}")));
            return None;
        };
        if entries.is_empty() {
            told.push((at, format!("{key:?} is empty; name at least one")));
        }
        let mut read = |(name, value): (Spanned<_>, Spanned<DeValue<'t>>)| match read(value.get_ref()) {
            Ok(read) => Some((String::from(name.into_inner()), read)),
            Err(why) => {
                told.push((value.span().start, why));
                None
            }
        };
        Some(entries.into_iter().filter_map(&mut read).collect())
    }

    /// Takes the table that is headed `[key]`, or written as `key = { … }`; `example` is what stands in the braces.
    pub(super) fn take_table(&mut self, key: &str, example: &str, told: &mut Told) -> Option<Table<'t>> {
        let value = self.take_value(key)?;
        let span = value.span();
        let DeValue::Table(table) = value.into_inner() else {
            told.push((span.start, format!("{key:?} wants a table, as in {key} = {{ {example} }}")));
            return None;
        };
        Some(Self::new(Spanned::new(span, table)))
    }

    /// Takes the tables that are headed `[[key]]`.
    pub(super) fn take_tables(&mut self, key: &str, told: &mut Told) -> Vec<Table<'t>> {
        let Some(value) = self.take_value(key) else { return Vec::new() };
        let at = value.span().start;
        let DeValue::Array(items) = value.into_inner() else {
            told.push((at, format!("{key:?} is written in double brackets, [[{key}]]")));
            return Vec::new();
        };
        let mut table = |item: Spanned<DeValue<'t>>| {
            let span = item.span();
            let other = expected("a table", item.get_ref());
            let DeValue::Table(table) = item.into_inner() else {
                told.push((span.start, other));
                return None;
            };
            Some(Self::new(Spanned::new(span, table)))
        };
        items.into_iter().filter_map(&mut table).collect()
    }

    /// Tells every key that nobody asked for.
    pub(super) fn finish(self, told: &mut Told) {
        let Self { at: _, left, asked } = self;
        told.extend(left.keys().map(|key| (key.span().start, unknown("key", key.get_ref(), &asked))));
    }

    fn take_value(&mut self, key: &str) -> Option<Spanned<DeValue<'t>>> {
        self.asked.push(key.to_owned());
        self.left.remove(key)
    }
}

/// Reads a number of things, from 0 upwards.
pub(super) fn whole<N: std::str::FromStr>(value: &DeValue<'_>) -> Result<N, String> {
    let decimal = value.as_integer().filter(|number| number.radix() == 10).map(DeInteger::as_str);
    let number = decimal.ok_or_else(|| expected("a whole number", value))?;
    number.replace('_', "").parse().map_err(|_| format!("{number} is not a number from 0 upwards"))
}

/// Reads `true` or `false`.
pub(super) fn flag(value: &DeValue<'_>) -> Result<bool, String> {
    value.as_bool().ok_or_else(|| expected("true or false", value))
}

/// Reads a text.
pub(super) fn text<'v>(value: &'v DeValue<'_>) -> Result<&'v str, String> {
    value.as_str().ok_or_else(|| expected("a text in quotes", value))
}

pub(super) fn expected(what: &str, found: &DeValue<'_>) -> String {
    format!("expected {what}, found: {}", found.type_str())
}

/// Says that a word is not known, and which one was probably meant.
pub(super) fn unknown<K: AsRef<str>>(what: &str, word: &str, known: &[K]) -> String {
    let known: Vec<&str> = known.iter().map(AsRef::as_ref).collect();
    let meant = known.iter().map(|known| (likeness(word, known), known)).max_by(|a, b| a.0.total_cmp(&b.0));
    match meant {
        Some((likeness, meant)) if likeness > 0.6 => format!("unknown {what} {word:?}; did you mean {meant:?}?"),
        _ => format!("unknown {what} {word:?}; there is: {}", known.join(", ")),
    }
}

fn likeness(word: &str, known: &str) -> f64 {
    let word = word.to_lowercase();
    let part_of_the_other = word.len() > 2 && (known.contains(&word) || word.contains(known));
    if part_of_the_other { 0.9 } else { strsim::normalized_damerau_levenshtein(&word, known) }
}

/// An account id without quotes is where most people meet this rule of TOML.
fn reword(message: &str) -> String {
    if message.starts_with("unexpected leading zero") {
        return "a number cannot begin with 0; an account id is written in quotes".to_owned();
    }
    message.to_owned()
}
