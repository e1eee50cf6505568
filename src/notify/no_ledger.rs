//! What people are told where the minute's sweep cannot use the ledger: nobody looks after what is held.

use super::escape::{ascii, code, markdown, sentence};
use super::{Attribute, Message};
use serde_json::json;
use std::collections::BTreeMap;

/// The name of the structured message's meaning.
pub const SCHEMA: &str = "quell.ledger.v1";

const WHY: usize = 400;

const NOW: &str = "What Quell holds may not be looked after: what an attacker opens again stays open, what was for a time is \
                   not given back, and what a crash left is not gone on with. What comes in is contained \
                   only where its claim can be written.";

const ACT: &str = "Yes, now. See whether the table is there, and whether the function's role may use it. Quell goes on by \
                   itself once it can; as long as it cannot, it says so about once an hour.";

/// Whose ledger it is.
#[derive(Debug, Clone, Copy)]
pub struct Whose<'a> {
    pub table: &'a str,
    /// The function's ARN.
    pub function: &'a str,
}

impl Whose<'_> {
    /// A part of the ARN.
    fn part(&self, at: usize) -> &str {
        self.function.split(':').nth(at).filter(|part| !part.is_empty()).unwrap_or("unknown")
    }

    fn region(&self) -> &str {
        self.part(3)
    }

    fn account(&self) -> &str {
        self.part(4)
    }

    fn headline(&self) -> String {
        format!("QUELL CANNOT USE ITS LEDGER (account {}, {})", self.account(), self.region())
    }

    fn command(&self) -> String {
        format!("aws dynamodb describe-table --region {} --table-name {}", self.region(), self.table)
    }
}

/// Renders the message. `repeated` if people may have got it already.
#[must_use]
pub fn no_ledger(whose: &Whose<'_>, why: &str, repeated: bool) -> Message {
    let headline = whose.headline();
    let news = repeated.then_some(super::words::MAYBE_KNOWN);
    let body = json!({
        "default": json!({
            "schema": SCHEMA,
            // Where the message of an incident has them, for whoever filters on the body.
            "finding": { "severity_band": "critical", "account": whose.account(), "region": whose.region() },
            "verdict": "failed",
            "headline": headline,
            "function": whose.function,
            "table": whose.table,
            "why": why,
            "repeated": repeated,
        }).to_string(),
        "email": email(whose, why, news),
        "https": json!({
            "version": "1.0",
            "source": "custom",
            "content": {
                "textType": "client-markdown",
                "title": markdown(&headline),
                "description": chat(why, news),
                "nextSteps": [format!("`{}`", whose.command())],
                "keywords": ["failed", "critical", whose.account(), whose.region()],
            },
            "metadata": { "threadId": format!("quell-ledger-{}", whose.account()), "summary": markdown(&headline) },
        }).to_string(),
        "sms": format!("{headline}. What is held may not be looked after. See e-mail."),
    });
    let attributes = BTreeMap::from([
        ("verdict", Attribute::Text("failed".to_owned())),
        ("severity", Attribute::Text("critical".to_owned())),
        ("account", Attribute::Text(whose.account().to_owned())),
        ("region", Attribute::Text(whose.region().to_owned())),
    ]);
    Message { subject: ascii(&headline, 99), body: body.to_string(), attributes }
}

fn email(whose: &Whose<'_>, why: &str, news: Option<&str>) -> String {
    let mut lines = vec![whose.headline()];
    lines.extend(news.map(|news| format!("  News:    {news}")));
    lines.push(format!("  Why:     {}", sentence(why, WHY)));
    lines.push(format!("  Now:     {NOW}"));
    lines.push(format!("  Act:     {ACT}"));
    lines.push(String::new());
    lines.push(whose.command());
    lines.join("\n") + "\n"
}

fn chat(why: &str, news: Option<&str>) -> String {
    let mut lines: Vec<String> = news.map(|news| format!("*News:* {news}")).into_iter().collect();
    lines.push(format!("*Why:* {}", code(&sentence(why, WHY))));
    lines.push(format!("*Now:* {NOW}"));
    lines.push(format!("*Act:* {ACT}"));
    lines.join("\n")
}
