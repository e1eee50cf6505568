//! AWS's XML answers as JSON values, so that tests read both kinds alike.

use roxmltree::{Document, Node};
use serde_json::{Map, Value};

/// Turns an answer into a value: lists (`member`, `item`) become arrays, leaves strings, empty elements null.
pub fn to_value(text: &str) -> Value {
    let document = Document::parse(text).unwrap_or_else(|error| panic!("not XML ({error}): {text}"));
    element(document.root_element())
}

fn element(node: Node) -> Value {
    let children: Vec<Node> = node.children().filter(Node::is_element).collect();
    match children.first() {
        None => leaf(node),
        Some(first) if is_entry(*first) => children.into_iter().map(element).collect(),
        Some(_) => object(children),
    }
}

fn leaf(node: Node) -> Value {
    node.text().map_or(Value::Null, |text| Value::String(text.trim().to_owned()))
}

fn is_entry(node: Node) -> bool {
    matches!(node.tag_name().name(), "member" | "item")
}

fn object(children: Vec<Node>) -> Value {
    let fields = children.into_iter().map(|child| (child.tag_name().name().to_owned(), element(child)));
    Value::Object(fields.collect::<Map<_, _>>())
}
