//! Globs over finding types, regions, tag values, ARNs, paths and names.
//!
//! `*` is any run of characters (also across `/`), `?` is one, `{a,b}` is either; everything else stands for itself.
//! Character classes are deliberately absent: GuardDuty marks types with `[beta]`, which nobody means as a class.

use super::possible::can_match_a_type;
use globset::{ErrorKind, GlobBuilder, GlobMatcher};

/// A pattern that a whole text must match.
#[derive(Debug, Clone)]
pub(super) struct Glob {
    matcher: GlobMatcher,
    matches_all: bool,
}

impl Glob {
    /// Reads a glob over finding types. Upper and lower case are the same: no two types differ in nothing else.
    pub(super) fn finding_type(text: &str) -> Result<Self, String> {
        let glob = Self::new(text, true)?;
        if can_match_a_type(text) { Ok(glob) } else { Err(impossible_type(text)) }
    }

    /// Reads a glob over region codes.
    pub(super) fn region(text: &str) -> Result<Self, String> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-*?{,}".contains(&b);
        if text.is_empty() || !text.bytes().all(allowed) {
            return Err(format!("no region can match {text:?}; regions look like \"eu-west-1\""));
        }
        Self::new(text, false)
    }

    /// Reads a glob over tag values, where case matters as it does to AWS.
    pub(super) fn tag_value(text: &str) -> Result<Self, String> {
        Self::new(text, false)
    }

    /// Reads a glob over ARNs. IAM takes names that differ in case for the same, so case does not matter here.
    pub(super) fn arn(text: &str) -> Result<Self, String> {
        if text.starts_with("arn:") || text.starts_with(['*', '{']) {
            return Self::new(text, true);
        }
        Err(format!("no ARN can match {text:?}; ARNs look like \"arn:aws:iam::111122223333:role/*\""))
    }

    /// Reads a glob over IAM paths, which begin and end with a slash.
    pub(super) fn path(text: &str) -> Result<Self, String> {
        if text.starts_with(['/', '*', '{']) && text.ends_with(['/', '*', '}']) {
            return Self::new(text, true);
        }
        Err(format!("no path can match {text:?}; paths look like \"/service/\""))
    }

    /// Reads a glob over the names of users or roles; as to IAM, case does not tell two names apart.
    pub(super) fn iam_name(text: &str) -> Result<Self, String> {
        if text.is_empty() || text.contains([':', '/']) {
            return Err(format!("no name can match {text:?}; it is the name alone, without ARN and path"));
        }
        Self::new(text, true)
    }

    pub(super) fn is_match(&self, text: &str) -> bool {
        self.matcher.is_match(text)
    }

    /// Tells whether the pattern is nothing but `*`.
    pub(super) fn matches_all(&self) -> bool {
        self.matches_all
    }

    fn new(text: &str, ignore_case: bool) -> Result<Self, String> {
        let built = GlobBuilder::new(&in_globset_words(text))
            .case_insensitive(ignore_case)
            .backslash_escape(false)
            .empty_alternates(true)
            .build();
        let glob = built.map_err(|error| format!("{text:?} is no glob: {}", in_our_words(error.kind())))?;
        let matches_all = !text.is_empty() && text.bytes().all(|b| b == b'*');
        Ok(Self { matcher: glob.compile_matcher(), matches_all })
    }
}

/// Makes brackets stand for themselves, and `**` mean no more than `*`.
fn in_globset_words(text: &str) -> String {
    let mut words = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '[' => words.push_str("[[]"),
            ']' => words.push_str("[]]"),
            '*' if words.ends_with('*') => {}
            _ => words.push(c),
        }
    }
    words
}

fn in_our_words(error: &ErrorKind) -> String {
    if *error == ErrorKind::UnclosedAlternates {
        "a { has no }".to_owned()
    } else if *error == ErrorKind::UnopenedAlternates {
        "a } has no {".to_owned()
    } else {
        error.to_string()
    }
}

fn impossible_type(text: &str) -> String {
    let near = [format!("{text}/*"), format!("*:{text}"), format!("*{text}*")];
    let meant = near.into_iter().find(|glob| !text.is_empty() && can_match_a_type(glob));
    match meant {
        Some(glob) => format!("no finding type can match {text:?}; did you mean {glob:?}?"),
        None => format!("no finding type can match {text:?}; types look like \"Recon:EC2/Portscan\""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_glob_reads_as_it_looks() {
        let portscan = "Recon:EC2/Portscan";
        let tor = "UnauthorizedAccess:IAMUser/TorIPCaller";
        let command = "Backdoor:EC2/C&CActivity.B!DNS";
        let beta = "[beta]Exfiltration:S3/AnomalousBehavior";
        let all = [portscan, tor, command, beta];
        check("*", &all, &all);
        check("**", &all, &all);
        check("*:*/*", &all, &all);
        check("*:IAMUser/*", &[tor], &all);
        check("Backdoor:EC2/*", &[command], &all);
        check("*:EC2/*", &[portscan, command], &all);
        check("recon:ec2/portscan", &[portscan], &all);
        check("Recon:EC2/Ports", &[], &all);
        check("*!DNS", &[command], &all);
        check("*/C&CActivity.?!DNS", &[command], &all);
        check("[beta]*", &[beta], &all);
        check("{Recon,Backdoor}:EC2/{Port*,C&CActivity.B{,!DNS}}", &[portscan, command], &all);
        check("**/Portscan", &[portscan], &all);
    }

    fn check(glob: &str, matching: &[&str], all: &[&str]) {
        let glob = Glob::finding_type(glob).unwrap();
        let matched: Vec<&str> = all.iter().copied().filter(|kind| glob.is_match(kind)).collect();
        assert_eq!(matched, matching, "{glob:?}");
    }

    #[test]
    fn a_glob_that_no_type_can_match_is_refused() {
        let globs =
            ["Backdoor:EC2", "IAMUser/*", "*:IAMUser", "EC2", "", "A/B:*", "Recon:EC2/{Port", "Recon:EC2/Port}"];
        let refusals = globs.map(|glob| Glob::finding_type(glob).unwrap_err());
        insta::assert_snapshot!(refusals.join("\n"), @r#"
        no finding type can match "Backdoor:EC2"; did you mean "Backdoor:EC2/*"?
        no finding type can match "IAMUser/*"; did you mean "*:IAMUser/*"?
        no finding type can match "*:IAMUser"; did you mean "*:IAMUser/*"?
        no finding type can match "EC2"; did you mean "*EC2*"?
        no finding type can match ""; types look like "Recon:EC2/Portscan"
        no finding type can match "A/B:*"; types look like "Recon:EC2/Portscan"
        "Recon:EC2/{Port" is no glob: a { has no }
        "Recon:EC2/Port}" is no glob: a } has no {
        "#);
    }

    #[test]
    fn a_region_or_a_tag_value_is_compared_as_it_is_written() {
        let region = |glob: &str| Glob::region(glob).map(|glob| glob.is_match("eu-west-1"));
        assert_eq!((region("eu-*"), region("us-*"), region("{us,eu}-west-?")), (Ok(true), Ok(false), Ok(true)));
        assert!(region("EU-*").is_err() && region("").is_err() && region("eu west").is_err());
        let value = |glob: &str, text: &str| Glob::tag_value(glob).map(|glob| glob.is_match(text));
        assert_eq!(value("dev", "dev"), Ok(true));
        assert_eq!(value("dev", "Dev"), Ok(false));
        assert_eq!(value("", ""), Ok(true));
        assert_eq!(value("a\\b [1]", "a\\b [1]"), Ok(true));
    }
}
