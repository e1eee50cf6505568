//! What the team wants left alone, who says so, and why.

use super::Tags;
use super::error::Told;
use super::glob::Glob;
use super::read::{account, tag_value};
use super::table::{Table, expected, text};
use crate::id::AccountId;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use toml::de::DeValue;

/// One `[[protect]]` table. A condition that is none is not asked; all others must be met.
#[derive(Debug, Clone)]
pub struct Protection {
    arns: Option<Vec<Glob>>,
    paths: Option<Vec<Glob>>,
    tags: Option<Vec<(String, Glob)>>,
    accounts: Option<Vec<AccountId>>,
    /// Whom people ask.
    pub owner: String,
    pub reason: String,
    /// From then on it no longer counts.
    pub until: Option<Timestamp>,
}

/// What a protection can be asked about.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    pub account: &'a AccountId,
    pub arn: &'a str,
    /// The IAM path, where the thing has one.
    pub path: Option<&'a str>,
    pub tags: &'a Tags,
}

impl Protection {
    /// Whether it is about this thing, leaving aside whether it still counts.
    #[must_use]
    pub fn is_about(&self, asked: Asked<'_>) -> bool {
        let Self { arns, paths, tags, accounts, owner: _, reason: _, until: _ } = self;
        let matches = |globs: &[Glob], text: &str| globs.iter().any(|glob| glob.is_match(text));
        let tagged = |(key, glob): &(String, Glob)| asked.tags.get(key).is_some_and(|value| glob.is_match(value));
        arns.as_ref().is_none_or(|arns| matches(arns, asked.arn))
            && paths.as_ref().is_none_or(|paths| asked.path.is_some_and(|path| matches(paths, path)))
            && tags.as_ref().is_none_or(|tags| tags.iter().all(tagged))
            && accounts.as_ref().is_none_or(|accounts| accounts.contains(asked.account))
    }

    #[must_use]
    pub fn counts_at(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

pub(super) fn protection(mut table: Table<'_>, told: &mut Told) -> Option<Protection> {
    let (at, complaints) = (table.at, told.len());
    let arns = table.take_list("arns", told, |value| Glob::arn(text(value)?));
    let paths = table.take_list("paths", told, |value| Glob::path(text(value)?));
    let tags = table.take_map("tags", told, tag_value);
    let accounts = table.take_list("accounts", told, account);
    let owner = table.take("owner", told, words);
    let reason = table.take("reason", told, words);
    let until = table.take("until", told, moment);
    table.finish(told);
    if told.len() == complaints {
        let asks = arns.is_some() || paths.is_some() || tags.is_some() || accounts.is_some();
        told.extend(missing(asks, owner.is_some(), reason.is_some()).map(|why| (at, why.to_owned())));
    }
    Some(Protection { arns, paths, tags, accounts, owner: owner?, reason: reason?, until })
}

fn missing(asks: bool, owner: bool, reason: bool) -> impl Iterator<Item = &'static str> {
    let what = "this protects everything; name \"arns\", \"paths\", \"tags\" or \"accounts\"";
    let owner_is = "this has no \"owner\": who decides when a finding is about it?";
    let reason_is = "this has no \"reason\": what would break?";
    [(asks, what), (owner, owner_is), (reason, reason_is)].into_iter().filter(|(given, _)| !given).map(|(_, why)| why)
}

fn words(value: &DeValue<'_>) -> Result<String, String> {
    let words = text(value)?.trim();
    if words.is_empty() { Err("this must not be empty".to_owned()) } else { Ok(words.to_owned()) }
}

/// A day, through its end in UTC, or a moment with its offset; with quotes or without.
fn moment(value: &DeValue<'_>) -> Result<Timestamp, String> {
    let written = value.as_datetime().map(ToString::to_string);
    let written = written.as_deref().or_else(|| value.as_str());
    let written = written.ok_or_else(|| expected("a date such as 2027-01-31", value))?;
    let day = || written.parse::<Date>().ok()?.checked_add(1.day()).ok()?.to_zoned(TimeZone::UTC).ok();
    // A date and time without an offset would read as a date alone, and drop the time.
    let moment =
        written.parse::<Timestamp>().ok().or_else(|| if written.len() == 10 { Some(day()?.timestamp()) } else { None });
    moment
        .ok_or_else(|| format!("{written:?} is not a date such as 2027-01-31, or 2027-01-31T18:00:00Z with its offset"))
}
