//! One rule of a policy, and what it matches.

use super::glob::Glob;
use super::{Response, Ruling, Tags, Terms};
use crate::finding::{Band, Finding, Severity, Subject};
use crate::id::AccountId;

/// One rule. A condition that is none is not asked.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    pub(super) name: String,
    pub(super) types: Vec<Glob>,
    pub(super) severity: Option<AtLeast>,
    pub(super) accounts: Option<Vec<AccountId>>,
    pub(super) regions: Option<Vec<Glob>>,
    pub(super) tags: Option<Vec<(String, Glob)>>,
    pub(super) response: Response,
    pub(super) remediations: Option<Vec<String>>,
    pub(super) terms: Terms,
}

/// The lowest severity that a rule is for, as the team wrote it.
#[derive(Debug, Clone, Copy)]
pub(super) enum AtLeast {
    Number(Severity),
    Band(Band),
}

impl Rule {
    /// Whether all conditions but that on tags are met.
    pub(super) fn covers(&self, finding: &Finding, subject: &Subject) -> bool {
        let Self { types, severity, accounts, regions, .. } = self;
        let matches = |globs: &[Glob], text: &str| globs.iter().any(|glob| glob.is_match(text));
        matches(types, finding.kind.as_str())
            && severity.is_none_or(|least| least.allows(finding.severity))
            && accounts.as_ref().is_none_or(|accounts| accounts.contains(&subject.at.account))
            && regions.as_ref().is_none_or(|regions| matches(regions, subject.at.region.as_str()))
    }

    /// Whether the condition on tags is met; none if that cannot be said without them.
    pub(super) fn is_met_by(&self, tags: Option<&Tags>) -> Option<bool> {
        let Some(wanted) = &self.tags else { return Some(true) };
        let tags = tags?;
        Some(wanted.iter().all(|(key, glob)| tags.get(key).is_some_and(|value| glob.is_match(value))))
    }

    /// Whether no rule below this one is ever asked.
    pub(super) fn takes_everything(&self) -> bool {
        let Self { name: _, types, severity, accounts, regions, tags, response: _, remediations: _, terms: _ } = self;
        types.iter().any(Glob::matches_all)
            && severity.is_none_or(|least| least.allows(Severity::default()))
            && accounts.is_none()
            && regions.is_none()
            && tags.is_none()
    }

    pub(super) fn ruling(&self) -> Ruling {
        Ruling::Decided {
            response: self.response,
            rule: Some(self.name.clone()),
            remediations: self.remediations.clone(),
            terms: self.terms,
        }
    }
}

