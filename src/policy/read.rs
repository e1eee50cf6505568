//! From the text of a policy to its rules. A new key is one line here.

use super::error::Told;
use super::glob::Glob;
use super::protect::protection;
use super::rule::{AtLeast, Rule};
use super::settings::{guards, limits, management_account, operators};
use super::table::{Table, expected, text, unknown, whole};
use super::terms::{approval, duration, tell_pointless};
use super::{Policy, Response, Terms};
use crate::finding::{Band, Severity};
use crate::id::AccountId;
use std::collections::HashSet;
use toml::de::{DeFloat, DeInteger, DeValue};

/// Reads the whole policy, or tells everything that is wrong.
pub(super) fn policy(text: &str, remediations: &[&str]) -> Result<Policy, Told> {
    let mut told = Told::new();
    let mut top = Table::parse(text)?;
    let rules = top.take_tables("rule", &mut told);
    let protections = top.take_tables("protect", &mut told);
    let operators = operators(&mut top, &mut told);
    let management_account = management_account(&mut top, &mut told);
    let guards = guards(&mut top, &mut told);
    let limits = limits(&mut top, remediations, &mut told);
    top.finish(&mut told);

    let rules = in_order(rules, remediations, &mut told);
    let protections = protections.into_iter().filter_map(|table| protection(table, &mut told)).collect();
    let policy = Policy { rules, protections, operators, management_account, guards, limits };
    if told.is_empty() { Ok(policy) } else { Err(told) }
}

fn in_order(tables: Vec<Table<'_>>, remediations: &[&str], told: &mut Told) -> Vec<Rule> {
    let mut rules = Vec::new();
    for (table, number) in tables.into_iter().zip(1..) {
        let at = table.at;
        rules.extend(rule(table, number, remediations, told).map(|rule| (at, rule)));
    }
    tell_equal_names(&rules, told);
    tell_unreached(&rules, told);
    rules.into_iter().map(|(_, rule)| rule).collect()
}

fn rule(mut table: Table<'_>, number: usize, remediations: &[&str], told: &mut Told) -> Option<Rule> {
    let at = table.at;
    let complaints = told.len();
    let name = table.take("name", told, name);
    let types = table.take_list("types", told, |value| Glob::finding_type(text(value)?));
    let severity = table.take("severity", told, severity);
    let accounts = table.take_list("accounts", told, account);
    let regions = table.take_list("regions", told, |value| Glob::region(text(value)?));
    let tags = table.take_map("tags", told, tag_value);
    let response = table.take("response", told, response);
    let remediations = table.take_list("remediations", told, |value| remediation(value, remediations));
    let max_blast = table.take("max_blast", told, whole);
    let expires = table.take("expires", told, duration);
    let approval = approval(&mut table, told);
    table.finish(told);
    // What is missing only because it was misspelt or could not be read has been told.
    if told.len() == complaints {
        told.extend(missing(number, types.is_none(), response.is_none()).into_iter().map(|why| (at, why)));
    }
    let response = response?;
    let keys = [("max_blast", max_blast.is_some()), ("expires", expires.is_some()), ("approval", approval.is_some())];
    tell_pointless(at, response, &keys, told);
    let name = name.unwrap_or_else(|| format!("rule {number}"));
    let terms = Terms { max_blast, expires, approval };
    Some(Rule { name, types: types?, severity, accounts, regions, tags, response, remediations, terms })
}

fn missing(number: usize, types: bool, response: bool) -> Vec<String> {
    let types = types.then(|| format!("rule {number} has no \"types\"; types = [\"*\"] is every finding"));
    let response = response.then(|| format!("rule {number} has no \"response\"; there is: {}", responses().join(", ")));
    types.into_iter().chain(response).collect()
}

fn name(value: &DeValue<'_>) -> Result<String, String> {
    let name = text(value)?.trim();
    if name.is_empty() { Err("a name must not be empty".to_owned()) } else { Ok(name.to_owned()) }
}

fn severity(value: &DeValue<'_>) -> Result<AtLeast, String> {
    if let Some(word) = value.as_str() {
        return band(word).map(AtLeast::Band);
    }
    let decimal = value.as_integer().filter(|number| number.radix() == 10).map(DeInteger::as_str);
    let number = decimal.or_else(|| value.as_float().map(DeFloat::as_str));
    let number = number.ok_or_else(|| expected("a number from 0 to 10, or a word such as \"high\"", value))?;
    let severity = number.parse().ok().and_then(|number: f64| Severity::try_from(number).ok());
    severity.map(AtLeast::Number).ok_or_else(|| format!("{number} is not a severity from 0 to 10"))
}

fn band(word: &str) -> Result<Band, String> {
    let bands = [Band::Low, Band::Medium, Band::High, Band::Critical];
    let found = bands.into_iter().find(|band| band.as_str() == word);
    found.ok_or_else(|| unknown("severity", word, &bands.map(Band::as_str)))
}

pub(super) fn account(value: &DeValue<'_>) -> Result<AccountId, String> {
    if value.is_integer() {
        return Err("an account id is written in quotes: a number would lose its leading zeros".to_owned());
    }
    let id = text(value)?;
    AccountId::try_from(id).map_err(|_| format!("{id:?} is not an account id, which is twelve digits"))
}

pub(super) fn tag_value(value: &DeValue<'_>) -> Result<Glob, String> {
    if value.is_table() {
        return Err("a tag's key with a dot in it is written in quotes".to_owned());
    }
    Glob::tag_value(text(value)?)
}

fn response(value: &DeValue<'_>) -> Result<Response, String> {
    let word = text(value)?;
    Response::from_word(word).ok_or_else(|| unknown("response", word, &responses()))
}

fn responses() -> [&'static str; 4] {
    Response::ALL.map(Response::as_str)
}

fn remediation(value: &DeValue<'_>, known: &[&str]) -> Result<String, String> {
    let name = text(value)?;
    if known.contains(&name) { Ok(name.to_owned()) } else { Err(unknown("remediation", name, known)) }
}

/// People find a decision's rule by its name.
fn tell_equal_names(rules: &[(usize, Rule)], told: &mut Told) {
    let mut seen = HashSet::new();
    let again = rules.iter().filter(|(_, rule)| !seen.insert(&rule.name));
    told.extend(again.map(|(at, rule)| (*at, format!("another rule before this one is named {:?}", rule.name))));
}

/// An opt-in below the rule for everything else would silently never apply.
fn tell_unreached(rules: &[(usize, Rule)], told: &mut Told) {
    let mut rules = rules.iter().map(|(at, rule)| (at, rule));
    let Some((_, all)) = rules.find(|(_, rule)| rule.takes_everything()) else { return };
    let say = |rule: &Rule| {
        format!("{:?} is never reached, as {:?} above it takes every finding; move it up", rule.name, all.name)
    };
    told.extend(rules.map(|(at, rule)| (*at, say(rule))));
}
