//! Mutations of JSON as a tree: of changed bytes alone, hardly one in a hundred is still JSON.

use libfuzzer_sys::fuzzer_mutate;
use serde_json::{Value, json};

/// Room for a text to grow in one mutation.
const ROOM: usize = 64;

/// Changes one to four nodes of the JSON in `data[..size]`; where that is no JSON, and now and then where it is, its bytes.
/// Returns the new size, at most `longest`. `dictionary` is the text of libFuzzer's, for words that stand alone.
pub fn tree(data: &mut [u8], size: usize, longest: usize, seed: u32, dictionary: &str) -> usize {
    let mut dice = Dice(seed.into());
    let bytes_only = dice.roll(8) == 0;
    let whole = data.get(..size).and_then(|text| serde_json::from_slice::<Value>(text).ok());
    let Some(mut whole) = whole.filter(|_| !bytes_only) else { return fuzzer_mutate(data, size, longest) };
    for _ in 0..=dice.roll(4) {
        change_a_node(&mut whole, &mut dice, dictionary);
    }
    let text = whole.to_string();
    if text.len() > longest {
        return fuzzer_mutate(data, size, longest);
    }
    data[..text.len()].copy_from_slice(text.as_bytes());
    text.len()
}

fn change_a_node(whole: &mut Value, dice: &mut Dice, dictionary: &str) {
    let paths = paths(whole);
    let path = &paths[dice.roll(paths.len())];
    let other = whole.pointer(&paths[dice.roll(paths.len())]).cloned().unwrap_or_default();
    let odd = odd_values();
    let Some(node) = whole.pointer_mut(path) else { return };
    match (dice.roll(8), node) {
        (0, node) => *node = other,
        (1, node) => *node = odd[dice.roll(odd.len())].clone(),
        (2, node) => *node = json!([node.clone(), other]),
        (_, Value::Object(fields)) if !fields.is_empty() => {
            let key = fields.keys().nth(dice.roll(fields.len())).cloned().unwrap_or_default();
            let value = fields.remove(&key).unwrap_or_default();
            if dice.roll(2) == 0 {
                fields.insert(mutated(&key), value);
            }
        }
        (_, Value::Array(items)) if !items.is_empty() => {
            let (from, to) = (dice.roll(items.len()), dice.roll(items.len()));
            match dice.roll(3) {
                0 => drop(items.remove(from)),
                1 => items.push(items[from].clone()),
                _ => items.swap(from, to),
            }
        }
        (3..=4, Value::String(text)) => *text = word(dictionary, dice),
        (_, Value::String(text)) => *text = mutated(text),
        (_, Value::Number(number)) => {
            let text = mutated(&number.to_string());
            *number = serde_json::from_str(&text).unwrap_or_else(|_| 0.into());
        }
        (_, Value::Bool(flag)) => *flag = !*flag,
        (_, node) => *node = other,
    }
}

/// The text after one of libFuzzer's own mutations, which know the dictionary.
fn mutated(text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let size = bytes.len();
    bytes.resize(size + ROOM, 0);
    let size = fuzzer_mutate(&mut bytes, size, size + ROOM);
    String::from_utf8_lossy(&bytes[..size]).into_owned()
}

/// One of the dictionary's words, but for those that need an escape.
fn word(dictionary: &str, dice: &mut Dice) -> String {
    let words = dictionary.lines().filter_map(|line| line.strip_prefix('"')?.strip_suffix('"'));
    let words: Vec<&str> = words.filter(|word| !word.contains('\\')).collect();
    words[dice.roll(words.len())].to_owned()
}

fn odd_values() -> Vec<Value> {
    vec![
        json!(null),
        json!(true),
        json!(0),
        json!(-1),
        json!(0.1),
        json!(i64::MIN),
        json!(u64::MAX),
        json!(1e308),
        json!(""),
        json!("null"),
        json!("\0\u{1b}[31m\u{202e}"),
        json!("<!channel> [x](https://evil.example)\n\nCONTAINED"),
        json!("-009999-01-02T01:59:59Z"),
        json!("9999-12-30T22:00:00.999999999Z"),
        json!([]),
        json!({}),
    ]
}

/// The JSON pointers of every node, the whole first.
fn paths(whole: &Value) -> Vec<String> {
    let (mut paths, mut open) = (Vec::new(), vec![(String::new(), whole)]);
    while let Some((path, node)) = open.pop() {
        if let Value::Object(fields) = node {
            let key = |key: &str| key.replace('~', "~0").replace('/', "~1");
            open.extend(fields.iter().map(|(name, value)| (format!("{path}/{}", key(name)), value)));
        } else if let Value::Array(items) = node {
            open.extend(items.iter().enumerate().map(|(at, value)| (format!("{path}/{at}"), value)));
        }
        paths.push(path);
    }
    paths
}

/// Numbers that follow from a seed, so that libFuzzer can repeat what it did.
struct Dice(u64);

impl Dice {
    /// A number below `sides`.
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or_default() % sides
    }
}