impl AtLeast {
    fn allows(self, severity: Severity) -> bool {
        match self {
            Self::Number(least) => severity >= least,
            Self::Band(least) => severity.band() >= least,
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::finding::{FindingType, SubjectKind};
    use crate::id::{FindingId, InstanceId, Partition, Place, Region};
    use crate::policy::Policy;

    #[test]
    fn the_first_rule_that_matches_decides() {
        let policy = "
            [[rule]]
            name = 'coins'
            types = ['CryptoCurrency:*', 'Impact:*']
            response = 'contain'
            remediations = ['compromised-instance']
            [[rule]]
            types = ['*:EC2/*']
            response = 'approve'";
        check(policy, ("CryptoCurrency:EC2/BitcoinTool.B", 0.0), None, "contain by coins, only compromised-instance");
        check(policy, ("Backdoor:EC2/Spambot", 0.0), None, "approve by rule 2");
        check(policy, ("Recon:IAMUser/TorIPCaller", 10.0), None, "notify");
        check("", ("Recon:IAMUser/TorIPCaller", 10.0), None, "notify");
    }

    #[test]
    fn a_rule_is_for_severities_from_its_own_upwards() {
        let least = |least: &str| format!("rule = [{{types = ['*'], severity = {least}, response = 'contain'}}]");
        for high in ["7", "7.0", "+7", "'high'"].map(least) {
            check(&high, ("A:B/C", 6.9), None, "notify");
            check(&high, ("A:B/C", 7.0), None, "contain by rule 1");
        }
        check(&least("'low'"), ("A:B/C", 0.0), None, "contain by rule 1");
        check(&least("'critical'"), ("A:B/C", 8.9), None, "notify");
    }

    #[test]
    fn a_rule_is_for_the_subjects_account_and_region() {
        let only = |key: &str| format!("[[rule]]\ntypes = ['*']\nresponse = 'plan'\n{key}");
        check(&only("accounts = ['111122223333', '012345678901']"), ("A:B/C", 5.0), None, "plan by rule 1");
        check(&only("accounts = ['111122223333']"), ("A:B/C", 5.0), None, "notify");
        check(&only("regions = ['us-*', 'eu-west-?']"), ("A:B/C", 5.0), None, "plan by rule 1");
        check(&only("accounts = ['012345678901']\nregions = ['us-*']"), ("A:B/C", 5.0), None, "notify");
    }

    #[test]
    fn a_rule_with_tags_waits_until_they_are_observed() {
        let policy = "
            [[rule]]
            types = ['Impact:*']
            tags = { env = '{dev,test}', 'team.name' = '*' }
            response = 'contain'
            [[rule]]
            types = ['*']
            response = 'plan'";
        let impact = ("Impact:EC2/PortSweep", 8.0);
        check(policy, impact, None, "needs tags");
        check(policy, impact, Some(&[]), "plan by rule 2");
        check(policy, impact, Some(&[("env", "dev")]), "plan by rule 2");
        check(policy, impact, Some(&[("env", "prod"), ("team.name", "")]), "plan by rule 2");
        check(policy, impact, Some(&[("env", "dev"), ("team.name", ""), ("x", "y")]), "contain by rule 1");
        check(policy, ("Recon:EC2/Portscan", 8.0), None, "plan by rule 2");
    }

    fn check(policy: &str, (kind, severity): (&str, f64), tags: Option<&[(&str, &str)]>, expect: &str) {
        let (finding, subject) = finding(kind, severity);
        let owned =
            |tags: &[(&str, &str)]| tags.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect::<Tags>();
        let policy = Policy::parse(policy, &["compromised-instance"]).unwrap();
        let ruling = policy.rule_for(&finding, &subject, tags.map(owned).as_ref());
        assert_eq!(words(ruling), expect, "{kind} {severity} {tags:?} {policy:?}");
    }

    fn words(ruling: Ruling) -> String {
        let Ruling::Decided { response, rule, remediations, terms: _ } = ruling else { return "needs tags".to_owned() };
        let by = rule.map(|rule| format!(" by {rule}")).unwrap_or_default();
        let only = remediations.map(|names| format!(", only {}", names.join(" "))).unwrap_or_default();
        format!("{response}{by}{only}")
    }

    pub(in crate::policy) fn finding(kind: &str, severity: f64) -> (Finding, Subject) {
        let text = |text: &str| text.to_owned();
        let account = AccountId::try_from("012345678901").unwrap();
        let at = Place { partition: Partition::Aws, account, region: Region::try_from("eu-west-1").unwrap() };
        let instance = SubjectKind::Instance {
            id: InstanceId::try_from("i-0a1b").unwrap(),
            groups: Vec::new(),
            interfaces: Vec::new(),
            vpcs: Vec::new(),
        };
        let subject = Subject { at: at.clone(), kind: instance };
        let finding = Finding {
            id: FindingId::try_from("0123").unwrap(),
            arn: String::new(),
            kind: FindingType::try_from(text(kind)).unwrap(),
            severity: Severity::try_from(severity).unwrap(),
            detector: None,
            // Not the subject's account: a rule must look at where it would act.
            at: Place { account: AccountId::try_from("999999999999").unwrap(), ..at },
            title: String::new(),
            description: String::new(),
            created: None,
            updated: None,
            first_seen: None,
            last_seen: None,
            count: 1,
            sample: false,
            archived: false,
            role: None,
            remotes: Vec::new(),
            ports: Vec::new(),
            action: None,
            subjects: vec![subject.clone()],
        };
        (finding, subject)
    }
}
